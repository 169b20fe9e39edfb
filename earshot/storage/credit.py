"""Who is credited when an answer helped, or did not: the answer, and the skill of whoever wrote it."""

from __future__ import annotations

from sqlalchemy import Connection, func, select, update

from earshot.case import AnswerState
from earshot.storage.tables import AnswerRow, CaseRow, SkillRow, table

_ANSWER, _CASE, _SKILL = table(AnswerRow), table(CaseRow), table(SkillRow)


def credit_answer(connection: Connection, case_id: int, *, helped: bool) -> None:
    """Note on the latest answer of a case whether it helped; the first verdict on an answer counts."""
    latest = select(func.max(_ANSWER.c.id)).where(_ANSWER.c.case_id == case_id, _ANSWER.c.state == AnswerState.APPROVED).scalar_subquery()
    noted = connection.execute(
        update(_ANSWER).where(_ANSWER.c.id == latest, _ANSWER.c.accepted.is_(None)).values(accepted=helped).returning(_ANSWER.c.by)
    ).first()
    if noted is None or not helped:
        return
    topics = connection.execute(select(_CASE.c.topics).where(_CASE.c.id == case_id)).scalar_one() or []
    mine = update(_SKILL).where(_SKILL.c.account_id == noted.by, _SKILL.c.topic.in_(topics))
    connection.execute(mine.values(accepted=_SKILL.c.accepted + 1))
