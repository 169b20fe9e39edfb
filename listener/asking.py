"""A source that is asked with queries of ours (`listener.query`): every network in its own words, and what comes back checked here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import orjson
import structlog

from earshot.errors import BadInput, ConfigurationError, SourceConfused
from earshot.mention import Mention
from earshot.settings import SourceSettings
from listener.query import DIALECTS, Matcher, Query, compile_for, read
from listener.source import Asked, LooksBack, Metered, Page, Posted, Receives, Source, Streams, Sweeps, Threads, fetch_within

log = structlog.get_logger()

#: characters of a search that a source puts around it, beside our own handle twice
_AROUND = 24


class AskingSource:
    """Asks one network for `settings.wanted` and for further queries, by as many searches as it takes, in turn, and lets through what
    matches one of them.

    With `wanted`, `settings.query` stays as it is: the address of a feed, the places of Reddit, or words that narrow each search further.
    Without it, `query` is a search of its own, which lets through all that it finds. Each query has searches of its own: when another one
    comes or goes, theirs go on where they were. A network without a search gives all that it has, and what does not match is dropped here.
    Deletions, gaps and costs pass through. With a stream, its own search has it, and the others are asked every `every` seconds.
    """

    def __init__(self, settings: SourceSettings, make: Callable[[SourceSettings], Source], also: Sequence[Asked] = ()) -> None:
        """`make` gives the network's own source. Raises `ConfigurationError` for a `wanted` that cannot be read, or that the network cannot
        search for, and where nothing is left to ask for.
        """
        self._settings, self._make = settings, make
        self._wanted, self._own = _wanted(settings)
        if settings.stream and len(self._own) > 1:
            raise ConfigurationError(
                f"source {settings.name!r}, wanted: it takes {len(self._own)} searches on {settings.network}, where a key has one stream; "
                "make it shorter, or take stream = true away"
            )
        self._sources: dict[str, Source] = {}
        self.listen_for(also)
        #: answers and looks after posts: it stays, whatever is asked for
        self._voice = voice = next(iter(self._sources.values()))
        self.network, self.keys_from = voice.network, voice.keys_from
        if isinstance(voice, Sweeps):
            self.looks, self.gone = voice.looks, voice.gone
        if isinstance(voice, Threads):
            self.around, self.most_around = voice.around, voice.most_around
        self.streams = isinstance(voice, Streams) and voice.streams
        if isinstance(voice, Receives):
            self.receive = lambda headers, body, *, now: self._matching(voice.receive(headers, body, now=now))
        if isinstance(voice, LooksBack):
            self.back_to = self._back_to
        self.least_reads = voice.least_reads if isinstance(voice, Metered) else 1

    def listen_for(self, also: Sequence[Asked]) -> None:
        """Ask for these from now on, besides its own. Those that the network cannot search for are noted in the log and left out."""
        searches = self._searches(also)
        sources = {name: made for name, search in searches.items() if (made := self._source(name, search, alone=len(searches) == 1))}
        if not sources:
            raise ConfigurationError(f"source {self._settings.name!r}: none of its queries can be asked of {self._settings.network}")
        for name, dropped in self._sources.items():
            if name not in sources and dropped is not self._voice:
                dropped.close()
        self._sources = sources
        queries = [each.query for each in also] + ([] if self._wanted is None else [self._wanted])
        self._matcher = Matcher(dict(enumerate(queries)))

    def _searches(self, also: Sequence[Asked]) -> dict[str, str | None]:
        """Name -> search; None: its own query as it stands. Urgent ones are asked first."""
        urgent = self._words_of(each for each in also if each.is_urgent)
        others = self._words_of(each for each in also if not each.is_urgent)
        own: Sequence[str | None] = [None] if self._wanted is None else self._own
        in_turn = (*own, *urgent, *others) if self._settings.stream else (*urgent, *own, *others)
        return {_name_of(self._settings.query if search is None else search): search for search in in_turn}

    def _source(self, name: str, search: str | None, *, alone: bool) -> Source | None:
        """What asks for it, as it is or made anew; None where the network takes no question but those of the queries."""
        try:
            return self._sources.get(name) or self._made(search)
        except ConfigurationError:
            if search is None and not alone:
                return None
            raise

    def _words_of(self, also: Iterable[Asked]) -> list[str]:
        searches: list[str] = []
        for each in also if self._settings.network in DIALECTS else ():
            try:
                searches += searches_for(self._settings, each.query)
            except BadInput:
                log.warning("query_not_asked", source=self._settings.name, query=each.name)
        return searches

    def _made(self, search: str | None) -> Source:
        is_own = search is None or search in self._own
        changes = {"wanted": "", "query": self._settings.query if search is None else search, "stream": self._settings.stream and is_own}
        return self._make(self._settings.model_copy(update=changes))

    def fetch(self, cursor: str | None, *, now: datetime) -> Page:
        """The next page of the search whose turn it is. The cursor holds those of all searches; one that is new begins at its beginning."""
        return self._fetch(cursor, lambda source, own: source.fetch(own, now=now), now)

    def fetch_within(self, cursor: str | None, *, now: datetime, reads: int) -> Page:
        """`fetch`, within so many reads where the network's own source can keep to them."""
        return self._fetch(cursor, lambda source, own: fetch_within(source, own, now=now, reads=reads), now)

    def _back_to(self, since: datetime) -> str:
        cursors = {name: source.back_to(since) for name, source in self._sources.items() if isinstance(source, LooksBack)}
        whole = self._whole
        return cursors[whole] if whole is not None and list(cursors) == [whole] else _dumped(cursors, turn="", rested=0.0)

    def _fetch(self, cursor: str | None, ask: Callable[[Source, str | None], Page], now: datetime) -> Page:
        cursors, turn, rested = self._read_cursor(cursor)
        names = list(self._sources)
        turn = turn if turn in self._sources else names[0]
        page = ask(self._sources[turn], cursors.get(turn))
        if names == [self._whole]:
            return page
        following = turn if page.more or self._stays(page, rested, now) else names[(names.index(turn) + 1) % len(names)]
        if following == names[0] != turn:
            rested = now.timestamp()
            page = replace(page, again=0.0 if self._settings.stream else None)
        known = {name: cursors.get(name) for name in names} | {turn: page.cursor}
        return replace(
            page,
            mentions=page.mentions if turn == self._whole else self._matching(page.mentions),
            cursor=_dumped(known, turn=following, rested=rested),
            more=page.more or following != names[0],
        )

    def _stays(self, page: Page, rested: float, now: datetime) -> bool:
        """Whether a stream goes on while the other searches rest."""
        return page.again is not None and 0 <= now.timestamp() - rested < self._settings.every

    @property
    def _whole(self) -> str | None:
        """The name of the search that lets everything through, where there is one."""
        return None if self._wanted is not None else _name_of(self._settings.query)

    def _matching(self, mentions: Sequence[Mention]) -> tuple[Mention, ...]:
        return tuple(mention for mention, found in zip(mentions, self._matcher.match(mentions), strict=True) if found)

    def _read_cursor(self, cursor: str | None) -> tuple[Mapping[str, str | None], str, float]:
        """(the cursor of each search, whose turn it is, when the last of them was read)"""
        if cursor is None:
            return {}, "", 0.0
        try:
            before = orjson.loads(cursor)
            return (
                {str(name): one if one is None else str(one) for name, one in before["searches"].items()},
                str(before["turn"]),
                float(before.get("rested", 0.0)),
            )
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as err:
            if self._whole is not None:  # of the source alone, before anything else was asked of it
                return {self._whole: cursor}, "", 0.0
            raise SourceConfused("the cursor is not one of a source with `wanted`: delete it, and the source begins anew") from err

    def reply(self, parent_id: str, text: str, *, key: str) -> Posted:
        return self._voice.reply(parent_id, text, key=key)

    def find_reply(self, parent_id: str, text: str) -> Posted | None:
        return self._voice.find_reply(parent_id, text)

    def close(self) -> None:
        for source in {id(each): each for each in (self._voice, *self._sources.values())}.values():
            source.close()


