"""RSS and Atom: blogs, news, reviews. Asks only for what changed; reads what it can of a broken document."""

from __future__ import annotations

import io
import re
from calendar import timegm
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from typing import Any
from urllib.parse import urlsplit

import feedparser
import orjson
from feedparser.mixin import _FeedParserMixin

from earshot.errors import BadInput, ConfigurationError, ReplyRefused, SourceConfused, SourceRefused
from earshot.mention import Author, Mention
from earshot.settings import SourceSettings
from listener.fetch import DEADLINE, Fetched, GuardedClient
from listener.json_api import UNREADABLE
from listener.plain_text import clip, plain_text
from listener.source import Page, Posted
from listener.wire import clean

MAX_SEEN = 5_000  #: entries that a cursor remembers; what a longer document repeats, the store recognises
MAX_BYTES = 4 * 2**20  #: of a document: a megabyte of tags that never end takes feedparser half a minute
_ACCEPT = "application/atom+xml, application/rss+xml, application/xml;q=0.9, text/xml;q=0.8, */*;q=0.5"
#: what a cursor calls it -> (header in which the server tells it, header in which we say it again)
_VALIDATORS = {"etag": ("etag", "if-none-match"), "modified": ("last-modified", "if-modified-since")}
_LONGEST_AUTHOR = 500  #: characters in which feedparser looks for a mail address
#: a character by its number, as HTML allows it too: without the semicolon
_NUMBERED = re.compile(rb"&#(?:[xX]([0-9a-fA-F]{1,8})|([0-9]{1,8}))(?![0-9a-fA-F])")


class FeedSource:
    """`settings.query` (or `settings.url`) is the feed's address. An entry comes again only when its title or text changed."""

    network = "feed"
    keys_from = ""

    def __init__(self, settings: SourceSettings, *, deadline: float = DEADLINE) -> None:
        self._address = settings.query or settings.url
        if not self._address:
            raise ConfigurationError(f"source {settings.name!r} needs the feed's address: set query to it")
        self._host = (urlsplit(self._address).hostname or "").lower()
        self._client = GuardedClient(allow_private=settings.allow_private, deadline=deadline, max_bytes=MAX_BYTES)

    def fetch(self, cursor: str | None, *, now: datetime) -> Page:
        """The entries that are new or changed since `cursor`, newest last; an unchanged feed gives an empty page."""
        before = _read_cursor(cursor)
        try:
            fetched = self._client.get(self._address, now=now, headers={"accept": _ACCEPT, **_conditions(before)})
        except BadInput as err:
            raise SourceRefused(str(err)) from err
        digest = _short_hash(fetched.body)
        if fetched.status == 304 or digest == before.get("document"):
            return Page(mentions=(), cursor=cursor)
        mentions = self._mentions(fetched, now)
        versions = [_version(mention) for mention in mentions]
        seen = before.get("seen", ())
        fresh = [mention for mention, version in zip(mentions, versions, strict=True) if version not in seen]
        after = {"document": digest, "seen": versions[:MAX_SEEN], **_validators(fetched)}
        return Page(mentions=tuple(reversed(fresh)), cursor=orjson.dumps(after).decode(), spent=len(fresh))

    def reply(self, parent_id: str, text: str, *, key: str) -> Posted:  # noqa: ARG002 - the promise's shape
        raise ReplyRefused("a feed cannot be answered: open the entry's own page and answer there")

    def find_reply(self, parent_id: str, text: str) -> Posted | None:  # noqa: ARG002
        return None

    def close(self) -> None:
        """Nothing stays open between calls."""

    def _mentions(self, fetched: Fetched, now: datetime) -> list[Mention]:
        """In the document's order, each native id once. Raises `SourceConfused` when nothing in it can be read."""
        parsed = self._parsed(fetched)
        mentions: dict[str, Mention] = {}
        for entry in parsed.entries:
            if (mention := self._mention(entry, now)) is not None:
                mentions.setdefault(mention.native_id, mention)
        if not mentions and (parsed.get("bozo") or not parsed.get("version")):
            raise SourceConfused(f"the feed at {self._host} cannot be read: {parsed.get('bozo_exception') or 'it is neither RSS nor Atom'}")
        return list(mentions.values())

    def _parsed(self, fetched: Fetched) -> Any:
        _hurry_authors()
        kind = {"content-type": _as_xml(fetched.headers.get("content-type", "")), "content-location": fetched.url}
        document = io.BytesIO(_NUMBERED.sub(_whole_character, fetched.body))
        try:
            return feedparser.parse(document, response_headers=kind, sanitize_html=False, resolve_relative_uris=False)
        except UNREADABLE as err:  # what it lets through: an encoding that none can be, a character that is none
            raise SourceConfused(f"the feed at {self._host} cannot be read: {type(err).__name__} while reading it") from err

    def _mention(self, entry: Mapping[str, Any], now: datetime) -> Mention | None:
        title, body = _text(entry.get("title_detail")), _text(_body(entry))
        link = _web_address(entry.get("link"))
        moment = _moment(entry)
        text = clip("\n\n".join(part for part in (title, body) if part))
        name = str(entry.get("id") or link or (f"{title} {moment or ''}" if title else body))
        if not text or not name:
            return None
        return Mention(
            network=self.network,
            native_id=f"{self._host}:{_short_hash(name.encode('utf-8', 'replace'))}",
            author=self._author(entry.get("author_detail")),
            text=text,
            url=link,
            posted_at=min(moment or now, now),
            lang_hint=_language(entry.get("title_detail")),
        )

    def _author(self, detail: Mapping[str, Any] | None) -> Author | None:
        """Names are all that a feed tells, so that an author is known only within one host. Mail addresses are left behind."""
        name = " ".join(clean(str((detail or {}).get("name") or "")).split())[:200]
        if not name or "@" in name:
            return None
        identity = f"{self._host}:{_short_hash(name.casefold().encode('utf-8', 'replace'))}"
        return Author(network=self.network, native_id=identity, handle=name[:100], name=name, url=_web_address((detail or {}).get("href")))


