"""A house that runs by itself, while a network is dead and the database takes nothing: what works goes on, and the rest resumes alone."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_networks.faults import breaks
from fake_networks.fixtures import FakeNetwork
from houses import Disk, sqlite_store
from structlog.testing import capture_logs

from earshot.rooms import Rooms
from earshot.scheduler import House, utc_now
from earshot.settings import Settings, SourceSettings
from earshot.storage import Store
from earshot.storage.sources import SourceState
from escalation.policy import default_policy

PATIENCE = 60.0
EVERY = 0.05
Trouble = Callable[[Store, Path], AbstractContextManager[None]]


@contextmanager
def full_disk(store: Store, _: Path) -> Iterator[None]:
    disk = Disk(store)
    disk.fill()
    yield
    disk.free()


@contextmanager
def locked_database(_: Store, file: Path) -> Iterator[None]:
    """Locked by another program, for longer than we wait."""
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def post_some(network: FakeNetwork, n: int) -> None:
    for i in range(n):
        network.post(f"how do I pair lamp {i}? {'and so on ' * 40}", author=f"author{i}", at=utc_now())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with sqlite_store(tmp_path):
        pass
    opened = Store(f"sqlite:///{tmp_path}/earshot.db", busy_seconds=0.2)
    yield opened
    opened.close()


def states(store: Store) -> dict[str, SourceState]:
    return {status.name: status.state for status in store.sources.statuses()}


def understood(store: Store) -> dict[str, int]:
    found: dict[str, int] = {}
    for scored in store.mentions.understood():
        found[scored.mention.network] = found.get(scored.mention.network, 0) + 1
    return found


def said(logs: list[dict[str, Any]], event: str) -> bool:
    return any(entry["event"] == event for entry in logs)


@pytest.mark.parametrize("trouble", [full_disk, locked_database])
def test_one_network_is_dead_and_nothing_can_be_stored_for_a_while_and_all_resumes_alone(
    trouble: Trouble, store: Store, tmp_path: Path, x_network: FakeNetwork, reddit_network: FakeNetwork
) -> None:
    """Mastodon #12445: a dead server filled a disk, and nothing went on when there was room again."""
    networks = (x_network, reddit_network)
    sources = tuple(SourceSettings(name=n.name, network=n.name, query=n.query, url=n.url, every=EVERY) for n in networks)
    house = House(Settings(sources=sources, lease_seconds=1.0), store, Rooms(policy=default_policy()))
    x_network.faults.on(x_network.reads, breaks(), forever=True)
    with capture_logs() as logs, house:
        post_some(x_network, 10)
        post_some(reddit_network, 10)
        wait_until(lambda: understood(store) == {"reddit": 10})
        assert states(store) != {"x": SourceState.HEALTHY, "reddit": SourceState.HEALTHY}
        with trouble(store, tmp_path / "earshot.db"):
            post_some(reddit_network, 60)
            wait_until(lambda: said(logs, "database"))
            assert understood(store)["reddit"] >= 10, "what was stored can be read"
        wait_until(lambda: understood(store) == {"reddit": 70})
        x_network.faults.relent()
        wait_until(lambda: understood(store) == {"reddit": 70, "x": 10})
        wait_until(lambda: set(states(store).values()) == {SourceState.HEALTHY})
    assert not said(logs, "round_failed")
    assert store.mentions.counts() == {"heard": 0, "understood": 80, "gone": 0, "quarantined": 0}
