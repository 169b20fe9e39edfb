"""A reply is posted at most once, whatever the network and our own workers do meanwhile."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from fake_networks.faults import answers, breaks, fails_after, garbles, hangs, hangs_after, loses_the_answer
from fake_networks.fixtures import NOW as FIRST
from fake_networks.fixtures import FakeNetwork
from houses import LEASE, open_case, route, staff

from earshot import outbox
from earshot.case import ReplyState, Sending, State, Tier, replay
from earshot.errors import EarshotError
from earshot.mention import Author, Mention
from earshot.pipeline import Worker
from earshot.storage import Store
from earshot.storage.cases import WrittenAnswer
from listener.source import Source

MINUTE = timedelta(minutes=1)


@dataclass
class Office:
    """One of ours who answers on a network, and workers that send what she wrote. Time is ours."""

    store: Store
    network: FakeNetwork
    now: datetime = FIRST
    by: int = 0
    spacing: timedelta = timedelta(0)
    worker: Worker = field(default_factory=lambda: Worker(name="w", lease=LEASE))
    asked: dict[int, str] = field(default_factory=dict)  #: case -> the post that it answers

    def __post_init__(self) -> None:
        self.by = staff(self.store).id
        self.source: Source = self.network.source()

    def answer(self, text: str = "Hold the ring for five seconds.", *, author: str = "ann") -> int:
        """Somebody asks, we answer; the case whose reply is in the outbox now."""
        asked = self.network.post(f"how do I pair it? ({len(self.asked)})", author=author)
        case_id = open_case(self.store, self._mention(asked, author), route(Tier.TIER_1), now=self.now, source=self.network.name)
        sending = Sending(sources=frozenset({self.network.name}), after=timedelta(0), spacing=timedelta(0))
        self.store.moves.answer(case_id, by=self.by, text=text, now=self.now, needs_approval=False, sending=sending)
        self.asked[case_id] = asked
        return case_id

    def _mention(self, native_id: str, author: str) -> Mention:
        who = Author(network=self.network.name, native_id=f"id-{author}", handle=author)
        return Mention(
            network=self.network.name,
            native_id=native_id,
            author=who,
            text="how do I pair it?",
            url="",
            posted_at=self.now,
            thread_id=native_id,
        )

    def gives_up_soon(self) -> None:
        """Where the network is to hang: waiting for it is the time that the test takes."""
        self.source = self.network.source(deadline=0.5)
        self.source.find_reply("t1_0" if self.network.name == "reddit" else "1", "nothing yet")

    def send(self, *, worker: Worker | None = None) -> int:
        sources = {self.network.name: self.source}
        return outbox.send_all(self.store, sources, worker=worker or self.worker, now=self.now, spacing=self.spacing)

    def wait(self, pause: timedelta = MINUTE, *, rounds: int = 1) -> None:
        for _ in range(rounds):
            self.now += pause
            self.send()

    def settle(self) -> None:
        """Send until nothing is open."""
        for _ in range(200):
            if not self.store.outbox.open_replies():
                return
            self.wait()
        raise AssertionError("replies stay open for ever")

    def state(self, case_id: int) -> ReplyState:
        state = self.written(case_id).reply_state
        assert state is not None
        return state

    def written(self, case_id: int) -> WrittenAnswer:
        page = self.store.cases.page(case_id)
        assert page is not None
        return page.answers[-1]

    def standing(self, case_id: int) -> int:
        """How many replies of ours stand under what the case asked."""
        return sum(post.parent == self.asked[case_id] for post in self.network.world.replies(self.network.name))

    def posts(self) -> int:
        """How often we asked the network to post."""
        return sum(method == "POST" and self.network.writes in path for method, path in self.network.faults.calls)


@pytest.fixture(params=["x", "reddit"])
def office(request: pytest.FixtureRequest, store: Store) -> Office:
    network: FakeNetwork = request.getfixturevalue(f"{request.param}_network")
    office = Office(store, network)
    office.source.find_reply("t1_0" if network.name == "reddit" else "1", "nothing yet")  # signed in, before anything goes wrong
    network.faults.calls.clear()
    return office


def sees_nothing(office: Office, looks: int) -> None:
    """The lists of the network lag behind: so many looks at them do not show what stands there."""
    path = "/tweets" if office.network.name == "x" else "/user/"
    empty = b'{"data": {"children": [], "after": null}}' if office.network.name == "reddit" else b'{"meta": {"result_count": 0}}'
    office.network.faults.on(path, *[answers(200, body=empty)] * looks, method="GET")


def test_a_reply_is_posted_and_its_address_kept(office: Office) -> None:
    case_id = office.answer()
    office.send()
    [ours] = office.network.world.replies()
    answer = office.written(case_id)
    assert (answer.reply_state, office.store.cases.get(case_id).state) == (ReplyState.SENT, State.ANSWERED)
    assert ours.native_id.removeprefix("t1_") in answer.reply_url
    assert office.send() == 0


@pytest.mark.parametrize("fault", [loses_the_answer, hangs_after, fails_after, garbles])
def test_a_reply_that_was_taken_while_its_answer_was_lost_is_posted_once(office: Office, fault: Callable[[], object]) -> None:
    """It went out twice elsewhere: Postiz #1813."""
    case_id = office.answer()
    office.gives_up_soon()
    office.network.faults.on(office.network.writes, fault(), method="POST")  # type: ignore[arg-type]
    office.send()
    assert (office.standing(case_id), office.state(case_id)) == (1, ReplyState.UNKNOWN)
    office.settle()
    assert (office.standing(case_id), office.state(case_id), office.posts()) == (1, ReplyState.SENT, 1)


