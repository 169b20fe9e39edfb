"""Claims of workers that are known to be dead. A lease ends by itself; this only shortens the wait."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Column, Table, select, update

from earshot.storage.database import Database
from earshot.storage.steps import lock_cases
from earshot.storage.tables import HEARD, BackfillRow, CaseRow, MentionRow, ReplyRow, SourceRow, table

_MENTION, _CASE, _REPLY, _SOURCE = table(MentionRow), table(CaseRow), table(ReplyRow), table(SourceRow)
_BACKFILL = table(BackfillRow)
#: an end that lies before every `now`, also that of a story played in the past
_ENDED = datetime(1970, 1, 1, tzinfo=UTC)


def release_claims(database: Database, is_dead: Callable[[str], bool]) -> None:
    """End the leases of every claimant for whom `is_dead` says yes."""
    claimed: list[tuple[Table, Column[str], Column[datetime]]] = [
        (_MENTION, _MENTION.c.claimed_by, _MENTION.c.claimed_until),
        (_CASE, _CASE.c.claimed_by, _CASE.c.claimed_until),
        (_REPLY, _REPLY.c.claimed_by, _REPLY.c.claimed_until),
        (_SOURCE, _SOURCE.c.lease_by, _SOURCE.c.lease_until),
        (_BACKFILL, _BACKFILL.c.claimed_by, _BACKFILL.c.claimed_until),
    ]
    for rows, by, until in claimed:
        with database.writing() as connection:
            claimants = select(by).where(by.is_not(None)).distinct()
            if rows is _MENTION:
                claimants = claimants.where(_MENTION.c.stage == HEARD)
            dead = [name for name in connection.execute(claimants).scalars() if is_dead(name)]
            if dead and rows is _CASE:
                lock_cases(connection, by.in_(dead))
            if dead:
                connection.execute(update(rows).where(by.in_(dead)).values({until.name: _ENDED}))
