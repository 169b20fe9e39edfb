"""What people hold whose accounts are off: it goes back to its queues."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, RowMapping, and_, or_, select, update

from earshot.case import Move, OfferState, State
from earshot.storage.steps import step, withdraw_draft
from earshot.storage.tables import AccountRow, CaseRow, OfferRow, table

_ACCOUNT, _CASE, _OFFER = table(AccountRow), table(CaseRow), table(OfferRow)

_WHY = "the account was switched off"


def take_back(connection: Connection, now: datetime) -> int:
    """Withdraw their open offers and waiting drafts, and queue their cases again; returns how many cases moved."""
    are_off = select(_ACCOUNT.c.id).where(~_ACCOUNT.c.active)
    offered = select(_OFFER.c.case_id).where(_OFFER.c.super_user.in_(are_off), _OFFER.c.state == OfferState.OPEN.value)
    held = select(_CASE).where(
        or_(
            and_(_CASE.c.state == State.OFFERED.value, _CASE.c.id.in_(offered)),
            and_(_CASE.c.state.in_([State.ASSIGNED, State.APPROVAL]), _CASE.c.assignee.in_(are_off)),
        )
    )
    if connection.dialect.name != "sqlite":
        held = held.with_for_update()
    cases = connection.execute(held.order_by(_CASE.c.id)).mappings().all()
    for case in cases:
        _queue_again(connection, case, now)
    return len(cases)


def _queue_again(connection: Connection, case: RowMapping, now: datetime) -> None:
    if case["state"] == State.OFFERED:
        is_open = and_(_OFFER.c.case_id == case["id"], _OFFER.c.state == OfferState.OPEN.value)
        connection.execute(update(_OFFER).where(is_open).values(state=OfferState.WITHDRAWN.value, closed_at=now))
        step(connection, case, Move.EXPIRE, actor="accounts", at=now, reason=_WHY)
        return
    if case["state"] == State.APPROVAL:
        withdraw_draft(connection, case["id"])
        case = step(connection, case, Move.REJECT, actor="accounts", at=now, reason=_WHY)
    step(connection, case, Move.RELEASE, actor="accounts", at=now, reason=_WHY)
