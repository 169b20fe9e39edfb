"""From a network to a super-user's desk over real parts: a server in X's wire format, the trained model, both databases."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from fake_networks.faults import answers, breaks, garbles
from fake_networks.fixtures import NOW, FakeNetwork
from houses import LEASE, staff, super_user
from poison import WORD
from structlog.testing import capture_logs

import classifiers
import earshot.demo
from classifiers.model import SHIPPED
from classifiers.model import load as load_model
from earshot import outbox, pacing, pipeline
from earshot.case import Move, Outcome, State, Tier, replay
from earshot.errors import Conflict, ModelError
from earshot.mention import Mention
from earshot.pipeline import Worker
from earshot.rooms import Rooms
from earshot.settings import Settings, SourceSettings
from earshot.storage import Store
from earshot.storage.cases import CasePage, QueueItem
from earshot.storage.mentions import POISON_TRIES
from earshot.storage.sources import SourceState, SourceStatus
from listener.source import Metered, Page, Posted, Source

BRAND = Path(earshot.demo.__file__).parent / "story" / "brand.toml"
EASY = "how do I pair the hub with my phone?"
ANGRY = "this is a disgrace, the third broken hub, I am furious and want my money back now!!!"
PRAISE = "I love my new lamps, so pretty"
MINUTE = timedelta(minutes=1)


@dataclass
class Town:
    """A house that listens to X; time is ours."""

    store: Store
    network: FakeNetwork
    now: datetime = NOW
    worker: Worker = field(default_factory=lambda: Worker(name="w", lease=LEASE))
    every: float = 50.0  # polls come up to a tenth late: a minute is enough
    monthly_reads: int | None = None

    def __post_init__(self) -> None:
        network = self.network
        self.settings = SourceSettings(
            name="x",
            network="x",
            query=network.query,
            url=network.url,
            account=network.world.account,
            replies=True,
            every=self.every,
            monthly_reads=self.monthly_reads,
        )
        self.source: Source = network.source(deadline=0.5)
        self.rooms = Rooms.open(self.store, Settings(brand=BRAND, sources=(self.settings,)), now=self.now)
        self.store.sources.declare([("x", "x")])

    def hear(self, *, worker: Worker | None = None) -> int:
        return pipeline.hear(self.store, self.settings, self.source, worker=worker or self.worker, now=self.now)

    def understand(self, *, worker: Worker | None = None) -> int:
        worker = worker or self.worker
        rounds = iter(lambda: pipeline.understand(self.store, self.rooms, worker=worker, now=self.now), 0)
        return sum(rounds)

    def hand_over(self, *, worker: Worker | None = None) -> int:
        return pipeline.hand_over(self.store, self.rooms, worker=worker or self.worker, now=self.now, minutes=20)

    def listen(self) -> None:
        """Hear what is new and understand it."""
        self.now += MINUTE
        self.hear()
        self.understand()

    @property
    def status(self) -> SourceStatus:
        [status] = self.store.sources.statuses()
        return status

    def cases(self) -> list[QueueItem]:
        return list(self.store.cases.queue(states=tuple(State), limit=1000).items)

    def case_of(self, native_id: str) -> CasePage:
        for item in self.cases():
            page = self.store.cases.page(item.case.id)
            assert page is not None
            if any(post.in_case and post.scored.mention.native_id == native_id for post in page.posts):
                return page
        raise AssertionError(f"{native_id} is in no case")

    def assert_every_log_replays(self) -> None:
        for item in self.cases():
            case = self.store.cases.get(item.case.id)
            assert replay(self.store.cases.events(case.id)) == (case.state, case.tier, case.assignee)


@pytest.fixture
def town(store: Store, x_network: FakeNetwork) -> Town:
    return Town(store, x_network)


# ---- the whole way


def test_posts_end_as_cases_with_routes_and_reasons(town: Town) -> None:
    easy, angry, praise = (town.network.post(text, author=author) for text, author in ((EASY, "ann"), (ANGRY, "ben"), (PRAISE, "cat")))
    assert town.hear() == 3
    assert town.understand() == 3
    routes = {native_id: town.case_of(native_id).case for native_id in (easy, angry, praise)}
    assert {native_id: case.tier for native_id, case in routes.items()} == {
        easy: Tier.COMMUNITY,
        angry: Tier.TIER_1,
        praise: Tier.NONE,
    }
    assert routes[praise].state is State.CLOSED
    assert all(case.reason and case.rule and case.policy for case in routes.values())
    assert all(case.due_at is not None and case.due_at > town.now for case in routes.values() if case.tier is not Tier.NONE)
    scored = town.case_of(easy).posts[0].scored
    assert {"anger", "intent", "influence", "topics"} <= {score.name for score in scored.scores}
    town.assert_every_log_replays()


def test_a_question_is_heard_offered_answered_and_solved(town: Town) -> None:
    uma = super_user(town.store)
    asked = town.network.post(EASY, at=town.now)
    town.listen()
    assert town.hand_over() == 1
    [item] = town.store.handover.desk(uma.id)
    assert item.offer_id is not None
    town.store.handover.accept(item.offer_id, by=uma.id, now=town.now, lease=LEASE)
    sending = replace(town.rooms.sending, after=timedelta(0))
    town.store.moves.answer(item.case.id, by=uma.id, text="Hold the ring.", now=town.now, needs_approval=False, sending=sending)
    assert outbox.send_all(town.store, {"x": town.source}, worker=town.worker, now=town.now) == 1
    [ours] = town.network.world.replies("x")
    assert ours.parent == asked

    town.network.world.post("x", "ann", "@lumifern thanks, that worked!", at=town.now, reply_to=ours.native_id)
    town.listen()
    case = town.store.cases.get(item.case.id)
    assert (case.state, case.assignee) == (State.SOLVED, uma.id)
    assert sum(town.store.mentions.counts().values()) == 2  # the question and the thanks; our own reply is no mention
    town.assert_every_log_replays()


def test_our_own_reply_polled_back_is_no_mention(town: Town) -> None:
    """The author and the search leave it out; and if neither did, its id would. Elsewhere it opened cases: Zammad #406, Chatwoot #7078."""
    asked = town.network.post(EASY)
    town.listen()
    sam = staff(town.store)
    sending = replace(town.rooms.sending, after=timedelta(0))
    page = town.case_of(asked)
    text = "Hold the ring of the lumifern hub."
    town.store.moves.answer(page.case.id, by=sam.id, text=text, now=town.now, needs_approval=False, sending=sending)
    outbox.send_all(town.store, {"x": town.source}, worker=town.worker, now=town.now)
    town.settings = town.settings.model_copy(update={"account": ""})
    town.source = town.network.source(account="", replies=False)
    town.listen()
    assert town.network.faults.count("search/recent") == 2
    assert sum(town.store.mentions.counts().values()) == 1


