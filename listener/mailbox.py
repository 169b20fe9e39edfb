"""A mailbox: mails that people send to an address of the brand, read by IMAP; answers by SMTP, in the same conversation.

The cursor is the number of the last mail read, good for as long as the server keeps its numbering (UIDVALIDITY). A mention's native id is
its Message-ID. Mail is no public place: docs/networks.md says what follows from that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from hashlib import blake2b
from smtplib import SMTP
from typing import Any

import orjson
import structlog
from imapclient import SEEN, IMAPClient
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError
from imapclient.imapclient import SENT

from earshot.errors import ConfigurationError, ReplyRefused, ReplyUnknown, SourceConfused, SourceError, SourceRefused, SourceUnavailable
from earshot.mention import Author, Mention
from earshot.settings import SourceSettings, secret
from listener import json_api
from listener.json_api import UNREADABLE
from listener.mail_reading import BROKEN, Letter, is_message_id, read_letter
from listener.mail_wire import MailWire, expect, may_pass
from listener.plain_text import clip
from listener.source import Gap, Page, Posted
from listener.wire import DEADLINE_SECONDS

log = structlog.get_logger(__name__)

#: mails read at once …
_PAGE = 50
#: … and how much of each: the words come first, attachments after
_MOST_OF_ONE = 256 * 1024
_LONGEST = 20_000  #: characters of an answer
_MOST_CANDIDATES = 10  #: mails that may claim one Message-ID
_LATE = timedelta(days=7)  #: a mail on its way for longer than this is dated by its arrival
_ACCOUNT = re.compile(r"[^\s@<>\"',;:]+@[^\s@<>\"',;:]+", re.ASCII)


class MailboxSource:
    """`settings.url` names the servers, `settings.account` our address, `settings.query` the folder to read (INBOX where it is empty).

    Secrets: `password`, and `login` where the servers know us by another name than our address. Raises `ConfigurationError` for settings
    that name no server or no address, and naming the variable of a missing secret.
    """

    network = "mailbox"
    keys_from = "your mail provider: a password for this application alone, where it offers one"

    def __init__(self, settings: SourceSettings, *, deadline: float = DEADLINE_SECONDS) -> None:
        self._settings = settings
        self._name = settings.name
        self._account = settings.account.strip().lower()
        self._folder = settings.query.strip() or "INBOX"
        if not _ACCOUNT.fullmatch(self._account):
            raise ConfigurationError(f"source {settings.name!r} needs account = the address whose mail it reads, such as help@example.com")
        login = json_api.token_of(settings, "login", needed=False) or self._account
        password = secret(settings.name, "password").get_secret_value()
        self._wire = MailWire(settings, login=login, password=password, deadline=deadline)

    def fetch(self, cursor: str | None, *, now: datetime) -> Page:
        mark = _Mark.load(cursor, settings=self._settings, now=now)
        with self._wire.imap() as imap:
            folder = self._open(imap, self._folder)
            mark, gap = mark.in_numbering(int(folder[b"UIDVALIDITY"]), settings=self._settings, now=now)
            waiting = self._waiting(imap, mark)
            numbers = sorted({*mark.missed, *waiting[:_PAGE]})
            mails = _fetch(imap, numbers, "INTERNALDATE", f"BODY.PEEK[]<0.{_MOST_OF_ONE}>")
        mentions: dict[str, Mention] = {}
        for number in numbers:
            mention = self._heard(number, mails.get(number), mark)
            if mention is not None:
                mentions.setdefault(mention.native_id, mention)  # who copies the id of a mail takes its place no more
        more = len(waiting) > _PAGE
        end = int(folder.get(b"UIDNEXT", 1)) - 1
        following = mark.after(waiting[:_PAGE], more=more, end=end, withheld=[n for n in numbers if n not in mails], now=now)
        return Page(mentions=tuple(mentions.values()), cursor=following.dump(), more=more, gap=gap, spent=len(numbers))

    def reply(self, parent_id: str, text: str, *, key: str) -> Posted:  # noqa: ARG002 - the words and their parent name the mail
        json_api.require_replies(self._settings)
        if not text.strip() or len(text) > _LONGEST:
            raise ReplyRefused(f"{self._name}: an answer has 1 to {_LONGEST:,} characters")
        try:
            with self._wire.imap() as imap:
                self._open(imap, self._folder)
                parent = self._parent(imap, parent_id)
        except SourceConfused as err:
            raise SourceUnavailable(f"{self._name}: the mail that is answered cannot be read just now; will be tried again") from err
        message = self._answer(parent, text)
        self._send(message, to=parent.sender)
        self._keep_copy(message)
        return self._posted(parent_id, text)

    def find_reply(self, parent_id: str, text: str) -> Posted | None:
        """The copy in the folder of sent mail. Raises `SourceConfused` where there is none: that it did not leave, nobody can prove."""
        json_api.require_replies(self._settings)
        posted = self._posted(parent_id, text)
        with self._wire.imap() as imap:
            sent = imap.find_special_folder(SENT)
            if sent is not None:
                self._open(imap, sent)
                if self._numbers_of(imap, posted.native_id):
                    return posted
        raise SourceConfused(
            f"{self._name}: our reply is not in the folder of sent mail ({sent or 'there is none'}), which does not prove "
            "that it never left; ask the mail server's log, or the author"
        )

    def close(self) -> None:
        """Every visit closes after itself."""

    # ---- reading

    def _open(self, imap: IMAPClient, folder: str) -> Mapping[bytes, Any]:
        """Open a folder in which nothing is changed, not even what counts as read."""
        try:
            opened: Mapping[bytes, Any] = imap.select_folder(folder, readonly=True)
        except IMAPClientAbortError:
            raise
        except IMAPClientError as err:
            if may_pass(err):
                raise SourceUnavailable(f"{self._name}: the folder {folder!r} cannot be opened just now; will be tried again") from err
            raise SourceRefused(f"{self._name}: the mailbox has no folder {folder!r} that we may open; check query of the source") from err
        return opened

    def _waiting(self, imap: IMAPClient, mark: _Mark) -> list[int]:
        """Numbers of the mails behind the mark, oldest first. Days are the server's own, so a first look asks for one more."""
        since = [] if mark.since is None else ["SINCE", (datetime.fromtimestamp(mark.since, UTC) - timedelta(days=1)).date()]
        found = imap.search(["UID", f"{mark.last + 1}:*", *since])
        return sorted(number for number in map(int, found) if number > mark.last)

    def _heard(self, number: int, mail: Mapping[bytes, Any] | None, mark: _Mark) -> Mention | None:
        """The mention that a mail is; None for what is no mail of a person to us, or cannot be read."""
        if mail is None:
            return None
        try:
            arrived = mail[b"INTERNALDATE"].astimezone(UTC)
            if mark.since is not None and arrived.timestamp() < mark.since:
                return None
            letter = read_letter(_raw(mail))
            if letter.is_automatic or letter.sender == self._account:
                log.debug("mail_left_out", source=self._name, number=number, automatic=letter.is_automatic)
                return None
            return self._mention(letter, arrived)
        except BROKEN as err:
            log.warning("post_skipped", source=self._name, native_id=f"mail {number}", why=type(err).__name__)
            return None

    def _mention(self, letter: Letter, arrived: datetime) -> Mention:
        """A subject that only says what is answered is none."""
        title = "" if letter.is_answer else letter.subject
        is_plausible = letter.sent_at is not None and arrived - _LATE <= letter.sent_at <= arrived
        return Mention(
            network=self.network,
            native_id=letter.native_id,
            author=self._author(letter),
            text=clip("\n\n".join(part for part in (title, letter.text) if part)),
            url="",
            posted_at=letter.sent_at if letter.sent_at is not None and is_plausible else arrived,
            thread_id=letter.thread_id,
            parent_id=letter.parent_id,
        )

    def _author(self, letter: Letter) -> Author | None:
        """Known by the address, which proves nothing else: no right comes with a domain."""
        if not letter.sender:
            return None
        return Author(network=self.network, native_id=letter.sender, handle=letter.sender, name=letter.name)

    # ---- answering

    def _parent(self, imap: IMAPClient, parent_id: str) -> Letter:
        """The mail that is answered. Raises `ReplyRefused` where it is gone, or nobody can tell who wrote it."""
        mails = _fetch(imap, self._numbers_of(imap, parent_id), "BODY.PEEK[HEADER]<0.65536>")
        letters = [letter for letter in map(_letter, mails.values()) if letter is not None and letter.native_id == parent_id]
        if not letters:
            raise ReplyRefused(f"{self._name}: that mail is not in the folder {self._folder!r} any more; answer from your mail program")
        if len({letter.sender for letter in letters}) > 1 or not letters[0].sender:
            raise ReplyRefused(f"{self._name}: who wrote that mail is not proven, so it gets no answer from here")
        return letters[0]

    def _numbers_of(self, imap: IMAPClient, native_id: str) -> list[int]:
        if not is_message_id(native_id):
            return []
        return [int(number) for number in imap.search(f'HEADER Message-ID "<{native_id}>"')][:_MOST_CANDIDATES]

    def _answer(self, parent: Letter, text: str) -> EmailMessage:
        """Goes to the author who was heard, whatever Reply-To says."""
        message = EmailMessage(policy=policy.SMTP.clone(max_line_length=120))
        chain = [*parent.references[:1], *parent.references[1:][-9:], parent.native_id]
        subject = parent.subject if parent.subject.lower().startswith("re:") else f"Re: {parent.subject}"
        headers = {
            "From": self._account,
            "To": parent.sender,
            "Subject": subject.strip(),
            "Date": format_datetime(datetime.now(UTC)),
            "Message-ID": f"<{self._posted(parent.native_id, text).native_id}>",
            "In-Reply-To": f"<{parent.native_id}>",
            "References": " ".join(f"<{native_id}>" for native_id in chain),
        }
        try:
            for name, value in headers.items():
                message[name] = value
            message.set_content(text.strip() + "\n", cte="quoted-printable")
        except ValueError as err:
            raise ReplyRefused(f"{self._name}: the mail that is answered has headers that no answer may carry") from err
        return message

    def _send(self, message: EmailMessage, *, to: str) -> None:
        """Once the last line left, only the server's answer tells whether the mail was taken."""
        handed_over = False
        try:
            with self._wire.smtp() as smtp:
                _announce(smtp, sender=self._account, to=to)
                handed_over = True
                smtp.send(_dotted(message.as_bytes()))
                code, words = smtp.getreply()
                handed_over = not 400 <= code < 600
                expect((code, words), 250)
        except SourceError as err:
            if handed_over:
                raise ReplyUnknown(f"{self._name}: the mail server did not say whether it took our reply; it may be on its way") from err
            if isinstance(err, SourceConfused):
                raise SourceUnavailable(str(err)) from err
            raise

    def _keep_copy(self, message: EmailMessage) -> None:
        """Put our reply among the sent mail, where `find_reply` looks, unless the server did so itself. The reply stands in any case."""
        try:
            with self._wire.imap() as imap:
                sent = imap.find_special_folder(SENT)
                if sent is None:
                    return
                self._open(imap, sent)
                if not self._numbers_of(imap, message["Message-ID"].strip("<>")):
                    imap.append(sent, message.as_bytes(), flags=(SEEN,))
        except SourceError as err:
            log.warning("copy_not_kept", source=self._name, why=type(err).__name__)

    def _posted(self, parent_id: str, text: str) -> Posted:
        """A reply is named by its words and its parent, so that one that is sent again can be told for the same."""
        said = "\n".join((self._account, parent_id, " ".join(text.split())))
        return Posted(native_id=f"{blake2b(said.encode(), digest_size=16).hexdigest()}@{self._account.rpartition('@')[2]}", url="")