@pytest.mark.parametrize("fault", [breaks, hangs, lambda: answers(503)])
def test_a_reply_that_never_arrived_is_proven_absent_before_it_is_sent_again(office: Office, fault: Callable[[], object]) -> None:
    case_id = office.answer()
    office.gives_up_soon()
    office.network.faults.on(office.network.writes, fault(), method="POST")  # type: ignore[arg-type]
    office.send()
    assert (office.standing(case_id), office.state(case_id)) == (0, ReplyState.UNKNOWN)
    office.wait()
    assert (office.posts(), office.state(case_id)) == (1, ReplyState.UNKNOWN)
    office.wait(rounds=2)
    assert (office.standing(case_id), office.state(case_id), office.posts()) == (1, ReplyState.SENT, 2)


def test_a_list_that_lags_behind_is_looked_at_twice(office: Office) -> None:
    case_id = office.answer()
    office.network.faults.on(office.network.writes, loses_the_answer(), method="POST")
    sees_nothing(office, 1)
    office.send()
    office.settle()
    assert (office.standing(case_id), office.state(case_id), office.posts()) == (1, ReplyState.SENT, 1)


def test_each_attempt_needs_a_proof_of_its_own(office: Office) -> None:
    """What was looked for after the first attempt says nothing of the second."""
    case_id = office.answer()
    office.network.faults.on(office.network.writes, answers(503), loses_the_answer(), method="POST")
    sees_nothing(office, 3)
    office.send()
    office.settle()
    assert (office.standing(case_id), office.state(case_id), office.posts()) == (1, ReplyState.SENT, 2)


def test_a_busy_network_is_left_alone_until_the_moment_it_names(office: Office) -> None:
    cases = [office.answer("one"), office.answer("two", author="ben")]
    opens = datetime.now(UTC) + timedelta(hours=1)
    office.now = datetime.now(UTC)
    office.network.faults.on(
        office.network.writes, answers(429, headers=office.network.reset(opens.timestamp())), method="POST", forever=True
    )
    for _ in range(5):
        office.wait()
    assert office.posts() == 1
    office.network.faults.relent()
    office.source = office.network.source()
    office.now = opens + MINUTE
    office.send()
    assert [office.state(case_id) for case_id in cases] == [ReplyState.SENT] * 2
    assert [office.standing(case_id) for case_id in cases] == [1, 1]


def test_a_refused_key_stops_after_one_call_and_loses_no_reply(office: Office) -> None:
    cases = [office.answer("one"), office.answer("two", author="ben")]
    office.network.faults.on(office.network.writes, answers(401), method="POST", forever=True)
    for _ in range(5):
        office.wait()
    assert office.posts() == 1
    assert [office.state(case_id) for case_id in cases] == [ReplyState.PENDING] * 2
    office.network.faults.relent()
    office.wait(timedelta(minutes=20))
    assert [office.state(case_id) for case_id in cases] == [ReplyState.SENT] * 2


