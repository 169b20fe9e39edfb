"""Hacker News through Algolia's search, which needs no key but shows at most 1,000 hits a question.

Windows of time are therefore cut until each one fits, oldest first, so that the cursor only ever moves forward.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import orjson
import structlog

from earshot.errors import ReplyRefused, SourceConfused
from earshot.mention import Author, Mention
from earshot.settings import SourceSettings
from listener.json_api import JsonApi, count, listed
from listener.plain_text import clip, plain_text
from listener.source import Gap, Page, Posted
from listener.wire import DEADLINE_SECONDS, clean

API = "https://hn.algolia.com"
SITE = "https://news.ycombinator.com"
MAX_HITS = 1_000  #: that Algolia shows for one question, whatever the paging
OVERLAP = timedelta(minutes=15)  #: read again on the next poll, for the index lags behind the site
_PER_PAGE = 500

log = structlog.get_logger(__name__)


class HackerNewsSource:
    """`settings.query` in Algolia's words ("a phrase", -without); `settings.url` is another address of the search."""

    network = "hackernews"
    keys_from = ""

    def __init__(self, settings: SourceSettings, *, deadline: float = DEADLINE_SECONDS) -> None:
        self._name = settings.name
        self._query = settings.query
        self._account = settings.account.casefold()
        self._first_look = timedelta(hours=settings.first_look)
        self._api = JsonApi(settings, title="Hacker News", url=settings.url or API, key="", headers={}, deadline=deadline)

    def fetch(self, cursor: str | None, *, now: datetime) -> Page:
        """The next window of time that fits, oldest mention first. `more` while windows wait; `gap` where one second alone does not fit."""
        since, seen = self._read_cursor(cursor, now - self._first_look)
        end = int(now.timestamp()) + 1  # the second that runs is read again in the overlap
        until, hits, gap = self._window(since, max(end, since + 1))
        more = until < end
        following = until if more else max(since, until - int(OVERLAP.total_seconds()))
        oldest_first = sorted(hits, key=_time)
        mentions = [mention for hit in oldest_first if (mention := self._mention(hit, now)) is not None]
        known = {native_id: at for native_id, at in (seen | _times(hits)).items() if at >= until - OVERLAP.total_seconds()}
        return Page(
            mentions=tuple(mention for mention in mentions if mention.native_id not in seen),
            cursor=orjson.dumps({"since": following, "seen": known}).decode(),
            more=more,
            deleted=tuple(hit["objectID"] for hit in hits if _is_gone(hit)),
            gap=gap,
            spent=len(hits),
        )

    def reply(self, parent_id: str, text: str, *, key: str) -> Posted:  # noqa: ARG002 - the promise's shape
        raise ReplyRefused("Hacker News takes no replies from programs: open the comment's page and answer there by hand")

    def find_reply(self, parent_id: str, text: str) -> Posted | None:  # noqa: ARG002
        return None

    def close(self) -> None:
        self._api.close()

    def _read_cursor(self, cursor: str | None, first: datetime) -> tuple[int, dict[str, int]]:
        """(start of the next window, native id -> time of what the overlap holds)."""
        if cursor is None:
            return int(first.timestamp()), {}
        try:
            before = orjson.loads(cursor)
            since, seen = before["since"], before["seen"]
            if not all(map(_is_time, [since, *seen.values()])):
                raise ValueError("no seconds since 1970")
        except (ValueError, KeyError, TypeError, AttributeError) as err:
            raise SourceConfused(f"{self._name}: the stored cursor is not one of ours; delete it to begin again") from err
        return since, seen

    def _window(self, since: int, until: int) -> tuple[int, list[dict[str, Any]], Gap | None]:
        """The longest window from `since`, at most to `until`, whose hits can all be had: (its end, hits newest first, gap)."""
        while True:
            total, hits = self._hits(since, until)
            if total <= MAX_HITS:
                return until, hits, None
            if until - since <= 1:
                why = f"{total} hits within one second, of which the network shows {len(hits)}"
                return until, hits, Gap(since=_moment(since), until=_moment(until), why=why)
            until = since + min(max(1, (until - since) * MAX_HITS * 3 // (4 * total)), until - since - 1)

    def _hits(self, since: int, until: int) -> tuple[int, list[dict[str, Any]]]:
        """How many hits a window [since, until) has, and those of them that can be had, newest first.

        Pages shift while we turn them when a hit is deleted; what slips by is read again in the overlap.
        """
        first = self._page(since, until, 0)
        hits = list(first["hits"])
        if first["nbHits"] <= MAX_HITS or until - since <= 1:
            for number in range(1, min(first["nbPages"], -(-MAX_HITS // max(1, first["hitsPerPage"])))):
                hits += self._page(since, until, number)["hits"]
        return first["nbHits"], list({hit["objectID"]: hit for hit in hits}.values())

    def _page(self, since: int, until: int, number: int) -> dict[str, Any]:
        question = {
            "query": self._query,
            "tags": "(story,comment)",
            "numericFilters": f"created_at_i>={since},created_at_i<{until}",
            "hitsPerPage": str(_PER_PAGE),
            "page": str(number),
            "typoTolerance": "false",
            "advancedSyntax": "true",
        }
        with self._api.reading():
            return self._checked(self._api.get("/api/v1/search_by_date", question))

    def _checked(self, page: Any) -> dict[str, Any]:
        """The answer, when it has the shape that we read; hits without an id or a time are left out."""
        hits = listed(page, "hits")
        counts = {name: count(page.get(name)) for name in ("nbHits", "nbPages", "hitsPerPage")}
        if None in counts.values():
            raise TypeError("the search does not say how many hits there are")
        return {**counts, "hits": [hit for hit in hits if self._is_hit(hit)]}

    def _is_hit(self, hit: object) -> bool:
        told = hit if isinstance(hit, dict) else {}
        if _is_short(told.get("objectID")) and _is_time(told.get("created_at_i")) and _may_be_short(told.get("author")):
            return True
        native_id = str(told.get("objectID"))[:60]
        log.warning("post_skipped", source=self._name, native_id=native_id, why="no id, time or author that can be read")
        return False

    def _mention(self, hit: Mapping[str, Any], now: datetime) -> Mention | None:
        name = hit.get("author")
        text = _text(hit)
        if not name or not text or name.casefold() == self._account:
            return None
        native_id = hit["objectID"]
        return Mention(
            network=self.network,
            native_id=native_id,
            author=Author(network=self.network, native_id=name, handle=name, name=name, url=f"{SITE}/user?id={quote(name)}"),
            text=text,
            url=f"{SITE}/item?id={quote(native_id)}",
            posted_at=min(_moment(hit["created_at_i"]), now),
            thread_id=_id(hit.get("story_id")) or native_id,
            parent_id=_id(hit.get("parent_id")),
            likes=count(hit.get("points")),
            replies=count(hit.get("num_comments")),
        )


def _times(hits: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {hit["objectID"]: hit["created_at_i"] for hit in hits}


def _time(hit: Mapping[str, Any]) -> int:
    return int(hit["created_at_i"])


def _is_short(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 100 and value == clean(value)


def _may_be_short(value: object) -> bool:
    return value is None or _is_short(value)


def _is_time(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**33


def _is_gone(hit: Mapping[str, Any]) -> bool:
    """A comment that was deleted or killed stays in the index for a while, without author or text."""
    return not hit.get("author") or ("comment" in _strings(hit.get("_tags")) and not hit.get("comment_text"))


def _strings(value: object) -> Sequence[str]:
    return value if isinstance(value, list) else ()


def _text(hit: Mapping[str, Any]) -> str:
    title, story, comment = (hit.get(name) for name in ("title", "story_text", "comment_text"))
    if isinstance(comment, str):
        return plain_text(clean(comment))
    parts = (plain_text(clean(part)) for part in (title, story) if isinstance(part, str))
    return clip("\n\n".join(part for part in parts if part))


def _id(value: object) -> str | None:
    written = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return str(written) if value and _is_short(written) else None


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
