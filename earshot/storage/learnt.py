"""What was learnt from people: changes that lie over the weights they belong to. Each public method is one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from earshot.errors import BadInput, Conflict
from earshot.storage.database import Database
from earshot.storage.forgotten import last_forgotten
from earshot.storage.tables import LearntRow, TurnRow, table

_LEARNT, _TURN = table(LearntRow), table(TurnRow)

#: so many changes are kept, of all weights together
KEPT = 5


class ChangeState(StrEnum):
    CURRENT = "current"  #: in use where its weights are
    KEPT = "kept"  #: a later one took its place
    WITHDRAWN = "withdrawn"  #: somebody went back from it


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A learnt change, without its content."""

    id: int
    at: datetime
    base: str  #: SHA-256 of the weights it belongs to
    state: ChangeState
    labels: int  #: how many it was learnt from
    judged: Sequence[Mapping[str, Any]]  #: what it did to each question


class Learnt:
    def __init__(self, database: Database) -> None:
        self._db = database

    def install(self, content: bytes, *, base: str, labels: int, judged: Sequence[Any], now: datetime) -> int:
        """Make a new change the current one of its weights, and drop the sixth oldest; returns its id.

        Raises `Conflict` when an author was forgotten since `now`, at which the labels were read: the change may hold their words.
        """
        row = {"at": now, "base": base, "state": ChangeState.CURRENT.value, "labels": labels, "judged": judged, "content": content}
        with self._alone() as connection:
            forgotten = last_forgotten(connection)
            if forgotten is not None and forgotten > now:
                raise Conflict("an author was forgotten while this was learnt, perhaps from them: learn again")
            _replace(connection, _current(connection, base), ChangeState.KEPT)
            new: int = connection.execute(_LEARNT.insert().values(row).returning(_LEARNT.c.id)).scalar_one()
            dropped = connection.execute(select(_LEARNT.c.id).order_by(_LEARNT.c.id.desc()).offset(KEPT)).scalars().all()
            connection.execute(_LEARNT.delete().where(_LEARNT.c.id.in_(dropped)))
        return new

    def current(self) -> dict[str, int]:
        """Weights -> the id of the change in use over them. One statement that reads no content: workers ask it again and again."""
        with self._db.reading() as connection:
            found = select(_LEARNT.c.base, _LEARNT.c.id).where(_LEARNT.c.state == ChangeState.CURRENT.value).order_by(_LEARNT.c.id)
            return {row.base: row.id for row in connection.execute(found)}

    def content(self, change_id: int) -> bytes | None:
        """The bytes of a change; None where it was dropped meanwhile."""
        with self._db.reading() as connection:
            found: bytes | None = connection.execute(select(_LEARNT.c.content).where(_LEARNT.c.id == change_id)).scalar()
            return found

    def listed(self) -> list[Change]:
        """All that are kept, newest first."""
        columns = [column for column in _LEARNT.c if column is not _LEARNT.c.content]
        with self._db.reading() as connection:
            return [_change(row) for row in connection.execute(select(*columns).order_by(_LEARNT.c.id.desc()))]

    def back(self, base: str) -> int | None:
        """Withdraw the current change; the one before it that nobody withdrew is in use again, else the weights as they ship (None).

        Raises `Conflict` when those are in use already.
        """
        with self._alone() as connection:
            current = _current(connection, base)
            if current is None:
                raise Conflict("the weights that ship are in use: there is nothing to go back from")
            earlier = (_LEARNT.c.base == base, _LEARNT.c.id < current, _LEARNT.c.state == ChangeState.KEPT.value)
            before: int | None = connection.execute(select(func.max(_LEARNT.c.id)).where(*earlier)).scalar()
            _replace(connection, current, ChangeState.WITHDRAWN, by=before)
        return before

    def use(self, change_id: int | None, *, base: str) -> int | None:
        """Have this change over the weights `base` from now on, None: the weights as they ship. Returns what was in use before.

        What one goes back from is withdrawn, and may be used again. Raises `BadInput` where there is no such change.
        """
        with self._alone() as connection:
            current = _current(connection, base)
            is_there = select(_LEARNT.c.id).where(_LEARNT.c.id == change_id, _LEARNT.c.base == base)
            if change_id is not None and connection.execute(is_there).first() is None:
                raise BadInput(f"there is no learnt change {change_id} for these weights; it was dropped, or never there")
            if change_id != current:
                is_way_back = change_id is None or (current is not None and change_id < current)
                _replace(connection, current, ChangeState.WITHDRAWN if is_way_back else ChangeState.KEPT, by=change_id)
        return current

    def take_turn(self, work: str, day: date) -> bool:
        """Whether this worker does the day's `work`: of many that ask, one hears yes, once a day."""
        insert = (sqlite if self._db.is_sqlite else postgresql).insert(_TURN).values(work=work, day=day.isoformat())
        is_new_day = _TURN.c.day < day.isoformat()
        taken = insert.on_conflict_do_update(index_elements=["work"], set_={"day": insert.excluded.day}, where=is_new_day)
        with self._db.writing() as connection:
            return connection.execute(taken.returning(_TURN.c.work)).first() is not None

    @contextmanager
    def _alone(self) -> Iterator[Connection]:
        """A transaction in which nobody else changes what is in use: there is at most one current change for each weights."""
        with self._db.writing() as connection:
            if not self._db.is_sqlite:
                connection.exec_driver_sql(f"LOCK TABLE {_LEARNT.name} IN SHARE ROW EXCLUSIVE MODE")
            yield connection


def _current(connection: Connection, base: str) -> int | None:
    is_it = (_LEARNT.c.base == base, _LEARNT.c.state == ChangeState.CURRENT.value)
    found: int | None = connection.execute(select(_LEARNT.c.id).where(*is_it)).scalar()
    return found


def _replace(connection: Connection, current: int | None, becomes: ChangeState, *, by: int | None = None) -> None:
    for change_id, state in ((current, becomes), (by, ChangeState.CURRENT)):
        if change_id is not None:
            connection.execute(update(_LEARNT).where(_LEARNT.c.id == change_id).values(state=state.value))


def _change(row: Row[Any]) -> Change:
    return Change(id=row.id, at=row.at, base=row.base, state=ChangeState(row.state), labels=row.labels, judged=row.judged)
