"""A network that does not answer holds up nobody else: neither polls, nor replies, nor sweeps."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from fake_networks.faults import Fault
from fake_networks.fixtures import FakeNetwork
from houses import open_case, post, staff
from starlette.types import ASGIApp, Receive, Scope, Send

from earshot.case import Sending
from earshot.rooms import Rooms
from earshot.scheduler import House
from earshot.settings import Settings, SourceSettings
from earshot.storage import Store
from escalation.policy import default_policy

AT_ONCE = Sending(sources=frozenset({"x", "reddit"}), after=timedelta(0), spacing=timedelta(0))


def held_until(released: threading.Event) -> Fault:
    """No answer before a test says so."""

    async def fault(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        while not released.is_set():
            await asyncio.sleep(0.02)
        await app(scope, receive, send)

    return fault


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20  # less than the thirty seconds after which a call is given up
    while not is_so():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def answer(store: Store, network: FakeNetwork) -> None:
    """Somebody at `network` asked, and an answer is on its way."""
    now = datetime.now(UTC)
    asked = network.post("how do I pair the hub?", at=now)
    case_id = open_case(store, post(asked, network=network.name, at=now), now=now, source=network.name)
    store.moves.answer(
        case_id, by=staff(store, network.name).id, text="Hold the ring for ten seconds.", now=now, needs_approval=False, sending=AT_ONCE
    )


def test_while_one_network_hangs_the_others_are_heard_and_answered(
    store: Store, x_network: FakeNetwork, reddit_network: FakeNetwork
) -> None:
    released = threading.Event()
    x_network.faults.on("", held_until(released), forever=True)
    sources = tuple(
        SourceSettings(
            name=n.name, network=n.name, query=n.query, url=n.url, account=n.world.account, replies=True, every=0.5, allow_private=True
        )
        for n in (x_network, reddit_network)
    )
    for network in (x_network, reddit_network):
        answer(store, network)
    with House(Settings(sources=sources, reply_spacing=0), store, Rooms(policy=default_policy())):
        try:
            wait_until(lambda: x_network.faults.count(x_network.reads) > 0 and x_network.faults.count(x_network.writes) > 0)
            later = reddit_network.post("my lamp hums at night, is that normal?", author="ben", at=datetime.now(UTC))
            wait_until(lambda: bool(store.mentions.texts("reddit", [later])))
            wait_until(lambda: len(reddit_network.world.replies()) == 1)
            assert x_network.world.replies() == []
            assert x_network.faults.count(x_network.reads) == 1  # the first call still stands
        finally:
            released.set()
        wait_until(lambda: len(x_network.world.replies()) == 1)
        wait_until(lambda: store.outbox.open_replies() == 0)
