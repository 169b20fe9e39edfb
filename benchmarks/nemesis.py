"""Workers in a hostile world, killed at random points after their first commit: what is lost, doubled, posted twice?

    python benchmarks/nemesis.py [--kills N] [--seed S] [--database-url URL] [--json FILE]

Networks, posts and the people who answer live in this process; the workers are real `earshot work` processes, several at once, forked
from one that has imported everything, because a start would take longer than most of them live. Each ends by SIGKILL and is replaced.
Before that some are paused for longer than their lease and woken, and the clocks of some jump an hour on or back. Meanwhile calls to
networks break, hang, drip, fail after they had their effect or come back garbled; people delete posts; another program locks the database
for longer than workers wait; and the disk runs full: a real one, in memory, where the system lets us mount it, else the workers are kept
from writing; under SQLite only.

The seed gives the same lives, troubles and chances; how they meet is up to the machine. At the end the networks are sound, two workers
whose clocks are past all that a wrong clock wrote may finish, and what the database says is compared with what the networks know. Exit
status 1 on any fault. An interrupt ends the kills early; the reckoning follows all the same. With --database-url the database must be
empty.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

from hostile import reckoning
from hostile.machine import Disk, Ration, Troubles, enter_own_mounts, small_disk
from hostile.outside import Crowd, OnCall, Staff, repeating, unreliable
from hostile.workers import UNEXPECTED, Pit, plan

from earshot.demo.networks import reddit, x
from earshot.demo.networks.serving import serve_app
from earshot.demo.networks.world import World
from earshot.storage import Store

LEASE_SECONDS = 6.0
BUSY_SECONDS = 1.0
PATIENCE = 240.0  #: seconds that the last workers have to finish
#: Clocks that jump twice are that far off.
FARTHEST_CLOCK = timedelta(hours=2)
FAULTS = (
    "lost",
    "doubled",
    "not_understood",
    "erased_but_standing",
    "posted_twice",
    "said_sent_but_absent",
    "unsettled",
    "two_owners",
    "replay_mismatches",
    "cursors_went_back",
    "unexpected_errors",
    "damaged_pages",
)


@dataclass(kw_only=True)
class Figures:
    kills: int
    seed: int
    database: str
    stages: dict[str, int]  #: where the kills fell; a worker may be at several at once
    happened: dict[str, int]  #: what else befell workers, machine and networks
    posts: int  #: that people made, without our own
    lost: int  #: standing on a network, and not stored
    doubled: int  #: stored twice, or never posted by anybody but us
    not_understood: int
    put_aside: int  #: for a person: so many of their workers were killed that the mentions are suspected. Kept, so no fault
    erased: int  #: because their authors deleted them
    erased_but_standing: int
    replies: int
    posted: int
    posted_twice: int
    said_sent_but_absent: int
    rejected: int
    needs_person: int
    unsettled: int
    cases: int
    two_owners: int
    replay_mismatches: int
    cursors_seen: int  #: moves of a cursor
    cursors_went_back: int
    damaged_pages: int
    unexpected_errors: int
    logged: dict[str, int] = field(repr=False)  #: how often the workers said what
    start_seconds: float  #: from a worker's start to its first commit, median
    seconds: float

    @property
    def faults(self) -> dict[str, int]:
        return {name: n for name in FAULTS if (n := getattr(self, name))}


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--kills", type=int, default=200)
    ask.add_argument("--seed", type=int, default=1)
    ask.add_argument("--database-url", default="", help="an empty database; a temporary SQLite file where left out")
    ask.add_argument("--json", type=Path, help="also write the figures here")
    given = ask.parse_args()
    if not given.database_url:
        enter_own_mounts()
    with tempfile.TemporaryDirectory() as folder:
        figures = run(given.kills, given.seed, given.database_url, Path(folder))
    print(as_text(figures))
    if given.json:
        given.json.write_text(json.dumps(asdict(figures), indent=2) + "\n", encoding="utf-8")
    sys.exit(1 if figures.faults else 0)


def run(kills: int, seed: int, url: str, folder: Path) -> Figures:
    began = time.monotonic()
    world, happened = World(seed=seed), Counter[str]()
    chances = [random.Random(f"{seed}/{n}") for n in range(5)]
    with ExitStack() as stack:
        disk: Disk | None = None
        if is_ours := not url:
            disk = stack.enter_context(small_disk(folder / "disk", megabytes=64 + kills // 4))
            url = f"sqlite:///{folder}/disk/nemesis.db"
        store = Store(url)
        stack.callback(store.close)
        store.upgrade()
        networks = [unreliable(network.app(world), happened, seed=seed + n) for n, network in enumerate((x, reddit))]
        addresses = [stack.enter_context(serve_app(network)).url for network in networks]
        pit = Pit(store, _environment(world, url, addresses, folder), folder, LEASE_SECONDS, happened, chances[0])
        room = disk or (Ration(lambda: tuple(pit.alive)) if is_ours else None)
        signal.signal(signal.SIGINT, lambda *_: pit.enough())
        troubles = Troubles(store, room, happened, chances[1], busy_seconds=BUSY_SECONDS)
        cursors = reckoning.Cursors(store)
        with repeating(cursors.look, every=0.02), repeating(Staff(store, chances[2]).answer_some, every=0.2):
            crowd, on_call = Crowd(world, happened, chances[3]), OnCall(store, happened)
            with repeating(crowd.act, every=0.25), repeating(on_call.look, every=1.0), troubles.beside():
                pit.kill(plan(kills, chances[4]))
            for network in networks:
                network.relent()
            survivors = [pit.start(ahead=FARTHEST_CLOCK) for _ in range(2)]
            wait_until(lambda: reckoning.is_all_understood(store, world))
        wait_until(lambda: store.outbox.open_replies() == 0, meanwhile=lambda: pit.hurry(survivors))
        pit.dismiss(survivors)
        logged = pit.logged()
        return Figures(
            kills=pit.killed,
            seed=seed,
            database=url.partition(":")[0].partition("+")[0],
            stages=dict(sorted(pit.stages.items())),
            happened=dict(sorted(happened.items())),
            **reckoning.of_mentions(store, world),
            **reckoning.of_replies(store, world),
            **reckoning.of_cases(store),
            cursors_seen=cursors.seen,
            cursors_went_back=cursors.went_back,
            damaged_pages=reckoning.damage(store),
            unexpected_errors=sum(n for event, n in logged.items() if event in UNEXPECTED),
            logged=dict(sorted(logged.items())),
            start_seconds=round(sorted(pit.starts)[len(pit.starts) // 2], 2),
            seconds=round(time.monotonic() - began, 1),
        )


def as_text(figures: Figures) -> str:
    shown = asdict(figures) | {"faults": figures.faults or "none"}
    lists = {name: ", ".join(f"{what} {n}" for what, n in value.items()) for name, value in shown.items() if isinstance(value, dict)}
    return "\n".join(f"{name.replace('_', ' '):<22} {value}" for name, value in (shown | lists).items())


def wait_until(is_done: Callable[[], bool], *, meanwhile: Callable[[], object] = lambda: None) -> None:
    """Wait, but not for ever: what is missing then counts as lost."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and not is_done():
        time.sleep(2.0)
        meanwhile()


def _environment(world: World, url: str, addresses: list[str], folder: Path) -> dict[str, str]:
    """The settings of every worker. Posts are looked after every three minutes, so that deletions are met."""
    config = folder / "earshot.toml"
    queries, paces = ("lumifern", f"r/{world.place}"), (0.5, 1)
    config.write_text(
        "".join(
            f"""
            [[sources]]
            name = "{name}"
            network = "{name}"
            query = "{query}"
            url = "{address}"
            account = "{world.account}"
            replies = true
            every = {every}
            sweep_hours = 0.05
            """
            for name, query, address, every in zip(("x", "reddit"), queries, addresses, paces, strict=True)
        ),
        encoding="utf-8",
    )
    settings = {
        "CONFIG": str(config),
        "DATABASE_URL": url,
        "LOG_FORMAT": "json",
        "BATCH": "20",
        "REPLY_SPACING": "0",
        "UNDO_SECONDS": "0",
        "LEASE_SECONDS": str(LEASE_SECONDS),
        "BUSY_SECONDS": str(BUSY_SECONDS),
    }
    ours = {f"EARSHOT_{name}": value for name, value in settings.items()}
    return {**ours, **world.environ("x"), **world.environ("reddit")}


if __name__ == "__main__":
    main()
