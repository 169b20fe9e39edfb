"""Back-fills: a span of time that a person wants read again, page by page, by whichever worker is free, beside the polls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, case, exists, or_, select, update

from earshot.errors import BadInput, Conflict
from earshot.storage.database import Database
from earshot.storage.sources import counted, is_closed, may_be_asked
from earshot.storage.sweeping import erase
from earshot.storage.tables import BackfillRow, GapRow, SourceRow, table

_BACKFILL, _SOURCE, _GAP = table(BackfillRow), table(SourceRow), table(GapRow)

#: more than this is not said to be covered before the end: posts come late, and from several lists
_ALMOST = 0.99


class BackfillState(StrEnum):
    OPEN = "open"  #: under way, or waiting for a worker or for its network
    DONE = "done"
    STOPPED = "stopped"  #: the reads are spent; it can go on
    CANCELLED = "cancelled"
    FAILED = "failed"


class Backfill(Struct, frozen=True, kw_only=True):
    """A span of one source, and how far it was read again."""

    id: int
    source: str
    since: datetime
    until: datetime
    state: BackfillState
    asked_at: datetime
    cursor: str | None = None
    oldest: datetime | None = None  #: the posts seen so far lie between these
    newest: datetime | None = None
    seen: int = 0
    kept: int = 0  #: of them we did not know
    reads: int = 0
    tries: int = 0  #: in a row that failed
    reason: str = ""  #: why it waits, stopped or failed
    next_at: datetime | None = None
    settled_at: datetime | None = None

    @property
    def covered(self) -> float:
        """The share of the span that lies between the posts seen so far, 0..1. It never falls, from whichever end a network is read."""
        if self.state is BackfillState.DONE:
            return 1.0
        if self.oldest is None or self.newest is None:
            return 0.0
        return min(max((min(self.newest, self.until) - max(self.oldest, self.since)) / (self.until - self.since), 0.0), _ALMOST)


class PageRead(Struct, frozen=True, kw_only=True):
    """What one page of a back-fill brought besides mentions; stored with them in one transaction."""

    backfill: Backfill
    worker: str  #: who holds it; whoever lost it writes nothing
    lease: timedelta
    cursor: str | None
    is_last: bool
    posted: Sequence[datetime] = ()  #: when what the page showed was posted
    deleted: Mapping[str, tuple[int, ...]] = {}  #: native id -> the keys of its text
    gap: tuple[datetime, datetime, str] | None = None
    spent: int = 0


class Backfills:
    def __init__(self, database: Database) -> None:
        self._db = database

    def ask(self, source: str, *, since: datetime, until: datetime, now: datetime, by: int | None = None) -> Backfill:
        """Want a span of a source read again. Raises `BadInput` for none, `Conflict` while another one is under way there."""
        until = min(until, now)
        if since >= until:
            raise BadInput("a back-fill needs a span of the past: its beginning must lie before its end, and before now")
        values = {"source": source, "since": since, "until": until, "asked_at": now, "by": by, "state": BackfillState.OPEN.value}
        with self._db.writing() as connection:
            known = connection.execute(select(_SOURCE.c.name).where(_SOURCE.c.name == source).with_for_update()).first()
            if known is None:
                raise Conflict(f"{source} was never polled: start earshot work")
            if connection.execute(_open_of(source)).first() is not None:
                raise Conflict(f"a back-fill of {source} is under way; wait for its end, or cancel it")
            row = connection.execute(_BACKFILL.insert().values(values).returning(*_BACKFILL.c)).mappings().one()
        return _backfill(row)

    def claim(self, source: str, *, worker: str, now: datetime, lease: timedelta) -> Backfill | None:
        """The open back-fill of a source, where it is due, nobody else's, and its network may be called. One statement."""
        free = or_(_BACKFILL.c.claimed_until.is_(None), _BACKFILL.c.claimed_until <= now, _BACKFILL.c.claimed_by == worker)
        may_be_called = exists().where(_SOURCE.c.name == source, may_be_asked(), ~is_closed(now))
        is_due = and_(or_(_BACKFILL.c.next_at.is_(None), _BACKFILL.c.next_at <= now), free, may_be_called)
        wanted = _open_of(source).where(is_due)
        with self._db.reading() as connection:
            if connection.execute(wanted).first() is None:
                return None
        claim = update(_BACKFILL).where(_BACKFILL.c.id.in_(wanted.limit(1)), is_due).values(claimed_by=worker, claimed_until=now + lease)
        with self._db.writing() as connection:
            row = connection.execute(claim.returning(*_BACKFILL.c)).mappings().first()
        return None if row is None else _backfill(row)

    def settle(self, backfill: Backfill, *, state: BackfillState, reason: str, worker: str, now: datetime) -> None:
        """It ends here, or stops, for a reason that a person reads."""
        done = {"state": state.value, "reason": reason, "settled_at": now}
        self._let_go(backfill, worker, done if state is BackfillState.STOPPED else done | {"cursor": None})

    def postpone(self, backfill: Backfill, *, until: datetime, reason: str, worker: str, failed: bool) -> None:
        """Its network cannot be read now, or not within our means: go on from then on."""
        self._let_go(backfill, worker, {"next_at": until, "reason": reason, "tries": _BACKFILL.c.tries + int(failed)})

    def release(self, backfill: Backfill, *, worker: str) -> None:
        """Whoever is free may go on at once."""
        self._let_go(backfill, worker, {})

    def _let_go(self, backfill: Backfill, worker: str, values: Mapping[str, object]) -> None:
        with self._db.writing() as connection:
            connection.execute(update(_BACKFILL).where(_held(backfill.id, worker)).values(claimed_by=None, claimed_until=None, **values))

    def cancel(self, backfill_id: int, *, now: datetime) -> bool:
        """Whoever reads it writes nothing more. What it brought stays. False where it is over."""
        over = {"state": BackfillState.CANCELLED.value, "settled_at": now, "cursor": None, "claimed_by": None, "claimed_until": None}
        states = [BackfillState.OPEN.value, BackfillState.STOPPED.value]
        with self._db.writing() as connection:
            its = update(_BACKFILL).where(_BACKFILL.c.id == backfill_id, _BACKFILL.c.state.in_(states))
            return connection.execute(its.values(over)).rowcount == 1

    def resume(self, backfill_id: int) -> bool:
        """Go on with one that stopped, where it stopped. False where it did not, or another one of its source is under way."""
        other = _BACKFILL.alias()
        is_alone = ~exists().where(other.c.source == _BACKFILL.c.source, other.c.state == BackfillState.OPEN.value)
        stopped = and_(_BACKFILL.c.id == backfill_id, _BACKFILL.c.state == BackfillState.STOPPED.value, is_alone)
        again = {"state": BackfillState.OPEN.value, "reason": "", "settled_at": None, "next_at": None}
        with self._db.writing() as connection:
            return connection.execute(update(_BACKFILL).where(stopped).values(again)).rowcount == 1

    def get(self, backfill_id: int) -> Backfill:
        """Raises `BadInput` where there is none."""
        with self._db.reading() as connection:
            row = connection.execute(select(_BACKFILL).where(_BACKFILL.c.id == backfill_id)).mappings().first()
        if row is None:
            raise BadInput(f"there is no back-fill {backfill_id}")
        return _backfill(row)

    def open_one(self, source: str) -> Backfill | None:
        """The one that is under way."""
        with self._db.reading() as connection:
            row = connection.execute(select(_BACKFILL).where(_BACKFILL.c.id.in_(_open_of(source)))).mappings().first()
        return None if row is None else _backfill(row)

    def latest(self, *, limit: int = 10) -> list[Backfill]:
        """What is under way, then what was asked last."""
        under_way = case((_BACKFILL.c.state == BackfillState.OPEN.value, 0), else_=1)
        with self._db.reading() as connection:
            rows = connection.execute(select(_BACKFILL).order_by(under_way, _BACKFILL.c.id.desc()).limit(limit)).mappings()
            return [_backfill(row) for row in rows]


