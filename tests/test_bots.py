"""A program that answers us, and a program of ours that answers it: it ends after three rounds. Elsewhere it did not: Chatwoot #5131."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from houses import LEASE, NOW, SENDING, person, post, staff
from msgspec.structs import replace

from earshot import outbox, pipeline
from earshot.case import ROUNDS, Event, Move, ReplyState, State
from earshot.case import replay as replayed
from earshot.mention import Author
from earshot.pipeline import Worker
from earshot.rooms import Rooms
from earshot.settings import Settings
from earshot.storage import Store
from listener.source import Page, Posted

ASKS = "how do I pair the hub with my phone? it does not work"
SECOND = timedelta(seconds=1)


class Wall:
    """A network that takes every reply."""

    network, keys_from = "x", ""

    def __init__(self) -> None:
        self.replies: list[str] = []

    def fetch(self, cursor: str | None, *, now: datetime) -> Page:
        raise NotImplementedError

    def reply(self, parent_id: str, text: str, *, key: str) -> Posted:  # noqa: ARG002
        self.replies.append(text)
        return Posted(native_id=f"r{len(self.replies)}", url="")

    def find_reply(self, parent_id: str, text: str) -> Posted | None:  # noqa: ARG002
        return None

    def close(self) -> None:
        pass


@dataclass
class Duel:
    """One thread in which an author answers whatever we say, and a program of ours answers whenever a case waits."""

    store: Store
    author: Author
    pause: timedelta  #: until the author answers
    now: datetime = NOW
    said: int = 0
    wall: Wall = field(default_factory=Wall)
    worker: Worker = field(default_factory=lambda: Worker(name="w", lease=LEASE))

    def __post_init__(self) -> None:
        self.rooms = Rooms.open(self.store, Settings(), now=self.now)
        self.by = staff(self.store).id

    def speak(self) -> None:
        self.said += 1
        mention = replace(post(str(self.said), f"{ASKS} ({self.said})", thread="t", at=self.now), author=self.author)
        pipeline.keep(self.store, [mention], source="x", now=self.now)
        pipeline.understand(self.store, self.rooms, worker=self.worker, now=self.now)

    def answer(self) -> bool:
        """Whether a case waited, and was answered."""
        waiting = self.store.cases.queue().items
        if not waiting:
            return False
        text, self.now = f"Hold the ring. ({self.said})", self.now + 10 * SECOND
        self.store.moves.answer(waiting[0].case.id, by=self.by, text=text, now=self.now, needs_approval=False, sending=SENDING)
        outbox.send_all(self.store, {"x": self.wall}, worker=self.worker, now=self.now)
        return True

    def play(self, rounds: int) -> None:
        for _ in range(rounds):
            self.speak()
            self.answer()
            self.now += self.pause

    @property
    def events(self) -> list[Event]:
        return self.store.cases.events(1)


@pytest.mark.parametrize(("is_bot", "pause"), [(False, 4 * SECOND), (True, timedelta(minutes=50))])
def test_two_programs_that_answer_each_other_stop_after_three_replies(store: Store, is_bot: bool, pause: timedelta) -> None:
    duel = Duel(store, replace(person("robo"), is_bot=is_bot), pause)
    duel.play(8)
    assert len(duel.wall.replies) == ROUNDS
    [item] = store.cases.queue(states=tuple(State)).items
    assert (item.case.state, item.mentions) == (State.ANSWERED, 8)
    assert duel.events[-1].move is Move.JOIN
    assert "after 3 replies of ours nobody is called" in duel.events[-1].reason
    assert replayed(duel.events) == (item.case.state, item.case.tier, item.case.assignee)


def test_a_person_who_asks_again_and_again_is_always_heard(store: Store) -> None:
    duel = Duel(store, person("ana"), timedelta(minutes=25))
    duel.play(8)
    assert len(duel.wall.replies) == 8


def test_a_bot_is_heard_like_anybody_before_the_third_reply(store: Store) -> None:
    duel = Duel(store, replace(person("robo"), is_bot=True), SECOND)
    duel.play(2)
    duel.speak()
    assert store.cases.queue().total == 1


def test_a_fourth_reply_within_the_hour_waits_for_a_person_who_then_may_send_it(store: Store) -> None:
    duel = Duel(store, person("ana"), timedelta(minutes=5))
    duel.play(3)
    duel.speak()
    assert duel.answer()
    page = store.cases.page(1)
    assert page is not None
    assert (len(duel.wall.replies), page.answers[-1].reply_state, page.case.state) == (3, ReplyState.NEEDS_PERSON, State.QUEUED)
    assert "3 replies went to this author here within the hour" in page.answers[-1].reply_error
    assert duel.answer()
    assert len(duel.wall.replies) == 4
    assert store.cases.get(1).state is State.ANSWERED


def test_another_author_of_the_thread_is_answered_meanwhile(store: Store) -> None:
    duel = Duel(store, person("ana"), timedelta(minutes=5))
    duel.play(3)
    duel.author = person("ben")
    duel.speak()
    duel.answer()
    assert len(duel.wall.replies) == 4


def test_the_network_says_who_is_a_program_and_may_take_it_back(store: Store) -> None:
    for is_bot in (True, False):
        pipeline.keep(store, [replace(post(str(is_bot)), author=replace(person("robo"), is_bot=is_bot))], source="x", now=NOW)
        [known] = store.forgetting.find("x", handle="robo")
        assert known.author.is_bot is is_bot
