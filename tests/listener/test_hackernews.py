"""Hacker News is read to the last hit, though its search shows a thousand at most."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from earshot.demo.networks.serving import serve_app
from earshot.errors import ReplyRefused, SourceConfused
from earshot.mention import Mention
from earshot.settings import SourceSettings
from listener.hackernews import HackerNewsSource
from listener.source import Page

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
T = int(NOW.timestamp())


@dataclass
class Search:
    """Algolia's ways: newest first, pages, and nothing past the thousandth hit."""

    hits: list[dict[str, Any]] = field(default_factory=list)
    per_page: int = 1_000
    asked: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        question = dict(Request(scope, receive).query_params)
        self.asked.append(question)
        since, until = (
            int("".join(filter(str.isdigit, part.removeprefix("created_at_i")))) for part in question["numericFilters"].split(",")
        )
        found = sorted((hit for hit in self.hits if since <= hit["created_at_i"] < until), key=lambda hit: -hit["created_at_i"])
        size, number = min(int(question["hitsPerPage"]), self.per_page), int(question["page"])
        shown = found[:1000][number * size : (number + 1) * size]
        answer = {"hits": shown, "nbHits": len(found), "nbPages": -(-min(len(found), 1000) // size), "hitsPerPage": size, "page": number}
        await JSONResponse(answer)(scope, receive, send)

    def source(self, **given: Any) -> HackerNewsSource:
        settings = SourceSettings(name="hn", network="hackernews", query="hub", url=self.url, allow_private=True, **given)
        return HackerNewsSource(settings)


@contextmanager
def search(*hits: dict[str, Any], **given: Any) -> Iterator[Search]:
    one = Search(list(hits), **given)
    with serve_app(one) as served:
        one.url = served.url
        yield one


def comment(number: int, ago: int = 60, **given: Any) -> dict[str, Any]:
    plain = {
        "objectID": str(number),
        "created_at_i": T - ago,
        "author": "ann",
        "comment_text": f"hub {number}",
        "story_id": 7,
        "parent_id": 8,
    }
    return plain | {"_tags": ["comment"], "points": None} | given


def read_to_the_end(source: HackerNewsSource, cursor: str | None, now: datetime = NOW) -> tuple[list[Mention], list[Page]]:
    pages: list[Page] = []
    while not pages or pages[-1].more:
        pages.append(source.fetch(pages[-1].cursor if pages else cursor, now=now))
    return [mention for page in pages for mention in page.mentions], pages


def test_a_comment_and_a_story_become_mentions() -> None:
    story = {"objectID": "7", "created_at_i": T - 90, "author": "bob", "title": "Hub &amp; spoke", "story_text": "Is it <i>any</i> good?",
             "points": 12, "num_comments": 3, "_tags": ["story"], "url": "https://a.example"}  # fmt: skip
    with search(
        comment(9, comment_text="See <a href='https:&#x2F;&#x2F;a.example&#x2F;long'>https:&#x2F;&#x2F;a.example...</a><p>No."), story
    ) as hn:
        (first, second), _ = read_to_the_end(hn.source(), None)
        assert hn.asked[0]["query"] == "hub"
        assert hn.asked[0]["tags"] == "(story,comment)"
    assert first.text == "Hub & spoke\n\nIs it any good?"
    assert (first.likes, first.replies, first.thread_id, first.parent_id) == (12, 3, "7", None)
    assert second.text == "See https://a.example/long\n\nNo."
    assert (second.thread_id, second.parent_id, second.url) == ("7", "8", "https://news.ycombinator.com/item?id=9")
    assert second.author is not None
    assert (second.author.handle, second.likes) == ("ann", None)


@pytest.mark.parametrize("per_page", [1_000, 70])
def test_all_pages_are_turned(per_page: int) -> None:
    with search(*(comment(n, ago=1 + n * 30) for n in range(900)), per_page=per_page) as hn:
        mentions, pages = read_to_the_end(hn.source(), None)
    assert {mention.native_id for mention in mentions} == {str(n) for n in range(900)}
    assert len(pages) == 1


def test_more_than_a_thousand_hits_are_read_in_windows_of_time() -> None:
    hits = [comment(n, ago=1 + n * n // 300) for n in range(4_000)]
    with search(*hits) as hn:
        mentions, pages = read_to_the_end(hn.source(), None)
    assert sorted(int(mention.native_id) for mention in mentions) == list(range(4_000))
    assert [mention.posted_at for mention in mentions] == sorted(mention.posted_at for mention in mentions)
    assert all(page.gap is None for page in pages)
    assert len(pages) > 3


def test_a_second_that_holds_too_much_leaves_a_gap_and_the_rest_is_read() -> None:
    hits = [comment(n, ago=300) for n in range(1_200)] + [comment(5_000, ago=100), comment(5_001, ago=500)]
    with search(*hits) as hn:
        mentions, pages = read_to_the_end(hn.source(), None)
    (gap,) = [page.gap for page in pages if page.gap]
    assert gap.since == NOW - timedelta(seconds=300)
    assert "1200 hits within one second" in gap.why
    assert len(mentions) == 1_002


def test_a_hit_that_the_index_shows_late_is_still_read_and_nothing_comes_twice() -> None:
    with search(comment(1, ago=600), comment(2, ago=60)) as hn:
        first, pages = read_to_the_end(hn.source(), None)
        hn.hits.append(comment(3, ago=500))
        later, pages = read_to_the_end(hn.source(), pages[-1].cursor, NOW + timedelta(minutes=1))
        quiet, _ = read_to_the_end(hn.source(), pages[-1].cursor, NOW + timedelta(minutes=2))
    assert [mention.native_id for mention in first] == ["1", "2"]
    assert [mention.native_id for mention in later] == ["3"]
    assert quiet == []


def test_a_clock_that_was_set_back_loses_nothing() -> None:
    with search(comment(1, ago=600)) as hn:
        _, pages = read_to_the_end(hn.source(), None)
        back, pages = read_to_the_end(hn.source(), pages[-1].cursor, NOW - timedelta(hours=1))
        hn.hits.append(comment(2, ago=30))
        later, _ = read_to_the_end(hn.source(), pages[-1].cursor, NOW)
    assert back == []
    assert [mention.native_id for mention in later] == ["2"]


def test_deleted_comments_are_reported_gone_and_our_own_are_not_mentions() -> None:
    with search(comment(1, comment_text=None), comment(2, author=None), comment(3, author="Acme"), comment(4)) as hn:
        page = hn.source(account="acme").fetch(None, now=NOW)
    assert set(page.deleted) == {"1", "2"}
    assert [mention.native_id for mention in page.mentions] == ["4"]


def test_strange_hits_are_passed_over() -> None:
    strange = [
        {"created_at_i": T - 5},
        comment(1, objectID=5),
        comment(2, author=["x"]),
        comment(3, points="many", story_id=None),
        comment(4, author="x" * 10**6),
    ]
    with search(*strange) as hn, structlog.testing.capture_logs() as lines:
        (mention,) = hn.source().fetch(None, now=NOW).mentions
    assert [line["event"] for line in lines] == ["post_skipped"] * 4
    assert [line["native_id"] for line in lines] == ["None", "5", "2", "4"]
    assert (mention.native_id, mention.thread_id, mention.likes) == ("3", "3", None)


@pytest.mark.parametrize(
    "answer", [[], {}, {"hits": 5}, {"hits": [], "nbHits": "many"}, {"hits": [], "nbHits": 1, "nbPages": -1, "hitsPerPage": 0}]
)
def test_an_answer_of_another_shape_is_confusing(answer: object) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await JSONResponse(answer)(scope, receive, send)

    with serve_app(app) as served, pytest.raises(SourceConfused, match="Hacker News"):
        HackerNewsSource(SourceSettings(name="hn", network="hackernews", url=served.url, allow_private=True)).fetch(None, now=NOW)


@pytest.mark.parametrize("cursor", ["{", "[]", '{"who": 1}', "null", '{"since": []}', '{"since": 1, "seen": [1]}'])
def test_a_foreign_cursor_is_named(cursor: str) -> None:
    with search() as hn, pytest.raises(SourceConfused, match="cursor"):
        hn.source().fetch(cursor, now=NOW)


def test_hacker_news_takes_no_replies() -> None:
    with pytest.raises(ReplyRefused, match="by hand"):
        HackerNewsSource(SourceSettings(name="hn", network="hackernews")).reply("1", "thanks", key="k")
