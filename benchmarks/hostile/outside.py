"""Those who live outside: networks far away that fail now and then, people who post, people who answer, and one who mends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fake_networks import faults
from sqlalchemy import update
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from earshot.case import Sending, State, Tier
from earshot.demo.networks.world import NETWORKS, Post, World
from earshot.errors import BadInput, Conflict, NotAllowed, StorageError
from earshot.storage import Store
from earshot.storage.accounts import Membership, Role
from earshot.storage.tables import SourceRow, table

STORY = Path(__file__).parents[2] / "earshot" / "demo" / "story"
FARTHEST = 0.1  #: seconds to or from a network
FAILING_READS = 0.1  #: share of the calls that read
FAILING_WRITES = 0.2  #: share of the calls that write or sign in
DELETED, EDITED = 0.05, 0.03  #: shares of what people do
LONGEST_SILENCE = timedelta(seconds=5)  #: before somebody looks why a source is not polled
_SOURCE = table(SourceRow)
SENDING = Sending(sources=frozenset(NETWORKS), after=timedelta(0), spacing=timedelta(0))


class Far:
    """A network as far away as networks are: a call takes its time before and after it has its effect, and workers die meanwhile."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def later(message: Message) -> None:
            if message["type"] == "http.response.start":
                await asyncio.sleep(random.uniform(0, FARTHEST))
            await send(message)

        await asyncio.sleep(random.uniform(0, FARTHEST))
        await self.app(scope, receive, later)


