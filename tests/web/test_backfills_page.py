"""Reading back on the page of the sources: asked for, seen, cancelled, gone on with."""

from __future__ import annotations

from datetime import timedelta

import pytest
from houses import LEASE
from sites import Site
from starlette.testclient import TestClient

from earshot.settings import Settings, SourceSettings
from earshot.storage.accounts import Role
from earshot.storage.backfills import BackfillState, PageRead
from earshot.storage.mentions import Poll

PARTIAL = {"HX-Request": "true"}


@pytest.fixture
def listening(site: Site) -> Site:
    site.settings = Settings(secret_key="s" * 40, sources=(SourceSettings(name="x", network="x", query="lumifern"),))
    site.store.sources.declare([("x", "x")])
    return site


@pytest.fixture
def boss(listening: Site) -> TestClient:
    return listening.signed_in(listening.boss)


def test_a_source_is_read_back_from_its_card_and_its_progress_is_seen_live(listening: Site, boss: TestClient) -> None:
    assert "None yet" in boss.get("/backfills", headers=PARTIAL).text
    assert boss.post("/sources/x/backfill", data={"days": "4"}).status_code == 303
    asked = listening.store.backfills.claim("x", worker="w", now=listening.now, lease=LEASE)
    assert asked is not None
    page = PageRead(
        backfill=asked, worker="w", lease=LEASE, cursor="c", is_last=False, posted=[listening.now, listening.now - timedelta(days=1)]
    )
    listening.store.mentions.keep_new([], source="x", now=listening.now, poll=page)
    shown = boss.get("/backfills", headers=PARTIAL).text
    assert "under way, 25 %" in shown
    assert 'hx-trigger="every 2s' in shown
    assert "2 posts seen" in shown
    assert "under way, 25 %" in boss.get("/sources").text


def test_when_nothing_is_under_way_nothing_is_asked_for_again_and_again(boss: TestClient) -> None:
    assert "every 2s" not in boss.get("/backfills", headers=PARTIAL).text
    assert boss.get("/backfills").headers["location"] == "/sources#back-fills"


def test_a_second_one_is_refused_with_words(boss: TestClient) -> None:
    boss.post("/sources/x/backfill", data={"days": "1"})
    refused = boss.post("/sources/x/backfill", data={"days": "1"})
    assert (refused.status_code, "is under way" in refused.text) == (409, True)


def test_one_is_cancelled_once_and_one_that_stopped_goes_on(listening: Site, boss: TestClient) -> None:
    store = listening.store
    boss.post("/sources/x/backfill", data={"days": "1"})
    asked = store.backfills.claim("x", worker="w", now=listening.now, lease=LEASE)
    assert asked is not None
    store.backfills.settle(asked, state=BackfillState.STOPPED, reason="the reads are spent", worker="w", now=listening.now)
    assert "the reads are spent" in boss.get("/sources").text
    assert boss.post(f"/backfills/{asked.id}/resume").status_code == 303
    assert boss.post(f"/backfills/{asked.id}/cancel").status_code == 303
    assert boss.post(f"/backfills/{asked.id}/cancel").status_code == 409
    assert store.backfills.get(asked.id).state is BackfillState.CANCELLED


def test_it_says_why_it_waits(listening: Site, boss: TestClient) -> None:
    boss.post("/sources/x/backfill", data={"days": "1"})
    boss.post("/sources/x/pause")
    assert "It waits: paused by Boss" in boss.get("/backfills", headers=PARTIAL).text


def test_a_gap_is_read_again_from_its_row_and_shows_when_it_was_closed(listening: Site, boss: TestClient) -> None:
    store = listening.store
    store.sources.take("x", worker="w", now=listening.now, lease=LEASE)
    gap = (listening.now - timedelta(days=3), listening.now - timedelta(days=2), "it was down")
    store.mentions.keep_new([], source="x", now=listening.now, poll=Poll(source="x", worker="w", cursor="c", gap=gap))
    [missing] = store.sources.gaps()
    assert "Read again" in boss.get("/sources").text
    assert boss.post(f"/gaps/{missing.id}/backfill").status_code == 303
    asked = store.backfills.claim("x", worker="w", now=listening.now, lease=LEASE)
    assert asked is not None
    assert (asked.since, asked.until) == gap[:2]
    store.mentions.keep_new(
        [], source="x", now=listening.now, poll=PageRead(backfill=asked, worker="w", lease=LEASE, cursor=None, is_last=True)
    )
    assert "Read again" not in boss.get("/sources").text
    assert "closed" in boss.get("/sources").text
    assert boss.post(f"/gaps/{missing.id}/backfill").status_code == 409
    assert boss.post("/gaps/999/backfill").status_code == 404


def test_marketers_see_it_and_change_nothing(listening: Site, boss: TestClient) -> None:
    boss.post("/sources/x/backfill", data={"days": "1"})
    page = listening.signed_in(listening.account(Role.MARKETER)).get("/sources").text
    assert "under way" in page
    assert "Read back" not in page
    assert "Cancel" not in page
