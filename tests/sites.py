"""A whole site in one process: a real database file, the real rooms, and people who are signed in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, cached_property

from argon2 import PasswordHasher
from fastapi import FastAPI
from houses import NOW, keep, person
from sqlalchemy import event
from starlette.testclient import TestClient

from earshot.case import Offer, State, Tier
from earshot.mention import Author, Mention
from earshot.pipeline import Worker, understand
from earshot.rooms import Rooms
from earshot.settings import Settings
from earshot.storage import Store
from earshot.storage.accounts import Account, Membership, Role
from earshot.web.app import create_app
from earshot.web.visit import SESSION_COOKIE

HOST = "http://127.0.0.1:8000"
PASSWORD = "correct horse battery"
WORKER = Worker(name="test")


@cache
def _hashed(password: str) -> str:
    """A real hash that costs next to nothing: most tests only want somebody to be signed in."""
    return PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(password)


@dataclass
class Site:
    """The application with its store, and a clock that tests set."""

    store: Store
    rooms: Rooms
    settings: Settings
    now: datetime = NOW
    posted: int = 0

    @cached_property
    def app(self) -> FastAPI:
        return create_app(self.store, self.rooms, self.settings, lambda: self.now)

    def visitor(self) -> TestClient:
        """Somebody who is not signed in, with a browser that says where its forms come from."""
        return TestClient(self.app, base_url=HOST, headers={"origin": HOST}, follow_redirects=False)

    def account(self, role: Role, name: str = "", *, trust: int = 2, password: str | None = None) -> Account:
        name = name or role.value.title()
        return self.store.accounts.add(
            email=f"{name.lower()}@lumifern.example",
            name=name,
            role=role,
            now=self.now,
            password_hash=_hashed(password) if password else None,
            tier=Tier.TIER_1 if role is Role.STAFF else None,
            languages=("en",),
            topics=("hub",),
            membership=Membership(trust_level=trust, consent_at=self.now),
        )

    def signed_in(self, account: Account) -> TestClient:
        client = self.visitor()
        client.cookies.set(SESSION_COOKIE, self.store.accounts.start_session(account.id, now=self.now))
        return client

    def hear(self, text: str, *, by: Author | None = None, network: str = "x", url: str = "https://x.example/1") -> int:
        """A post comes in and is understood, weighed and decided; returns the id of its case."""
        self.posted += 1
        mention = Mention(
            network=network,
            native_id=str(self.posted),
            author=by or person(f"author{self.posted}", network=network),
            text=text,
            url=url,
            posted_at=self.now - timedelta(minutes=5),
            thread_id=str(self.posted),
        )
        keep(self.store, mention, source=network, now=self.now)
        understand(self.store, self.rooms, worker=WORKER, now=self.now)
        return max(item.case.id for item in self.store.cases.queue(states=tuple(State), limit=1000).items)

    def for_community(self, text: str = "How do I reset my lamp?", *, by: Author | None = None, network: str = "x") -> int:
        """A case that waits for super-users, whatever triage made of it."""
        case_id = self.hear(text, by=by, network=network)
        case = self.store.cases.get(case_id)
        move = self.store.moves.confirm if case.state is State.REVIEW else self.store.moves.retier
        return move(case_id, tier=Tier.COMMUNITY, by=self.boss.id, now=self.now, due_at=self.now + timedelta(hours=2)).id

    @cached_property
    def boss(self) -> Account:
        return self.account(Role.MANAGER, "Boss")

    def offer(self, case_id: int, to: Account) -> int:
        """Offers the case; returns the id of the offer."""
        self.store.handover.claim(100, worker="test", now=self.now, lease=timedelta(minutes=1))
        offer = Offer(
            case_id=case_id, super_user=to.id, offered_at=self.now, expires_at=self.now + timedelta(minutes=20), reason="knows hub"
        )
        self.store.handover.write_offers([offer], worker="test", now=self.now)
        self.store.handover.release(worker="test")
        return next(item.offer_id for item in self.store.handover.desk(to.id) if item.case.id == case_id and item.offer_id)

    @contextmanager
    def statements(self) -> Iterator[list[str]]:
        """The SQL that runs meanwhile."""
        seen: list[str] = []

        def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            if statement.split(None, 1)[0] in ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH"):
                seen.append(statement)

        event.listen(self.store.database.engine, "before_cursor_execute", note)
        try:
            yield seen
        finally:
            event.remove(self.store.database.engine, "before_cursor_execute", note)
