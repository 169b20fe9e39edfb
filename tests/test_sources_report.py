"""`earshot sources`: what a person must know of each source, without a call to any network."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from command_line import CommandLine

from earshot.scheduler import utc_now
from earshot.storage.mentions import Poll
from earshot.storage.sources import SourceState
from listener import SOURCES

CONFIG = """
[[sources]]
name = "x"
network = "x"
query = "lumifern"
monthly_reads = 10000
price_per_thousand = 5.0

[[sources]]
name = "news"
network = "hackernews"
query = "lumifern"
"""


@pytest.fixture
def earshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(tmp_path, monkeypatch)


def row(out: str, name: str) -> str:
    return next(line for line in out.splitlines() if line.startswith(f"{name} "))


def test_with_no_source_it_says_how_to_begin(earshot: CommandLine) -> None:
    said = earshot("sources")
    assert (said.status, "no source yet" in said.out) == (0, True)


def test_a_missing_key_is_named_with_where_to_get_it(earshot: CommandLine) -> None:
    earshot.file("earshot.toml", CONFIG)
    out = earshot("sources").out
    assert "missing" in row(out, "x")
    assert "broken" in row(out, "x")
    assert "set EARSHOT_SECRET_X_BEARER_TOKEN" in out
    assert "https://developer.x.com" in out
    assert "ok" in row(out, "news")
    assert "never" in row(out, "news")


def test_it_says_what_was_read_what_it_cost_and_what_is_missing(earshot: CommandLine) -> None:
    earshot.file("earshot.toml", CONFIG)
    earshot.set(secret_x_bearer_token="t")
    now = utc_now()
    with earshot.store() as store:
        store.sources.declare([("x", "x")])
        store.sources.take("x", worker="w", now=now, lease=timedelta(minutes=1))
        gap = (now - timedelta(days=9), now - timedelta(days=8), "older than seven days")
        store.mentions.keep_new([], source="x", now=now, poll=Poll(source="x", worker="w", cursor="c", gap=gap, spent=1200))
        store.sources.done("x", worker="w", now=now, next_poll_at=now, state=SourceState.THROTTLED, reason="X asks us to wait")
    out = earshot("sources").out
    assert "1,200 of 10,000" in row(out, "x")
    assert "6.00" in row(out, "x")
    assert "throttled" in row(out, "x")
    assert "x: X asks us to wait" in out
    assert "older than seven days" in out


@pytest.mark.parametrize("network", SOURCES)
def test_every_network_says_where_its_keys_are_to_be_had(network: str) -> None:
    from earshot.registry import load

    assert isinstance(load(SOURCES, network, kind="network").keys_from, str)
