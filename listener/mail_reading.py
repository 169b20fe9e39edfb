"""What a mail says: who wrote it, to which conversation it belongs, and the words that are its author's own.

Everything in a mail was written by a stranger, headers included, so nothing is believed but what our own server added: a mail that it found
to fail DMARC has no author. A broken one is read as far as it goes.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.errors import MessageError
from email.header import decode_header
from email.message import Message
from email.parser import BytesParser
from email.utils import getaddresses, parsedate_to_datetime
from hashlib import blake2b

from listener.json_api import UNREADABLE
from listener.plain_text import clip, plain_text
from listener.wire import clean

#: what reading a mail may raise
BROKEN = (*UNREADABLE, MessageError, RecursionError)

_LONGEST_HEADER = 8_000
_LONGEST_OF_A_PART = 1_000  #: of a header that says what a part is; the library's time grows with the square of it
_MOST_NESTED = 60  #: parts that hold parts; the parser's time grows with the square of them
_ID = re.compile(r"[!#$%&'*+\-/=?^_`{|}~.\w@:\[\]()]{3,200}", re.ASCII)
_ADDRESS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[\w-]+(?:\.[\w-]+)*", re.ASCII)
_REFERENCE = re.compile(r"<([^<>\s]{3,200})>")
_ANSWERS = re.compile(r"\s*(?:re|aw|sv|antw|odp|r[eé]f|回复|答复|回覆)\s*(?:\[\d+\])?\s*[:：]", re.IGNORECASE)
#: codecs that are no charset of a mail, and slow or loud on hostile bytes
_NO_CHARSETS = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"})

#: who writes by itself
_MACHINES = re.compile(r"(?:mailer-daemon|postmaster|bounces?|no-?reply|do-?not-?reply)(?:[+._-].*)?@", re.IGNORECASE)
_OF_MACHINES = ("list-id", "list-post", "list-unsubscribe", "x-autoreply", "x-autorespond", "feedback-id")
_BULK = frozenset({"bulk", "list", "junk", "auto_reply", "auto-reply"})
_FORGED = re.compile(r"\bdmarc\s*=\s*fail\b", re.IGNORECASE)


class _Short(policy.Compat32):
    """Headers as far as anybody needs them."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[: _LONGEST_OF_A_PART if name.lower().startswith("content-") else _LONGEST_HEADER]


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One mail, read. `sender` is an address in lower case, "" where the mail has no one sender, or was proven not to be from them."""

    native_id: str  #: its Message-ID without brackets, or a hash of the whole where that is missing or no id
    sender: str
    name: str
    subject: str
    text: str  #: without quoted history and signature
    sent_at: datetime | None
    thread_id: str
    parent_id: str | None
    references: tuple[str, ...]
    is_automatic: bool  #: a bounce, a list, a newsletter, an answer by a machine

    @property
    def is_answer(self) -> bool:
        return self.parent_id is not None or _ANSWERS.match(self.subject) is not None


def is_message_id(value: str) -> bool:
    """Whether `value` is a Message-ID, without brackets, that may be sent on as it is."""
    return "@" in value and _ID.fullmatch(value) is not None


def read_letter(raw: bytes) -> Letter:
    """Read a mail, of which `raw` may be the beginning. Raises one of `BROKEN` for what is no mail at all."""
    if raw.lower().count(b"boundary") > _MOST_NESTED:
        raise ValueError("a mail of parts within parts")
    message = BytesParser(policy=_Short()).parsebytes(raw)
    sender, name = _sender(message)
    own = _id(_header(message, "message-id"))
    native_id = own or f"hash/{blake2b(raw, digest_size=16).hexdigest()}"
    references = _references(message)
    return Letter(
        native_id=native_id,
        sender="" if _is_forged(message) else sender,
        name=name,
        subject=_line(_header(message, "subject"), 500),
        text=own_words(_body(message)),
        sent_at=_date(_header(message, "date")),
        thread_id=next(iter(references), native_id),
        parent_id=references[-1] if references else None,
        references=references,
        is_automatic=_is_automatic(message, sender),
    )


# ---- headers


def _header(message: Message, name: str) -> str:
    """The first header of that name, decoded; "" where there is none."""
    return next(iter(_headers(message, name)), "")


def _headers(message: Message, name: str) -> list[str]:
    return [_decoded(str(value)) for value in message.get_all(name, [])]


def _decoded(value: str) -> str:
    """A header with its encoded words read, whatever charset they claim."""
    try:
        parts = decode_header(" ".join(value.splitlines()))
    except MessageError:
        return clean(value)
    return clean("".join(part if isinstance(part, str) else _text(part, charset or "utf-8") for part, charset in parts))


def _line(value: str, most: int) -> str:
    """On one line, as no name or subject has another: what follows a line break in a header is a header."""
    return " ".join(value.split())[:most]


def _sender(message: Message) -> tuple[str, str]:
    """(address, name) of the one author; empty where there are several, none, or one that is no address."""
    headers = [str(value) for value in message.get_all("from", [])]
    found = getaddresses(headers) if len(headers) == 1 else []
    if len(found) != 1:
        return "", ""
    [(name, address)] = found
    address = address.strip().lower()
    return (address, _line(_decoded(name), 200)) if _ADDRESS.fullmatch(address) else ("", "")


def _id(value: str) -> str:
    """A Message-ID without its brackets; "" for what is none."""
    bare = value.strip().removeprefix("<").removesuffix(">")
    return bare if is_message_id(bare) else ""


def _references(message: Message) -> tuple[str, ...]:
    """Ids of the conversation so far, the first first, the parent last."""
    chain = _REFERENCE.findall(_header(message, "references"))
    parent = _REFERENCE.findall(_header(message, "in-reply-to"))[:1]
    known = dict.fromkeys(filter(None, map(_id, chain)))
    for own in filter(None, map(_id, parent)):
        known.pop(own, None)
        known[own] = None
    return tuple(known)


def _date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _is_automatic(message: Message, sender: str) -> bool:
    """Whether no person sits behind it who waits for an answer (RFC 3834), so that two machines never talk."""
    submitted = _header(message, "auto-submitted").partition(";")[0].strip().lower()
    return (
        submitted not in ("", "no")
        or _header(message, "precedence").strip().lower() in _BULK
        or _header(message, "return-path").strip() == "<>"
        or message.get_content_type() == "multipart/report"
        or any(name in message for name in _OF_MACHINES)
        or _MACHINES.match(sender) is not None
    )


def _is_forged(message: Message) -> bool:
    """Whether our own server says that the mail is not from whom it says. Its headers stand on top; those below may be anybody's."""
    results = _headers(message, "authentication-results")
    ours = [result for result in results if _server_of(result) == _server_of(results[0])]
    return any(_FORGED.search(result) for result in ours)


