"""How a batch of routed mentions becomes cases: folded in order, written in bulk, within the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, select

from earshot.case import Case, Move, Route
from earshot.mention import ScoredMention
from earshot.storage.bulk import insert_rows, next_ids, update_rows
from earshot.storage.columns import stored_json, stored_time
from earshot.storage.credit import credit_answer
from earshot.storage.rows import case_of
from earshot.storage.steps import leave
from earshot.storage.tables import CaseRow, EventRow, table

_CASE, _EVENT = table(CaseRow), table(EventRow)

#: how a case stands, as every mention that reaches it leaves it
_CURRENT = (
    "assignee", "reply_to", "state", "tier", "outcome", "reason", "rule", "policy",
    "due_at", "priority", "parts", "lang", "anger", "intent", "topics", "moved_at",
)  # fmt: skip
_OPENED = ("id", "key", "network", "author_id", "mention_id", "mentions", "replies", "opened_at", *_CURRENT)


class Routed(Struct, frozen=True, kw_only=True):
    """A mention with all that was decided on it, ready to be written."""

    id: int
    author_id: int | None
    scored: ScoredMention
    route: Route
    case_key: str | None  #: None: counted with its original, no case of its own
    copy_of: int | None = None
    priority: float = 0.0
    parts: tuple[tuple[str, float, str], ...] = ()


class Settled(Struct, frozen=True, kw_only=True):
    """What becomes of a case when a mention reaches it: the case afterwards, and the steps that led there."""

    case: Case
    steps: tuple[tuple[Move, str, Mapping[str, Any]], ...]  #: (move, reason, data)
    helped: bool | None = None  #: the author's verdict on our last answer, where the mention gives one


#: (the case as it stands or None, the mention) -> what becomes of it
Settle = Callable[[Case | None, Routed], Settled]


def settle_cases(connection: Connection, batch: Sequence[Routed], settle: Settle, now: datetime) -> dict[str, int]:
    """Fold the batch into its cases and write them with their events; returns the ids of the cases by key.

    A key that another worker opened at the same moment is locked and settled again.
    """
    wanted = [item for item in batch if item.case_key is not None]
    known = _lock_cases(connection, {str(item.case_key) for item in wanted})
    log = _CaseLog(now, known)
    for item in wanted:
        key = str(item.case_key)
        log.add(item, settle(log.now.get(key, known.get(key)), item))
    opened = log.open(connection)
    lost = log.opening.keys() - opened.keys()
    ids = opened | {key: known[key].id for key in log.now if key in known}
    log.write(connection, ids, skip=lost)
    if lost:
        ids |= settle_cases(connection, [item for item in wanted if item.case_key in lost], settle, now)
    return ids


def _lock_cases(connection: Connection, keys: Iterable[str]) -> dict[str, Case]:
    known = select(_CASE).where(_CASE.c.key.in_(sorted(keys))).order_by(_CASE.c.id)
    if connection.dialect.name != "sqlite":
        known = known.with_for_update()
    return {row["key"]: case_of(row) for row in connection.execute(known).mappings()}


class _CaseLog:
    """The cases a batch touches: how each stands now, and the steps to write."""

    def __init__(self, now: datetime, known: Mapping[str, Case]) -> None:
        self._at = now
        self._known = known
        self.now: dict[str, Case] = {}
        self.opening: dict[str, list[Routed]] = {}
        self._touched: dict[str, list[Routed]] = {}
        self._steps: list[tuple[str, Routed, Move, str, Mapping[str, Any]]] = []
        self._verdicts: dict[str, bool] = {}

    def add(self, item: Routed, settled: Settled) -> None:
        key = settled.case.key
        self.now[key] = settled.case
        (self._touched if key in self._known else self.opening).setdefault(key, []).append(item)
        self._steps += [(key, item, *step) for step in settled.steps]
        if settled.helped is not None:
            self._verdicts[key] = settled.helped

    def open(self, connection: Connection) -> dict[str, int]:
        """Write the new cases; returns their ids by key, without those that another worker opened at the same moment."""
        keys = sorted(self.opening)
        if not keys:
            return {}
        ids = dict(zip(keys, next_ids(connection, _CASE, len(keys)), strict=True))
        insert_rows(
            connection, _CASE, _OPENED, [self._opened(key, id_) for key, id_ in ids.items()], otherwise="ON CONFLICT (key) DO NOTHING"
        )
        if connection.dialect.name == "sqlite":  # nobody else writes meanwhile
            return ids
        written = set(connection.execute(select(_CASE.c.id).where(_CASE.c.id.in_(ids.values()))).scalars())
        return {key: id_ for key, id_ in ids.items() if id_ in written}

    def _opened(self, key: str, id_: int) -> tuple[Any, ...]:
        """A new case, from its first mention and how it stands after the whole batch."""
        case, items = self.now[key], self.opening[key]
        first, opened_at = items[0], stored_time(case.opened_at)
        return (id_, key, case.network, first.author_id, first.id, len(items), 0, opened_at, *self._current(case, items[-1]))

    def _current(self, case: Case, last: Routed) -> tuple[Any, ...]:
        anger, intent = last.scored.score("anger"), last.scored.score("intent")
        return (
            case.assignee,
            last.id,
            case.state.value,
            case.tier.value,
            case.outcome.value,
            case.reason,
            case.rule,
            case.policy,
            stored_time(case.due_at),
            case.priority,
            stored_json(last.parts),
            case.lang,
            anger.label if anger else "",
            intent.label if intent else "",
            stored_json(case.topics),
            stored_time(self._at),
        )

    def write(self, connection: Connection, ids: Mapping[str, int], *, skip: Iterable[str]) -> None:
        """Write the known cases as they stand now, and the events of all but `skip`."""
        skip = set(skip)
        steps = [step for step in self._steps if step[0] not in skip]
        for key, _, move, *_ in steps:
            if key in self._known:
                leave(connection, ids[key], self._known[key].state, move, at=self._at)
        touched = [(*self._current(self.now[key], items[-1]), len(items), ids[key]) for key, items in self._touched.items()]
        # The author has the word again: replies of ours are counted from here.
        update_rows(connection, _CASE, (*_CURRENT, "+mentions"), touched, always="replies = 0, ")
        at = stored_time(self._at)
        events = [
            (ids[key], at, "author" if move is Move.SOLVE else "triage", move.value, reason, stored_json({**data, "mention": item.id}))
            for key, item, move, reason, data in steps
        ]
        insert_rows(connection, _EVENT, ("case_id", "at", "actor", "move", "reason", "data"), events)
        for key, helped in self._verdicts.items():
            if key not in skip:
                credit_answer(connection, ids[key], helped=helped)
