"""What people and the house do with a case. Each public method is one transaction.

All raise `Conflict` when the case moved meanwhile, and `BadInput` when there is no such case.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select, update

from earshot.case import BESIDE, AnswerState, Case, Move, Outcome, ReplyState, Sending, State, Tier
from earshot.errors import BadInput, Conflict, NotAllowed
from earshot.storage.credit import credit_answer
from earshot.storage.database import Database
from earshot.storage.rows import case_of
from earshot.storage.steps import lock_case, step, withdraw_draft
from earshot.storage.tables import AnswerRow, CaseRow, EventRow, LabelRow, MentionRow, ReplyRow, SkillRow, table

_CASE, _EVENT, _MENTION, _LABEL = table(CaseRow), table(EventRow), table(MentionRow), table(LabelRow)
_ANSWER, _REPLY, _SKILL = table(AnswerRow), table(ReplyRow), table(SkillRow)

#: replies of ours in a thread before the author must have the word
REPLY_CAP = 3


class Moves:
    def __init__(self, database: Database) -> None:
        self._db = database

    def confirm(self, case_id: int, *, tier: Tier, by: int, now: datetime, due_at: datetime | None, note: str = "") -> Case:
        """Settle what triage proposed; another tier than the proposed one is kept as a label."""
        with self._db.writing() as connection:
            case = lock_case(connection, case_id)
            if case["state"] != State.REVIEW:
                raise Conflict(f"case {case_id} is not in review any more: it is {case['state']}")
            return self._retier(connection, case, Move.QUEUE, tier, by=by, now=now, due_at=due_at, note=note)

    def retier(self, case_id: int, *, tier: Tier, by: int, now: datetime, due_at: datetime | None, note: str = "") -> Case:
        """Send a case to another tier, and keep that as a label."""
        with self._db.writing() as connection:
            case = lock_case(connection, case_id)
            return self._retier(connection, case, Move.RETIER, tier, by=by, now=now, due_at=due_at, note=note)

    def _retier(
        self,
        connection: Connection,
        case: RowMapping,
        move: Move,
        tier: Tier,
        *,
        by: int,
        now: datetime,
        due_at: datetime | None,
        note: str,
    ) -> Case:
        if tier.value != case["tier"]:
            _label(connection, case["mention_id"], "tier", was=case["tier"], now_is=tier.value, by=by, at=now, note=note)
        if tier is Tier.NONE:
            move, due_at = Move.DISMISS, None
        reason = note or ("confirmed" if tier.value == case["tier"] else f"a person chose {tier.value.replace('_', ' ')}")
        moved = step(
            connection,
            case,
            move,
            actor=_account(by),
            at=now,
            reason=reason,
            data={"tier": tier.value},
            outcome=Outcome.AUTOMATIC.value,
            due_at=due_at,
        )
        return case_of(moved)

    def assign(self, case_id: int, *, assignee: int, by: int, now: datetime, lease_until: datetime | None = None) -> Case:
        """Give a case to a person. Staff keep a case until they let go; `lease_until` bounds a super-user's."""
        with self._db.writing() as connection:
            case = lock_case(connection, case_id)
            return case_of(_own(connection, case, assignee, by=by, now=now, lease_until=lease_until))

    def release(self, case_id: int, *, by: int, now: datetime, reason: str = "let go") -> Case:
        """Let go of a case; it goes back to its queue."""
        return self._move(case_id, Move.RELEASE, by=by, now=now, reason=reason)

    def dismiss(self, case_id: int, *, by: int, now: datetime, reason: str = "nobody needs to answer") -> Case:
        """Close a case without an answer."""
        with self._db.writing() as connection:
            case = lock_case(connection, case_id)
            return self._retier(connection, case, Move.DISMISS, Tier.NONE, by=by, now=now, due_at=None, note=reason)

    def solve(self, case_id: int, *, by: int, now: datetime) -> Case:
        """A manager says that it is solved; the latest answer is credited."""
        with self._db.writing() as connection:
            case = lock_case(connection, case_id)
            moved = step(connection, case, Move.SOLVE, actor=_account(by), at=now, reason="marked as solved")
            credit_answer(connection, case_id, helped=True)
            return case_of(moved)

    def reopen(self, case_id: int, *, by: int, now: datetime, due_at: datetime | None, reason: str = "opened again") -> Case:
        """Put a finished case back into the queue of its tier (tier 1 where it had none)."""
        with self._db.writing() as connection:
            case = lock_case(connection, case_id)
            data = {"tier": _tier_to_answer(case)}
            moved = step(connection, case, Move.REOPEN, actor=_account(by), at=now, reason=reason, data=data, due_at=due_at)
            return case_of(moved)

    def _move(self, case_id: int, move: Move, *, by: int, now: datetime, reason: str) -> Case:
        with self._db.writing() as connection:
            return case_of(step(connection, lock_case(connection, case_id), move, actor=_account(by), at=now, reason=reason))

    # ---- answers

    def answer(
        self,
        case_id: int,
        *,
        by: int,
        text: str,
        now: datetime,
        needs_approval: bool,
        sending: Sending,
    ) -> Case:
        """Write an answer: a draft that waits for approval, or straight into the outbox.

        A case that nobody owns is taken first; somebody else's case raises `Conflict`. Raises `NotAllowed` when three
        replies of ours stand in the thread and the author has not had a word since, or where the network cannot be answered from here.
        """
        if not text.strip():
            raise BadInput("the answer is empty: write something first")
        with self._db.writing() as connection:
            case = lock_case(connection, case_id)
            if case["replies"] >= REPLY_CAP:
                raise NotAllowed(f"{REPLY_CAP} replies of ours stand in this thread already; wait for the author, or offer another channel")
            if case["state"] in (State.ANSWERED, State.SOLVED, State.CLOSED):
                case = step(
                    connection, case, Move.REOPEN, actor=_account(by), at=now, reason="to answer", data={"tier": _tier_to_answer(case)}
                )
            case = _taken(connection, case, by, now)
            answer_id = connection.execute(
                _ANSWER.insert()
                .values(case_id=case_id, by=by, text=text.strip(), state=AnswerState.DRAFT.value, written_at=now)
                .returning(_ANSWER.c.id)
            ).scalar_one()
            if needs_approval:
                return case_of(
                    step(connection, case, Move.DRAFT, actor=_account(by), at=now, data={"assignee": by}, reason="wrote a draft")
                )
            return case_of(_approve(connection, case, answer_id, by=by, now=now, sending=sending))

    def approve_answer(
        self, case_id: int, *, by: int, now: datetime, sending: Sending, text: str | None = None, draft_id: int | None = None
    ) -> Case:
        """Send the waiting draft to the outbox, in the wording of `text` where given. Raises `NotAllowed` for one's own draft.

        `draft_id`: the draft that was read; raises `Conflict` when another one waits by now.
        """
        with self._db.writing() as connection:
            case = lock_case(connection, case_id)
            draft = _draft(connection, case_id, by=by, draft_id=draft_id)
            if text is not None and text.strip() and text.strip() != draft["text"]:
                connection.execute(update(_ANSWER).where(_ANSWER.c.id == draft["id"]).values(text=text.strip()))
            return case_of(_approve(connection, case, draft["id"], by=by, now=now, sending=sending))

    def reject_answer(
        self, case_id: int, *, by: int, now: datetime, note: str, lease_until: datetime | None = None, draft_id: int | None = None
    ) -> Case:
        """Give a draft back to who wrote it, saying why; she has the case until `lease_until`. Refuses as `approve_answer` does."""
        with self._db.writing() as connection:
            case = lock_case(connection, case_id)
            draft = _draft(connection, case_id, by=by, draft_id=draft_id)
            _decide(connection, draft["id"], AnswerState.REJECTED, by=by, now=now, note=note)
            moved = step(
                connection,
                case,
                Move.REJECT,
                actor=_account(by),
                at=now,
                reason=note or "draft given back",
                data={"answer": draft["id"]},
                lease_until=lease_until,
            )
            return case_of(moved)

    # ---- undo

    def undo(self, case_id: int, *, by: int, now: datetime) -> Case:
        """Take back the last step of a case when a person made it. Raises `Conflict` saying why it cannot be."""
        with self._db.writing() as connection:
            case = lock_case(connection, case_id)
            last = (
                connection.execute(
                    select(_EVENT).where(_EVENT.c.case_id == case_id, _EVENT.c.move.not_in(BESIDE)).order_by(_EVENT.c.id.desc()).limit(1)
                )
                .mappings()
                .one()
            )
            _may_undo(last, by)
            was = dict(last["data"]["was"])
            _take_back_answer(
                connection, case_id, Move(last["move"]), into=AnswerState.DRAFT if was["state"] == State.APPROVAL else AnswerState.WITHDRAWN
            )
            if last["move"] in (Move.QUEUE, Move.RETIER, Move.DISMISS):
                connection.execute(
                    _LABEL.delete().where(
                        _LABEL.c.mention_id == case["mention_id"], _LABEL.c.question == "tier", _LABEL.c.by == by, _LABEL.c.at == last["at"]
                    )
                )
            was["due_at"] = was["due_at"] and datetime.fromisoformat(was["due_at"])
            connection.execute(update(_CASE).where(_CASE.c.id == case_id).values(**was, moved_at=now))
            data = {"undoes": last["id"], "state": was["state"], "tier": was["tier"], "assignee": was["assignee"]}
            connection.execute(
                _EVENT.insert().values(
                    case_id=case_id, at=now, actor=_account(by), move=Move.UNDO.value, reason=f"took back: {last['move']}", data=data
                )
            )
            return case_of(lock_case(connection, case_id))

    # ---- moves of the house

    def escalate(self, case_id: int, *, tier: Tier, due_at: datetime | None, reason: str, now: datetime, actor: str = "overdue") -> Case:
        """Raise a case to a higher tier; whoever had it loses it. Raises `Conflict` when it is finished, or as high already."""
        with self._db.writing() as connection:
            case = lock_case(connection, case_id)
            if tier.rank <= Tier(case["tier"]).rank:
                raise Conflict(f"case {case_id} went to {case['tier']} meanwhile")
            withdraw_draft(connection, case_id)
            return case_of(
                step(connection, case, Move.ESCALATE, actor=actor, at=now, reason=reason, data={"tier": tier.value}, due_at=due_at)
            )