def _server_of(result: str) -> str:
    return result.partition(";")[0].strip().lower()


# ---- words


def _body(message: Message) -> str:
    """The first plain text that is no attachment; where there is none, the first HTML, read."""
    texts = {"text/plain": "", "text/html": ""}
    for part in _parts(message):
        kind = part.get_content_type()
        if kind in texts and not texts[kind].strip() and part.get_content_disposition() != "attachment":
            payload = part.get_payload(decode=True)
            texts[kind] = _text(payload, part.get_content_charset() or "utf-8") if isinstance(payload, bytes) else ""
    return texts["text/plain"] if texts["text/plain"].strip() else plain_text(texts["text/html"])


def _parts(message: Message) -> Iterator[Message]:
    """In the order of the mail; mails that are attached to it are not entered."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        if part.get_content_maintype() == "multipart" and part.is_multipart():
            waiting += reversed([inner for inner in part.get_payload() if isinstance(inner, Message)])
        elif not part.is_multipart():
            yield part


def _text(data: bytes, charset: str) -> str:
    """`data` in whatever charset it claims, as far as it can be read."""
    try:
        name = codecs.lookup(charset).name
        text = data.decode("utf-8" if name.replace("-", "_") in _NO_CHARSETS else name, "replace")
    except (LookupError, ValueError):
        text = data.decode("utf-8", "replace")
    return clean(text)


_SEEN = 300  #: characters of a line that tell what it is
_SIGNATURE = re.compile(r"--\s?$|_{5,}\s*$")
_HISTORY = re.compile(r"_{20,}\s*$|-{2,}\s*(?:original|urspr|forwarded|weitergeleitet|message d|mensaje|原始邮件|转发)", re.IGNORECASE)
_BLOCK = re.compile(r"\*?(?:from|von|de|da|van|från|发件人|寄件者|寄件人)\s*[:：]", re.IGNORECASE)
_IN_BLOCK = re.compile(
    r"\*?(?:sent|to|date|subject|cc|gesendet|an|datum|betreff|envoyé|à|objet|enviado|para|asunto|inviato|oggetto|verzonden|onderwerp"
    r"|skickat|till|ämne|发送时间|收件人|主题|日期|寄件日期|收件者|主旨)\s*[:：]",
    re.IGNORECASE,
)
_BEGINS = re.compile(r"(?:on|am|le|el|il|em|op|den|w dniu|在|于|於)\b|.{0,60}(?:写道|寫道)", re.IGNORECASE)
_WROTE = re.compile(
    r"(?:wrote|schrieb.{0,80}|a écrit|escribió|ha scritto|escreveu|schreef.{0,80}|skrev.{0,80}|napisał\(?a?\)?|写道|寫道)\s*[:：]\s*$",
    re.IGNORECASE,
)
_DEVICE = re.compile(
    r"(?:sent from (?:my )?|get outlook for |von meinem .*gesendet|envoyé de mon |enviado desde mi |发自我的|从我的)", re.IGNORECASE
)


def own_words(text: str) -> str:
    """`text` without what was quoted in it and without a signature; the whole where nothing else is left. One pass over its lines."""
    lines = clip(text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    kept: list[str] = []
    place = 0
    while place < len(lines):
        line = lines[place][:_SEEN].strip()
        attribution = _attribution(lines, place)
        if attribution and _quotes_follow(lines, place + attribution):
            place += attribution  # what is written below the quotes counts
            continue
        if attribution or _ends_here(lines, place, line):
            break
        if not line.startswith(">") and not _DEVICE.match(line):
            kept.append(lines[place].rstrip())
        place += 1
    words = "\n".join(kept).strip()
    return re.sub(r"\n{3,}", "\n\n", words or text.strip())


def _ends_here(lines: list[str], place: int, line: str) -> bool:
    if _SIGNATURE.match(line) or _HISTORY.match(line):
        return True
    if not _BLOCK.match(line):
        return False
    return sum(_IN_BLOCK.match(below.strip()[:_SEEN]) is not None for below in lines[place + 1 : place + 6]) >= 2


def _attribution(lines: list[str], place: int) -> int:
    """How many lines from here on say "On … Ana wrote:"; 0 where they do not."""
    if not _BEGINS.match(lines[place][:_SEEN].strip()):
        return 0
    for count in (1, 2, 3):
        line = " ".join(part.strip() for part in lines[place : place + count])[: count * _SEEN]
        if _WROTE.search(line[-120:]):
            return count
    return 0


def _quotes_follow(lines: list[str], place: int) -> bool:
    following = next((line.strip() for line in lines[place : place + 3] if line.strip()), "")
    return following.startswith(">")
