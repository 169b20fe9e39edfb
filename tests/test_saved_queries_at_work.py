"""Saved queries at work: what is heard is matched in one pass, and sources listen for them without a restart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from houses import NOW, keep, person, post, sqlite_store
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from earshot.case import State
from earshot.demo.networks.serving import serve_app
from earshot.mention import Mention
from earshot.pipeline import Worker, match_past, take_in, understand, understand_claimed
from earshot.rooms import Rooms
from earshot.scheduler import House
from earshot.settings import Settings
from earshot.storage import Store
from earshot.storage.queries import Draft
from earshot.storage.sources import SourceState
from escalation.policy import default_policy

WORKER = Worker(name="test")


@pytest.fixture(scope="module")
def rooms() -> Rooms:
    return Rooms(policy=default_policy(), own_accounts=("lumifern",))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with sqlite_store(tmp_path) as opened:
        yield opened


def add(store: Store, text: str, **more: object) -> int:
    draft = Draft(**{"name": text, "text": text, **more})  # type: ignore[arg-type]
    return store.queries.add(draft, by=None, now=NOW)


def totals(store: Store) -> dict[int, int]:
    return {id_: volume.total for id_, volume in store.queries.volumes(until=NOW).items()}


def hear(store: Store, rooms: Rooms, *mentions: Mention) -> None:
    keep(store, *mentions)
    understand(store, rooms, worker=WORKER, now=NOW)


def test_what_is_understood_is_matched_with_every_saved_query(store: Store, rooms: Rooms) -> None:
    lamps, angry = add(store, "lamp"), add(store, "lamp sentiment:negative")
    hear(store, rooms, post("1", "I hate this lamp, it is terrible"), post("2", "what a wonderful lamp, I love it"), post("3", "a chair"))
    assert totals(store) == {lamps: 2, angry: 1}


def test_what_is_imported_is_matched_too(store: Store, rooms: Rooms) -> None:
    lamps = add(store, "lamp")
    take_in(store, rooms, [post("1", "my lamp"), post("2", "my chair")], source="file", now=NOW)
    assert totals(store) == {lamps: 1}


def test_our_own_accounts_and_what_is_excluded_never_match(store: Store, rooms: Rooms) -> None:
    lamps = add(store, "lamp", not_by=("@Troll",), not_saying=("giveaway", "press release"))
    texts = {"lumifern": "a new lamp", "troll": "this lamp", "ben": "lamp giveaway", "eva": "a press release on the lamp", "kim": "my lamp"}
    mentions = [
        Mention(network="x", native_id=handle, author=person(handle), text=text, url="", posted_at=NOW) for handle, text in texts.items()
    ]
    hear(store, rooms, *mentions)
    assert totals(store) == {lamps: 1}


def test_a_query_saved_afterwards_finds_the_past(store: Store, rooms: Rooms) -> None:
    hear(store, rooms, post("1", "my lamp"), post("2", "my chair"), post("3", "old lamp", at=NOW - timedelta(days=90)))
    lamps, chairs = add(store, "lamp"), add(store, "chair")
    while match_past(store, rooms, now=NOW, most=1):
        pass
    assert totals(store) == {lamps: 1, chairs: 1}


@pytest.mark.parametrize("is_changed", [False, True], ids=["saved", "changed"])
def test_a_query_saved_while_a_batch_is_under_way_finds_what_is_in_it(store: Store, rooms: Rooms, *, is_changed: bool) -> None:
    keep(store, post("1", "my lamp"), post("2", "my chair"))
    chairs = add(store, "chair") if is_changed else 0
    rooms.use_queries(store)
    waiting = store.mentions.claim(10, worker=WORKER.name, now=NOW, lease=WORKER.lease)
    if is_changed:
        store.queries.change(chairs, Draft(name="lamps", text="lamp"), version=1, by=None, now=NOW)
    lamps = chairs or add(store, "lamp")
    match_past(store, rooms, now=NOW, most=10)
    understand_claimed(store, rooms, waiting, worker=WORKER, now=NOW)
    match_past(store, rooms, now=NOW, most=10)
    assert totals(store) == {lamps: 1}
    found = store.cases.queue(queries=[lamps], states=tuple(State)).items
    assert [store.cases.page(item.case.id).posts[0].scored.mention.text for item in found] == ["my lamp"]  # type: ignore[union-attr]


def test_a_saved_query_that_can_be_read_no_more_stops_no_other(store: Store, rooms: Rooms) -> None:
    add(store, "lamp AND (")
    lamps = add(store, "lamp")
    hear(store, rooms, post("1", "my lamp"))
    assert totals(store) == {lamps: 1}


# ---- sources


@dataclass
class Search:
    """Hacker News' search, where each word of the question must stand in a comment."""

    texts: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        question = dict(Request(scope, receive).query_params)
        self.asked.append(question["query"])
        since, until = (int(part.partition("=")[2] or part.partition("<")[2]) for part in question["numericFilters"].split(","))
        hits = [
            {"objectID": str(n), "author": "ann", "comment_text": text, "created_at_i": int(NOW.timestamp()) - 60 - n, "_tags": ["comment"]}
            for n, text in enumerate(self.texts)
            if all(word in text for word in question["query"].split())
        ]
        found = [hit for hit in hits if since <= int(str(hit["created_at_i"])) < until]
        await JSONResponse({"hits": found, "nbHits": len(found), "nbPages": 1, "hitsPerPage": 100, "page": 0})(scope, receive, send)


