"""`earshot backfill`: the whole way, over a server in Hacker News' wire format."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from earshot.demo.networks.serving import serve_app

HOUR = 3600


async def search(scope: Scope, receive: Receive, send: Send) -> None:
    """A comment every ten hours."""
    asked = dict(Request(scope, receive).query_params)
    bounds = [int(bound.removeprefix("created_at_i").lstrip("<>=")) for bound in asked["numericFilters"].split(",")]
    now = int(time.time())
    hits: list[dict[str, Any]] = [
        {
            "objectID": str(n),
            "author": "ann",
            "comment_text": f"my lamp, day {n}",
            "created_at_i": now - 10 * HOUR * n - 60,
            "_tags": ["comment"],
        }
        for n in range(20)
    ]
    found = [hit for hit in hits if bounds[0] <= hit["created_at_i"] < bounds[1]]
    await JSONResponse({"hits": found, "nbHits": len(found), "nbPages": 1, "hitsPerPage": 500, "page": 0})(scope, receive, send)


@pytest.fixture
def earshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    with serve_app(search) as served:
        earshot = CommandLine(tmp_path, monkeypatch)
        entry = f'[[sources]]\nname = "news"\nnetwork = "hackernews"\nwanted = "lamp"\nurl = "{served.url}"\nallow_private = true\n'
        earshot.file("earshot.toml", entry)
        yield earshot


def test_a_week_is_read_back_once_and_said_in_a_line(earshot: CommandLine) -> None:
    said = earshot("backfill", "news", "--since", "3d")
    assert said.status == 0
    assert "%" not in said.err  # no bar where nobody looks
    assert "8 posts seen, 8 of them new, read to the end" in said.out
    again = earshot("backfill", "news", "--since", "4d", "--until", "1d")
    assert "10 posts seen, 2 of them new, read to the end" in again.out
    with earshot.store() as store:
        assert store.sources.status("news").cursor is None
        assert store.mentions.counts()["heard"] == 10


def test_a_paused_source_makes_it_wait_with_the_reason_and_it_goes_on_later(earshot: CommandLine) -> None:
    earshot("sources")
    with earshot.store() as store:
        store.sources.pause("news", reason="paused by Boss")
    said = earshot("backfill", "news", "--since", "3d")
    assert (said.status, "it waits: paused by Boss" in said.err, "0% read" in said.out) == (1, True, True)
    with earshot.store() as store:
        store.sources.wake("news", now=datetime.now(UTC))
    said = earshot("backfill", "news")
    assert (said.status, "goes on here" in said.err, "8 of them new" in said.out) == (0, True, True)


def test_one_that_is_under_way_is_cancelled_and_where_none_is_it_says_so(earshot: CommandLine) -> None:
    earshot("sources")
    with earshot.store() as store:
        store.sources.pause("news", reason="paused")
    earshot("backfill", "news")
    assert earshot("backfill", "news", "--cancel").out == "news: cancelled\n"
    assert earshot("backfill", "news", "--cancel").status == 2


def test_a_wrong_name_is_answered_with_the_right_ones(earshot: CommandLine) -> None:
    said = earshot("backfill", "nwes")
    assert (said.status, "there are: news" in said.err) == (2, True)
