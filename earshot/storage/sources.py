"""Sources: who may poll when, where the last poll stopped, and what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, and_, case, false, func, literal, null, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from earshot.errors import BadInput
from earshot.storage.columns import UtcTime
from earshot.storage.database import Database
from earshot.storage.tables import GapRow, SourceRow, table

_SOURCE, _GAP = table(SourceRow), table(GapRow)


class SourceState(StrEnum):
    HEALTHY = "healthy"
    THROTTLED = "throttled"  #: the network asked us to wait
    BROKEN = "broken"  #: a person has to look
    PAUSED = "paused"  #: the reads are spent, or a person said so


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
    month: str  #: the month that `reads` and `swept` count, as "2026-11"
    reads: int
    swept: int
    day: str  #: the day that `day_reads` counts, as "2026-11-22"
    day_reads: int
    pace: float | None  #: new mentions that are expected per second; None before the first poll
    is_paused: bool  #: by a person
    closed_until: datetime | None  #: the moment before which its network wants no call

    @property
    def may_be_asked(self) -> bool:
        """Whether its network takes calls: it does where nothing failed but its stream, for polls go on then."""
        has_no_stream = self.state is SourceState.THROTTLED and not self.failures and self.closed_until is None
        return self.state is SourceState.HEALTHY or has_no_stream

    @property
    def has_spent(self) -> bool:
        """Whether only its polls wait, for reads: sweeps have a part of their own, and back-fills say themselves what they wait for."""
        return self.state is SourceState.PAUSED and not self.is_paused

    def is_closed(self, now: datetime) -> bool:
        """Whether its network wants no call yet."""
        return self.closed_until is not None and self.closed_until > now

    def reads_in(self, now: datetime) -> int:
        """Posts that polls read so far in the month of `now`."""
        return self.reads if self.month == month_of(now) else 0

    def swept_in(self, now: datetime) -> int:
        """Posts that sweeps read so far in the month of `now`."""
        return self.swept if self.month == month_of(now) else 0

    def reads_today(self, now: datetime) -> int:
        """Posts that polls read so far on the day of `now`, UTC."""
        return self.day_reads if self.day == day_of(now) else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A gap of a source, and when a back-fill closed it."""

    id: int
    source: str
    since: datetime
    until: datetime
    why: str
    closed_at: datetime | None


def month_of(now: datetime) -> str:
    return f"{now:%Y-%m}"


def day_of(now: datetime) -> str:
    return f"{now:%Y-%m-%d}"


