"""Sources: who may poll when, where the last poll stopped, and what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import RowMapping, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from earshot.storage.database import Database
from earshot.storage.tables import GapRow, SourceRow, table

_SOURCE, _GAP = table(SourceRow), table(GapRow)


class SourceState(StrEnum):
    HEALTHY = "healthy"
    THROTTLED = "throttled"  #: the network asked us to wait
    BROKEN = "broken"  #: a person has to look
    PAUSED = "paused"  #: the month's reads are spent


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    name: str
    network: str
    state: SourceState
    reason: str
    failures: int
    cursor: str | None
    polled_at: datetime | None
    next_poll_at: datetime | None
    polls: int
    month: str  #: the month that `reads` counts, as "2026-11"
    reads: int

    def reads_in(self, now: datetime) -> int:
        """Posts read so far in the month of `now`."""
        return self.reads if self.month == f"{now:%Y-%m}" else 0


class Sources:
    def __init__(self, database: Database) -> None:
        self._db = database

    def declare(self, sources: Sequence[tuple[str, str]]) -> None:
        """Make sure that each (name, network) has a row."""
        if not sources:
            return
        insert = (sqlite if self._db.is_sqlite else postgresql).insert(_SOURCE).on_conflict_do_nothing(index_elements=["name"])
        with self._db.writing() as connection:
            rows = [
                {
                    "name": n,
                    "network": w,
                    "state": SourceState.HEALTHY.value,
                    "reason": "",
                    "failures": 0,
                    "polls": 0,
                    "month": "",
                    "reads": 0,
                }
                for n, w in sorted(sources)
            ]
            connection.execute(insert, rows)

    def take(self, name: str, *, worker: str, now: datetime, lease: timedelta) -> SourceStatus | None:
        """The lease on a source that is due, or None when it is not due or somebody else polls it. One statement."""
        is_due = or_(_SOURCE.c.next_poll_at.is_(None), _SOURCE.c.next_poll_at <= now)
        is_free = or_(_SOURCE.c.lease_until.is_(None), _SOURCE.c.lease_until <= now, _SOURCE.c.lease_by == worker)
        take = (
            update(_SOURCE)
            .where(_SOURCE.c.name == name, is_due, is_free)
            .values(lease_by=worker, lease_until=now + lease, polls=_SOURCE.c.polls + 1)
            .returning(*_SOURCE.c)
        )
        with self._db.reading() as connection:
            if connection.execute(select(_SOURCE.c.name).where(_SOURCE.c.name == name, is_due, is_free)).first() is None:
                return None
        with self._db.writing() as connection:
            row = connection.execute(take).mappings().first()
        return None if row is None else status_of(row)

    def extend(self, name: str, *, worker: str, now: datetime, lease: timedelta) -> bool:
        """Keep the lease while paging; False when it went to somebody else."""
        with self._db.writing() as connection:
            held = update(_SOURCE).where(_SOURCE.c.name == name, _SOURCE.c.lease_by == worker)
            return connection.execute(held.values(lease_until=now + lease)).rowcount == 1

    def done(self, name: str, *, worker: str, next_poll_at: datetime, state: SourceState, reason: str = "", failed: bool = False) -> None:
        """Give the lease back, saying when the next poll is due and why."""
        failures = _SOURCE.c.failures + 1 if failed else 0
        with self._db.writing() as connection:
            connection.execute(
                update(_SOURCE)
                .where(_SOURCE.c.name == name, _SOURCE.c.lease_by == worker)
                .values(lease_by=None, lease_until=None, next_poll_at=next_poll_at, state=state.value, reason=reason, failures=failures)
            )

    def fell(self, name: str, *, next_poll_at: datetime, state: SourceState, reason: str) -> None:
        """Say that a healthy source failed outside of a poll, and how long it is to be left alone."""
        failed = {"next_poll_at": next_poll_at, "state": state.value, "reason": reason, "failures": _SOURCE.c.failures + 1}
        with self._db.writing() as connection:
            connection.execute(update(_SOURCE).where(_SOURCE.c.name == name, _SOURCE.c.state == SourceState.HEALTHY.value).values(failed))

    def mark(self, name: str, *, state: SourceState, reason: str) -> None:
        """Say of a source what it is in, without polling it."""
        with self._db.writing() as connection:
            connection.execute(update(_SOURCE).where(_SOURCE.c.name == name).values(state=state.value, reason=reason))

    def wake(self, name: str) -> None:
        """Poll at the next chance, after a person mended what was broken."""
        with self._db.writing() as connection:
            connection.execute(
                update(_SOURCE).where(_SOURCE.c.name == name).values(next_poll_at=None, state=SourceState.HEALTHY.value, reason="")
            )

    def statuses(self) -> list[SourceStatus]:
        with self._db.reading() as connection:
            return [status_of(row) for row in connection.execute(select(_SOURCE).order_by(_SOURCE.c.name)).mappings()]

    def gaps(self, *, limit: int = 100) -> list[tuple[str, datetime, datetime, str]]:
        """What networks could not give, latest first: (source, since, until, why)."""
        with self._db.reading() as connection:
            rows = connection.execute(select(_GAP).order_by(_GAP.c.id.desc()).limit(limit)).mappings()
            return [(row["source"], row["since"], row["until"], row["why"]) for row in rows]


def status_of(row: RowMapping) -> SourceStatus:
    """The status that a row of the table `source` tells."""
    field = row.__getitem__
    return SourceStatus(
        name=field("name"),
        network=field("network"),
        state=SourceState(field("state")),
        reason=field("reason"),
        failures=field("failures"),
        cursor=field("cursor"),
        polled_at=field("polled_at"),
        next_poll_at=field("next_poll_at"),
        polls=field("polls"),
        month=field("month"),
        reads=field("reads"),
    )