def _dumped(cursors: Mapping[str, str | None], *, turn: str, rested: float) -> str:
    return orjson.dumps({"searches": cursors, "turn": turn, "rested": rested}).decode()


def _wanted(settings: SourceSettings) -> tuple[Query | None, list[str]]:
    """The query of the settings with its searches. Raises `ConfigurationError` naming the source."""
    if not settings.wanted:
        return None, []
    try:
        query = read(settings.wanted)
        searches = searches_for(settings, query)
    except BadInput as err:
        raise ConfigurationError(f"source {settings.name!r}, wanted: {err}") from err
    if not searches:
        raise ConfigurationError(f"source {settings.name!r}, wanted: its network: leaves {settings.network} out; take the source away")
    return query, searches


def searches_for(settings: SourceSettings, query: Query) -> list[str]:
    """What the source asks its network for this query; its own query where the network has no search. Raises as `compile_for` does."""
    if settings.network not in DIALECTS:
        return [settings.query]
    narrowed = settings.query if settings.wanted else ""
    reserve = len(narrowed) + 2 * len(settings.account) + _AROUND
    return [f"{narrowed} {search}".strip() for search in compile_for(query, settings.network, reserve=reserve)]


def _name_of(search: str) -> str:
    """Short, and the same for the same search: cursors hold it."""
    return hashlib.sha256(search.encode()).hexdigest()[:12]
