"""An answer over HTTP that has no end, read a stretch at a time: an address that was checked, caps on what comes in, and no thread."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import h11
import structlog

from earshot import __version__
from earshot.errors import SourceConfused, SourceError, SourceRefused, SourceUnavailable
from listener.stream import connect
from listener.wire import clean, retry_at

log = structlog.get_logger(__name__)

#: a message that is larger is thrown away
MOST_OF_A_MESSAGE = 2**20
#: X says something every 20 seconds at least, Mastodon every 15: after so long nobody is there any more
QUIET_SECONDS = 40.0
_MOST_OF_A_HEAD = _MOST_OF_A_REFUSAL = 2**16
#: what a network asks for that answers 429 and says no more
_TOO_SOON = timedelta(seconds=60)
#: comments of server-sent events, by which a silent server shows that it is there
_COMMENTS = re.compile(rb"(?:[\r\n]+|:[^\n]*\n)+")


class Line:
    """Open when it is made. `key` is its name, which no other has; `over` says why nothing comes any more, "" while it is open.

    Messages end with `ends`. Raises `SourceUnavailable` (with `retry_at`) for 429, 5xx and a server that is not there, `SourceRefused` on
    401, 403, a wrong certificate or a private address, `SourceConfused` where no stream is.
    """

    def __init__(self, url: str, *, headers: Mapping[str, str], ends: bytes, name: str, only_public: bool, deadline: float) -> None:
        self.key = uuid.uuid4().hex
        self.over = ""
        self._name = name
        self._ends = ends
        self._waiting: list[bytes] = []
        self._rest = bytearray()
        self._is_too_large = False
        self._protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MOST_OF_A_HEAD)
        until = monotonic() + deadline
        self._connection = connect(url, name=name, only_public=only_public, until=until)
        self._heard_at = self._begun_at = monotonic()
        try:
            self._begin(url, headers, until)
        except BaseException:
            self._connection.close()
            raise

    def take(self, most: int, *, seconds: float) -> list[bytes]:
        """Up to so many whole messages that are there, or else those that come first within so many seconds."""
        until = monotonic() + seconds
        while not self._waiting and not self.over and (left := until - monotonic()) > 0:
            self._waiting = self._split(self._receive(left))
        if not self._waiting and not self.over and self._is_silent():
            self._end("nothing came for too long")
        taken, self._waiting = self._waiting[:most], self._waiting[most:]
        return taken

    def close(self) -> None:
        self._end("closed")

    def _begin(self, url: str, headers: Mapping[str, str], until: float) -> None:
        there = urlsplit(url)
        target = (there.path or "/") + (f"?{there.query}" if there.query else "")
        ours = {"host": there.netloc.rpartition("@")[2], "user-agent": f"earshot/{__version__}", "accept-encoding": "identity"}
        request = self._protocol.send(h11.Request(method="GET", target=target, headers=list((ours | dict(headers)).items())))
        try:
            self._connection.sendall((request or b"") + (self._protocol.send(h11.EndOfMessage()) or b""))
            head = self._head(until)
            if head.status_code != 200:
                raise self._refusal(head, self._body(until))
        except (OSError, h11.RemoteProtocolError) as err:
            raise SourceUnavailable(f"{self._name}: the connection broke before a stream began; will be tried again") from err

    def _head(self, until: float) -> h11.Response:
        while not isinstance(event := self._event(until), h11.Response):
            if isinstance(event, h11.ConnectionClosed | h11.EndOfMessage):
                raise ConnectionError("no answer")
        return event

    def _body(self, until: float) -> bytes:
        body = bytearray()
        while len(body) < _MOST_OF_A_REFUSAL and isinstance(event := self._event(until), h11.Data):
            body += event.data
        return bytes(body)

    def _event(self, until: float) -> Any:
        """What the server says next, before the stream has begun."""
        while (event := self._protocol.next_event()) is h11.NEED_DATA:
            left = until - monotonic()
            if left <= 0:
                raise TimeoutError("no stream began in time")
            self._connection.settimeout(left)
            self._protocol.receive_data(self._connection.recv(2**16))
        return event

    def _receive(self, seconds: float) -> bytes:
        """A piece of the stream; nothing where none comes in time, or no more at all."""
        try:
            event = self._protocol.next_event()
            if event is h11.NEED_DATA:
                self._connection.settimeout(max(seconds, 0.001))
                self._protocol.receive_data(self._connection.recv(2**16))
                self._heard_at = monotonic()
                event = self._protocol.next_event()
        except TimeoutError:
            return b""
        except (OSError, h11.RemoteProtocolError) as err:
            self._end(f"it broke ({type(err).__name__})")
            return b""
        if isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            self._end("the network ended it")
        return bytes(event.data) if isinstance(event, h11.Data) else b""

    def _split(self, data: bytes) -> list[bytes]:
        if not data:
            return []
        if not self._rest:
            self._begun_at = monotonic()
        self._rest += data
        if self._ends not in self._rest[-len(data) - len(self._ends) :]:
            self._forget_what_says_nothing()
            return []
        *whole, rest = bytes(self._rest).split(self._ends)
        self._rest, self._begun_at = bytearray(rest), monotonic()
        if self._is_too_large:
            self._is_too_large = False
            whole = whole[1:]
        self._forget_what_says_nothing()
        return [message for piece in whole if (message := piece[_said_from(piece) :].strip())]

    def _forget_what_says_nothing(self) -> None:
        del self._rest[: _said_from(bytes(self._rest))]
        if len(self._rest) > MOST_OF_A_MESSAGE:
            if not self._is_too_large:
                log.warning("post_skipped", source=self._name, native_id="", why="TooMuch")
            self._is_too_large = True
            self._rest.clear()

    def _is_silent(self) -> bool:
        """Nothing came for too long, or a message that was begun does not end."""
        now = monotonic()
        return now - self._heard_at > QUIET_SECONDS or (bool(self._rest) and now - self._begun_at > QUIET_SECONDS)

    def _end(self, why: str) -> None:
        self.over = self.over or why
        self._connection.close()

    def _refusal(self, head: h11.Response, body: bytes) -> SourceError:
        status = head.status_code
        told = f"{status}: {words}" if (words := _words(body)) else str(status)
        if status == 429 or status >= 500:
            named = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in head.headers}
            again = retry_at(named) or (datetime.now(UTC) + _TOO_SOON if status == 429 else None)
            if _calls_left(named):  # another line of ours is in the way, or was until now: the window says nothing of that
                again = None
            return SourceUnavailable(f"{self._name}: no stream just now ({told}); will be tried again", retry_at=again)
        if status in (401, 403):
            return SourceRefused(f"{self._name}: the network refuses us its stream ({told}); get access to it, or take stream = true away")
        return SourceConfused(f"{self._name}: there is no stream at url of the source ({told})")


def _said_from(piece: bytes) -> int:
    """Where the first byte stands that says something."""
    found = _COMMENTS.match(piece)
    return found.end() if found else 0


def _calls_left(headers: Mapping[str, str]) -> bool:
    """Whether the network says that this window's calls are not used up."""
    left = headers.get("x-rate-limit-remaining", "0")
    return left.isascii() and left.isdigit() and int(left) > 0


def _words(body: bytes) -> str:
    """What the network says is wrong, in one short line."""
    try:
        said = json.loads(body)
        words = next((said[name] for name in ("detail", "error", "title") if isinstance(said.get(name), str)), "")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return " ".join(clean(words).split())[:200]
