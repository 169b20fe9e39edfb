"""A batch of posts, read for many queries at once: which terms stand in which posts, and which posts fit a tree.

Posts are numbers, and a part of a tree is answered for a set of them: AND narrows the set before the next part is asked. What depends on a
score that is not known yet counts as what lets the post through.
"""

from __future__ import annotations

import operator
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

from earshot.mention import Mention, ScoredMention
from listener.query.ordinary import is_ordinary
from listener.query.tree import And, Field, Followers, Fuzzy, Near, Node, Not, Or, Term
from listener.query.words import TAIL, in_words, links_in_words, pattern, runs_of, token_starts, words_of

Post: TypeAlias = Mention | ScoredMention
Posts: TypeAlias = Set[int]

_COMPARE: Mapping[str, Callable[[int, int], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}


class Automata(NamedTuple):
    """What is looked for in the words of posts, and in their links; None where nothing is."""

    words: Any
    links: Any


def automata_of(trees: Iterable[Node]) -> Automata:
    """All terms of all trees, ready to be found in one pass."""
    asked = {leaf for tree in trees for leaf in leaves(tree)}
    return Automata(
        _automaton(term_pattern(leaf) for leaf in asked if isinstance(leaf, Term)),
        _automaton(url_pattern(leaf) for leaf in asked if isinstance(leaf, Field) and leaf.name == "url"),
    )


def _automaton(patterns: Iterable[str]) -> Any:
    from ahocorasick import Automaton

    automaton = Automaton()
    for each in patterns:
        automaton.add_word(each, each)
    automaton.make_automaton()
    return automaton if len(automaton) else None


def leaves(node: Node) -> Iterator[Node]:
    match node:
        case And(parts=parts) | Or(parts=parts):
            for part in parts:
                yield from leaves(part)
        case Near(left=left, right=right):
            yield from leaves(left)
            yield from leaves(right)
        case Not(part=part):
            yield from leaves(part)
        case _:
            yield node


def term_pattern(term: Term) -> str:
    return pattern(term.said, opens=term.opens)


def url_pattern(field: Field) -> str:
    return pattern(words_of(field.value))


class Reading:
    """What `posts` say. `automata` know every term and link that will be asked for."""

    def __init__(self, posts: Sequence[Post], automata: Automata) -> None:
        self._posts = posts
        self._mentions = [post.mention if isinstance(post, ScoredMention) else post for post in posts]
        self._forms = [in_words(mention.text) for mention in self._mentions]
        self._hits = _scan(automata.words, self._forms)
        self._automata = automata
        self._cased: dict[int, str] = {}
        self._starts: dict[str, Sequence[int]] = {}  #: a text in words -> where they begin
        self._fields: dict[str, Mapping[str | None, Posts]] = {}
        self._slips: dict[Fuzzy, Mapping[str, Posts]] = {}

    @cached_property
    def all(self) -> Posts:
        return frozenset(range(len(self._posts)))

    def hold(self, node: Node, among: Posts, *, unknown: bool = True) -> Posts:
        """Those of `among` that fit; `unknown`: what is taken for the answer where it depends on a score that is not there."""
        match node:
            case Term():
                return self._term(node, among)
            case And(parts=parts):
                for part in parts:
                    among = self.hold(part, among, unknown=unknown) if among else among
                return among
            case Or(parts=parts):
                return frozenset().union(*(self.hold(part, among, unknown=unknown) for part in parts))
            case Not(part=part):
                return among - self.hold(part, among, unknown=not unknown) if among else among
            case Near(left=left, right=right):
                both = self.hold(right, self.hold(left, among))
                return {post for post in both if self._is_near(node, post)}
        return self._field(node, among, unknown)

    def _field(self, node: Node, among: Posts, unknown: bool) -> Posts:
        match node:
            case Fuzzy():
                return among & frozenset().union(*self.slips(node).values())
            case Followers(sign=sign, count=count):
                compare = _COMPARE[sign]
                return {post for post in among if (known := self._followers(post)) is not None and compare(known, count)}
            case Field(name="url"):
                return among & self._link_hits.get(url_pattern(node), frozenset())
            case Field(name=name, value=value):
                by_value = self._by_value(f"is:{value}" if name == "is" else name)
                found = among & by_value.get(value, frozenset())
                return found | (among & by_value.get(None, frozenset())) if unknown else found
        raise TypeError(f"no such part of a query: {type(node).__name__}")

    def _term(self, term: Term, among: Posts) -> Posts:
        found = among & self._hits.get(term_pattern(term), frozenset())
        if not term.cased:
            return found
        looked_for = pattern(term.cased)
        return {post for post in found if looked_for in self._cased_form(post)}

    # ---- misspellings

    def slips(self, fuzzy: Fuzzy) -> Mapping[str, Posts]:
        """The words of the posts that may be meant for this one, itself among them, each with the posts it stands in."""
        if fuzzy not in self._slips:
            self._slips[fuzzy] = {word: self._posts_of[word] for word in self._near_words(fuzzy)}
        return self._slips[fuzzy]

    def _near_words(self, fuzzy: Fuzzy) -> list[str]:
        from rapidfuzz.distance import OSA
        from rapidfuzz.process import cdist

        same = [word for word in self._by_letter.get(fuzzy.word[0], ()) if abs(len(word) - len(fuzzy.word)) <= fuzzy.slips]
        if not same:
            return []
        edits = cdist([fuzzy.word], same, scorer=OSA.distance, score_cutoff=fuzzy.slips)[0].tolist()
        near = [word for word, distance in zip(same, edits, strict=True) if distance <= fuzzy.slips]
        return [word for word in near if word == fuzzy.word or not is_ordinary(word)] if fuzzy.strict else near

    @cached_property
    def _posts_of(self) -> Mapping[str, Posts]:
        posts_of: dict[str, set[int]] = defaultdict(set)
        for post, form in enumerate(self._forms):
            for word in runs_of(form):
                posts_of[word].add(post)
        return posts_of

    @cached_property
    def _by_letter(self) -> Mapping[str, Sequence[str]]:
        """Words of all posts by their first letter."""
        words: dict[str, list[str]] = defaultdict(list)
        for word in self._posts_of:
            words[word[0]].append(word)
        return words

    # ---- nearness

    def _is_near(self, near: Near, post: int) -> bool:
        left, right = (sorted(self._spans(side, post)) for side in (near.left, near.right))
        return _follows(left, right, near.within) or (not near.ordered and _follows(right, left, near.within))

    def _spans(self, node: Node, post: int) -> Iterator[tuple[int, int]]:
        """(number of the first word, that of the first word behind) wherever the operand of a NEAR stands."""
        match node:
            case Or(parts=parts):
                for part in parts:
                    yield from self._spans(part, post)
            case Fuzzy():
                for word, posts in self.slips(node).items():
                    if post in posts:
                        yield from self._spans_in(self._forms[post], pattern(word))
            case Term(cased=""):
                yield from self._spans_in(self._forms[post], term_pattern(node))
            case Term(cased=cased):
                yield from self._spans_in(self._cased_form(post), pattern(cased))

    def _spans_in(self, form: str, looked_for: str) -> Iterator[tuple[int, int]]:
        end = len(form) if (tail := form.find(TAIL)) < 0 else tail
        place = form.find(looked_for, 0, end)
        if place >= 0 and form not in self._starts:
            self._starts[form] = token_starts(form)
        while place >= 0:
            starts = self._starts[form]
            yield bisect_left(starts, place), bisect_left(starts, place + len(looked_for))
            place = form.find(looked_for, place + 1, end)

    # ---- what is read only where it is asked for

    def _cased_form(self, post: int) -> str:
        if post not in self._cased:
            self._cased[post] = in_words(self._mentions[post].text, cased=True)
        return self._cased[post]

    @cached_property
    def _link_hits(self) -> Mapping[str, Posts]:
        return _scan(self._automata.links, [links_in_words(mention.text, mention.url) for mention in self._mentions])

    def _followers(self, post: int) -> int | None:
        author = self._mentions[post].author
        return None if author is None else author.followers

    def _by_value(self, name: str) -> Mapping[str | None, Posts]:
        if name not in self._fields:
            value_of, by_value = _VALUES[name], defaultdict[str | None, set[int]](set)
            for number, post in enumerate(self._posts):
                by_value[value_of(self._mentions[number], post)].add(number)
            self._fields[name] = by_value
        return self._fields[name]


def _scan(automaton: Any, forms: Sequence[str]) -> Mapping[str, Posts]:
    hits: dict[str, set[int]] = defaultdict(set)
    if automaton is not None:
        for post, form in enumerate(forms):
            for _, found in automaton.iter(form):
                hits[found].add(post)
    return hits


def _follows(left: Sequence[tuple[int, int]], right: Sequence[tuple[int, int]], within: int) -> bool:
    """Does one of `right` begin at most `within` words behind the end of one of `left`?"""
    begins = [begin for begin, _ in right]
    for _, end in left:
        place = bisect_left(begins, end)
        if place < len(begins) and begins[place] - end <= within:
            return True
    return False


# ---- fields: (mention, post) -> value in small letters; None where a score would tell, and is not there


def _author(mention: Mention, _post: Post) -> str:
    return mention.author.handle.casefold() if mention.author else ""


def _network(mention: Mention, _post: Post) -> str:
    return mention.network


def _lang(mention: Mention, post: Post) -> str | None:
    """What the network says, for its searches go by that; our own score where it says nothing."""
    return mention.lang_hint[:2].lower() if mention.lang_hint else _label(post, "language")


def _sentiment(_mention: Mention, post: Post) -> str | None:
    return _label(post, "sentiment")


def _is_reply(mention: Mention, _post: Post) -> str:
    return "reply" if mention.parent_id else ""


def _is_question(_mention: Mention, post: Post) -> str | None:
    return _label(post, "intent")


def _label(post: Post, name: str) -> str | None:
    score = post.score(name) if isinstance(post, ScoredMention) else None
    return None if score is None else score.label


_VALUES: Mapping[str, Callable[[Mention, Post], str | None]] = {
    "author": _author,
    "network": _network,
    "lang": _lang,
    "sentiment": _sentiment,
    "is:reply": _is_reply,
    "is:question": _is_question,
}
