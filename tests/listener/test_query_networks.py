"""A query in a network's words finds at least what the query matches. The networks are played by a small search of their own here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from earshot.errors import BadInput, UnknownName
from earshot.mention import Author, Mention
from listener.query import DIALECTS, compile_for, matches, read, unsearchable, without
from listener.query.networks import MOST_SEARCHES

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("network", "query", "searches"),
    [
        ("x", "lamp", ["lamp"]),
        ("x", '"Broken Lamp" OR #lumifern OR @lumifern', ['"broken lamp" OR #lumifern OR @lumifern']),
        ("x", "lamp (chair OR sofa) -giveaway -author:jane", ["lamp (chair OR sofa) -giveaway -from:jane"]),
        ("x", "lamp -(giveaway OR (not_this that))", ["lamp -giveaway"]),
        ("x", "lamp NEAR/5 (broken OR bust)", ["lamp (broken OR bust)"]),
        ("x", "lamp light*", ["lamp"]),
        ("x", "lamp followers>1000 sentiment:negative is:question", ["lamp"]),
        ("x", "lamp lang:en is:reply", ["lamp (lang:en OR lang:und) is:reply"]),
        ("x", "lamp -lang:id -is:reply", ["lamp -lang:in -is:reply"]),
        ("x", "lamp url:lumifern.com/help", ['lamp url:"lumifern.com/help"']),
        ("x", "lamp url:status", ["lamp"]),
        ("x", "lamp (chair OR -sofa)", ["lamp"]),
        ("x", '"Apple"c', ["apple"]),
        ("x", 'pie -"Apple"c', ["pie"]),
        ("x", "lamp -café", ["lamp"]),
        ("x", "我的Lumifern坏了", ["我的 lumifern 坏了"]),
        ("x", "lamp network:x", ["lamp"]),
        ("x", "lamp network:reddit", []),
        ("x", "lamp -network:x", []),
        ("x", "(lamp network:reddit) OR (chair network:x)", ["chair"]),
        ("x", '"or"', ['"or"']),
        ("reddit", "lamp chair OR author:u/jane", ["(lamp AND chair) OR author:jane"]),
        ("reddit", "lamp -chair -author:jane", ["lamp AND NOT author:jane"]),
        ("reddit", "lamp -is:reply lang:en", ["lamp"]),
        ("hackernews", '"broken lamp" OR (lumifern chair)', ['"broken lamp"', "lumifern chair"]),
        ("hackernews", "lamp (chair OR sofa)", ["lamp chair", "lamp sofa"]),
        ("hackernews", "light* lamp shad*", ["lamp light"]),
        ("mastodon", "lamp OR #lumifern", ["#lamp #lumifern"]),
        ("mastodon", '(lamp OR chair) "lumifern kettle"', ["#lumifern"]),
        ("discourse", "(lamp* OR kettle) broken OR chair", ["broken chair"]),
        ("lemmy", "(lamp* OR kettle) sofa* OR chair", ["sofa", "chair"]),
        ("stackexchange", 'chair OR ("broken lamp" -sofa)', ["chair", "broken"]),
        ("mastodon", "lamp OR a1 OR a2 OR a3 OR a4 OR a5 OR a6", ["#lamp #a1 #a2 #a3 #a4", "#a5 #a6"]),
    ],
)
def test_a_query_becomes_these_searches(network: str, query: str, searches: list[str]) -> None:
    assert compile_for(read(query), network) == searches


@pytest.mark.parametrize(
    ("network", "query", "named"),
    [
        ("x", "lamp*", "lamp*"),
        ("x", "lamp* OR ~lumifern", "lamp*"),
        ("x", "url:status", "url:"),
        ("reddit", "#lumifern", "#lumifern"),
        ("reddit", "🔥", "🔥"),
        ("hackernews", "author:jane", "author:jane"),
        ("mastodon", "台灯", "台灯"),
    ],
)
def test_what_a_network_cannot_search_for_is_named_with_a_remedy(network: str, query: str, named: str) -> None:
    with pytest.raises(BadInput, match="put a word that must be there beside it") as refused:
        compile_for(read(query), network)
    assert named in str(refused.value)


def test_what_is_only_checked_here_can_be_listed() -> None:
    query = read("lamp NEAR/5 broken -giveaway followers>1000 lang:en network:x")
    assert unsearchable(query, "x") == ("lamp NEAR/5 broken", "followers>1000")
    assert unsearchable(query, "hackernews") == ()  # it is not asked at all
    assert unsearchable(read("lamp -giveaway lang:en"), "hackernews") == ("giveaway", "lang:en")


def test_a_network_without_a_search_is_named_with_those_that_have_one() -> None:
    with pytest.raises(UnknownName, match="bluesky, discourse, hackernews, lemmy, mastodon, reddit, stackexchange, x"):
        compile_for(read("lamp"), "feed")


def test_a_query_over_the_limit_is_split_and_leaves_the_room_that_is_asked_for() -> None:
    words = [f"word{number}" for number in range(200)]
    searches = compile_for(read(f"lumifern ({' OR '.join(words)})"), "x", reserve=60)
    assert all(len(search) <= 452 for search in searches)
    assert sorted(word for search in searches for word in re.findall(r"word\d+", search)) == sorted(words)
    assert all(search.startswith("lumifern (") for search in searches)


def test_what_does_not_fit_beside_the_words_is_left_out() -> None:
    (search,) = compile_for(read("lumifern " + " ".join(f"-spam{number}" for number in range(200))), "x")
    assert len(search) <= 512
    assert search.startswith("lumifern -spam0 -spam1")
    listed = without(
        read(f"({' OR '.join(f'word{number}' for number in range(200))})"), authors=(f"shop{number}" for number in range(3_000))
    )
    searches = compile_for(listed, "x")
    assert all(len(search) <= 512 for search in searches)
    assert "-from:shop0" in searches[-1]


@pytest.mark.parametrize("network", DIALECTS)
@pytest.mark.parametrize(
    "query",
    [
        " OR ".join(f"(a{n} (b{n} OR c{n}))" for n in range(150)),
        " ".join(f"(a{n} OR b{n})" for n in range(200)),
        " ".join(f"(a{n} b{n} OR b{n} c{n})" for n in range(100)),
        "(" + " OR ".join(f"word{n}" for n in range(200)) + ") (" + " OR ".join(f"other{n}" for n in range(200)) + ")",
        "lamp " + "x" * 600,
        "x" * 600,
        '"' + "a b " * 400 + '"',
    ],
)
def test_a_huge_query_becomes_few_short_searches_or_is_refused(network: str, query: str) -> None:
    try:
        searches = compile_for(read(query), network)
    except BadInput:
        with pytest.raises(BadInput, match="too long"):
            compile_for(read(query), network)
        return
    assert 0 < len(searches) <= MOST_SEARCHES
    assert all(0 < len(search) <= DIALECTS[network].longest for search in searches)


# ---- at least as wide

_TERMS = [
    "lamp",
    "chair",
    "sofa",
    '"broken lamp"',
    '"sofa broken lamp"',
    "lam*",
    '"Lamp"c',
    "台灯",
    "坏",
    "我的lamp",
    "#lamp",
    "@jane",
    "~lampshade",
    "🔥",
]
_FIELDS = ["author:jane", "lang:en", "lang:id", "followers>10", "is:reply", "sentiment:negative", "url:lumifern.com", "url:jane", "url:com"]
_FIELDS += [f"network:{network}" for network in DIALECTS]

some_terms = st.sampled_from(_TERMS)
some_parts = st.recursive(
    st.one_of(
        some_terms, some_terms, st.builds("({} NEAR/1 (chair OR {}))".format, st.just("lamp"), st.just("坏")), st.sampled_from(_FIELDS)
    ),
    lambda inner: st.one_of(
        st.builds("({} AND {})".format, inner, inner),
        st.builds("({} OR {})".format, inner, inner),
        st.builds("(NOT {})".format, inner),
        st.builds("({} -{})".format, inner, inner),
    ),
    max_leaves=10,
)
some_queries = st.one_of(some_parts, st.builds("({} AND {})".format, some_terms, some_parts))
_SAID = [
    "lamp",
    "Lamp",
    "chair",
    "sofa",
    "broken",
    "lamps",
    "台灯",
    "坏了",
    "我的",
    "#lamp",
    "#chair",
    "@jane",
    "lampshade",
    "🔥",
    "https://lumifern.com/help",
]


@st.composite
def some_posts(draw: Callable[..., str], network: str) -> Mention:
    words = draw(st.lists(st.sampled_from(_SAID), min_size=1, max_size=8))
    if network == "mastodon":  # its timelines show what is tagged
        words = [f"#{word}" if word.isalnum() else word for word in words]
    handle, mark = draw(st.sampled_from(["jane", "Joe"])), draw(st.sampled_from([" ", ", ", "\n"]))
    return Mention(
        network=network,
        native_id="1",
        author=Author(network=network, native_id="7", handle=handle, followers=draw(st.sampled_from([None, 5, 50]))),
        text=mark.join(words),
        url=f"https://x.com/{handle}/status/1" if network == "x" else "https://lumifern.com/1",
        posted_at=NOW,
        lang_hint=draw(st.sampled_from([None, "en", "id"])),
        parent_id=draw(st.sampled_from([None, "5"])),
    )


@pytest.mark.parametrize("network", DIALECTS)
@given(data=st.data(), text=some_queries, room=st.sampled_from([0, 60, 30]))
def test_what_matches_is_found_by_one_of_the_searches(network: str, data: st.DataObject, text: str, room: int) -> None:
    posts = data.draw(st.lists(some_posts(network), min_size=1, max_size=8))
    longest = DIALECTS[network].longest
    try:
        query = read(text)
        searches = compile_for(query, network, reserve=longest - room if room else 0)
    except BadInput:
        assume(False)
    assert all(len(search) <= (room or longest) for search in searches)
    found = PLAYED[network]
    for mention, its in zip(posts, matches({1: query}, posts), strict=True):
        if its:
            assert any(found(search, mention) for search in searches), (searches, mention.text)


def on_x(search: str, mention: Mention) -> bool:
    assert "-(" not in search
    return Boolean(search, said_on_x).holds(mention)


def on_reddit(search: str, mention: Mention) -> bool:
    return Boolean(search, said_on_reddit).holds(mention)


def on_hackernews(search: str, mention: Mention) -> bool:
    """All words and phrases, the last of which may go on; no OR, no fields."""
    wanted = re.findall(r'"[^"]+"|\S+', search)
    assert not {"OR", "AND", "NOT"} & set(wanted)
    *whole, last = wanted
    return all(says(part.strip('"'), mention) for part in whole) and says(last.strip('"'), mention, goes_on=not last.endswith('"'))


def on_mastodon(search: str, mention: Mention) -> bool:
    assert re.fullmatch(r"#\w+( #\w+){0,4}", search)
    return any(has_tag(tag, mention) for tag in search.split())


def on_discourse(search: str, mention: Mention) -> bool:
    return any(word in mention.text.lower() for word in search.split())


def on_lemmy(search: str, mention: Mention) -> bool:
    return search in mention.text.lower()


def on_stackexchange(search: str, mention: Mention) -> bool:
    assert len(search.split()) == 1
    return says(search, mention)


PLAYED = {
    "bluesky": on_discourse,
    "discourse": on_discourse,
    "hackernews": on_hackernews,
    "lemmy": on_lemmy,
    "mastodon": on_mastodon,
    "reddit": on_reddit,
    "stackexchange": on_stackexchange,
    "x": on_x,
}


class Boolean:
    """`a b`, `a AND b`, `a OR b`, `NOT a`, parentheses; AND binds closer than OR."""

    def __init__(self, search: str, says: Callable[[str, Mention], bool]) -> None:
        self._tokens = re.findall(r'[()]|(?:-?\w+:)?-?"[^"]*"|[^\s()]+', search)
        self._says = says

    def holds(self, mention: Mention) -> bool:
        self._left = list(reversed(self._tokens))
        answer = self._either(mention)
        assert not self._left
        return answer

    def _either(self, mention: Mention) -> bool:
        answers = [self._both(mention)]
        while self._left and self._left[-1] == "OR":
            self._left.pop()
            answers.append(self._both(mention))
        return any(answers)

    def _both(self, mention: Mention) -> bool:
        answers = [self._one(mention)]
        while self._left and self._left[-1] not in ("OR", ")"):
            if self._left[-1] == "AND":
                self._left.pop()
            answers.append(self._one(mention))
        return all(answers)

    def _one(self, mention: Mention) -> bool:
        token = self._left.pop()
        if token == "NOT":
            return not self._one(mention)
        if token == "(":
            answer = self._either(mention)
            assert self._left.pop() == ")"
            return answer
        assert token not in ("AND", "OR", ")")
        return self._says(token, mention)


def said_on_x(token: str, mention: Mention) -> bool:
    if token.startswith("-"):
        return not said_on_x(token[1:], mention)
    name, _, value = token.partition(":")
    match name:
        case "from":
            return handle_of(mention) == value
        case "lang":
            return {"in": "id", "iw": "he", "und": None}.get(value, value) == mention.lang_hint
        case "is":
            return mention.parent_id is not None
        case "url":
            return any(in_link(value, link) for link in re.findall(r"https?://\S+", mention.text))
    if token[0] in "#@":
        return token in re.findall(r"[#@]\w+", mention.text.lower())
    return says(token.strip('"'), mention)


def said_on_reddit(token: str, mention: Mention) -> bool:
    """Other forms of a word are found, too."""
    if token.startswith("author:"):
        return handle_of(mention) == token.removeprefix("author:")
    assert ":" not in token
    return says(token.strip('"'), mention, goes_on=not token.startswith('"'))


def in_link(value: str, link: str) -> bool:
    wanted, said = (" ".join(re.findall(r"\w+", each)) for each in (value, link))
    return f" {wanted} " in f" {said} "


def handle_of(mention: Mention) -> str:
    assert mention.author is not None
    return mention.author.handle.lower()


def has_tag(tag: str, mention: Mention) -> bool:
    return tag.lower() in re.findall(r"#\w+", mention.text.lower())


def says(phrase: str, mention: Mention, *, goes_on: bool = False) -> bool:
    """Words beside one another, links left out; Chinese and emoji anywhere."""
    said = list(cut(re.sub(r"https?://\S+", " ", mention.text.lower())))
    wanted = list(cut(phrase))
    assert wanted
    for start in range(len(said) - len(wanted) + 1):
        here = said[start : start + len(wanted)]
        if here[:-1] == wanted[:-1] and (here[-1] == wanted[-1] or (goes_on and here[-1].startswith(wanted[-1]))):
            return True
    return False


def cut(text: str) -> Iterator[str]:
    return iter(re.findall(r"[一-鿿🔥]|[a-z0-9_]+", text))
