"""What people taught, on the page of the models: what became better, and the way back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from houses import post, sqlite_store
from sites import Site
from starlette.testclient import TestClient

from classifiers.learn import Judged, Label, learn
from classifiers.model import shipped
from earshot.rooms import Rooms
from earshot.settings import Settings
from earshot.storage.accounts import Role
from escalation.policy import default_policy

SHIPPED = shipped().version
JUDGED = [
    Judged(
        question=question,
        labels=120,
        corrections=90,
        judged=24,
        right_before=0.25,
        right_after=0.875,
        rehearsed_before=0.61,
        rehearsed_after=0.62,
        kept=kept,
        reason="better on the labels held back" if kept else "too few labels yet",
    )
    for question, kept in (("needs", True), ("anger", False))
]


GLORPED = [
    f"my {thing} is glorped {when}"
    for thing in ("lamp", "order", "parcel", "box", "bulb", "stand", "cable", "plug", "shade", "base")
    for when in ("today", "again", "since friday", "this week", "for days", "now", "yesterday", "all month", "tonight", "at home")
]


@pytest.fixture(scope="session")
def changes() -> Mapping[str, bytes]:
    """Two changes that call glorped things what nobody called them before: label -> content."""
    found: dict[str, bytes] = {}
    for label in ("specialist", "account", "common", "none"):
        if label != shipped_says(GLORPED[0]) and len(found) < 2:
            change = learn(shipped(), [Label(text=text, question="needs", label=label, corrects=True) for text in GLORPED]).change
            found |= {} if change is None else {label: change}
    return found


def shipped_says(text: str) -> str:
    [scored] = Rooms(policy=default_policy()).score([post("1", text)])
    score = scored.score("needs")
    assert score is not None
    return score.label


@dataclass
class TaughtSite(Site):
    """A site with rooms of its own, as what is learnt changes them."""

    changes: Mapping[str, bytes] = field(default_factory=dict)

    def install(self, nth: int = 0) -> tuple[int, str]:
        """The id of the change, and what glorped things need from then on."""
        self.now += timedelta(hours=1)
        label, content = list(self.changes.items())[nth]
        return self.store.learnt.install(content, base=shipped().sha256, labels=120, judged=JUDGED, now=self.now), label

    def needs(self) -> tuple[str, str]:
        """What the next post is said to need, and by whom."""
        self.now += timedelta(minutes=2)
        case = self.store.cases.page(self.hear(GLORPED[0]))
        assert case is not None
        score = case.posts[0].scored.score("needs")
        assert score is not None
        return score.label, score.by


@pytest.fixture
def taught(tmp_path: Path, changes: Mapping[str, bytes]) -> Iterator[TaughtSite]:
    with sqlite_store(tmp_path) as store:
        yield TaughtSite(store=store, rooms=Rooms(policy=default_policy()), settings=Settings(secret_key="s" * 40), changes=changes)


def boss(site: Site) -> TestClient:
    return site.signed_in(site.boss)


def test_before_anything_is_learnt_the_page_says_what_is_in_use(taught: TaughtSite) -> None:
    page = boss(taught).get("/models").text
    assert f"Version {SHIPPED} is in use, as it ships." in page
    assert "/models/learnt/" not in page


def test_each_version_says_when_from_how_much_and_what_became_better(taught: TaughtSite) -> None:
    taught.install()
    page = boss(taught).get("/models").text
    assert f'{SHIPPED}.1 <span class="good small">in use</span>' in page
    assert "from 120 labels" in page
    assert '<th scope="row">Help needed</th><td class="number">25 %</td><td class="number good">88 %</td>' in page
    assert "no: too few labels yet" in page
    assert "Back to the weights that ship…" in page


def test_the_way_back_holds_at_once_and_its_undo_too(taught: TaughtSite) -> None:
    (first, earlier), (second, later) = taught.install(0), taught.install(1)
    manager = boss(taught)
    assert taught.needs() == (later, f"needs-{SHIPPED}.{second}")
    page = manager.get("/models").text
    assert f'action="/models/learnt/{first}"' in page
    assert "Go back to this one…" in page
    assert manager.post(f"/models/learnt/{first}").headers["location"] == "/models"
    told = manager.get("/models").text
    assert f"Version {SHIPPED}.{first} is in use." in told
    assert f'<form method="post" action="/models/learnt/{second}"><button class="link">Undo</button></form>' in told
    assert "Use this one again…" in told
    assert taught.needs() == (earlier, f"needs-{SHIPPED}.{first}")
    manager.post(f"/models/learnt/{second}")
    assert taught.needs() == (later, f"needs-{SHIPPED}.{second}")


def test_the_weights_that_ship_are_always_there_to_go_back_to(taught: TaughtSite) -> None:
    before = taught.needs()
    change, _ = taught.install()
    assert taught.needs() != before
    manager = boss(taught)
    manager.post("/models/learnt/0")
    assert taught.needs() == before
    assert f'action="/models/learnt/{change}"' in manager.get("/models").text


def test_a_version_that_was_dropped_cannot_be_used(taught: TaughtSite) -> None:
    taught.install()
    answer = boss(taught).post("/models/learnt/77")
    assert answer.status_code == 422
    assert "no learnt change 77" in answer.text


def test_managers_alone_choose_the_version(taught: TaughtSite) -> None:
    taught.install()
    for role in (Role.STAFF, Role.SUPER_USER, Role.MARKETER):
        assert taught.signed_in(taught.account(role)).post("/models/learnt/0").status_code == 404
    assert taught.store.learnt.current() == {shipped().sha256: 1}
