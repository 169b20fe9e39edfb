"""A server that speaks the part of Reddit's API that listening and answering need.

POST /api/v1/access_token, /api/comment, /api/submit, /api/del; GET /api/v1/me, /api/info, /r/:place/new, /r/:place/comments,
/r/:place/search, /search, /comments/:id, /user/:name/comments; and the permalinks, pages that a person sees.
"""

from __future__ import annotations

import base64
import binascii
import html
import math
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from earshot.demo.networks.search import QueryError, Seen, compile_query
from earshot.demo.networks.serving import Served, serve_app
from earshot.demo.networks.windows import Windows
from earshot.demo.networks.world import Person, Post, Refused, World

LONGEST_COMMENT = 10_000
LONGEST_LISTING = 1000
_WINDOW_SECONDS = 600
_GONE = "[deleted]"


def serve(world: World, *, port: int = 0, limit: int | None = None, spacing: float = 0.0) -> AbstractContextManager[Served]:
    """Reddit over `world` on a local port. See `app` for the rest."""
    return serve_app(app(world, limit=limit, spacing=spacing), port=port)


def app(world: World, *, limit: int | None = None, spacing: float = 0.0) -> Starlette:
    """`limit`: calls of one token in ten minutes. `spacing`: seconds that an author must wait between two comments."""
    reddit = _Reddit(world, limit=limit, spacing=spacing)
    return Starlette(
        routes=[
            Route("/api/v1/access_token", reddit.sign_in, methods=["POST"]),
            Route("/api/v1/me", reddit.signed(reddit.me)),
            Route("/api/info", reddit.signed(reddit.info)),
            Route("/api/comment", reddit.signed(reddit.comment), methods=["POST"]),
            Route("/api/submit", reddit.signed(reddit.submit), methods=["POST"]),
            Route("/api/del", reddit.signed(reddit.remove), methods=["POST"]),
            Route("/search", reddit.signed(reddit.search)),
            Route("/r/{place}/new", reddit.signed(reddit.submissions)),
            Route("/r/{place}/comments", reddit.signed(reddit.comments)),
            Route("/r/{place}/search", reddit.signed(reddit.search)),
            Route("/user/{handle}/comments", reddit.signed(reddit.by_author)),
            Route("/comments/{id}", reddit.signed(reddit.thread)),
            Route("/r/{place}/comments/{id}/{rest:path}", reddit.page),
        ]
    )


Handler = Callable[[Request], Awaitable[Response]]


