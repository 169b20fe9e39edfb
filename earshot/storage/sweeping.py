"""Posts that are looked after: is what we keep still there? Claimed by source, oldest look first, and erased or noted in one transaction.

`looked_at` of a mention says when that was; being heard counts as the first look. It is NULL where nobody looks any more: the mention is
gone, or older than its source cares for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from sqlalchemy import Connection, RowMapping, Select, and_, case, delete, literal, null, or_, select, update

from earshot.storage.bulk import rows_among
from earshot.storage.columns import UtcTime
from earshot.storage.database import Database
from earshot.storage.matches import drop_matches
from earshot.storage.originals import forget_keys
from earshot.storage.sources import SourceStatus, counted, month_of, status_of
from earshot.storage.tables import GONE, MentionRow, SourceRow, VersionRow, table

_MENTION, _SOURCE, _VERSION = table(MentionRow), table(SourceRow), table(VersionRow)


class Quota(Struct, frozen=True, kw_only=True):
    """How many posts may be asked for at once, and what that costs of the month's reads."""

    at_once: int
    per_call: int = 0
    per_post: int = 0
    monthly: int | None = None  #: reads that a month has for this; None: any number

    def cost(self, posts: int) -> int:
        return self.per_call + self.per_post * posts

    def affords(self, swept: int) -> int:
        """Posts that may be asked for after so many reads in this month."""
        if self.monthly is None or not self.per_call + self.per_post:
            return self.at_once
        left = self.monthly - swept - self.per_call
        if left < 0:
            return 0
        return self.at_once if not self.per_post else min(self.at_once, left // self.per_post)


class Look(Struct, frozen=True, kw_only=True):
    """Posts to ask one source for. Their cost is counted already; what was not spent is given back."""

    source: SourceStatus
    ids: Mapping[str, int]  #: native id -> id
    month: str
    paid: int


class Sweeping:
    def __init__(self, database: Database) -> None:
        self._db = database

    def claim(self, source: str, quota: Quota, *, now: datetime, pause: timedelta, memory: timedelta, lease: timedelta) -> Look | None:
        """Posts of a healthy source that nobody looked after for `pause`; they are nobody else's for `lease`.

        What is gone or older than `memory` is looked after no more. None where nothing is due, or nothing may be asked.
        """
        with self._db.reading() as connection:
            if connection.execute(_due(source, now - pause, 1)).first() is None:
                return None
        with self._db.writing() as connection:
            locked = select(_SOURCE).where(_SOURCE.c.name == source).with_for_update()
            row = connection.execute(locked).mappings().first()
            if row is None or (n := _affordable(row, quota, now)) < 1:
                return None
            ids = self._take(connection, source, n, now=now, pause=pause, memory=memory, lease=lease)
            paid = quota.cost(len(ids)) if ids else 0
            if paid:
                connection.execute(update(_SOURCE).where(_SOURCE.c.name == source).values(counted(now, swept=paid)))
        return Look(source=status_of(row), ids=ids, month=month_of(now), paid=paid) if ids else None

    def _take(
        self, connection: Connection, source: str, n: int, *, now: datetime, pause: timedelta, memory: timedelta, lease: timedelta
    ) -> dict[str, int]:
        """Native ids and ids of what is due; for whoever comes later it is due again once `lease` is over."""
        is_over = or_(_MENTION.c.stage == GONE, _MENTION.c.posted_at < now - memory)
        due = _due(source, now - pause, n)
        due = due if self._db.is_sqlite else due.with_for_update(skip_locked=True)
        take = (
            update(_MENTION)
            .where(_MENTION.c.id.in_(select(due.cte("due").c.id)))
            .values(looked_at=case((is_over, null()), else_=literal(now - pause + lease, UtcTime())))
            .returning(_MENTION.c.native_id, _MENTION.c.id, _MENTION.c.looked_at)
        )
        while rows := connection.execute(take).all():
            if ids := {native_id: id_ for native_id, id_, looked_at in rows if looked_at is not None}:
                return ids
        return {}

    def write(self, look: Look, *, gone: Mapping[str, Sequence[int]], spent: int, now: datetime) -> int:
        """Erase what is gone, given with the keys of its text, and note that the rest was there; returns how many were erased."""
        with self._db.writing() as connection:
            _give_back(connection, look, look.paid - spent)
            self._lock(connection, look.ids.values())
            there = [id_ for native_id, id_ in look.ids.items() if native_id not in gone]
            connection.execute(update(_MENTION).where(_MENTION.c.id.in_(there), _MENTION.c.looked_at.is_not(None)).values(looked_at=now))
            return erase(connection, look.source.network, gone)

    def _lock(self, connection: Connection, ids: Iterable[int]) -> None:
        """By id, as everybody does who locks several."""
        if not self._db.is_sqlite:
            connection.execute(select(_MENTION.c.id).where(_MENTION.c.id.in_(ids)).order_by(_MENTION.c.id).with_for_update())

    def give_back(self, look: Look) -> None:
        """Nobody could look: it cost nothing, and is due again once the lease is over."""
        with self._db.writing() as connection:
            _give_back(connection, look, look.paid)


def erase(connection: Connection, network: str, gone: Mapping[str, Sequence[int]]) -> int:
    """Erase the words of mentions that are gone, former ones too, their address and scores; returns how many we had.

    `gone`: native id -> the keys of the text.
    """
    known = dict(rows_among(connection, _MENTION, ("native_id", "id"), "native_id", list(gone), network=network))
    forget_keys(connection, {id_: gone[native_id] for native_id, id_ in known.items()})
    drop_matches(connection, known.values())
    erased = {"stage": GONE, "text": "", "url": "", "scores": None, "looked_at": None, "edits": 0, "edited_at": None}
    connection.execute(update(_MENTION).where(_MENTION.c.id.in_(known.values())).values(erased))
    connection.execute(delete(_VERSION).where(_VERSION.c.mention_id.in_(known.values())))
    return len(known)


def _due(source: str, until: datetime, n: int) -> Select[tuple[int]]:
    waits = and_(_MENTION.c.source == source, _MENTION.c.looked_at <= until)
    return select(_MENTION.c.id).where(waits).order_by(_MENTION.c.looked_at).limit(n)


def _affordable(row: RowMapping, quota: Quota, now: datetime) -> int:
    status = status_of(row)
    may_be_asked = (status.may_be_asked or status.has_spent) and not status.is_closed(now)
    return quota.affords(status.swept_in(now)) if may_be_asked else 0


def _give_back(connection: Connection, look: Look, reads: int) -> None:
    if reads:
        paid = and_(_SOURCE.c.name == look.source.name, _SOURCE.c.month == look.month)
        connection.execute(update(_SOURCE).where(paid).values(swept=_SOURCE.c.swept - reads))