def test_a_reply_to_a_deleted_post_is_refused_for_good_and_a_person_gets_the_case(office: Office) -> None:
    case_id = office.answer()
    office.network.world.delete(office.network.name, office.asked[case_id])
    office.send()
    case = office.store.cases.get(case_id)
    assert (office.state(case_id), case.state, case.assignee) == (ReplyState.REJECTED, State.QUEUED, None)
    assert office.network.name in office.written(case_id).reply_error
    office.wait(rounds=3)
    assert office.posts() == 1


def test_a_worker_killed_before_the_call_leaves_a_reply_that_the_next_one_sends(office: Office) -> None:
    case_id = office.answer()
    office.store.outbox.claim(worker="dead", now=office.now, lease=LEASE, sources=[office.network.name])
    office.send()
    assert (office.posts(), office.state(case_id)) == (0, ReplyState.SENDING)
    office.store.release_claims(lambda name: name == "dead")
    office.settle()
    assert (office.standing(case_id), office.state(case_id), office.posts()) == (1, ReplyState.SENT, 1)


def test_a_worker_killed_after_the_call_leaves_a_reply_that_the_next_one_finds(office: Office) -> None:
    case_id = office.answer()
    reply = office.store.outbox.claim(worker="dead", now=office.now, lease=LEASE, sources=[office.network.name])
    assert reply is not None
    office.source.reply(reply.parent_id, reply.text, key=reply.key)
    office.now += LEASE
    office.settle()
    assert (office.standing(case_id), office.state(case_id), office.posts()) == (1, ReplyState.SENT, 1)


def test_a_worker_that_wakes_up_late_settles_nothing(office: Office) -> None:
    case_id = office.answer()
    slow = office.store.outbox.claim(worker="slow", now=office.now, lease=LEASE, sources=[office.network.name])
    assert slow is not None
    office.now += LEASE
    office.settle()
    office.store.outbox.rejected(slow, error="too late", worker="slow", now=office.now)
    assert (office.standing(case_id), office.state(case_id)) == (1, ReplyState.SENT)


def test_x_refuses_a_resent_double_and_we_look_again_instead_of_calling_it_rejected(store: Store, x_network: FakeNetwork) -> None:
    office = Office(store, x_network)
    case_id = office.answer()
    x_network.faults.on(x_network.writes, loses_the_answer(), method="POST")
    office.send()
    sees_nothing(office, outbox.LOOKS + 1)  # so slow that absence seems proven, and the look after X said "duplicate" sees nothing either
    office.wait(rounds=2)
    assert (office.posts(), office.state(case_id)) == (2, ReplyState.UNKNOWN)
    office.settle()
    assert (office.standing(case_id), office.state(case_id), office.posts()) == (1, ReplyState.SENT, 2)


def test_a_double_that_nobody_ever_sees_ends_with_a_person(store: Store, x_network: FakeNetwork) -> None:
    office = Office(store, x_network)
    case_id = office.answer()
    x_network.faults.on(x_network.writes, loses_the_answer(), method="POST")
    office.send()
    sees_nothing(office, 50)
    office.settle()
    assert (office.standing(case_id), office.state(case_id), office.posts()) == (1, ReplyState.NEEDS_PERSON, 2)
    assert office.store.cases.get(case_id).state is State.QUEUED


def test_x_refuses_words_that_stand_under_another_post(store: Store, x_network: FakeNetwork) -> None:
    office = Office(store, x_network)
    cases = [office.answer("the very same words"), office.answer("the very same words", author="ben")]
    office.settle()
    assert [office.state(case_id) for case_id in cases] == [ReplyState.SENT, ReplyState.REJECTED]
    assert [office.standing(case_id) for case_id in cases] == [1, 0]


def test_a_network_that_takes_nothing_for_days_leaves_the_reply_to_a_person(office: Office) -> None:
    case_id = office.answer()
    office.network.faults.on(office.network.writes, answers(401), method="POST", forever=True)
    for _ in range(100):
        office.wait(timedelta(hours=1))
    assert (office.state(case_id), office.standing(case_id)) == (ReplyState.NEEDS_PERSON, 0)
    assert "not posted" in office.written(case_id).reply_error


