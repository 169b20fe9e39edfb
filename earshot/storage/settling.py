"""How a batch of routed mentions becomes cases: folded in order, written in bulk, within the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, RowMapping, select

from earshot.case import Case, Move, Route
from earshot.mention import ScoredMention
from earshot.storage.bulk import insert_rows, next_ids, rows_among, update_rows
from earshot.storage.columns import stored_json, stored_time
from earshot.storage.credit import credit_answer
from earshot.storage.rounds import rounds_of
from earshot.storage.rows import case_of
from earshot.storage.steps import leave
from earshot.storage.tables import CaseRow, EventRow, table

_CASE, _EVENT = table(CaseRow), table(EventRow)

#: how a case stands, as every mention that reaches it leaves it
_CURRENT = (
    "assignee", "reply_to", "state", "tier", "outcome", "reason", "rule", "policy",
    "due_at", "priority", "parts", "lang", "anger", "intent", "topics", "moved_at",
)  # fmt: skip
#: what an edit of the latest mention changes of it, and an edit of an earlier one
_AS_EDITED = tuple(name for name in _CURRENT if name != "reply_to")
_AS_EDITED_BEFORE = tuple(name for name in _AS_EDITED if name not in ("parts", "anger", "intent"))
_OPENED = ("id", "key", "network", "author_id", "mention_id", "mentions", "replies", "opened_at", *_CURRENT)


class Judged(Struct, frozen=True, kw_only=True):
    """A mention with all that was decided on it from itself alone."""

    scored: ScoredMention
    route: Route
    priority: float = 0.0
    parts: tuple[tuple[str, float, str], ...] = ()
    copy_keys: tuple[int, ...] = ()
    matched: tuple[int, ...] = ()  #: ids of the saved queries that it matches


class Routed(Judged, frozen=True, kw_only=True):
    """A judged mention with its place in the database, ready to be written."""

    id: int
    author_id: int | None
    case_key: str | None  #: None: counted with its original, no case of its own
    copy_of: int | None = None
    added: str | None = None  #: of an edited post that its case knows already: what its author wrote anew, "" where that is nothing


class Settled(Struct, frozen=True, kw_only=True):
    """What becomes of a case when a mention reaches it: the case afterwards, and the steps that led there."""

    case: Case
    steps: tuple[tuple[Move, str, Mapping[str, Any]], ...]  #: (move, reason, data)
    helped: bool | None = None  #: the author's verdict on our last answer, where the mention gives one


#: (the case as it stands or None, the mention) -> what becomes of it
Settle = Callable[[Case | None, Routed], Settled]


class Settling:
    """A batch folded into its cases in order, each as it stood at that moment; `write` writes them with their events.

    The known cases stay locked until the transaction ends. A case that another worker opens at the same moment raises `IntegrityError` when
    it is written: whoever begins the transaction again then finds it known.
    """

    def __init__(self, connection: Connection, batch: Sequence[Routed], settle: Settle, now: datetime) -> None:
        wanted = [(item.case_key, item) for item in batch if item.case_key is not None]
        self._at = now
        rows = _lock_cases(connection, {key for key, _ in wanted})
        rounds = rounds_of(connection, rows.values(), _spoken(rows, wanted))
        self._known = {key: replace(case_of(row), rounds=rounds.get(row["id"], 0)) for key, row in rows.items()}
        self._latest: dict[str, int] = {key: row["reply_to"] for key, row in rows.items()}
        self._now: dict[str, Case] = {}  #: as it stands after the batch
        self._items: dict[str, list[Routed]] = {}
        self._steps: list[tuple[str, Routed, Move, str, Mapping[str, Any]]] = []
        self._verdicts: dict[str, bool] = {}
        for key, item in wanted:
            self._add(key, item, settle(self._now.get(key) or self._known.get(key), item))
        opening = sorted(self._items.keys() - self._known.keys())
        #: case key -> its id, of every case that the batch reaches
        self.ids = {key: case.id for key, case in self._known.items()} | dict(
            zip(opening, next_ids(connection, _CASE, len(opening)), strict=True)
        )

    def _add(self, key: str, item: Routed, settled: Settled) -> None:
        self._now[key] = settled.case
        self._items.setdefault(key, []).append(item)
        self._steps += [(key, item, *step) for step in settled.steps]
        if settled.helped is not None:
            self._verdicts[key] = settled.helped

    def write(self, connection: Connection) -> None:
        """Write the new cases, the known ones as they stand now, and all events. The mentions must be stored."""
        opened = [self._opened(key, items) for key, items in sorted(self._items.items()) if key not in self._known]
        insert_rows(connection, _CASE, _OPENED, opened)
        for key, _, move, *_ in self._steps:
            if key in self._known:
                leave(connection, self.ids[key], self._known[key].state, move, at=self._at)
        spoken = {key: [item for item in items if item.added is None] for key, items in self._items.items() if key in self._known}
        touched = [(*self._current(self._now[key], items[-1]), len(items), self.ids[key]) for key, items in spoken.items() if items]
        # The author has the word again: replies of ours are counted from here.
        update_rows(connection, _CASE, (*_CURRENT, "+mentions"), touched, always="replies = 0, ")
        self._write_edited(connection, [key for key, items in spoken.items() if not items])
        insert_rows(connection, _EVENT, ("case_id", "at", "actor", "move", "reason", "data"), self._events())
        for key, helped in self._verdicts.items():
            credit_answer(connection, self.ids[key], helped=helped)

    def _write_edited(self, connection: Connection, keys: Sequence[str]) -> None:
        """Cases in which the author only changed posts: replies go where they went, and the latest post says how the author feels."""
        rows: dict[tuple[str, ...], list[tuple[Any, ...]]] = {_AS_EDITED: [], _AS_EDITED_BEFORE: []}
        for key in keys:
            latest = next((item for item in reversed(self._items[key]) if item.id == self._latest[key]), None)
            current = dict(zip(_CURRENT, self._current(self._now[key], latest or self._items[key][-1]), strict=True))
            columns = _AS_EDITED if latest else _AS_EDITED_BEFORE
            rows[columns].append((*(current[name] for name in columns), self.ids[key]))
        for columns, those in rows.items():
            update_rows(connection, _CASE, columns, those)

    def _opened(self, key: str, items: Sequence[Routed]) -> tuple[Any, ...]:
        """A new case, from its first mention and how it stands after the whole batch."""
        case, first = self._now[key], items[0]
        opened_at = stored_time(case.opened_at)
        return (self.ids[key], key, case.network, first.author_id, first.id, len(items), 0, opened_at, *self._current(case, items[-1]))

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

    def _events(self) -> list[tuple[Any, ...]]:
        at = stored_time(self._at)
        return [
            (
                self.ids[key],
                at,
                "author" if move in (Move.SOLVE, Move.EDIT) else "triage",
                move.value,
                reason,
                stored_json({**data, "mention": item.id}),
            )
            for key, item, move, reason, data in self._steps
        ]


def _spoken(rows: Mapping[str, RowMapping], wanted: Sequence[tuple[str, Routed]]) -> dict[int, list[datetime]]:
    """Case id -> when the posts of the batch were posted that reach it."""
    found: dict[int, list[datetime]] = {row["id"]: [] for row in rows.values()}
    for key, item in wanted:
        if key in rows:
            found[rows[key]["id"]].append(item.scored.mention.posted_at)
    return found


def _lock_cases(connection: Connection, keys: Collection[str]) -> dict[str, RowMapping]:
    ids = [id_ for (id_,) in rows_among(connection, _CASE, ("id",), "key", list(keys))]
    if not ids:
        return {}
    known = select(_CASE).where(_CASE.c.id.in_(ids)).order_by(_CASE.c.id)
    if connection.dialect.name != "sqlite":
        known = known.with_for_update()
    return {row["key"]: row for row in connection.execute(known).mappings()}
