"""A span of time that is read again: over the fake networks, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fake_networks.faults import answers
from fake_networks.fixtures import NOW, FakeNetwork
from houses import LEASE
from msgspec.structs import replace

from earshot import pipeline
from earshot.backfilling import fill, moment_of, waits_for
from earshot.demo.networks import x
from earshot.errors import BadInput, Conflict
from earshot.pipeline import Worker
from earshot.settings import SourceSettings
from earshot.storage import Store
from earshot.storage.backfills import Backfill, BackfillState
from earshot.storage.mentions import Poll
from earshot.storage.sources import SourceState, SourceStatus
from listener.source import Source

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass
class Past:
    """A source that has listened, and whose past somebody wants; time is ours."""

    store: Store
    network: FakeNetwork
    changes: dict[str, Any] = field(default_factory=dict)
    now: datetime = NOW
    worker: Worker = field(default_factory=lambda: Worker(name="w", lease=LEASE))

    def __post_init__(self) -> None:
        name = self.network.name
        given = {"name": name, "network": name, "query": self.network.query, "url": self.network.url, "allow_private": True}
        self.settings = SourceSettings(**(given | self.changes))
        self.store.sources.declare([(name, name)])

    def open(self, settings: SourceSettings) -> Source:
        return self.network.source(replies=False, account="", first_look=settings.first_look)

    def ask(self, since: timedelta = 3 * DAY, until: timedelta = timedelta(0)) -> Backfill:
        return self.store.backfills.ask(self.network.name, since=self.now - since, until=self.now - until, now=self.now)

    def fill(self, worker: str = "w", shown: Callable[[Backfill], None] = lambda _: None) -> int:
        return fill(self.store, self.settings, self.open, worker=Worker(name=worker, lease=LEASE), now=self.now, shown=shown)

    def hear(self) -> int:
        source = self.network.source(replies=False, account="")
        return pipeline.hear(self.store, self.settings, source, worker=self.worker, now=self.now)

    def known(self, native_ids: list[str]) -> set[str]:
        return set(self.store.mentions.by_native_ids(self.network.name, native_ids))

    @property
    def status(self) -> SourceStatus:
        return self.store.sources.status(self.network.name)


@pytest.fixture(params=["x", "reddit", "mastodon", "youtube", "stackexchange", "lemmy"])
def past(request: pytest.FixtureRequest, store: Store) -> Past:
    return Past(store, request.getfixturevalue(f"{request.param}_network"))


@pytest.fixture
def x_past(store: Store, x_network: FakeNetwork) -> Past:
    return Past(store, x_network)


# ---- what it brings


def test_it_brings_the_span_that_was_asked_for_and_moves_nothing_of_the_polls(past: Past) -> None:
    old, inside, late = (past.network.post(f"number {n}", at=NOW - n * DAY) for n in (5, 2, 1))
    past.hear()
    with past.store.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM copy_key")
        connection.exec_driver_sql("DELETE FROM mention")
    before = past.status
    asked = past.ask(since=3 * DAY, until=36 * HOUR)
    assert past.fill() == 1
    assert past.known([old, inside, late]) == {inside}
    assert (past.status.cursor, past.status.polled_at, past.status.next_poll_at) == (before.cursor, before.polled_at, before.next_poll_at)
    done = past.store.backfills.get(asked.id)
    assert (done.state, done.kept, done.covered) == (BackfillState.DONE, 1, 1.0)
    assert past.fill() == 0


def test_what_is_known_is_not_kept_twice(past: Past) -> None:
    posted = [past.network.post(f"number {n}", at=NOW - n * HOUR) for n in range(1, 5)]
    past.hear()
    asked = past.ask()
    past.fill()
    assert past.known(posted) == set(posted)
    assert sum(past.store.mentions.counts().values()) == len(posted)
    assert past.store.backfills.get(asked.id).seen >= len(posted)


# ---- how far it is


def test_its_progress_is_the_share_of_the_span_between_the_posts_seen_so_far() -> None:
    nothing = Backfill(id=1, source="x", state=BackfillState.OPEN, since=NOW - 4 * DAY, until=NOW, asked_at=NOW)
    begun = replace(nothing, oldest=NOW - DAY, newest=NOW)
    from_the_far_end = replace(nothing, oldest=NOW - 9 * DAY, newest=NOW - 3 * DAY)
    outside = replace(nothing, oldest=NOW - 9 * DAY, newest=NOW - 8 * DAY)
    assert [nothing.covered, begun.covered, from_the_far_end.covered, outside.covered] == [
        0,
        0.25,
        0.25,
        0,
    ]


def test_its_progress_never_falls_and_is_told_after_each_page(x_past: Past) -> None:
    for n in range(350):
        x_past.network.post(f"number {n}", at=NOW - n * timedelta(minutes=10))
    x_past.ask(since=3 * DAY)
    told: list[float] = []
    x_past.fill(shown=lambda now: told.append(now.covered))
    assert len(told) == 4
    assert told == sorted(told)
    assert 0.2 < told[0] < 0.3


# ---- budget, trouble, kills


def test_its_reads_count_and_it_stops_with_the_months_reads_and_goes_on_when_told(store: Store, x_network: FakeNetwork) -> None:
    past = Past(store, x_network, changes={"monthly_reads": 800, "sweep_hours": 0})
    past.now = datetime(2026, 3, 10, 12, tzinfo=UTC)
    posted = [past.network.post(f"number {n}", at=past.now - n * timedelta(minutes=1)) for n in range(350)]
    asked = past.ask()
    past.fill()
    waiting = store.backfills.get(asked.id)
    assert (waiting.state, waiting.reads, past.status.reads_in(past.now)) == (BackfillState.OPEN, 100, 100)
    assert "a day takes at most 100" in waits_for(waiting, past.status, now=past.now)
    assert "the rest is for polls" in waiting.reason
    past.now = datetime(2026, 3, 11, tzinfo=UTC)
    past.settings = past.settings.model_copy(update={"monthly_reads": 105})
    past.fill()
    stopped = store.backfills.get(asked.id)
    assert (stopped.state, "reads of this month are spent" in stopped.reason) == (BackfillState.STOPPED, True)
    past.settings = past.settings.model_copy(update={"monthly_reads": 10_000})
    assert past.fill() == 0
    assert store.backfills.resume(asked.id)
    past.fill()
    assert past.known(posted) == set(posted)
    assert store.backfills.get(asked.id).state is BackfillState.DONE


def test_it_goes_on_beside_polls_that_go_on_without_their_stream(x_past: Past) -> None:
    posted = x_past.network.post("hello", at=NOW - DAY)
    x_past.ask()
    x_past.store.sources.mark("x", state=SourceState.THROTTLED, reason="there is no stream just now; until then polls go on")
    assert x_past.fill() == 1
    assert x_past.known([posted]) == {posted}


def test_where_its_network_asks_to_wait_it_waits_and_the_polls_do_too(x_past: Past) -> None:
    x_past.network.post("hello", at=NOW - DAY)
    x_past.now, opens = datetime.now(UTC), datetime.now(UTC) + HOUR
    x_past.network.faults.on(x_past.network.reads, answers(429, headers=x_past.network.reset(opens.timestamp())))
    asked = x_past.ask()
    x_past.fill()
    calls = len(x_past.network.faults.calls)
    waiting = x_past.store.backfills.get(asked.id)
    assert (waiting.state, x_past.status.state) == (BackfillState.OPEN, SourceState.THROTTLED)
    assert waits_for(waiting, x_past.status, now=x_past.now) == x_past.status.reason
    x_past.now += timedelta(minutes=50)
    assert (x_past.fill(), len(x_past.network.faults.calls)) == (0, calls)


def test_a_refused_key_ends_it_with_words(x_past: Past) -> None:
    x_past.network.faults.on(x_past.network.reads, answers(401))
    asked = x_past.ask()
    x_past.fill()
    failed = x_past.store.backfills.get(asked.id)
    assert (failed.state, x_past.status.state) == (BackfillState.FAILED, SourceState.BROKEN)
    assert "EARSHOT_SECRET_X_BEARER_TOKEN" in failed.reason


def test_a_paused_source_is_left_alone(x_past: Past) -> None:
    asked = x_past.ask()
    x_past.store.sources.pause("x", reason="paused by Boss")
    x_past.fill()
    assert not x_past.network.faults.calls
    assert waits_for(x_past.store.backfills.get(asked.id), x_past.status, now=x_past.now) == "paused by Boss"


class Killed(BaseException):
    pass


def test_one_that_was_killed_goes_on_where_it_was_when_its_lease_is_over(x_past: Past) -> None:
    posted = [x_past.network.post(f"number {n}", at=NOW - n * timedelta(minutes=1)) for n in range(350)]
    asked = x_past.ask()

    def kill(_: Backfill) -> None:
        raise Killed

    with pytest.raises(Killed):
        x_past.fill("one", kill)
    assert x_past.fill("two") == 0
    x_past.now += 2 * LEASE
    assert x_past.fill("two") == 250
    assert x_past.known(posted) == set(posted)
    assert x_past.store.backfills.get(asked.id).kept == 350


def test_who_lost_it_or_whose_back_fill_was_cancelled_writes_nothing_more(x_past: Past) -> None:
    posted = [x_past.network.post(f"number {n}", at=NOW - n * timedelta(minutes=1)) for n in range(350)]
    asked = x_past.ask()
    x_past.fill(shown=lambda _: x_past.store.backfills.cancel(asked.id, now=x_past.now) and None)
    assert len(x_past.known(posted)) == 100
    assert x_past.store.backfills.get(asked.id).state is BackfillState.CANCELLED
    assert not x_past.store.backfills.cancel(asked.id, now=x_past.now)


def test_one_source_has_one_at_a_time(x_past: Past) -> None:
    x_past.ask()
    with pytest.raises(Conflict, match="under way"):
        x_past.ask()


# ---- gaps


def missed(past: Past, since: timedelta, until: timedelta) -> None:
    name = past.network.name
    past.store.sources.take(name, worker="w", now=past.now, lease=LEASE)
    gap = (past.now - since, past.now - until, "it was down")
    past.store.mentions.keep_new([], source=name, now=past.now, poll=Poll(source=name, worker="w", cursor=None, gap=gap))
    past.store.sources.done(name, worker="w", now=past.now, next_poll_at=past.now, state=SourceState.HEALTHY)


def test_a_gap_that_was_read_again_is_closed_and_others_stay(x_past: Past) -> None:
    missed(x_past, 2 * DAY, DAY)
    missed(x_past, 6 * DAY, 5 * DAY)
    x_past.ask(since=3 * DAY)
    x_past.fill()
    gaps = x_past.store.sources.gaps()
    assert [(gap.since, gap.closed_at) for gap in gaps] == [(NOW - 6 * DAY, None), (NOW - 2 * DAY, NOW)]
    assert x_past.store.sources.count_gaps() == {"x": 1}


def test_what_the_network_cannot_give_any_more_is_a_gap_and_closes_none(x_past: Past) -> None:
    x_past.network.faults.begin(x.app(x_past.network.world, only_recent=True))
    missed(x_past, 12 * DAY, 9 * DAY)
    x_past.ask(since=20 * DAY)
    x_past.fill()
    gaps = x_past.store.sources.gaps()
    assert all(gap.closed_at is None for gap in gaps)
    assert "X searches seven days back only" in {gap.why for gap in gaps}


# ---- what a person writes


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("7d", NOW - 7 * DAY),
        ("90m", NOW - 90 * timedelta(minutes=1)),
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T10:00:00+01:00", datetime(2026, 3, 1, 9, tzinfo=UTC)),
    ],
)
def test_a_moment_is_a_span_ago_or_a_date(written: str, moment: datetime) -> None:
    assert moment_of(written, now=NOW) == moment


@pytest.mark.parametrize("written", ["", "soon", "7x", "2027-01-01", "1000d", "99999w"])
def test_what_is_no_moment_of_the_past_is_refused_with_a_way_to_write_it(written: str) -> None:
    with pytest.raises(BadInput, match=r"write 90m|within the past"):
        moment_of(written, now=NOW)
