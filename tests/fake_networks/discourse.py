"""A forum that speaks the part of Discourse's interface that listening and answering need.

GET /posts.json, /posts/:id.json, /posts/by_number/:topic/:number.json, /posts/:id/replies.json; POST /posts.json.
"""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from fake_networks.server_world import ServerWorld
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from earshot.demo.networks.world import Post, Refused

HOST = "127.0.0.1"
LONGEST = 10_000
_FIRST_TOPIC = 5_000

Handler = Callable[[Request], Awaitable[Response]]


def world(clock: Callable[[], datetime]) -> ServerWorld:
    return ServerWorld("discourse", keys=["api_key"], name_post=lambda number, _: f"{number}@{HOST}", clock=clock)


def topic_of(root: str) -> str:
    """The thread that a source names, of the post that began it."""
    return f"topic/{_number(root) + _FIRST_TOPIC}@{HOST}"


def app(world: ServerWorld, *, spans_ids: bool = False) -> Discourse:
    return Discourse(world, spans_ids=spans_ids)


class Discourse(Starlette):
    """`spans_ids`: a page is what is public among fifty ids, as in older versions, not fifty posts.

    A test fills `private`, `closed` (roots), `approved_first` and `changes`, by native id.
    """

    def __init__(self, world: ServerWorld, *, spans_ids: bool) -> None:
        self.world = world
        self.spans_ids = spans_ids
        self.private: set[str] = set()
        self.closed: set[str] = set()
        self.changes: dict[str, dict[str, Any]] = {}  #: what a post says otherwise
        self.approves_first = False
        super().__init__(
            routes=[
                Route("/posts.json", self.signed(self.create), methods=["POST"]),
                Route("/posts.json", self.signed(self.latest)),
                Route("/posts/by_number/{topic:int}/{number:int}.json", self.signed(self.by_number)),
                Route("/posts/{id:int}/replies.json", self.signed(self.replies)),
                Route("/posts/{id:int}.json", self.signed(self.show)),
            ]
        )

    def signed(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            key, name = request.headers.get("api-key"), request.headers.get("api-username", "")
            caller = self.world.bearer("discourse", key) if key else None
            if key is not None and (caller is None or caller.handle.lower() != name.lower()):
                return _error(403, "You are not permitted to view the requested resource. The API username or key is invalid.")
            request.state.caller = caller
            await request.body()
            with self.world.still():
                return await handler(request)

        return endpoint

    # reading

    async def latest(self, request: Request) -> Response:
        shown = sorted((p for p in self.world.posts("discourse") if p.native_id not in self.private), key=_order, reverse=True)
        before = int(request.query_params.get("before", "0"))
        if self.spans_ids:
            top = before or max((_number(native_id) for native_id in self.world.ids("discourse")), default=0)
            shown = [post for post in shown if top - 50 < _number(post.native_id) <= top]
        elif before:
            shown = [post for post in shown if _number(post.native_id) < before]
        return JSONResponse({"latest_posts": [self._post(post) | {"topic_title": self._title(post)} for post in shown[:50]]})

    async def show(self, request: Request) -> Response:
        post = self._find(request.path_params["id"])
        return _error(404, "The requested URL or resource could not be found.") if post is None else JSONResponse(self._post(post))

    async def by_number(self, request: Request) -> Response:
        for post in self.world.posts("discourse"):
            if (self._topic(post), self._place(post)) == (request.path_params["topic"], request.path_params["number"]):
                return JSONResponse(self._post(post))
        return _error(404, "The requested URL or resource could not be found.")

    async def replies(self, request: Request) -> Response:
        post, after = self._find(request.path_params["id"]), int(request.query_params.get("after", "1"))
        if post is None:
            return _error(404, "The requested URL or resource could not be found.")
        found = [
            reply for reply in reversed(self.world.posts("discourse")) if reply.parent == post.native_id and self._place(reply) > after
        ]
        return JSONResponse([{name: value for name, value in self._post(reply).items() if name != "raw"} for reply in found[:20]])

    # writing

    async def create(self, request: Request) -> Response:
        if request.state.caller is None:
            return _error(403, "You need to be logged in to do that.")
        body = await request.json()
        parent = next(
            (
                post
                for post in self.world.posts("discourse", deleted=True)
                if (self._topic(post), self._place(post)) == (body["topic_id"], body["reply_to_post_number"])
            ),
            None,
        )
        if parent is None or parent.thread in self.closed:
            return _error(403, "You are not permitted to view the requested resource.")
        if self.approves_first:
            return JSONResponse({"action": "enqueued", "success": True, "pending_count": 1})
        try:
            made = self.world.answer(
                "discourse", request.state.caller.handle, body["raw"], reply_to=parent.native_id, longest=LONGEST, once=True
            )
        except Refused as err:
            return _error(422, _WHY[err.why])
        post = self.world.find("discourse", made)
        assert post is not None
        return JSONResponse(self._post(post))

    # in Discourse's words

    def _find(self, number: int) -> Post | None:
        post = self.world.find("discourse", f"{number}@{HOST}")
        return post if post and not post.deleted and post.native_id not in self.private else None

    def _topic(self, post: Post) -> int:
        return _number(post.thread) + _FIRST_TOPIC

    def _place(self, post: Post) -> int:
        """The number of a post in its topic, from 1; a deleted post keeps its own."""
        topic = [other for other in self.world.posts("discourse", deleted=True) if other.thread == post.thread]
        return [other.native_id for other in reversed(topic)].index(post.native_id) + 1

    def _title(self, post: Post) -> str:
        root = self.world.find("discourse", post.thread)
        return (root.title if root else None) or ""

    def _post(self, post: Post) -> dict[str, Any]:
        author = self.world.someone("discourse", post.author)
        parent = self.world.find("discourse", post.parent) if post.parent else None
        assert author is not None
        body = {
            "id": _number(post.native_id),
            "user_id": None if author.gone else int(author.native_id, 36),
            "username": None if author.gone else author.handle,
            "name": author.name,
            "created_at": _iso(post.at),
            "updated_at": _iso(post.edited_at or post.at),
            "version": 2 if post.edited_at else 1,
            "post_number": self._place(post),
            "post_type": 1,
            "topic_id": self._topic(post),
            "reply_to_post_number": self._place(parent) if parent else None,
            "reply_count": self.world.children("discourse").get(post.native_id, 0),
            "raw": post.text,
            "cooked": f"<p>{html.escape(post.text)}</p>",
            "hidden": False,
            "user_deleted": False,
            "deleted_at": None,
            "actions_summary": [{"id": 2, "count": post.likes}] if post.likes else [],
            "something_new": {},
        }
        return body | ({"reply_to_user": {"username": parent.author}} if parent else {}) | self.changes.get(post.native_id, {})


_WHY = {
    "empty": "Body can't be blank",
    "too long": f"Body is limited to {LONGEST} characters",
    "duplicate": "Body is too similar to what you recently posted",
    "gone": "The requested URL or resource could not be found.",
}


def _number(native_id: str) -> int:
    return int(native_id.partition("@")[0])


def _order(post: Post) -> int:
    return _number(post.native_id)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _error(status: int, words: str) -> Response:
    return JSONResponse({"errors": [words], "error_type": "invalid_access" if status == 403 else "some_error"}, status)
