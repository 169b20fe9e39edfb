"""A server that speaks the part of X's API v2 that listening and answering need.

GET /2/tweets/search/recent, /2/tweets/search/stream, /2/tweets/search/stream/rules, /2/tweets, /2/tweets/:id, /2/users/me, /2/users/:id,
/2/users/by/username/:name, /2/users/:id/tweets; POST /2/tweets, /2/tweets/search/stream/rules; DELETE /2/tweets/:id; and
/:handle/status/:id, the page that a person sees. Bearer and OAuth 1.0a tokens are known, signatures are not checked.
"""

from __future__ import annotations

import asyncio
import base64
import html
import math
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from hashlib import blake2s
from itertools import count, islice
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from earshot.demo.networks.search import QueryError, Seen, compile_query
from earshot.demo.networks.serving import Served, serve_app
from earshot.demo.networks.windows import Windows
from earshot.demo.networks.world import RECENT, Person, Post, Refused, World, snowflake

LONGEST_POST = 280
_WINDOW_SECONDS = 900
#: that a rule of the filtered stream may have, and how many of them there may be
_LONGEST_RULE, _MOST_RULES = 512, 25
#: seconds between two looks at whether something new was posted
_PACE = 0.02
_LINK = re.compile(r"https?://[^\s<>\"]+")
_OAUTH_TOKEN = re.compile(r'oauth_token="([^"]+)"')
_PROBLEM = "https://api.twitter.com/2/problems/"


def serve(world: World, *, port: int = 0, limit: int | None = None, only_recent: bool = False) -> AbstractContextManager[Served]:
    """X over `world` on a local port. See `app` for the rest."""
    return serve_app(app(world, limit=limit, only_recent=only_recent), port=port)


def app(world: World, *, limit: int | None = None, only_recent: bool = False, keep_alive: float = 20.0) -> Starlette:
    """`limit`: calls of one token and address in fifteen minutes. `only_recent`: search knows only the last seven days, as X does.
    `keep_alive`: seconds after which a silent stream says that it is there.
    """
    x = _X(world, limit=limit, only_recent=only_recent, keep_alive=keep_alive)
    return Starlette(
        routes=[
            Route("/2/tweets/search/recent", x.signed(x.search)),
            Route("/2/tweets/search/stream", x.signed(x.stream)),
            Route("/2/tweets/search/stream/rules", x.signed(x.rules)),
            Route("/2/tweets/search/stream/rules", x.signed(x.change_rules), methods=["POST"]),
            Route("/2/tweets", x.signed(x.several)),
            Route("/2/tweets", x.signed(x.create), methods=["POST"]),
            Route("/2/tweets/{id}", x.signed(x.one)),
            Route("/2/tweets/{id}", x.signed(x.remove), methods=["DELETE"]),
            Route("/2/users/me", x.signed(x.me)),
            Route("/2/users/by/username/{handle}", x.signed(x.by_name)),
            Route("/2/users/{id}", x.signed(x.person)),
            Route("/2/users/{id}/tweets", x.signed(x.timeline)),
            Route("/{handle}/status/{id}", x.page),
        ]
    )


Handler = Callable[[Request], Awaitable[Response]]


class _Problem(Exception):
    def __init__(self, code: int, **body: Any) -> None:
        super().__init__(code)
        self.answer = _json(body, code)


