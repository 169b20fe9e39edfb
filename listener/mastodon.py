"""Mastodon, and servers that speak its interface: tag timelines without a key, search and posts that speak to us with a token.

The secret `token` belongs to our account there, with the scopes read:statuses, read:search and read:notifications; to answer also
write:statuses. Ids are those of the server we read from, so each carries its host: `112@mastodon.example`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import structlog
from requests import Response

from earshot.errors import ConfigurationError, ReplyRefused, SourceConfused, SourceError
from earshot.mention import Author, Mention
from earshot.settings import SourceSettings
from listener import json_api
from listener.json_api import UNREADABLE, JsonApi, Rejected, count, host_of, identifier, listed, moment
from listener.live import Live, poll_cursor
from listener.mastodon_stream import MastodonStream
from listener.newest_first import Bookmark, Shown
from listener.plain_text import clip, plain_text
from listener.source import Looks, Page, Posted, Thread
from listener.threads import in_reading_order
from listener.wire import DEADLINE_SECONDS, clean

log = structlog.get_logger(__name__)

SERVER = "https://mastodon.social"
MOST_TAGS = 5  #: that one timeline takes: one, and four beside it
_PAGE = 40
#: Search counts what it skips, and posts vanish meanwhile: so far apart its pages begin, less than a page.
_SEARCH_STEP = 35
#: posts looked after on each poll: in one call where the server can, else so many by themselves
_LOOKS, _SINGLE_LOOKS = 20, 5
_PUBLIC = ("public", "unlisted")
_TAG = re.compile(r"#(\w+)")


class MastodonSource:
    """`settings.query` names tags ("#acme #acmehub": posts with either), or holds words for Mastodon's own search, which need a token.

    `settings.url` is the server, mastodon.social by default. With `settings.account` and a token, posts that speak to our account are
    heard too. Only public and unlisted posts are; our own never. Raises `ConfigurationError` naming the variable of a missing token.
    """

    network = "mastodon"
    keys_from = "the settings of your account there, under Development"
    looks = Looks(at_once=_LOOKS)
    streams = True
    most_around = 0

    def __init__(self, settings: SourceSettings, *, deadline: float = DEADLINE_SECONDS) -> None:
        json_api.require_account(settings)
        self._settings = settings
        self._name = settings.name
        self._query = settings.query.strip()
        self._tags = _tags(settings)
        token = json_api.token_of(settings, "token", needed=settings.replies or settings.stream or not self._tags)
        self._api = JsonApi(
            settings,
            title="Mastodon",
            url=settings.url or SERVER,
            key="token",
            headers={"authorization": f"Bearer {token}"} if token else {},
            deadline=deadline,
        )
        account = settings.account.strip("@ ").casefold()
        self._account = account.removesuffix(f"@{self._api.host}")
        self._live = self._make_live(token, deadline) if settings.stream else None
        self._listings = ("tag" if self._tags else "search", *(("mentions",) if token and account else ()), "look")

    def fetch(self, cursor: str | None, *, now: datetime) -> Page:
        return self._live.fetch(cursor, now=now) if self._live else self._poll(poll_cursor(cursor), now=now, reads=None)

    def _poll(self, cursor: str | None, *, now: datetime, reads: int | None) -> Page:  # noqa: ARG002 - Mastodon counts no reads
        mark = Bookmark.load(cursor, settings=self._settings, now=now).begin(self._listings)
        if mark.turn == "look":
            return self._look(mark)
        with self._api.reading():
            items, token = self._list(mark.turn, mark.token)
        shown, statuses = self._read(items)
        fresh = [status for post, status in zip(shown, statuses, strict=True) if mark.is_new(post)]
        mentions, hidden = self._mentions(fresh)
        mark = mark.follow(shown, token, listings=self._listings, now=now)
        return Page(mentions=mentions, cursor=mark.dump(), more=bool(mark.turn), deleted=hidden, spent=len(items))

    def reply(self, parent_id: str, text: str, *, key: str) -> Posted:
        json_api.require_replies(self._settings)
        if not text.strip():
            raise ReplyRefused(f"{self._name}: there is nothing in this reply")
        with self._api.preparing():
            parent = self._api.get(f"/api/v1/statuses/{self._local(parent_id)}")
            visibility, handle = str(parent["visibility"]), clean(parent["account"]["acct"])
        if visibility not in _PUBLIC:
            raise ReplyRefused(f"{self._name}: the post is not public any more, so that it is not answered in public")
        # Only who is named is told of a reply.
        named = text if f"@{handle}".casefold() in text.casefold() else f"@{handle} {text}"
        body = {"status": named, "in_reply_to_id": self._local(parent_id), "visibility": visibility}
        with self._api.sending():
            return self._posted(self._api.post("/api/v1/statuses", body, headers={"idempotency-key": key}))

    def find_reply(self, parent_id: str, text: str) -> Posted | None:
        """Raises `SourceConfused` where the parent is gone: what stands below it is not shown then."""
        json_api.require_replies(self._settings)
        wanted = json_api.same_words(text)
        with self._api.reading():
            for status in listed(self._context(self._local(parent_id)), "descendants"):
                is_below = status["in_reply_to_id"] == self._local(parent_id) and self._is_own(status["account"])
                if is_below and json_api.same_words(_text(status)) == wanted:
                    return self._posted(status)
        return None

    def gone(self, native_ids: Sequence[str]) -> tuple[str, ...]:
        """Those of our posts' ids that the server does not show any more: deleted, made private, or their author suspended."""
        return self._visit(native_ids, most_alone=len(native_ids))[1]

    def around(self, native_id: str, *, thread_id: str | None) -> Thread:
        """What the server shows above and below the post."""
        local_id = native_id.partition("@")[0]
        if native_id != f"{local_id}@{self._api.host}" or not local_id.isalnum():
            raise SourceConfused(f"{self._name}: that post was not heard on {self._api.host}")
        try:
            with self._api.reading():
                post, context = self._api.get(f"/api/v1/statuses/{local_id}"), self._context(local_id)
                statuses = [*listed(context, "ancestors"), post, *listed(context, "descendants")]
        except Rejected as err:
            if err.is_gone:
                raise SourceConfused(f"{self._name}: Mastodon shows nothing of this conversation any more") from err
            raise
        mentions = []
        for status in statuses:
            try:
                if _is_public(status):
                    mentions.append(self._mention(status, thread_id or native_id))
            except UNREADABLE as err:
                self._skip(status, type(err).__name__)
        left_out = "" if len(mentions) == len(statuses) else "posts that are not public, or that we cannot read, are left out"
        return Thread(mentions=in_reading_order(mentions, around=native_id), left_out=left_out)

    def close(self) -> None:
        self._api.close()
        if self._live:
            self._live.close()

    def _make_live(self, token: str, deadline: float) -> Live:
        if not self._tags:
            raise ConfigurationError(f"source {self._name!r}: Mastodon streams tags only; set query to tags, or take stream = true away")
        stream = MastodonStream(
            self._settings,
            api=self._api,
            token=token,
            tags=self._tags,
            understand=self._mentions,
            name_post=self._global,
            deadline=deadline,
        )
        return Live(self._settings, poll=self._poll, stream=stream, deadline=deadline)

    # listings

    def _list(self, listing: str, token: str | None) -> tuple[list[Any], str | None]:
        """A page, and how to ask for the next one; None behind an empty page only, for servers hide posts after they counted them."""
        params: dict[str, str | Sequence[str]] = {"limit": str(_PAGE)}
        if listing == "search":
            params |= {"q": self._query, "type": "statuses", "offset": token or "0"}
            items = listed(self._api.get("/api/v2/search", params), "statuses")
            return items, str(int(token or "0") + _SEARCH_STEP) if items else None
        params |= {"max_id": token} if token else {}
        if listing == "tag":
            first, *others = self._tags
            answer = self._api.ask(f"/api/v1/timelines/tag/{quote(first)}", params | ({"any[]": others} if others else {}))
        else:
            answer = self._api.ask("/api/v1/notifications", params | {"types[]": ["mention"]})
        items = listed(self._api.read(answer))
        return items, _next(answer, items)

    def _read(self, items: Iterable[Any]) -> tuple[list[Shown], list[Mapping[str, Any]]]:
        """What can be read of a page, each with the status it shows. A notification is listed by its own time."""
        shown, statuses = [], []
        for item in items:
            try:
                status = item.get("status", item)
                posted = moment(item["created_at"]).timestamp()
                edited = moment(status.get("edited_at") or status["created_at"]).timestamp()
                shown.append(Shown(native_id=self._global(status["id"]), at=posted, changed=edited))
            except UNREADABLE as err:
                self._skip(item, type(err).__name__)
            else:
                statuses.append(status)
        return shown, statuses

    def _mentions(self, statuses: Sequence[Mapping[str, Any]]) -> tuple[tuple[Mention, ...], tuple[str, ...]]:
        """The mentions among these statuses, and the ids of those that are hidden since their author was suspended."""
        mentions: dict[str, Mention] = {}
        hidden = []
        roots = _Roots(self, statuses)
        for status in statuses:
            try:
                if (status.get("account") or {}).get("suspended") is True:
                    hidden.append(self._global(status["id"]))
                elif _is_public(status) and not self._is_own(status["account"]):
                    mention = self._mention(status, self._global(roots.of(status)))
                    mentions[mention.native_id] = mention
            except UNREADABLE as err:
                self._skip(status, type(err).__name__)
        return tuple(mentions.values()), tuple(hidden)

    def _mention(self, status: Mapping[str, Any], thread_id: str) -> Mention:
        parent, original = status.get("in_reply_to_id"), status.get("reblog")
        return Mention(
            network=self.network,
            native_id=self._global(status["id"]),
            author=self._author(status),
            text=_text(original or status),
            url=json_api.web_address(status.get("url")) or json_api.web_address(status["uri"]),
            posted_at=moment(status["created_at"]),
            edited_at=moment(status["edited_at"]) if status.get("edited_at") else None,
            thread_id=thread_id,
            parent_id=self._global(parent) if parent else None,
            repost_of=self._global(original["id"]) if original else None,
            lang_hint=json_api.language(status.get("language")),
            likes=count(status.get("favourites_count")),
            reposts=count(status.get("reblogs_count")),
            replies=count(status.get("replies_count")),
        )

    def _author(self, status: Mapping[str, Any]) -> Author:
        """Who wrote it, by the address that never changes. Raises `ValueError` where post and author come from different places."""
        account = status["account"]
        origin, claimed = host_of(status["uri"]), _homes(account)
        if not origin or origin not in claimed:
            raise ValueError("the author does not belong to the post's origin")
        handle = clean(account["acct"])
        return Author(
            network=self.network,
            native_id=json_api.web_address(account.get("uri")) or self._global(account["id"]),
            handle=handle,
            name=clean(account.get("display_name") or handle)[:200],
            bio=plain_text(clean(account.get("note") or "")),
            url=json_api.web_address(account.get("url")),
            followers=count(account.get("followers_count")),
            following=count(account.get("following_count")),
            posts=count(account.get("statuses_count")),
            is_bot=account.get("bot") is True,
            created_at=moment(account["created_at"]) if account.get("created_at") else None,
        )

    def _skip(self, item: object, why: str) -> None:
        status = item.get("status", item) if isinstance(item, dict) else {}
        native_id = f"{status.get('id')}@{self._api.host}" if isinstance(status, dict) else ""
        log.warning("post_skipped", source=self._name, native_id=native_id[:60], why=why)

    # one post

    def _look(self, mark: Bookmark) -> Page:
        """Look after some of the posts of the recent past. What goes wrong here keeps nobody from hearing."""
        ids: Sequence[str] = mark.to_look_after(_LOOKS)
        there: list[Any] = []
        gone: tuple[str, ...] = ()
        try:
            there, gone = self._visit(ids, most_alone=_SINGLE_LOOKS)
            ids = ids if there else ids[:_SINGLE_LOOKS]
        except SourceError as err:
            log.warning("look_failed", source=self._name, why=type(err).__name__)
        shown, statuses = self._read(there)
        edited = [status for post, status in zip(shown, statuses, strict=True) if mark.is_new(post)]
        mentions, hidden = self._mentions(edited)
        mark = mark.looked_after(ids, gone, shown).onward(self._listings)
        return Page(mentions=mentions, cursor=mark.dump(), deleted=(*gone, *hidden))

    def _visit(self, native_ids: Sequence[str], *, most_alone: int) -> tuple[list[Any], tuple[str, ...]]:
        """(the statuses that are there, the ids of those that are gone). A server that knows no batches is asked for `most_alone`."""
        local = {self._local(native_id): native_id for native_id in native_ids if native_id.endswith(f"@{self._api.host}")}
        try:
            found = listed(self._api.get("/api/v1/statuses", {"id[]": list(local)})) if local else []
        except (Rejected, TypeError):
            found = []
        there = {str(status.get("id")): status for status in found if isinstance(status, dict) and status.get("visibility") in _PUBLIC}
        absent = [key for key in local if key not in there]
        gone = tuple(local[key] for key in (absent if there else absent[:most_alone]) if self._is_gone(key))
        return list(there.values()), gone

    def _is_gone(self, local_id: str) -> bool:
        try:
            with self._api.reading():
                return not _is_public(self._api.get(f"/api/v1/statuses/{local_id}"))
        except Rejected as err:
            if err.is_gone:
                return True
            raise

    def _context(self, local_id: str) -> Any:
        return self._api.get(f"/api/v1/statuses/{local_id}/context")

    def root(self, local_id: str, parent_id: str) -> str:
        """The first post of the thread in which `local_id` answers `parent_id`, as far as the server shows it."""
        try:
            with self._api.reading():
                ancestors = listed(self._context(local_id), "ancestors")
                return identifier(ancestors[0]["id"]) if ancestors else parent_id
        except Rejected:
            return parent_id

    def _posted(self, status: Mapping[str, Any]) -> Posted:
        return Posted(native_id=self._global(status["id"]), url=json_api.web_address(status.get("url")))

    def _is_own(self, account: Mapping[str, Any]) -> bool:
        return bool(self._account) and str(account["acct"]).casefold() == self._account

    def _global(self, local_id: object) -> str:
        return f"{clean(identifier(local_id))}@{self._api.host}"

    def _local(self, native_id: str) -> str:
        """Raises `ReplyRefused` for the id of another server's post: the two cannot be told apart there."""
        local_id, _, host = native_id.partition("@")
        if host != self._api.host or not local_id.isalnum():
            raise ReplyRefused(f"{self._name}: that post was not heard on {self._api.host}; answer it where it was heard")
        return local_id