def write_page(connection: Connection, page: PageRead, now: datetime) -> None:
    """Note how far a back-fill came, in the transaction of its mentions. The source's own cursor stays where it is.

    Raises `Conflict` when it is somebody else's by now, or was cancelled.
    """
    before, after = page.backfill, after_page(page, now)
    row = connection.execute(
        update(_BACKFILL)
        .where(_held(before.id, page.worker))
        .values(
            cursor=None if page.is_last else page.cursor,
            oldest=after.oldest,
            newest=after.newest,
            seen=_BACKFILL.c.seen + len(page.posted),
            reads=_BACKFILL.c.reads + page.spent,
            tries=0,
            reason="",
            claimed_by=None if page.is_last else page.worker,
            claimed_until=None if page.is_last else now + page.lease,
            state=(BackfillState.DONE if page.is_last else BackfillState.OPEN).value,
            settled_at=now if page.is_last else None,
        )
    )
    if row.rowcount == 0:
        raise Conflict(f"the back-fill of {before.source} was cancelled, or another worker goes on with it")
    if page.spent:
        connection.execute(update(_SOURCE).where(_SOURCE.c.name == before.source).values(counted(now, reads=page.spent)))
    if page.gap is not None:
        _note_gap(connection, before, page.gap, now)
    if page.deleted:
        network = connection.execute(select(_SOURCE.c.network).where(_SOURCE.c.name == before.source)).scalar_one()
        erase(connection, network, page.deleted)
    if page.is_last:
        _close_gaps(connection, before, now)