def _account(by: int) -> str:
    return f"account:{by}"


def _label(connection: Connection, mention_id: int, question: str, *, was: str, now_is: str, by: int, at: datetime, note: str) -> None:
    connection.execute(_LABEL.insert().values(mention_id=mention_id, question=question, was=was, now_is=now_is, by=by, at=at, note=note))


def _tier_to_answer(case: RowMapping) -> str:
    return str(case["tier"]) if case["tier"] != Tier.NONE else Tier.TIER_1.value


def _own(
    connection: Connection, case: RowMapping, assignee: int, *, by: int, now: datetime, lease_until: datetime | None = None
) -> RowMapping:
    return step(
        connection,
        case,
        Move.ASSIGN,
        actor=_account(by),
        at=now,
        data={"assignee": assignee},
        lease_until=lease_until,
        reason="took the case" if assignee == by else "assigned",
    )


def _taken(connection: Connection, case: RowMapping, by: int, now: datetime) -> RowMapping:
    """The case in the hands of `by`: confirmed and taken where nobody has it yet."""
    if case["assignee"] not in (None, by):
        raise Conflict(f"case {case['id']} belongs to somebody else; take it over first")
    if case["state"] == State.REVIEW:
        case = step(
            connection,
            case,
            Move.QUEUE,
            actor=_account(by),
            at=now,
            reason="confirmed by answering",
            data={"tier": _tier_to_answer(case)},
            outcome=Outcome.AUTOMATIC.value,
        )
    if case["state"] in (State.QUEUED, State.OFFERED):
        case = _own(connection, case, by, by=by, now=now)
    return case


