"""The page of what the searches miss."""

from __future__ import annotations

import pytest
from houses import keep, person
from sites import WORKER, Site
from starlette.testclient import TestClient

from earshot.mention import Mention
from earshot.pipeline import understand
from earshot.rooms import Rooms
from earshot.settings import Settings, SourceSettings
from escalation.policy import default_policy

SOURCES = (
    SourceSettings(name="x", network="x", query="lumifern"),
    SourceSettings(name="plants", network="reddit", query="r/houseplants"),
)
BRAND = """
name = "Lumifern"
names = ["Lumifern"]
[[products]]
key = "glow-strip"
name = "Glow Strip"
aliases = ["glow strip"]
topic = "strips"
[[topics]]
key = "strips"
name = "Strips"
"""
OTHERS = ("my monstera grew a leaf", "which soil suits cacti", "rain outside again today", "repotting, wish me luck")


@pytest.fixture(scope="module")
def rooms_of_the_brand() -> Rooms:
    from classifiers.brand import read_brand

    return Rooms(policy=default_policy(), brand=read_brand(BRAND))


@pytest.fixture
def searching(site: Site, rooms_of_the_brand: Rooms) -> Site:
    site.rooms = rooms_of_the_brand
    site.settings = Settings(secret_key="s" * 40, sources=SOURCES)
    return site


@pytest.fixture
def boss(searching: Site) -> TestClient:
    return searching.signed_in(searching.boss)


def hear(site: Site, source: str, *texts: str) -> None:
    mentions = []
    for text in texts:
        site.posted += 1
        mentions.append(
            Mention(
                network="x" if source == "x" else "reddit",
                native_id=str(site.posted),
                author=person(f"a{site.posted}"),
                text=f"{text} {'abcdefghij'[site.posted % 10] * 9} {site.posted}",
                url="",
                posted_at=site.now,
            )
        )
    keep(site.store, *mentions, source=source, now=site.now)
    understand(site.store, site.rooms, worker=WORKER, now=site.now)


def test_the_page_comes_at_once_and_counts_afterwards(boss: TestClient) -> None:
    page = boss.get("/blind-spots").text
    assert 'hx-trigger="load"' in page
    assert 'href="/blind-spots?look=yes"' in page


def test_with_nothing_heard_it_says_what_is_missing(boss: TestClient) -> None:
    assert "nothing was heard without them" in boss.get("/blind-spots", headers={"HX-Request": "true"}).text


def test_a_word_stands_with_its_range_its_examples_and_the_query_to_write(searching: Site, boss: TestClient) -> None:
    hear(searching, "plants", *(text for text in OTHERS for _ in range(10)))
    hear(searching, "plants", *["the glow strip <b>flickers</b> in my kitchen"] * 12)
    hear(searching, "x", *["my lumifern glow strip flickers"] * 8)
    page = boss.get("/blind-spots?look=yes").text
    assert "<bdi>glow strip</bdi>" in page
    assert "more mentions a week, estimated" in page
    assert 'href="/queries/new?text=%22glow+strip%22"' in page
    assert "&lt;b&gt;flickers&lt;/b&gt;" in page
    assert "lumifern OR \\&#34;glow strip\\&#34;" in page
    assert "<h2><bdi>lumifern" not in page


def test_who_runs_no_queries_is_not_shown_the_way_there(searching: Site, boss: TestClient) -> None:
    from earshot.storage.accounts import Role

    assert 'href="/blind-spots"' in boss.get("/teach").text
    assert 'href="/blind-spots"' not in searching.signed_in(searching.account(Role.STAFF)).get("/teach").text
