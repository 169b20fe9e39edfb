"""A network's stream beside its polls: the stream brings posts at once, and nothing hangs on it.

Polls go on every `every` seconds as without a stream, and one more begins whenever a stream was opened, behind the opening: what was posted
while nobody listened is found by it. The cursor says which lines it follows and how far they were read. Where that is not so (a restart,
another worker, a page that was never kept), something may be missing, and a poll closes the hole before the stream is read on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import cycle
from threading import RLock, Timer
from time import monotonic
from typing import Any, Protocol

import orjson
import structlog

from earshot.errors import SourceConfused, SourceError, SourceRefused, SourceUnavailable
from earshot.settings import SourceSettings
from listener.line import Line
from listener.source import Page

log = structlog.get_logger(__name__)

STRETCH_SECONDS = 5.0  #: that one page listens where nothing comes
SETTLE_SECONDS = 0.1  #: so soon after its first message a page ends
MOST_MESSAGES = 200  #: of one page
#: so old a line is opened anew, and what the network knows of us with it
LONGEST_LINE = 3600.0
#: a line that held so long was a good one
STEADY_SECONDS = 30.0
#: a stream that nobody reads costs us, and the network: after so long it is left
IDLE_SECONDS = 60.0
#: seconds before the next try, doubled with each that fails
BROKEN_PAUSE, REFUSED_PAUSE, LONGEST_PAUSE = 1.0, 5.0, 320.0
#: of several lines each is listened to for so long
_TURN_SECONDS = 0.1


class Poll(Protocol):
    """A source's own `fetch` without its stream, for so many reads; None: any number."""

    def __call__(self, cursor: str | None, /, *, now: datetime, reads: int | None) -> Page: ...


