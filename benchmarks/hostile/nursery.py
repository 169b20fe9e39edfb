"""What a worker is from inside. The process that workers are forked from imports this first, and rehearses once what they will do."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import tempfile
from datetime import UTC, datetime, timedelta

import time_machine

#: the signals on which the clock of a worker jumps
HOUR_ON, HOUR_BACK = signal.SIGUSR1, signal.SIGUSR2
REHEARSES = "NEMESIS_REHEARSES"
_PR_SET_PDEATHSIG = 1


def work(environment: dict[str, str], log: str, ahead: timedelta) -> None:
    """`earshot work`, with a clock that is `ahead` and jumps on a signal."""
    from earshot.cli import main

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # nobody is left behind, not even the paused, when the benchmark dies
    os.environ.update(environment)
    os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND), 2)
    with time_machine.travel(datetime.now(UTC) + ahead, tick=True) as clock:
        signal.signal(HOUR_ON, lambda *_: clock.shift(timedelta(hours=1)))
        signal.signal(HOUR_BACK, lambda *_: clock.shift(timedelta(hours=-1)))
        sys.argv = ["earshot", "work"]
        main()


def rehearse() -> None:
    """Load everything that a worker loads, and do once what it does."""
    from earshot.mention import Author, Mention
    from earshot.pipeline import keep
    from earshot.rooms import Rooms
    from earshot.scheduler import House, utc_now
    from earshot.settings import load_settings
    from earshot.storage import Store
    from listener import reddit, x  # noqa: F401 - loaded for those who come after

    with tempfile.TemporaryDirectory() as folder:
        settings, now = load_settings(database_url=f"sqlite:///{folder}/rehearsal.db", sources=()), utc_now()
        store = Store(settings.database_url)
        store.upgrade()
        ann = Author(network="x", native_id="1", handle="ann", name="Ann")
        post = Mention(network="x", native_id="1", author=ann, text="how do I pair the hub?", url="", posted_at=now)
        keep(store, [post], source="x", now=now)
        house = House(settings, store, Rooms.open(store, settings, now=now))
        house.step()
        house.close()
        store.close()


if os.environ.pop(REHEARSES, None):
    rehearse()
    gc.collect()
    gc.freeze()  # so that workers share this memory instead of copying it
