"""Posts that a query just misses, with what kept each of them out: what to look at before a query is saved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from listener.query.reading import Post, Posts, Reading, automata_of
from listener.query.tree import And, Fuzzy, Near, Node, Not, Or, Query, Term, all_of, anchors, any_of, write

_SHORTEST = 5  #: letters of a word whose misspellings are looked for; shorter ones have too many neighbours


@dataclass(frozen=True, slots=True)
class NearMiss:
    """`post` is its place in the batch."""

    post: int
    why: str  #: "lacks battery"
    slip: bool  #: the words are there, but for their spelling, capitals or distance


def near_misses(query: Query, posts: Sequence[Post]) -> list[NearMiss]:
    """Posts that do not match, but would if one thing were otherwise, in the order of `posts`.

    Either a word is a slip away, written apart or together, in other capitals, or too far from the other; or one of the parts that AND asks
    for is missing (or one that NOT refuses is there) while another word of the query stands there.
    """
    loose = _loosened(query.tree)
    reading = Reading(posts, automata_of([query.tree, loose]))
    outside = reading.all - reading.hold(query.tree, reading.all)
    slips = _slips(query.tree, reading, reading.hold(loose, outside))
    found = _lacking(query.tree, reading, outside) | slips
    return [NearMiss(post, why, slip=post in slips) for post, why in sorted(found.items())]


# ---- a slip away


def _loosened(node: Node) -> Node:
    """The tree with what may stand for each part beside it; what NOT refuses stays."""
    match node:
        case And(parts=parts):
            return all_of(tuple(map(_loosened, parts)))
        case Or(parts=parts):
            return any_of(tuple(map(_loosened, parts)))
        case Near(left=left, right=right):
            return all_of((_loosened(left), _loosened(right)))
    return any_of((node, *(other for other, _ in _others(node))))


def _others(node: Node) -> Iterator[tuple[Node, str]]:
    """What may stand for a part, and what that would be called."""
    match node:
        case Near(left=left, right=right):
            yield all_of((left, right)), f"too far apart, or in another order: {write(node)}"
        case Term(said=said, opens=opens) if node.cased:
            yield Term(said, opens), f"other capitals than in {write(node)}"
        case Term(said=said) if " " in said and said.replace(" ", "").isalnum():
            yield Term(said.replace(" ", "")), f"written together: {write(node)}"
        case Term(said=said, opens=False) if said.isascii() and said.isalpha() and len(said) >= _SHORTEST:
            yield Fuzzy(said, strict=False), f"a slip away from {said}"
            yield any_of(tuple(Term(f"{said[:cut]} {said[cut:]}") for cut in range(2, len(said) - 1))), f"written apart: {said}"


def _slips(tree: Node, reading: Reading, among: Posts) -> dict[int, str]:
    why: dict[int, str] = {}
    for node in _wanted(tree):
        without = among - reading.hold(node, among)
        for other, called in _others(node):
            why |= {post: _spelt(other, called, reading, post) for post in reading.hold(other, without)}
    return why


def _spelt(other: Node, called: str, reading: Reading, post: int) -> str:
    if not isinstance(other, Fuzzy):
        return called
    written = next(word for word, posts in reading.slips(other).items() if post in posts)
    return f"{called}: {written}"


def _wanted(node: Node) -> Iterator[Node]:
    """The parts that stand under no NOT."""
    match node:
        case And(parts=parts) | Or(parts=parts):
            for part in parts:
                yield from _wanted(part)
        case Near(left=left, right=right):
            yield node
            yield from _wanted(left)
            yield from _wanted(right)
        case Term():
            yield node


# ---- all but one


def _lacking(node: Node, reading: Reading, among: Posts) -> dict[int, str]:
    match node:
        case Or(parts=parts):
            return {post: why for part in parts for post, why in _lacking(part, reading, among).items()}
        case And(parts=parts):
            return _all_but_one(parts, reading, among)
    return {}


def _all_but_one(parts: Sequence[Node], reading: Reading, among: Posts) -> dict[int, str]:
    fits = [reading.hold(part, among) for part in parts]
    missed = Counter(post for held in fits for post in among - held)
    named = Counter(post for part, held in zip(parts, fits, strict=True) if anchors(part) for post in held)
    return {
        post: _lacks(part) for part, held in zip(parts, fits, strict=True) for post in among - held if missed[post] == 1 and named[post]
    }


def _lacks(part: Node) -> str:
    return f"says {write(part.part)}, which NOT leaves out" if isinstance(part, Not) else f"lacks {write(part)}"
