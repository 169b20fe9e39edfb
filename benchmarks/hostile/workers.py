"""Workers and what becomes of them.

A worker is a process of its own that runs `earshot work`. It is forked, not started anew: from a process that imported and rehearsed what
workers do, because imports take longer than most of these workers live. It opens its own connections to the database and to the networks.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from hostile.nursery import HOUR_BACK, HOUR_ON, REHEARSES, work
from sqlalchemy import Table, select

from earshot.errors import StorageError
from earshot.storage import Store
from earshot.storage.tables import CaseRow, MentionRow, ReplyRow, SourceRow, table

AT_ONCE = 4  #: workers side by side
LONGEST_LIFE = 3.0  #: seconds that a worker may live after its first commit, pauses aside
LONG_PAUSE = 32.0  #: seconds beyond its lease: as long as its reply is looked for before it is sent again, and more
PATIENCE = 120.0  #: seconds that a worker may take to begin
#: What a worker says that met something it did not expect
UNEXPECTED = {"round_failed", "source_crashed", "reply_crashed", "look_crashed", "mention_crashed_a_room"}
_HELD: list[tuple[str, Table, str]] = [
    ("send", table(ReplyRow), "claimed_by"),
    ("understand", table(MentionRow), "claimed_by"),
    ("hand over", table(CaseRow), "claimed_by"),
    ("poll", table(SourceRow), "lease_by"),
]
_FORK = get_context("forkserver")
Worker = Any  #: a process of multiprocessing, which has no public name for those of the forkserver


class Fate(StrEnum):
    """What befalls a worker before it is killed."""

    NOTHING = "nothing"
    PAUSE = "pause"
    LONG_PAUSE = "long pause"
    CLOCK_ON = "clock an hour on"
    CLOCK_BACK = "clock an hour back"


@dataclass(frozen=True, slots=True)
class Life:
    seconds: float
    fate: Fate


def plan(kills: int, chance: random.Random) -> list[Life]:
    """The lives of `kills` workers: each fate has its share, in an order by lot."""
    shares = {Fate.PAUSE: 0.1, Fate.LONG_PAUSE: 0.02, Fate.CLOCK_ON: 0.05, Fate.CLOCK_BACK: 0.05}
    fates = [fate for fate, share in shares.items() for _ in range(int(kills * share))]
    fates += [Fate.NOTHING] * (kills - len(fates))
    chance.shuffle(fates)
    return [Life(chance.uniform(0, LONGEST_LIFE), fate) for fate in fates]


@dataclass
class Pit:
    """Where workers live and die."""

    store: Store
    environment: dict[str, str]
    folder: Path
    lease: float
    happened: Counter[str]
    chance: random.Random
    stages: Counter[str] = field(default_factory=Counter)
    starts: list[float] = field(default_factory=list)
    killed: int = 0
    alive: set[int] = field(default_factory=set)
    _waiting: Iterator[Life] = field(default_factory=lambda: iter(()))
    _failed: list[Exception] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        os.environ |= self.environment | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path), REHEARSES: "yes"}
        _FORK.set_forkserver_preload(["nemesis", "hostile.nursery"])  # the first, because multiprocessing has each worker import it

    def kill(self, lives: list[Life]) -> None:
        """Start workers, several at once, and kill each when its life is over."""
        self._waiting = iter(lives)
        threads = [threading.Thread(target=self._kill_one_after_another) for _ in range(min(AT_ONCE, len(lives)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._failed:
            raise self._failed[0]

    def enough(self) -> None:
        """Kill no more than those that live now."""
        self._waiting = iter(())

    def _kill_one_after_another(self) -> None:
        try:
            while life := self._next():
                self._kill_one(life)
        except Exception as err:  # noqa: BLE001 - raised in the thread that waits for it
            self._failed.append(err)
            self.enough()

    def _next(self) -> Life | None:
        with self._lock:
            return next(self._waiting, None)

    def _kill_one(self, life: Life) -> None:
        worker = self.start()
        self._befall(worker, life)
        worker.kill()
        while (status := self._exit_status(worker)) is None:
            time.sleep(0.002)
        if status != -signal.SIGKILL:
            raise RuntimeError(f"a worker ended by itself with exit status {status}")
        with self._lock:
            self.stages.update(self._held(worker.pid) or ["idle"])
            self.killed += 1

    def _befall(self, worker: Worker, life: Life) -> None:
        time.sleep(life.seconds / 2)
        match life.fate:
            case Fate.PAUSE:
                self._pause(worker, self.lease * self.chance.uniform(1.1, 1.6))
            case Fate.LONG_PAUSE:
                self._pause(worker, self.lease + LONG_PAUSE)
            case Fate.CLOCK_ON:
                os.kill(worker.pid, HOUR_ON)
            case Fate.CLOCK_BACK:
                os.kill(worker.pid, HOUR_BACK)
        if life.fate is not Fate.NOTHING:
            self.happened[life.fate.value] += 1
        time.sleep(life.seconds / 2)

    def _pause(self, worker: Worker, seconds: float) -> None:
        """Stop a worker, while it sends if it can be caught so, and wake it when others took what it held."""
        caught = time.monotonic() + 2.0
        while "send" not in self._held(worker.pid) and time.monotonic() < caught:
            time.sleep(0.001)
        os.kill(worker.pid, signal.SIGSTOP)
        held = self._held(worker.pid)
        time.sleep(seconds)
        self.happened["woke and held nothing any more"] += bool(held and not self._held(worker.pid))
        os.kill(worker.pid, signal.SIGCONT)

    def start(self, *, ahead: timedelta = timedelta(0)) -> Worker:
        """A worker that has made its first commit. One that cannot begin, for a locked database or a full disk, is started again."""
        began = time.monotonic()
        while time.monotonic() < began + PATIENCE:
            log = Path(tempfile.mkstemp(suffix=".log", dir=self.folder)[1])
            worker = _FORK.Process(target=work, args=(self.environment, str(log), ahead))
            with self._lock:
                worker.start()
                self.alive.add(worker.pid)
            while (status := self._exit_status(worker)) is None and b'"working"' not in log.read_bytes():
                time.sleep(0.01)
            if status is None:
                with self._lock:
                    self.starts.append(time.monotonic() - began)
                return worker
            if status != 2:
                break
            self.happened["worker that could not begin"] += 1
            time.sleep(0.2)
        raise RuntimeError(f"a worker ended by itself with exit status {status}: {log.read_text()[-2000:]}")

    def _exit_status(self, worker: Worker) -> int | None:
        """Under a lock, because multiprocessing asks after all its processes whenever it starts another, and only one who asks is told."""
        with self._lock:
            status: int | None = worker.exitcode
            if status is not None:
                self.alive.discard(worker.pid)
            return status

    def _held(self, pid: int) -> list[str]:
        """What a worker is at: whatever it holds tells."""
        try:
            with self.store.database.reading() as connection:
                return [
                    name
                    for name, rows, by in _HELD
                    if connection.execute(select(rows.c[by]).where(rows.c[by].like(f"%/{pid}/%")).limit(1)).first() is not None
                ]
        except StorageError:
            return []

    def hurry(self, workers: list[Worker]) -> None:
        """Let an hour pass for workers, so that nobody sits out the pauses between two tries."""
        for worker in workers:
            os.kill(worker.pid, HOUR_ON)

    def dismiss(self, workers: list[Worker]) -> None:
        """Ask workers to stop, and wait until they have."""
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join(60)

    def logged(self) -> Counter[str]:
        """How often the workers said what."""
        lines = (line for log in sorted(self.folder.glob("*.log")) for line in log.read_text().splitlines())
        return Counter(json.loads(line)["event"] for line in lines if line.startswith("{") and line.endswith("}"))
