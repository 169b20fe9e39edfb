"""Which queries does each post match? All terms of all queries are looked for in one pass; then each query is asked only of the posts in
which what it cannot do without stands.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Generic, TypeVar

from listener.query.reading import Post, Reading, automata_of
from listener.query.tree import Node, Or, Query, anchors

Id = TypeVar("Id", bound=Hashable)


class Matcher(Generic[Id]):
    """Queries by their ids, made ready once for many batches."""

    def __init__(self, queries: Mapping[Id, Query]) -> None:
        self._trees = [(number, query.tree, _gate(query.tree)) for number, query in queries.items()]
        self._automata = automata_of(query.tree for query in queries.values())

    def match(self, posts: Sequence[Post]) -> list[tuple[Id, ...]]:
        """For each post the ids of the queries that it matches, in the order of the queries."""
        reading = Reading(posts, self._automata)
        found: list[list[Id]] = [[] for _ in posts]
        for number, tree, gate in self._trees:
            if candidates := reading.hold(gate, reading.all):
                for post in reading.hold(tree, candidates):
                    found[post].append(number)
        return [tuple(numbers) for numbers in found]


def matches(queries: Mapping[Id, Query], posts: Sequence[Post]) -> list[tuple[Id, ...]]:
    """For each post the ids of the queries that it matches, in the order of `queries`.

    A query that asks for a score which a post does not have (a bare `Mention`, or one that no model has read) lets it through: ask again
    when it is there.
    """
    return _matcher(tuple(queries.items())).match(posts)


@lru_cache(maxsize=8)
def _matcher(queries: tuple[tuple[Any, Query], ...]) -> Matcher[Any]:
    return Matcher(dict(queries))


def _gate(tree: Node) -> Node:
    return Or(anchors(tree) or (tree,))
