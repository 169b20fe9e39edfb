"""The one way out to addresses that a person, a feed or a post gave us.

Such an address may point into our own house, drip for hours, or unpack to ten gigabytes. `GuardedClient` therefore resolves each name once,
refuses the answer when any of its addresses is not public, and connects to the very address that it checked, after every redirect again.
"""

from __future__ import annotations

import email.utils
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpcore2
import httpx2

from earshot.errors import BadInput, SourceConfused, SourceError, SourceRefused, SourceUnavailable

MAX_BYTES = 32 * 2**20  #: of a document, after decompression
DEADLINE = 30.0  #: seconds for a whole document: connecting, redirects, headers and body together
MAX_REDIRECTS = 5
LONGEST_WAIT = timedelta(days=1)  #: a network that asks us to stay away for longer is asked again after a day

_FOREIGN_SAFE = frozenset({"accept", "user-agent", "if-none-match", "if-modified-since"})  #: headers that may follow to another host
_ENCODINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Resolve = Callable[[str, int], Iterable[str]]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A document: `status` is 2xx or 304, `url` is where the redirects led, names of `headers` are lower case."""

    status: int
    url: str
    headers: Mapping[str, str]
    body: bytes


def is_public(address: str) -> bool:
    """Whether `address` (an IP address in any notation that `ipaddress` reads) lies on the public internet.

    IPv4 that travels inside IPv6 (mapped, 6to4, Teredo, NAT64) is judged by what it carries.
    """
    ip: Address = ipaddress.ip_address(address)
    return all(one.is_global and not one.is_multicast for one in (ip, *_carried(ip)))


def _carried(ip: Address) -> Iterator[Address]:
    if isinstance(ip, ipaddress.IPv4Address):
        return
    for inner in (ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())):
        if inner is not None:
            yield inner
    if ip in _NAT64:
        yield ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)


def resolve(host: str, port: int) -> list[str]:
    """The addresses of `host`, as the system's resolver knows them. Raises `OSError` when there are none."""
    return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class GuardedClient:
    """Fetches documents; keeps no connection and no state between calls, so that threads may share it.

    `allow_private` lets a call reach the host that it names though its address is private (a server of your own); a redirect from there
    to another private host stays closed. `tls` replaces the system's trust store.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        deadline: float = DEADLINE,
        max_bytes: int = MAX_BYTES,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allow_private = allow_private
        self._deadline = deadline
        self._max_bytes = max_bytes
        self._resolve = resolve
        self._tls = tls or httpx2.create_ssl_context()

    def get(self, url: str, *, now: datetime, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None) -> Fetched:
        """Fetch `url`. Raises `BadInput` (an address we do not visit), `SourceUnavailable` (no answer in time, 429, 5xx; with `retry_at`),
        `SourceRefused` (401, 403, 410) and `SourceConfused` (any other answer that is not a document, or one that is too large).
        """
        address = _checked_url(url)
        if params:
            address = address.copy_merge_params(dict(params))
        shown = _shown(address)
        try:
            return self._follow(address, {"user-agent": "earshot", "accept": "*/*", **_lower(headers)}, now)
        except (httpx2.TimeoutException, httpcore2.TimeoutException) as err:
            raise SourceUnavailable(f"{shown} did not answer within {self._deadline:g} s") from err
        except (httpx2.DecodingError, httpcore2.ProtocolError, httpx2.ProtocolError) as err:
            raise SourceConfused(f"{shown} sent something that is not HTTP as we know it: {err}") from err
        except (httpx2.HTTPError, httpcore2.NetworkError, httpcore2.ConnectionNotAvailable, OSError) as err:
            if _has_wrong_certificate(err):
                raise SourceRefused(f"{shown} shows a certificate that is not valid for its name: check the address") from err
            raise SourceUnavailable(f"{shown} cannot be reached: {err}") from err

    def _follow(self, url: httpx2.URL, headers: dict[str, str], now: datetime) -> Fetched:
        guard = _Guard(
            self._resolve, trusted=url.raw_host.decode() if self._allow_private else None, until=time.monotonic() + self._deadline
        )
        with httpcore2.ConnectionPool(ssl_context=self._tls, network_backend=guard) as pool, _client(pool) as client:
            for _ in range(MAX_REDIRECTS + 1):
                with client.stream("GET", url, headers=headers | {"accept-encoding": "gzip, deflate"}) as answer:
                    if not answer.has_redirect_location:
                        return self._read(answer, now)
                    target = _checked_url(str(url.join(answer.headers["location"])))
                if target.origin != url.origin:
                    headers = {name: value for name, value in headers.items() if name in _FOREIGN_SAFE}
                url = target
        raise SourceConfused(f"{_shown(url)} redirects more than {MAX_REDIRECTS} times")

    def _read(self, answer: httpx2.Response, now: datetime) -> Fetched:
        if answer.status_code != 304 and not answer.is_success:
            raise _refusal(answer, now)
        if answer.headers.get("content-encoding", "").strip().lower() not in _ENCODINGS:
            raise SourceConfused(f"{_shown(answer.url)} is packed in a way we did not ask for: {answer.headers['content-encoding'][:40]!r}")
        body = bytearray()
        for piece in answer.iter_bytes():  # unpacked piece by piece, at most 1 MiB each: a bomb stops at the limit
            body += piece
            if len(body) > self._max_bytes:
                raise SourceConfused(f"{_shown(answer.url)} is larger than {self._max_bytes / 2**20:g} MiB")
        return Fetched(status=answer.status_code, url=str(answer.url), headers=dict(answer.headers), body=bytes(body))


class _Guard(httpcore2.NetworkBackend):
    """Opens connections for one call: only to addresses that were checked, and only until its deadline."""

    def __init__(self, resolve: Resolve, *, trusted: str | None, until: float) -> None:
        self._resolve = resolve
        self._trusted = trusted
        self._until = until
        self._backend = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        try:
            addresses = list(dict.fromkeys(self._resolve(host, port)))
        except (OSError, UnicodeError) as err:
            raise httpcore2.ConnectError(f"the name {host!r} is not known") from err
        if host != self._trusted and not all(is_public(address) for address in addresses):
            raise BadInput(
                f"{host!r} leads to a private address, where we do not go for a stranger; "
                "if the server is your own, set allow_private = true for this source"
            )
        failure: Exception = httpcore2.ConnectError(f"the name {host!r} has no address")
        for address in addresses:
            try:
                stream = self._backend.connect_tcp(address, port, self.left(timeout), local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as err:
                failure = err
            else:
                return _Timed(stream, self.left)
        raise failure

    def left(self, timeout: float | None) -> float:
        """Seconds that an operation may take: its own timeout, cut at the deadline of the call."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout("the deadline has passed")
        return left if timeout is None else min(left, timeout)


