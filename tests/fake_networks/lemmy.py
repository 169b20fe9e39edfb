"""A server that speaks the part of Lemmy's interface that listening and answering need.

GET /api/v3/post/list, /comment/list, /search, /user, /user/replies, /post, /comment; POST /api/v3/comment. A place is a community. Nearly
every refusal has status 400.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from fake_networks.server_world import ServerWorld
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from earshot.demo.networks.world import Person, Post, Refused

HOST = "127.0.0.1"
LONGEST = 10_000

Handler = Callable[[Request], Awaitable[Response]]


def world(clock: Callable[[], datetime]) -> ServerWorld:
    return ServerWorld(
        "lemmy",
        keys=["token"],
        name_post=lambda number, is_comment: f"{'comment' if is_comment else 'post'}/{number}@{HOST}",
        clock=clock,
    )


def app(world: ServerWorld, *, has_cursors: bool = True) -> Lemmy:
    return Lemmy(world, has_cursors=has_cursors)


class Lemmy(Starlette):
    """`has_cursors`: posts are paged by a cursor, as since 0.19, and not by number. A test fills `changes`, by native id."""

    def __init__(self, world: ServerWorld, *, has_cursors: bool) -> None:
        self.world = world
        self.has_cursors = has_cursors
        self.changes: dict[str, dict[str, Any]] = {}  #: what a post or comment says otherwise
        self.people: dict[str, dict[str, Any]] = {}  #: what a creator says otherwise, by handle
        handlers: dict[str, Handler] = {
            "/api/v3/post/list": self.posts,
            "/api/v3/comment/list": self.comments,
            "/api/v3/search": self.search,
            "/api/v3/user/replies": self.replies,
            "/api/v3/user": self.user,
            "/api/v3/post": self.post,
            "/api/v3/comment": self.comment,
        }
        super().__init__(
            routes=[
                Route("/api/v3/comment", self.signed(self.answer), methods=["POST"]),
                *(Route(path, self.signed(handler)) for path, handler in handlers.items()),
            ]
        )

    def signed(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            given = request.headers.get("authorization", "")
            request.state.caller = self.world.bearer("lemmy", given.removeprefix("Bearer "))
            if given and request.state.caller is None:
                return JSONResponse({"error": "incorrect_login"}, 401)
            await request.body()
            with self.world.still():
                return await handler(request)

        return endpoint

    # reading

    async def posts(self, request: Request) -> Response:
        posts = [post for post in self._in_place(request) if not post.parent]
        if not self.has_cursors:
            return JSONResponse({"posts": [self._view(request, post) for post in self._page(request, posts)]})
        if cursor := request.query_params.get("page_cursor"):
            if self.world.find("lemmy", f"post/{cursor[1:]}@{HOST}") is None:
                return _error("couldnt_find_post")
            posts = [post for post in posts if _number(post.native_id) < int(cursor[1:])]
        shown = posts[: int(request.query_params["limit"])]
        following = {"next_page": f"P{_number(shown[-1].native_id)}"} if shown else {}
        return JSONResponse({"posts": [self._view(request, post) for post in shown], **following})

    async def comments(self, request: Request) -> Response:
        ask = request.query_params
        found = [post for post in self._in_place(request, deleted=True) if post.parent]
        if "post_id" in ask:
            found = [post for post in found if post.thread == f"post/{ask['post_id']}@{HOST}"]
        if ask.get("sort") == "Old":
            found.reverse()
        return JSONResponse({"comments": [self._view(request, post) for post in self._page(request, found)]})

    async def search(self, request: Request) -> Response:
        words, kind = request.query_params["q"].lower().split(), request.query_params["type_"]
        found = [p for p in self._in_place(request) if all(word in f"{p.title or ''} {p.text}".lower() for word in words)]
        found = [post for post in found if bool(post.parent) is (kind == "Comments")]
        views = [self._view(request, post) for post in self._page(request, found)]
        empty: dict[str, Any] = {"type_": kind, "comments": [], "posts": [], "communities": [], "users": []}
        return JSONResponse(empty | {kind.lower(): views})

    async def replies(self, request: Request) -> Response:
        if request.state.caller is None:
            return _error("not_logged_in")
        ours = {post.native_id for post in self.world.replies("lemmy")}
        found = [post for post in self.world.posts("lemmy") if post.parent in ours]
        return JSONResponse({"replies": [{"comment_reply": {"id": 1}, **self._view(request, p)} for p in self._page(request, found)]})

    async def user(self, request: Request) -> Response:
        name = request.query_params["username"]
        found = [post for post in self.world.posts("lemmy") if post.parent and post.author == name]
        return JSONResponse({"person_view": {}, "comments": [self._view(request, p) for p in self._page(request, found)], "posts": []})

    async def post(self, request: Request) -> Response:
        return self._single(request, "post")

    async def comment(self, request: Request) -> Response:
        return self._single(request, "comment")

    def _single(self, request: Request, kind: str) -> Response:
        post = self.world.find("lemmy", f"{kind}/{request.query_params['id']}@{HOST}")
        return _error(f"couldnt_find_{kind}") if post is None else JSONResponse({f"{kind}_view": self._view(request, post)})

    # writing

    async def answer(self, request: Request) -> Response:
        if request.state.caller is None:
            return _error("not_logged_in")
        body = await request.json()
        parent = f"comment/{body['parent_id']}@{HOST}" if "parent_id" in body else f"post/{body['post_id']}@{HOST}"
        above = self.world.find("lemmy", parent)
        assert above is not None
        assert above.thread == f"post/{body['post_id']}@{HOST}"
        try:
            made = self.world.answer("lemmy", request.state.caller.handle, body["content"], reply_to=parent, longest=LONGEST, once=False)
        except Refused as err:
            return _error({"gone": "deleted"}.get(err.why, "invalid_body_field"))
        post = self.world.find("lemmy", made)
        assert post is not None
        return JSONResponse({"comment_view": self._view(request, post), "recipient_ids": []})

    # in Lemmy's words

    def _in_place(self, request: Request, *, deleted: bool = False) -> list[Post]:
        place = request.query_params.get("community_name")
        posts = [post for post in self.world.posts("lemmy", deleted=deleted) if place in (None, post.place)]
        return sorted(posts, key=lambda post: _number(post.native_id), reverse=True)

    def _page(self, request: Request, posts: list[Post]) -> list[Post]:
        size, page = min(int(request.query_params.get("limit", "10")), 50), int(request.query_params.get("page", "1"))
        return posts[(page - 1) * size : page * size]

    def _view(self, request: Request, post: Post) -> dict[str, Any]:
        site = str(request.base_url).rstrip("/")
        root, author = self.world.find("lemmy", post.thread), self.world.someone("lemmy", post.author)
        assert root is not None
        assert author is not None
        view = {
            "post": self._post(site, root),
            "creator": _creator(site, author) | self.people.get(author.handle, {}),
            "community": {"id": 1, "name": post.place, "actor_id": f"{site}/c/{post.place}"},
            "something_new": [1, 2, 3],
        }
        children = self.world.children("lemmy").get(post.native_id, 0)
        if not post.parent:
            return view | {"counts": {"score": post.likes + 1, "upvotes": post.likes + 1, "comments": children}}
        return view | {"comment": self._comment(site, post), "counts": {"score": 1, "upvotes": 1, "child_count": children}}

    def _post(self, site: str, post: Post) -> dict[str, Any]:
        own = {"name": post.title or "", "body": post.text}
        return self._common(site, post) | own | self.changes.get(post.native_id, {})

    def _comment(self, site: str, post: Post) -> dict[str, Any]:
        above = [post.native_id]
        while (one := self.world.find("lemmy", above[0])) and one.parent and one.parent != post.thread:
            above.insert(0, one.parent)
        path = ".".join(["0", *(str(_number(native_id)) for native_id in above)])
        own = {"content": "" if post.deleted else post.text, "path": path, "post_id": _number(post.thread)}
        return self._common(site, post) | own | self.changes.get(post.native_id, {})

    def _common(self, site: str, post: Post) -> dict[str, Any]:
        common = {
            "id": _number(post.native_id),
            "ap_id": f"{site}/{post.native_id.partition('@')[0]}",
            "published": _iso(post.at),
            "deleted": post.deleted,
            "removed": False,
            "local": True,
            "language_id": 0,
        }
        return common | ({"updated": _iso(post.edited_at)} if post.edited_at else {})


def _creator(site: str, person: Person) -> dict[str, Any]:
    return {
        "id": int(person.native_id, 36),
        "name": person.handle,
        "display_name": person.name,
        "bio": person.bio,
        "actor_id": f"{site}/u/{person.handle}",
        "published": _iso(person.created_at),
        "deleted": person.gone,
        "banned": False,
        "local": True,
    }


def _number(native_id: str) -> int:
    return int(native_id.partition("@")[0].partition("/")[2])


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _error(code: str) -> Response:
    return JSONResponse({"error": code}, 400)
