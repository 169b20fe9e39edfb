"""The table of addresses is the whole site: every row is walked with every role and with nobody."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from houses import LEASE, NOW, sqlite_store
from sites import Site
from starlette.routing import Mount
from starlette.testclient import TestClient

from earshot.rooms import Rooms
from earshot.settings import Settings, SourceSettings
from earshot.storage.accounts import Role
from earshot.storage.mentions import Poll
from earshot.storage.queries import Draft
from earshot.web.app import page_of
from earshot.web.site import NAVIGATION, SITE, Address, may_enter

HERS = 2  #: the case that is offered to the super-user; staff work on case 1
GUARDED = [address for address in SITE if address.who is not None]
#: the stream has no end for those who may enter: test_live.py follows it
WALK = [(address, role) for address in GUARDED for role in (*Role, None) if address.path != "/live" or role is None]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, open_rooms: Rooms) -> Iterator[Site]:
    """One site for the whole walk; each object in it belongs to the one super-user where it can."""
    with sqlite_store(Path(tmp_path_factory.mktemp("walk"))) as store:
        store.sources.declare([("x", "x")])
        store.sources.take("x", worker="w", now=NOW, lease=LEASE)
        gap = (NOW - timedelta(days=2), NOW - timedelta(days=1), "it was down")
        store.mentions.keep_new([], source="x", now=NOW, poll=Poll(source="x", worker="w", cursor=None, gap=gap))
        yield Site(store=store, rooms=open_rooms, settings=Settings(secret_key="s" * 40, sources=(SourceSettings(name="x", network="x"),)))


@pytest.fixture(scope="module")
def people(world: Site) -> dict[Role | None, TestClient]:
    accounts = {role: world.account(role) for role in Role}
    world.hear("My hub is broken since the update and I am furious!")
    assert world.for_community() == HERS
    world.store.queries.add(Draft(name="lamps", text="lamp"), by=None, now=world.now)
    world.offer(HERS, accounts[Role.SUPER_USER])
    return {role: world.signed_in(account) for role, account in accounts.items()} | {None: world.visitor()}


@pytest.fixture
def as_before(world: Site, people: dict[Role | None, TestClient]) -> Iterator[None]:
    """Whatever an address changes is taken back, so that each is walked in the same world, in any order."""
    url = world.store.database.engine.url.database
    with sqlite3.connect(":memory:") as copy, sqlite3.connect(str(url)) as database:
        database.backup(copy)
        yield
        copy.backup(database)


def _path(address: Address) -> str:
    return address.path.format(
        case_id=HERS if address.path.startswith("/desk") else 1,
        offer_id=1,
        author_id=1,
        mention_id=1,
        change_id=0,
        gap_id=1,
        backfill_id=1,
        query_id=1,
        name="x",
        token="nothing",
    )


@pytest.mark.usefixtures("as_before")
@pytest.mark.parametrize(
    ("address", "role"), WALK, ids=lambda each: f"{each.method} {each.path}" if isinstance(each, Address) else str(each)
)
def test_only_the_roles_of_the_table_get_through(address: Address, role: Role | None, people: dict[Role | None, TestClient]) -> None:
    answer = people[role].request(address.method, _path(address))
    if role is None:
        expected = (401,) if address.is_data else (303,)
        assert answer.status_code in expected
        assert address.is_data or answer.headers["location"].startswith("/sign-in")
    elif address.who is not None and role not in address.who:
        assert answer.status_code == 404
    else:
        assert answer.status_code in (200, 204, 303, 403, 409, 422)


@pytest.mark.parametrize("address", GUARDED, ids=lambda a: f"{a.method} {a.path}")
def test_htmx_is_told_401_instead_of_being_shown_the_sign_in_page(address: Address, people: dict[Role | None, TestClient]) -> None:
    assert people[None].request(address.method, _path(address), headers={"HX-Request": "true"}).status_code == 401


def test_nothing_is_served_that_is_not_in_the_table(world: Site) -> None:
    served = {(method, route.path) for route in world.app.routes if not isinstance(route, Mount) for method in route.methods}
    assert served == {(address.method, address.path) for address in SITE}
    assert [route.path for route in world.app.routes if isinstance(route, Mount)] == ["/static"]


def test_every_row_names_a_page_and_says_what_it_is() -> None:
    for address in SITE:
        assert callable(page_of(address))
        assert address.what.endswith((".", "?"))
    assert len({(a.method, a.path) for a in SITE}) == len(SITE)


def test_the_bar_offers_only_addresses_that_exist() -> None:
    for href, _ in NAVIGATION:
        assert any(may_enter(role, href) for role in Role)


@pytest.mark.parametrize(
    "path",
    [
        *("/cases/999999", "/cases/0", "/cases/abc", f"/cases/{2**70}", "/authors/999999"),
        *("/docs", "/redoc", "/openapi.json", "/static/../app.py", "/nothing"),
    ],
)
def test_what_does_not_exist_is_not_there(path: str, people: dict[Role | None, TestClient]) -> None:
    assert people[Role.MANAGER].get(path).status_code == 404


@pytest.mark.parametrize("path", ["/sign-in", "/", "/nothing", "/static/app.css", "/api/queue"])
def test_every_answer_keeps_to_itself(path: str, people: dict[Role | None, TestClient]) -> None:
    headers = people[Role.MANAGER].get(path).headers
    policy = headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert path.startswith("/static") or headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://127.0.0.1:8000", "sec-fetch-site": "cross-site"},
        {"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-site"},
        {"origin": "http://127.0.0.1:8000.evil.example"},
    ],
)
def test_a_form_from_elsewhere_is_refused(headers: dict[str, str], people: dict[Role | None, TestClient], world: Site) -> None:
    before = world.store.cases.last_event()
    for address in SITE:
        if address.method == "POST" and not address.is_signed:
            assert people[Role.MANAGER].post(_path(address), headers=headers).status_code == 403
    assert world.store.cases.last_event() == before


def test_a_form_that_says_same_origin_is_ours(people: dict[Role | None, TestClient]) -> None:
    answer = people[Role.MANAGER].post("/theme", data={"choice": "dark"}, headers={"origin": "null", "sec-fetch-site": "same-origin"})
    assert answer.status_code == 303


def test_an_oversized_form_is_refused_before_it_is_read(people: dict[Role | None, TestClient]) -> None:
    assert people[Role.MANAGER].post("/cases/1/answer", data={"text": "x" * 200_000}).status_code == 413


def test_the_server_says_that_it_is_well(people: dict[Role | None, TestClient]) -> None:
    assert people[None].get("/health").text == "ok\n"
