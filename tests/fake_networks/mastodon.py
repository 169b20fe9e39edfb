"""A server that speaks the part of Mastodon's interface that listening and answering need.

GET /api/v1/timelines/tag/:tag, /api/v1/streaming/hashtag, /api/v2/instance, /api/v2/search, /api/v1/notifications, /api/v1/statuses,
/api/v1/statuses/:id and its /context; POST /api/v1/statuses. A post carries its place as a tag.
"""

from __future__ import annotations

import asyncio
import html
import itertools
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from fake_networks.server_world import ServerWorld
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from earshot.demo.networks.world import Person, Post, Refused

HOST = "127.0.0.1"
LONGEST = 500
_LINK = re.compile(r"(https?://)([^\s<>]+)")
_HANDLE = re.compile(r"(?<![\w/])@(\w+)")

Handler = Callable[[Request], Awaitable[Response]]


def world(clock: Callable[[], datetime]) -> ServerWorld:
    """Ids are times: a post that the server heard of late stands among those of its own time."""
    counted = itertools.count()
    return ServerWorld(
        "mastodon",
        keys=["token"],
        name_post=lambda number, _: f"{number}@{HOST}",
        number=lambda at, _: (int(at.timestamp() * 1000) << 16) + next(counted),
        clock=clock,
    )


def app(world: ServerWorld, *, most: int = 40, left: int | None = None, knows_batches: bool = True) -> Mastodon:
    return Mastodon(world, most=most, left=left, knows_batches=knows_batches)