async def _asks_to_wait(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """429, with what X says and what others say."""
    headers = {"x-rate-limit-reset": str(int(time.time()) + 2), "retry-after": "1"}
    await faults.answers(429, headers=headers)(app, scope, receive, send)


NETWORK_FAULTS = {
    "503": faults.answers(503),
    "503 after": faults.fails_after(503),
    "429": _asks_to_wait,
    "reset": faults.breaks(),
    "reset after": faults.loses_the_answer(),
    "hang": faults.hangs(),
    "hang after": faults.hangs_after(),
    "drip of the head": faults.drips_head(),
    "drip of the body": faults.drips_body(),
    "garbled": faults.garbles(),
    "a page for people": faults.answers(200, headers={"content-type": "text/html"}, body=b"<!doctype html><p>Be right back"),
}


def unreliable(app: ASGIApp, happened: Counter[str], *, seed: int) -> faults.Faults:
    """The network `app`, far away, with faults by lot; `happened` counts them."""
    network = faults.Faults(Far(app))
    counted = [_counted(name, fault, happened) for name, fault in NETWORK_FAULTS.items()]
    network.by_lot(counted, seed=seed, share=FAILING_READS, method="GET")
    network.by_lot(counted, seed=seed + 1, share=FAILING_WRITES, method="POST")
    return network


def _counted(name: str, fault: faults.Fault, happened: Counter[str]) -> faults.Fault:
    async def counting(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        happened[name] += 1
        await fault(app, scope, receive, send)

    return counting


class Crowd:
    """Authors who post on both networks, now and then twice in one thread; now and then they change a post, or take it back."""

    def __init__(self, world: World, happened: Counter[str], chance: random.Random) -> None:
        self.world, self.happened, self.chance, self.posted = world, happened, chance, 0
        self.texts = [json.loads(line)["text"] for file in sorted(STORY.glob("posts_*.jsonl")) for line in file.open(encoding="utf-8")]

    def act(self) -> None:
        network = "x" if self.chance.random() < 0.75 else "reddit"
        latest = [p for p in self.world.posts(network)[:50] if p.author != self.world.account]
        one, lot = self.chance.choice(latest) if latest else None, self.chance.random()
        if one is None or lot > DELETED + EDITED:
            self._post(network, again=one if self.chance.random() < 0.2 else None)
        elif lot < DELETED:
            self.world.delete(network, one.native_id)
            self.happened["deletion"] += 1
        else:
            self.world.edit(network, one.native_id, f"{one.text} (edited)"[:275], at=datetime.now(UTC))
            self.happened["edit"] += 1

    def _post(self, network: str, *, again: Post | None) -> None:
        self.posted += 1
        text = f"lumifern {self.posted}: {self.chance.choice(self.texts)}"[:270]
        if again is not None:
            self.world.post(network, again.author, text, at=datetime.now(UTC), reply_to=again.native_id)
        else:
            title = f"question {self.posted}" if network == "reddit" else None
            self.world.post(network, f"author{self.chance.randrange(200)}", text, at=datetime.now(UTC), title=title)


class Staff:
    """Staff and super-users who take cases and answer them, through the store."""

    def __init__(self, store: Store, chance: random.Random) -> None:
        self.store, self.chance, self.answers, now = store, chance, 0, datetime.now(UTC)
        add = store.accounts.add
        self.staff = [
            add(email=f"staff{i}@example.org", name=f"Staff {i}", role=Role.STAFF, tier=Tier.TIER_1, now=now).id for i in range(3)
        ]
        self.super_users = [
            add(
                email=f"super{i}@example.org",
                name=f"Super {i}",
                role=Role.SUPER_USER,
                languages=("en", "zh"),
                membership=Membership(trust_level=2, open_posts=5, hours_per_week=1000, consent_at=now),
                now=now,
            ).id
            for i in range(8)
        ]

    def answer_some(self) -> None:
        with contextlib.suppress(StorageError):  # locked or full: they try again
            self._answer_some(datetime.now(UTC))

    def _answer_some(self, now: datetime) -> None:
        for waiting in self.store.cases.queue(states=(State.QUEUED, State.REVIEW), tiers=(Tier.TIER_1, Tier.TIER_2), limit=2).items:
            self._answer(waiting.case.id, by=self.chance.choice(self.staff), now=now)
        desk = [(by, item) for by in self.super_users for item in self.store.handover.desk(by)]
        for by, item in desk[:3]:
            with contextlib.suppress(Conflict):
                if item.offer_id is not None:
                    self.store.handover.accept(item.offer_id, by=by, now=now, lease=timedelta(minutes=30))
                if item.case.state in (State.OFFERED, State.ASSIGNED):
                    self._answer(item.case.id, by=by, now=now)

    def _answer(self, case_id: int, *, by: int, now: datetime) -> None:
        self.answers += 1
        text = f"Please hold the ring for five seconds and tell us what the light does (answer {self.answers})."  # no two alike
        with contextlib.suppress(Conflict, NotAllowed, BadInput):
            self.store.moves.answer(case_id, by=by, text=text, now=now, needs_approval=False, sending=SENDING)


class OnCall:
    """Somebody who sees that a source is left alone, because it failed often or a wrong clock said so, and wakes it.

    That a network closed itself for longer than ours ever ask can only come of a wrong clock: it is taken back.
    """

    def __init__(self, store: Store, happened: Counter[str]) -> None:
        self.store, self.happened = store, happened

    def look(self) -> None:
        now = datetime.now(UTC)
        until = now + LONGEST_SILENCE
        with contextlib.suppress(StorageError):
            for source in self.store.sources.statuses():
                if source.next_poll_at is not None and source.next_poll_at > until:
                    with self.store.database.writing() as connection:
                        connection.execute(update(_SOURCE).where(_SOURCE.c.closed_until > until).values(closed_until=None))
                    self.store.sources.wake(source.name, now=now)
                    self.happened["source woken by a person"] += 1


@contextmanager
def repeating(act: Callable[[], None], *, every: float) -> Iterator[None]:
    """Let `act` happen again and again beside the block; what goes wrong in it comes out at the end."""
    stop, trouble = threading.Event(), []

    def loop() -> None:
        while not stop.wait(every):
            try:
                act()
            except Exception as err:  # noqa: BLE001 - raised below, in the thread that waits for it
                trouble.append(err)
                return

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if trouble:
        raise trouble[0]
