"""A server of one Atom document: GET /news.atom, with ETag and Last-Modified, and 304 for whoever has it already.

A source makes its own native ids of the address of the host and the id of an entry, so the world names its posts in the same way.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import blake2b
from xml.etree import ElementTree

from fake_networks.server_world import ServerWorld
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from earshot.demo.networks.world import Post

PATH = "/news.atom"
HOST = "127.0.0.1"
_ATOM = "http://www.w3.org/2005/Atom"


def world(clock: Callable[[], datetime]) -> ServerWorld:
    return ServerWorld("feed", keys=[], name_post=lambda number, _: native_id(number), clock=clock)


def app(world: ServerWorld) -> Feed:
    return Feed(world)


def entry_id(number: int) -> str:
    return f"tag:lumifern.example,2026:{number}"


def native_id(number: int) -> str:
    return f"{HOST}:{blake2b(entry_id(number).encode(), digest_size=12).hexdigest()}"


class Feed(Starlette):
    """Newest first, and all there is."""

    def __init__(self, world: ServerWorld) -> None:
        self.world = world
        super().__init__(routes=[Route(PATH, self.document)])

    def document(self, request: Request) -> Response:
        with self.world.still():
            numbers = {known: number for number, known in enumerate(self.world.ids("feed"), 1)}
            posts = self.world.posts("feed")
            feed = ElementTree.Element("feed", {"xmlns": _ATOM, "xml:lang": "en"})
            _say(feed, "title", "News")
            for post in posts:
                self._write(ElementTree.SubElement(feed, "entry"), post, numbers[post.native_id])
        body = ElementTree.tostring(feed, encoding="utf-8", xml_declaration=True)
        changed = max((post.edited_at or post.at for post in posts), default=self.world.now())
        headers = {"etag": f'"{blake2b(body, digest_size=8).hexdigest()}"', "last-modified": format_datetime(changed, usegmt=True)}
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type="application/atom+xml")

    def _write(self, entry: ElementTree.Element, post: Post, number: int) -> None:
        author = self.world.someone("feed", post.author)
        assert author is not None
        _say(entry, "id", entry_id(number))
        _say(entry, "title", post.title or "")
        _say(entry, "published", _iso(post.at))
        _say(entry, "updated", _iso(post.edited_at or post.at))
        ElementTree.SubElement(entry, "link", {"rel": "alternate", "href": f"https://lumifern.example/news/{number}"})
        if not author.gone:
            _say(ElementTree.SubElement(entry, "author"), "name", author.name)
        _say(entry, "content", f"<p>{html.escape(post.text)}</p>").set("type", "html")


def _say(holder: ElementTree.Element, name: str, words: str) -> ElementTree.Element:
    element = ElementTree.SubElement(holder, name)
    element.text = words
    return element


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")
