"""How mail travels: IMAP and SMTP to addresses that were checked, under TLS, one deadline for a whole visit and a cap on what comes back.

`imap://` and `smtp://` change to TLS before anything is said (STARTTLS); `imaps://` and `smtps://` begin with it. Only a server in your own
house, which `allow_private` opens, may do without.
"""

from __future__ import annotations

import imaplib
import logging
import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from imapclient import IMAPClient
from imapclient.exceptions import LoginError

from earshot.errors import ConfigurationError, ReplyError, ReplyRefused, SourceConfused, SourceError, SourceRefused, SourceUnavailable
from earshot.settings import SourceSettings
from listener.fetch import is_public, resolve
from listener.json_api import UNREADABLE
from listener.wire import CONNECT_SECONDS, DEADLINE_SECONDS, MOST_BYTES, TooMuch, alarm, variable

#: what an SMTP server may say in one visit
_MOST_SAID = 2**20
_PORTS = {"imap": 143, "imaps": 993, "smtp": 587, "smtps": 465}
_SECRET = "password"  # noqa: S105 - the name of the secret
#: what a server says of a refusal that may pass: RFC 5530, and Gmail's own words
_LATER = ("[UNAVAILABLE]", "[INUSE]", "[LIMIT]", "[SERVERBUG]", "[THROTTLED]", "[OVERQUOTA]", "TOO MANY")
#: what imaplib says of answers that are none
_GARBLED = ("unexpected response", "unterminated line")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    scheme: str
    host: str
    port: int

    @property
    def begins_with_tls(self) -> bool:
        return self.scheme.endswith("s")


def servers(settings: SourceSettings) -> dict[str, Server]:
    """The servers that `settings.url` names, by "imap" and "smtp". Raises `ConfigurationError` for what names none."""
    found: dict[str, Server] = {}
    for address in settings.url.split():
        try:
            parts = urlsplit(address)
            server = Server(scheme=parts.scheme, host=parts.hostname or "", port=parts.port or _PORTS[parts.scheme])
        except (ValueError, KeyError) as err:
            raise ConfigurationError(_WRITE_URL.format(name=settings.name)) from err
        found[server.scheme.removesuffix("s")] = server
    if not all(server.host for server in found.values()) or "imap" not in found or (settings.replies and "smtp" not in found):
        raise ConfigurationError(_WRITE_URL.format(name=settings.name))
    return found


_WRITE_URL = (
    "source {name!r} needs the servers of its mailbox: set url, such as imaps://imap.example.com, "
    "and to answer a second one after a blank, smtps://smtp.example.com"
)


class MailWire:
    """Visits the servers of one mailbox, each visit by itself. `login` and `password` open both."""

    def __init__(self, settings: SourceSettings, *, login: str, password: str, deadline: float = DEADLINE_SECONDS) -> None:
        self._name = settings.name
        self._servers = servers(settings)
        self._allow_private = settings.allow_private
        self._login, self._password = login, password
        self._deadline = deadline

    @contextmanager
    def imap(self) -> Iterator[IMAPClient]:
        """A signed-in visit. Raises `SourceUnavailable`, `SourceRefused` and `SourceConfused`, also for what goes wrong inside it."""
        logging.getLogger("imapclient").setLevel(logging.INFO)  # on DEBUG it writes down mails and passwords
        with self._visit("imap") as (stream, is_home):
            client = _Imap(self._servers["imap"].host, stream)
            try:
                if self._starts_tls(stream, offered=client.has_capability("STARTTLS"), is_home=is_home):
                    client.starttls(ssl.create_default_context())
                self._sign_in(client)
                yield client
                with suppress(imaplib.IMAP4.error, OSError):
                    client.logout()
            finally:
                with suppress(OSError):
                    client.shutdown()

    @contextmanager
    def smtp(self) -> Iterator[smtplib.SMTP]:
        """A signed-in visit, as `imap`; a mail that is refused for good inside it is `ReplyRefused`."""
        with self._visit("smtp") as (stream, is_home):
            client = _Smtp(stream, self._servers["smtp"], local=self._login.rpartition("@")[2] or "localhost")
            try:
                client.ehlo_or_helo_if_needed()
                if self._starts_tls(stream, offered=client.has_extn("starttls"), is_home=is_home):
                    client.starttls(context=ssl.create_default_context())
                    client.ehlo()
                if client.has_extn("auth"):
                    client.login(self._login, self._password)
                yield client
                with suppress(smtplib.SMTPException, OSError):
                    client.quit()
            finally:
                client.close()

    @contextmanager
    def _visit(self, kind: str) -> Iterator[tuple[socket.socket, bool]]:
        """A connection, under TLS where it begins so, and whether it leads to a house of our own."""
        began = monotonic()
        try:
            with (
                self._connect(self._servers[kind]) as connection,
                connection.dup() as handle,  # TLS takes the connection over; this one still ends it
                alarm(self._deadline - (monotonic() - began), handle.shutdown, socket.SHUT_RDWR),
            ):
                is_home = self._allow_private and not is_public(connection.getpeername()[0])
                with self._wrapped(connection, self._servers[kind]) as stream:
                    yield stream, is_home
        except (imaplib.IMAP4.error, OSError, *UNREADABLE) as err:  # those of SMTP are OSErrors, too
            raise self._trouble(err, kind, late=monotonic() - began >= self._deadline) from err

    def _connect(self, server: Server) -> socket.socket:
        addresses = list(dict.fromkeys(resolve(server.host, server.port)))
        if not self._allow_private and not all(map(is_public, addresses)):
            raise SourceRefused(
                f"{self._name}: {server.host!r} leads to a private address; if the server is your own, set allow_private = true"
            )
        failure: OSError = OSError("the name has no address")
        for address in addresses:
            try:
                connection = socket.create_connection((address, server.port), min(CONNECT_SECONDS, self._deadline))
            except OSError as err:
                failure = err
            else:
                connection.settimeout(self._deadline)
                return connection
        raise failure

    def _wrapped(self, connection: socket.socket, server: Server) -> socket.socket:
        if not server.begins_with_tls:
            return connection
        return ssl.create_default_context().wrap_socket(connection, server_hostname=server.host)

    def _starts_tls(self, stream: socket.socket, *, offered: bool, is_home: bool) -> bool:
        """Whether TLS is still to begin. Raises `SourceRefused` where a password would travel in the open."""
        if isinstance(stream, ssl.SSLSocket):
            return False
        if not offered and not is_home:
            raise SourceRefused(
                f"{self._name}: the mail server offers no TLS, so we do not sign in; write its address as imaps:// or smtps://"
            )
        return offered

    def _sign_in(self, client: IMAPClient) -> None:
        try:
            client.login(self._login, self._password)
        except LoginError as err:
            if isinstance(err.__context__, imaplib.IMAP4.abort):
                raise err.__context__ from err
            if may_pass(err):
                raise SourceUnavailable(f"{self._name}: the mailbox cannot be opened just now; will be tried again") from err
            raise self._refused() from err

    def _refused(self) -> SourceRefused:
        return SourceRefused(f"{self._name}: the mail server refuses our sign-in; check account and {variable(self._name, _SECRET)}")

    def _trouble(self, err: Exception, kind: str, *, late: bool) -> SourceError | ReplyError:
        title = kind.upper()
        if isinstance(err, ssl.SSLCertVerificationError):
            return SourceRefused(f"{self._name}: the {title} server's certificate is not valid for its name; check url of the source")
        if late or isinstance(err, TimeoutError):
            return SourceUnavailable(f"{self._name}: no whole answer within {self._deadline:g} s; will be tried again")
        if isinstance(err, smtplib.SMTPResponseException):
            return self._told(err)
        if isinstance(err, imaplib.IMAP4.abort | OSError) and not any(words in str(err) for words in _GARBLED):
            return SourceUnavailable(f"{self._name}: the {title} server cannot be reached, or hung up; will be tried again")
        return SourceConfused(f"{self._name}: an answer that we cannot read ({type(err).__name__}); is it {title} that url names?")

    def _told(self, err: smtplib.SMTPResponseException) -> SourceError | ReplyError:
        """What the code of an SMTP answer means before a mail was handed over: it was surely not taken."""
        if err.smtp_code == 530 or (isinstance(err, smtplib.SMTPAuthenticationError) and err.smtp_code >= 500):
            return self._refused()
        if isinstance(err, _Refused) and err.smtp_code >= 500:
            return ReplyRefused(f"{self._name}: the mail server does not take this reply ({err.smtp_code}): {_said(err)}")
        return SourceUnavailable(f"{self._name}: the mail server takes no mail just now ({err.smtp_code}); will be tried again")