def counted(now: datetime, *, reads: int = 0, swept: int = 0) -> dict[str, Any]:
    """New values for a row: so many more reads in the month and on the day of `now`."""
    this_month, today = _SOURCE.c.month == month_of(now), _SOURCE.c.day == day_of(now)
    return {
        "reads": case((this_month, _SOURCE.c.reads), else_=0) + reads,
        "swept": case((this_month, _SOURCE.c.swept), else_=0) + swept,
        "day_reads": case((today, _SOURCE.c.day_reads), else_=0) + reads,
        "month": month_of(now),
        "day": day_of(now),
    }


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
                    "swept": 0,
                    "day": "",
                    "day_reads": 0,
                    "paused": False,
                }
                for n, w in sorted(sources)
            ]
            connection.execute(insert, rows)

    def take(self, name: str, *, worker: str, now: datetime, lease: timedelta) -> SourceStatus | None:
        """The lease on a source that is due, or None when it is not due, or paused, or somebody else polls it. One statement."""
        is_due = and_(or_(_SOURCE.c.next_poll_at.is_(None), _SOURCE.c.next_poll_at <= now), ~_SOURCE.c.paused, ~is_closed(now))
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

    def done(
        self,
        name: str,
        *,
        worker: str,
        now: datetime,
        next_poll_at: datetime,
        state: SourceState,
        reason: str = "",
        failed: bool = False,
        pace: float | None = None,
        closed: bool = False,
        held_until: datetime | None = None,
    ) -> None:
        """Give the lease back, saying when the next poll is due and why, and where it is known anew what the source is expected to bring.

        `closed`: it is the network that wants no call before then. `held_until`: the lease is kept, for who reads a stream goes on with it.
        A source that a person paused meanwhile stays so, and one that its network closed meanwhile stays closed.
        """
        stays = or_(_SOURCE.c.paused, is_closed(now))
        values: dict[str, Any] = {
            "lease_by": None if held_until is None else worker,
            "lease_until": held_until,
            "next_poll_at": case((is_closed(now), _later(_SOURCE.c.closed_until, next_poll_at)), else_=literal(next_poll_at, UtcTime())),
            "state": case((stays, _SOURCE.c.state), else_=state.value),
            "reason": case((stays, _SOURCE.c.reason), else_=reason),
            "failures": _SOURCE.c.failures + 1 if failed else 0,
            "closed_until": _later(_SOURCE.c.closed_until, next_poll_at) if closed else case((is_closed(now), _SOURCE.c.closed_until)),
        }
        if pace is not None:
            values["pace"] = pace
        with self._db.writing() as connection:
            connection.execute(update(_SOURCE).where(_SOURCE.c.name == name, _SOURCE.c.lease_by == worker).values(values))

    def hold(self, names: Sequence[str], *, until: datetime, reason: str) -> None:
        """Leave sources alone until then that may be asked: their network asked one of its sources to wait."""
        values = _fallen(until=until, state=SourceState.THROTTLED, reason=reason, closed=True)
        with self._db.writing() as connection:
            connection.execute(update(_SOURCE).where(_SOURCE.c.name.in_(names), may_be_asked()).values(values))

    def pause(self, name: str, *, reason: str) -> bool:
        """A person's word: neither poll nor sweep until somebody resumes it. False where there is no such source, or it is paused."""
        with self._db.writing() as connection:
            running = update(_SOURCE).where(_SOURCE.c.name == name, ~_SOURCE.c.paused)
            return connection.execute(running.values(paused=True, state=SourceState.PAUSED.value, reason=reason)).rowcount == 1

    def fell(self, name: str, *, until: datetime, state: SourceState, reason: str, closed: bool = False) -> None:
        """Say that a source failed outside of a poll, and until when it is to be left alone; `closed`: the network wants it.

        One that failed already, or that a person paused, stays as it is.
        """
        failed = _fallen(until=until, state=state, reason=reason, closed=closed) | {"failures": _SOURCE.c.failures + 1}
        with self._db.writing() as connection:
            connection.execute(update(_SOURCE).where(_SOURCE.c.name == name, may_be_asked()).values(failed))

    def spend(self, name: str, *, reads: int, now: datetime) -> None:
        """Count reads that no poll and no sweep made."""
        with self._db.writing() as connection:
            connection.execute(update(_SOURCE).where(_SOURCE.c.name == name).values(counted(now, reads=reads)))

    def mark(self, name: str, *, state: SourceState, reason: str) -> None:
        """Say of a source what it is in, without polling it."""
        with self._db.writing() as connection:
            connection.execute(update(_SOURCE).where(_SOURCE.c.name == name).values(state=state.value, reason=reason))

    def wake(self, name: str, *, now: datetime) -> bool:
        """Poll at the next chance, after a person mended what was broken, or resumed it. False where there is no such source.

        The word of a network that wants no call before some moment stands above that of a person.
        """
        is_closed = _SOURCE.c.closed_until > now
        awake = {
            "next_poll_at": case((is_closed, _SOURCE.c.closed_until), else_=null()),
            "state": case((is_closed, SourceState.THROTTLED.value), else_=SourceState.HEALTHY.value),
            "reason": case((is_closed & ~_SOURCE.c.paused, _SOURCE.c.reason), (is_closed, "its network asked us to wait"), else_=""),
            "paused": False,
        }
        with self._db.writing() as connection:
            return connection.execute(update(_SOURCE).where(_SOURCE.c.name == name).values(awake)).rowcount == 1

    def wake_early(self, *, now: datetime) -> int:
        """Poll at the next chance what was last polled after `now`, by a clock that was ahead and put off its next poll; returns how many.

        What its network closed stays closed.
        """
        ahead = and_(_SOURCE.c.polled_at > now, _SOURCE.c.next_poll_at > now, ~is_closed(now))
        with self._db.writing() as connection:
            return connection.execute(update(_SOURCE).where(ahead).values(next_poll_at=None)).rowcount

    def status(self, name: str) -> SourceStatus:
        """Raises `BadInput` where there is no such source, or it was never declared."""
        with self._db.reading() as connection:
            row = connection.execute(select(_SOURCE).where(_SOURCE.c.name == name)).mappings().first()
        if row is None:
            raise BadInput(f"there is no source {name!r}")
        return status_of(row)

    def statuses(self) -> list[SourceStatus]:
        with self._db.reading() as connection:
            return [status_of(row) for row in connection.execute(select(_SOURCE).order_by(_SOURCE.c.name)).mappings()]

    def count_gaps(self) -> dict[str, int]:
        """Source -> gaps that are still there."""
        with self._db.reading() as connection:
            is_open = _GAP.c.closed_at.is_(None)
            rows = connection.execute(select(_GAP.c.source, func.count().label("gaps")).where(is_open).group_by(_GAP.c.source)).all()
        return {row.source: row.gaps for row in rows}

    def gaps(self, *, limit: int = 100) -> list[Missing]:
        """What networks could not give, latest first; those that were closed since stand last."""
        wanted = select(_GAP).order_by(_GAP.c.closed_at.is_not(None), _GAP.c.id.desc()).limit(limit)
        with self._db.reading() as connection:
            return [_missing(row) for row in connection.execute(wanted).mappings()]

    def gap(self, gap_id: int) -> Missing | None:
        with self._db.reading() as connection:
            row = connection.execute(select(_GAP).where(_GAP.c.id == gap_id)).mappings().first()
        return None if row is None else _missing(row)


