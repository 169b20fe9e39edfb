"""YouTube: comments on the videos of a channel, or below single videos, with a free key. Nothing is answered from here.

The secret `key` is one of the Data API. A call costs one unit of a quota of 10,000 a day, however much it brings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from earshot.errors import ConfigurationError, ReplyRefused, SourceError, SourceRefused, SourceUnavailable
from earshot.mention import Author, Mention
from earshot.settings import SourceSettings, secret
from listener import json_api
from listener.json_api import UNREADABLE, JsonApi, Rejected, count, identifier, listed, moment
from listener.newest_first import Bookmark, Shown
from listener.plain_text import clip
from listener.source import Looks, Page, Posted
from listener.wire import DEADLINE_SECONDS, Denied, clean, variable

log = structlog.get_logger(__name__)

API = "https://www.googleapis.com"
SITE = "https://www.youtube.com"
MOST_PLACES = 20
_PAGE = 50  #: threads, each with up to five replies
#: comments looked after on each poll, in one call
_LOOKS = 50
_CHANNEL = re.compile(r"UC[\w-]{22}")
_VIDEO = re.compile(r"video:([\w-]{11})")
#: The day of the quota ends there at midnight.
_QUOTA_ZONE = "America/Los_Angeles"
_SPENT, _HURRIED, _CLOSED = ("quotaExceeded", "dailyLimitExceeded"), ("rateLimitExceeded", "userRateLimitExceeded"), "commentsDisabled"


class YouTubeSource:
    """`settings.query` names channels by their ids ("UC…": all comments on their videos), videos ("video:dQw4w9WgXcQ"), and words that
    YouTube is to look for in them, if any. `settings.account` is our own channel's id or handle, whose comments are left out.

    Raises `ConfigurationError` for a query without a place, and naming the variable of the missing key.
    """

    network = "youtube"
    keys_from = "https://console.cloud.google.com/apis/credentials"
    looks = Looks(at_once=_LOOKS, per_call=1)

    def __init__(self, settings: SourceSettings, *, deadline: float = DEADLINE_SECONDS) -> None:
        self._settings = settings
        self._name = settings.name
        self._places, self._words = _query(settings)
        self._account = settings.account.strip("@ ").casefold()
        key = secret(self._name, "key").get_secret_value()
        self._api = JsonApi(
            settings, title="YouTube", url=settings.url or API, key="key", headers={"x-goog-api-key": key}, deadline=deadline
        )
        self._listings = (*self._places, "look")

    def fetch(self, cursor: str | None, *, now: datetime) -> Page:
        """The next threads of a place, newest first, with the replies that they show; at the end of a poll what became of earlier ones."""
        mark = Bookmark.load(cursor, settings=self._settings, now=now).begin(self._listings)
        if mark.turn == "look":
            return self._look(mark)
        try:
            with self._trouble(now), self._api.reading():
                threads, token = self._list(mark.turn, mark.token)
        except Rejected:
            if mark.token is None:
                raise
            log.info("run_restarted", source=self._name)  # the token of a page is good for a while only
            return Page(mentions=(), cursor=replace(mark, token=None, newest=None).dump(), more=False, spent=1)
        shown, replies, mentions = self._read(threads, mark)
        mark = mark.looked_after((), (), replies).follow(shown, token, listings=self._listings, now=now)
        return Page(mentions=mentions, cursor=mark.dump(), more=bool(mark.turn), spent=1)

    def reply(self, parent_id: str, text: str, *, key: str) -> Posted:  # noqa: ARG002 - the promise's shape
        raise ReplyRefused(f"{self._name}: YouTube is not answered from here: open the comment's page, or YouTube Studio, and answer there")

    def find_reply(self, parent_id: str, text: str) -> Posted | None:  # noqa: ARG002
        return None

    def gone(self, native_ids: Sequence[str]) -> tuple[str, ...]:
        """Those of up to fifty comments that YouTube shows no more. Where it shows none at all, it is asked again to be sure."""
        asked = native_ids[:_LOOKS]
        there = self._there(asked) or self._there(asked) if asked else set()
        return tuple(native_id for native_id in asked if native_id not in there)

    def close(self) -> None:
        self._api.close()

    # listings

    def _list(self, place: str, token: str | None) -> tuple[list[Any], str | None]:
        video = _VIDEO.fullmatch(place)
        params = {"videoId": video[1]} if video else {"allThreadsRelatedToChannelId": place}
        params |= {"part": "snippet,replies", "order": "time", "textFormat": "plainText", "maxResults": str(_PAGE)}
        params |= {"searchTerms": self._words} if self._words else {}
        params |= {"pageToken": token} if token else {}
        try:
            answer = self._api.get("/youtube/v3/commentThreads", params)
        except SourceRefused as err:
            if _reason(err) == _CLOSED:  # nobody may comment there, which is no fault of ours
                return [], None
            raise
        following = answer.get("nextPageToken")
        return listed(answer, "items"), following if isinstance(following, str) and following else None

    def _read(self, threads: Iterable[Any], mark: Bookmark) -> tuple[list[Shown], list[Shown], tuple[Mention, ...]]:
        """(the threads that can be read, the replies that can, what of both is new or edited and not our own)"""
        shown: list[Shown] = []
        replies: list[Shown] = []
        mentions: dict[str, Mention] = {}
        for thread in threads:
            top = self._take(thread, lambda thread: thread["snippet"]["topLevelComment"], thread, mark, mentions)
            shown += [top] if top else []
            for reply in _replies(thread):
                post = self._take(reply, lambda reply: reply, thread, mark, mentions)
                replies += [post] if post else []
        return shown, replies, tuple(mentions.values())

    def _take(self, item: Any, comment_of: Any, thread: Any, mark: Bookmark, mentions: dict[str, Mention]) -> Shown | None:
        try:
            comment = comment_of(item)
            mention = self._mention(comment, thread["snippet"])
            changed = moment(comment["snippet"].get("updatedAt") or comment["snippet"]["publishedAt"])
            post = Shown(native_id=mention.native_id, at=mention.posted_at.timestamp(), changed=changed.timestamp())
        except UNREADABLE as err:
            native_id = str(item.get("id")) if isinstance(item, dict) else ""
            log.warning("post_skipped", source=self._name, native_id=native_id[:60], why=type(err).__name__)
            return None
        if mark.is_new(post) and not self._is_own(mention.author):
            mentions[mention.native_id] = mention
        return post

    def _mention(self, comment: Mapping[str, Any], about: Mapping[str, Any]) -> Mention:
        native_id, said = clean(identifier(comment["id"])), comment["snippet"]
        parent = said.get("parentId")
        video = about.get("videoId")
        return Mention(
            network=self.network,
            native_id=native_id,
            author=_author(said),
            text=clip(clean(said["textDisplay"])),
            url=f"{SITE}/watch?v={clean(video)}&lc={native_id}" if video else f"{SITE}/channel/{clean(about['channelId'])}",
            posted_at=moment(said["publishedAt"]),
            edited_at=_edited_at(said),
            thread_id=clean(identifier(parent)) if parent else native_id,
            parent_id=clean(identifier(parent)) if parent else None,
            likes=count(said.get("likeCount")),
            replies=None if parent else count(about.get("totalReplyCount")),
        )

    def _is_own(self, author: Author | None) -> bool:
        return bool(self._account) and author is not None and self._account in (author.native_id.casefold(), author.handle.casefold())

    def _there(self, native_ids: Sequence[str]) -> set[str]:
        with self._trouble(datetime.now(UTC)), self._api.reading():
            answer = self._api.get("/youtube/v3/comments", {"part": "id", "id": ",".join(native_ids)})
            return {clean(item["id"]) for item in listed(answer, "items")}

    def _look(self, mark: Bookmark) -> Page:
        """Look after some of the comments of the recent past. What goes wrong here keeps nobody from hearing."""
        ids = mark.to_look_after(_LOOKS)
        gone: tuple[str, ...] = ()
        try:
            gone = self.gone(ids)
        except SourceError as err:
            log.warning("look_failed", source=self._name, why=type(err).__name__)
        mark = mark.looked_after(ids, gone, ()).onward(self._listings)
        return Page(mentions=(), cursor=mark.dump(), deleted=gone, spent=1 if ids else 0)

    @contextmanager
    def _trouble(self, now: datetime) -> Iterator[None]:
        """YouTube refuses with status 403 whoever has spent the day's quota, and with 400 whoever has a wrong key."""
        try:
            yield
        except SourceRefused as err:
            if _reason(err) in _SPENT:
                raise SourceUnavailable(
                    f"{self._name}: the day's units of YouTube's quota are spent; poll less often, or ask Google for more",
                    retry_at=_midnight(now),
                ) from err
            if _reason(err) in _HURRIED:
                raise SourceUnavailable(f"{self._name}: too many calls; YouTube does not say for how long") from err
            raise
        except Rejected as err:
            if "API key" in err.words:
                raise SourceRefused(f"{self._name}: YouTube does not know our key; check {variable(self._name, 'key')}") from err
            raise


