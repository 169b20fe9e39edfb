"""One row of a file, JSON or named fields, read into a mention. `earshot score` and the archives share this reading."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson
from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from earshot.errors import BadInput
from earshot.mention import Author, Mention
from listener.plain_text import clip

UNDATED = datetime(1970, 1, 1, tzinfo=UTC)  #: posted_at of a line to be scored that has no date; such a mention is never stored
_MAX_COUNT = 2**31 - 1

#: our field -> what the column is usually called; the first that the header has is taken
GUESSES: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "native_id", "tweet_id", "post_id", "status_id", "comment_id", "id_str", "uuid"),
    "text": ("text", "body", "content", "full_text", "message", "tweet", "post", "comment", "review"),
    "lang": ("lang", "language"),
    "network": ("network",),
    "company": ("company", "brand"),
    "posted_at": ("posted_at", "created_at", "date", "timestamp", "time", "published_at", "created_utc"),
    "url": ("url", "link", "permalink"),
    "thread_id": ("thread_id", "conversation_id", "link_id"),
    "parent_id": ("parent_id", "in_reply_to", "in_reply_to_status_id"),
    "repost_of": ("repost_of", "retweet_of"),
    "likes": ("likes", "like_count", "favorite_count", "score", "points"),
    "reposts": ("reposts", "retweets", "retweet_count", "shares"),
    "replies": ("replies", "reply_count", "num_comments"),
    "author.handle": ("author.handle", "author", "handle", "username", "screen_name", "user_name", "author_handle"),
    "author.id": ("author.id", "author_id", "user_id"),
    "author.name": ("author.name", "author_name", "name"),
    "author.bio": ("author.bio", "author_bio", "bio"),
    "author.followers": ("author.followers", "followers", "followers_count", "author_followers"),
}


def parse_score_line(line: bytes, number: int, *, now: datetime = UNDATED) -> Mention:
    """One line of `earshot score`: `{"id", "text", "lang"?, "network"?, "company"?, "author"?: {"handle", "followers"?}}`.

    A whole number as id counts as its digits, an empty text is a text, and one beyond `MAX_TEXT` characters is clipped. Raises `BadInput`
    that names the line and what to change.
    """
    try:
        return RowReader("file", now).from_json(line)
    except ValueError as err:
        raise BadInput(f"line {number}: {err}") from err


class _AuthorRow(Struct):
    """The author of a row, nothing read yet; what is absent is None."""

    id: Any = None
    handle: Any = None
    name: Any = None
    bio: Any = None
    followers: Any = None


class _Row(Struct):
    """The fields of a row that we know, nothing read yet; what is absent is None."""

    id: Any = None
    text: Any = None
    network: Any = None
    author: _AuthorRow | None = None
    posted_at: Any = None
    created_at: Any = None
    url: Any = None
    lang: Any = None
    company: Any = None
    thread_id: Any = None
    parent_id: Any = None
    repost_of: Any = None
    likes: Any = None
    reposts: Any = None
    replies: Any = None


_ROWS = Decoder(_Row)


class RowReader:
    """Reads rows of one file. Every method raises `ValueError`, in words, for a row that is no mention.

    `network` is where rows come from that do not say it; `now` dates those without a date, and no row is later.
    """

    def __init__(self, network: str, now: datetime) -> None:
        self._network = network
        self._now = now

    def from_json(self, line: bytes | str) -> Mention:
        try:
            row = _ROWS.decode(line)
        except (DecodeError, UnicodeError, RecursionError) as err:
            raise ValueError(_fault(line) or f"not JSON: {err}") from err
        return self._mention(row)

    def from_fields(self, fields: Mapping[str, str]) -> Mention:
        """`fields`: keys of `GUESSES`; an empty string is an absent value, but for the text."""
        given = {name: value for name, value in fields.items() if value or name == "text"}
        author = {name.removeprefix("author."): given.pop(name) for name in list(given) if name.startswith("author.")}
        return self._mention(_Row(**given, author=_AuthorRow(**author) if author else None))

    def _mention(self, row: _Row) -> Mention:
        text = row.text
        if not isinstance(text, str):
            raise ValueError("text is missing" if text is None else "text must be a string")
        native_id = _word(row.id, "id")
        if native_id is None:
            raise ValueError("id is missing")
        network = _word(row.network, "network") or self._network
        date = row.posted_at or row.created_at
        return Mention(
            network=network,
            native_id=native_id,
            author=None if row.author is None else _author(network, row.author),
            text=clip(text),
            url=_web_address(row.url),
            posted_at=min(_date(date), self._now) if date else self._now,
            lang_hint=_language(row.lang),
            company=_word(row.company, "company"),
            thread_id=_word(row.thread_id, "thread_id"),
            parent_id=_word(row.parent_id, "parent_id"),
            repost_of=_word(row.repost_of, "repost_of"),
            likes=_count(row.likes),
            reposts=_count(row.reposts),
            replies=_count(row.replies),
        )


def _fault(line: bytes | str) -> str:
    """What is wrong with a line that is no row."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as err:
        return f"not JSON: {err.msg}"
    if not isinstance(row, dict):
        return 'not a JSON object: write {"id": "…", "text": "…"}'
    return 'author must be an object: {"handle": "…"}' if not isinstance(row.get("author"), dict | None) else ""