def _announce(smtp: SMTP, *, sender: str, to: str) -> None:
    smtp.rset()
    expect(smtp.mail(sender), 250)
    expect(smtp.rcpt(to), 250)
    expect(smtp.docmd("DATA"), 354)


def _dotted(mail: bytes) -> bytes:
    """As SMTP wants it: lines that begin with a dot get another one, and a dot alone ends it."""
    lines = re.sub(rb"\r\n|\r|\n", b"\r\n", mail).removesuffix(b"\r\n")
    return re.sub(rb"(?m)^\.", b"..", lines) + b"\r\n.\r\n"


def _fetch(imap: IMAPClient, numbers: Sequence[int], *what: str) -> Mapping[int, Mapping[bytes, Any]]:
    found: Mapping[int, Mapping[bytes, Any]] = imap.fetch(numbers, what) if numbers else {}
    return {number: found[number] for number in numbers if number in found and any(key.startswith(b"BODY[") for key in found[number])}


def _letter(mail: Mapping[bytes, Any]) -> Letter | None:
    try:
        return read_letter(_raw(mail))
    except BROKEN:
        return None


def _raw(mail: Mapping[bytes, Any]) -> bytes:
    raw = next(value for key, value in mail.items() if key.startswith(b"BODY["))
    if not isinstance(raw, bytes):
        raise TypeError(f"a mail expected, not {type(raw).__name__}")
    return raw


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """Where reading stands. `since` is how far back the first reading goes, None once it is through; `missed` is asked for once more."""

    at: float
    since: float | None
    validity: int | None = None
    last: int = 0
    missed: tuple[int, ...] = ()

    @classmethod
    def load(cls, cursor: str | None, *, settings: SourceSettings, now: datetime) -> _Mark:
        if cursor is None:
            return cls(at=now.timestamp(), since=_first(settings, now))
        try:
            stored: Any = orjson.loads(cursor)
            since, validity = stored["since"], stored["validity"]
            return cls(
                at=float(stored["at"]),
                since=None if since is None else float(since),
                validity=None if validity is None else int(validity),
                last=int(stored["last"]),
                missed=tuple(int(number) for number in stored["missed"]),
            )
        except UNREADABLE as err:
            raise SourceConfused(f"{settings.name}: the stored cursor is not one of ours; delete it to begin again") from err

    def dump(self) -> str:
        return orjson.dumps(asdict(self)).decode()

    def in_numbering(self, validity: int, *, settings: SourceSettings, now: datetime) -> tuple[_Mark, Gap | None]:
        """In a folder that was numbered anew all is read again, as far back as a first look goes; what lies before that may be lost."""
        if self.validity in (None, validity):
            return replace(self, validity=validity), None
        first = _first(settings, now)
        again = _Mark(at=self.at, since=first, validity=validity)
        if self.at >= first:
            return again, None
        why = "the mail server numbered its folder anew while nobody looked; a higher first_look would read further back"
        return again, Gap(since=datetime.fromtimestamp(self.at, UTC), until=datetime.fromtimestamp(first, UTC), why=why)

    def after(self, read: Sequence[int], *, more: bool, end: int, withheld: Sequence[int], now: datetime) -> _Mark:
        """After the mails `read`. `end` is the last number that the folder had given when it was opened."""
        last = max([self.last, *read, *([] if more else [end])])
        missed = tuple(number for number in withheld if number not in self.missed)[:_PAGE]
        return replace(self, at=now.timestamp(), since=self.since if more else None, last=last, missed=missed)


def _first(settings: SourceSettings, now: datetime) -> float:
    return (now - timedelta(hours=settings.first_look)).timestamp()
