"""What is understood before it is stored must end as what is stored first and understood later."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace as changed
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from houses import LEASE, NOW, person, post, sqlite_store
from msgspec.structs import replace
from poison import WORD

import classifiers
from earshot import pipeline
from earshot.case import State
from earshot.mention import Mention
from earshot.pipeline import Worker
from earshot.rooms import Rooms
from earshot.settings import Settings
from earshot.storage import Store

STORY = Path(pipeline.__file__).parent / "demo" / "story"
WORKER = Worker(name="w", lease=LEASE)


@pytest.fixture(scope="module")
def mentions() -> list[Mention]:
    """Posts of a dozen authors in a few threads, with copies by others, reposts and doubles among them."""
    written = [orjson.loads(line)["text"] for path in sorted(STORY.glob("posts_*.jsonl")) for line in path.read_bytes().splitlines()]
    at = [NOW + timedelta(seconds=n) for n in range(500)]
    posts = [post(str(n), text, by=f"author{n % 13}", thread=f"t{n % 29}", at=at[n]) for n, text in enumerate(written[:150])]
    copies = [post(str(150 + n), f"RT @x: {written[n]} #lumifern", by=f"author{n % 5}", at=at[150 + n]) for n in range(0, 60, 2)]
    reposts = [replace(post(str(250 + n), "look at this", by="fan", at=at[250 + n]), repost_of=str(n)) for n in range(20)]
    nobody = [post(str(300 + n), f"who knows how to reset the lamp number {n}?", by=None, at=at[300 + n]) for n in range(10)]
    return [*posts, *copies, *reposts, *nobody, *posts[:10]]


def rooms_of(store: Store) -> Rooms:
    return Rooms.open(store, Settings(), now=NOW)


def take_in(store: Store, mentions: list[Mention], *, at_once: int = 70) -> int:
    rooms = rooms_of(store)
    batches = [mentions[first : first + at_once] for first in range(0, len(mentions), at_once)]
    return sum(pipeline.take_in(store, rooms, batch, source="import", now=NOW).routed for batch in batches)


def everything(store: Store) -> dict[str, Any]:
    """All that people can see of the cases, their posts and their authors."""
    cases = {}
    for item in store.cases.queue(states=tuple(State), limit=1_000).items:
        page = store.cases.page(item.case.id)
        assert page is not None
        posts = sorted((p.scored.mention.native_id, p.in_case, p.copies, p.scored.scores) for p in page.posts)
        events = [(e.event.move, e.event.reason, e.event.actor) for e in page.events]
        cases[item.case.key] = (replace(item.case, id=0), item.influence, item.mentions, item.parts, posts, events)
    return {
        "cases": cases,
        "counts": store.mentions.counts(),
        "people": {r.author.handle: changed(r, id=0) for r in store.reports.influence()},
    }


def test_taking_in_ends_as_keeping_and_understanding_do(store: Store, mentions: list[Mention], tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    with sqlite_store(folder) as other:
        pipeline.keep(other, mentions, source="import", now=NOW)
        while pipeline.understand(other, rooms_of(other), worker=Worker(name="w", lease=LEASE, batch=70), now=NOW):
            pass
        expected = everything(other)
    assert take_in(store, mentions) == 210
    assert everything(store) == expected


def test_what_is_known_is_not_taken_in_again(store: Store, mentions: list[Mention]) -> None:
    pipeline.keep(store, mentions[:50], source="x", now=NOW)
    assert take_in(store, mentions) == 160
    assert take_in(store, mentions) == 0
    assert store.mentions.counts() == {"heard": 50, "understood": 160, "gone": 0, "quarantined": 0}


def test_workers_that_take_in_the_same_posts_at_once_store_each_once(store: Store, mentions: list[Mention]) -> None:
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda n: take_in(store, mentions, at_once=40 + n), range(4)))
    assert sum(taken) == 210
    assert store.mentions.counts()["understood"] == 210
    assert sum(item.mentions for item in store.cases.queue(states=tuple(State), limit=1_000).items) == sum(
        len([p for p in page.posts if p.in_case])
        for item in store.cases.queue(states=tuple(State), limit=1_000).items
        if (page := store.cases.page(item.case.id)) is not None
    )


def test_poison_waits_for_those_who_part_it_from_the_rest(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(classifiers.CLASSIFIERS, "poison", "poison:choke")  # type: ignore[arg-type]
    rooms = rooms_of(store)
    posts = [post(str(n), f"how do I pair lamp {n}? {WORD if n == 3 else ''}") for n in range(9)]
    assert pipeline.take_in(store, rooms, posts, source="import", now=NOW) == pipeline.Taken(new=9, routed=0)
    assert pipeline.understand(store, rooms, worker=WORKER, now=NOW) == 8
    assert store.mentions.counts() == {"heard": 1, "understood": 8, "gone": 0, "quarantined": 0}


def test_an_author_keeps_the_influence_that_is_known(store: Store) -> None:
    first = replace(post("1"), author=person("ana", followers=50_000))
    later = replace(post("2"), author=person("ana", followers=None))
    take_in(store, [first])
    [before] = store.reports.influence()
    take_in(store, [later])
    [after] = store.reports.influence()
    assert (after.influence, after.author.followers) == (before.influence, 50_000)
