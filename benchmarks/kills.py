"""Workers against the demo's networks, killed at random points after their first commit: what is lost, doubled, posted twice?

    python benchmarks/kills.py [--kills N] [--seed S] [--database-url URL] [--json FILE]

Networks, posts and the people who answer live in this process; the workers are real `earshot work` processes, several at once, each killed
with SIGKILL and replaced. At the end two workers may finish, and what the database says is compared with what the networks know.
Exit status 1 on any fault. With --database-url the database must be empty.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Table, func, select
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from earshot.case import Event, IllegalMove, ReplyState, Sending, State, Tier, replay
from earshot.demo.networks import reddit, x
from earshot.demo.networks.serving import serve_app
from earshot.demo.networks.world import World
from earshot.errors import BadInput, Conflict, NotAllowed
from earshot.storage import Store
from earshot.storage.accounts import Membership, Role
from earshot.storage.tables import CaseRow, MentionRow, OfferRow, ReplyRow, SourceRow, table

STORY = Path(__file__).parent.parent / "earshot" / "demo" / "story"
WORKERS = 3  #: at once
LONGEST_LIFE = 3.0  #: seconds that a worker may live after its first commit
FARTHEST = 0.1  #: seconds to or from a network
PATIENCE = 180.0  #: seconds that the last workers have to finish
SENDING = Sending(sources=frozenset({"x", "reddit"}), after=timedelta(0), spacing=timedelta(0))
_MENTION, _CASE, _REPLY, _SOURCE, _OFFER = (table(row) for row in (MentionRow, CaseRow, ReplyRow, SourceRow, OfferRow))


@dataclass
class Figures:
    kills: int = 0
    seed: int = 0
    database: str = "sqlite"
    stages: dict[str, int] = field(default_factory=dict)  #: where the kills fell; a worker may be at several at once
    posts: int = 0  #: that the networks know, without our own
    lost: int = 0
    doubled: int = 0  #: stored twice, in two cases, or our own reply taken for a mention
    not_understood: int = 0
    replies: int = 0
    posted_twice: int = 0
    said_sent_but_absent: int = 0
    unsettled: int = 0
    needs_person: int = 0
    cases: int = 0
    two_owners: int = 0
    replay_mismatches: int = 0
    errors_logged: int = 0
    seconds: float = 0.0
    start_seconds: float = 0.0  #: from a worker's start to its first commit, median

    @property
    def faults(self) -> int:
        return (
            self.lost
            + self.doubled
            + self.not_understood
            + self.posted_twice
            + self.said_sent_but_absent
            + self.unsettled
            + self.two_owners
            + self.replay_mismatches
        )


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--kills", type=int, default=200)
    ask.add_argument("--seed", type=int, default=1)
    ask.add_argument("--database-url", default="", help="an empty database; a temporary SQLite file where left out")
    ask.add_argument("--json", type=Path, help="also write the figures here")
    given = ask.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = given.database_url or f"sqlite:///{folder}/kills.db"
        figures = run(given.kills, given.seed, url, Path(folder))
    print(as_text(figures))
    if given.json:
        given.json.write_text(json.dumps(asdict(figures), indent=2) + "\n", encoding="utf-8")
    sys.exit(1 if figures.faults else 0)


def run(kills: int, seed: int, url: str, folder: Path) -> Figures:
    began = time.monotonic()
    world, store = World(seed=seed), Store(url)
    store.upgrade()
    with ExitStack() as stack:
        stack.callback(store.close)
        on_x, on_reddit = (stack.enter_context(serve_app(Far(app(world)))) for app in (x.app, reddit.app))
        staff = Staff(store, world, random.Random(seed))
        pit = Pit(store, _environment(world, url, on_x.url, on_reddit.url, folder), folder, random.Random(seed + 1))
        with repeating(staff.answer_some, every=0.2):
            with repeating(Crowd(world, random.Random(seed + 2)).post, every=0.1):
                pit.kill(kills)
            survivors = [pit.start() for _ in range(2)]
            wait_until(lambda: all_is_understood(store, world))
        wait_until(lambda: store.outbox.open_replies() == 0)
        pit.dismiss(survivors)
        figures = compare(store, world)
    figures.kills, figures.seed, figures.database = kills, seed, url.partition(":")[0].partition("+")[0]
    figures.stages, figures.errors_logged = dict(sorted(pit.stages.items())), pit.errors_logged()
    figures.start_seconds = round(sorted(pit.starts)[len(pit.starts) // 2], 2)
    figures.seconds = round(time.monotonic() - began, 1)
    return figures


def as_text(figures: Figures) -> str:
    shown = asdict(figures) | {"stages": ", ".join(f"{name} {n}" for name, n in figures.stages.items()), "faults": figures.faults}
    return "\n".join(f"{name.replace('_', ' '):<22} {value}" for name, value in shown.items())


# ---- those who live outside: networks far away, people who post, people who answer


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


class Crowd:
    """Authors who post on both networks, now and then twice in one thread."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world, self.chance, self.posted = world, chance, 0
        self.texts = [json.loads(line)["text"] for file in sorted(STORY.glob("posts_*.jsonl")) for line in file.open(encoding="utf-8")]

    def post(self) -> None:
        self.posted += 1
        network = "x" if self.chance.random() < 0.75 else "reddit"
        text = f"lumifern {self.posted}: {self.chance.choice(self.texts)}"[:270]
        own = [p for p in self.world.posts(network)[:50] if p.author != self.world.account]
        if own and self.chance.random() < 0.2:
            parent = self.chance.choice(own)
            self.world.post(network, parent.author, text, at=datetime.now(UTC), reply_to=parent.native_id)
        else:
            title = f"question {self.posted}" if network == "reddit" else None
            self.world.post(network, f"author{self.chance.randrange(200)}", text, at=datetime.now(UTC), title=title)