class _Problem(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(code)
        self.answer = _json({"message": message, "error": code}, code)


class _Reddit:
    def __init__(self, world: World, *, limit: int | None, spacing: float) -> None:
        self.world = world
        self.limit = limit
        self.spacing = spacing
        self.calls = Windows(_WINDOW_SECONDS)
        self.last_comment: dict[str, float] = {}

    def signed(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            limits: dict[str, str] = {}
            try:
                token = self._let_in(request)
                left, limits = self._count(token)
                if left < 0:
                    raise _Problem(429, "Too Many Requests")
                await request.form()  # kept by the request: nobody waits for a slow sender under the lock
                with self.world.still():
                    response = await handler(request)
            except _Problem as problem:
                response = problem.answer
            response.headers.update(limits)
            return response

        return endpoint

    # signing in

    async def sign_in(self, request: Request) -> Response:
        """Application only (client_credentials), our own account by password, or a refresh token."""
        if not self._is_our_application(request):
            return _json({"message": "Unauthorized", "error": 401}, 401)
        form = await request.form()
        keys, ours = self.world.secrets("reddit"), self.world.token("reddit", self.world.account)
        match form.get("grant_type"):
            case "client_credentials":
                token = self._application_token()
            case "password" if (form.get("username"), form.get("password")) == (self.world.account, keys["password"]):
                token = ours
            case "refresh_token" if form.get("refresh_token") == keys["refresh_token"]:
                token = ours
            case "password" | "refresh_token":
                return _json({"error": "invalid_grant"})
            case _:
                return _json({"error": "unsupported_grant_type"})
        return _json({"access_token": token, "token_type": "bearer", "expires_in": 86_400, "scope": "*"})

    def _is_our_application(self, request: Request) -> bool:
        scheme, _, rest = request.headers.get("authorization", "").partition(" ")
        try:
            given = base64.b64decode(rest, validate=True).decode() if scheme.lower() == "basic" else ""
        except (binascii.Error, UnicodeDecodeError):
            return False
        keys = self.world.secrets("reddit")
        return given == f"{keys['client_id']}:{keys['client_secret']}"

    def _application_token(self) -> str:
        return f"app-{self.world.secrets('reddit')['client_id']}"

    def _let_in(self, request: Request) -> str:
        """The token of the caller; whose it is stands in `request.state.person`, None for our application."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        person = self.world.bearer("reddit", token)
        if scheme.lower() != "bearer" or (person is None and token != self._application_token()):
            raise _Problem(401, "Unauthorized")
        request.state.person = person
        return token

    def _count(self, token: str) -> tuple[int, dict[str, str]]:
        """Reddit's limits stand in every answer, whether or not we hold callers to them."""
        calls, ends = self.calls.count(token)
        left = self.limit - calls if self.limit is not None else 999
        reset = str(math.ceil(ends - time.time()))
        return left, {"x-ratelimit-used": str(calls), "x-ratelimit-remaining": f"{max(left, 0)}.0", "x-ratelimit-reset": reset}

    # reading

    async def me(self, request: Request) -> Response:
        return _json(_account(_acting(request)))

    async def submissions(self, request: Request) -> Response:
        return self._listing(request, [p for p in self._in_place(request) if not p.parent])

    async def comments(self, request: Request) -> Response:
        return self._listing(request, [p for p in self._in_place(request) if p.parent])

    async def search(self, request: Request) -> Response:
        query = request.query_params.get("q", "")
        try:
            matches = compile_query(query)
        except QueryError:
            return self._listing(request, [])
        posts = self._in_place(request) if "restrict_sr" in request.query_params else self.world.posts("reddit")
        return self._listing(request, [p for p in posts if not p.parent and matches(Seen(p, f"{p.title} {p.text}", ""))])

    async def by_author(self, request: Request) -> Response:
        handle = request.path_params["handle"].lower()
        return self._listing(request, [p for p in self.world.posts("reddit") if p.parent and p.author.lower() == handle])

    async def info(self, request: Request) -> Response:
        asked = request.query_params.get("id", "").split(",")[:100]
        return _json(self._wrap(request, [post for i in asked if (post := self.world.find("reddit", i))]))

    async def thread(self, request: Request) -> Response:
        """The submission and the comments below it: the oldest, or those around one of them."""
        root = self.world.find("reddit", f"t3_{request.path_params['id']}")
        if root is None:
            raise _Problem(404, "Not Found")
        ask = request.query_params
        below: dict[str | None, list[Post]] = {}
        for post in reversed(self.world.posts("reddit", deleted=True)):
            if post.thread == root.native_id and post.parent:
                below.setdefault(post.parent, []).append(post)
        top = root.native_id
        one = self.world.find("reddit", f"t1_{ask['comment']}") if ask.get("comment") else None
        for _ in range(int(ask.get("context", "0")) + 1):
            if one is None or not one.parent:
                break
            below[one.parent], top = [one], one.parent
            one = self.world.find("reddit", one.parent)
        left = [int(ask["limit"]) if ask.get("limit", "").isdigit() else 200]
        children = self._nested(request, below, top, left)
        return _json([self._wrap(request, [root]), _listing(children)])

    def _nested(self, request: Request, below: dict[str | None, list[Post]], parent: str, left: list[int]) -> list[dict[str, Any]]:
        """What answers `parent`, with what answers that; where there is no room left, it says how much more there is."""
        things: list[dict[str, Any]] = []
        for n, post in enumerate(posts := below.get(parent, [])):
            if not left[0]:
                more = {"count": len(posts) - n, "name": f"t1_{post.native_id[3:]}", "parent_id": parent, "children": []}
                return [*things, {"kind": "more", "data": more}]
            left[0] -= 1
            thing = self._thing(request, post, {})
            answers = self._nested(request, below, post.native_id, left)
            thing["data"]["replies"] = _listing(answers) if answers else ""
            things.append(thing)
        return things

    async def page(self, request: Request) -> Response:
        """The thread as a person sees it in a browser."""
        root = f"t3_{request.path_params['id']}"
        with self.world.still():
            thread = [p for p in reversed(self.world.posts("reddit")) if p.thread == root]
        lines = "".join(f"<p><b>u/{html.escape(p.author)}</b> {html.escape((p.title or '') + ' ' + p.text)}</p>" for p in thread)
        return HTMLResponse(f"<!doctype html><title>Reddit (demo)</title>{lines or '<p>This thread is gone.</p>'}", 200 if thread else 404)

    # writing

    async def comment(self, request: Request) -> Response:
        author, form = _acting(request), await request.form()
        if wait := self._must_wait(author):
            unit = "second" if wait == 1 else "seconds"
            told = f"Looks like you've been doing that a lot. Take a break for {wait} {unit} before trying again."
            return _refusal("RATELIMIT", told, "ratelimit")
        try:
            native_id = self.world.answer(
                "reddit",
                author.handle,
                str(form.get("text", "")),
                reply_to=str(form.get("thing_id", "")),
                longest=LONGEST_COMMENT,
                once=False,
            )
        except Refused as err:
            return _refusal(*_WHY[err.why])
        self.last_comment[author.handle] = time.monotonic()
        return _json({"json": {"errors": [], "data": {"things": [self._thing(request, self._post(native_id), {})]}}})

    async def submit(self, request: Request) -> Response:
        author, form = _acting(request), await request.form()
        title, text = str(form.get("title", "")), str(form.get("text", ""))
        if not title.strip():
            return _refusal("NO_TEXT", "we need something here", "title")
        native_id = self.world.post(
            "reddit", author.handle, text, at=self.world.now(), title=title, place=str(form.get("sr") or "") or None, via_http=True
        )
        url = str(request.url.replace(path=self._permalink(self._post(native_id)), query=""))
        return _json({"json": {"errors": [], "data": {"id": native_id.removeprefix("t3_"), "name": native_id, "url": url}}})

    async def remove(self, request: Request) -> Response:
        post = self.world.find("reddit", str((await request.form()).get("id", "")))
        if post is None or post.author != _acting(request).handle:
            raise _Problem(403, "Forbidden")
        self.world.delete("reddit", post.native_id)
        return _json({})

    def _must_wait(self, author: Person) -> int:
        last = self.last_comment.get(author.handle)
        left = self.spacing - (time.monotonic() - last) if last is not None else 0.0
        return int(left) + 1 if left > 0 else 0

    # in Reddit's words

    def _in_place(self, request: Request) -> Iterable[Post]:
        places = {place.lower() for place in request.path_params["place"].split("+")}
        return [p for p in self.world.posts("reddit") if "all" in places or p.place.lower() in places]

    def _listing(self, request: Request, posts: list[Post]) -> Response:
        """Newest first. `after` goes on below a post even when it is gone; `before` a post that is gone there is nothing, as on Reddit."""
        ask = request.query_params
        size = min(int(ask.get("limit", "25")), 100) if ask.get("limit", "25").isdigit() else 25
        posts = posts[:LONGEST_LISTING]
        if ask.get("before"):
            ids = [p.native_id for p in posts]
            posts = posts[: ids.index(ask["before"])][-size:] if ask["before"] in ids else []
        elif ask.get("after"):
            posts = [p for p in posts if _number(p.native_id) < _number(ask["after"])]
        page = posts[:size]
        after = page[-1].native_id if len(posts) > size else None
        return _json(self._wrap(request, page, after=after))

    def _wrap(self, request: Request, posts: list[Post], *, after: str | None = None) -> dict[str, Any]:
        children = self.world.children("reddit")
        return _listing([self._thing(request, post, children) for post in posts], after=after)

    def _thing(self, request: Request, post: Post, children: Any) -> dict[str, Any]:
        author = self.world.someone("reddit", post.author)
        known = author is not None and not author.gone and not post.deleted
        data: dict[str, Any] = {
            "id": post.native_id[3:],
            "name": post.native_id,
            "author": post.author if known else _GONE,
            "subreddit": post.place,
            "subreddit_name_prefixed": f"r/{post.place}",
            "permalink": self._permalink(post),
            "created": post.at.timestamp() // 1,
            "created_utc": post.at.timestamp() // 1,
            "edited": post.edited_at.timestamp() // 1 if post.edited_at else False,
            "score": post.likes + 1,
            "ups": post.likes + 1,
            "likes": None,
            "locked": False,
        }
        if known and author:
            data["author_fullname"] = author.native_id
        text = _GONE if post.deleted else post.text
        own = self._of_comment(post, text) if post.parent else self._of_submission(post, text, children)
        raw = request.query_params.get("raw_json") == "1" or request.method == "POST"
        return {"kind": post.native_id[:2], "data": data | (own if raw else _escaped(own))}

    def _of_comment(self, post: Post, text: str) -> dict[str, Any]:
        root = self._post(post.thread)
        return {
            "body": text,
            "body_html": f'<div class="md"><p>{html.escape(text)}</p>\n</div>',
            "parent_id": post.parent,
            "link_id": post.thread,
            "link_title": root.title or "",
            "link_author": root.author,
            "replies": "",
        }

    def _of_submission(self, post: Post, text: str, children: Any) -> dict[str, Any]:
        own = {
            "title": post.title or "",
            "selftext": text,
            "is_self": True,
            "url": self._permalink(post),
            "num_comments": children.get(post.native_id, 0),
            "num_crossposts": post.reposts,
            "removed_by_category": "deleted" if post.deleted else None,
            "over_18": False,
        }
        return own | ({"crosspost_parent": post.repost_of} if post.repost_of else {})

    def _permalink(self, post: Post) -> str:
        tail = f"{post.native_id[3:]}/" if post.parent else ""
        return f"/r/{post.place}/comments/{post.thread[3:]}/_/{tail}"

    def _post(self, native_id: str) -> Post:
        post = self.world.find("reddit", native_id)
        assert post is not None, native_id  # noqa: S101 - it was there a line ago, under the same lock
        return post


_WHY = {
    "gone": ("DELETED_COMMENT", "that comment has been deleted", "parent"),
    "empty": ("NO_TEXT", "we need something here", "text"),
    "too long": ("TOO_LONG", f"this is too long (max: {LONGEST_COMMENT})", "text"),
}


def _listing(things: list[dict[str, Any]], *, after: str | None = None) -> dict[str, Any]:
    return {
        "kind": "Listing",
        "data": {"after": after, "before": None, "dist": len(things), "modhash": None, "geo_filter": "", "children": things},
    }


def _acting(request: Request) -> Person:
    if not isinstance(request.state.person, Person):
        raise _Problem(403, "Forbidden")
    return request.state.person


def _account(person: Person) -> dict[str, Any]:
    return {
        "id": person.native_id.removeprefix("t2_"),
        "name": person.handle,
        "created_utc": person.created_at.timestamp(),
        "link_karma": 1,
        "comment_karma": 1,
        "total_karma": 2,
        "verified": person.verified,
        "is_suspended": False,
    }


def _refusal(kind: str, message: str, about: str) -> Response:
    return _json({"json": {"errors": [[kind, message, about]]}})


def _escaped(data: dict[str, Any]) -> dict[str, Any]:
    return {name: html.escape(value, quote=False) if isinstance(value, str) else value for name, value in data.items()}


def _number(fullname: str) -> int:
    try:
        return int(fullname[3:], 36)
    except ValueError:
        return 0


def _json(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json; charset=UTF-8")
