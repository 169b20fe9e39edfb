"""A server that speaks the part of Algolia's search of Hacker News that listening needs: GET /api/v1/search_by_date.

A post with a title is a story; any other is a comment, which stands below `STORY` unless it answers a post. A question shows `MOST` hits.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from fake_networks.server_world import ServerWorld
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from earshot.demo.networks.world import Post

STORY = 40_000_000
MOST = 1_000
_FILTERS = re.compile(r"created_at_i>=(\d+),created_at_i<(\d+)")


def world(clock: Callable[[], datetime]) -> ServerWorld:
    return ServerWorld("hackernews", keys=[], name_post=lambda number, _: str(STORY + number), clock=clock)


def app(world: ServerWorld) -> HackerNews:
    return HackerNews(world)


class HackerNews(Starlette):
    def __init__(self, world: ServerWorld) -> None:
        self.world = world
        super().__init__(routes=[Route("/api/v1/search_by_date", self.search)])

    def search(self, request: Request) -> Response:
        ask = request.query_params
        window = _FILTERS.fullmatch(ask["numericFilters"])
        if window is None or ask["tags"] != "(story,comment)":
            return JSONResponse({"message": "invalid filters", "status": 400}, 400)
        words, since, until = ask["query"].lower().split(), int(window[1]), int(window[2])
        with self.world.still():
            found = [post for post in self.world.posts("hackernews", deleted=True) if since <= int(post.at.timestamp()) < until]
            found = [post for post in found if all(word in f"{post.title or ''} {post.text}".lower() for word in words)]
            found.sort(key=lambda post: int(post.at.timestamp()), reverse=True)
            size, page = min(int(ask["hitsPerPage"]), MOST), int(ask["page"])
            hits = [self._hit(post) for post in found[:MOST][page * size : (page + 1) * size]]
        answer = {"hits": hits, "nbHits": len(found), "nbPages": -(-min(len(found), MOST) // size), "hitsPerPage": size, "page": page}
        return JSONResponse(answer | {"exhaustiveNbHits": True, "query": ask["query"], "processingTimeMS": 3})

    def _hit(self, post: Post) -> dict[str, Any]:
        author = self.world.someone("hackernews", post.author)
        assert author is not None
        kind = "comment" if post.title is None else "story"
        at = post.at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        hit = {"objectID": post.native_id, "created_at": at, "created_at_i": int(post.at.timestamp()), "updated_at": at, "children": []}
        hit |= _place(post)
        if post.deleted or author.gone:  # the index keeps it for a while, without author and words
            return hit | {"_tags": [kind]}
        said = {"title": html.escape(post.title), "story_text": _marked_up(post.text)} if post.title is not None else {}
        hit |= said or {"comment_text": _marked_up(post.text)}
        shown = {"author": {"value": author.handle, "matchLevel": "none", "matchedWords": []}}
        return hit | {"author": author.handle, "_tags": [kind, f"author_{author.handle}"], "_highlightResult": shown}


def _place(post: Post) -> dict[str, Any]:
    if post.title is not None:
        return {"story_id": int(post.native_id), "points": post.likes, "num_comments": 0}
    story = int(post.thread) if post.parent else STORY
    told = {"story_title": "Show HN: Lamps", "story_url": "https://a.example"}
    return {"story_id": story, "parent_id": int(post.parent or STORY), "points": None, **told}


def _marked_up(text: str) -> str:
    """As the site writes it: paragraphs begin with a tag that is never closed, addresses become links, slashes are escaped."""
    escaped = html.escape(text).replace("/", "&#x2F;")
    linked = re.sub(r"https?:&#x2F;&#x2F;\S+", lambda found: f'<a href="{found[0]}" rel="nofollow">{found[0]}</a>', escaped)
    return linked.replace("\n\n", "<p>")
