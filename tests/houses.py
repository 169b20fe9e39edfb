"""Real databases and small worlds for the tests of the house."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import event

from earshot.case import Outcome, Route, Sending, Tier
from earshot.mention import Author, Mention, Score, ScoredMention
from earshot.storage import Store
from earshot.storage.accounts import Account, Membership, Role
from earshot.storage.arrivals import Heard
from earshot.storage.originals import Waiting
from earshot.storage.settling import Routed

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LEASE = timedelta(minutes=2)
SENDING = Sending(sources=frozenset({"x"}), after=timedelta(0), spacing=timedelta(0))


@cache
def _migrated() -> bytes:
    """An empty database at the newest schema: migrating anew for each test would take most of its time."""
    with TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{folder}/template.db")
        store.upgrade()
        store.close()
        return Path(folder, "template.db").read_bytes()


@contextmanager
def sqlite_store(folder: Path) -> Iterator[Store]:
    path = folder / "earshot.db"
    path.write_bytes(_migrated())
    store = Store(f"sqlite:///{path}", busy_seconds=10)
    try:
        yield store
    finally:
        store.close()


class Disk:
    """The space under a SQLite database, in pages."""

    def __init__(self, store: Store) -> None:
        self.store, self.pages = store, 0
        event.listen(store.database.engine, "checkout", self._limit)

    def _limit(self, connection: sqlite3.Connection, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {self.pages or 2**30}")

    def fill(self) -> None:
        with self.store.database.reading() as connection:
            self.pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one() + 4

    def free(self) -> None:
        self.pages = 0


def person(handle: str = "ana", *, network: str = "x", followers: int | None = 100) -> Author:
    return Author(network=network, native_id=f"id-{handle}", handle=handle, name=handle.title(), followers=followers)


def post(
    native_id: str,
    text: str = "how do I pair the hub?",
    *,
    by: str | None = "ana",
    thread: str | None = None,
    network: str = "x",
    at: datetime = NOW,
    repost_of: str | None = None,
) -> Mention:
    return Mention(
        network=network,
        native_id=native_id,
        author=None if by is None else person(by, network=network),
        text=text,
        url=f"https://x.example/{native_id}",
        posted_at=at,
        thread_id=thread,
        repost_of=repost_of,
    )


def keep(store: Store, *mentions: Mention, source: str = "x", now: datetime = NOW) -> int:
    return store.mentions.keep_new([Heard(mention=m) for m in mentions], source=source, now=now).new


def score(name: str, label: str, value: float = 0.0, confidence: float = 0.9) -> Score:
    return Score(name=name, label=label, value=value, confidence=confidence, by="test-1")


def scored(mention: Mention, *scores: Score) -> ScoredMention:
    return ScoredMention(
        mention=mention, scores=scores or (score("language", "en"), score("topics", "hub", 1.0), score("asks", "yes", 0.9))
    )


def route(
    tier: Tier = Tier.COMMUNITY,
    outcome: Outcome = Outcome.AUTOMATIC,
    *,
    due_at: datetime | None = NOW + timedelta(hours=2),
    reason: str = "easy",
) -> Route:
    return Route(tier=tier, outcome=outcome, reason=reason, rule="easy", policy="test-1", due_at=due_at if tier is not Tier.NONE else None)


def routed(waiting: Waiting, decision: Route | None = None, *scores: Score, key: str | None = "", copy_of: int | None = None) -> Routed:
    """`key` empty: the case key that the pipeline would choose."""
    from earshot.pipeline import case_key

    return Routed(
        id=waiting.id,
        author_id=waiting.author_id,
        scored=scored(waiting.mention, *scores),
        route=decision or route(),
        case_key=case_key(waiting.mention) if key == "" else key,
        copy_of=copy_of,
        priority=0.5,
    )


def open_case(store: Store, mention: Mention, decision: Route | None = None, *, now: datetime = NOW, source: str = "x") -> int:
    """Keep a mention, route it, and return the id of its case."""
    from earshot.pipeline import settle

    keep(store, mention, source=source, now=now)
    waiting = store.mentions.claim(100, worker="w", now=now, lease=LEASE)
    store.mentions.write_routed([routed(w, decision) for w in waiting], settle=settle, worker="w", now=now)
    return newest_case(store)


def newest_case(store: Store) -> int:
    from earshot.case import State

    return max(item.case.id for item in store.cases.queue(states=tuple(State), limit=1000).items)


def staff(store: Store, name: str = "Sam", role: Role = Role.STAFF) -> Account:
    return store.accounts.add(email=f"{name.lower()}@lumifern.example", name=name, role=role, tier=Tier.TIER_1, now=NOW)


def super_user(store: Store, name: str = "Uma", *, trust: int = 2, open_posts: int = 3, topics: tuple[str, ...] = ("hub",)) -> Account:
    membership = Membership(trust_level=trust, open_posts=open_posts, consent_at=NOW)
    return store.accounts.add(
        email=f"{name.lower()}@example.org",
        name=name,
        role=Role.SUPER_USER,
        languages=("en",),
        topics=topics,
        membership=membership,
        now=NOW,
    )