def _draft(connection: Connection, case_id: int, *, by: int, draft_id: int | None) -> RowMapping:
    """The draft of somebody else that waits for `by` to decide."""
    draft = (
        connection.execute(
            select(_ANSWER)
            .where(_ANSWER.c.case_id == case_id, _ANSWER.c.state == AnswerState.DRAFT.value)
            .order_by(_ANSWER.c.id.desc())
            .limit(1)
        )
        .mappings()
        .first()
    )
    if draft is None:
        raise Conflict(f"case {case_id} has no draft that waits for approval")
    if draft_id not in (None, draft["id"]):
        raise Conflict("the draft was written anew meanwhile; read it as it stands now")
    if draft["by"] == by:
        raise NotAllowed("somebody else has to approve your own draft")
    return draft


def _decide(connection: Connection, answer_id: int, state: AnswerState, *, by: int, now: datetime, note: str = "") -> None:
    connection.execute(update(_ANSWER).where(_ANSWER.c.id == answer_id).values(state=state.value, decided_by=by, decided_at=now, note=note))


def _approve(
    connection: Connection,
    case: RowMapping,
    answer_id: int,
    *,
    by: int,
    now: datetime,
    sending: Sending,
) -> RowMapping:
    """Put an answer into the outbox, behind the last reply of the same source by at least `sending.spacing`."""
    parent = connection.execute(
        select(_MENTION.c.native_id, _MENTION.c.network, _MENTION.c.source).where(_MENTION.c.id == case["reply_to"])
    ).one()
    if parent.source not in sending.sources:
        raise NotAllowed(f"we cannot post on {parent.network} from here: answer there by hand, then mark the case as solved")
    last = connection.execute(select(func.max(_REPLY.c.not_before)).where(_REPLY.c.source == parent.source)).scalar_one()
    not_before = now + sending.after if last is None else max(now + sending.after, last + sending.spacing)
    answer = connection.execute(select(_ANSWER.c.text, _ANSWER.c.by).where(_ANSWER.c.id == answer_id)).one()
    _decide(connection, answer_id, AnswerState.APPROVED, by=by, now=now)
    connection.execute(
        _REPLY.insert().values(
            case_id=case["id"],
            answer_id=answer_id,
            source=parent.source,
            network=parent.network,
            parent_id=parent.native_id,
            text=answer.text,
            key=f"earshot-{answer_id}-{int(now.timestamp() * 1000)}",
            state=ReplyState.PENDING.value,
            tries=0,
            looked=0,
            not_before=not_before,
            created_at=now,
        )
    )
    _count_answer(connection, answer.by, case["topics"] or [])
    return step(
        connection,
        case,
        Move.APPROVE,
        actor=_account(by),
        at=now,
        data={"assignee": answer.by, "answer": answer_id},
        reason="answer goes to the network",
    )