class _Refused(smtplib.SMTPResponseException):
    """The mail, or whom it is for, is refused."""


def may_pass(err: Exception) -> bool:
    """Whether an IMAP server refused for now only."""
    return any(words in str(err).upper() for words in _LATER)


def expect(answer: tuple[int, bytes], wanted: int) -> None:
    """Raises what a visit turns into `ReplyRefused` (5xx) or `SourceUnavailable` for another code than `wanted`."""
    code, words = answer
    if code != wanted:
        raise _Refused(code, words)


def _said(err: smtplib.SMTPResponseException) -> str:
    words = err.smtp_error
    return " ".join((words.decode("utf-8", "replace") if isinstance(words, bytes) else words).split())[:200]


class _Capped:
    """What a server says, up to a limit."""

    def __init__(self, said: Any) -> None:
        self._said = said
        self._left = _MOST_SAID

    def readline(self, most: int) -> bytes:
        line: bytes = self._said.readline(most)
        self._left -= len(line)
        if self._left < 0:
            raise TooMuch("the mail server says more than we care to hear")
        return line

    def close(self) -> None:
        self._said.close()


class _Smtp(smtplib.SMTP):
    def __init__(self, connection: socket.socket, server: Server, *, local: str) -> None:
        self._connection = connection
        super().__init__(server.host, server.port, local_hostname=local, timeout=connection.gettimeout() or DEADLINE_SECONDS)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:  # noqa: ARG002
        return self._connection

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = _Capped(self.sock.makefile("rb"))
        return super().getreply()


class _Imap4(imaplib.IMAP4):
    def __init__(self, host: str, connection: socket.socket) -> None:
        self._connection = connection
        self._left = MOST_BYTES
        super().__init__(host)

    def _create_socket(self, timeout: float | None) -> socket.socket:  # noqa: ARG002
        return self._connection

    def read(self, size: int) -> bytes:
        self._take(size)
        return super().read(size)

    def readline(self) -> bytes:
        line = super().readline()
        self._take(len(line))
        return line

    def _take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise TooMuch(f"the mail server sends more than {MOST_BYTES >> 20} MiB in one visit")


class _Imap(IMAPClient):  # type: ignore[misc]  # the library has no types
    def __init__(self, host: str, connection: socket.socket) -> None:
        self._connection = connection
        super().__init__(host, ssl=False)
        self.ssl = isinstance(connection, ssl.SSLSocket)
        self.normalise_times = False

    def _create_IMAP4(self) -> imaplib.IMAP4:  # noqa: N802 - the library's name
        return _Imap4(self.host, self._connection)
