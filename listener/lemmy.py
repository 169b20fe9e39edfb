"""Lemmy: everything new in a community, or what a server's search finds, without a key; answers with a token.

The secret `token` is the one that Lemmy gives our account when it signs in. Ids are those of the server we read from, so each carries its
host: `post/12@lemmy.example`, `comment/34@lemmy.example`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog
from msgspec import structs

from earshot.errors import ConfigurationError, ReplyRefused, SourceConfused, SourceError, SourceRefused, SourceUnavailable
from earshot.mention import Author, Mention
from earshot.settings import SourceSettings
from listener import json_api
from listener.json_api import UNREADABLE, JsonApi, Rejected, count, host_of, identifier, listed, moment
from listener.newest_first import Bookmark, Shown
from listener.plain_text import clip
from listener.source import Looks, Page, Posted, Thread
from listener.threads import in_reading_order
from listener.wire import DEADLINE_SECONDS, clean, variable

log = structlog.get_logger(__name__)

SERVER = "https://lemmy.world"
_PAGE = 50
#: posts looked after on each poll, one call each
_LOOKS = 5
_PLACE = re.compile(r"(?<!\S)!(\w+(?:@[\w.:-]+)?)(?!\S)")
_NATIVE = re.compile(r"(post|comment)/(\d{1,20})@(.+)")
#: Marks the page numbers of a second reading.
_AGAIN = "again "
_LIMITED, _NOT_SIGNED_IN = "rate_limit_error", ("not_logged_in", "incorrect_login")
_GONE = ("couldnt_find_post", "couldnt_find_comment", "not_found", "deleted")


class LemmySource:
    """`settings.query` names a community ("!lumifern@lemmy.world": everything in it), words for Lemmy's search, or both.

    `settings.url` is the server, lemmy.world by default. With words, a token and `settings.account`, comments that answer ours are heard
    too. Our own posts never are. Raises `ConfigurationError` for a query of nothing and naming the variable of a missing token.
    """

    network = "lemmy"
    keys_from = "your server, as the token it gives when your account signs in"
    looks = Looks(at_once=_LOOKS)
    most_around = 0

    def __init__(self, settings: SourceSettings, *, deadline: float = DEADLINE_SECONDS) -> None:
        json_api.require_account(settings)
        self._settings = settings
        self._name = settings.name
        self._place, self._words = _query(settings)
        token = json_api.token_of(settings, "token", needed=settings.replies)
        self._api = JsonApi(
            settings,
            title="Lemmy",
            url=settings.url or SERVER,
            key="token",
            headers={"authorization": f"Bearer {token}"} if token else {},
            deadline=deadline,
        )
        self._account = settings.account.strip("@ ").casefold().removesuffix(f"@{self._api.host}")
        self._listings = ("posts", "comments", *(("replies",) if token and self._account and self._words else ()), "look")

    def fetch(self, cursor: str | None, *, now: datetime) -> Page:
        mark = Bookmark.load(cursor, settings=self._settings, now=now).begin(self._listings)
        if mark.turn == "look":
            return self._look(mark)
        try:
            with self._trouble(), self._api.reading():
                items, token = self._list(mark.turn, mark.token)
        except Rejected:
            if mark.token is None:
                raise
            log.info("run_restarted", source=self._name)  # the post that the next page hangs on was purged
            return Page(mentions=(), cursor=replace(mark, token=None, newest=None).dump())
        shown, mentions, gone = self._read(items, mark)
        mark = mark.follow(shown, token, listings=self._listings, now=now, once_more=_once_more(mark.token))
        return Page(mentions=mentions, cursor=mark.dump(), more=bool(mark.turn), deleted=gone, spent=len(items))

    def reply(self, parent_id: str, text: str, *, key: str) -> Posted:  # noqa: ARG002 - Lemmy has no idempotency key
        json_api.require_replies(self._settings)
        if not text.strip():
            raise ReplyRefused(f"{self._name}: there is nothing in this reply")
        kind, number = self._local(parent_id)
        body: dict[str, Any] = {"content": text, "post_id": number}
        if kind == "comment":
            with self._api.preparing(), self._trouble():
                comment = self._api.get("/api/v3/comment", {"id": str(number)})["comment_view"]["comment"]
                body |= {"post_id": int(comment["post_id"]), "parent_id": number}
        with self._api.sending(), self._trouble():
            return self._posted(self._api.post("/api/v3/comment", body)["comment_view"]["comment"])

    def find_reply(self, parent_id: str, text: str) -> Posted | None:
        """Among the last fifty comments of our account."""
        json_api.require_replies(self._settings)
        self._local(parent_id)
        wanted = json_api.same_words(text)
        with self._trouble(), self._api.reading():
            ours = self._api.get("/api/v3/user", {"username": self._account, "sort": "New", "limit": str(_PAGE)})
            for item in listed(ours, "comments"):
                comment = item["comment"]
                is_there = not comment.get("deleted") and not comment.get("removed")
                if is_there and self._parent(comment) == parent_id and json_api.same_words(clean(comment["content"])) == wanted:
                    return self._posted(comment)
        return None

    def gone(self, native_ids: Sequence[str]) -> tuple[str, ...]:
        """Those of our posts' and comments' ids that were deleted or removed."""
        return self._visit(native_ids)[1]

    def around(self, native_id: str, *, thread_id: str | None) -> Thread:
        """The post, and the oldest comments below it."""
        root = _NATIVE.fullmatch(thread_id or native_id)
        if root is None or root[1] != "post" or root[3] != self._api.host:
            raise SourceConfused(f"{self._name}: that is no post that was heard on {self._api.host}")
        post = self._view("post", root[2])
        ask = {"post_id": root[2], "type_": "All", "sort": "Old", "max_depth": "8", "limit": str(_PAGE)}
        with self._trouble(), self._api.reading():
            comments = listed(self._api.get("/api/v3/comment/list", ask), "comments")
        mentions = []
        for item in comments if post is None else [post, *comments]:
            try:
                shown_id, said = self._said(item)
                mention = self._mention(shown_id, item, said)
                mentions.append(structs.replace(mention, text="") if _is_gone(said) else mention)
            except UNREADABLE as err:
                self._skip(item, type(err).__name__)
        if not mentions:
            raise SourceConfused(f"{self._name}: Lemmy shows nothing of this conversation any more")
        left_out = f"Lemmy gives the oldest {_PAGE} comments of a post" if len(comments) >= _PAGE else ""
        return Thread(mentions=in_reading_order(mentions, around=native_id), left_out=left_out)

    def close(self) -> None:
        self._api.close()

    # listings

    def _list(self, listing: str, token: str | None) -> tuple[list[Any], str | None]:
        """A page, and how to ask for the next one: by a cursor of the server's where it gives one, else by number."""
        number = (token or "1").removeprefix(_AGAIN)
        place = {"community_name": self._place} if self._place else {}
        params = {"sort": "New", "limit": str(_PAGE)} | ({"page": number} if number.isdigit() else {"page_cursor": number})
        if listing == "replies":
            answer = self._api.get("/api/v3/user/replies", params | {"unread_only": "false"})
        elif self._words:
            ask = {"q": self._words, "type_": listing.capitalize(), "listing_type": "All"}
            answer = self._api.get("/api/v3/search", params | place | ask)
        else:
            answer = self._api.get(f"/api/v3/{listing[:-1]}/list", params | place | {"type_": "All"})
        items = listed(answer, listing)
        if not items:
            return items, None
        following = answer.get("next_page")
        if isinstance(following, str) and following and not following.isdigit():
            return items, following
        return items, f"{_AGAIN if (token or '').startswith(_AGAIN) else ''}{int(number) + 1}"

    def _read(self, items: Iterable[Any], mark: Bookmark) -> tuple[list[Shown], tuple[Mention, ...], tuple[str, ...]]:
        """(what can be read of a page, what of it is new or edited and not our own, the ids of what is gone)"""
        shown, gone = [], []
        mentions: dict[str, Mention] = {}
        for item in items:
            try:
                native_id, said = self._said(item)
                posted, edited = moment(said["published"]), moment(said.get("updated") or said["published"])
                is_gone = _is_gone(said)
                post = Shown(native_id=native_id, at=posted.timestamp(), changed=edited.timestamp() + is_gone)
                if is_gone and mark.is_new(post):
                    gone.append(native_id)
                elif mark.is_new(post) and not self._is_own(item["creator"]):
                    mentions[native_id] = self._mention(native_id, item, said)
            except UNREADABLE as err:
                self._skip(item, type(err).__name__)
            else:
                shown.append(post)
        return shown, tuple(mentions.values()), tuple(gone)

    def _said(self, item: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """The native id of a post or comment, and what it says itself."""
        kind = "comment" if "comment" in item else "post"
        said: Mapping[str, Any] = item[kind]
        return f"{kind}/{int(identifier(said['id']))}@{self._api.host}", said

    def _mention(self, native_id: str, item: Mapping[str, Any], said: Mapping[str, Any]) -> Mention:
        is_comment, counts = "comment" in item, item.get("counts") or {}
        texts = (said["content"],) if is_comment else (said["name"], said.get("body") or "")
        return Mention(
            network=self.network,
            native_id=native_id,
            author=self._author(item["creator"], said),
            text=clip("\n\n".join(part for part in map(clean, texts) if part)),
            url=f"{self._api.url}/{native_id.partition('@')[0]}",
            posted_at=moment(said["published"]),
            edited_at=moment(said["updated"]) if said.get("updated") else None,
            thread_id=f"post/{int(said['post_id'])}@{self._api.host}" if is_comment else native_id,
            parent_id=self._parent(said) if is_comment else None,
            likes=count(counts.get("upvotes")),
            replies=count(counts.get("child_count" if is_comment else "comments")),
        )

    def _author(self, creator: Mapping[str, Any], said: Mapping[str, Any]) -> Author | None:
        """Who wrote it, by an address that never changes; None for a deleted account. Raises `ValueError` for somebody else's post."""
        address = json_api.web_address(creator["actor_id"])
        if not address or host_of(address) != host_of(said["ap_id"]):
            raise ValueError("the author does not belong to the post's origin")
        if creator.get("deleted") is True:
            return None
        name, host = clean(creator["name"]), host_of(address)
        return Author(
            network=self.network,
            native_id=address,
            handle=name if host == self._api.host else f"{name}@{host}",
            name=clean(creator.get("display_name") or name)[:200],
            bio=clip(clean(creator.get("bio") or "")),
            url=address,
            is_bot=creator.get("bot_account") is True,
            created_at=moment(creator["published"]) if creator.get("published") else None,
        )

    def _parent(self, comment: Mapping[str, Any]) -> str:
        """From a path such as "0.12.34": comment 34 answers comment 12; at "0.12", comment 12 answers the post."""
        above = clean(comment["path"]).split(".")[1:-1]
        return f"comment/{int(above[-1])}@{self._api.host}" if above else f"post/{int(comment['post_id'])}@{self._api.host}"

    def _skip(self, item: object, why: str) -> None:
        kind = "comment" if isinstance(item, dict) and "comment" in item else "post"
        said = item.get(kind) if isinstance(item, dict) else None
        number = said.get("id") if isinstance(said, dict) else None
        log.warning("post_skipped", source=self._name, native_id=f"{kind}/{number}@{self._api.host}"[:60], why=why)

    # one post

    def _look(self, mark: Bookmark) -> Page:
        """Look after some of the posts of the recent past. What goes wrong here keeps nobody from hearing."""
        ids: Sequence[str] = mark.to_look_after(_LOOKS)
        there: list[Any] = []
        gone: tuple[str, ...] = ()
        try:
            there, gone = self._visit(ids)
        except SourceError as err:
            log.warning("look_failed", source=self._name, why=type(err).__name__)
        shown, mentions, _ = self._read(there, mark)
        mark = mark.looked_after(ids, gone, shown).onward(self._listings)
        return Page(mentions=mentions, cursor=mark.dump(), deleted=gone)

    def _visit(self, native_ids: Sequence[str]) -> tuple[list[Any], tuple[str, ...]]:
        """(what is there, the ids of what is gone)"""
        there, gone = [], []
        for native_id in native_ids:
            found = _NATIVE.fullmatch(native_id)
            if found is None or found[3] != self._api.host:
                continue
            view = self._view(found[1], found[2])
            if view is None:
                gone.append(native_id)
            else:
                there.append(view)
        return there, tuple(gone)

    def _view(self, kind: str, number: str) -> Any:
        """A post or comment as the server shows it; None where it is gone."""
        try:
            with self._trouble(), self._api.reading():
                view = self._api.get(f"/api/v3/{kind}", {"id": number})[f"{kind}_view"]
                said = view[kind]
                is_gone = said["deleted"] is True or said["removed"] is True
        except Rejected as err:
            if err.is_gone or err.words in _GONE:
                return None
            raise
        return None if is_gone else view

    def _posted(self, comment: Mapping[str, Any]) -> Posted:
        number = int(identifier(comment["id"]))
        return Posted(native_id=f"comment/{number}@{self._api.host}", url=f"{self._api.url}/comment/{number}")

    def _is_own(self, creator: Mapping[str, Any]) -> bool:
        return bool(self._account) and host_of(creator["actor_id"]) == self._api.host and str(creator["name"]).casefold() == self._account

    def _local(self, native_id: str) -> tuple[str, int]:
        """Raises `ReplyRefused` for the id of another server's post: the two cannot be told apart there."""
        found = _NATIVE.fullmatch(native_id)
        if found is None or found[3] != self._api.host:
            raise ReplyRefused(f"{self._name}: that post was not heard on {self._api.host}; answer it where it was heard")
        return found[1], int(found[2])

    @contextmanager
    def _trouble(self) -> Iterator[None]:
        """Lemmy says nearly everything with status 400; what it means stands in the body."""
        try:
            yield
        except Rejected as err:
            if err.words == _LIMITED:
                raise SourceUnavailable(f"{self._name}: too many calls; Lemmy does not say for how long") from err
            if err.words in _NOT_SIGNED_IN:
                check = variable(self._name, "token")
                raise SourceRefused(f"{self._name}: Lemmy does not know us any more ({err.words}); sign in again and set {check}") from err
            raise


def _is_gone(said: Mapping[str, Any]) -> bool:
    return said.get("deleted") is True or said.get("removed") is True


def _query(settings: SourceSettings) -> tuple[str, str]:
    """(the community, the words) that a query names. Raises `ConfigurationError`."""
    places, words = _PLACE.findall(settings.query), " ".join(_PLACE.sub(" ", settings.query).split())
    if len(places) > 1:
        raise ConfigurationError(
            f"source {settings.name!r} names {len(places)} communities; one source reads one, so make {len(places)} of it"
        )
    if not places and not words:
        raise ConfigurationError(f"source {settings.name!r} has no query; set query to a community (!name@server), words, or both")
    return (places[0] if places else ""), words


def _once_more(token: str | None) -> str | None:
    """Pages by number move up when a post above them vanishes, so a run of several of them is read twice."""
    return f"{_AGAIN}1" if token is not None and token.isdigit() else None