@contextmanager
def listening(store: Store, rooms: Rooms, search: Search, **source: object) -> Iterator[House]:
    with serve_app(search) as served:
        settings = {"name": "hn", "network": "hackernews", "url": served.url, "allow_private": True, **source}
        house = House(Settings.model_validate({"sources": [settings]}), store, rooms, clock=lambda: NOW)
        yield house
        house.close()


def heard(store: Store, house: House) -> set[str]:
    """All texts, after one more poll."""
    store.sources.wake("hn", now=NOW)
    house.listen("hn")
    return set(store.mentions.texts("hackernews", [str(n) for n in range(20)]).values())


def test_a_source_hears_its_own_query_and_the_saved_ones_that_name_it(store: Store, rooms: Rooms) -> None:
    search = Search(["a lamp", "a hub", "a chair", "a strip"])
    add(store, "hub", sources=("hn",))
    add(store, "chair")
    with listening(store, rooms, search, wanted="lamp") as house:
        assert heard(store, house) == {"a lamp", "a hub"}


def test_a_query_in_the_networks_own_words_goes_on_beside_saved_ones(store: Store, rooms: Rooms) -> None:
    search = Search(["a lamp", "a hub", "a chair"])
    with listening(store, rooms, search, query="lamp") as house:
        assert heard(store, house) == {"a lamp"}
        query_id = add(store, "hub", sources=("hn",))
        assert heard(store, house) == {"a lamp", "a hub"}
        search.texts += ["another lamp"]
        store.queries.delete(query_id, by=None, now=NOW)
        search.asked.clear()
        heard(store, house)
        assert search.asked == ["lamp"]
    with listening(store, rooms, search, query="lamp") as house:  # a new start, with the cursor that stood beside others
        heard(store, house)
        assert store.sources.statuses()[0].state is SourceState.HEALTHY


def test_a_change_is_heard_without_a_restart_and_the_cursors_of_others_go_on(store: Store, rooms: Rooms) -> None:
    search = Search(["a lamp", "a hub"])
    query_id = add(store, "hub", sources=("hn",))
    with listening(store, rooms, search, wanted="lamp") as house:
        heard(store, house)
        before = store.sources.statuses()[0].cursor
        store.queries.change(query_id, Draft(name="hub", text="strip", sources=("hn",)), version=1, by=None, now=NOW)
        search.texts += ["a strip"]
        assert heard(store, house) == {"a lamp", "a hub", "a strip"}
        after = store.sources.statuses()[0].cursor
    import json

    was, now = json.loads(before or "")["searches"], json.loads(after or "")["searches"]
    (kept,) = set(was) & set(now)
    assert was[kept] is not None
    assert now[kept] is not None


def test_a_source_with_nothing_of_its_own_to_ask_opens_when_a_saved_query_names_it(
    store: Store, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARSHOT_SECRET_B_APP_PASSWORD", "x")
    settings = Settings.model_validate({"sources": [{"name": "b", "network": "bluesky", "every": 3600}]})
    house = House(settings, store, rooms, clock=lambda: NOW)
    assert house.sources == {}
    assert store.sources.statuses()[0].state is SourceState.BROKEN
    add(store, "lamp", sources=("b",))
    house._take_up_queries("b")
    assert set(house.sources) == {"b"}
    house.close()


def test_urgent_queries_are_asked_first_and_hurry_their_source(store: Store, rooms: Rooms) -> None:
    search = Search()
    add(store, "lamp", sources=("hn",))
    add(store, "outage", sources=("hn",), urgent=True)
    with listening(store, rooms, search, wanted="hub") as house:
        heard(store, house)
        assert search.asked == ["outage", "hub", "lamp"]
        assert house.sources["hn"][0].urgent


def test_what_a_network_cannot_search_for_stops_no_other_query(store: Store, rooms: Rooms) -> None:
    search = Search(["a lamp"])
    add(store, "author:ann", sources=("hn",))
    with listening(store, rooms, search, wanted="lamp") as house:
        assert heard(store, house) == {"a lamp"}