def test_the_same_post_heard_fifty_times_at_once_is_one_case(store: Store) -> None:
    """Elsewhere it was several: Chatwoot #13359, #6046."""
    mention = Mention(network="x", native_id="1", author=None, text=EASY, url="", posted_at=NOW)
    rooms = Rooms.open(store, Settings(brand=BRAND), now=NOW)

    def hear_and_understand(n: int) -> int:
        kept = pipeline.keep(store, [mention], source="x", now=NOW).new
        pipeline.understand(store, rooms, worker=Worker(name=f"w{n}", lease=LEASE), now=NOW)
        return kept

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(hear_and_understand, range(50))) == 1
    queue = store.cases.queue(states=tuple(State))
    assert (queue.total, queue.items[0].mentions) == (1, 1)
    assert [event.move for event in store.cases.events(queue.items[0].case.id)] == [Move.QUEUE]


def test_many_workers_understand_a_flood_once(town: Town) -> None:
    """Authors who write often meet in every batch; cases of one thread meet across batches."""
    roots = [town.network.post(f"{EASY} (number {i})", author=f"author{i % 7}") for i in range(20)]
    for i in range(180):
        town.network.post(f"number {i} of many words: {EASY if i % 3 else ANGRY}", author=f"author{i % 7}", reply_to=roots[i % 20])
    workers = [Worker(name=f"w{i}", lease=LEASE, batch=9) for i in range(4)]

    def work(worker: Worker) -> int:
        return town.hear(worker=worker) + town.understand(worker=worker)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, workers * 3))
    town.understand()
    assert town.store.mentions.counts() == {"heard": 0, "understood": 200, "gone": 0, "quarantined": 0}
    items = town.cases()
    assert sum(item.mentions for item in items) == sum(len([post for post in _page(town, item).posts if post.in_case]) for item in items)
    town.assert_every_log_replays()