class _Roots:
    """The first posts of the threads of a batch: found inside it, or asked for once for each parent that is not in it."""

    def __init__(self, source: MastodonSource, statuses: Iterable[Mapping[str, Any]]) -> None:
        self._source = source
        self._parents = {status["id"]: status.get("in_reply_to_id") for status in statuses}
        self._known: dict[str, str] = {}

    def of(self, status: Mapping[str, Any]) -> str:
        top, passed = identifier(status["id"]), set()
        while (parent := self._parents.get(top)) in self._parents and parent not in passed:
            passed.add(top)
            top = identifier(parent)
        if not parent:
            return top
        if parent not in self._known:
            self._known[parent] = self._source.root(top, identifier(parent))
        return self._known[parent]


def _tags(settings: SourceSettings) -> list[str]:
    """The tags that a query of tags alone names; none for a query of other words. Raises `ConfigurationError`."""
    words = settings.query.split()
    if not words:
        raise ConfigurationError(
            f"source {settings.name!r} has no query; set query to tags (#acme #acmehub) or words to look for on Mastodon"
        )
    tags = [tag[1] for word in words if (tag := _TAG.fullmatch(word))]
    if len(tags) < len(words):
        return []
    if len(tags) > MOST_TAGS:
        raise ConfigurationError(f"source {settings.name!r} names {len(tags)} tags; one source takes {MOST_TAGS}, so make two of it")
    return tags


def _next(answer: Response, items: Sequence[Any]) -> str | None:
    """The `max_id` of the next page: what the Link header says, else the smallest id. Of the address nothing else is believed."""
    if not items:
        return None
    there = urlsplit(answer.links.get("next", {}).get("url", "")).query
    named = parse_qs(there).get("max_id", [])
    ids = [str(item["id"]) for item in items if isinstance(item, dict) and isinstance(item.get("id"), str | int)]
    smallest = min(ids, key=lambda local_id: (len(local_id), local_id), default=None)
    return named[0] if named else smallest


def _is_public(status: Mapping[str, Any]) -> bool:
    return status["visibility"] in _PUBLIC


def _homes(account: Mapping[str, Any]) -> set[str]:
    """The hosts that may speak for an account: that of its address, or where a server does not tell it, of its page and its handle."""
    if account.get("uri"):
        return {host_of(account["uri"])}
    return {host_of(account.get("url")), clean(account["acct"]).partition("@")[2].lower()}


def _text(status: Mapping[str, Any]) -> str:
    """The warning that stands before a post, if any, and the post."""
    parts = clean(status.get("spoiler_text") or ""), plain_text(clean(status["content"]))
    return clip("\n\n".join(part for part in parts if part))
