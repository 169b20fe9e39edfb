"""Apple's App Store: what customers say of an app, country by country, without a key. Nothing is answered from here.

Read from the public feed of reviews, which shows the newest 500 of each country in ten pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog

from earshot.errors import ConfigurationError, ReplyRefused
from earshot.mention import Author, Mention
from earshot.settings import SourceSettings
from listener import json_api
from listener.json_api import UNREADABLE, JsonApi, count, identifier, moment
from listener.newest_first import Bookmark, Shown
from listener.plain_text import clip
from listener.source import Gap, Page, Posted
from listener.wire import DEADLINE_SECONDS, clean

log = structlog.get_logger(__name__)

FEEDS = "https://itunes.apple.com"
LAST_PAGE = 10  #: that the feed gives
MOST_COUNTRIES = 20
_QUERY = re.compile(r"(?:id)?(\d{5,12})((?:\s+[a-z]{2})*)", re.IGNORECASE)
_AUTHOR = re.compile(r"/id(\d{1,20})\b")
_STARS = 5


class AppStoreSource:
    """`settings.query` is the number of an app and the countries to read, the United States where there are none: "1234567890 us de jp".

    The rating stands before the title as stars. Raises `ConfigurationError` for a query that is no such thing.
    """

    network = "appstore"
    keys_from = ""

    def __init__(self, settings: SourceSettings, *, deadline: float = DEADLINE_SECONDS) -> None:
        self._settings = settings
        self._name = settings.name
        self._app, self._countries = _query(settings)
        self._api = JsonApi(settings, title="App Store", url=settings.url or FEEDS, key="", headers={}, deadline=deadline)

    def fetch(self, cursor: str | None, *, now: datetime) -> Page:
        mark = Bookmark.load(cursor, settings=self._settings, now=now).begin(self._countries)
        number = int(mark.token or "1")
        path = f"/{mark.turn}/rss/customerreviews/page={number}/id={self._app}/sortby=mostrecent/json"
        with self._api.reading():
            entries = _entries(self._api.get(path))
        shown, mentions = self._read(entries, mark)
        ends = not entries or number >= LAST_PAGE
        following = mark.follow(shown, None if ends else str(number + 1), listings=self._countries, now=now)
        return Page(
            mentions=mentions,
            cursor=following.dump(),
            more=bool(following.turn),
            gap=_gap(mark, shown) if number >= LAST_PAGE else None,
            spent=len(entries),
        )

    def reply(self, parent_id: str, text: str, *, key: str) -> Posted:  # noqa: ARG002 - the promise's shape
        raise ReplyRefused(f"{self._name}: reviews are not answered from here: answer in App Store Connect")

    def find_reply(self, parent_id: str, text: str) -> Posted | None:  # noqa: ARG002
        return None

    def close(self) -> None:
        self._api.close()

    def _read(self, entries: Iterable[Any], mark: Bookmark) -> tuple[list[Shown], tuple[Mention, ...]]:
        """(the reviews that can be read, what of them is new or edited)"""
        shown = []
        mentions: dict[str, Mention] = {}
        for entry in entries:
            try:
                if "im:rating" not in entry and "im:name" in entry:
                    continue  # some feeds begin with the app itself
                mention = self._mention(entry, mark.turn)
                at = mention.posted_at.timestamp()
                post = Shown(native_id=mention.native_id, at=at, changed=at)
            except UNREADABLE as err:
                self._skip(entry, type(err).__name__)
                continue
            shown.append(post)
            if mark.is_new(post):
                mentions[mention.native_id] = mention
        return shown, tuple(mentions.values())

    def _mention(self, entry: Mapping[str, Any], country: str) -> Mention:
        return Mention(
            network=self.network,
            native_id=clean(identifier(_label(entry, "id"))),
            author=self._author(entry.get("author")),
            text=clip(_text(entry)),
            url=f"https://apps.apple.com/{country}/app/id{self._app}?see-all=reviews",
            posted_at=moment(_label(entry, "updated")),
            edited_at=moment(_label(entry, "updated")),  # the feed tells no other time
            thread_id=clean(identifier(_label(entry, "id"))),
            likes=_number(entry.get("im:voteSum")),
        )

    def _author(self, author: object) -> Author | None:
        """None where the feed names nobody: authors are known by the number in their address alone."""
        if not isinstance(author, dict):
            return None
        address = json_api.web_address(_said(author.get("uri")))
        found, name = _AUTHOR.search(address), clean(_said(author.get("name")))[:200]
        if found is None or not name:
            return None
        return Author(network=self.network, native_id=found[1], handle=name, name=name, url=address)

    def _skip(self, entry: object, why: str) -> None:
        native_id = _said(entry.get("id")) if isinstance(entry, dict) else ""
        log.warning("post_skipped", source=self._name, native_id=native_id[:60], why=why)


def _query(settings: SourceSettings) -> tuple[str, tuple[str, ...]]:
    """(the app, the countries). Raises `ConfigurationError`."""
    found = _QUERY.fullmatch(settings.query.strip())
    if found is None:
        raise ConfigurationError(
            f'source {settings.name!r} names no app: set query to its number and the countries to read, such as "1234567890 us de"'
        )
    countries = tuple(dict.fromkeys(found[2].lower().split())) or ("us",)
    if len(countries) > MOST_COUNTRIES:
        raise ConfigurationError(
            f"source {settings.name!r} names {len(countries)} countries; one source takes {MOST_COUNTRIES}, so make two of it"
        )
    return found[1], countries


def _entries(body: Any) -> list[Any]:
    """The reviews of a page: a list, a single one by itself, or nothing."""
    feed = body["feed"]
    if not isinstance(feed, dict):
        raise TypeError(f"feed expected, not {type(feed).__name__}")
    entries = feed.get("entry", [])
    if not isinstance(entries, list | dict):
        raise TypeError(f"reviews expected, not {type(entries).__name__}")
    return entries if isinstance(entries, list) else [entries]


def _label(entry: Mapping[str, Any], name: str) -> Any:
    return entry[name]["label"]


def _said(holder: object) -> str:
    said = holder.get("label") if isinstance(holder, dict) else None
    return said if isinstance(said, str) else ""


def _number(holder: object) -> int | None:
    said = _said(holder)
    return count(int(said)) if said.isascii() and said.isdigit() and len(said) < 10 else None


def _text(entry: Mapping[str, Any]) -> str:
    """Stars and title, and below them the review."""
    rating = _number(entry.get("im:rating")) or 0
    stars = "★" * rating + "☆" * (_STARS - rating) if 1 <= rating <= _STARS else ""
    head = " ".join(part for part in (stars, clean(_said(entry.get("title")))) if part)
    return "\n\n".join(part for part in (head, clean(_label(entry, "content"))) if part)


def _gap(mark: Bookmark, shown: list[Shown]) -> Gap | None:
    """What lies below the last page, down to where we had read, or were to begin."""
    until, oldest = mark.done.get(mark.turn, mark.first), min((post.at for post in shown), default=0.0)
    if oldest <= until:
        return None
    why = f"the App Store shows the newest {LAST_PAGE * 50} reviews of a country ({mark.turn}); those before them were not given"
    return Gap(since=datetime.fromtimestamp(until, UTC), until=datetime.fromtimestamp(oldest, UTC), why=why)
