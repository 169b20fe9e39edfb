"""Discourse: what is new in a forum, read as its latest posts; answers with a key of our own account there.

The secret `api_key` is a key for our account alone. Without it a forum is read as anybody reads it. Ids are those of the forum, so each
carries its host: `123@forum.example`; a topic is `topic/45@forum.example`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

import structlog

from earshot.errors import ReplyRefused, ReplyUnknown, SourceError
from earshot.mention import Author, Mention
from earshot.settings import SourceSettings
from listener import json_api
from listener.json_api import UNREADABLE, JsonApi, Rejected, count, identifier, listed, moment
from listener.newest_first import Bookmark, Shown
from listener.plain_text import clip, plain_text
from listener.source import Looks, Page, Posted
from listener.wire import DEADLINE_SECONDS, clean

log = structlog.get_logger(__name__)

#: ids that a page of an older forum spans, with whatever is not public left out of it
_SPAN = 50
#: Such pages may be empty though more lies below; after so many of them in a row it is taken for the end.
_MOST_EMPTY = 10
#: replies that a forum shows of a post at once
_REPLIES = 20
#: posts looked after on each poll, one call each
_LOOKS = 5
_LISTINGS = ("posts", "look")
_REGULAR = 1  #: post type; others are whispers among staff, and notes such as "closed this topic"
_LIKE = 2  #: post action
_WORDS = re.compile(r'"([^"]+)"|([^\s"]+)')
_TWICE = re.compile(r"too similar")


class DiscourseSource:
    """`settings.url` is the forum. `settings.query` holds words and "phrases", of which a post or its topic's title has one; empty: all.

    Posts that answer or name `settings.account` are heard whatever they say, our own never. Raises `ConfigurationError` for a missing
    address and naming the variable of a missing key.
    """

    network = "discourse"
    keys_from = "your forum, under Admin, API keys: one for a single account"
    looks = Looks(at_once=_LOOKS)

    def __init__(self, settings: SourceSettings, *, deadline: float = DEADLINE_SECONDS) -> None:
        json_api.require_account(settings)
        self._settings = settings
        self._name = settings.name
        self._account = settings.account.strip("@ ")
        self._words = [(phrase or word).casefold() for phrase, word in _WORDS.findall(settings.query)]
        key = json_api.token_of(settings, "api_key", needed=settings.replies)
        self._api = JsonApi(
            settings,
            title="Discourse",
            url=settings.url,
            key="api_key",
            headers={"api-key": key, "api-username": self._account} if key else {},
            deadline=deadline,
        )

    def fetch(self, cursor: str | None, *, now: datetime) -> Page:
        mark = Bookmark.load(cursor, settings=self._settings, now=now).begin(_LISTINGS)
        if mark.turn == "look":
            return self._look(mark)
        with self._api.reading():
            items, token = self._list(mark.token)
        shown, mentions = self._read(items, mark)
        mark = mark.follow(shown, token, listings=_LISTINGS, now=now)
        return Page(mentions=mentions, cursor=mark.dump(), more=bool(mark.turn), spent=len(items))

    def reply(self, parent_id: str, text: str, *, key: str) -> Posted:  # noqa: ARG002 - Discourse has no idempotency key
        json_api.require_replies(self._settings)
        number = self._local(parent_id)
        with self._api.preparing():
            parent = self._api.get(f"/posts/{number}.json")
            below = {"topic_id": int(parent["topic_id"]), "reply_to_post_number": int(parent["post_number"])}
        try:
            with self._api.sending(forbidden="the topic is closed, or our account may not answer in it"):
                return self._posted(self._made(self._api.post("/posts.json", {"raw": text, **below})))
        except ReplyRefused as err:
            if _TWICE.search(str(err)) and (posted := self._standing(parent_id, text)):
                return posted
            raise

    def find_reply(self, parent_id: str, text: str) -> Posted | None:
        json_api.require_replies(self._settings)
        number, wanted = self._local(parent_id), json_api.same_words(text)
        with self._api.reading():
            for reply in self._replies(number):
                if self._is_own(reply):
                    whole = self._api.get(f"/posts/{identifier(reply['id'])}.json")
                    if not _is_hidden(whole) and json_api.same_words(clean(whole["raw"])) == wanted:
                        return self._posted(whole)
        return None

    def gone(self, native_ids: Sequence[str]) -> tuple[str, ...]:
        """Those of our posts' ids that the forum does not show any more."""
        return self._visit(native_ids)[1]

    def close(self) -> None:
        self._api.close()

    # listings

    def _list(self, token: str | None) -> tuple[list[Any], str | None]:
        """A page, and how to ask for the next one: below which id, and how many empty pages came before."""
        before, _, empty = (token or "").partition("/")
        items = listed(self._api.get("/posts.json", {"before": before} if before else {}), "latest_posts")
        ids = [int(item["id"]) for item in items if isinstance(item, dict) and isinstance(item.get("id"), int)]
        if not items and (not before or int(empty or "0") >= _MOST_EMPTY):
            return items, None
        following = min(ids, default=int(before or "0") - _SPAN)
        if before and following >= int(before):
            following = int(before) - _SPAN
        return items, f"{following}/{0 if items else int(empty or '0') + 1}" if following > 0 else None

    def _read(self, items: Sequence[Any], mark: Bookmark) -> tuple[list[Shown], tuple[Mention, ...]]:
        """(what can be read of a page, what of it is new or edited and for us to hear)"""
        shown: list[Shown] = []
        mentions: dict[str, Mention] = {}
        places = _Places(self._api, items)
        for item in items:
            try:
                native_id, posted = self._global(item["id"]), moment(item["created_at"]).timestamp()
                version = count(item.get("version")) or 1
                post = Shown(native_id=native_id, at=posted, changed=posted + (version - 1) / 1000)
                if mark.is_new(post) and self._is_heard(item):
                    mentions[native_id] = self._mention(native_id, item, places)
            except UNREADABLE as err:
                number = item.get("id") if isinstance(item, dict) else None
                log.warning("post_skipped", source=self._name, native_id=f"{number}@{self._api.host}"[:60], why=type(err).__name__)
            else:
                shown += [] if _is_hidden(item) else [post]  # what a moderator lets out again is heard then
        return shown, tuple(mentions.values())

    def _is_heard(self, item: Mapping[str, Any]) -> bool:
        if item.get("post_type", _REGULAR) != _REGULAR or _is_hidden(item) or self._is_own(item):
            return False
        said = f"{_title(item)} {_raw(item)}".casefold()
        account = self._account.casefold()
        answered = item.get("reply_to_user") or {}
        is_to_us = bool(account) and (str(answered.get("username")).casefold() == account or f"@{account}" in said)
        return not self._words or is_to_us or any(word in said for word in self._words)

    def _mention(self, native_id: str, item: Mapping[str, Any], places: _Places) -> Mention:
        number, topic = int(item["post_number"]), int(item["topic_id"])
        title = _title(item) if number == 1 else ""
        parent = places.post(topic, int(item.get("reply_to_post_number") or 1)) if number > 1 else None
        return Mention(
            network=self.network,
            native_id=native_id,
            author=self._author(item),
            text=clip("\n\n".join(part for part in (title, _raw(item)) if part)),
            url=f"{self._api.url}/t/{topic}/{number}",
            posted_at=moment(item["created_at"]),
            edited_at=moment(item["updated_at"]) if (count(item.get("version")) or 1) > 1 and item.get("updated_at") else None,
            thread_id=f"topic/{topic}@{self._api.host}",
            parent_id=self._global(parent) if parent is not None else None,
            likes=next((count(done.get("count")) for done in item.get("actions_summary") or () if done.get("id") == _LIKE), None),
            replies=count(item.get("reply_count")),
        )

    def _author(self, item: Mapping[str, Any]) -> Author | None:
        """By the forum's number, for names change; None where the account is gone."""
        if item.get("user_id") is None or not item.get("username"):
            return None
        handle = clean(item["username"])
        return Author(
            network=self.network,
            native_id=self._global(item["user_id"]),
            handle=handle,
            name=clean(item.get("name") or handle)[:200],
            url=f"{self._api.url}/u/{quote(handle)}",
            is_bot=isinstance(item["user_id"], int) and item["user_id"] < 0,  # "system" and its like
        )

    # one post

    def _look(self, mark: Bookmark) -> Page:
        """Look after some of the posts of the recent past. What goes wrong here keeps nobody from hearing."""
        ids: Sequence[str] = mark.to_look_after(_LOOKS)
        there: list[Any] = []
        gone: tuple[str, ...] = ()
        mentions: tuple[Mention, ...] = ()
        try:
            there, gone = self._visit(ids)
            shown, mentions = self._read(there, mark)
        except SourceError as err:
            log.warning("look_failed", source=self._name, why=type(err).__name__)
            shown = []
        mark = mark.looked_after(ids, gone, shown).onward(_LISTINGS)
        return Page(mentions=mentions, cursor=mark.dump(), deleted=gone)

    def _visit(self, native_ids: Sequence[str]) -> tuple[list[Any], tuple[str, ...]]:
        """(what is there, the ids of what is gone)"""
        there, gone = [], []
        for native_id in native_ids:
            number, _, host = native_id.partition("@")
            if host != self._api.host or not number.isdigit():
                continue
            post = self._post(number)
            if post is None:
                gone.append(native_id)
            else:
                there.append(post)
        return there, tuple(gone)

    def _post(self, number: str) -> Any:
        """A post as the forum shows it; None where it is gone: deleted by a moderator, or emptied by its author."""
        try:
            with self._api.reading():
                post = self._api.get(f"/posts/{number}.json")
                identifier(post["id"])
        except Rejected as err:
            if err.is_gone:
                return None
            raise
        return None if _is_hidden(post) else post

    def _replies(self, number: int) -> Iterator[Mapping[str, Any]]:
        after = 1
        while True:
            replies = self._api.get(f"/posts/{number}/replies.json", {"after": str(after)})
            found = listed({"replies": replies}, "replies")
            yield from found
            last = max((int(reply["post_number"]) for reply in found), default=after)
            if len(found) < _REPLIES or last <= after:
                return
            after = last

    def _made(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        if answer.get("action") == "enqueued":
            raise ReplyRefused(f"{self._name}: our reply waits until a moderator approves it; do not send it again")
        return answer

    def _standing(self, parent_id: str, text: str) -> Posted | None:
        try:
            return self.find_reply(parent_id, text)
        except SourceError as err:
            raise ReplyUnknown(f"{self._name}: the same words are posted already, perhaps as this reply") from err

    def _posted(self, post: Mapping[str, Any]) -> Posted:
        url = f"{self._api.url}/t/{int(post['topic_id'])}/{int(post['post_number'])}"
        return Posted(native_id=self._global(post["id"]), url=url)

    def _is_own(self, item: Mapping[str, Any]) -> bool:
        return bool(self._account) and str(item.get("username")).casefold() == self._account.casefold()

    def _global(self, number: object) -> str:
        return f"{int(identifier(number))}@{self._api.host}"

    def _local(self, native_id: str) -> int:
        """Raises `ReplyRefused` for the id of another forum's post: the two cannot be told apart there."""
        number, _, host = native_id.partition("@")
        if host != self._api.host or not number.isdecimal():
            raise ReplyRefused(f"{self._name}: that post was not heard on {self._api.host}; answer it where it was heard")
        return int(number)


class _Places:
    """Which post stands at which place of a topic: found on the page, or asked for once."""

    def __init__(self, api: JsonApi, items: Iterable[Any]) -> None:
        self._api = api
        self._known: dict[tuple[object, object], object] = {}
        for item in items:
            if isinstance(item, dict) and isinstance(item.get("topic_id"), int) and isinstance(item.get("post_number"), int):
                self._known[item["topic_id"], item["post_number"]] = item.get("id")

    def post(self, topic: int, number: int) -> object:
        """None where the forum does not show that post any more."""
        if (topic, number) not in self._known:
            self._known[topic, number] = self._ask(topic, number)
        return self._known[topic, number]

    def _ask(self, topic: int, number: int) -> object:
        try:
            with self._api.reading():
                return identifier(self._api.get(f"/posts/by_number/{topic}/{number}.json")["id"])
        except Rejected:
            return None


def _is_hidden(item: Mapping[str, Any]) -> bool:
    return item.get("hidden") is True or item.get("user_deleted") is True or item.get("deleted_at") is not None


def _title(item: Mapping[str, Any]) -> str:
    return clean(item.get("topic_title") or "")


def _raw(item: Mapping[str, Any]) -> str:
    """A post as its author wrote it, or where the forum does not tell, as it shows it."""
    return clean(item["raw"]) if item.get("raw") is not None else plain_text(clean(item["cooked"]))
