"""A WebSocket that is read for a while and then left: one deadline, a cap on what comes in, only addresses that were checked."""

from __future__ import annotations

import logging
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from time import monotonic
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI, PayloadTooBig, WebSocketException
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import CLOSED
from websockets.uri import parse_uri

from earshot import __version__
from earshot.errors import SourceConfused, SourceError, SourceRefused, SourceUnavailable
from listener.fetch import is_public, resolve
from listener.wire import CONNECT_SECONDS, MOST_BYTES, TooMuch, retry_at

_TOO_SOON = 429
_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


def read_stream(url: str, *, name: str, only_public: bool, deadline: float, quiet: float) -> Iterator[bytes]:
    """The messages of the stream at `url` (ws or wss), until the server ends it, says nothing for `quiet` seconds, or after `deadline`
    seconds in all. Whoever has enough closes the iterator.

    Raises `SourceUnavailable` (with `retry_at` where the server says when) while the stream has not begun, or when it breaks before its
    first message, `SourceRefused` on 401, 403, a wrong certificate or a private address, `SourceConfused` where no stream is, `TooMuch`.
    """
    logging.getLogger("websockets").setLevel(logging.INFO)  # on level DEBUG it writes posts to the log
    until = monotonic() + deadline
    try:
        protocol = ClientProtocol(parse_uri(url), max_size=MOST_BYTES, extensions=[ClientPerMessageDeflateFactory()])
    except InvalidURI as err:
        raise SourceRefused(f"{name}: url of the source is no address of a stream; write it as wss://host") from err
    with closing(connect(url, name=name, only_public=only_public, until=until)) as connection:
        yield from _Conversation(protocol, connection, name=name, until=until, quiet=quiet).messages()


class _Conversation:
    """Bytes that come and go on one connection; what they mean, the library knows."""

    def __init__(self, protocol: ClientProtocol, connection: socket.socket, *, name: str, until: float, quiet: float) -> None:
        self._protocol = protocol
        self._connection = connection
        self._name = name
        self._until = until
        self._quiet = quiet
        self._begun = False

    def messages(self) -> Iterator[bytes]:
        request = self._protocol.connect()
        request.headers["User-Agent"] = f"earshot/{__version__}"
        self._protocol.send_request(request)
        heard, pieces = False, []
        try:
            while self._listen():
                for event in self._protocol.events_received():
                    if isinstance(event, Response):
                        self._begun = True
                    elif isinstance(event, Frame) and event.opcode in _DATA:
                        pieces.append(event.data)
                        if event.fin:
                            yield b"".join(pieces)
                            heard, pieces = True, []
                self._check()
        except OSError as err:
            if not heard:
                raise self._unavailable("the stream broke before anything came") from err
        if not heard and self._protocol.state is CLOSED:
            raise self._unavailable("the stream ended before anything came")

    def _listen(self) -> bool:
        """Send what is to be sent and take in what comes. False: silence, or time is up."""
        for data in self._protocol.data_to_send():
            if data:
                self._connection.sendall(data)
        left = self._until - monotonic()
        if left <= 0 or self._protocol.state is CLOSED:
            return self._pause()
        self._connection.settimeout(min(left, self._quiet) if self._begun else left)
        try:
            data = self._connection.recv(2**16)
        except TimeoutError:
            return self._pause()
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        return True

    def _pause(self) -> bool:
        if not self._begun:
            raise self._unavailable("no stream began in time")
        return False

    def _check(self) -> None:
        """Raises what is wrong with the conversation, if anything is."""
        if (refusal := self._protocol.handshake_exc) is not None:
            raise self._refusal(refusal) from refusal
        wrong = self._protocol.parser_exc
        if isinstance(wrong, PayloadTooBig):
            raise TooMuch(f"{self._name}: a message of the stream is larger than {MOST_BYTES >> 20} MiB; it was thrown away") from wrong
        if isinstance(wrong, WebSocketException | ValueError):
            raise SourceConfused(f"{self._name}: the stream sends what is no WebSocket; check url of the source") from wrong

    def _refusal(self, err: Exception) -> SourceError:
        if not isinstance(err, InvalidStatus):
            if isinstance(err, InvalidHandshake) and not isinstance(err.__cause__, EOFError):
                return SourceConfused(f"{self._name}: there is no stream at url of the source")
            return self._unavailable("the connection broke before a stream began")
        status, headers = err.response.status_code, {key.lower(): value for key, value in err.response.headers.raw_items()}
        if status == _TOO_SOON or status >= 500:
            return SourceUnavailable(f"{self._name}: no stream just now ({status}); will be tried again", retry_at=retry_at(headers))
        if status in (401, 403):
            return SourceRefused(f"{self._name}: the network refuses us ({status}); check url of the source")
        return SourceConfused(f"{self._name}: there is no stream at url of the source ({status})")

    def _unavailable(self, why: str) -> SourceUnavailable:
        return SourceUnavailable(f"{self._name}: {why}; will be tried again")


def connect(url: str, *, name: str, only_public: bool, until: float) -> socket.socket:
    """A connection to an address of the host in `url` that was checked, with TLS for wss and https.

    Raises `SourceRefused` for a private address and a wrong certificate, `SourceUnavailable` where nobody answers. `until` is monotonic.
    """
    there = urlsplit(url)
    is_secret = there.scheme in ("wss", "https")
    host, port = there.hostname or "", there.port or (443 if is_secret else 80)
    try:
        plain = _open(host, port, name=name, only_public=only_public, until=until)
        if not is_secret:
            return plain
        try:
            return _trust().wrap_socket(plain, server_hostname=host)
        except OSError:
            plain.close()
            raise
    except ssl.SSLCertVerificationError as err:
        raise SourceRefused(f"{name}: the server's certificate is not valid for that address; check url of the source") from err
    except (OSError, UnicodeError) as err:
        raise SourceUnavailable(f"{name}: cannot be reached; will be tried again") from err


def _open(host: str, port: int, *, name: str, only_public: bool, until: float) -> socket.socket:
    addresses = list(dict.fromkeys(resolve(host, port)))
    if only_public and not all(map(is_public, addresses)):
        raise SourceRefused(
            f"{name}: {host!r} leads to a private address, where we do not go for a stranger; "
            "if the server is your own, set allow_private = true for this source"
        )
    failure: OSError = ConnectionError("the name has no address")
    for address in addresses:
        try:
            connection = socket.create_connection((address, port), max(min(CONNECT_SECONDS, until - monotonic()), 0.01))
        except OSError as err:
            failure = err
        else:
            connection.settimeout(max(until - monotonic(), 0.01))
            return connection
    raise failure


def _trust() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or None)
