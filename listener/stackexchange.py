"""Stack Exchange: questions on Stack Overflow and its many sister sites, by tag or by words. Nothing is answered from here.

The secret `key` is optional and free: with it 10,000 calls a day instead of 300. Ids carry their site: `4711@stackoverflow`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import structlog

from earshot.errors import ConfigurationError, ReplyRefused, SourceConfused, SourceError, SourceRefused, SourceUnavailable
from earshot.mention import Author, Mention
from earshot.settings import SourceSettings
from listener import json_api
from listener.json_api import UNREADABLE, JsonApi, Rejected, count, identifier, listed
from listener.plain_text import clip, plain_text
from listener.source import Page, Posted
from listener.wire import DEADLINE_SECONDS, clean, variable

log = structlog.get_logger(__name__)

API = "https://api.stackexchange.com"
OVERLAP = timedelta(minutes=15)  #: read again on each poll, for a question shows up late
LOOK_EVERY = timedelta(hours=6)  #: between two calls that look for edits and deletions
LONGEST_WAIT = timedelta(days=1)
MOST_SEEN = 300  #: questions that a cursor remembers
_PAGE = 100
_TAG = re.compile(r"\[([^\s\[\]]+)\]")
_SITE = re.compile(r"(?<!\S)site:([a-z0-9.-]+)(?!\S)")
_SECONDS = re.compile(r"(\d+) seconds")
#: error ids of the interface: throttled, and in trouble for a while
_THROTTLED, _TROUBLE = 502, (500, 503)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cursor:
    """Questions run from old to new: `page` of those from second `since` on is next. The run began at `began` and has come to `newest`."""

    since: int
    began: int
    page: int = 1
    newest: int | None = None
    wait: int = 0  #: no call before this second
    looked: int = 0  #: when we last looked after what we had read
    last: str = ""  #: the question that was last looked after
    seen: dict[str, int] = field(default_factory=dict)  #: native id -> second of its last edit

    @classmethod
    def load(cls, cursor: str | None, *, settings: SourceSettings, now: datetime) -> _Cursor:
        if cursor is None:
            first = int((now - timedelta(hours=settings.first_look)).timestamp())
            return cls(since=first, began=first, looked=int(now.timestamp()))
        try:
            stored: Any = orjson.loads(cursor)
            seen = {str(native_id): int(edited) for native_id, edited in stored.pop("seen").items()}
            numbers = {key: int(stored[key]) for key in ("since", "began", "page", "wait", "looked")}
            newest = stored["newest"]
            return cls(**numbers, newest=None if newest is None else int(newest), last=str(stored["last"]), seen=seen)
        except (ValueError, TypeError, KeyError, AttributeError) as err:
            raise SourceConfused(f"{settings.name}: the stored cursor is not one of ours; delete it to begin again") from err

    def dump(self) -> str:
        return orjson.dumps(asdict(self)).decode()

    def follow(self, times: Sequence[int], *, has_more: bool, now: datetime) -> _Cursor:
        """Onward from the newest question of a page; by pages only within one second, so that a deletion shifts nothing past us."""
        newest = max([*times, *([] if self.newest is None else [self.newest])], default=None)
        if has_more and times:
            onward = max(times) > self.since
            return replace(self, newest=newest, since=max(*times, self.since), page=1 if onward else self.page + 1)
        until = int((now - OVERLAP).timestamp())
        since = self.began if newest is None else min(newest, until)
        return replace(self, since=since, began=since, newest=None, page=1)

    def remember(self, edits: dict[str, int], *, without: Iterable[str] = ()) -> _Cursor:
        gone = set(without)
        seen = {native_id: edited for native_id, edited in (self.seen | edits).items() if native_id not in gone}
        return replace(self, seen=dict(sorted(seen.items(), key=lambda entry: entry[1], reverse=True)[:MOST_SEEN]))

    def to_look_after(self) -> list[str]:
        ids = sorted(self.seen)
        after = [native_id for native_id in ids if native_id > self.last]
        return (after + ids[: len(ids) - len(after)])[:_PAGE]


class StackExchangeSource:
    """`settings.query` holds tags in brackets (a question must have them all), words, and `site:superuser` for another site than
    Stack Overflow. `settings.account` is our name or number there. Raises `ConfigurationError` for an empty query.
    """

    network = "stackexchange"
    keys_from = "https://stackapps.com/apps/oauth/register"

    def __init__(self, settings: SourceSettings, *, deadline: float = DEADLINE_SECONDS) -> None:
        self._settings = settings
        self._name = settings.name
        self._key = json_api.token_of(settings, "key", needed=False)
        sites = _SITE.findall(settings.query)
        self._site = sites[0] if sites else "stackoverflow"
        query = _SITE.sub(" ", settings.query)
        self._tags = _TAG.findall(query)
        self._words = " ".join(_TAG.sub(" ", query).split())
        if not self._tags and not self._words:
            raise ConfigurationError(f"source {settings.name!r} has no query; set query to tags in brackets ([acme]), words, or both")
        self._account = settings.account.strip("@ ").casefold()
        self._api = JsonApi(
            settings, title="Stack Exchange", url=settings.url or API, key="key", headers={"accept-encoding": "gzip"}, deadline=deadline
        )

    def fetch(self, cursor: str | None, *, now: datetime) -> Page:
        """The next questions, oldest first; every few hours also what became of those that were read before."""
        state = _Cursor.load(cursor, settings=self._settings, now=now)
        if now.timestamp() < state.wait:
            raise SourceUnavailable(f"{self._name}: Stack Exchange asks us to wait", retry_at=_at(min(state.wait, _in(LONGEST_WAIT, now))))
        if state.page == 1 and state.newest is None and state.seen and now.timestamp() >= state.looked + LOOK_EVERY.total_seconds():
            return self._look(state, now)
        path, params = self._question(state)
        with self._api.reading():
            body = self._get(path, params, now)
            items = listed(body, "items")
            has_more, wait = bool(body["has_more"]), _wait(body, now)
        mentions, times, edits = self._read(items, state)
        state = replace(state.follow(times, has_more=has_more, now=now).remember(edits), wait=wait)
        return Page(mentions=mentions, cursor=state.dump(), more=has_more and bool(items), spent=1)

    def reply(self, parent_id: str, text: str, *, key: str) -> Posted:  # noqa: ARG002 - the promise's shape
        raise ReplyRefused(f"{self._name}: Stack Exchange is not answered from here: open the question's page and answer there by hand")

    def find_reply(self, parent_id: str, text: str) -> Posted | None:  # noqa: ARG002
        return None

    def close(self) -> None:
        self._api.close()

    def _question(self, state: _Cursor) -> tuple[str, dict[str, str]]:
        params = {"fromdate": str(state.since), "page": str(state.page), "sort": "creation", "order": "asc"}
        params |= {"tagged": ";".join(self._tags)} if self._tags else {}
        return ("/2.3/search/advanced", params | {"q": self._words}) if self._words else ("/2.3/questions", params)

    def _get(self, path: str, params: Mapping[str, str], now: datetime) -> Any:
        given = {"site": self._site, "filter": "withbody", "pagesize": str(_PAGE), **params}
        try:
            return self._api.get(path, given | ({"key": self._key} if self._key else {}))
        except Rejected as err:
            raise self._refusal(err, now) from err

    def _refusal(self, err: Rejected, now: datetime) -> Exception:
        """Stack Exchange says everything with status 400; what it means stands in the body."""
        kind = err.body.get("error_id") if isinstance(err.body, dict) else None
        if kind == _THROTTLED:
            told = _SECONDS.search(err.words)
            pause = min(timedelta(seconds=int(told[1][:9])), LONGEST_WAIT) if told else None
            return SourceUnavailable(f"{self._name}: {err.words}", retry_at=now + pause if pause else None)
        if kind in _TROUBLE:
            return SourceUnavailable(f"{self._name}: trouble at Stack Exchange; will be tried again")
        if kind is None:
            return err
        check = variable(self._name, "key") if "key" in err.words else "query of the source"
        return SourceRefused(f"{self._name}: Stack Exchange refuses us ({err.words}); check {check}")

    def _read(self, items: Iterable[Any], state: _Cursor) -> tuple[tuple[Mention, ...], list[int], dict[str, int]]:
        """(what is new or edited, the times of all that can be read, when each was last edited)"""
        mentions: dict[str, Mention] = {}
        times, edits = [], {}
        for item in items:
            try:
                native_id = f"{identifier(item['question_id'])}@{self._site}"
                mention = self._mention(native_id, item)
                edited = int(item.get("last_edit_date") or item["creation_date"])
                is_new = state.seen.get(native_id) != edited and not self._is_own(item)
            except (*UNREADABLE, OSError) as err:
                number = item.get("question_id") if isinstance(item, dict) else None
                log.warning("post_skipped", source=self._name, native_id=f"{number}@{self._site}"[:60], why=type(err).__name__)
                continue
            times.append(int(item["creation_date"]))
            edits[native_id] = edited
            if is_new:
                mentions[native_id] = mention
        return tuple(mentions.values()), times, edits

    def _look(self, state: _Cursor, now: datetime) -> Page:
        """What became of up to a hundred questions that were read: one call tells their edits, and by silence what is gone.

        What goes wrong here keeps nobody from hearing; it is tried again in a few hours.
        """
        ids = state.to_look_after()
        state = replace(state, looked=int(now.timestamp()), last=ids[-1])
        try:
            with self._api.reading():
                body = self._get(f"/2.3/questions/{';'.join(native_id.partition('@')[0] for native_id in ids)}", {}, now)
                items, wait = listed(body, "items"), _wait(body, now)
        except SourceError as err:
            log.warning("look_failed", source=self._name, why=type(err).__name__)
            return Page(mentions=(), cursor=state.dump(), more=True, spent=1)
        mentions, _, edits = self._read(items, state)
        there = {f"{item.get('question_id')}@{self._site}" for item in items if isinstance(item, dict)}
        silent = [native_id for native_id in ids if native_id not in there and native_id.endswith(f"@{self._site}")]
        gone = tuple(silent) if there or len(ids) == 1 else ()  # that all are gone at once, an empty answer does not prove
        state = replace(state.remember(edits, without=gone), wait=wait)
        return Page(mentions=mentions, cursor=state.dump(), more=True, deleted=gone, spent=1)

    def _mention(self, native_id: str, item: Mapping[str, Any]) -> Mention:
        title, body = html.unescape(clean(item["title"])), plain_text(clean(item["body"]))
        return Mention(
            network=self.network,
            native_id=native_id,
            author=self._author(item.get("owner")),
            text=clip("\n\n".join(part for part in (title, body) if part)),
            url=json_api.web_address(item.get("link")),
            posted_at=_at(item["creation_date"]),
            edited_at=_at(item["last_edit_date"]) if item.get("last_edit_date") else None,
            thread_id=native_id,
            likes=count(item.get("score")),
            replies=count(item.get("answer_count")),
        )

    def _author(self, owner: object) -> Author | None:
        """None where the author deleted the account: only a name is left of it."""
        if not isinstance(owner, dict) or owner.get("user_id") is None or owner.get("user_type") == "does_not_exist":
            return None
        name = html.unescape(clean(owner["display_name"]))[:200]
        return Author(
            network=self.network,
            native_id=f"{identifier(owner['user_id'])}@{self._site}",
            handle=name,
            name=name,
            url=json_api.web_address(owner.get("link")),
        )

    def _is_own(self, item: Mapping[str, Any]) -> bool:
        owner = item.get("owner") or {}
        return bool(self._account) and self._account in (
            str(owner.get("user_id")),
            html.unescape(str(owner.get("display_name"))).casefold(),
        )


def _wait(body: Mapping[str, Any], now: datetime) -> int:
    """The second before which no call may be made: after a `backoff`, or with the day's quota spent after midnight; 0 for none."""
    if body.get("quota_remaining") == 0:
        return int((now.astimezone(UTC) + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0).timestamp())
    backoff = count(body.get("backoff")) or 0
    return _in(min(timedelta(seconds=backoff), LONGEST_WAIT), now) if backoff else 0


def _in(span: timedelta, now: datetime) -> int:
    return int((now + span).timestamp()) + 1


def _at(seconds: object) -> datetime:
    if isinstance(seconds, bool) or not isinstance(seconds, int):
        raise TypeError(f"seconds expected, not {type(seconds).__name__}")
    return datetime.fromtimestamp(seconds, UTC)
