"""Many queries are asked of many posts in one pass, and the answer is what each query would say of each post by itself."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.errors import BadInput
from earshot.mention import Author, Mention, Score, ScoredMention
from listener.query import Matcher, matches, read, without
from listener.query.tree import And, Field, Followers, Near, Node, Not, Or, Term

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def post(text: str, **known: Any) -> Mention:
    return Mention(
        **{"network": "x", "native_id": "1", "author": None, "text": text, "url": "https://x.com/jane/status/1", "posted_at": NOW, **known}
    )


def author(handle: str, followers: int | None = None) -> Author:
    return Author(network="x", native_id=handle, handle=handle, followers=followers)


def scored(mention: Mention, **labels: str) -> ScoredMention:
    return ScoredMention(
        mention=mention,
        scores=tuple(Score(name=name, label=label, value=0.5, confidence=0.8, by="test-1") for name, label in labels.items()),
    )


def fits(query: str, mention: Mention | ScoredMention) -> bool:
    return matches({"it": read(query)}, [mention]) == [("it",)]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("lumifern", "My LUMIFERN broke"),
        ("lumifern", "lumifern"),
        ("lumifern", "Lumifern’s lamp"),
        ("lumifern", "love #lumifern!"),
        ("lumifern", "hey @Lumifern help"),
        ("lumifern", "我的lumifern坏了"),
        ("lumifern", "Lumifern™ lamps"),
        ("lumifern", "lu\u200bmifern"),
        ("lumifern", "ｌｕｍｉｆｅｒｎ"),
        ("strasse", "Straße"),
        ("café", "cafe\u0301"),
        ('"broken lamp"', "a broken\n lamp."),
        ('"broken lamp"', "broken-lamp"),
        ("wi-fi", "no wi fi here"),
        ("wi-fi", "no Wi-Fi here"),
        ("don't", "they don’t care"),
        ("12:30", "at 12:30."),
        ("lamp*", "two lamps"),
        ("lamp*", "lamp"),
        ('"broken lamp*"', "broken lampshades"),
        ('"Apple"c', "An Apple a day"),
        ('"iPhone 15"c', "the iPhone 15 is"),
        ("台灯", "我的台灯坏了"),
        ("台灯", "我的台灯"),
        ("台灯坏", "我的台灯坏了"),
        ("电子邮件", "電子郵件 电子邮件"),
        ("我的lumifern坏了", "听说我的 Lumifern 坏了。"),
        ("🔥", "hot🔥🔥"),
        ("👍", "good 👍🏽"),
        ("#lumifern", "hello #Lumifern"),
        ("#台灯", "#台灯# 坏了"),
        ("@lumifern", "@Lumifern help"),
        ("ไฟ", "โคมไฟเสีย"),
        ("हिन्दी", "यह हिन्दी है"),
        ("lamp NEAR/2 broken", "the lamp is again broken"),
        ("lamp NEAR/0 broken", "broken lamp"),
        ("broken ONEAR/1 lamp", "broken old lamp"),
        ("台灯 NEAR/3 坏了", "台灯昨天又坏了"),
        ("lamp NEAR/1 lamp", "lamp by lamp"),
        ('"my lamp" NEAR/1 (broken OR bust)', "my lamp is bust"),
        ("~lumifern NEAR/1 broken", "lumifren is broken"),
        ("~lumifern", "my Lumifren"),
        ("~lumifern", "my lumifernn"),
        ("~lumifern", "my lumifern"),
        ("~lampshades", "my lamshads"),
        ("lamp -chair", "lamp"),
        ("lamp NOT (chair table)", "lamp chair"),
        ("url:lumifern.com", "see https://www.lumifern.com/help?x=1"),
        ("url:lumifern.com/help", "see http://Lumifern.com/help/me"),
        ("url:x.com/jane", "anything"),
    ],
)
def test_this_is_found(query: str, text: str) -> None:
    assert fits(query, post(text))


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("lamp", "lamps"),
        ("lamp", "headlamp"),
        ("lamp", "lamp_post"),
        ("lamp", "https://lamp.example/lamp"),
        ("café", "cafe"),
        ('"broken lamp"', "lamp broken"),
        ('"broken lamp"', "broken old lamp"),
        ("lamp*", "headlamp"),
        ('"Apple"c', "an apple a day"),
        ('"Apple"c', "APPLE"),
        ("海报", "上海,报纸"),
        ("台灯", "台 灯"),
        ("#lumifern", "lumifern"),
        ("#lumifern", "#lumifernfans"),
        ("@lumifern", "jane@lumifern.com"),
        ("@lumifern", "lumifern"),
        ("lamp NEAR/1 broken", "the lamp is again broken"),
        ("broken ONEAR/1 lamp", "lamp broken"),
        ("lamp NEAR/5 lamp", "one lamp"),
        ("坏了 NEAR/1 台灯", "#台灯 my lamp is 坏了"),
        ("台灯 NEAR/2 坏了", "台灯昨天又坏了"),
        ("~lumifern", "my umifern"),
        ("~lumifern", "my bumifern"),
        ("~lumifern", "my lumfren"),
        ("lamp -chair", "lamp chair"),
        ("lamp NOT (chair table)", "lamp chair table"),
        ("url:fern.com", "https://lumifern.com"),
        ("url:lumifern.com", "lumifern"),
    ],
)
def test_this_is_not_found(query: str, text: str) -> None:
    assert not fits(query, post(text))


def test_fields_are_read_from_the_mention() -> None:
    jane = post("lamp", author=author("Jane", followers=1_000), network="reddit", lang_hint="en-GB", parent_id="7")
    for query in (
        "author:jane", "lamp author:@JANE", "lamp followers>=1000", "lamp followers=1k", "lamp followers<1001", "lamp network:reddit",
        "lamp lang:en", "lamp is:reply", "lamp -followers>1000", "lamp -lang:zh", "lamp -network:x",
    ):  # fmt: skip
        assert fits(query, jane), query
    for query in (
        "author:joe", "lamp -author:jane", "lamp followers>1000", "lamp followers<1000", "lamp -network:reddit", "lamp lang:zh",
        "lamp -lang:en",
        "lamp -is:reply",
    ):  # fmt: skip
        assert not fits(query, jane), query


def test_what_a_network_does_not_tell_about_an_author_is_no_match() -> None:
    for mention in (post("lamp"), post("lamp", author=author("jane"))):
        assert not fits("lamp followers>0", mention)
        assert not fits("lamp followers<1000000", mention)
        assert fits("lamp -followers>0", mention)
    assert not fits("author:jane", post("lamp"))


@pytest.mark.parametrize("query", ["lamp sentiment:negative", "lamp is:question", "lamp lang:en"])
def test_what_a_score_would_tell_lets_a_post_through_until_it_is_known(query: str) -> None:
    negated = query.replace("lamp ", "lamp -")
    for unscored in (post("lamp"), scored(post("lamp"))):
        assert fits(query, unscored)
        assert fits(negated, unscored)
    yes = scored(post("lamp"), sentiment="negative", intent="question", language="en")
    assert fits(query, yes)
    assert not fits(negated, yes)
    unsure = scored(post("lamp"), sentiment="unsure", intent="unsure", language="unsure")
    assert not fits(query, unsure)
    assert fits(negated, unsure)


def test_an_unknown_score_lets_nothing_through_that_the_rest_of_the_query_refuses() -> None:
    assert not fits("lamp sentiment:negative chair", post("lamp"))
    assert not fits("(lamp sentiment:negative) OR chair", post("table"))
    assert fits("lamp -(sentiment:negative chair)", post("lamp chair"))
    assert not fits("lamp -(sentiment:negative OR chair)", post("lamp chair"))


def test_what_the_network_says_of_the_language_goes_before_our_own_score() -> None:
    assert fits("lamp lang:de", scored(post("lamp", lang_hint="de"), language="en"))
    assert not fits("lamp lang:en", scored(post("lamp", lang_hint="de"), language="en"))


def test_each_post_gets_the_ids_of_its_queries_in_their_order() -> None:
    queries = {"z": read("lamp"), "a": read("lamp OR chair"), "m": read("nothing")}
    assert matches(queries, [post("lamp"), post("chair"), post("sofa")]) == [("z", "a"), ("a",), ()]


def test_without_posts_or_queries_nothing_matches() -> None:
    assert matches({}, [post("lamp")]) == [()]
    assert matches({1: read("lamp")}, []) == []
    assert Matcher({1: read("author:jane")}).match([post("lamp", author=author("jane"))]) == [(1,)]


@pytest.mark.parametrize(
    "text",
    ["lamp " * 20_000, "a\u0301\u0316" * 20_000, "#" * 40_000, "@a" * 20_000, "https://" * 5_000, "台灯" * 20_000, "\0\ud800lamp", ""],
)
def test_a_hostile_post_is_read_like_any_other(text: str) -> None:
    query = read("lamp NEAR/1 chair OR 台灯 NEAR/0 灯 OR ~lumifern OR url:lumifern.com OR lam*")
    assert matches({1: query}, [post(text), post("lamp chair")])[1] == (1,)


def test_authors_and_words_of_a_list_are_left_out() -> None:
    query = without(read("lamp OR chair"), authors=["@Shop", " ", "joe"], words=["Give away", "!", "抽奖"])
    assert query.text == "lamp OR chair"
    by_shop, by_jane = post("lamp", author=author("shop")), post("lamp", author=author("jane"))
    assert matches({1: query}, [by_shop, by_jane, post("chair give-away"), post("lamp抽奖"), post("chair")]) == [(), (1,), (), (), (1,)]
    assert without(query) == query
    many = without(query, words=[f"word{number}" for number in range(2_000)])
    assert matches({1: many}, [post("lamp word77"), post("lamp")]) == [(), (1,)]


# ---- a plain reading, as a peer

_WORDS = ["lamp", "chair", "Lamp", "台灯", "坏了", "broken", "#lamp", "is", "lamps"]
_TERMS = ["lamp", "chair", "broken", '"broken lamp"', "lam*", '"Lamp"c', "台灯", "坏", "台灯坏了", "#lamp"]
_FIELDS = ["author:jane", "lang:en", "network:reddit", "followers>10", "is:reply", "sentiment:negative"]

some_terms = st.sampled_from(_TERMS)
nears = st.builds(
    "({} {}/{} {})".format,
    some_terms,
    st.sampled_from(["NEAR", "ONEAR"]),
    st.integers(0, 3),
    st.one_of(some_terms, st.just("(chair OR 坏了)")),
)
some_parts = st.recursive(
    st.one_of(some_terms, some_terms, nears, st.sampled_from(_FIELDS)),
    lambda inner: st.one_of(
        st.builds("({} AND {})".format, inner, inner), st.builds("({} OR {})".format, inner, inner), st.builds("(NOT {})".format, inner)
    ),
    max_leaves=8,
)
some_queries = st.one_of(some_parts, st.builds("({} AND {})".format, some_terms, some_parts))
some_posts = st.builds(
    lambda words, marks, **known: post("".join(word + mark for word, mark in zip(words, marks, strict=False)), **known),
    st.lists(st.sampled_from(_WORDS), max_size=8),
    st.lists(st.sampled_from([" ", ", ", " ", "! ", "\n"]), min_size=8, max_size=8),
    author=st.sampled_from([None, author("jane", 5), author("joe", 50)]),
    lang_hint=st.sampled_from(["en", "zh"]),
    network=st.sampled_from(["x", "reddit"]),
    parent_id=st.sampled_from([None, "1"]),
)


@given(st.lists(some_queries, max_size=6), st.lists(some_posts, max_size=6), st.sampled_from(["negative", "positive"]))
def test_one_pass_says_what_a_plain_reading_of_each_says(texts: list[str], posts: list[Mention], sentiment: str) -> None:
    queries = {}
    for text in texts:
        try:
            queries[text] = read(text)
        except BadInput:
            continue
    read_posts = [scored(mention, sentiment=sentiment) for mention in posts]
    plain = [tuple(text for text, query in queries.items() if plainly(query.tree, one)) for one in read_posts]
    assert matches(queries, read_posts) == plain


def plainly(node: Node, one: ScoredMention) -> bool:
    """A reading without automaton, sets or shared work, by tokens."""
    simple: dict[type, Callable[[Any], bool]] = {
        And: lambda it: all(plainly(part, one) for part in it.parts),
        Or: lambda it: any(plainly(part, one) for part in it.parts),
        Not: lambda it: not plainly(it.part, one),
        Term: lambda it: bool(places(it, one.mention.text)),
        Near: lambda it: nearby(it, one.mention.text),
        Followers: lambda it: one.mention.author is not None and (one.mention.author.followers or 0) > it.count,
        Field: lambda it: {
            "author": one.mention.author.handle if one.mention.author else None,
            "lang": one.mention.lang_hint,
            "network": one.mention.network,
            "is": "reply" if one.mention.parent_id else None,
            "sentiment": one.scores[0].label,
        }[it.name] == it.value,
    }  # fmt: skip
    return simple[type(node)](node)


def tokens(text: str) -> list[str]:
    return re.findall(r"[一-鿿]|[A-Za-z0-9]+", unicodedata.normalize("NFKC", text))


def places(term: Node, text: str) -> list[tuple[int, int]]:
    """(first token, first token behind) wherever it stands; punctuation between Chinese characters parts them."""
    assert isinstance(term, Term)
    if term.said.startswith("#"):
        return [(0, 0)] if re.search(rf"{term.said}\b", text) else []
    wanted, said = tokens(term.cased or term.said), tokens(text if term.cased else text.lower())
    return [
        (start, start + len(wanted))
        for start in range(len(said) - len(wanted) + 1)
        if said[start : start + len(wanted) - 1] == wanted[:-1]
        and (said[start + len(wanted) - 1].startswith(wanted[-1]) if term.opens else said[start + len(wanted) - 1] == wanted[-1])
        and (len(wanted) == 1 or wanted[0].isascii() or term.said in text)
    ]


def nearby(near: Near, text: str) -> bool:
    def stands(side: Node) -> list[tuple[int, int]]:
        return [place for part in (side.parts if isinstance(side, Or) else (side,)) for place in places(part, text)]

    left, right = stands(near.left), stands(near.right)
    pairs = [(a, b) for a in left for b in right] + ([] if near.ordered else [(b, a) for a in left for b in right])
    return any(0 <= second[0] - first[1] <= near.within for first, second in pairs)
