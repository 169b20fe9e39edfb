"""A server that speaks the part of Stack Exchange's interface that listening needs.

GET /2.3/questions, /2.3/questions/:ids and /2.3/search/advanced. A question carries its place as a tag. Every refusal has status 400.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from fake_networks.server_world import ServerWorld
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from earshot.demo.networks.world import Post

SITE = "stackoverflow"


def world(clock: Callable[[], datetime]) -> ServerWorld:
    return ServerWorld("stackexchange", keys=["key"], name_post=lambda number, _: f"{number}@{SITE}", clock=clock)


def app(world: ServerWorld, *, quota: int = 10_000) -> StackExchange:
    return StackExchange(world, quota=quota)


class StackExchange(Starlette):
    """`quota`: calls that are left today. `backoff`: seconds to ask for with the next answers, one each."""

    def __init__(self, world: ServerWorld, *, quota: int) -> None:
        self.world = world
        self.quota = quota
        self.backoff: list[int] = []
        super().__init__(
            routes=[
                Route("/2.3/questions", self.asked(self.all)),
                Route("/2.3/search/advanced", self.asked(self.search)),
                Route("/2.3/questions/{ids}", self.asked(self.some)),
            ]
        )

    def asked(self, select: Callable[[Request], list[Post]]) -> Callable[[Request], Response]:
        def endpoint(request: Request) -> Response:
            ask = request.query_params
            if ask.get("key", self.world.secrets("stackexchange")["key"]) != self.world.secrets("stackexchange")["key"]:
                return refusal(400, "bad_parameter", "`key` doesn't match a known application")
            if ask.get("site") != SITE:
                return refusal(400, "bad_parameter", "No site found for name")
            if self.quota <= 0:
                return refusal(502, "throttle_violation", "too many requests from this IP, more requests available in 4321 seconds")
            self.quota -= 1
            with self.world.still():
                return self._wrapped(ask, [self._question(ask, post) for post in select(request)])

        return endpoint

    def all(self, request: Request) -> list[Post]:
        tags = [tag for tag in request.query_params.get("tagged", "").split(";") if tag]
        posts = [post for post in reversed(self.world.posts("stackexchange")) if all(tag == post.place for tag in tags)]
        since = int(request.query_params.get("fromdate", "0"))
        assert request.query_params["sort"] == "creation"
        assert request.query_params["order"] == "asc"
        return sorted((post for post in posts if int(post.at.timestamp()) >= since), key=lambda post: int(post.at.timestamp()))

    def search(self, request: Request) -> list[Post]:
        words = request.query_params["q"].lower().split()
        return [post for post in self.all(request) if all(word in f"{post.title} {post.text}".lower() for word in words)]

    def some(self, request: Request) -> list[Post]:
        found = (self.world.find("stackexchange", f"{number}@{SITE}") for number in request.path_params["ids"].split(";"))
        return [post for post in found if post and not post.deleted]

    def _wrapped(self, ask: Mapping[str, str], questions: list[dict[str, Any]]) -> Response:
        size, page = int(ask.get("pagesize", "30")), int(ask.get("page", "1"))
        shown = questions[(page - 1) * size : page * size]
        wrapper = {"items": shown, "has_more": page * size < len(questions), "quota_max": 10_000, "quota_remaining": self.quota}
        return JSONResponse(wrapper | ({"backoff": self.backoff.pop(0)} if self.backoff else {}))

    def _question(self, ask: Mapping[str, str], post: Post) -> dict[str, Any]:
        author = self.world.someone("stackexchange", post.author)
        assert author is not None
        number = int(post.native_id.partition("@")[0])
        owner = {"user_type": "does_not_exist", "display_name": html.escape(author.handle)}
        if not author.gone:
            owner |= {
                "user_type": "registered",
                "user_id": int(author.native_id, 36) % 10**9,
                "link": f"https://a.example/users/{author.handle}",
            }
        question = {
            "question_id": number,
            "title": html.escape(post.title or ""),
            "link": f"https://a.example/questions/{number}",
            "owner": owner,
            "creation_date": int(post.at.timestamp()),
            "last_activity_date": int(post.at.timestamp()),
            "score": post.likes,
            "answer_count": 0,
            "tags": [post.place],
            "something_new": None,
        }
        question |= {"last_edit_date": int(post.edited_at.timestamp())} if post.edited_at else {}
        body = "".join(f"<p>{html.escape(part)}</p>\n" for part in post.text.split("\n\n"))
        return question | ({"body": body} if ask.get("filter") == "withbody" else {})


def refusal(kind: int, name: str, words: str) -> Response:
    return JSONResponse({"error_id": kind, "error_name": name, "error_message": words}, 400)