def _page(town: Town, item: QueueItem) -> CasePage:
    page = town.store.cases.page(item.case.id)
    assert page is not None
    return page


# ---- sources that fail


def test_a_failing_source_backs_off_and_the_others_go_on(town: Town, reddit_network: FakeNetwork) -> None:
    town.network.post(EASY)
    reddit_network.post(EASY)
    town.store.sources.declare([("reddit", "reddit")])
    town.network.faults.on(town.network.reads, breaks(), forever=True)
    reddit = SourceSettings(name="reddit", network="reddit", query=reddit_network.query, url=reddit_network.url)
    source = reddit_network.source()
    pauses = []
    for _ in range(4):
        town.hear()
        status = next(status for status in town.store.sources.statuses() if status.name == "x")
        assert status.next_poll_at is not None
        assert "x: the connection broke" in status.reason
        pauses.append(status.next_poll_at - town.now)
        town.now = status.next_poll_at
        pipeline.hear(town.store, reddit, source, worker=town.worker, now=town.now)
    assert all(later > earlier for earlier, later in itertools.pairwise(pauses))
    assert pauses[0] > timedelta(seconds=town.every)
    states = {status.name: status.state for status in town.store.sources.statuses()}
    assert states == {"x": SourceState.BROKEN, "reddit": SourceState.HEALTHY}
    assert sum(town.store.mentions.counts().values()) == 1

    town.network.faults.relent()
    town.hear()
    status = next(status for status in town.store.sources.statuses() if status.name == "x")
    assert (status.state, status.failures, status.reason) == (SourceState.HEALTHY, 0, "")
    assert sum(town.store.mentions.counts().values()) == 2


def test_a_source_that_is_throttled_waits_until_the_moment_that_the_network_names(town: Town) -> None:
    opens = datetime.now(UTC) + timedelta(hours=2)
    town.network.faults.on(town.network.reads, answers(429, headers=town.network.reset(opens.timestamp())))
    town.now = datetime.now(UTC)
    town.hear()
    assert town.status.state is SourceState.THROTTLED
    assert town.status.next_poll_at is not None
    assert timedelta(seconds=1) < town.status.next_poll_at - opens <= 2 * pacing.AFTER_A_RESET
    town.now = opens
    town.hear()
    assert town.network.faults.count(town.network.reads) == 1
    town.now = opens + 2 * pacing.AFTER_A_RESET
    town.hear()
    assert (town.network.faults.count(town.network.reads), town.status.state) == (2, SourceState.HEALTHY)


def test_a_refused_key_is_tried_once_until_a_person_wakes_the_source(town: Town) -> None:
    town.network.faults.on(town.network.reads, answers(401), forever=True)
    for _ in range(5):
        town.hear()
        town.now += timedelta(days=30)
    assert town.network.faults.count(town.network.reads) == 1
    assert (town.status.state, town.network.main_secret in town.status.reason) == (SourceState.BROKEN, True)
    town.network.faults.relent()
    town.network.post(EASY, at=town.now)
    town.store.sources.wake("x", now=town.now)
    assert town.hear() == 1
    assert town.status.state is SourceState.HEALTHY


def test_a_month_whose_reads_are_spent_is_over_for_that_source(store: Store, x_network: FakeNetwork) -> None:
    town = Town(store, x_network, monthly_reads=150)  # a fifth of them is set aside for sweeps
    town.now = datetime(2026, 5, 31, 12, tzinfo=UTC)
    for i in range(400):
        x_network.post(f"{EASY} {i}", at=town.now)
    town.hear()
    assert (x_network.faults.count(x_network.reads), town.status.reads) == (2, 120)  # of a hundred, and of twenty
    town.now += timedelta(hours=1)
    town.hear()
    assert x_network.faults.count(x_network.reads) == 2
    assert (town.status.state, "150 reads" in town.status.reason) == (SourceState.PAUSED, True)
    assert town.status.next_poll_at == datetime(2026, 6, 1, tzinfo=UTC)
    town.settings = town.settings.model_copy(update={"monthly_reads": 2000})
    town.now = datetime(2026, 6, 1, tzinfo=UTC)
    town.hear()
    assert sum(store.mentions.counts().values()) == 400


