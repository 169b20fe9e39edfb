"""A first look at a network: nothing set up, nothing kept, nothing that a terminal obeys."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from earshot.demo.networks.serving import serve_app

TEXTS = ("I love this lamp, best thing ever!", "How do I pair the lamp with it?", "\x1b[2Jgone\u202e and \x07ringing: lamp is broken again")


async def search(scope: Scope, receive: Receive, send: Send) -> None:
    """Hacker News' search, with an hour between posts."""
    asked = dict(Request(scope, receive).query_params)
    since = int(asked["numericFilters"].partition(",")[0].removeprefix("created_at_i>="))
    now = int(time.time())
    hits: list[dict[str, Any]] = [
        {"objectID": str(n), "author": "ann\x1b[31m", "comment_text": text, "created_at_i": now - 3600 * n - 60, "_tags": ["comment"]}
        for n, text in enumerate(TEXTS)
    ]
    found = [hit for hit in hits if hit["created_at_i"] >= since]
    await JSONResponse({"hits": found, "nbHits": len(found), "nbPages": 1, "hitsPerPage": 500, "page": 0})(scope, receive, send)


@pytest.fixture
def server() -> Iterator[str]:
    with serve_app(search) as served:
        yield served.url


@pytest.fixture
def earshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(tmp_path, monkeypatch)


def look(earshot: CommandLine, server: str, *more: str) -> Any:
    return earshot("listen", "--network", "hackernews", "--query", "lamp", "--url", server, "--allow-private", *more)


def test_a_first_look_shows_what_is_said_and_how_to_go_on(earshot: CommandLine, server: str) -> None:
    said = look(earshot, server)
    assert said.status == 0
    assert "[positive, praise" in said.out
    assert "wants an answer" in said.out
    assert "https://news.ycombinator.com/item?id=1" in said.out
    assert "3 posts" in said.out
    assert "Nothing was kept." in said.out
    entry = tomllib.loads(said.out[said.out.index("[[sources]]") :])["sources"][0]
    assert (entry["network"], entry["wanted"], entry["url"]) == ("hackernews", "lamp", server)
    with earshot.store() as store:
        assert sum(store.mentions.counts().values()) == 0


def test_it_goes_back_as_far_as_asked_and_shows_no_more_than_asked(earshot: CommandLine, server: str) -> None:
    assert "2 posts" in look(earshot, server, "--since", "90m").out
    assert "1 post (" in look(earshot, server, "--most", "1").out


def test_a_post_cannot_speak_to_the_terminal(earshot: CommandLine, server: str) -> None:
    out = look(earshot, server).out
    assert not any(sign in out for sign in "\x1b\x07\u202e")
    assert "broken again" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--network", "myspace"), "no network called 'myspace'; known:"),
        (("--network", "hackernews", "--since", "9y"), "write 90m, 12h, 1d or 2w"),
        (("--network", "hackernews", "--since", "9999w"), "at most 30 days"),
        (("--network", "x", "--query", "lamp"), "set EARSHOT_SECRET_X_BEARER_TOKEN"),
        (("--network", "hackernews", "--query", "lamp AND ("), "column 10"),
    ],
)
def test_what_cannot_be_looked_at_is_said_with_the_remedy(earshot: CommandLine, arguments: tuple[str, ...], words: str) -> None:
    said = earshot("listen", *arguments)
    assert said.status == 2
    assert words in said.err