class Staff:
    """Staff and super-users who take cases and answer them, through the store."""

    def __init__(self, store: Store, world: World, chance: random.Random) -> None:
        self.store, self.world, self.chance, now = store, world, chance, datetime.now(UTC)
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
        now = datetime.now(UTC)
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
        text = f"Please hold the ring for {self.chance.randrange(5, 60)} seconds and tell us what the light does ({case_id}/{by})."
        with contextlib.suppress(Conflict, NotAllowed, BadInput):
            self.store.moves.answer(case_id, by=by, text=text, now=now, needs_approval=False, sending=SENDING)


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


# ---- workers, and their end


def _environment(world: World, url: str, x_url: str, reddit_url: str, folder: Path) -> dict[str, str]:
    config = folder / "earshot.toml"
    config.write_text(
        f"""
        [[sources]]
        name = "x"
        network = "x"
        query = "lumifern"
        url = "{x_url}"
        account = "{world.account}"
        replies = true
        every = 0.5

        [[sources]]
        name = "reddit"
        network = "reddit"
        query = "r/{world.place}"
        url = "{reddit_url}"
        account = "{world.account}"
        replies = true
        every = 1
        """,
        encoding="utf-8",
    )
    settings = {"DATABASE_URL": url, "LOG_FORMAT": "json", "BATCH": "20", "REPLY_SPACING": "0", "UNDO_SECONDS": "0", "LEASE_SECONDS": "10"}
    ours = {"EARSHOT_CONFIG": str(config)} | {f"EARSHOT_{name}": value for name, value in settings.items()}
    return {**os.environ, **ours, **world.environ("x"), **world.environ("reddit")}


