"""Learning from people: what they taught becomes a change over the weights that ship, in use only where it is better.

Every time all labels are learnt anew from the weights that ship: nothing drifts from night to night, and what was taken back, or deleted
on its network, is forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
import structlog

from earshot.rooms import Rooms
from earshot.storage import Store
from earshot.storage.labels import Kind, Taught
from earshot.storage.learnt import Change, ChangeState

if TYPE_CHECKING:
    from classifiers.learn import Judged, Label

log = structlog.get_logger()

_TURN = "learn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """What came of learning once."""

    judged: tuple[Judged, ...]  #: one for each question that was taught
    version: str | None  #: what scores say from now on; None where nothing was better


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What may be in use: the weights that ship, or these with a learnt change over them."""

    name: str  #: as scores say it: "2" as they ship, "2.3" with change 3
    change: Change | None
    judged: tuple[Judged, ...]
    is_in_use: bool


def learn_now(store: Store, rooms: Rooms, *, now: datetime) -> Learning:
    """Learn from all that people taught, and put in use what is better; `rooms` have it at once, other workers within a minute."""
    from classifiers.learn import learn
    from classifiers.model import shipped

    model = shipped()
    learnt = learn(model, _labels(store.labels.taught()))
    version = None
    if learnt.change is not None:
        labels = sum(judged.labels for judged in learnt.judged)
        change = store.learnt.install(learnt.change, base=model.sha256, labels=labels, judged=learnt.judged, now=now)
        version = f"{model.version}.{change}"
        rooms.take_up(store)
    return Learning(judged=learnt.judged, version=version)


def learn_tonight(store: Store, rooms: Rooms, *, now: datetime) -> int:
    """The same once a day, by one worker of many, when people taught something since the last change. Returns how many were installed."""
    from classifiers.model import shipped

    if not store.learnt.take_turn(_TURN, now.date()):
        return 0
    last = next((change.at for change in store.learnt.listed() if change.base == shipped().sha256), None)
    if not store.labels.taught(since=last):
        return 0
    learning = learn_now(store, rooms, now=now)
    log.info("learnt", version=learning.version, labels={judged.question: judged.labels for judged in learning.judged})
    return int(learning.version is not None)


def versions(store: Store) -> list[Version]:
    """What may be used over the installed weights, newest first; last the weights as they ship."""
    from classifiers.learn import Judged
    from classifiers.model import shipped

    model = shipped()
    changes = [change for change in store.learnt.listed() if change.base == model.sha256]
    learnt = [
        Version(
            name=f"{model.version}.{change.id}",
            change=change,
            judged=msgspec.convert(change.judged, tuple[Judged, ...]),
            is_in_use=change.state is ChangeState.CURRENT,
        )
        for change in changes
    ]
    as_shipped = Version(name=model.version, change=None, judged=(), is_in_use=not any(version.is_in_use for version in learnt))
    return [*learnt, as_shipped]


def go_back(store: Store, rooms: Rooms) -> Version:
    """To the version before the one in use. Raises `Conflict` when the weights are in use as they ship."""
    from classifiers.model import shipped

    store.learnt.back(shipped().sha256)
    return _in_use(store, rooms)


def use(store: Store, rooms: Rooms, change_id: int | None) -> tuple[Version, int | None]:
    """Put a change in use, or with None the weights as they ship; and which change was in use before.

    Raises `BadInput` where there is no such change.
    """
    from classifiers.model import shipped

    before = store.learnt.use(change_id, base=shipped().sha256)
    return _in_use(store, rooms), before


def _in_use(store: Store, rooms: Rooms) -> Version:
    rooms.take_up(store)
    return next(version for version in versions(store) if version.is_in_use)


def _labels(taught: Sequence[Taught]) -> list[Label]:
    """Of posts that the heads are asked about: in their languages, or in one that nobody could tell."""
    from classifiers.batch import KNOWN, UNSURE
    from classifiers.learn import Label

    return [
        Label(text=lesson.text, question=lesson.question, label=lesson.label, corrects=lesson.kind is Kind.CORRECTION)
        for lesson in taught
        if lesson.lang in {*KNOWN, UNSURE}
    ]
