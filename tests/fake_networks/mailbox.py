"""A mail house: an IMAP server of our own over TCP, and an SMTP server (aiosmtpd), both over one world.

IMAP4rev1 as RFC 3501 writes it, as far as listening and answering need it.
"""

from __future__ import annotations

import asyncio
import re
import socket
import socketserver
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime
from functools import cache
from threading import Event, Thread
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from fake_networks.server_world import ServerWorld

from earshot.demo.networks.world import Post

ACCOUNT = "help@lumifern.example"


class MailWorld(ServerWorld):
    """`coming`: the Message-ID under which the next mail comes in, where it brings its own."""

    coming = ""

    def _next_id(self, network: str, at: datetime, *, is_comment: bool) -> str:
        made, self.coming = self.coming or super()._next_id(network, at, is_comment=is_comment), ""
        return made


def world(clock: Callable[[], datetime]) -> MailWorld:
    return MailWorld("mailbox", account=ACCOUNT, keys=["password"], name_post=lambda number, _: f"{number}@people.example", clock=clock)


@dataclass(frozen=True, slots=True)
class Mail:
    raw: bytes
    at: datetime


@dataclass
class MailHouse:
    """The truth of both servers. `faults` are what goes wrong with the next command of that name; `calls` all that arrived."""

    world: MailWorld
    validity: int = 7
    inbox: list[Mail | str] = field(default_factory=list)  #: a mail as it came, or the native id of a post
    sent: list[bytes] = field(default_factory=list)
    envelopes: list[tuple[str, list[str], bytes]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    faults: dict[str, list[str]] = field(default_factory=dict)
    keeps_sent: bool = False  #: the SMTP server keeps a copy by itself
    has_sent: bool = True
    withheld: set[int] = field(default_factory=set)
    tls: ssl.SSLContext | None = None  #: offered by STARTTLS
    closing: Event = field(default_factory=Event)

    def deliver(self, raw: bytes | str, *, at: datetime | None = None) -> None:
        """A mail comes in, as it is."""
        self._take_posts()
        self.inbox.append(Mail(raw.encode() if isinstance(raw, str) else raw, at or self.world.now()))

    def goes_wrong(self, command: str, *faults: str) -> None:
        self.faults.setdefault(command, []).extend(faults)

    def fault(self, command: str) -> str:
        self.calls.append(command)
        waiting = self.faults.get(command)
        return waiting.pop(0) if waiting else ""

    def mails(self) -> dict[int, Mail]:
        """By number; what was deleted has left its number behind."""
        self._take_posts()
        shown = {}
        for number, entry in enumerate(self.inbox, 1):
            mail = self._render(entry) if isinstance(entry, str) else entry
            if mail is not None:
                shown[number] = mail
        return shown

    def take(self, sender: str, to: list[str], raw: bytes) -> None:
        """A mail that arrived by SMTP."""
        self.envelopes.append((sender, to, raw))
        message = message_from_bytes(raw, policy=policy.default)
        text = message.get_body().get_content().strip()
        parent = str(message["In-Reply-To"]).strip("<>")
        with self.world.still():
            self.world.coming = str(message["Message-ID"]).strip("<>")
            known = parent if parent in self.world.ids("mailbox") else None  # a mail that came as it is has no post
            self.world.answer("mailbox", ACCOUNT, text, reply_to=known, longest=10**6, once=False)
        if self.keeps_sent:
            self.sent.append(raw)

    def _take_posts(self) -> None:
        known = {entry for entry in self.inbox if isinstance(entry, str)}
        self.inbox += [native_id for native_id in self.world.ids("mailbox") if native_id not in known]

    def _render(self, native_id: str) -> Mail | None:
        post = self.world.find("mailbox", native_id)
        if post is None or post.deleted:
            return None
        return Mail(self._written(post), self.world.now() + timedelta(minutes=1) if post.at > self.world.now() else post.at)

    def _written(self, post: Post) -> bytes:
        author = self.world.someone("mailbox", post.author)
        assert author is not None
        return _written(post, author.name)


@cache
def _written(post: Post, name: str) -> bytes:
    """A post as the mail that it is."""
    message = EmailMessage(policy=policy.SMTP)
    address = post.author if "@" in post.author else f"{post.author}@people.example"
    message["From"] = f"{name} <{address}>" if name.isalnum() else address
    message["To"] = ACCOUNT
    message["Date"] = format_datetime(post.at)
    message["Message-ID"] = f"<{post.native_id}>"
    if post.title or post.parent:
        message["Subject"] = post.title or "Re: a question"
    if post.parent:
        message["In-Reply-To"] = f"<{post.parent}>"
        message["References"] = f"<{post.thread}> <{post.parent}>" if post.thread != post.parent else f"<{post.parent}>"
    message.set_content(post.text, cte="base64")
    return message.as_bytes()


class _Imap(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    house: MailHouse

    def handle(self) -> None:
        self.folder = "INBOX"
        with suppress(OSError, ValueError):
            if self._fails("CONNECT", ""):
                return
            self._say("* OK [CAPABILITY IMAP4rev1] a mail house")
            while line := self.rfile.readline():
                tag, _, rest = self._whole(line).partition(" ")
                name, _, given = rest.strip().partition(" ")
                if name.upper() == "UID":
                    name, _, given = given.partition(" ")
                if not self._fails(name.upper(), tag):
                    getattr(self, f"do_{name.lower()}")(tag, given)
                if name.upper() == "LOGOUT":
                    return

    def finish(self) -> None:
        super().finish()
        self.request.close()

    def _whole(self, line: bytes) -> str:
        """A command with its literals."""
        text = line.decode("latin-1").rstrip("\r\n")
        while found := re.search(r"\{(\d+)\}$", text):
            self._say("+ go on")
            literal = self.rfile.read(int(found[1])).decode("latin-1")
            text = text[: found.start()] + literal + self.rfile.readline().decode("latin-1").rstrip("\r\n")
        return text

    def _say(self, words: str) -> None:
        self.wfile.write(f"{words}\r\n".encode("latin-1"))

    def _fails(self, command: str, tag: str) -> bool:
        fault = self.house.fault(command)
        if not fault:
            return False
        if fault == "hang":
            self.house.closing.wait(20)
            raise OSError(fault)
        if fault == "drip":
            self._drip(b"* ")
        if fault == "drop":
            raise OSError(fault)
        if fault == "bomb":
            self._drip(b"* 1 FETCH (BODY[] {99999999}\r\n", b"x" * 2**20, 0)
        self._say({"no": f"{tag} NO not now", "garble": "\x01\x02 what?"}.get(fault, f"{tag} {fault}"))
        return True

    def _drip(self, head: bytes, piece: bytes = b"a", every: float = 0.05) -> None:
        self.wfile.write(head)
        while not self.house.closing.is_set():
            self.wfile.write(piece)
            time.sleep(every)

    def do_capability(self, tag: str, _: str) -> None:
        self._say(f"* CAPABILITY IMAP4rev1{' STARTTLS' if self.house.tls else ''}")
        self._say(f"{tag} OK done")

    def do_starttls(self, tag: str, _: str) -> None:
        assert self.house.tls
        self._say(f"{tag} OK begin")
        self.request = self.house.tls.wrap_socket(self.request, server_side=True)
        self.setup()

    def do_login(self, tag: str, given: str) -> None:
        name, _, password = given.partition(" ")
        good = (name.strip('"'), password.strip('"')) == (ACCOUNT, self.house.world.token("mailbox", ACCOUNT))
        self._say(f"{tag} OK signed in" if good else f"{tag} NO [AUTHENTICATIONFAILED] wrong name or password")

    def do_noop(self, tag: str, _: str) -> None:
        self._say(f"{tag} OK done")

    def do_logout(self, tag: str, _: str) -> None:
        self._say("* BYE see you")
        self._say(f"{tag} OK done")

    def do_list(self, tag: str, _: str) -> None:
        self._say('* LIST (\\HasNoChildren) "/" "INBOX"')
        if self.house.has_sent:
            self._say('* LIST (\\HasNoChildren \\Sent) "/" "Sent Items"')
        self._say(f"{tag} OK done")

    def do_select(self, tag: str, given: str) -> None:
        self.folder = given.strip('"')
        if self.folder not in ("INBOX", "Sent Items"):
            self._say(f"{tag} NO [NONEXISTENT] no such folder")
            return
        self._say(f"* {len(self._mails())} EXISTS")
        self._say(f"* OK [UIDVALIDITY {self.house.validity}] numbered")
        self._say(f"* OK [UIDNEXT {max(self._mails(), default=0) + 1}] next")
        self._say(f"{tag} OK [READ-ONLY] opened")

    do_examine = do_select

    def do_search(self, tag: str, given: str) -> None:
        found = [number for number, mail in self._mails().items() if self._fits(number, mail, given)]
        if (star := re.search(r"UID (\d+):\*", given)) and not found and self._mails():
            found = [max(self._mails())] if int(star[1]) > max(self._mails()) else []  # as RFC 3501 has it
        self._say(" ".join(["* SEARCH", *map(str, found)]))
        self._say(f"{tag} OK done")

    def _fits(self, number: int, mail: Mail, given: str) -> bool:
        if first := re.search(r"UID (\d+):\*", given):
            since = re.search(r"SINCE (\S+)", given)
            is_late = since is None or mail.at.date() >= datetime.strptime(since[1].strip('"'), "%d-%b-%Y").replace(tzinfo=UTC).date()
            return number >= int(first[1]) and is_late
        wanted = re.search(r'HEADER Message-ID "?([^"]+)"?$', given, re.IGNORECASE)
        assert wanted, given
        head = mail.raw.partition(b"\r\n\r\n")[0].decode("latin-1")
        return re.search(rf"(?im)^message-id:.*{re.escape(wanted[1])}", head) is not None

    def do_fetch(self, tag: str, given: str) -> None:
        numbers = {int(n) for part in given.partition(" ")[0].split(",") for n in _span(part)}
        part = re.search(r"BODY\.PEEK\[(HEADER)?\]<0\.(\d+)>", given)
        assert part, given
        for place, (number, mail) in enumerate(sorted(self._mails().items()), 1):
            if number in numbers and number not in self.house.withheld:
                body = mail.raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if part[1] else mail.raw
                body = body[: int(part[2])]
                date = f'INTERNALDATE "{mail.at.astimezone(UTC):%d-%b-%Y %H:%M:%S +0000}" ' if "INTERNALDATE" in given else ""
                self.wfile.write(f"* {place} FETCH (UID {number} {date}BODY[{part[1] or ''}]<0> {{{len(body)}}}\r\n".encode())
                self.wfile.write(body + b")\r\n")
        self._say(f"{tag} OK done")

    def do_append(self, tag: str, given: str) -> None:
        self.house.sent.append(given[given.index("From:") :].encode("latin-1"))
        self._say(f"{tag} OK done")

    def _mails(self) -> dict[int, Mail]:
        if self.folder == "INBOX":
            return self.house.mails()
        return {number: Mail(raw, self.house.world.now()) for number, raw in enumerate(self.house.sent, 1)}


def _span(part: str) -> range:
    first, _, last = part.partition(":")
    return range(int(first), int(last or first) + 1)


class _Taker:
    """What aiosmtpd asks."""

    def __init__(self, house: MailHouse) -> None:
        self.house = house

    def __call__(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        given = (data.login.decode(), data.password.decode())
        return AuthResult(success=given == (ACCOUNT, self.house.world.token("mailbox", ACCOUNT)))

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        fault = await self._wrong("MAIL", server)
        envelope.mail_from = address
        return fault or ("250 OK" if session.authenticated else "530 sign in first")

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        fault = await self._wrong("RCPT", server)
        envelope.rcpt_tos.append(address)
        return fault or "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        fault = self.house.fault("DATA")
        if not fault.startswith(("4", "5", "before ")):
            self.house.take(envelope.mail_from, envelope.rcpt_tos, envelope.content)
        return await _fail(fault.removeprefix("before "), server) or "250 taken"

    async def _wrong(self, command: str, server: Any) -> str:
        return await _fail(self.house.fault(command), server)


async def _fail(fault: str, server: Any) -> str:
    if fault == "drop":
        server.transport.abort()
    if fault == "hang":
        while not server.transport.is_closing():
            await asyncio.sleep(0.02)
    return fault if fault[:1].isdigit() else ""


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    tls: ssl.SSLContext | None = None

    def get_request(self) -> tuple[Any, Any]:
        request, address = super().get_request()
        return (self.tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False) if self.tls else request), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A handshake that the other side breaks off."""


@contextmanager
def serve(house: MailHouse, *, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Both servers on free ports; gives the `url` of a source. `tls`: IMAP begins with it."""
    handler = type("Imap", (_Imap,), {"house": house})
    taker = _Taker(house)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    smtp = Controller(taker, "127.0.0.1", port, authenticator=taker, auth_require_tls=False, server_hostname="mail.example")
    with _Server(("127.0.0.1", 0), handler) as imap:
        imap.tls = tls
        thread = Thread(target=imap.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        smtp.start()
        try:
            yield f"imap{'s' if tls else ''}://localhost:{imap.server_address[1]} smtp://127.0.0.1:{port}"
        finally:
            house.closing.set()
            smtp.stop()
            imap.shutdown()
            thread.join(5)