class _X:
    def __init__(self, world: World, *, limit: int | None, only_recent: bool, keep_alive: float) -> None:
        self.world = world
        self.limit = limit
        self.only_recent = only_recent
        self.keep_alive = keep_alive
        self.standing: dict[str, dict[str, str]] = {}  #: rules of the stream, by id
        self.rule_ids = count(1_900_000_000_000_000_000)
        self.listeners = 0
        self.calls = Windows(_WINDOW_SECONDS)

    def signed(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            limits: dict[str, str] = {}
            try:
                token = self._let_in(request)
                limits = self._count(request, token)
                if limits["x-rate-limit-remaining"] == "-1":
                    raise _Problem(429, title="Too Many Requests", type="about:blank", status=429, detail="Too Many Requests")
                await request.body()  # kept by the request: nobody waits for a slow sender under the lock
                with self.world.still():
                    response = await handler(request)
            except _Problem as problem:
                response = problem.answer
            response.headers.update(limits)
            return response

        return endpoint

    # reading

    async def search(self, request: Request) -> Response:
        ask = request.query_params
        try:
            matches = compile_query(ask.get("query", ""))
        except QueryError as err:
            raise _bad(query=ask.get("query", ""), message=f"There were errors processing your request: {err}") from err
        if self.only_recent and "since_id" in ask and int(ask["since_id"]) < snowflake(self.world.now() - RECENT):
            raise _bad(since_id=ask["since_id"], message="'since_id' must be a tweet id created after the last seven days.")
        earliest = self.world.now() - RECENT if self.only_recent else None
        within = self._within(request, token="next_token")  # noqa: S106 - the name of a parameter
        found = (p for p in within if (earliest is None or p.at >= earliest) and matches(self._seen(p)))
        return self._listing(request, found, least=10)

    async def stream(self, request: Request) -> Response:
        if self.listeners:
            raise _Problem(
                429,
                title="ConnectionException",
                detail="This stream is currently at the maximum allowed connection limit.",
                connection_issue="TooManyConnections",
                type=f"{_PROBLEM}streaming-connection",
            )
        return _Listening(self, self._told(request, len(self.world.ids("x"))))

    async def _told(self, request: Request, told: int) -> AsyncIterator[bytes]:
        """Every post from now on that a rule wants, on a line of its own; an empty line from time to time."""
        last = time.monotonic()
        while True:
            with self.world.still():
                new = self.world.ids("x")[told:]
                events = [event for i in new if (post := self.world.find("x", i)) and (event := self._event(request, post))]
            told += len(new)
            if not events and time.monotonic() - last >= self.keep_alive:
                events = [b""]
            for event in events:
                yield event + b"\r\n"
                last = time.monotonic()
            await asyncio.sleep(_PACE)

    def _event(self, request: Request, post: Post) -> bytes:
        wanted = [
            {"id": rule["id"], "tag": rule.get("tag", "")}
            for rule in self.standing.values()
            if compile_query(rule["value"])(self._seen(post))
        ]
        if not wanted or post.deleted:
            return b""
        body = self._with_expansions(request, [post])
        return orjson.dumps(body | {"data": body["data"][0], "matching_rules": wanted})

    async def rules(self, request: Request) -> Response:  # noqa: ARG002 - a handler takes a request
        rules = list(self.standing.values())
        body = {"data": rules} if rules else {}
        return _json(body | {"meta": {"sent": _moment(self.world.now()), "result_count": len(rules)}})

    async def change_rules(self, request: Request) -> Response:
        try:
            body = orjson.loads(await request.body())
            new = [(str(rule["value"]), str(rule.get("tag", ""))) for rule in body.get("add", ())]
            old = [str(i) for i in body.get("delete", {}).get("ids", ())]
        except (ValueError, LookupError, TypeError, AttributeError) as err:
            raise _bad(add="", message="The request body is not valid JSON") from err
        for native_id in old:
            self.standing.pop(native_id, None)
        added: list[dict[str, str]] = []
        problems: list[dict[str, Any]] = []
        for value, tag in new:
            if problem := self._problem_of(value):
                problems.append(problem)
            else:
                rule = {"id": str(next(self.rule_ids)), "value": value} | ({"tag": tag} if tag else {})
                self.standing[rule["id"]] = rule
                added.append(rule)
        summary = {"created": len(added), "not_created": len(problems), "deleted": len(old)}
        answer: dict[str, Any] = {"meta": {"sent": _moment(self.world.now()), "summary": summary}}
        answer |= {name: found for name, found in (("data", added), ("errors", problems)) if found}
        if problems and not added and problems[0]["title"] == "Invalid Rule":
            return _json(answer | {"title": "Invalid Request", "type": f"{_PROBLEM}invalid-request"}, 400)
        return _json(answer, 201 if added else 200)

    def _problem_of(self, value: str) -> dict[str, Any]:
        """What X says against a new rule; nothing where it takes it."""
        same = next((rule["id"] for rule in self.standing.values() if rule["value"] == value), None)
        if same:
            return {"value": value, "id": same, "title": "DuplicateRule", "type": f"{_PROBLEM}duplicate-rules"}
        if len(self.standing) >= _MOST_RULES:
            return {"value": value, "title": "RulesCapExceeded", "type": f"{_PROBLEM}rule-cap"}
        try:
            compile_query(value)
            why = f"Rule is longer than {_LONGEST_RULE} characters." if len(value) > _LONGEST_RULE else ""
        except QueryError as err:
            why = str(err)
        return {"value": value, "details": [why], "title": "Invalid Rule", "type": f"{_PROBLEM}invalid-rules"} if why else {}

    async def timeline(self, request: Request) -> Response:
        whose = self._by_id(request.path_params["id"])
        within = self._within(request, token="pagination_token")  # noqa: S106 - the name of a parameter
        return self._listing(request, (p for p in within if p.author == whose.handle), least=5)

    async def several(self, request: Request) -> Response:
        asked = [i for i in request.query_params.get("ids", "").split(",") if i]
        if not 1 <= len(asked) <= 100:
            raise _bad(ids=",".join(asked), message="The number of values in the `ids` query parameter must be between 1 and 100")
        found = {i: post for i in asked if (post := self.world.find("x", i)) and not post.deleted}
        body = self._with_expansions(request, found.values())
        body["errors"] = [_missing(i) for i in asked if i not in found]
        return _json({key: value for key, value in body.items() if value})

    async def one(self, request: Request) -> Response:
        post = self.world.find("x", request.path_params["id"])
        if post is None or post.deleted:
            return _json({"errors": [_missing(request.path_params["id"])]})
        body = self._with_expansions(request, [post])
        return _json(body | {"data": body["data"][0]})

    async def me(self, request: Request) -> Response:
        return _json({"data": _user(_acting(request))})

    async def by_name(self, request: Request) -> Response:
        found = self.world.someone("x", request.path_params["handle"])
        if found is None or found.gone:
            return _json({"errors": [_missing(request.path_params["handle"], what="user")]})
        return _json({"data": _user(found)})

    async def person(self, request: Request) -> Response:
        return _json({"data": _user(self._by_id(request.path_params["id"]))})

    # writing

    async def create(self, request: Request) -> Response:
        author = _acting(request)
        try:
            body = orjson.loads(await request.body())
            text, parent = str(body.get("text", "")), (body.get("reply") or {}).get("in_reply_to_tweet_id")
        except (ValueError, AttributeError) as err:
            raise _bad(text="", message="The request body is not valid JSON") from err
        try:
            native_id = self.world.answer("x", author.handle, text, reply_to=parent, longest=LONGEST_POST, once=True)
        except Refused as err:
            raise _refusal(err.why) from err
        return _json({"data": {"id": native_id, "text": self._text(self._post(native_id))[0], "edit_history_tweet_ids": [native_id]}}, 201)

    async def remove(self, request: Request) -> Response:
        post = self.world.find("x", request.path_params["id"])
        if post is None or post.author != _acting(request).handle:
            raise _forbidden("You are not authorized to delete this Tweet.")
        self.world.delete("x", post.native_id)
        return _json({"data": {"deleted": True}})

    async def page(self, request: Request) -> Response:
        """The conversation as a person sees it in a browser."""
        with self.world.still():
            post = self.world.find("x", request.path_params["id"])
            thread = [p for p in reversed(self.world.posts("x")) if post and p.thread == post.thread]
        lines = "".join(f"<p><b>@{html.escape(p.author)}</b> {html.escape(p.text)}</p>" for p in thread)
        return HTMLResponse(f"<!doctype html><title>X (demo)</title>{lines or '<p>This post is gone.</p>'}", 200 if thread else 404)

    # who may

    def _let_in(self, request: Request) -> str:
        """The token of the caller; whose it is stands in `request.state.person`, None for our application."""
        scheme, _, rest = request.headers.get("authorization", "").partition(" ")
        if scheme == "OAuth":
            match = _OAUTH_TOKEN.search(rest)
            known = self.world.secrets("x")["consumer_key"] in rest
            token = match.group(1) if match and known else ""
        else:
            token = rest if scheme == "Bearer" else ""
        person = self.world.bearer("x", token)
        if person is None and token != self.world.secrets("x")["bearer_token"]:
            raise _Problem(401, title="Unauthorized", type="about:blank", status=401, detail="Unauthorized")
        request.state.person = person
        return token

    def _count(self, request: Request, token: str) -> dict[str, str]:
        """X's limits stand in every answer, whether or not we hold callers to them."""
        calls, ends = self.calls.count((token, f"{request.method} {request.url.path}"))
        limit = self.limit or 450
        left = max(limit - calls, -1) if self.limit else limit - 1
        return {"x-rate-limit-limit": str(limit), "x-rate-limit-remaining": str(left), "x-rate-limit-reset": str(math.ceil(ends))}

    def _by_id(self, native_id: str) -> Person:
        with_id = (p for post in self.world.posts("x") if (p := self.world.someone("x", post.author)) and p.native_id == native_id)
        ours = self.world.someone("x", self.world.account)
        found = ours if ours and ours.native_id == native_id else next(with_id, None)
        if found is None:
            raise _Problem(404, errors=[_missing(native_id, what="user")])
        return found

    # in X's words

    def _post(self, native_id: str) -> Post:
        post = self.world.find("x", native_id)
        assert post is not None, native_id  # noqa: S101 - it was there a line ago, under the same lock
        return post

    def _within(self, request: Request, *, token: str) -> Iterator[Post]:
        """The posts between since_id and until_id, newest first, from where the page token points."""
        ask = request.query_params
        since, until = int(ask.get("since_id", 0)), int(ask.get("until_id", 2**63))
        if token in ask:
            until = min(until, _from_token(ask[token], token))
        for post in self.world.posts("x"):
            if int(post.native_id) <= since:
                return
            if int(post.native_id) < until:
                yield post

    def _listing(self, request: Request, posts: Iterator[Post], *, least: int) -> Response:
        size = _number(request.query_params.get("max_results", "10"), "max_results", least, 100)
        found = list(islice(posts, size + 1))
        page = found[:size]
        meta: dict[str, Any] = {"result_count": len(page)}
        if page:
            meta |= {"newest_id": page[0].native_id, "oldest_id": page[-1].native_id}
        if len(found) > size:
            meta["next_token"] = _to_token(page[-1].native_id)
        return _json(self._with_expansions(request, page) | {"meta": meta})

    def _with_expansions(self, request: Request, posts: Iterable[Post]) -> dict[str, Any]:
        posts, asked, fields = list(posts), _asked(request, "expansions"), _asked(request, "tweet.fields")
        children = self.world.children("x")
        body: dict[str, Any] = {"data": [self._tweet(p, fields, children) for p in posts]} if posts else {}
        includes: dict[str, Any] = {}
        others = [o for p in posts for i in (p.parent, p.repost_of) if i and (o := self.world.find("x", i)) and not o.deleted]
        if "author_id" in asked:
            shown = posts + (others if "referenced_tweets.id.author_id" in asked else [])
            authors = {p.author.lower(): self.world.someone("x", p.author) for p in shown}
            includes["users"] = [_user(a) for a in authors.values() if a and not a.gone]
        if "referenced_tweets.id" in asked:
            includes["tweets"] = [self._tweet(o, fields, children) for o in {o.native_id: o for o in others}.values()]
        if includes := {name: found for name, found in includes.items() if found}:
            body["includes"] = includes
        return body

    def _tweet(self, post: Post, fields: set[str], children: Any) -> dict[str, Any]:
        text, entities = self._text(post)
        author = self.world.someone("x", post.author)
        refers = [{"type": "replied_to", "id": post.parent}] if post.parent else []
        refers += [{"type": "retweeted", "id": post.repost_of}] if post.repost_of else []
        known = {
            "author_id": author.native_id if author else "0",
            "conversation_id": post.thread,
            "created_at": _moment(post.at),
            "entities": entities,
            "lang": post.lang,
            "public_metrics": {
                "retweet_count": post.reposts,
                "reply_count": children.get(post.native_id, 0),
                "like_count": post.likes,
                "quote_count": 0,
                "bookmark_count": 0,
                "impression_count": 0,
            },
            "referenced_tweets": refers,
            "in_reply_to_user_id": self._id_of(self._author_of(post.parent)),
        }
        always = {"id": post.native_id, "text": text, "edit_history_tweet_ids": [post.native_id]}
        return always | {name: value for name, value in known.items() if name in fields and value not in (None, [], {})}

    def _text(self, post: Post) -> tuple[str, dict[str, Any]]:
        """The text as X shows it, and what it says of the links: who is answered stands in front, links are short, & < > are escaped."""
        original = self.world.find("x", post.repost_of) if post.repost_of else None
        text, links = (original or post).text, []
        to = self._author_of(post.parent)
        if to and not text.lower().startswith(f"@{to.lower()}"):
            text = f"@{to} {text}"
        if original:
            text = f"RT @{original.author}: {text}"
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        for link in dict.fromkeys(_LINK.findall(text)):
            short = f"https://t.co/{blake2s(link.encode(), digest_size=5).hexdigest()}"
            text = text.replace(link, short)
            links.append({"url": short, "expanded_url": html.unescape(link), "display_url": html.unescape(link)[8:34]})
        return text, {"urls": links} if links else {}

    def _seen(self, post: Post) -> Seen:
        return Seen(post, html.unescape(self._text(post)[0]), self._author_of(post.parent) or "")

    def _author_of(self, native_id: str | None) -> str | None:
        post = self.world.find("x", native_id) if native_id else None
        return post.author if post else None

    def _id_of(self, handle: str | None) -> str | None:
        person = self.world.someone("x", handle) if handle else None
        return person.native_id if person else None


class _Listening(StreamingResponse):
    """A stream that counts as open until its caller is gone, whatever becomes of who tells it."""

    def __init__(self, x: _X, told: AsyncIterator[bytes]) -> None:
        super().__init__(told, media_type="application/json; charset=utf-8")
        self._x = x

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._x.listeners += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._x.listeners -= 1


def _acting(request: Request) -> Person:
    person = request.state.person
    if not isinstance(person, Person):
        detail = "Authenticating with OAuth 2.0 Application-Only is forbidden for this endpoint."
        raise _Problem(403, title="Unsupported Authentication", type=f"{_PROBLEM}unsupported-authentication", status=403, detail=detail)
    return person


def _user(person: Person) -> dict[str, Any]:
    return {
        "id": person.native_id,
        "username": person.handle,
        "name": person.name,
        "description": person.bio,
        "created_at": _moment(person.created_at),
        "verified": person.verified,
        "public_metrics": {"followers_count": person.followers, "following_count": person.following, "tweet_count": 0, "listed_count": 0},
    }


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json; charset=utf-8")


def _asked(request: Request, name: str) -> set[str]:
    return {part for part in request.query_params.get(name, "").split(",") if part}


def _number(text: str, name: str, least: int, most: int) -> int:
    if not text.isdigit() or not least <= int(text) <= most:
        raise _bad(**{name: text}, message=f"The `{name}` query parameter value [{text}] is not between {least} and {most}")
    return int(text)


def _to_token(native_id: str) -> str:
    return base64.b32encode(f"before {native_id}".encode()).decode().lower().rstrip("=")


def _from_token(token: str, name: str) -> int:
    try:
        padded = token.upper() + "=" * (-len(token) % 8)
        return int(base64.b32decode(padded).decode().removeprefix("before "))
    except ValueError as err:
        raise _bad(**{name: token}, message=f"The `{name}` query parameter is invalid") from err


def _bad(*, message: str, **parameters: str) -> _Problem:
    errors = [{"parameters": {name: [value] for name, value in parameters.items()}, "message": message}]
    detail = "One or more parameters to your request was invalid."
    return _Problem(400, errors=errors, title="Invalid Request", detail=detail, type=f"{_PROBLEM}invalid-request")


def _forbidden(detail: str) -> _Problem:
    return _Problem(403, title="Forbidden", type="about:blank", status=403, detail=detail)


def _refusal(why: str) -> _Problem:
    if why == "duplicate":
        return _forbidden("You are not allowed to create a Tweet with duplicate content.")
    if why == "gone":
        return _forbidden("You attempted to reply to a Tweet that is deleted or not visible to you.")
    return _bad(text="", message=f"Your Tweet text is {why}.")


def _missing(value: str, *, what: str = "tweet") -> dict[str, Any]:
    return {
        "value": value,
        "detail": f"Could not find {what} with ids: [{value}].",
        "title": "Not Found Error",
        "resource_type": what,
        "parameter": "ids",
        "resource_id": value,
        "type": f"{_PROBLEM}resource-not-found",
    }