def _count_answer(connection: Connection, account_id: int, topics: Sequence[str], by: int = 1) -> None:
    connection.execute(
        update(_SKILL).where(_SKILL.c.account_id == account_id, _SKILL.c.topic.in_(topics)).values(answered=_SKILL.c.answered + by)
    )


#: moves of a person that leave nothing behind outside the house
_UNDOABLE = frozenset(
    {Move.QUEUE, Move.DISMISS, Move.RETIER, Move.ASSIGN, Move.RELEASE, Move.REOPEN, Move.DRAFT, Move.REJECT, Move.APPROVE, Move.ACCEPT}
)


def _may_undo(last: RowMapping, by: int) -> None:
    if last["move"] == Move.SENT:
        raise Conflict("the reply stands on the network already; it cannot be taken back")
    if not last["actor"].startswith("account:"):
        raise Conflict(
            f"the last step was not a person's ({last['actor']}: {last['move']}); choose another tier or reopen the case instead"
        )
    if last["actor"] != _account(by):
        raise Conflict("somebody else made the last step; ask them, or choose another move")
    if last["move"] not in _UNDOABLE:
        raise Conflict(f"{last['move']} cannot be taken back; reopen the case instead")


def _take_back_answer(connection: Connection, case_id: int, move: Move, *, into: AnswerState) -> None:
    """Put the answer back to where it was before a step. Raises `Conflict` once it may have left the house."""
    if move is Move.DRAFT:
        withdraw_draft(connection, case_id)
    if move is Move.REJECT:
        latest = select(func.max(_ANSWER.c.id)).where(_ANSWER.c.case_id == case_id).scalar_subquery()
        _undecide(connection, latest, AnswerState.DRAFT)
    if move is not Move.APPROVE:
        return
    latest = select(func.max(_REPLY.c.id)).where(_REPLY.c.case_id == case_id).scalar_subquery()
    withdrawn = connection.execute(
        _REPLY.delete().where(_REPLY.c.id == latest, _REPLY.c.state == ReplyState.PENDING.value).returning(_REPLY.c.answer_id)
    ).first()
    if withdrawn is None:
        raise Conflict("the reply is on its way to the network already; it cannot be taken back")
    by = _undecide(connection, withdrawn.answer_id, into)
    topics = connection.execute(select(_CASE.c.topics).where(_CASE.c.id == case_id)).scalar_one() or []
    _count_answer(connection, by, topics, by=-1)


def _undecide(connection: Connection, answer_id: Any, into: AnswerState) -> int:
    """The answer as if nobody had decided on it; returns who wrote it."""
    undecided = update(_ANSWER).where(_ANSWER.c.id == answer_id).values(state=into.value, decided_by=None, decided_at=None, note="")
    return int(connection.execute(undecided.returning(_ANSWER.c.by)).scalar_one())
