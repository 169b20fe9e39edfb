"""How our sources travel over HTTP: one deadline for a whole exchange, a cap on what comes back, no sleeping and no second try.

The networks' own libraries wait and repeat on their own. A repeated post is a double, and a wait nobody planned blocks a worker, so a
`Wire` answers in their place as soon as trying again would be wrong. What to do next is the caller's decision, with `retry_at` in hand.
"""

from __future__ import annotations

import io
import logging
import math
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from threading import Timer
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import urllib3
from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectTimeout, InvalidURL, ProxyError, RequestException, SSLError
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError, NewConnectionError
from urllib3.util.connection import create_connection

from earshot.errors import SourceConfused, SourceRefused, SourceUnavailable
from listener.fetch import is_public, resolve

CONNECT_SECONDS = 5.0
DEADLINE_SECONDS = 30.0
MOST_BYTES = 32 * 2**20
#: A network that asks for a longer pause is asked again after this one.
LONGEST_PAUSE = timedelta(days=1)
#: More seconds than a pause has: they count from 1970.
_BILLION = 1e9
#: prawcore sleeps inside a call when it sees these; we wait outside.
_SLEEPING_PILLS = ("x-ratelimit-remaining", "x-ratelimit-used", "x-ratelimit-reset")


class NoAnswer(SourceUnavailable):
    """The request went out and nothing usable came back: what it asked for may have happened."""


class Denied(SourceRefused):
    """401 or 403. `answer` is what the network said, for the source to read."""

    def __init__(self, message: str, answer: Response) -> None:
        super().__init__(message)
        self.answer = answer


class TooMuch(SourceConfused):
    """More bytes than we care to unpack."""


class _Punctual(HTTPConnection):
    """A connection whose read timeout bounds the whole head of an answer, not each byte of it."""

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # urllib3 narrows http.client's answer too
        with alarm(self.timeout, self.sock.shutdown, socket.SHUT_RDWR):
            return super().getresponse()


class _PunctualTLS(_Punctual, HTTPSConnection):
    pass


class _Public(_Punctual):
    """A connection that opens only to addresses on the public internet, to the very ones that were checked."""

    def _new_conn(self) -> socket.socket:
        failure: OSError | None = None
        try:
            addresses = list(dict.fromkeys(resolve(self.host, self.port)))
            if not all(map(is_public, addresses)):
                raise SourceRefused(
                    f"{self.host!r} leads to a private address, where we do not go for a stranger; "
                    "if the server is your own, set allow_private = true for this source"
                )
            for address in addresses:
                try:
                    return create_connection((address, self.port), self.timeout, socket_options=self.socket_options)
                except OSError as err:
                    failure = err
        except (OSError, UnicodeError) as err:
            raise NewConnectionError(self, "the name is not known") from err
        if isinstance(failure, TimeoutError):
            raise ConnectTimeoutError(self, "no connection in time") from failure
        raise NewConnectionError(self, "no connection") from failure


