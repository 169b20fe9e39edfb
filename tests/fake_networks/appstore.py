"""A server that gives the reviews of an app as Apple's feed does: GET /:country/rss/customerreviews/page=:n/id=:app/sortby=mostrecent/json.

A review carries its country as its place; one that stands alone is no list.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from fake_networks.server_world import ServerWorld
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from earshot.demo.networks.world import Post

APP = "1234567890"
_PAGE, _PAGES = 50, 10


def world(clock: Callable[[], datetime]) -> ServerWorld:
    return ServerWorld("appstore", keys=[], name_post=lambda number, _: str(6_000_000_000 + number), clock=clock, place="us")


def app(world: ServerWorld, *, shows_app: bool = False) -> AppStore:
    return AppStore(world, shows_app=shows_app)


class AppStore(Starlette):
    """`shows_app`: the feed begins with the app itself. `changes`: what a review says otherwise, by native id."""

    def __init__(self, world: ServerWorld, *, shows_app: bool) -> None:
        self.world = world
        self.shows_app = shows_app
        self.changes: dict[str, dict[str, Any]] = {}
        super().__init__(routes=[Route("/{country}/rss/customerreviews/page={page:int}/id={app}/sortby=mostrecent/json", self.reviews)])

    async def reviews(self, request: Request) -> Response:
        page, country = request.path_params["page"], request.path_params["country"]
        if page > _PAGES or request.path_params["app"] != APP:
            return Response("CustomerReviews RSS page depth is limited to 10", 400)
        with self.world.still():
            posts = sorted((post for post in self.world.posts("appstore") if post.place == country), key=_changed, reverse=True)
            entries = [self._entry(post) for post in posts[(page - 1) * _PAGE : page * _PAGE]]
        if self.shows_app and page == 1:
            entries = [{"im:name": {"label": "Lumifern"}, "id": {"label": "https://apps.apple.com/app"}}, *entries]
        feed: dict[str, Any] = {"author": {"name": {"label": "iTunes Store"}}, "updated": {"label": "2026-05-04T05:00:00-07:00"}}
        if entries:
            feed["entry"] = entries if len(entries) > 1 else entries[0]
        return JSONResponse({"feed": feed})

    def _entry(self, post: Post) -> dict[str, Any]:
        author = self.world.someone("appstore", post.author)
        assert author is not None
        entry = {
            "author": {
                "uri": {"label": f"https://itunes.apple.com/us/reviews/id{int(author.native_id, 36)}"},
                "name": {"label": author.handle},
                "label": "",
            },
            "updated": {"label": _changed(post).isoformat()},
            "im:rating": {"label": "2"},
            "im:version": {"label": "3.4.3"},
            "id": {"label": post.native_id},
            "title": {"label": post.title or ""},
            "content": {"label": post.text, "attributes": {"type": "text"}},
            "link": {"attributes": {"rel": "related", "href": "https://itunes.apple.com/us/review?id=1&type=Purple%20Software"}},
            "im:voteSum": {"label": str(post.likes)},
            "im:voteCount": {"label": str(post.likes)},
        }
        return entry | self.changes.get(post.native_id, {})


def _changed(post: Post) -> datetime:
    return post.edited_at or post.at