def count_kept(connection: Connection, backfill_id: int, kept: int) -> None:
    if kept:
        connection.execute(update(_BACKFILL).where(_BACKFILL.c.id == backfill_id).values(kept=_BACKFILL.c.kept + kept))


def after_page(page: PageRead, now: datetime) -> Backfill:
    """The back-fill as it stands for the next page. A post from the future says nothing of how far it came."""
    before = page.backfill
    times = [moment for moment in (*page.posted, before.oldest, before.newest) if moment is not None and moment <= now]
    return replace(before, cursor=page.cursor, oldest=min(times, default=None), newest=max(times, default=None), tries=0)


def _note_gap(connection: Connection, backfill: Backfill, gap: tuple[datetime, datetime, str], now: datetime) -> None:
    """What the network cannot give now either. One gap, however often it is asked for."""
    since, until, why = gap
    is_known = and_(_GAP.c.source == backfill.source, _GAP.c.closed_at.is_(None), _GAP.c.since <= since, _GAP.c.until >= until)
    known = update(_GAP).where(is_known).values(backfill_id=backfill.id)
    if connection.execute(known).rowcount == 0:
        values = {"source": backfill.source, "since": since, "until": until, "why": why, "at": now, "backfill_id": backfill.id}
        connection.execute(_GAP.insert().values(values))


def _close_gaps(connection: Connection, backfill: Backfill, now: datetime) -> None:
    """Close the gaps inside the span, but for those that touch what this very back-fill could not get."""
    still = _GAP.alias()
    remains = exists().where(still.c.backfill_id == backfill.id, still.c.since < _GAP.c.until, still.c.until > _GAP.c.since)
    inside = and_(
        _GAP.c.source == backfill.source, _GAP.c.closed_at.is_(None), _GAP.c.since >= backfill.since, _GAP.c.until <= backfill.until
    )
    its_own = and_(_GAP.c.backfill_id.is_not(None), _GAP.c.backfill_id == backfill.id)
    connection.execute(update(_GAP).where(inside, _GAP.c.at <= backfill.asked_at, ~its_own, ~remains).values(closed_at=now))


def _open_of(source: str) -> Select[tuple[int]]:
    return select(_BACKFILL.c.id).where(_BACKFILL.c.source == source, _BACKFILL.c.state == BackfillState.OPEN.value)


def _held(backfill_id: int, worker: str) -> ColumnElement[bool]:
    return and_(_BACKFILL.c.id == backfill_id, _BACKFILL.c.claimed_by == worker, _BACKFILL.c.state == BackfillState.OPEN.value)


def _backfill(row: RowMapping) -> Backfill:
    names = [name for name in Backfill.__struct_fields__ if name != "state"]
    return Backfill(state=BackfillState(row["state"]), **{name: row[name] for name in names})