def _author(network: str, row: _AuthorRow) -> Author | None:
    handle, native_id = _word(row.handle, "author.handle"), _word(row.id, "author.id")
    if native_id is None and handle is None:
        return None
    return Author(
        network=network,
        native_id=native_id or handle or "",
        handle=(handle or native_id or "").removeprefix("@"),
        name=_clipped(row.name, 200),
        bio=_clipped(row.bio, 2_000),
        followers=_count(row.followers),
    )


def _word(value: object, name: str) -> str | None:
    """A short string, or a whole number as one; None where it is absent or empty."""
    if value is None:
        return None
    if type(value) is int:
        value = str(value)
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a string")
    if len(value) > 200:
        raise ValueError(f"{name} is longer than 200 characters")
    return value.replace("\0", "").strip() or None


def _clipped(value: object, limit: int) -> str:
    return clip(value, limit) if isinstance(value, str) else ""


def _count(value: object) -> int | None:
    """A count; None where the row does not tell one that we can read."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    return min(value, _MAX_COUNT) if type(value) is int and value >= 0 else None


def _web_address(value: object) -> str:
    is_one = isinstance(value, str) and value.startswith(("https://", "http://")) and len(value) <= 2_000 and "\0" not in value
    return str(value) if is_one else ""


def _language(value: object) -> str | None:
    """ISO 639 from "en", "en-US" or "zh_CN"; None for anything else."""
    code = value[:3].lower().rstrip("-_") if isinstance(value, str) else ""
    return code if len(code) >= 2 and code.isascii() and code.isalpha() else None


def _date(value: object) -> datetime:
    """A moment from ISO 8601, from seconds or milliseconds since 1970, or from the long form of mail and X; a naive one counts as UTC."""
    for read in _DATES:
        try:
            moment = read(value)
            return moment if moment.tzinfo is UTC else moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, TypeError, OverflowError, OSError, AttributeError):
            continue
    raise ValueError(f"{str(value)[:40]!r} is not a date: write it as 2026-05-04T12:00:00Z")


def _iso(value: Any) -> datetime:
    if value.isdigit() and len(value) != 8:
        raise ValueError("seconds since 1970")
    return datetime.fromisoformat(value)


def _since_1970(value: Any) -> datetime:
    seconds = float(value)
    return datetime.fromtimestamp(seconds / 1000 if abs(seconds) > 1e11 else seconds, UTC)


def _as_x_writes(value: Any) -> datetime:
    return datetime.strptime(value, "%a %b %d %H:%M:%S %z %Y")


_DATES: tuple[Callable[[Any], datetime], ...] = (_iso, _since_1970, parsedate_to_datetime, _as_x_writes)