def test_replies_that_pile_up_leave_one_by_one(office: Office) -> None:
    """After an hour without a worker they are all due; people do not write ten replies in a second."""
    office.spacing = timedelta(seconds=30)
    for i in range(4):
        office.answer(f"answer {i}", author=f"author{i}")
    office.now += timedelta(hours=1)
    sent = []
    for _ in range(14):
        office.wait(timedelta(seconds=10))
        sent.append(len(office.network.world.replies()))
    assert sent == [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4]


class Nap(dict[str, Source]):
    """Sources of a worker that falls asleep after it claimed a reply, before it asks the network."""

    def __init__(self, office: Office, meanwhile: Callable[[], None]) -> None:
        super().__init__({office.network.name: office.source})
        self.meanwhile = meanwhile

    def __getitem__(self, name: str) -> Source:
        self.meanwhile()
        return super().__getitem__(name)


def test_a_worker_that_sleeps_past_its_lease_does_not_send_what_others_sent_meanwhile(office: Office) -> None:
    case_id = office.answer()

    def others_settle_it() -> None:
        office.now += LEASE
        office.settle()

    asleep = Worker(name="asleep", lease=LEASE)
    assert outbox.send_next(office.store, Nap(office, others_settle_it), worker=asleep, now=office.now)
    assert (office.posts(), office.standing(case_id)) == (1, 1)
    assert office.state(case_id) is ReplyState.SENT


def test_after_a_storm_every_reply_is_settled_and_stands_at_most_once(office: Office) -> None:
    chance = random.Random(28)
    cases = [office.answer(f"answer {i}", author=f"author{i}") for i in range(40)]
    gone = chance.sample(cases, 5)
    for case_id in gone:
        office.network.world.delete(office.network.name, office.asked[case_id])
    faults = [breaks(), loses_the_answer(), answers(503), fails_after(), garbles(), answers(429), fails_after(500), answers(502)]
    office.network.faults.by_lot(faults, seed=29, share=0.4, method="POST")
    workers = [Worker(name=f"w{i}", lease=LEASE) for i in range(3)]
    for _ in range(400):
        if not office.store.outbox.open_replies():
            break
        doomed = chance.random()
        if doomed < 0.15:
            office.store.outbox.claim(worker="dead", now=office.now, lease=LEASE, sources=[office.network.name])
        elif doomed < 0.3:
            reply = office.store.outbox.claim(worker="dead", now=office.now, lease=LEASE, sources=[office.network.name])
            if reply is not None and not reply.must_look:
                post_and_die(office, reply.parent_id, reply.text)
        office.send(worker=chance.choice(workers))
        office.now += timedelta(seconds=chance.choice((1, 5, 20, 120)))
    office.network.faults.relent()
    office.settle()

    settled = {ReplyState.SENT, ReplyState.REJECTED, ReplyState.NEEDS_PERSON}
    states = {case_id: office.state(case_id) for case_id in cases}
    assert set(states.values()) <= settled
    assert max(office.standing(case_id) for case_id in cases) == 1
    assert all(office.standing(case_id) == 1 for case_id, state in states.items() if state is ReplyState.SENT)
    assert all(office.standing(case_id) == 0 for case_id, state in states.items() if state is ReplyState.REJECTED)
    assert {case_id for case_id, state in states.items() if state is ReplyState.REJECTED} <= set(gone)
    assert {states[case_id] for case_id in gone} <= {ReplyState.REJECTED, ReplyState.NEEDS_PERSON}
    assert sum(state is ReplyState.NEEDS_PERSON for case_id, state in states.items() if case_id not in gone) <= 3
    for case_id in cases:
        case = office.store.cases.get(case_id)
        assert replay(office.store.cases.events(case_id)) == (case.state, case.tier, case.assignee)


def post_and_die(office: Office, parent_id: str, text: str) -> None:
    with contextlib.suppress(EarshotError):  # whatever came back, the worker is dead
        office.source.reply(parent_id, text, key="")
