"""What is deleted on a network goes here too, though no poll tells of it: over the fake networks, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from fake_networks import mastodon
from fake_networks.faults import answers, breaks, rewrites
from fake_networks.fixtures import NOW, FakeNetwork
from houses import LEASE, sqlite_store
from sqlalchemy import event, func, select

from earshot import pipeline
from earshot.pipeline import Worker
from earshot.registry import load
from earshot.rooms import Rooms
from earshot.scheduler import House, open_source
from earshot.settings import Settings, SourceSettings
from earshot.storage import Store
from earshot.storage.bulk import insert_rows
from earshot.storage.columns import stored_time
from earshot.storage.migrations import configuration
from earshot.storage.sources import SourceState, SourceStatus
from earshot.storage.sweeping import Quota
from earshot.storage.tables import GONE, CopyKeyRow, MentionRow, table
from earshot.sweeping import sweep
from escalation.policy import default_policy
from listener import SOURCES
from listener.feed import FeedSource
from listener.source import Looks, Source, Sweeps

DAY = timedelta(days=1)
MENTION, COPY_KEY = table(MentionRow), table(CopyKeyRow)


@dataclass
class Watch:
    """A source that listened once, and is swept whenever a test says so; time is ours."""

    store: Store
    network: FakeNetwork
    changes: dict[str, Any] = field(default_factory=dict)
    now: datetime = NOW
    worker: Worker = field(default_factory=lambda: Worker(name="w", lease=LEASE))

    def __post_init__(self) -> None:
        name = self.network.name
        given = {"name": name, "network": name, "query": self.network.query, "url": self.network.url, "allow_private": True}
        self.settings = SourceSettings(**(given | self.changes))
        self.source: Source = self.network.source(**({"replies": False, "account": ""} | self.changes))
        self.store.sources.declare([(name, name)])

    def hear(self) -> int:
        return pipeline.hear(self.store, self.settings, self.source, worker=self.worker, now=self.now)

    def sweep(self, *, after: timedelta = timedelta(0), worker: Worker | None = None) -> int:
        self.now += after
        return sweep(self.store, self.settings, self.source, worker=worker or self.worker, now=self.now)

    def texts(self) -> dict[str, str]:
        with self.store.database.reading() as connection:
            return {row.native_id: row.text for row in connection.execute(select(MENTION)).all()}

    @property
    def status(self) -> SourceStatus:
        [status] = self.store.sources.statuses()
        return status


LOOKUPS = {
    "x": "/2/tweets",
    "reddit": "/api/info",
    "mastodon": "/api/v1/statuses",
    "bluesky": "/xrpc/app.bsky.feed.getPosts",
    "youtube": "/youtube/v3/comments",
}


@pytest.fixture(params=sorted(LOOKUPS))
def network(request: pytest.FixtureRequest) -> FakeNetwork:
    found: FakeNetwork = request.getfixturevalue(f"{request.param}_network")
    return found


@pytest.fixture
def looks(network: FakeNetwork) -> Callable[[], int]:
    """How often the network was asked whether posts still stand."""
    return lambda: sum(method == "GET" and path == LOOKUPS[network.name] for method, path in network.faults.calls)


@pytest.fixture
def watch(store: Store, network: FakeNetwork) -> Watch:
    return Watch(store, network)


# ---- what is gone


def test_a_deleted_post_is_erased_within_a_sweep_and_others_stay(watch: Watch) -> None:
    kept = watch.network.post("how do I pair the hub?")
    doomed = watch.network.post("my lamp hums all night long, is that healthy?", author="ben")
    assert watch.hear() == 2
    words = watch.texts()[kept]
    watch.network.world.delete(watch.network.name, doomed)
    assert watch.sweep(after=timedelta(hours=23)) == 0
    assert watch.sweep(after=timedelta(hours=1)) == 1
    assert watch.texts() == {kept: words, doomed: ""}
    with watch.store.database.reading() as connection:
        erased = connection.execute(select(MENTION).where(MENTION.c.native_id == doomed)).mappings().one()
        keys = select(func.count()).select_from(COPY_KEY).where(COPY_KEY.c.mention_id == erased["id"])
        assert connection.execute(keys).scalar_one() == 0
    assert (erased["stage"], erased["url"], erased["scores"]) == (GONE, "", None)


def test_what_is_there_is_asked_for_once_a_pause(watch: Watch, looks: Callable[[], int]) -> None:
    watch.network.post("how do I pair the hub?")
    watch.hear()
    before = looks()
    for _ in range(8):
        watch.sweep(after=timedelta(hours=12))
    assert looks() == before + 4


def test_what_is_gone_or_old_is_asked_for_no_more(watch: Watch, looks: Callable[[], int]) -> None:
    doomed = watch.network.post("my lamp hums")
    watch.network.post("an old lamp", at=NOW - timedelta(hours=12))
    watch.hear()
    watch.network.world.delete(watch.network.name, doomed)
    assert watch.sweep(after=DAY) == 1
    assert watch.sweep(after=timedelta(days=31)) == 0
    before = looks()
    assert watch.sweep(after=DAY) == 0
    assert looks() == before


def test_without_a_pause_nobody_looks(store: Store, network: FakeNetwork, looks: Callable[[], int]) -> None:
    watch = Watch(store, network, {"sweep_hours": 0})
    network.post("how do I pair the hub?")
    watch.hear()
    before = looks()
    assert watch.sweep(after=9 * DAY) == 0
    assert looks() == before


def as_hidden(native_id: str, kind: str) -> Callable[[Any], Any]:
    """X shows the post to nobody, or not to us."""

    def change(body: Any) -> Any:
        error = {
            "resource_id": native_id,
            "value": native_id,
            "resource_type": "tweet",
            "parameter": "ids",
            "type": f"https://api.twitter.com/2/problems/{kind}",
        }
        body["data"] = [item for item in body["data"] if item["id"] != native_id]
        return body | {"errors": [error]}

    return change


@pytest.mark.parametrize(("kind", "is_gone"), [("resource-not-found", 1), ("not-authorized-for-resource", 1), ("resource-unavailable", 0)])
def test_posts_of_protected_and_suspended_authors_on_x_are_gone(store: Store, x_network: FakeNetwork, kind: str, is_gone: int) -> None:
    kept, hidden = (x_network.post(text, author=text[:3]) for text in ("ann's lamp", "ben's hub"))
    watch = Watch(store, x_network)
    watch.hear()
    x_network.faults.on("/2/tweets", rewrites(as_hidden(hidden, kind)))
    assert watch.sweep(after=DAY) == is_gone
    assert watch.texts()[kept]
    assert bool(watch.texts()[hidden]) is not bool(is_gone)


def test_a_private_post_on_mastodon_is_gone(store: Store, mastodon_network: FakeNetwork) -> None:
    app = mastodon.app(mastodon_network.world)
    mastodon_network.faults.begin(app)
    posted = [mastodon_network.post(f"number {n}") for n in range(3)]
    watch = Watch(store, mastodon_network)
    watch.hear()
    app.visibility[posted[1]] = "private"
    assert watch.sweep(after=DAY) == 1
    assert [native_id for native_id, text in watch.texts().items() if not text] == [posted[1]]


@pytest.mark.parametrize("change", [{"selftext": "[removed]"}, {"removed_by_category": "moderator"}])
def test_a_removed_post_on_reddit_is_gone(store: Store, reddit_network: FakeNetwork, change: dict[str, str]) -> None:
    kept, removed = reddit_network.post("my lamp"), reddit_network.post("my hub")
    watch = Watch(store, reddit_network)
    watch.hear()

    def remove(body: Any) -> Any:
        for child in body["data"]["children"]:
            child["data"] |= change if child["data"]["name"] == removed else {}
        return body

    reddit_network.faults.on("/api/info", rewrites(remove))
    assert watch.sweep(after=DAY) == 1
    assert {native_id: bool(text) for native_id, text in watch.texts().items()} == {kept: True, removed: False}


# ---- batches


def test_a_sweep_asks_for_a_batch_oldest_look_first(watch: Watch, looks: Callable[[], int]) -> None:
    assert isinstance(watch.source, Sweeps)
    n = watch.source.looks.at_once
    for number in range(n + 5):
        watch.network.post(f"number {number}", author=f"author{number}")
    assert watch.hear() == n + 5
    for native_id in watch.texts():
        watch.network.world.delete(watch.network.name, native_id)
    assert watch.sweep(after=DAY) == n
    assert watch.sweep() == 5
    assert watch.sweep() == 0
    assert set(watch.texts().values()) == {""}


def test_many_workers_at_once_ask_for_each_post_once(store: Store, x_network: FakeNetwork) -> None:
    watch = Watch(store, x_network)
    for number in range(350):
        x_network.post(f"number {number}", author=f"author{number}")
    watch.hear()
    doomed = list(watch.texts())[::7]
    for native_id in doomed:
        x_network.world.delete("x", native_id)
    watch.now += DAY
    before = len(x_network.faults.calls)
    with ThreadPoolExecutor(8) as pool:
        erased = list(pool.map(lambda n: watch.sweep(worker=Worker(name=f"w{n}", lease=LEASE)), range(8)))
    assert sum(erased) == len(doomed)
    assert len(x_network.faults.calls) - before == 4
    assert watch.status.swept == 350 - len(doomed)


def test_a_claim_of_a_worker_that_died_is_due_again_after_its_lease(store: Store, x_network: FakeNetwork) -> None:
    watch = Watch(store, x_network)
    x_network.world.delete("x", x_network.post("gone at once"))
    x_network.post("how do I pair the hub?")
    watch.hear()
    claim = {"pause": DAY, "memory": 30 * DAY, "lease": LEASE}
    assert store.sweeping.claim("x", Quota(at_once=9), now=NOW + DAY, **claim)
    assert store.sweeping.claim("x", Quota(at_once=9), now=NOW + DAY, **claim) is None
    assert store.sweeping.claim("x", Quota(at_once=9), now=NOW + DAY + LEASE, **claim)


# ---- budgets and trouble


def test_a_sweep_stops_where_the_reads_of_the_month_end(store: Store, x_network: FakeNetwork) -> None:
    watch = Watch(store, x_network, {"monthly_reads": 75})
    for number in range(10):
        x_network.post(f"number {number}", author=f"author{number}")
    watch.hear()
    watch.sweep(after=DAY)
    assert (watch.status.reads, watch.status.swept) == (10, 10)
    for _ in range(3):
        watch.sweep(after=DAY)
    assert (watch.status.reads, watch.status.swept) == (10, 15)


def test_polls_that_spent_their_reads_leave_sweeps_theirs(store: Store, x_network: FakeNetwork) -> None:
    watch = Watch(store, x_network, {"monthly_reads": 50})
    for number in range(60):
        x_network.post(f"number {number}", author=f"author{number}")
    for _ in range(5):
        watch.hear()
        watch.now += DAY
    assert (watch.status.reads, watch.status.state) == (40, SourceState.PAUSED)
    watch.sweep()
    assert watch.status.swept == 10
    watch.store.sources.wake("x", now=watch.now)
    watch.store.sources.pause("x", reason="paused by Mia")
    assert watch.sweep(after=28 * DAY) == 0
    assert watch.status.swept == 10


def test_reads_of_a_new_month_begin_at_nothing(store: Store, x_network: FakeNetwork) -> None:
    watch = Watch(store, x_network, {"monthly_reads": 50})
    for number in range(10):
        x_network.post(f"number {number}", author=f"author{number}")
    watch.hear()
    watch.sweep(after=DAY)
    watch.sweep(after=DAY)
    assert (watch.status.reads, watch.status.swept) == (10, 10)
    x_network.world.delete("x", next(iter(watch.texts())))
    watch.sweep(after=timedelta(days=27))
    assert (watch.status.month, watch.status.reads, watch.status.swept) == ("2026-06", 0, 9)


@pytest.mark.parametrize("state", [SourceState.THROTTLED, SourceState.BROKEN, SourceState.PAUSED])
def test_a_source_that_is_not_healthy_is_left_alone(watch: Watch, looks: Callable[[], int], state: SourceState) -> None:
    watch.network.post("how do I pair the hub?")
    watch.hear()
    watch.store.sources.fell(watch.network.name, until=watch.now, state=state, reason="so")
    if state is SourceState.PAUSED:
        watch.store.sources.pause(watch.network.name, reason="so")
    before = looks()
    assert watch.sweep(after=DAY) == 0
    assert looks() == before


@pytest.mark.parametrize("state", [SourceState.PAUSED, SourceState.THROTTLED], ids=["reads spent", "no stream"])
def test_a_sweep_that_fails_waits_also_where_polls_wait_already(watch: Watch, looks: Callable[[], int], state: SourceState) -> None:
    watch.network.post("how do I pair the hub?")
    watch.hear()
    watch.settings = watch.settings.model_copy(update={"every": 600})
    name, next_poll_at = watch.network.name, watch.now + 9 * DAY
    watch.store.sources.take(name, worker="w", now=watch.now + DAY, lease=LEASE)
    watch.store.sources.done(name, worker="w", now=watch.now, next_poll_at=next_poll_at, state=state, reason="so")
    watch.network.faults.on(LOOKUPS[name], breaks(), forever=True)
    watch.sweep(after=DAY)
    before = looks()
    assert before > 0
    watch.network.faults.relent()
    watch.sweep(after=2 * LEASE)
    assert looks() == before
    assert watch.status.next_poll_at == next_poll_at
    if state is SourceState.PAUSED:
        assert (watch.status.state, watch.status.reason) == (state, "so")
        assert watch.status.closed_until is not None
        watch.now = watch.status.closed_until
        watch.sweep()
        assert looks() > before


def test_a_source_that_lacks_only_its_stream_looks_after_its_posts(watch: Watch, looks: Callable[[], int]) -> None:
    watch.network.post("how do I pair the hub?")
    watch.hear()
    watch.store.sources.mark(watch.network.name, state=SourceState.THROTTLED, reason="there is no stream just now; until then polls go on")
    before = looks()
    watch.sweep(after=DAY)
    assert looks() > before


def test_a_sweep_that_fails_ends_in_the_state_of_the_source_and_erases_nothing(watch: Watch) -> None:
    watch.network.post("how do I pair the hub?")
    watch.hear()
    heard, reads = watch.texts(), watch.status.reads
    watch.network.faults.on(LOOKUPS[watch.network.name], breaks(), forever=True)
    assert watch.sweep(after=DAY) == 0
    assert (watch.status.state, watch.status.failures, watch.status.reads) == (SourceState.THROTTLED, 1, reads)
    assert "connection broke" in watch.status.reason
    assert watch.status.next_poll_at is not None
    assert watch.status.next_poll_at > watch.now
    assert watch.texts() == heard

    watch.network.faults.relent()
    watch.network.world.delete(watch.network.name, next(iter(heard)))
    watch.now = watch.status.next_poll_at
    watch.hear()
    assert watch.status.state is SourceState.HEALTHY
    watch.sweep(after=LEASE)
    assert set(watch.texts().values()) == {""}


def test_a_sweep_that_is_throttled_holds_the_polls_back_until_the_moment_named(store: Store, x_network: FakeNetwork) -> None:
    opens = datetime.now(UTC) + timedelta(hours=2)
    x_network.post("how do I pair the hub?")
    watch = Watch(store, x_network)
    watch.hear()
    watch.now = datetime.now(UTC)
    watch.settings = watch.settings.model_copy(update={"sweep_days": 3650.0})
    x_network.faults.on("/2/tweets", answers(429, headers=x_network.reset(opens.timestamp())))
    watch.sweep()
    assert watch.status.next_poll_at is not None
    assert (watch.status.state, watch.status.next_poll_at > opens) == (SourceState.THROTTLED, True)


def test_a_refused_key_stops_the_source_until_a_person_looks(watch: Watch) -> None:
    watch.network.post("how do I pair the hub?")
    watch.hear()
    watch.network.faults.on(LOOKUPS[watch.network.name], answers(401), forever=True)
    watch.sweep(after=DAY)
    assert watch.status.state is SourceState.BROKEN
    assert watch.status.next_poll_at is not None
    assert watch.status.next_poll_at > watch.now + timedelta(days=3000)


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"data": 7}', b'{"errors": [{"type": 3}]}', b'{"errors": ["no"]}', b"nonsense"])
def test_an_answer_that_says_nothing_of_the_posts_erases_none(store: Store, x_network: FakeNetwork, body: bytes) -> None:
    x_network.post("how do I pair the hub?")
    watch = Watch(store, x_network)
    watch.hear()
    heard = watch.texts()
    x_network.faults.on("/2/tweets", answers(200, body=body))
    assert watch.sweep(after=DAY) == 0
    assert (watch.texts(), watch.status.state) == (heard, SourceState.THROTTLED)


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"kind": "Listing", "data": 7}', b"nonsense"])
def test_an_answer_that_is_no_listing_erases_none(store: Store, reddit_network: FakeNetwork, body: bytes) -> None:
    reddit_network.post("how do I pair the hub?")
    watch = Watch(store, reddit_network)
    watch.hear()
    heard = watch.texts()
    reddit_network.faults.on("/api/info", answers(200, body=body))
    assert watch.sweep(after=DAY) == 0
    assert (watch.texts(), watch.status.state) == (heard, SourceState.THROTTLED)


def test_one_empty_answer_erases_nothing_and_two_do(store: Store, reddit_network: FakeNetwork) -> None:
    """A place that went private shows nothing at all; nor does a network for a moment."""
    reddit_network.post("how do I pair the hub?")
    watch = Watch(store, reddit_network)
    watch.hear()
    empty = answers(200, body=b'{"kind": "Listing", "data": {"children": []}}')
    reddit_network.faults.on("/api/info", empty)
    assert watch.sweep(after=DAY) == 0
    reddit_network.faults.on("/api/info", empty, empty)
    assert watch.sweep(after=DAY) == 1


# ---- the house


def test_a_source_that_cannot_look_is_not_asked_to(store: Store, x_network: FakeNetwork) -> None:
    settings = SourceSettings(name="blog", network="feed", query=f"{x_network.url}/feed.xml", allow_private=True)
    assert sweep(store, settings, FeedSource(settings), worker=Worker(name="w"), now=NOW) == 0


def test_a_source_that_is_asked_in_our_language_looks_as_its_network_does(store: Store, x_network: FakeNetwork) -> None:
    settings = SourceSettings(name="x", network="x", wanted="lumifern", url=x_network.url)
    source = open_source(settings)
    doomed = x_network.post("how do I pair the hub?")
    assert isinstance(source, Sweeps)
    x_network.world.delete("x", doomed)
    assert (source.looks, source.gone([doomed])) == (Looks(at_once=100, per_post=1), (doomed,))
    source.close()


@pytest.mark.parametrize("network", SOURCES)
def test_every_source_that_can_look_says_how_much_that_is(network: str) -> None:
    made = load(SOURCES, network, kind="network")
    looks = getattr(made, "looks", None)
    assert looks is None or (hasattr(made, "gone") and 1 <= looks.at_once <= 100)


def test_the_house_sweeps_in_each_round(store: Store, x_network: FakeNetwork) -> None:
    days = iter((NOW, *[NOW + DAY] * 99))
    watch = Watch(store, x_network)
    kept, doomed = x_network.post("how do I pair the hub?"), x_network.post("my lamp hums", author="ben")
    watch.hear()
    x_network.world.delete("x", doomed)
    house = House(Settings(sources=(watch.settings,)), store, Rooms(policy=default_policy()), clock=lambda: next(days))
    assert house.sweep("x") == 0
    house.step()
    house.close()
    assert {native_id: bool(text) for native_id, text in watch.texts().items()} == {kept: True, doomed: False}


def test_what_was_stored_before_sweeps_were_is_looked_after_if_it_is_young(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/old.db")
    now = datetime.now(UTC)
    with store.database.writing() as connection:
        command.upgrade(configuration(connection), "0002")
        names = ("id", "native_id", "posted_at", "seen_at", "network", "source", "stage", "tries")
        moments = [stored_time(now - age) for age in (40 * DAY, 2 * DAY)]
        rows = [(n, str(n), at, at, "x", "x", 1, 1) for n, at in enumerate(moments, start=1)]
        insert_rows(connection, MENTION, names, rows)
    store.upgrade()
    store.sources.declare([("x", "x")])
    look = store.sweeping.claim("x", Quota(at_once=9), now=now, pause=DAY, memory=30 * DAY, lease=LEASE)
    assert look is not None
    assert look.ids == {"2": 2}
    store.close()


# ---- the way to the rows


@contextmanager
def statements(store: Store) -> Iterator[list[tuple[str, Any]]]:
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters))

    event.listen(store.database.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(store.database.engine, "before_cursor_execute", note)


def test_a_claim_reads_the_index_alone(tmp_path: Path, x_network: FakeNetwork) -> None:
    with sqlite_store(tmp_path) as store:
        watch = Watch(store, x_network)
        for number in range(30):
            x_network.post(f"number {number}", author=f"author{number}")
        watch.hear()
        with statements(store) as seen:
            watch.sweep(after=DAY)
        with store.database.reading() as connection:
            plans = {
                statement: [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()]
                for statement, parameters in seen
                if "looked_at" in statement
            }
    assert len(plans) >= 3
    for statement, plan in plans.items():
        assert not any(step.startswith("SCAN mention") for step in plan), (statement, plan)
    due = [plan for statement, plan in plans.items() if "looked_at <=" in statement]
    assert due
    assert all(any("mention_look (source=? AND looked_at<?)" in step for step in plan) for plan in due)
    assert not any("TEMP B-TREE FOR ORDER" in step for plan in due for step in plan)
    assert len(seen) < 20
