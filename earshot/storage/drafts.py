"""Drafts of super-users that wait for somebody whom the house trusts more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, and_, select

from earshot.case import AnswerState, Case, State, Tier
from earshot.storage.accounts import Role
from earshot.storage.database import Database
from earshot.storage.rows import case_of
from earshot.storage.tables import AccountRow, AnswerRow, CaseRow, MentionRow, table

_ANSWER, _CASE, _MENTION, _ACCOUNT = table(AnswerRow), table(CaseRow), table(MentionRow), table(AccountRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A draft with the post that it answers."""

    id: int
    case: Case
    by: int  #: account of the super-user who wrote it
    by_name: str
    text: str
    written_at: datetime
    asked: str  #: the author's latest post in the case
    posted_at: datetime


class Drafts:
    def __init__(self, database: Database) -> None:
        self._db = database

    def waiting(self, *, approver: int, languages: Sequence[str], limit: int = 50) -> list[Draft]:
        """What a trusted super-user may look over: drafts of others in her languages, the soonest due first. One statement."""
        hers = _waiting().where(_ANSWER.c.by != approver, _CASE.c.lang.in_(languages))
        with self._db.reading() as connection:
            rows = connection.execute(hers.order_by(_CASE.c.due_at, _ANSWER.c.id).limit(limit)).mappings()
            return [_draft(row) for row in rows]

    def of_case(self, case_id: int) -> Draft | None:
        """The draft that waits in a case; None where none does."""
        with self._db.reading() as connection:
            row = connection.execute(_waiting().where(_CASE.c.id == case_id)).mappings().first()
        return None if row is None else _draft(row)


def _waiting() -> Any:
    """Cases of the community alone: what staff work on is nothing for super-users."""
    return (
        select(
            _CASE,
            _ANSWER.c.id.label("draft_id"),
            _ANSWER.c.by,
            _ANSWER.c.text,
            _ANSWER.c.written_at,
            _ACCOUNT.c.name.label("by_name"),
            _MENTION.c.text.label("asked"),
            _MENTION.c.posted_at,
        )
        .join(_ANSWER, and_(_ANSWER.c.case_id == _CASE.c.id, _ANSWER.c.state == AnswerState.DRAFT.value))
        .join(_ACCOUNT, and_(_ACCOUNT.c.id == _ANSWER.c.by, _ACCOUNT.c.role == Role.SUPER_USER.value))
        .join(_MENTION, _MENTION.c.id == _CASE.c.reply_to)
        .where(_CASE.c.state == State.APPROVAL.value, _CASE.c.tier == Tier.COMMUNITY.value)
    )


def _draft(row: RowMapping) -> Draft:
    return Draft(
        id=row["draft_id"],
        case=case_of(row),
        by=row["by"],
        by_name=row["by_name"],
        text=row["text"],
        written_at=row["written_at"],
        asked=row["asked"],
        posted_at=row["posted_at"],
    )
