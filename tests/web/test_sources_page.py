"""The page of the sources: their states in words and pictures, and what managers may do about them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from houses import LEASE, keep, post
from sites import Site
from starlette.testclient import TestClient

from earshot.settings import Settings, SourceSettings
from earshot.storage.accounts import Role
from earshot.storage.mentions import Poll
from earshot.storage.sources import SourceState, SourceStatus

SOURCES = (
    SourceSettings(name="x", network="x", query="lumifern", monthly_reads=10_000, price_per_thousand=5),
    SourceSettings(name="news", network="hackernews", query="lumifern"),
)


@pytest.fixture
def listening(site: Site) -> Site:
    site.settings = Settings(secret_key="s" * 40, sources=SOURCES)
    site.store.sources.declare([(source.name, source.network) for source in SOURCES])
    return site


@pytest.fixture
def boss(listening: Site) -> TestClient:
    return listening.signed_in(listening.boss)


def status(site: Site, name: str = "x") -> SourceStatus:
    return next(status for status in site.store.sources.statuses() if status.name == name)


def fail(site: Site, state: SourceState, reason: str, *, closed: bool = False) -> None:
    site.store.sources.take("x", worker="w", now=site.now, lease=LEASE)
    later = site.now + timedelta(minutes=20)
    site.store.sources.done("x", worker="w", now=site.now, next_poll_at=later, state=state, reason=reason, failed=True, closed=closed)


def test_without_a_source_the_page_says_how_to_begin(site: Site) -> None:
    page = site.signed_in(site.boss).get("/sources").text
    assert "No source yet" in page
    assert "earshot listen --network" in page


def test_a_source_shows_what_it_brought_how_late_what_it_read_and_what_that_cost(listening: Site, boss: TestClient) -> None:
    mentions = [post(str(n), f"number {n}", by=f"a{n}", at=listening.now - timedelta(minutes=50, seconds=n)) for n in range(30)]
    keep(listening.store, *mentions, source="x", now=listening.now - timedelta(minutes=49))
    listening.store.sources.take("x", worker="w", now=listening.now, lease=LEASE)
    gap = (listening.now - timedelta(days=9), listening.now - timedelta(days=8), "X searches seven days back only")
    listening.store.mentions.keep_new([], source="x", now=listening.now, poll=Poll(source="x", worker="w", cursor="c", gap=gap, spent=1200))
    listening.store.sources.done(
        "x", worker="w", now=listening.now, next_poll_at=listening.now + timedelta(minutes=2), state=SourceState.HEALTHY
    )
    page = boss.get("/sources").text
    for said in (
        "30 mentions",
        "95 % within 2 min",
        "1,200 posts this month of 10,000",
        "cost 6.00 so far",
        "1 gap",
        "seven days back",
        "in 2 min",
    ):
        assert said in page, said
    with listening.statements() as statements:
        boss.get("/sources")
    assert len(statements) <= 6


def test_what_needs_a_person_stands_first_with_its_reason(listening: Site, boss: TestClient) -> None:
    fail(listening, SourceState.BROKEN, "x: the network refuses us (401); set EARSHOT_SECRET_X_BEARER_TOKEN anew")
    page = boss.get("/sources").text
    assert page.index("source-x") < page.index("source-news")
    assert "set EARSHOT_SECRET_X_BEARER_TOKEN anew" in page
    assert "<b>1 source</b> needs a person" in boss.get("/").text
    told = boss.post("/sources/x/wake")
    assert (told.status_code, status(listening).state, status(listening).next_poll_at) == (303, SourceState.HEALTHY, None)
    assert "needs a person" not in boss.get("/").text


def test_a_source_is_paused_by_name_and_resumed(listening: Site, boss: TestClient) -> None:
    assert boss.post("/sources/x/pause").status_code == 303
    page = boss.get("/sources").text
    assert "paused by Boss" in page
    assert "Resume" in page
    assert "Undo" in page
    assert boss.post("/sources/x/pause").status_code == 409
    boss.post("/sources/x/wake")
    assert not status(listening).is_paused


def test_a_person_cannot_call_before_the_network_opens_again(listening: Site, boss: TestClient) -> None:
    fail(listening, SourceState.THROTTLED, "too many calls (429)", closed=True)
    opens = status(listening).closed_until
    assert "The network wants no call before" in boss.get("/sources").text
    boss.post("/sources/x/wake")
    assert (status(listening).state, status(listening).next_poll_at) == (SourceState.THROTTLED, opens)
    listening.now += timedelta(minutes=21)
    boss.post("/sources/x/wake")
    assert (status(listening).state, status(listening).next_poll_at) == (SourceState.HEALTHY, None)


@pytest.mark.parametrize("step", ["pause", "wake"])
@pytest.mark.parametrize("name", ["nowhere", "x'--", "%3Cscript%3E", "a" * 50])
def test_a_source_that_is_not_there_is_not_found(boss: TestClient, name: str, step: str) -> None:
    assert boss.post(f"/sources/{name}/{step}").status_code == 404


def test_who_only_reads_gets_no_buttons(listening: Site) -> None:
    page = listening.signed_in(listening.account(Role.MARKETER)).get("/sources").text
    assert "source-x" in page
    assert "/sources/x/pause" not in page


def test_hostile_reasons_stay_text(listening: Site, boss: TestClient) -> None:
    fail(listening, SourceState.BROKEN, "<img src=x onerror=alert(1)>")
    page = boss.get("/sources").text
    assert "<img" not in page
    assert "&lt;img" in page


def test_a_scraper_sees_states_reads_and_delays(listening: Site, boss: TestClient) -> None:
    fail(listening, SourceState.BROKEN, "refused")
    keep(listening.store, post("1", at=listening.now - timedelta(seconds=70)), source="x", now=listening.now)
    listening.now += timedelta(seconds=1)
    said = boss.get("/metrics").text
    for line in (
        'earshot_source_state{network="x",source="x",state="broken"} 1.0',
        'earshot_source_state{network="hackernews",source="news",state="healthy"} 1.0',
        'earshot_source_failures{source="x"} 1.0',
        'earshot_source_mentions_last_day{source="x"} 1.0',
        'earshot_source_delay_seconds{share="0.95",source="x"} 120.0',
    ):
        assert line in said, line


def test_who_reads_the_report_is_told_what_it_lacks(listening: Site) -> None:
    marketer = listening.signed_in(listening.account(Role.MARKETER))
    assert "What the picture lacks" not in marketer.get("/").text
    listening.store.sources.take("x", worker="w", now=listening.now, lease=LEASE)
    for days in (60, 3):
        gap = (listening.now - timedelta(days=days), listening.now - timedelta(days=days - 1), f"nothing older than day {days}")
        poll = Poll(source="x", worker="w", cursor="c", gap=gap, spent=0)
        listening.store.mentions.keep_new([], source="x", now=listening.now, poll=poll)
    page = marketer.get("/").text
    assert "What the picture lacks: 1 gap" in page
    assert "nothing older than day 3" in page