def _read_cursor(cursor: str | None) -> Mapping[str, Any]:
    if cursor is None:
        return {}
    try:
        before = orjson.loads(cursor)
        return {
            "document": before["document"],
            "seen": frozenset(before["seen"]),
            **{name: str(before.get(name, "")) for name in _VALIDATORS},
        }
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise SourceConfused("the feed's cursor is not one of ours: delete it, and the feed is read from its beginning") from err


def _conditions(before: Mapping[str, Any]) -> dict[str, str]:
    return {asks: before[name] for name, (_, asks) in _VALIDATORS.items() if before.get(name)}


def _validators(fetched: Fetched) -> dict[str, str]:
    """What the server wants to hear again next time; visible ASCII only, for it goes back into a header."""
    given = {name: fetched.headers.get(tells, "") for name, (tells, _) in _VALIDATORS.items()}
    return {name: value for name, value in given.items() if value.isascii() and value.isprintable() and len(value) <= 500}


def _short_hash(data: bytes) -> str:
    return blake2b(data, digest_size=12).hexdigest()


def _version(mention: Mention) -> str:
    return _short_hash(f"{mention.native_id}\0{mention.text}".encode("utf-8", "replace"))


def _body(entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
    contents: Iterable[Mapping[str, Any]] = entry.get("content") or ()
    return next((one for one in contents if one.get("value")), entry.get("summary_detail"))


def _text(detail: Mapping[str, Any] | None) -> str:
    value = clean(str((detail or {}).get("value") or ""))
    return clip(value).strip() if (detail or {}).get("type") == "text/plain" and "<" not in value else plain_text(value)


def _web_address(link: object) -> str:
    address = clean(str(link or "")).strip()
    return address if address.startswith(("http://", "https://")) and len(address) <= 2_000 else ""


@cache
def _hurry_authors() -> None:
    """Clip what feedparser takes for an author before it searches there for a mail address.

    Its search is quadratic in a run of letters: a name of a megabyte, which one entry may bring, would hold a worker for hours. It offers
    no other way in, and what an element holds is known only after its entities, encodings and pieces were read.
    """
    search = _FeedParserMixin._sync_author_detail

    def clipped(parser: Any, key: str = "author") -> None:
        context = parser._get_context()
        if context.get(key):
            context[key] = context[key][:_LONGEST_AUTHOR]
        search(parser, key)

    _FeedParserMixin._sync_author_detail = clipped


def _whole_character(found: re.Match[bytes]) -> bytes:
    """Half of a surrogate pair is no character: no parser takes it, and the document around it is sound."""
    number = int(found[1], 16) if found[1] else int(found[2])
    return b"&#xFFFD" if 0xD800 <= number <= 0xDFFF else found[0]


def _as_xml(content_type: str) -> str:
    """Many servers call a feed HTML; only the character set they name is of use."""
    _, named, charset = content_type.lower().partition("charset=")
    return f"application/xml; charset={charset}" if named else "application/xml"


def _moment(entry: Mapping[str, Any]) -> datetime | None:
    """When it was published, else updated; None for neither and for a date that no calendar has."""
    dates = {"published_parsed", "updated_parsed"} & set(entry)  # asking for an absent one makes feedparser guess, and warn
    parsed = next((entry[name] for name in sorted(dates) if entry[name]), None)
    try:
        return datetime.fromtimestamp(timegm(parsed), UTC) if parsed else None
    except (ValueError, OverflowError, OSError):
        return None


def _language(detail: Mapping[str, Any] | None) -> str | None:
    code = str((detail or {}).get("language") or "").lower().replace("_", "-").partition("-")[0]
    return code if len(code) == 2 and code.isascii() and code.isalpha() else None
