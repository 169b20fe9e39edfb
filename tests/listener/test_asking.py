"""A query of ours, asked of a network in its own words over HTTP: all that matches comes once, nothing else comes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from earshot.demo.networks.serving import serve_app
from earshot.errors import ConfigurationError, SourceConfused
from earshot.scheduler import open_source
from earshot.settings import SourceSettings
from listener.query import DIALECTS
from listener.source import Page, Source

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
FEED = """<?xml version="1.0"?><rss version="2.0"><channel><title>n</title>
<item><guid>1</guid><title>The lamp broke</title><link>https://a.example/1</link></item>
<item><guid>2</guid><title>A chair broke</title><link>https://a.example/2</link></item></channel></rss>"""


@dataclass
class Site:
    """Hacker News' search, where each word of the question must stand in a comment; and a feed."""

    texts: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/feed":
            await Response(FEED, media_type="application/rss+xml")(scope, receive, send)
            return
        question = dict(Request(scope, receive).query_params)
        self.asked.append(question["query"])
        words = question["query"].replace('"', " ").lower().split()
        since, until = (int(part.partition("=")[2] or part.partition("<")[2]) for part in question["numericFilters"].split(","))
        hits: list[dict[str, Any]] = [
            {"objectID": str(n), "author": "ann", "comment_text": text, "created_at_i": int(NOW.timestamp()) - 60 - n, "_tags": ["comment"]}
            for n, text in enumerate(self.texts)
            if all(word in text.lower() for word in words)
        ]
        found = [hit for hit in hits if since <= hit["created_at_i"] < until]
        size, number = 2, int(question["page"])
        answer = {"hits": found[number * size :][:size], "nbHits": len(found), "nbPages": -(-len(found) // size), "hitsPerPage": size}
        await JSONResponse(answer | {"page": number})(scope, receive, send)

    def source(self, wanted: str, **given: Any) -> Source:
        settings = {"name": "n", "network": "hackernews", "wanted": wanted, "url": self.url, "allow_private": True}
        return open_source(SourceSettings.model_validate(settings | given))


@contextmanager
def site(*texts: str) -> Iterator[Site]:
    one = Site(list(texts))
    with serve_app(one) as served:
        one.url = served.url
        yield one


def read(source: Source, cursor: str | None = None) -> tuple[list[str], str | None]:
    """All that a poll brings, page after page, and the cursor behind it."""
    texts: list[str] = []
    for _ in range(50):
        page: Page = source.fetch(cursor, now=NOW)
        texts += [mention.text for mention in page.mentions]
        cursor = page.cursor
        if not page.more:
            return texts, cursor
    raise AssertionError("the poll never ends")


def test_what_the_network_finds_too_much_is_left_out_here() -> None:
    with site("my lamp is broken", "my lampshade is fine, the lamp too", "win a broken lamp, giveaway!") as there:
        texts, _ = read(there.source("lamp NEAR/3 broken -giveaway"))
    assert texts == ["my lamp is broken"]


def test_a_query_of_many_branches_takes_several_searches_and_all_of_them_come_in_one_poll() -> None:
    texts = [f"{word} number {n}" for n in range(3) for word in ("lamp", "hub", "strip", "chair")]
    with site(*texts) as there:
        source = there.source("lamp OR hub OR strip")
        found, cursor = read(source)
        assert len(set(there.asked)) == 3
        assert sorted(found) == sorted(text for text in texts if "chair" not in text)
        assert read(source, cursor)[0] == []


def test_a_query_that_changed_asks_anew_for_its_new_searches_only() -> None:
    with site("a lamp", "a hub") as there:
        _, cursor = read(there.source("lamp"))
        assert read(there.source("lamp OR hub"), cursor)[0] == ["a hub"]


def test_a_network_without_a_search_is_checked_here() -> None:
    with site() as there:
        assert "feed" not in DIALECTS
        texts, _ = read(there.source("lamp", network="feed", query=f"{there.url}/feed"))
    assert [text.splitlines()[0] for text in texts] == ["The lamp broke"]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("lamp AND (", "not closed"),
        ("NOT lamp", "nearly every post"),
        ("lamp network:reddit", "leaves hackernews out"),
        ("author:ann", "cannot search|search for"),
    ],
)
def test_a_query_that_cannot_be_asked_is_named_before_anything_is_asked(wanted: str, words: str) -> None:
    with site() as there, pytest.raises(ConfigurationError, match=words) as raised:
        there.source(wanted)
    assert "'n'" in str(raised.value)
    assert there.asked == []


def test_a_cursor_of_another_source_is_refused() -> None:
    with site("a lamp") as there, pytest.raises(SourceConfused, match="delete it"):
        there.source("lamp").fetch("12345", now=NOW)
