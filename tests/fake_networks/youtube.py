"""A server that speaks the part of YouTube's Data API that listening needs: GET /youtube/v3/commentThreads and /youtube/v3/comments.

A comment carries its channel as its place; each is below the one video of that channel.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from fake_networks.server_world import ServerWorld
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from earshot.demo.networks.world import Post

CHANNEL = "UClumifern_lumifern_lumi"
VIDEO = "lumifern-01"
_SHOWN_REPLIES = 5


def world(clock: Callable[[], datetime]) -> ServerWorld:
    return ServerWorld("youtube", keys=["key"], name_post=lambda number, _: f"Ugx{number:012}", clock=clock, place=CHANNEL)


def app(world: ServerWorld, *, units: int = 10_000) -> YouTube:
    return YouTube(world, units=units)


class YouTube(Starlette):
    """`units`: what is left of today's quota. `closed`: nobody may comment there. `changes`: what a comment says otherwise, by id."""

    def __init__(self, world: ServerWorld, *, units: int) -> None:
        self.world = world
        self.units = units
        self.closed: set[str] = set()
        self.changes: dict[str, dict[str, Any]] = {}
        super().__init__(
            routes=[
                Route("/youtube/v3/commentThreads", self.asked(self.threads)),
                Route("/youtube/v3/comments", self.asked(self.comments)),
            ]
        )

    def asked(self, handler: Callable[[Request], Response]) -> Callable[[Request], Response]:
        def endpoint(request: Request) -> Response:
            if request.headers.get("x-goog-api-key") != self.world.secrets("youtube")["key"]:
                return refusal(400, "badRequest", "API key not valid. Please pass a valid API key.")
            if self.units <= 0:
                return refusal(403, "quotaExceeded", "The request cannot be completed because you have exceeded your quota.")
            self.units -= 1
            with self.world.still():
                return handler(request)

        return endpoint

    def threads(self, request: Request) -> Response:
        ask = request.query_params
        assert (ask["order"], ask["textFormat"], ask["part"]) == ("time", "plainText", "snippet,replies")
        place = ask.get("allThreadsRelatedToChannelId") or {VIDEO: CHANNEL}.get(ask["videoId"], ask["videoId"])
        if place in self.closed:
            return refusal(403, "commentsDisabled", "The video identified by the videoId parameter has disabled comments.")
        if ask.get("pageToken", "1") == "expired":
            return refusal(400, "invalidPageToken", "The request specifies an invalid page token.")
        words = ask.get("searchTerms", "").lower().split()
        posts = [post for post in self.world.posts("youtube") if post.place == place and post.parent is None]
        posts = [post for post in posts if all(word in post.text.lower() for word in words)]
        posts.sort(key=lambda post: post.at, reverse=True)
        size, page = int(ask.get("maxResults", "20")), int(ask.get("pageToken", "1"))
        answer: dict[str, Any] = {"kind": "youtube#commentThreadListResponse", "pageInfo": {"totalResults": len(posts)}}
        answer["items"] = [self._thread(post) for post in posts[(page - 1) * size : page * size]]
        return JSONResponse(answer | ({"nextPageToken": str(page + 1)} if page * size < len(posts) else {}))

    def comments(self, request: Request) -> Response:
        wanted = request.query_params["id"].split(",")
        assert len(wanted) <= 50
        found = [post for native_id in wanted if (post := self.world.find("youtube", native_id)) and not post.deleted]
        return JSONResponse({"items": [{"kind": "youtube#comment", "id": post.native_id} for post in found]})

    def _thread(self, post: Post) -> dict[str, Any]:
        below = [other for other in self.world.posts("youtube") if other.parent == post.native_id]
        snippet = {
            "channelId": post.place,
            "videoId": VIDEO,
            "topLevelComment": self._comment(post),
            "canReply": True,
            "totalReplyCount": len(below),
            "isPublic": True,
        }
        thread = {"kind": "youtube#commentThread", "id": post.native_id, "snippet": snippet}
        return thread | ({"replies": {"comments": [self._comment(reply) for reply in below[:_SHOWN_REPLIES]]}} if below else {})

    def _comment(self, post: Post) -> dict[str, Any]:
        author = self.world.someone("youtube", post.author)
        assert author is not None
        said: dict[str, Any] = {
            "authorDisplayName": "" if author.gone else author.handle,
            "authorChannelUrl": "" if author.gone else f"http://www.youtube.com/@{author.handle}",
            "channelId": post.place,
            "textDisplay": post.text,
            "textOriginal": post.text,
            "likeCount": post.likes,
            "viewerRating": "none",
            "publishedAt": _iso(post.at),
            "updatedAt": _iso(post.edited_at or post.at),
        }
        said |= {"parentId": post.parent} if post.parent else {}
        said |= {} if author.gone else {"authorChannelId": {"value": f"UC{author.native_id:0>22}"}}
        return {"kind": "youtube#comment", "id": post.native_id, "snippet": said | self.changes.get(post.native_id, {})}


def refusal(status: int, reason: str, words: str) -> Response:
    return JSONResponse({"error": {"code": status, "message": words, "errors": [{"message": words, "reason": reason}]}}, status)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