def _query(settings: SourceSettings) -> tuple[tuple[str, ...], str]:
    """(the channels and videos, the words) that a query names. Raises `ConfigurationError`."""
    parts = settings.query.split()
    places = tuple(dict.fromkeys(part for part in parts if _CHANNEL.fullmatch(part) or _VIDEO.fullmatch(part)))
    if not places:
        raise ConfigurationError(
            f"source {settings.name!r} names no place on YouTube: set query to the id of a channel (UC…), or to video: and that of a video"
        )
    if len(places) > MOST_PLACES:
        raise ConfigurationError(f"source {settings.name!r} names {len(places)} places; one source takes {MOST_PLACES}, so make two of it")
    return places, " ".join(part for part in parts if part not in places)


def _author(said: Mapping[str, Any]) -> Author | None:
    """None where the author's channel is gone: only a name is left of it."""
    channel = said.get("authorChannelId")
    if not channel:
        return None
    name = clean(said.get("authorDisplayName") or "").strip()[:200]
    native_id = clean(identifier(channel["value"]))
    return Author(
        network=YouTubeSource.network,
        native_id=native_id,
        handle=name.removeprefix("@") or native_id,
        name=name,
        url=json_api.web_address(said.get("authorChannelUrl")),
    )


def _edited_at(said: Mapping[str, Any]) -> datetime | None:
    """A comment that was never changed was last changed when it was written."""
    changed = said.get("updatedAt")
    return moment(changed) if changed and changed != said["publishedAt"] else None


def _replies(thread: Any) -> list[Any]:
    """The replies that a thread shows, five at most."""
    below = thread.get("replies") if isinstance(thread, dict) else None
    comments = below.get("comments") if isinstance(below, dict) else None
    return comments if isinstance(comments, list) else []


def _reason(err: SourceRefused) -> str:
    """Why YouTube says that it refuses us; "" where it does not."""
    if not isinstance(err.__cause__, Denied):
        return ""
    try:
        return str(err.__cause__.answer.json()["error"]["errors"][0]["reason"])
    except (ValueError, LookupError, TypeError):
        return ""


def _midnight(now: datetime) -> datetime:
    """When the next day of the quota begins."""
    zone = ZoneInfo(_QUOTA_ZONE)
    return datetime.combine(now.astimezone(zone).date() + timedelta(days=1), time(), zone)
