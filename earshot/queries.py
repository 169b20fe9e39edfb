"""Saved queries at work: read once, with what they leave out; matched with batches, and asked of sources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import structlog

from earshot.errors import BadInput
from earshot.mention import ScoredMention
from earshot.settings import SourceSettings
from listener.source import Asked

if TYPE_CHECKING:
    from earshot.storage.queries import Draft, SavedQuery
    from listener.query import Matcher, Query

log = structlog.get_logger()


def own_accounts(sources: Iterable[SourceSettings]) -> tuple[str, ...]:
    """Handles of ours on the networks: what we post is nothing that a query looks for."""
    return tuple(dict.fromkeys(source.account for source in sources if source.account))


def read_query(draft: Draft, own: Iterable[str]) -> Query:
    """The query with all that it leaves out. Raises `BadInput` pointing at what cannot be read."""
    return _read(draft.text, (*draft.not_by, *own), draft.not_saying)


@lru_cache(maxsize=1_000)
def _read(text: str, authors: tuple[str, ...], words: tuple[str, ...]) -> Query:
    from listener.query import read, without

    return without(read(text), authors=authors, words=words)


def naming(source: str, saved: Iterable[SavedQuery]) -> list[SavedQuery]:
    """Those for which this source is to listen."""
    return [query for query in saved if source in query.sources]


def asked(saved: Iterable[SavedQuery], own: Sequence[str]) -> tuple[Asked, ...]:
    """What they ask of a source."""
    return tuple(Asked(query.name, found, query.urgent) for query, found in _readable(saved, own))


class SavedQueries:
    """The saved queries, ready to be matched with many batches."""

    def __init__(self, own_accounts: Sequence[str], saved: Sequence[SavedQuery] = ()) -> None:
        self._own_accounts = own_accounts
        self._saved: Sequence[SavedQuery] = ()
        self._matcher: Matcher[int] | None = None
        self.use(saved)

    def use(self, saved: Sequence[SavedQuery]) -> frozenset[int]:
        """These from now on. Returns the ids of those that are not as they were: new, changed or gone."""
        if saved == self._saved:
            return frozenset()
        changed = frozenset(query.id for query in {*saved} ^ {*self._saved})
        from listener.query import Matcher

        self._matcher = Matcher({query.id: found for query, found in _readable(saved, self._own_accounts)})
        self._saved = saved
        return changed

    def match(self, scored: Sequence[ScoredMention]) -> list[tuple[int, ...]]:
        """For each mention the ids of the queries that it matches, all in one pass."""
        return [()] * len(scored) if self._matcher is None else self._matcher.match(scored)


def _readable(saved: Iterable[SavedQuery], own: Sequence[str]) -> Iterable[tuple[SavedQuery, Query]]:
    """Those that can be read: the language may have grown stricter since one was saved, which stops no other."""
    for query in saved:
        try:
            yield query, read_query(query, own)
        except BadInput:
            log.warning("saved_query_not_read", query=query.id)
