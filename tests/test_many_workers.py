"""Several `earshot work` processes on one database, as real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fake_networks.fixtures import FakeNetwork
from houses import keep, post
from poison import WORD

from earshot.case import State
from earshot.scheduler import utc_now
from earshot.storage import Store
from earshot.storage.mentions import POISON_TRIES

EVERY = 1.0


@dataclass
class Shift:
    """Workers on one database, with their logs."""

    folder: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """A worker; `command` is what Python runs, where it is not ours as it ships."""
        with (self.folder / f"{len(self.workers)}.log").open("wb") as log:
            worker = subprocess.Popen([sys.executable, *(command or ("-m", "earshot")), "work"], cwd=self.folder, stderr=log)
        self.workers.append(worker)
        return worker

    def stop(self, worker: subprocess.Popen[bytes]) -> None:
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)

    def logs(self) -> list[dict[str, Any]]:
        return [json.loads(line) for log in sorted(self.folder.glob("*.log")) for line in log.read_text().splitlines()]

    def working(self) -> int:
        return sum('"working"' in log.read_text() for log in self.folder.glob("*.log"))


@pytest.fixture
def shift(tmp_path: Path, x_network: FakeNetwork, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shift]:
    source = f'[[sources]]\nname = "x"\nnetwork = "x"\nquery = "lumifern"\nurl = "{x_network.url}"\nevery = {EVERY}\n'
    (tmp_path / "earshot.toml").write_text(source)
    monkeypatch.setenv("EARSHOT_DATABASE_URL", f"sqlite:///{tmp_path}/new.db")
    monkeypatch.setenv("EARSHOT_LOG_FORMAT", "json")
    one = Shift(tmp_path)
    try:
        yield one
    finally:
        for worker in one.workers:
            if worker.poll() is None:
                os.kill(worker.pid, signal.SIGKILL)
            worker.wait()


def wait_until(shift: Shift, working: int) -> None:
    while shift.working() < working:
        assert all(worker.poll() in (None, 0) for worker in shift.workers), shift.logs()
        time.sleep(0.05)


def test_four_workers_that_come_and_go_poll_a_source_once_an_interval(shift: Shift, x_network: FakeNetwork) -> None:
    """Elsewhere each polled for itself, and the database was locked: APScheduler #463."""
    began = time.monotonic()
    for _ in range(4):  # at once, on a database that is not there yet
        shift.start()
    wait_until(shift, 4)
    for i in range(60):
        x_network.post(f"how do I pair the hub? ({i})", author=f"author{i}", at=utc_now())
    for restarts in (1, 2):
        shift.stop(shift.workers[restarts])
        shift.start()
        wait_until(shift, 4 + restarts)
    store = Store(os.environ["EARSHOT_DATABASE_URL"])
    deadline = time.monotonic() + 60
    while store.mentions.counts()["understood"] < 60 and time.monotonic() < deadline:
        time.sleep(0.1)
    for worker in shift.workers:
        shift.stop(worker)
    intervals = (time.monotonic() - began) / EVERY

    [status] = store.sources.statuses()
    assert x_network.faults.count(x_network.reads) == status.polls
    assert 2 <= status.polls <= intervals + 1
    assert store.mentions.counts() == {"heard": 0, "understood": 60, "gone": 0, "quarantined": 0}
    assert store.cases.queue(states=tuple(State)).total == 60
    store.close()
    assert [entry for entry in shift.logs() if entry["level"] not in ("info", "debug")] == []
    assert [worker.returncode for worker in shift.workers] == [0] * 6


#: what ships, with one more question: whoever asks it of a text with the word is dead at once
DEADLY = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import classifiers
classifiers.CLASSIFIERS["poison"] = "poison:kill"
from earshot.cli import main
main()
"""


def test_a_mention_that_kills_its_workers_is_parted_from_the_rest_and_put_aside(shift: Shift, tmp_path: Path) -> None:
    store = Store(os.environ["EARSHOT_DATABASE_URL"])
    store.upgrade()
    keep(store, *(post(str(n), f"how do I pair lamp {n}? {WORD if n == 4 else ''}", by=f"author{n}") for n in range(12)))
    worker, deadline = shift.start("-c", DEADLY), time.monotonic() + 120
    while store.mentions.counts()["heard"] and time.monotonic() < deadline:
        if worker.poll() is not None:  # as whoever looks after processes does
            worker = shift.start("-c", DEADLY)
        time.sleep(0.1)
    shift.stop(worker)
    assert store.mentions.counts() == {"heard": 0, "understood": 11, "gone": 0, "quarantined": 1}
    assert [worker.returncode for worker in shift.workers] == [1] * 2 * POISON_TRIES + [0]
    [told] = [entry for entry in shift.logs() if entry["event"] == "mentions_ended_their_workers"]
    assert (told["level"], told["mentions"]) == ("error", [5])
    assert WORD not in str(shift.logs())
    store.close()
