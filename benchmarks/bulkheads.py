"""One network hangs, drips or dies while a house listens to four: how late are the other three heard?

    python benchmarks/bulkheads.py [--seconds S] [--rounds N] [--json FILE]

A real house works with its own scheduler and threads; the networks are real servers, one of them behind faults. Quiet spells and bad ones
take turns, so that what the machine does meanwhile falls on both. Freshness is from the moment of the post to that of its storing; polls
come every second. Exit status 1 where the others' 95th percentile grew by more than a tenth beyond what quiet spells differ by.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from unittest.mock import patch

import structlog
from sqlalchemy import select

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from fake_networks import discourse, mastodon
from fake_networks.faults import Fault, Faults, breaks, drips_body, drips_head, hangs

from earshot.demo.networks import reddit, x
from earshot.demo.networks.serving import serve_app
from earshot.demo.networks.world import World
from earshot.rooms import Rooms
from earshot.scheduler import House
from earshot.settings import Settings, SourceSettings
from earshot.storage import Store
from earshot.storage.tables import MentionRow, table
from escalation.policy import default_policy

BAD: dict[str, Fault] = {"hangs": hangs(), "drips its head": drips_head(), "drips its body": drips_body(), "dies": breaks()}
OTHERS = ("reddit", "mastodon", "discourse")
POSTS_A_SECOND = 3.0  #: on each of the others
_MENTION = table(MentionRow)


@dataclass
class Town:
    """Three networks that are well, and one that is not always."""

    worlds: dict[str, World]
    faults: Faults  #: before X
    chance: random.Random
    spells: list[tuple[str, datetime, datetime]] = field(default_factory=list)
    posted: int = 0

    def live(self, spell: str, seconds: float) -> None:
        """People post on the three while the fourth is as `spell` says; the first second and the last two are left out."""
        self.faults.relent()
        if spell in BAD:
            self.faults.on("", BAD[spell], forever=True)
        began = time.monotonic()
        since = datetime.now(UTC)
        while time.monotonic() - began < seconds:
            time.sleep(self.chance.expovariate(POSTS_A_SECOND * len(OTHERS)))
            self._post(self.chance.choice(OTHERS))
        self.spells.append((spell, since, datetime.now(UTC)))

    def _post(self, network: str) -> None:
        self.posted += 1
        title = f"question {self.posted}" if network != "mastodon" else None
        text = f"lumifern hub number {self.posted}: how do I pair it?"
        self.worlds[network].post(network, f"author{self.posted % 97}", text, at=datetime.now(UTC), title=title)


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--seconds", type=float, default=35, help="length of a spell; a hanging call is given up after thirty")
    ask.add_argument("--rounds", type=int, default=2)
    ask.add_argument("--json", type=Path, help="also write the figures here")
    given = ask.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    delays = run(given.seconds, given.rounds)
    quiet = quantiles(delays["quiet"], n=20)[18]
    grown = {spell: quantiles(found, n=20)[18] / quiet - 1 for spell, found in delays.items()}
    for spell, found in delays.items():
        cuts = quantiles(found, n=20)
        print(f"{spell:<16} {len(found):>5} posts   median {cuts[9]:.2f} s   p95 {cuts[18]:.2f} s   {grown[spell]:+.1%}")
    if given.json:
        given.json.write_text(json.dumps({"quiet": quiet, "grown": grown}, indent=2) + "\n", encoding="utf-8")
    sys.exit(1 if max(grown.values()) > 0.1 else 0)


def run(seconds: float, rounds: int) -> dict[str, list[float]]:
    """Spell -> how late each post of the other networks was stored, in seconds."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        town = World(seed=1)
        fediverse, forum = mastodon.world(lambda: datetime.now(UTC)), discourse.world(lambda: datetime.now(UTC))
        worlds = {"x": town, "reddit": town, "mastodon": fediverse, "discourse": forum}
        faults = Faults(x.app(town))
        apps = {"x": faults, "reddit": reddit.app(town), "mastodon": mastodon.app(fediverse), "discourse": discourse.app(forum)}
        queries = {"x": "lumifern", "reddit": f"r/{town.place}", "mastodon": f"#{fediverse.place}", "discourse": ""}
        for name, world in worlds.items():
            stack.enter_context(patch.dict(os.environ, world.environ(name)))
        sources = tuple(
            SourceSettings(
                name=name,
                network=name,
                query=queries[name],
                account=worlds[name].account,
                replies=True,
                every=1,
                url=stack.enter_context(serve_app(app)).url,
                allow_private=True,
            )
            for name, app in apps.items()
        )
        store = Store(f"sqlite:///{folder}/bulkheads.db")
        stack.callback(store.close)
        store.upgrade()
        rooms = Rooms(policy=default_policy())
        rooms.warm_up(now=datetime.now(UTC))
        stack.enter_context(House(Settings(sources=sources), store, rooms))
        people = Town(worlds, faults, random.Random(1))
        people.live("start", 5)
        for _ in range(rounds):
            for spell in BAD:
                people.live("quiet", seconds)
                people.live(spell, seconds)
        people.live("end", 5)
        return _delays(store, people.spells)


def _delays(store: Store, spells: list[tuple[str, datetime, datetime]]) -> dict[str, list[float]]:
    with store.database.reading() as connection:
        rows = connection.execute(select(_MENTION.c.posted_at, _MENTION.c.seen_at).where(_MENTION.c.network.in_(OTHERS))).all()
    found: dict[str, list[float]] = {}
    for spell, since, until in spells:
        if spell in ("quiet", *BAD):
            late = [(row.seen_at - row.posted_at).total_seconds() for row in rows if since <= row.posted_at < until]
            found.setdefault(spell, []).extend(late)
    return found


if __name__ == "__main__":
    main()