def test_a_day_leaves_reads_for_the_days_that_follow(store: Store, x_network: FakeNetwork) -> None:
    town = Town(store, x_network, monthly_reads=1000)
    town.now = datetime(2026, 5, 10, 12, tzinfo=UTC)
    for i in range(400):
        x_network.post(f"{EASY} {i}", at=town.now)
    town.hear()
    assert town.status.reads == 200  # a quarter of 800
    town.now += timedelta(hours=1)
    town.hear()
    assert (town.status.state, "a day takes at most 200" in town.status.reason) == (SourceState.PAUSED, True)
    assert town.status.next_poll_at == datetime(2026, 5, 11, tzinfo=UTC)
    town.now = datetime(2026, 5, 11, tzinfo=UTC)
    town.hear()
    assert town.status.reads == 350  # of the 600 left


class Shared:
    """A source of X at which others are at work: `meanwhile` is done during each of its calls."""

    network, keys_from, least_reads = "x", "", 10

    def __init__(self, source: Source, meanwhile: Callable[[], object]) -> None:
        self.source, self.meanwhile = source, meanwhile

    def fetch(self, cursor: str | None, *, now: datetime) -> Page:
        self.meanwhile()
        return self.source.fetch(cursor, now=now)

    def fetch_within(self, cursor: str | None, *, now: datetime, reads: int) -> Page:
        self.meanwhile()
        return cast(Metered, self.source).fetch_within(cursor, now=now, reads=reads)

    def reply(self, parent_id: str, text: str, *, key: str) -> Posted:
        raise NotImplementedError

    def find_reply(self, parent_id: str, text: str) -> Posted | None:
        raise NotImplementedError

    def close(self) -> None:
        self.source.close()


def test_what_others_read_meanwhile_counts_for_the_next_page(store: Store, x_network: FakeNetwork) -> None:
    town = Town(store, x_network, monthly_reads=150)
    town.now = datetime(2026, 5, 31, 12, tzinfo=UTC)
    for i in range(400):
        x_network.post(f"{EASY} {i}", at=town.now)
    town.source = Shared(town.source, lambda: store.sources.spend("x", reads=50, now=town.now))
    town.hear()
    assert (x_network.faults.count(x_network.reads), town.status.reads) == (1, 150)


def test_a_page_that_was_read_and_is_not_ours_to_keep_was_paid_for(town: Town) -> None:
    for i in range(10):
        town.network.post(f"{EASY} {i}")
    later = town.now + LEASE + timedelta(seconds=1)
    town.source = Shared(town.source, lambda: town.store.sources.take("x", worker="other", now=later, lease=LEASE))
    assert town.hear() == 0
    assert (town.status.reads, town.status.cursor) == (10, None)


def test_a_network_that_closes_while_a_poll_goes_on_stays_closed(town: Town) -> None:
    town.network.post(EASY)
    opens = town.now + timedelta(hours=1)
    closes = {"until": opens, "state": SourceState.THROTTLED, "reason": "the network asked us to wait"}
    town.source = Shared(town.source, lambda: town.store.sources.fell("x", closed=True, **closes))  # type: ignore[arg-type]
    assert town.hear() == 1
    assert (town.status.state, town.status.closed_until, town.status.reason) == (SourceState.THROTTLED, opens, closes["reason"])
    town.source = town.network.source()
    town.now = opens - timedelta(seconds=1)
    town.hear()
    assert town.network.faults.count(town.network.reads) == 1
    town.now = opens
    town.hear()
    assert (town.network.faults.count(town.network.reads), town.status.state) == (2, SourceState.HEALTHY)


def test_where_a_network_asks_one_source_to_wait_the_others_of_its_server_wait_too(town: Town) -> None:
    town.store.sources.declare([("more", "x"), ("other", "x")])
    opens = datetime.now(UTC) + timedelta(hours=2)
    town.network.faults.on(town.network.reads, answers(429, headers=town.network.reset(opens.timestamp())))
    pipeline.hear(town.store, town.settings, town.source, worker=town.worker, now=datetime.now(UTC), neighbours=["more"])
    states = {status.name: (status.state, status.next_poll_at) for status in town.store.sources.statuses()}
    assert states["more"] == states["x"]
    assert states["x"][0] is SourceState.THROTTLED
    assert states["other"] == (SourceState.HEALTHY, None)