@dataclass
class Pit:
    """Where workers live and die."""

    store: Store
    environment: dict[str, str]
    folder: Path
    chance: random.Random
    stages: Counter[str] = field(default_factory=Counter)
    starts: list[float] = field(default_factory=list)
    left: int = 0
    killed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def kill(self, kills: int) -> None:
        """Start workers, several at once, and kill each some time after its first commit."""
        self.left = kills
        threads = [threading.Thread(target=self._kill_one_after_another) for _ in range(min(WORKERS, kills))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.killed != kills:
            raise RuntimeError("a worker died by itself; see its log")

    def _kill_one_after_another(self) -> None:
        while True:
            with self.lock:
                if self.left == 0:
                    return
                self.left -= 1
                life = self.chance.uniform(0, LONGEST_LIFE)
            try:
                worker = self.start()
            except RuntimeError:
                self.left = 0  # nobody needs to die any more
                raise
            time.sleep(life)
            worker.kill()
            worker.wait()
            with self.lock:
                self.stages.update(self.stages_of(worker.pid))
                self.killed += 1

    def start(self) -> subprocess.Popen[bytes]:
        """A worker that has made its first commit."""
        began = time.monotonic()
        log = Path(tempfile.mkstemp(suffix=".log", dir=self.folder)[1])
        with log.open("wb") as out:
            worker = subprocess.Popen([sys.executable, "-m", "earshot", "work"], env=self.environment, stderr=out, cwd=self.folder)
        while b'"working"' not in log.read_bytes():
            if worker.poll() is not None:
                raise RuntimeError(f"a worker ended by itself: {log.read_text()[-2000:]}")
            time.sleep(0.02)
        with self.lock:
            self.starts.append(time.monotonic() - began)
        return worker

    def stages_of(self, pid: int) -> list[str]:
        """What the dead worker was at: whatever it still holds tells."""
        held: list[tuple[str, Table, str]] = [
            ("send", _REPLY, "claimed_by"),
            ("understand", _MENTION, "claimed_by"),
            ("hand over", _CASE, "claimed_by"),
            ("poll", _SOURCE, "lease_by"),
        ]
        with self.store.database.reading() as connection:
            stages = [
                name
                for name, rows, by in held
                if connection.execute(select(rows.c[by]).where(rows.c[by].like(f"%/{pid}/%")).limit(1)).first() is not None
            ]
        return stages or ["idle"]

    def dismiss(self, workers: list[subprocess.Popen[bytes]]) -> None:
        """Ask workers to stop, and wait until they have."""
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        for worker in workers:
            worker.wait(60)

    def errors_logged(self) -> int:
        return sum(b'"level": "error"' in line for log in self.folder.glob("*.log") for line in log.read_bytes().splitlines())


# ---- the reckoning


def wait_until(is_done: Callable[[], bool]) -> None:
    """Wait, but not for ever: what is missing then counts as lost."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and not is_done():
        time.sleep(0.3)


def all_is_understood(store: Store, world: World) -> bool:
    counts = store.mentions.counts()
    return counts["heard"] == 0 and counts["understood"] >= len(_true_ids(world))


def compare(store: Store, world: World) -> Figures:
    """What the database says against what the networks know."""
    figures = Figures()
    true = _true_ids(world)
    with store.database.reading() as connection:
        mentions = connection.execute(select(_MENTION.c.network, _MENTION.c.native_id, _MENTION.c.stage)).all()
        replies = connection.execute(select(_REPLY.c.network, _REPLY.c.parent_id, _REPLY.c.text, _REPLY.c.state)).all()
        cases = connection.execute(select(_CASE.c.id)).scalars().all()
        open_offers = connection.execute(
            select(_OFFER.c.case_id, func.count()).where(_OFFER.c.state == "open").group_by(_OFFER.c.case_id)
        ).all()
    stored = Counter((network, native_id) for network, native_id, _ in mentions)
    figures.posts, figures.lost = len(true), len(true - set(stored))
    figures.doubled = sum(n - 1 for n in stored.values()) + len(set(stored) - true)
    figures.not_understood = sum(stage != 1 for *_, stage in mentions)
    standing = Counter((post.network, post.parent, _bare(post.text)) for post in world.replies())
    figures.posted_twice = sum(n - 1 for n in standing.values())
    figures.replies = len(replies)
    figures.said_sent_but_absent = sum(
        state == ReplyState.SENT and standing[network, parent_id, _bare(text)] == 0 for network, parent_id, text, state in replies
    )
    figures.needs_person = sum(state == ReplyState.NEEDS_PERSON for *_, state in replies)
    figures.unsettled = sum(state not in (ReplyState.SENT, ReplyState.REJECTED, ReplyState.NEEDS_PERSON) for *_, state in replies)
    figures.cases = len(cases)
    logs = {case_id: store.cases.events(case_id) for case_id in cases}
    figures.replay_mismatches = sum(not replays(store, case_id, log) for case_id, log in logs.items())
    figures.two_owners = sum(changes_hands(log) for log in logs.values()) + sum(n > 1 for _, n in open_offers)
    return figures


def replays(store: Store, case_id: int, log: list[Event]) -> bool:
    case = store.cases.get(case_id)
    try:
        return replay(log) == (case.state, case.tier, case.assignee)
    except IllegalMove:
        return False


def changes_hands(log: list[Event]) -> bool:
    """Did a case go from one owner to another without being let go of between?"""
    owner = None
    for i in range(1, len(log) + 1):
        _, _, now = replay(log[:i])
        if None not in (owner, now) and owner != now:
            return True
        owner = now
    return False


def _true_ids(world: World) -> set[tuple[str, str]]:
    return {
        (network, post.native_id)
        for network in ("x", "reddit")
        for post in world.posts(network, deleted=True)
        if post.author != world.account
    }


def _bare(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    main()