class _Timed(httpcore2.NetworkStream):
    """A connection on which every operation ends at the call's deadline, however slowly bytes drip in."""

    def __init__(self, stream: httpcore2.NetworkStream, left: Callable[[float | None], float]) -> None:
        self._stream = stream
        self._left = left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return _Timed(self._stream.start_tls(ssl_context, server_hostname, self._left(timeout)), self._left)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Transport(httpx2.BaseTransport):
    """Hands httpx2's requests to a pool of ours (httpx2's own transport takes no network backend)."""

    def __init__(self, pool: httpcore2.ConnectionPool) -> None:
        self._pool = pool

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        answer = self._pool.handle_request(
            httpcore2.Request(
                method=request.method,
                url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx2.Response(answer.status, headers=answer.headers, stream=_Body(answer), extensions=answer.extensions)


class _Body(httpx2.SyncByteStream):
    def __init__(self, answer: httpcore2.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


def _client(pool: httpcore2.ConnectionPool) -> httpx2.Client:
    return httpx2.Client(transport=_Transport(pool), trust_env=False, timeout=None)  # the guard keeps the deadline


def _has_wrong_certificate(err: BaseException | None) -> bool:
    while err is not None and not isinstance(err, ssl.SSLCertVerificationError):
        err = err.__cause__ or err.__context__
    return err is not None


def _checked_url(url: str) -> httpx2.URL:
    try:
        parsed = httpx2.URL(url.strip())
    except (httpx2.InvalidURL, UnicodeError) as err:
        raise BadInput(f"{url[:200]!r} is not an address: {err}") from err
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise BadInput(f"{_shown(parsed)!r} is not an address that we visit: write one that starts with https:// or http://")
    return parsed


def _shown(url: httpx2.URL) -> str:
    """What an error may say of an address: no credentials and no query, either may hold a secret."""
    return str(url.copy_with(userinfo=b"", query=None, fragment=None))[:200]


def _lower(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {name.lower(): value for name, value in (headers or {}).items()}


def _refusal(answer: httpx2.Response, now: datetime) -> SourceError:
    status, shown = answer.status_code, _shown(answer.url)
    if status in (408, 425, 429) or status >= 500:
        return SourceUnavailable(f"{shown} answered {status}", retry_at=_retry_at(answer.headers.get("retry-after", ""), now))
    if status in (401, 403, 410):
        return SourceRefused(f"{shown} answered {status}: look at its address and its key")
    return SourceConfused(f"{shown} answered {status}, not a document")


def _retry_at(header: str, now: datetime) -> datetime | None:
    """What Retry-After means, in seconds or as a date, never further away than `LONGEST_WAIT`."""
    header = header.strip()
    if header.isdecimal():
        return now + min(timedelta(seconds=min(int(header[:12]), 10**9)), LONGEST_WAIT)
    try:
        moment = email.utils.parsedate_to_datetime(header)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(moment, now), now + LONGEST_WAIT)
