"""A day of listening in minutes: what the sources of a house ask of their networks, and how late it hears what was posted.

    python benchmarks/day.py [--hours N] [--seed S] [--json FILE]

Real sources poll and sweep real servers over HTTP, on a clock that jumps from one event to the next. The servers hold callers to limits of
calls in a window, and X counts what it gives against a monthly budget. Whoever calls before the moment that an answer named is counted by a
gate before each server, which knows nothing of ours. Exit status 1 when anything was called too early, read over budget, or lost.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from typing import Any
from unittest.mock import patch

import structlog
import time_machine
from sqlalchemy import select
from starlette.types import ASGIApp, Message, Receive, Scope, Send

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from fake_networks import discourse, mastodon

from earshot.demo.networks import reddit, x
from earshot.demo.networks.serving import serve_app
from earshot.demo.networks.world import World
from earshot.rooms import Rooms
from earshot.scheduler import House
from earshot.settings import Settings, SourceSettings
from earshot.storage import Store
from earshot.storage.sources import SourceState
from earshot.storage.tables import MentionRow, table
from escalation.policy import default_policy
from listener.wire import retry_at

START = datetime(2026, 4, 10, 12, tzinfo=UTC)
MONTHLY_READS = 2_000  #: of X, which is asked for half as much again in the month at this pace
SWEEPS_EVERY = timedelta(minutes=5)
_MENTION = table(MentionRow)


@dataclass
class Figures:
    """What one network saw and we heard; times in seconds."""

    posts: int = 0
    calls: int = 0
    refused: int = 0  #: answers that asked us to wait
    too_early: int = 0  #: calls before the moment that an answer named
    reads: int = 0  #: posts given, as the network counts them
    budget: int | None = None
    lost: int = 0  #: posted, and neither stored nor still to be read by a source that waits
    waiting: int = 0  #: posted while the source waits for its budget
    polls: int = 0
    median: float = math.nan
    p95: float = math.nan

    @property
    def over_budget(self) -> int:
        return 0 if self.budget is None else max(self.reads - self.budget, 0)


@dataclass
class Gate:
    """Stands before a network and notes who comes too early."""

    app: ASGIApp
    figures: Figures = field(default_factory=Figures)
    shut: dict[str, datetime] = field(default_factory=dict)  #: path -> the moment that an answer named
    counted: set[tuple[str, str]] = field(default_factory=set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, body = scope["path"], b""
        self.figures.calls += 1
        self.figures.too_early += datetime.now(UTC) < self.shut.get(path, START)
        headers: Mapping[str, str] = {}

        async def note(message: Message) -> None:
            nonlocal headers, body
            if message["type"] == "http.response.start":
                headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
                if message["status"] == 429:
                    self.figures.refused += 1
                    self.shut[path] = retry_at(headers) or START
            body += message.get("body", b"")
            await send(message)

        await self.app(scope, receive, note)
        if path.startswith("/2/tweets"):
            given = {(f"{datetime.now(UTC):%Y-%m-%d}", post["id"]) for post in json.loads(body).get("data") or ()}
            self.figures.reads += len(given - self.counted)  # as X does: once a day (UTC) for each post
            self.counted |= given


@dataclass(frozen=True, slots=True)
class Place:
    """A network of the day: who serves it, how much is posted, and how it is read."""

    world: World
    app: Any
    an_hour: float
    settings: Mapping[str, Any]


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--hours", type=float, default=24)
    ask.add_argument("--seed", type=int, default=1)
    ask.add_argument("--json", type=Path, help="also write the figures here")
    given = ask.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    figures = run(given.hours, given.seed)
    print(as_text(figures))
    if given.json:
        given.json.write_text(json.dumps({name: asdict(each) for name, each in figures.items()}, indent=2) + "\n", encoding="utf-8")
    sys.exit(1 if any(each.too_early or each.over_budget or each.lost for each in figures.values()) else 0)


def as_text(figures: Mapping[str, Figures]) -> str:
    columns = ("posts", "polls", "calls", "refused", "too_early", "reads", "over_budget", "lost", "waiting", "median", "p95")
    rows = [("network", *(name.replace("_", " ") for name in columns))]
    rows += [(name, *(f"{getattr(each, column):,.0f}" for column in columns)) for name, each in figures.items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.rjust, row, widths)) for row in rows)


def run(hours: float, seed: int) -> dict[str, Figures]:
    with ExitStack() as stack:
        clock = stack.enter_context(time_machine.travel(START, tick=False))
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        places = _places(lambda: datetime.now(UTC), seed)
        gates = {name: Gate(place.app) for name, place in places.items()}
        urls = {name: stack.enter_context(serve_app(gate)).url for name, gate in gates.items()}
        for place, name in zip(places.values(), places, strict=True):
            stack.enter_context(patch.dict(os.environ, place.world.environ(name)))
        store = Store(f"sqlite:///{folder}/day.db")
        stack.callback(store.close)
        store.upgrade()
        sources = tuple(
            SourceSettings(name=name, network=name, url=urls[name], allow_private=True, **place.settings) for name, place in places.items()
        )
        house = House(Settings(sources=sources), store, Rooms(policy=default_policy()))
        stack.callback(house.close)
        end = START + timedelta(hours=hours)
        _live(house, clock, _posts(places, end, random.Random(seed)), end)
        return {name: _reckon(store, name, place, gates[name].figures) for name, place in places.items()}


def _places(now: Any, seed: int) -> dict[str, Place]:
    town = World(clock=now, seed=seed)
    fediverse, forum = mastodon.world(now), discourse.world(now)
    return {
        "x": Place(town, x.app(town, limit=12), 40, {"query": "lumifern", "monthly_reads": MONTHLY_READS, "sweep_hours": 6}),
        "reddit": Place(town, reddit.app(town, limit=40), 12, {"query": f"r/{town.place}"}),
        "mastodon": Place(fediverse, mastodon.app(fediverse), 6, {"query": f"#{fediverse.place}"}),
        "discourse": Place(forum, discourse.app(forum), 3, {"query": "", "account": forum.account}),
    }


def _posts(places: Mapping[str, Place], end: datetime, chance: random.Random) -> list[tuple[datetime, str, Place]]:
    """When something is posted where, in order: by chance, more by day than by night."""
    found = []
    for name, place in places.items():
        at, most = START, 2 * place.an_hour
        while (at := at + timedelta(hours=chance.expovariate(most))) < end:
            by_day = 1 + math.cos((at.hour + at.minute / 60 - 15) / 24 * 2 * math.pi)
            if chance.random() < by_day / 2:
                found.append((at, name, place))
    return sorted(found, key=lambda post: post[:2])


def _live(house: House, clock: time_machine.Coordinates, posts: Sequence[tuple[datetime, str, Place]], end: datetime) -> None:
    """Jump from one event to the next: a post, a poll that is due, a round of sweeps."""
    coming, sweeps_at = iter(posts), START + SWEEPS_EVERY
    following = next(coming, None)
    while (now := _next(house, following, sweeps_at)) < end:
        clock.move_to(now)
        while following is not None and following[0] <= now:
            _post(*following)
            following = next(coming, None)
        for name in house.sources:
            house.listen(name)
        if now >= sweeps_at:
            sweeps_at += SWEEPS_EVERY
            for name in house.sources:
                house.sweep(name)


def _next(house: House, following: tuple[datetime, str, Place] | None, sweeps_at: datetime) -> datetime:
    polls = [status.next_poll_at or datetime.now(UTC) for status in house.store.sources.statuses()]
    return max(min([sweeps_at, *polls, *([following[0]] if following else [])]), datetime.now(UTC))


def _post(at: datetime, name: str, place: Place) -> None:
    title = f"a question of {at:%H:%M:%S}" if name in ("reddit", "discourse") else None
    place.world.post(name, f"author{at.microsecond % 500}", f"lumifern hub, {at:%d %H:%M:%S.%f}: how do I pair it?", at=at, title=title)


def _reckon(store: Store, name: str, place: Place, figures: Figures) -> Figures:
    [status] = [status for status in store.sources.statuses() if status.name == name]
    with store.database.reading() as connection:
        rows = connection.execute(
            select(_MENTION.c.native_id, _MENTION.c.posted_at, _MENTION.c.seen_at).where(_MENTION.c.network == name)
        ).all()
    true = {post.native_id: post.at for post in place.world.posts(name) if post.author != place.world.account}
    missing = [at for native_id, at in true.items() if native_id not in {row.native_id for row in rows}]
    is_paused = status.state is SourceState.PAUSED
    since_poll = [at for at in missing if is_paused or status.polled_at is None or at > status.polled_at]
    delays = [(row.seen_at - row.posted_at).total_seconds() for row in rows]
    figures.posts, figures.lost, figures.waiting = len(true), len(missing) - len(since_poll), len(since_poll)
    figures.polls, figures.budget = status.polls, MONTHLY_READS if name == "x" else None
    if len(delays) > 1:
        cuts = quantiles(delays, n=20)
        figures.median, figures.p95 = cuts[9], cuts[18]
    return figures


if __name__ == "__main__":
    main()