def test_a_source_that_brings_nothing_is_asked_less_often_and_soon_more_often_again(store: Store, x_network: FakeNetwork) -> None:
    town = Town(store, x_network)

    def pause() -> float:
        town.hear()
        assert town.status.next_poll_at is not None
        pause = town.status.next_poll_at - town.now
        town.now = town.status.next_poll_at
        return pause.total_seconds()

    quiet = [pause() for _ in range(120)]
    assert quiet[0] < 60
    assert 300 <= quiet[-1] <= 330
    for i in range(40):
        x_network.post(f"{EASY} {i}", at=town.now)
    assert pause() < 120
    town.settings = town.settings.model_copy(update={"urgent": True})
    assert [pause() for _ in range(120)][-1] < 60


def test_a_source_that_a_person_paused_stays_so_until_somebody_resumes_it(town: Town) -> None:
    town.network.post(EASY)
    taken = town.store.sources.take("x", worker="w", now=town.now, lease=LEASE)
    assert taken is not None
    assert town.store.sources.pause("x", reason="paused by Mia")
    assert not town.store.sources.pause("x", reason="paused by Ben")
    town.store.sources.done("x", worker="w", now=town.now, next_poll_at=town.now, state=SourceState.HEALTHY)
    assert (town.status.state, town.status.reason) == (SourceState.PAUSED, "paused by Mia")
    assert town.hear() == 0
    assert town.store.sources.wake("x", now=town.now)
    assert town.hear() == 1


def test_a_page_that_cannot_be_read_moves_no_cursor_and_loses_nothing(town: Town) -> None:
    town.network.post(EASY)
    town.network.faults.on(town.network.reads, garbles())
    town.hear()
    assert (town.status.state, town.status.cursor) == (SourceState.THROTTLED, None)
    town.now += timedelta(hours=1)
    assert town.hear() == 1


def test_a_source_with_a_fault_of_ours_backs_off_too(town: Town) -> None:
    town.network.post(EASY)
    town.source = cast(Source, None)  # the fault
    with capture_logs():
        town.hear()
    first = town.status
    assert (first.failures, "our own fault" in first.reason) == (1, True)
    town.now += timedelta(seconds=10)
    town.hear()
    assert town.status.polls == 1
    town.source = town.network.source()
    town.now += timedelta(hours=1)
    assert town.hear() == 1


class Endless:
    """A source whose network always has another page; `stuck`: always the same one; `again`: as a stream has."""

    network, keys_from = "x", ""

    def __init__(self, *, stuck: bool, again: float | None = None) -> None:
        self.stuck, self.again, self.asked = stuck, again, 0

    def fetch(self, cursor: str | None, *, now: datetime) -> Page:
        self.asked += 1
        number = 0 if self.stuck else int(cursor or 0) + 1
        post = Mention(network="x", native_id=str(number), author=None, text=f"{EASY} {number}", url="", posted_at=now)
        return Page(mentions=(post,), cursor=str(number), more=True, again=self.again)

    def reply(self, parent_id: str, text: str, *, key: str) -> Posted:
        raise NotImplementedError

    def find_reply(self, parent_id: str, text: str) -> Posted | None:
        raise NotImplementedError

    def close(self) -> None:
        pass


def test_a_network_that_never_ends_is_left_after_so_many_pages_and_gone_on_with_at_once(town: Town) -> None:
    town.source = endless = Endless(stuck=False)
    assert town.hear() == endless.asked == pipeline.MOST_PAGES
    assert (town.status.cursor, town.status.next_poll_at) == (str(pipeline.MOST_PAGES), town.now)
    assert town.hear() == pipeline.MOST_PAGES


