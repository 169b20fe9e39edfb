"""Clocks that jump under a house that runs by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from fake_networks.fixtures import FakeNetwork

from earshot.rooms import Rooms
from earshot.scheduler import WATCH, House
from earshot.settings import Settings, SourceSettings
from earshot.storage import Store
from escalation.policy import default_policy

PATIENCE = 60.0


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_jumps_costs_one_poll_and_nothing_waits_for_it(hours: int, store: Store, x_network: FakeNetwork) -> None:
    settings = SourceSettings(name="x", network="x", query=x_network.query, url=x_network.url, every=30)
    house = House(Settings(sources=(settings,)), store, Rooms(policy=default_policy()))
    began = datetime.now(UTC)
    with time_machine.travel(began, tick=True) as clock, house:
        for n in (1, 2):
            x_network.post(f"how do I pair lamp {n}?", author=f"author{n}", at=began + timedelta(seconds=n))  # its own clock is right
            wait_until(lambda n=n: store.mentions.counts()["understood"] == n)
            if n == 1:
                clock.shift(timedelta(hours=hours))
        time.sleep(2.5 * WATCH)
    assert x_network.faults.count(x_network.reads) == 2
