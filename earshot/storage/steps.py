"""One step of a case: checked against the table of moves, written with its event."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, select, update

from earshot.case import BESIDE, OWNED, AnswerState, IllegalMove, Move, OfferState, State, after
from earshot.errors import BadInput, Conflict
from earshot.storage.tables import AnswerRow, CaseRow, EventRow, OfferRow, table

_CASE, _EVENT, _OFFER, _ANSWER = table(CaseRow), table(EventRow), table(OfferRow), table(AnswerRow)


def lock_case(connection: Connection, case_id: int) -> RowMapping:
    """The case's row, locked until the transaction ends. Raises `BadInput` when there is none."""
    statement = select(_CASE).where(_CASE.c.id == case_id)
    if connection.dialect.name != "sqlite":
        statement = statement.with_for_update()
    row = connection.execute(statement).mappings().first()
    if row is None:
        raise BadInput(f"there is no case {case_id}")
    return row


def lock_cases(connection: Connection, wanted: ColumnElement[bool]) -> None:
    """Lock the cases that are `wanted` until the transaction ends.

    Whoever locks more than one case does so in the order of their ids: then no two transactions wait for each other.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(select(_CASE.c.id).where(wanted).order_by(_CASE.c.id).with_for_update()).all()


def step(
    connection: Connection,
    case: RowMapping,
    move: Move,
    *,
    actor: str,
    at: datetime,
    reason: str = "",
    data: Mapping[str, Any] | None = None,
    **changes: Any,
) -> RowMapping:
    """Move a locked case and write the event; returns the row as it stands afterwards.

    `data` is what replay needs (tier, assignee); `changes` are further columns. Raises `Conflict` when the table of moves
    does not allow it: somebody else was quicker.
    """
    was = State(case["state"])
    try:
        state = after(was, move)
    except IllegalMove as err:
        raise Conflict(f"case {case['id']} moved meanwhile: {err}") from err
    leave(connection, case["id"], was, move, at=at)
    data = dict(data or {})
    changes = {name: data[name] for name in ("tier", "assignee") if name in data} | changes
    if "tier" in data:
        changes["reason"] = reason
    if state not in OWNED:
        changes |= {"assignee": None, "lease_until": None}
    if was is not state:
        changes |= {"claimed_by": None, "claimed_until": None}
    connection.execute(update(_CASE).where(_CASE.c.id == case["id"]).values(state=state.value, moved_at=at, **changes))
    data["was"] = {name: case[name] for name in ("state", "tier", "outcome", "assignee", "reason", "due_at")}
    connection.execute(_EVENT.insert().values(case_id=case["id"], at=at, actor=actor, move=move.value, reason=reason, data=data))
    return lock_case(connection, case["id"])


def leave(connection: Connection, case_id: int, was: State, move: Move, *, at: datetime) -> None:
    """Withdraw what hangs on the state that a case leaves: its open offer, or its waiting draft."""
    if was is State.OFFERED and move not in (Move.ACCEPT, Move.PASS, Move.EXPIRE, *BESIDE):
        open_offers = update(_OFFER).where(_OFFER.c.case_id == case_id, _OFFER.c.state == OfferState.OPEN.value)
        connection.execute(open_offers.values(state=OfferState.WITHDRAWN.value, closed_at=at))
    if was is State.APPROVAL and move not in (Move.APPROVE, Move.REJECT, *BESIDE):
        withdraw_draft(connection, case_id)


def withdraw_draft(connection: Connection, case_id: int) -> None:
    drafts = update(_ANSWER).where(_ANSWER.c.case_id == case_id, _ANSWER.c.state == AnswerState.DRAFT.value)
    connection.execute(drafts.values(state=AnswerState.WITHDRAWN.value))