class _PublicTLS(_Public, HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Punctual


class _PoolTLS(urllib3.HTTPSConnectionPool):
    ConnectionCls = _PunctualTLS


class _PublicPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Public


class _PublicPoolTLS(urllib3.HTTPSConnectionPool):
    ConnectionCls = _PublicTLS


class Wire(HTTPAdapter):
    """Mount it on a `requests.Session`; or let `session` do that.

    `to` is another address of the network's API, for libraries that know only the public one. `only_public` keeps to the public internet,
    for servers that a stranger runs. Raises `SourceUnavailable` where the request surely had no effect, `NoAnswer` where it may have had,
    `Denied` on 401 and 403, `TooMuch` for an answer beyond `MOST_BYTES`; every other answer goes back to the library.
    """

    def __init__(self, *, name: str, to: str = "", deadline: float = DEADLINE_SECONDS, only_public: bool = False) -> None:
        self.name = name
        self.only_public = only_public
        self.to = to.rstrip("/")
        self.deadline = deadline
        self._shut: dict[str, datetime] = {}  # path, "" for all of them -> when its next window opens
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        pools = (_PublicPool, _PublicPoolTLS) if self.only_public else (_Pool, _PoolTLS)
        self.poolmanager.pool_classes_by_scheme = dict(zip(("http", "https"), pools, strict=True))

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        path = urlsplit(request.url or "").path
        self._wait_for_the_window(path)
        started = monotonic()
        self._readdress(request)
        kwargs |= {"stream": True, "timeout": (min(CONNECT_SECONDS, self.deadline), self.deadline)}
        try:
            response = super().send(request, *args, **kwargs)
            with response, alarm(self.deadline - (monotonic() - started), response.raw.shutdown):
                body = self._read(response.raw)
        except (RequestException, HTTPError, OSError, ValueError) as err:
            raise self._trouble(err, late=monotonic() - started >= self.deadline) from err
        if monotonic() - started >= self.deadline:  # cut inside the head, an answer looks whole
            raise self._trouble(TimeoutError(), late=True)
        self._note_the_window(path, response)
        return self._judge(_whole(response, body))

    def _readdress(self, request: PreparedRequest) -> None:
        if self.to and request.url:
            there = urlsplit(request.url)
            request.url = self.to + there.path + (f"?{there.query}" if there.query else "")

    def _wait_for_the_window(self, path: str) -> None:
        now = datetime.now(UTC)
        opens = max(self._shut.get("", now), self._shut.get(path, now))
        if opens > now:
            raise SourceUnavailable(f"{self.name}: this window's calls are used up; waiting for the next", retry_at=opens)

    def _read(self, raw: urllib3.HTTPResponse) -> bytes:
        body = bytearray()
        while chunk := raw.read1(2**16, decode_content=True):
            body += chunk
            if len(body) > MOST_BYTES:
                raise TooMuch(f"{self.name}: the answer is larger than {MOST_BYTES >> 20} MiB unpacked; it was thrown away")
        return bytes(body)

    def _trouble(self, err: Exception, *, late: bool) -> Exception:
        if isinstance(err, SSLError):
            return SourceRefused(f"{self.name}: the server's certificate is not valid for that address; check url of the source")
        if isinstance(err, InvalidURL):
            return SourceRefused(f"{self.name}: url of the source is no address; write it as https://host")
        if _never_left(err):
            return SourceUnavailable(f"{self.name}: cannot be reached; will be tried again")
        if late or isinstance(err, TimeoutError):
            return NoAnswer(f"{self.name}: no whole answer within {self.deadline:g} s; will be tried again")
        return NoAnswer(f"{self.name}: the connection broke before the answer was whole; will be tried again")

    def _judge(self, response: Response) -> Response:
        status = response.status_code
        if status == 429:
            raise SourceUnavailable(
                f"{self.name}: too many calls (429); waiting as long as the network asks", retry_at=retry_at(response.headers)
            )
        if status >= 500:
            raise NoAnswer(f"{self.name}: trouble at the network ({status}); will be tried again", retry_at=retry_at(response.headers))
        if status in (401, 403):
            raise Denied(f"{self.name}: the network refuses us ({status})", response)
        for header in _SLEEPING_PILLS:
            response.headers.pop(header, None)
        return response

    def _note_the_window(self, path: str, response: Response) -> None:
        """X counts the calls of each of its addresses, the others all calls together."""
        for header, counted in (("x-ratelimit-remaining", ""), ("x-rate-limit-remaining", path)):
            if _is_used_up(response.headers.get(header)) and (opens := retry_at(response.headers)) is not None:
                self._shut[counted] = opens


def session(wire: Wire) -> Session:
    """A session on which every address travels by `wire`, and no redirect is followed: a key goes to the host it was meant for."""
    return equip(Session(), wire)


def equip(travels: Session, wire: Wire) -> Session:
    """Put `wire` under a session that a library made for itself. The libraries write keys and posts to the log on level DEBUG: no more."""
    for talkative in ("tweepy", "prawcore", "oauthlib", "requests_oauthlib", "urllib3"):
        logging.getLogger(talkative).setLevel(logging.INFO)
    travels.mount("https://", wire)
    travels.mount("http://", wire)
    travels.max_redirects = 0
    return travels


def retry_at(headers: Mapping[str, str]) -> datetime | None:
    """The first moment at which another call is allowed, or None where the network does not say it in a way that we can read.

    From Retry-After (seconds or a date), X's `x-rate-limit-reset` (seconds since 1970) or `x-ratelimit-reset` (Reddit: seconds from now;
    Mastodon: a date; GoToSocial: seconds since 1970), `ratelimit-reset` (Bluesky: seconds since 1970).
    """
    now = datetime.now(UTC)
    for name, read in _RESETS.items():
        if name in headers:
            with suppress(ValueError, OverflowError, OSError, TypeError):
                return min(max(read(headers[name], now), now), now + LONGEST_PAUSE)
    return None


def variable(source: str, secret: str) -> str:
    """The environment variable in which a person set this secret, for messages."""
    return f"EARSHOT_SECRET_{source}_{secret}".upper().replace("-", "_")


def clean(text: object) -> str:
    """Text that every database takes: no NUL, no half of a surrogate pair. Raises `TypeError` for anything but text."""
    if not isinstance(text, str):
        raise TypeError(f"text expected, not {type(text).__name__}")
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


@contextmanager
def alarm(seconds: float | None, ring: Callable[..., object], *args: object) -> Iterator[None]:
    def quietly() -> None:
        with suppress(OSError, ValueError):  # the answer came whole a moment ago
            ring(*args)

    timer = Timer(max(seconds or 0.0, 0.0), quietly)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _whole(response: Response, body: bytes) -> Response:
    """The same answer with its body in hand."""
    whole = Response()
    whole.status_code = response.status_code
    whole.reason = response.reason
    whole.url = response.url
    whole.request = response.request
    whole.encoding = response.encoding
    whole.headers.update(response.headers)
    whole.raw = io.BytesIO(body)
    return whole


def _never_left(err: Exception) -> bool:
    if isinstance(err, ConnectTimeout | ProxyError):
        return True
    reason = err.args[0] if err.args else None
    return isinstance(reason, MaxRetryError) and isinstance(reason.reason, NewConnectionError)


def _is_used_up(remaining: str | None) -> bool:
    try:
        return remaining is not None and float(remaining) < 1
    except ValueError:
        return False


def _after(value: str, now: datetime) -> datetime:
    seconds = float(value)
    if not math.isfinite(seconds):
        raise ValueError(value)
    return now + min(timedelta(seconds=seconds), LONGEST_PAUSE)


def _after_or_date(value: str, now: datetime) -> datetime:
    if value.strip().replace(".", "", 1).isdigit():
        return _after(value, now)
    date = parsedate_to_datetime(value)
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _after_or_moment(value: str, now: datetime) -> datetime:
    if "-" not in value[1:]:
        return _epoch(value, now) if float(value) > _BILLION else _after(value, now)
    date = datetime.fromisoformat(value.strip())
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _epoch(value: str, now: datetime) -> datetime:  # noqa: ARG001 - one shape for all three
    return datetime.fromtimestamp(float(value), UTC)


_RESETS: Mapping[str, Callable[[str, datetime], datetime]] = {
    "retry-after": _after_or_date,
    "x-rate-limit-reset": _epoch,
    "x-ratelimit-reset": _after_or_moment,
    "ratelimit-reset": _after_or_moment,
}