def test_each_page_of_a_stream_has_a_time_and_a_lease_of_its_own(town: Town) -> None:
    town.source = Endless(stuck=False, again=0.0)
    for n in range(1, 4):
        town.now += timedelta(seconds=100)
        assert town.hear() == 1
        assert (town.status.cursor, town.status.next_poll_at, town.status.polled_at) == (str(n), town.now, town.now)
        other = Worker(name="other", lease=LEASE)
        assert pipeline.hear(town.store, town.settings, town.source, worker=other, now=town.now + timedelta(seconds=90)) == 0


def test_a_network_that_gives_the_same_page_again_and_again_is_left_alone_for_a_while(town: Town) -> None:
    town.source = endless = Endless(stuck=True)
    assert town.hear() == 1
    assert endless.asked == 2
    assert (town.status.state, "same page again" in town.status.reason) == (SourceState.THROTTLED, True)
    assert town.status.next_poll_at > town.now


# ---- near copies


def test_a_copy_points_to_its_original_and_is_counted_there(town: Town) -> None:
    original = town.network.post(f"{PRAISE}, they make my whole living room glow", author="ann")
    town.listen()
    copies = [
        town.network.post(f"{PRAISE}, they make my whole living room glow!! https://l.example/{i}", author=f"author{i}") for i in range(3)
    ]
    town.listen()
    assert len(town.cases()) == 1
    page = town.case_of(original)
    assert [post.copies for post in page.posts] == [3]
    assert set(town.store.mentions.by_native_ids("x", copies)) == set(copies)  # every id is stored


def test_another_authors_copied_request_keeps_its_own_case(town: Town) -> None:
    text = "how do I pair the hub with my new phone? it is not in the list"
    first = town.network.post(text, author="ann")
    second = town.network.post(text, author="ben")
    again = town.network.post(text, author="ann")
    town.listen()
    assert {town.case_of(native_id).case.id for native_id in (first, second)} == {item.case.id for item in town.cases()}
    assert len(town.cases()) == 2
    assert town.case_of(first).posts[0].copies == 2
    assert set(town.store.mentions.by_native_ids("x", [again])) == {again}


@pytest.mark.parametrize("is_known", [True, False])
def test_a_declared_repost_is_only_counted(town: Town, is_known: bool) -> None:
    original = town.network.post(EASY, author="ann")
    for i in range(3):
        town.network.world.post("x", f"author{i}", f"lumifern: {EASY}", at=town.now, repost_of=original)
    if not is_known:
        town.network.world.delete("x", original)
    town.listen()
    assert town.store.mentions.counts()["understood"] == 3 + is_known
    assert [item.mentions for item in town.cases()] == [1] * is_known
    if is_known:
        assert town.case_of(original).posts[0].copies == 3


# ---- what goes wrong inside


