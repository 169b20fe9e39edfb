"""Time as networks tell it: order is by what was earlier, posted or seen, and nothing is lost at the edge of a page (atproto #2199)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from fake_networks.fixtures import NOW as THEN
from fake_networks.fixtures import FakeNetwork
from houses import LEASE, NOW, post

from earshot import pipeline
from earshot.case import State
from earshot.mention import as_seen
from earshot.pipeline import Worker
from earshot.rooms import Rooms
from earshot.settings import Settings, SourceSettings
from earshot.storage import Store

WORKER = Worker(name="w", lease=LEASE)
FUTURE, PAST = datetime(2999, 1, 1, tzinfo=UTC), datetime(1, 1, 2, tzinfo=UTC)
DAY = timedelta(days=1)
ASKS = "how do I pair the hub with my phone?"


def understand(store: Store) -> None:
    pipeline.understand(store, Rooms.open(store, Settings(), now=NOW), worker=WORKER, now=NOW)


def test_a_post_from_the_future_was_posted_when_it_was_seen() -> None:
    future, past = as_seen([post("1", at=FUTURE), post("2", at=PAST)], NOW)
    assert (future.posted_at, past.posted_at) == (NOW, PAST)


def test_posts_from_the_future_and_the_deep_past_go_all_the_way_and_order_by_what_was_earlier(store: Store) -> None:
    mentions = [post("future", ASKS, by="ann", at=FUTURE), post("past", ASKS, by="ben", at=PAST), post("now", ASKS, by="cy", at=NOW - DAY)]
    pipeline.keep(store, mentions, source="x", now=NOW)
    understand(store)
    items = {item.handle: item for item in store.cases.queue(states=tuple(State)).items}
    assert {handle: item.case.opened_at for handle, item in items.items()} == {"ann": NOW, "ben": PAST, "cy": NOW - DAY}
    assert all(item.case.due_at is None or item.case.due_at < NOW + 30 * DAY for item in items.values())
    assert [row.last_posted_at for row in store.reports.influence(sort="last_posted_at")] == [NOW, NOW - DAY, PAST]
    assert store.reports.freshness(until=NOW)["x"].mentions >= 1


def test_an_import_orders_alike(store: Store) -> None:
    rooms = Rooms.open(store, Settings(), now=NOW)
    pipeline.take_in(store, rooms, [post("future", ASKS, at=FUTURE), post("past", ASKS, by="ben", at=PAST)], source="file", now=NOW)
    assert sorted(item.case.opened_at for item in store.cases.queue(states=tuple(State)).items) == [PAST, NOW]


def test_a_thread_is_shown_in_the_order_in_which_it_was_seen_at_the_latest(store: Store) -> None:
    pipeline.keep(store, [post("1", ASKS, thread="t", at=FUTURE)], source="x", now=NOW)
    understand(store)
    pipeline.keep(store, [post("2", "hello?", thread="t", at=NOW + DAY)], source="x", now=NOW + DAY)
    page = store.cases.page(1)
    assert page is not None
    assert [shown.scored.mention.native_id for shown in page.posts] == ["1", "2"]


@pytest.mark.parametrize("name", ["x", "reddit", "mastodon", "lemmy", "youtube", "stackexchange", "discourse"])
def test_posts_of_one_moment_at_the_edge_of_a_page_are_all_stored(name: str, store: Store, request: pytest.FixtureRequest) -> None:
    """More than a page at one second, one post from the future and one from the past, and more of that second between two polls."""
    network: FakeNetwork = request.getfixturevalue(f"{name}_network")
    settings = SourceSettings(name=name, network=name, query=network.query, url=network.url, allow_private=True)
    store.sources.declare([(name, name)])
    source, moment = network.source(), THEN - timedelta(minutes=2)
    posted = [network.post("late", at=THEN + timedelta(hours=3)), network.post("early", at=THEN - timedelta(hours=20))]
    for poll in range(3):
        posted += [network.post(f"number {poll}-{n}", author=f"a{n}", at=moment) for n in range(130 if poll == 0 else 30)]
        store.sources.wake(name, now=THEN)
        pipeline.hear(store, settings, source, worker=WORKER, now=THEN + poll * timedelta(seconds=70))
    assert set(store.mentions.by_native_ids(name, posted)) == set(posted)