class Stream(Protocol):
    """What a network's own source does for `Live`. Both raise as `Source.fetch` does."""

    def open(self) -> Sequence[Line]:
        """Its lines, at least one, from now on; those that were opened are closed where one cannot be."""
        ...

    def read(self, messages: Sequence[bytes]) -> Page:
        """What these messages say. The page's cursor says nothing. Raises `SourceConfused` where none of them can be read."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """`poll` is the cursor of the polls. Everything was heard of `line` up to its message `taken`, if polls reached behind its opening."""

    poll: str | None = None
    polling: bool = False  #: a poll is under way
    polled: float | None = None  #: when the last poll ended, in seconds since 1970
    line: str = ""
    taken: int = 0

    @classmethod
    def load(cls, cursor: str | None, name: str) -> _Mark:
        """A cursor of polls alone, from before the stream was switched on, is where the first poll begins."""
        stored = _stored(cursor)
        if stored is None:
            return cls(poll=cursor)
        try:
            poll, polled = stored["poll"], stored["polled"]
            return cls(
                poll=None if poll is None else str(poll),
                polling=bool(stored["polling"]),
                polled=None if polled is None else float(polled),
                line=str(stored["line"]),
                taken=int(stored["taken"]),
            )
        except (ValueError, TypeError, KeyError) as err:
            raise SourceConfused(f"{name}: the stored cursor is not one of ours; delete it to begin again") from err

    def dump(self) -> str:
        return orjson.dumps(asdict(self)).decode()

    def is_due(self, now: datetime, every: float) -> bool:
        return self.polled is None or not 0 <= now.timestamp() - self.polled < every


class Live:
    """Fetches as a source does, within so many reads, beside `poll`.

    Where there is no stream just now, polls go on, and their pages say why. A stream that is refused is `SourceRefused`.
    """

    def __init__(self, settings: SourceSettings, *, poll: Poll, stream: Stream, deadline: float) -> None:
        self._name = settings.name
        self._every = settings.every
        self._poll = poll
        self._stream = stream
        self._deadline = deadline
        self._lines: Sequence[Line] = ()
        self._opened_at = self._next_try = 0.0
        self._taken = self._failures = 0
        self._trouble: SourceError | None = None
        self._is_in_use = RLock()
        self._idle: Timer | None = None

    def fetch(self, cursor: str | None, *, now: datetime, reads: int | None = None) -> Page:
        mark = _Mark.load(cursor, self._name)
        with self._is_in_use:
            try:
                return self._fetch(mark, now, reads)
            finally:
                self._wait_for_the_next()

    def close(self) -> None:
        with self._is_in_use:
            self._hang_up()
            self._wait_for_the_next()
        self._stream.close()

    def _fetch(self, mark: _Mark, now: datetime, reads: int | None) -> Page:
        self._connect()
        is_whole = (mark.line, mark.taken) == (self._key, self._taken)
        if mark.polling or mark.is_due(now, self._every) or not is_whole:
            return self._go_on_polling(mark, now, reads)
        if not self._lines:
            return self._without_stream(mark, Page(mentions=(), cursor=None))
        return self._listen(mark, MOST_MESSAGES if reads is None else min(reads, MOST_MESSAGES))

    def _wait_for_the_next(self) -> None:
        """Leave the stream when the next call does not come."""
        if self._idle is not None:
            self._idle.cancel()
        self._idle = Timer(IDLE_SECONDS, self._leave) if self._lines else None
        if self._idle is not None:
            self._idle.daemon = True
            self._idle.start()

    def _leave(self) -> None:
        with self._is_in_use:
            self._hang_up()

    @property
    def _key(self) -> str:
        return self._lines[0].key if self._lines else ""

    def _hang_up(self) -> None:
        for line in self._lines:
            line.close()
        self._lines, self._taken = (), 0

    def _connect(self) -> None:
        if self._lines and monotonic() - self._opened_at > LONGEST_LINE:
            self._hang_up()
        if self._lines or monotonic() < self._next_try:
            return
        try:
            self._lines = self._stream.open()
        except SourceRefused:
            raise
        except SourceError as err:
            self._give_up(err, REFUSED_PAUSE)
        else:
            self._opened_at, self._taken, self._trouble = monotonic(), 0, None

    def _go_on_polling(self, mark: _Mark, now: datetime, reads: int | None) -> Page:
        begun = mark if mark.polling else replace(mark, line=self._key, taken=self._taken)
        page = self._poll(mark.poll, now=now, reads=reads)
        polled = mark.polled if page.more else now.timestamp()
        following = replace(begun, poll=page.cursor, polling=page.more, polled=polled)
        if page.more or self._lines:
            return replace(page, cursor=following.dump(), more=True, again=0.0)
        return self._without_stream(following, page)

    def _listen(self, mark: _Mark, most: int) -> Page:
        """What comes in a stretch. When the lines break, or cannot be understood, the cursor follows none of them any more."""
        messages = self._take(most)
        heard = Page(mentions=(), cursor=None)
        try:
            heard = self._stream.read(messages) if messages else heard
        except SourceError as err:
            self._give_up(err, BROKEN_PAUSE)
        if broken := next((line.over for line in self._lines if line.over), ""):
            self._give_up(SourceUnavailable(f"{self._name}: the stream broke: {broken}; will be opened again"), BROKEN_PAUSE)
        following = replace(mark, line=self._key, taken=self._taken)
        return replace(heard, cursor=following.dump(), more=following != mark, again=0.0)

    def _take(self, most: int) -> list[bytes]:
        messages: list[bytes] = []
        until = monotonic() + min(STRETCH_SECONDS, self._deadline)
        for line in cycle(self._lines):
            left = until - monotonic()
            if left <= 0 or len(messages) >= most or any(line.over for line in self._lines):
                break
            new = line.take(most - len(messages), seconds=left if len(self._lines) == 1 else min(left, _TURN_SECONDS))
            messages += new
            if new:
                until = min(until, monotonic() + SETTLE_SECONDS * len(self._lines))
        self._taken += len(messages)
        return messages

    def _give_up(self, err: SourceError, pause: float) -> None:
        """Close what is open, and wait: not at all the first time, unless nothing was open."""
        was_open = bool(self._lines)
        is_steady = was_open and monotonic() - self._opened_at > STEADY_SECONDS
        self._failures = 1 if is_steady else self._failures + 1
        wait = 0.0 if was_open and self._failures == 1 else min(pause * 2 ** min(self._failures - 1, 10), LONGEST_PAUSE)
        if isinstance(err, SourceUnavailable) and err.retry_at is not None:
            wait = max(wait, (err.retry_at - datetime.now(UTC)).total_seconds())
        self._hang_up()
        self._trouble, self._next_try = err, monotonic() + wait
        log.warning("stream_broke", source=self._name, error=type(err).__name__, wait=round(wait))

    def _without_stream(self, mark: _Mark, page: Page) -> Page:
        """The page, and what keeps us from the stream."""
        wait = min(max(self._next_try - monotonic(), 0.0), self._every)
        return replace(page, cursor=mark.dump(), again=wait, trouble=f"{self._trouble}; until then polls go on")


def poll_cursor(cursor: str | None) -> str | None:
    """The part of a cursor that belongs to the polls, for a source whose stream was switched off."""
    stored = _stored(cursor)
    return cursor if stored is None else stored.get("poll")


def _stored(cursor: str | None) -> dict[str, Any] | None:
    """A cursor of `Live`; None for any other."""
    try:
        stored = orjson.loads(cursor) if cursor else None
    except ValueError:
        return None
    return stored if isinstance(stored, dict) and "polling" in stored else None