def test_a_mention_that_crashes_a_classifier_is_put_aside_and_the_rest_gets_through(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(classifiers.CLASSIFIERS, "poison", "poison:choke")  # type: ignore[arg-type]
    for i in range(40):
        town.network.post(f"{EASY} ({i})" + (WORD if i in (7, 23) else ""), author=f"author{i}")
    with capture_logs() as logged:
        _quarantine(town)
    crashes = [entry for entry in logged if entry["event"] == "mention_crashed_a_room"]
    assert [entry["tries"] for entry in crashes] == [1, 1, 2, 2, 3, 3]
    assert WORD not in str(logged)


def _quarantine(town: Town) -> None:
    town.listen()
    assert town.store.mentions.counts() == {"heard": 2, "understood": 38, "gone": 0, "quarantined": 0}
    for _ in range(POISON_TRIES):
        town.understand()
    assert town.store.mentions.counts() == {"heard": 0, "understood": 38, "gone": 0, "quarantined": 2}
    town.network.post(EASY, author="late")
    town.listen()
    assert town.store.mentions.counts()["understood"] == 39


def test_a_model_that_was_tampered_with_puts_no_mention_aside(town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tmp_path / SHIPPED.name
    weights.write_bytes(SHIPPED.read_bytes() + b"more")
    weights.with_suffix(".json").write_bytes(SHIPPED.with_suffix(".json").read_bytes())
    monkeypatch.setattr("classifiers.model.shipped", lambda: load_model(weights))
    town.network.post(EASY)
    town.hear()
    for _ in range(POISON_TRIES + 2):
        with pytest.raises(ModelError):
            town.understand()
    [waiting] = town.store.mentions.claim(1, worker="another", now=town.now, lease=LEASE)
    assert waiting.tries == 1  # nobody claimed it without a model
    town.store.mentions.release([waiting.id], worker="another")
    monkeypatch.undo()
    assert town.understand() == 1


# ---- hand over


def test_a_case_that_nobody_on_the_roster_could_take_goes_to_staff(town: Town) -> None:
    super_user(town.store)  # writes English
    asked = town.network.post("请问怎么把灯连接到网关？", author="ann")
    town.listen()
    assert town.case_of(asked).case.tier is Tier.COMMUNITY
    assert town.hand_over() == 0
    case = town.case_of(asked).case
    assert (case.tier, case.state) == (Tier.TIER_1, State.QUEUED)
    assert "no super-user writes this language" in case.reason
    town.assert_every_log_replays()


def test_two_workers_hand_over_at_once_within_everybodys_capacity(town: Town) -> None:
    people = [super_user(town.store, f"Uma{i}", open_posts=3) for i in range(4)]
    for i in range(30):
        town.network.post(f"{EASY} (number {i}, I tried twice)", author=f"author{i}")
    town.listen()
    workers = [Worker(name=f"w{i}", lease=LEASE, batch=5) for i in range(2)]
    with ThreadPoolExecutor(2) as pool:
        made = sum(pool.map(lambda worker: sum(town.hand_over(worker=worker) for _ in range(6)), workers))
    desks = [town.store.handover.desk(person.id) for person in people]
    assert made == sum(len(desk) for desk in desks) == 12
    assert [len(desk) for desk in desks] == [3] * 4
    offered = [item.case.id for desk in desks for item in desk]
    assert len(set(offered)) == len(offered)
    town.assert_every_log_replays()


def test_people_who_race_for_a_case_leave_it_with_one_owner(town: Town) -> None:
    """Elsewhere both had it: Chatwoot #15275, #11034."""
    uma = super_user(town.store)
    town.network.post(EASY)
    town.listen()
    town.hand_over()
    [item] = town.store.handover.desk(uma.id)
    sam = staff(town.store)
    moves: list[Callable[[], object]] = [
        lambda: town.store.handover.accept(item.offer_id or 0, by=uma.id, now=town.now, lease=LEASE),
        lambda: town.store.moves.assign(item.case.id, assignee=sam.id, by=sam.id, now=town.now),
    ] * 4

    def attempt(move: Callable[[], object]) -> None:
        with contextlib.suppress(Conflict):
            move()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(attempt, moves))
    case = town.store.cases.get(item.case.id)
    assert (case.state, case.assignee in (uma.id, sam.id)) == (State.ASSIGNED, True)
    town.assert_every_log_replays()


def test_a_case_that_grew_angry_while_it_was_matched_is_not_offered(town: Town) -> None:
    uma = super_user(town.store)
    asked = town.network.post(EASY, author="ann")
    town.listen()
    claimed = town.store.handover.claim(10, worker="w", now=town.now, lease=LEASE)
    plan = town.rooms.plan_offers(claimed, town.store.accounts.roster(now=town.now), now=town.now, minutes=20)
    town.network.post(ANGRY, author="ann", reply_to=asked)
    town.listen()
    assert len(plan.offers) == 1
    assert town.store.handover.write_offers(plan.offers, worker="w", now=town.now) == 0
    assert town.store.handover.desk(uma.id) == []
    assert town.case_of(asked).case.tier is Tier.TIER_1


def test_what_nobody_answers_in_time_goes_one_tier_up_once(town: Town) -> None:
    super_user(town.store)
    asked = town.network.post(EASY)
    town.listen()
    town.hand_over()
    due = town.case_of(asked).case.due_at
    assert due is not None
    town.now = due + MINUTE
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: pipeline.look_after(town.store, town.rooms, now=town.now), range(8)))
    case = town.case_of(asked).case
    assert (case.tier, case.state, case.outcome) == (Tier.TIER_1, State.QUEUED, Outcome.AUTOMATIC)
    assert case.due_at is not None
    assert case.due_at > town.now
    moves = [event.move for event in town.store.cases.events(case.id)]
    assert (moves.count(Move.ESCALATE), moves.count(Move.EXPIRE)) == (1, 1)
    town.assert_every_log_replays()