def is_closed(now: datetime) -> ColumnElement[bool]:
    return and_(_SOURCE.c.closed_until.is_not(None), _SOURCE.c.closed_until > now)


def may_be_asked() -> ColumnElement[bool]:
    """As `SourceStatus.may_be_asked`, or only its polls have spent their reads: then sweeps and back-fills go on."""
    has_no_stream = and_(_SOURCE.c.state == SourceState.THROTTLED.value, _SOURCE.c.failures == 0, _SOURCE.c.closed_until.is_(None))
    goes_on = _SOURCE.c.state.in_([SourceState.HEALTHY.value, SourceState.PAUSED.value])
    return and_(~_SOURCE.c.paused, or_(goes_on, has_no_stream))


def _fallen(*, until: datetime, state: SourceState, reason: str, closed: bool) -> dict[str, Any]:
    """New values for a source that may be asked. Where its polls have spent their reads, they wait on, and all else until then."""
    is_spent = false() if state is SourceState.BROKEN else _SOURCE.c.state == SourceState.PAUSED.value
    till_then = case((is_spent, literal(until, UtcTime())), else_=_SOURCE.c.closed_until)
    return {
        "next_poll_at": case((is_spent, _SOURCE.c.next_poll_at), else_=_later(_SOURCE.c.next_poll_at, until)),
        "state": case((is_spent, _SOURCE.c.state), else_=state.value),
        "reason": case((is_spent, _SOURCE.c.reason), else_=reason),
        "closed_until": _later(_SOURCE.c.closed_until, until) if closed else till_then,
    }


def _later(column: ColumnElement[Any], moment: datetime) -> ColumnElement[Any]:
    return case((column > moment, column), else_=literal(moment, UtcTime()))


def _missing(row: RowMapping) -> Missing:
    names = ("id", "source", "since", "until", "why", "closed_at")
    return Missing(**{name: row[name] for name in names})


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
        swept=field("swept"),
        day=field("day"),
        day_reads=field("day_reads"),
        pace=field("pace"),
        is_paused=field("paused"),
        closed_until=field("closed_until"),
    )
