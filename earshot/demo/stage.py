"""Sets the stage: the networks with their people, the house with its accounts and articles, and the pages, all in this process."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zlib import crc32

from earshot.demo.agenda import Clock
from earshot.demo.networks import reddit, x
from earshot.demo.networks.serving import serve_app
from earshot.demo.networks.world import World
from earshot.demo.story import BRAND, Insider, Story
from earshot.errors import ConfigurationError
from earshot.rooms import Rooms
from earshot.scheduler import House
from earshot.settings import Settings, SourceSettings, load_settings
from earshot.storage import Store
from earshot.storage.accounts import Account, Membership, Role
from earshot.storage.queries import Draft

ACCOUNT = PLACE = "lumifern"
#: everybody's; nothing real is behind it
PASSWORD = "fern and light"  # noqa: S105
QUERIES = {"x": "lumifern OR 流萤蕨 OR 流螢蕨", "reddit": f"r/{PLACE}"}

#: what the brand's people look for besides
SAVED_QUERIES = (
    Draft(
        name="Smoke and fire",
        text="(~lumifern OR 流萤蕨) (smoke OR smoking OR fire OR burn* OR shock OR 冒烟 OR 起火)",
        sources=("x",),
        urgent=True,
    ),
    Draft(
        name="Offline hubs",
        text="(hub OR 网关) (offline OR update OR disconnect* OR 离线 OR 掉线)",
        not_saying=("giveaway",),
    ),
    Draft(name="Praise", text="(~lumifern OR 流萤蕨) sentiment:positive"),
)

#: seconds of the story between two polls; each poll of Reddit reads the latest hundred again
EVERY = {"x": 20 * 60.0, "reddit": 50 * 60.0}
#: X charges for what is read
BUDGETS: Mapping[str, Mapping[str, float]] = {"x": {"monthly_reads": 100_000, "price_per_thousand": 5.0}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What the story is played on."""

    story: Story
    clock: Clock
    world: World
    networks: Mapping[str, str]  #: network -> address of its server
    settings: Settings
    store: Store
    house: House
    site: str  #: address of the pages
    accounts: Mapping[str, Account]  #: by e-mail address

    def may_approve(self, account: Account) -> bool:
        """Is that a super-user who may approve what others write?"""
        membership = self.store.accounts.membership(account.id)
        return membership is not None and self.house.rooms.may_approve(membership.trust_level)


@contextmanager
def set_stage(story: Story, clock: Clock, *, port: int = 0, database_url: str | None = None, seed: int = 7) -> Iterator[Stage]:
    """Everything up and running, empty of posts. Raises `ConfigurationError` for a port that is taken or a database in use."""
    with ExitStack() as stack:
        world = _world(story, clock, seed)
        servers = {"x": stack.enter_context(x.serve(world)).url, "reddit": stack.enter_context(reddit.serve(world)).url}
        stack.enter_context(_environment(world.environ("x") | world.environ("reddit")))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="earshot-demo-", ignore_cleanup_errors=True))
        settings = _settings(servers, database_url or f"sqlite:///{Path(folder) / 'earshot.db'}", port)
        store = Store(settings.database_url, busy_seconds=settings.busy_seconds)
        stack.callback(store.close)
        store.upgrade()
        accounts = _furnish(store, story, clock())
        rooms = Rooms.open(store, settings, now=clock())
        house = House(settings, store, rooms, clock=clock)
        stack.callback(house.close)
        site = stack.enter_context(_pages(store, rooms, settings, clock))
        yield Stage(
            story=story, clock=clock, world=world, networks=servers, settings=settings.model_copy(update={"port": _port_of(site)}),
            store=store, house=house, site=site, accounts=accounts,
        )  # fmt: skip


def _world(story: Story, clock: Clock, seed: int) -> World:
    world = World(account=ACCOUNT, place=PLACE, seed=seed, clock=clock)
    for who in story.characters:
        world.person(
            who.network, who.handle, name=who.name, bio=who.bio, followers=who.followers, following=who.following,
            verified=who.followers > 100_000, created_at=_joined(who.handle),
        )  # fmt: skip
    return world


def _joined(handle: str) -> datetime:
    """Some day in fifteen years, the same for the same handle."""
    return datetime(2010 + crc32(handle.encode()) % 15, 1 + crc32(handle.encode()) % 12, 9, tzinfo=UTC)


def _settings(servers: Mapping[str, str], database_url: str, port: int) -> Settings:
    always = {"account": ACCOUNT, "replies": True, "allow_private": True}
    sources = tuple(
        SourceSettings.model_validate(
            {**always, **BUDGETS.get(name, {}), "name": name, "network": name, "query": QUERIES[name], "url": url, "every": EVERY[name]}
        )
        for name, url in servers.items()
    )
    return load_settings(
        database_url=database_url,
        brand=BRAND,
        policy=None,
        host="127.0.0.1",
        port=port,
        public_url="",
        sources=sources,
        undo_seconds=5.0,
        reply_spacing=0.0,
        lease_seconds=6 * 3600.0,  # story time runs fast: nobody who works may seem silent
        session_hours=24 * 60.0,
        offer_minutes=20.0,
    )


@contextmanager
def _environment(secrets: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in secrets}
    os.environ.update(secrets)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _furnish(store: Store, story: Story, now: datetime) -> dict[str, Account]:
    """Accounts, articles and saved queries."""
    from argon2 import PasswordHasher

    if store.accounts.everyone():
        raise ConfigurationError("the demo needs an empty database, and this one is in use; name another, or leave --database-url out")
    # One cheap hash for all: the password is printed anyway, and fifty people sign in within a minute.
    hashed = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    store.articles.put(story.articles, now=now)
    for draft in SAVED_QUERIES:
        store.queries.add(draft, by=None, now=now)
    return {insider.email: _account(store, insider, hashed, now) for insider in story.insiders}


def _account(store: Store, insider: Insider, hashed: str, now: datetime) -> Account:
    is_super_user = insider.role is Role.SUPER_USER
    return store.accounts.add(
        email=insider.email,
        name=insider.name,
        role=insider.role,
        tier=insider.tier,
        languages=insider.languages,
        topics=insider.topics,
        membership=Membership(**insider.chosen, skills=insider.skills, consent_at=now) if is_super_user else None,
        password_hash=hashed,
        now=now,
    )


@contextmanager
def _pages(store: Store, rooms: Rooms, settings: Settings, clock: Clock) -> Iterator[str]:
    from earshot.web.app import create_app

    serving = serve_app(create_app(store, rooms, settings, clock), port=settings.port, host=settings.host)
    try:
        served = serving.__enter__()
    except OSError as err:
        raise ConfigurationError(f"port {settings.port} is taken; choose another with --port, or --port 0 for a free one") from err
    try:
        yield served.url
    finally:
        serving.__exit__(None, None, None)


def _port_of(url: str) -> int:
    return int(url.rpartition(":")[2])