class Mastodon(Starlette):
    """`most`: posts of a page. `left`: calls until the window ends. A test fills `visibility`, `warnings` and `changes`, by native id."""

    def __init__(self, world: ServerWorld, *, most: int, left: int | None, knows_batches: bool) -> None:
        self.world = world
        self.most = most
        self.left = left
        self.thump = 15.0  #: seconds between two signs of life of a stream
        self.visibility: dict[str, str] = {}
        self.warnings: dict[str, str] = {}
        self.changes: dict[str, dict[str, Any]] = {}  #: what a status says otherwise
        self.keys: dict[str, str] = {}  #: idempotency key -> native id
        routes = {
            "/api/v1/timelines/tag/{tag}": self.tag,
            "/api/v1/streaming/hashtag": self.stream,
            "/api/v2/instance": self.instance,
            "/api/v2/search": self.search,
            "/api/v1/notifications": self.notifications,
            "/api/v1/statuses/{id}": self.status,
            "/api/v1/statuses/{id}/context": self.context,
        } | ({"/api/v1/statuses": self.statuses} if knows_batches else {})
        super().__init__(
            routes=[
                Route("/api/v1/statuses", self.signed(self.publish), methods=["POST"]),
                *(Route(path, self.signed(handler)) for path, handler in routes.items()),
            ]
        )

    def signed(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            given = request.headers.get("authorization", "")
            caller = self.world.bearer("mastodon", given.removeprefix("Bearer "))
            if given and caller is None:
                return _error(401, "The access token is invalid")
            request.state.caller = caller
            await request.body()  # kept by the request: nobody waits for a slow sender under the lock
            with self.world.still():
                answer = await handler(request)
            if self.left is not None:
                self.left -= 1
                answer.headers["X-RateLimit-Remaining"] = str(self.left)
                answer.headers["X-RateLimit-Reset"] = "2999-01-01T00:00:00.000000Z"
            return answer

        return endpoint

    # reading

    async def tag(self, request: Request) -> Response:
        tags = {request.path_params["tag"].lower(), *(tag.lower() for tag in request.query_params.getlist("any[]"))}
        posts = [post for post in self._listed() if post.place.lower() in tags and self._visibility(post) == "public"]
        return self._page(request, [(_number(post), self._status(request, post)) for post in posts])

    async def instance(self, request: Request) -> Response:
        streaming = str(request.base_url).replace("http", "ws", 1).rstrip("/")
        return JSONResponse({"domain": HOST, "version": "4.4.0", "configuration": {"urls": {"streaming": streaming}}})

    async def stream(self, request: Request) -> Response:
        if request.state.caller is None:
            return _error(401, "Missing access token")
        if "tag" not in request.query_params:
            return _error(400, "Missing tag name parameter")
        return StreamingResponse(self._told(request, self._now_shown(request)), media_type="text/event-stream")

    async def _told(self, request: Request, shown: dict[str, Post]) -> AsyncIterator[bytes]:
        """What is posted, edited and deleted from now on, and a comment from time to time."""
        yield b":)\n"
        last = time.monotonic()
        while True:
            with self.world.still():
                now = self._now_shown(request)
            changed = [post for i, post in now.items() if i not in shown or shown[i].edited_at != post.edited_at]
            events = [
                ("update" if post.native_id not in shown else "status.update", json.dumps(self._status(request, post))) for post in changed
            ]
            events += [("delete", i.partition("@")[0]) for i in shown if i not in now]
            shown = now
            for kind, said in events:
                yield f"event: {kind}\ndata: {said}\n\n".encode()
                last = time.monotonic()
            if time.monotonic() - last >= self.thump:
                yield b":thump\n"
                last = time.monotonic()
            await asyncio.sleep(0.02)

    def _now_shown(self, request: Request) -> dict[str, Post]:
        tag = request.query_params["tag"].lower()
        posts = reversed(self.world.posts("mastodon"))
        return {post.native_id: post for post in posts if post.place.lower() == tag and self._visibility(post) == "public"}

    async def search(self, request: Request) -> Response:
        if request.state.caller is None:
            return _error(401, "This method requires an authenticated user")
        words = request.query_params["q"].lower().split()
        found = [post for post in self._listed() if all(word in post.text.lower() for word in words)]
        offset, limit = int(request.query_params.get("offset", "0")), int(request.query_params.get("limit", "20"))
        statuses = [self._status(request, post) for post in found[offset : offset + limit]]
        return JSONResponse({"accounts": [], "statuses": statuses, "hashtags": []})

    async def notifications(self, request: Request) -> Response:
        if request.state.caller is None:
            return _error(401, "The access token is invalid")
        us = request.state.caller.handle
        told = [post for post in self._listed() if f"@{us}".lower() in post.text.lower() and post.author != us]
        items = [
            (n, {"id": str(n), "type": "mention", "created_at": _iso(post.at), "status": self._status(request, post)})
            for n, post in zip(range(len(told), 0, -1), told, strict=True)
        ]
        return self._page(request, items)

    async def status(self, request: Request) -> Response:
        post = self._find(request.path_params["id"])
        return _error(404, "Record not found") if post is None else JSONResponse(self._status(request, post))

    async def statuses(self, request: Request) -> Response:
        found = filter(None, map(self._find, request.query_params.getlist("id[]")))
        return JSONResponse([self._status(request, post) for post in found])

    async def context(self, request: Request) -> Response:
        post = self._find(request.path_params["id"])
        if post is None:
            return _error(404, "Record not found")
        above, below = list(self._above(post)), {post.native_id}
        descendants = []
        for other in reversed(self._listed()):
            if other.parent in below:
                below.add(other.native_id)
                descendants.append(other)
        shown = {"ancestors": above, "descendants": descendants}
        return JSONResponse({name: [self._status(request, one) for one in posts] for name, posts in shown.items()})

    # writing

    async def publish(self, request: Request) -> Response:
        if request.state.caller is None:
            return _error(401, "The access token is invalid")
        body, key = await request.json(), request.headers.get("idempotency-key", "")
        if key not in self.keys:
            parent, writer = body.get("in_reply_to_id"), request.state.caller.handle
            reply_to = f"{parent}@{HOST}" if parent else None
            try:
                self.keys[key] = self.world.answer("mastodon", writer, body["status"], reply_to=reply_to, longest=LONGEST, once=False)
            except Refused as err:
                return _error(404, "Record not found") if err.why == "gone" else _error(422, f"Validation failed: Text is {err.why}")
            self.visibility[self.keys[key]] = body.get("visibility", "public")
        post = self.world.find("mastodon", self.keys[key])
        assert post is not None
        return JSONResponse(self._status(request, post))

    # in Mastodon's words

    def _listed(self) -> list[Post]:
        """Newest first, by the ids that grow with the time of the post; an account goes with all its posts."""
        shown = [
            post for post in self.world.posts("mastodon") if (author := self.world.someone("mastodon", post.author)) and not author.gone
        ]
        return sorted(shown, key=_number, reverse=True)

    def _find(self, local_id: str) -> Post | None:
        post = self.world.find("mastodon", f"{local_id}@{HOST}")
        is_shown = post is not None and not post.deleted and self._visibility(post) in ("public", "unlisted")
        return post if is_shown else None

    def _above(self, post: Post) -> Iterable[Post]:
        above = []
        while post.parent and (parent := self.world.find("mastodon", post.parent)):
            above.append(parent)
            post = parent
        return [post for post in reversed(above) if not post.deleted]

    def _visibility(self, post: Post) -> str:
        return self.visibility.get(post.native_id, "public")

    def _page(self, request: Request, items: list[tuple[int, dict[str, Any]]]) -> Response:
        ask = request.query_params
        size = min(int(ask.get("limit", "20")), self.most)
        below = [(number, item) for number, item in items if "max_id" not in ask or number < int(ask["max_id"])][:size]
        answer = JSONResponse([item for _, item in below])
        if below:
            there = str(request.url.replace(query=""))
            answer.headers["Link"] = (
                f'<{there}?limit={size}&max_id={below[-1][0]}>; rel="next", <{there}?limit={size}&min_id={below[0][0]}>; rel="prev"'
            )
        return answer

    def _status(self, request: Request, post: Post) -> dict[str, Any]:
        site, number = str(request.base_url).rstrip("/"), post.native_id.partition("@")[0]
        author = self.world.someone("mastodon", post.author)
        assert author is not None
        status = {
            "id": number,
            "uri": f"{site}/users/{author.handle}/statuses/{number}",
            "url": f"{site}/@{author.handle}/{number}",
            "created_at": _iso(post.at),
            "edited_at": _iso(post.edited_at) if post.edited_at else None,
            "in_reply_to_id": post.parent.partition("@")[0] if post.parent else None,
            "visibility": self._visibility(post),
            "spoiler_text": self.warnings.get(post.native_id, ""),
            "content": _content(post.text, site),
            "language": post.lang,
            "favourites_count": post.likes,
            "reblogs_count": post.reposts,
            "replies_count": self.world.children("mastodon").get(post.native_id, 0),
            "reblog": None,
            "account": _account(author, site),
            "tags": [{"name": post.place, "url": f"{site}/tags/{post.place}"}],
            "media_attachments": [],
            "something_new": {"of": "tomorrow"},
        }
        return status | self.changes.get(post.native_id, {})


def _account(person: Person, site: str) -> dict[str, Any]:
    return {
        "id": str(int(person.native_id, 36)),
        "username": person.handle,
        "acct": person.handle,
        "uri": f"{site}/users/{person.handle.lower()}",
        "url": f"{site}/@{person.handle}",
        "display_name": person.name,
        "note": f"<p>{html.escape(person.bio)}</p>",
        "bot": False,
        "created_at": _iso(person.created_at),
        "followers_count": person.followers,
        "following_count": person.following,
        "statuses_count": 7,
    }


def _content(text: str, site: str) -> str:
    """Paragraphs, links that hide their ends, and handles: what Mastodon makes of a text."""
    marked = _HANDLE.sub(
        rf'<span class="h-card" translate="no"><a href="{site}/@\1" class="u-url mention">@<span>\1</span></a></span>',
        _LINK.sub(
            r'<a href="\1\2" rel="nofollow noopener" translate="no"><span class="invisible">\1</span><span class="ellipsis">\2</span></a>',
            html.escape(text, quote=True),
        ),
    )
    return "".join(f"<p>{part}</p>" for part in marked.replace("\r\n", "\n").split("\n\n")).replace("\n", "<br />")


def _number(post: Post) -> int:
    return int(post.native_id.partition("@")[0])


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _error(status: int, words: str) -> Response:
    return JSONResponse({"error": words}, status)
