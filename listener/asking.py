"""A source that is asked with a query of ours (`listener.query`): every network in its own words, and what comes back checked here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

import orjson

from earshot.errors import BadInput, ConfigurationError, SourceConfused
from earshot.settings import SourceSettings
from listener.query import DIALECTS, Matcher, Query, compile_for, read
from listener.source import Metered, Page, Posted, Source, Sweeps, fetch_within

#: characters of a search that a source puts around it, beside our own handle twice
_AROUND = 24


class AskingSource:
    """Asks one network for `settings.wanted`, by as many searches as it takes, in turn, and lets through what matches.

    `settings.query` stays as it is: the address of a feed, the places of Reddit, or words that narrow each search further. A network
    without a search gives all that it has, and what does not match is dropped here. Deletions, gaps and costs pass through.
    """

    def __init__(self, settings: SourceSettings, make: Callable[[SourceSettings], Source]) -> None:
        """`make` gives the network's own source. Raises `ConfigurationError` for a query that cannot be read, or that the network cannot
        search for.
        """
        try:
            query = read(settings.wanted)
            searches = _searches(settings, query)
        except BadInput as err:
            raise ConfigurationError(f"source {settings.name!r}, wanted: {err}") from err
        if not searches:
            raise ConfigurationError(f"source {settings.name!r}, wanted: its network: leaves {settings.network} out; take the source away")
        self._matcher = Matcher({True: query})
        self._sources = {_name_of(search): make(settings.model_copy(update={"wanted": "", "query": search})) for search in searches}
        first = next(iter(self._sources.values()))
        self.network, self.keys_from = first.network, first.keys_from
        self._first = first
        if isinstance(first, Sweeps):
            self.looks, self.gone = first.looks, first.gone
        self.least_reads = first.least_reads if isinstance(first, Metered) else 1

    def fetch(self, cursor: str | None, *, now: datetime) -> Page:
        """The next page of the search whose turn it is. The cursor holds those of all searches; one that is new begins at its beginning."""
        return self._fetch(cursor, lambda source, own: source.fetch(own, now=now))

    def fetch_within(self, cursor: str | None, *, now: datetime, reads: int) -> Page:
        """`fetch`, within so many reads where the network's own source can keep to them."""
        return self._fetch(cursor, lambda source, own: fetch_within(source, own, now=now, reads=reads))

    def _fetch(self, cursor: str | None, ask: Callable[[Source, str | None], Page]) -> Page:
        cursors, turn = _read_cursor(cursor)
        names = list(self._sources)
        turn = turn if turn in self._sources else names[0]
        page = ask(self._sources[turn], cursors.get(turn))
        following = turn if page.more else names[(names.index(turn) + 1) % len(names)]
        known = {name: cursors.get(name) for name in names} | {turn: page.cursor}
        fits = self._matcher.match(page.mentions)
        return replace(
            page,
            mentions=tuple(mention for mention, found in zip(page.mentions, fits, strict=True) if found),
            cursor=orjson.dumps({"searches": known, "turn": following}).decode(),
            more=page.more or following != names[0],
        )

    def reply(self, parent_id: str, text: str, *, key: str) -> Posted:
        return self._first.reply(parent_id, text, key=key)

    def find_reply(self, parent_id: str, text: str) -> Posted | None:
        return self._first.find_reply(parent_id, text)

    def close(self) -> None:
        for source in self._sources.values():
            source.close()


def _searches(settings: SourceSettings, query: Query) -> list[str]:
    if settings.network not in DIALECTS:
        return [settings.query]
    reserve = len(settings.query) + 2 * len(settings.account) + _AROUND
    return [f"{settings.query} {search}".strip() for search in compile_for(query, settings.network, reserve=reserve)]


def _name_of(search: str) -> str:
    """Short, and the same for the same search: cursors hold it."""
    return hashlib.sha256(search.encode()).hexdigest()[:12]


def _read_cursor(cursor: str | None) -> tuple[Mapping[str, str | None], str]:
    if cursor is None:
        return {}, ""
    try:
        before = orjson.loads(cursor)
        return {str(name): one if one is None else str(one) for name, one in before["searches"].items()}, str(before["turn"])
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as err:
        raise SourceConfused("the cursor is not one of a source with `wanted`: delete it, and the source begins anew") from err
