"""Offers and what super-users do with them. Each public method is one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, and_, func, or_, select, update

from earshot.case import AnswerState, Case, Move, Offer, OfferState, PassReason, State, Tier
from earshot.errors import BadInput, Conflict
from earshot.storage.absence import take_back
from earshot.storage.database import Database
from earshot.storage.rows import case_of
from earshot.storage.steps import lock_case, lock_cases, step
from earshot.storage.tables import AccountRow, AnswerRow, CaseRow, LabelRow, MentionRow, OfferRow, ReplyRow, SuperUserRow, table

_CASE, _OFFER, _SUPER_USER, _MENTION, _LABEL = table(CaseRow), table(OfferRow), table(SuperUserRow), table(MentionRow), table(LabelRow)
_ANSWER, _REPLY, _ACCOUNT = table(AnswerRow), table(ReplyRow), table(AccountRow)
_DECIDER = _ACCOUNT.alias("decider")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToOffer:
    """A claimed case of the community, with the super-users it was offered to before."""

    case: Case
    asked_before: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskItem:
    """A case on a super-user's desk: offered, or hers."""

    case: Case
    offer_id: int | None
    expires_at: datetime | None
    reason: str
    text: str
    network: str
    url: str  #: where the post stands
    posted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PastAnswer:
    """Something a super-user wrote, and what came of it."""

    case_id: int
    network: str
    text: str
    state: AnswerState
    written_at: datetime
    note: str  #: what a reviewer said
    decided_by_name: str | None  #: who approved it or gave it back, where that was somebody else
    helped: bool | None  #: None: nobody said yet
    reply_url: str  #: where it stands on the network


class Handover:
    def __init__(self, database: Database) -> None:
        self._db = database

    def claim(self, limit: int, *, worker: str, now: datetime, lease: timedelta) -> list[ToOffer]:
        """Take cases of the community that nobody was offered yet, most urgent first, with one statement."""
        free = or_(_CASE.c.claimed_until.is_(None), _CASE.c.claimed_until < now)
        waiting = (
            select(_CASE.c.id)
            .where(_CASE.c.state == State.QUEUED.value, _CASE.c.tier == Tier.COMMUNITY.value, free)
            .order_by(_CASE.c.priority.desc())
            .limit(limit)
        )
        if not self._any(waiting):
            return []
        if not self._db.is_sqlite:
            waiting = waiting.with_for_update(skip_locked=True)
        claim = update(_CASE).where(_CASE.c.id.in_(waiting)).values(claimed_by=worker, claimed_until=now + lease).returning(*_CASE.c)
        with self._db.writing() as connection:
            cases = [case_of(row) for row in connection.execute(claim).mappings()]
            asked: dict[int, set[int]] = {}
            for case_id, super_user in connection.execute(
                select(_OFFER.c.case_id, _OFFER.c.super_user).where(_OFFER.c.case_id.in_([case.id for case in cases]))
            ):
                asked.setdefault(case_id, set()).add(super_user)
        cases.sort(key=lambda case: (-case.priority, case.id))
        return [ToOffer(case=case, asked_before=frozenset(asked.get(case.id, ()))) for case in cases]

    def _any(self, waiting: object) -> bool:
        with self._db.reading() as connection:
            return connection.execute(waiting.limit(1)).first() is not None  # type: ignore[attr-defined]

    def write_offers(self, offers: Sequence[Offer], *, worker: str, now: datetime) -> int:
        """Make the offers whose case is still claimed by `worker` and whose super-user still has room; returns how many."""
        made = 0
        with self._db.writing() as connection:
            room = self._room(connection, {offer.super_user for offer in offers})
            lock_cases(connection, _CASE.c.id.in_([offer.case_id for offer in offers]))
            for offer in offers:
                case = lock_case(connection, offer.case_id)
                is_ours = case["state"] == State.QUEUED and case["tier"] == Tier.COMMUNITY and case["claimed_by"] == worker
                if not is_ours or room.get(offer.super_user, 0) <= 0:
                    continue
                room[offer.super_user] -= 1
                made += 1
                connection.execute(
                    _OFFER.insert().values(
                        case_id=offer.case_id,
                        super_user=offer.super_user,
                        state=OfferState.OPEN.value,
                        offered_at=offer.offered_at,
                        expires_at=offer.expires_at,
                        reason=offer.reason,
                    )
                )
                step(connection, case, Move.OFFER, actor="assign", at=now, reason=offer.reason, data={"super_user": offer.super_user})
                connection.execute(update(_SUPER_USER).where(_SUPER_USER.c.account_id == offer.super_user).values(last_offered_at=now))
        return made

    def _room(self, connection: Connection, super_users: set[int]) -> dict[int, int]:
        """How many more posts each super-user takes; the rows are locked so that racing assigners see one another."""
        are_off = select(_ACCOUNT.c.id).where(~_ACCOUNT.c.active)
        rows = select(_SUPER_USER.c.account_id, _SUPER_USER.c.open_posts).where(
            _SUPER_USER.c.account_id.in_(super_users), _SUPER_USER.c.account_id.not_in(are_off), ~_SUPER_USER.c.paused
        )
        if not self._db.is_sqlite:
            rows = rows.order_by(_SUPER_USER.c.account_id).with_for_update()
        room = {row.account_id: row.open_posts for row in connection.execute(rows)}
        busy = (
            select(_CASE.c.assignee, func.count())
            .where(_CASE.c.assignee.in_(super_users), _CASE.c.state.in_([State.ASSIGNED, State.APPROVAL]))
            .group_by(_CASE.c.assignee)
        )
        offered = (
            select(_OFFER.c.super_user, func.count())
            .where(_OFFER.c.super_user.in_(super_users), _OFFER.c.state == OfferState.OPEN.value)
            .group_by(_OFFER.c.super_user)
        )
        for taken in (busy, offered):
            for account, n in connection.execute(taken):
                room[account] = room.get(account, 0) - n
        return room

    def release(self, *, worker: str) -> None:
        """Let go of what was claimed and not offered: nobody was free. It is looked at again at the next round."""
        with self._db.writing() as connection:
            mine = and_(_CASE.c.claimed_by == worker, _CASE.c.state == State.QUEUED.value)
            lock_cases(connection, mine)
            connection.execute(update(_CASE).where(mine).values(claimed_by=None, claimed_until=None))

    def accept(self, offer_id: int, *, by: int, now: datetime, lease: timedelta) -> Case:
        """Take an offered case. Raises `Conflict` when the offer is gone, `BadInput` when it never was hers."""
        with self._db.writing() as connection:
            offer = self._open_offer(connection, offer_id, by, now)
            case = lock_case(connection, offer["case_id"])
            _close_offer(connection, offer_id, OfferState.ACCEPTED, now)
            moved = step(
                connection,
                case,
                Move.ACCEPT,
                actor=f"account:{by}",
                at=now,
                reason="took the offer",
                data={"assignee": by},
                lease_until=now + lease,
            )
            return case_of(moved)

    def pass_on(self, case_id: int, *, by: int, reason: PassReason, now: datetime, tier: Tier, due_at: datetime | None) -> Case:
        """Give an offered or owned case back with a reason. `tier` is where that reason sends it; the pass is kept as a label."""
        with self._db.writing() as connection:
            case = lock_case(connection, case_id)
            offer = (
                connection.execute(
                    select(_OFFER).where(_OFFER.c.case_id == case_id, _OFFER.c.super_user == by, _OFFER.c.state == OfferState.OPEN.value)
                )
                .mappings()
                .first()
            )
            if offer is None and case["assignee"] != by:
                raise Conflict("that case is not with you any more")
            if offer is not None:
                _close_offer(connection, offer["id"], OfferState.PASSED, now, pass_reason=reason.value)
            case = step(connection, case, Move.PASS, actor=f"account:{by}", at=now, reason=reason.value)
            if reason is not PassReason.NO_TIME:
                connection.execute(
                    _LABEL.insert().values(
                        mention_id=case["mention_id"], question="pass", was=case["tier"], now_is=reason.value, by=by, at=now, note=""
                    )
                )
            if tier.value != case["tier"]:
                words = f"passed: {reason.value}"
                case = step(connection, case, Move.ESCALATE, actor="pass", at=now, reason=words, data={"tier": tier.value}, due_at=due_at)
            return case_of(case)

    def _open_offer(self, connection: Connection, offer_id: int, by: int, now: datetime) -> RowMapping:
        offer = connection.execute(select(_OFFER).where(_OFFER.c.id == offer_id, _OFFER.c.super_user == by)).mappings().first()
        if offer is None:
            raise BadInput("there is no such offer for you")
        if offer["state"] != OfferState.OPEN or offer["expires_at"] <= now:
            raise Conflict("this offer is gone: it expired or the case went to somebody else")
        return offer

    def expire(self, now: datetime, *, limit: int = 200) -> int:
        """Take back offers whose time is over, and cases whose super-user was silent too long; returns how many.

        An account that is switched off gives back at once what it holds; what reached it at that very moment is taken back here.
        """
        with self._db.writing() as connection:
            return _expire_offers(connection, now, limit) + _release_silent(connection, now, limit) + take_back(connection, now)

    def desk(self, super_user: int) -> list[DeskItem]:
        """Open offers and owned cases of a super-user, the soonest due first. One statement."""
        offered = and_(_OFFER.c.case_id == _CASE.c.id, _OFFER.c.super_user == super_user, _OFFER.c.state == OfferState.OPEN.value)
        mine = and_(_CASE.c.assignee == super_user, _CASE.c.state.in_([State.ASSIGNED, State.APPROVAL, State.SENDING]))
        statement = (
            select(
                _CASE,
                _OFFER.c.id.label("offer_id"),
                _OFFER.c.expires_at,
                _OFFER.c.reason.label("why"),
                _MENTION.c.text,
                _MENTION.c.url,
                _MENTION.c.posted_at,
            )
            .join(_MENTION, _MENTION.c.id == _CASE.c.reply_to)
            .outerjoin(_OFFER, offered)
            .where(or_(_OFFER.c.id.is_not(None), mine))
            .order_by(_CASE.c.due_at, _CASE.c.id)
        )
        with self._db.reading() as connection:
            return [
                DeskItem(
                    case=case_of(row),
                    offer_id=row["offer_id"],
                    expires_at=row["expires_at"],
                    reason=row["why"] or row["reason"],
                    text=row["text"],
                    network=row["network"],
                    url=row["url"],
                    posted_at=row["posted_at"],
                )
                for row in connection.execute(statement).mappings()
            ]

    def answers_of(self, super_user: int, *, limit: int = 10) -> list[PastAnswer]:
        """What a super-user wrote lately, newest first, with what came of it. One statement."""
        statement = (
            select(_ANSWER, _CASE.c.network, _REPLY.c.url, _DECIDER.c.name.label("decided_by_name"))
            .join(_CASE, _CASE.c.id == _ANSWER.c.case_id)
            .outerjoin(_DECIDER, and_(_DECIDER.c.id == _ANSWER.c.decided_by, _DECIDER.c.id != _ANSWER.c.by))
            .outerjoin(_REPLY, _REPLY.c.answer_id == _ANSWER.c.id)
            .where(_ANSWER.c.by == super_user, _ANSWER.c.state != AnswerState.WITHDRAWN.value)
            .order_by(_ANSWER.c.id.desc())
            .limit(limit)
        )
        with self._db.reading() as connection:
            return [
                PastAnswer(
                    case_id=row["case_id"],
                    network=row["network"],
                    text=row["text"],
                    state=AnswerState(row["state"]),
                    written_at=row["written_at"],
                    note=row["note"],
                    decided_by_name=row["decided_by_name"],
                    helped=row["accepted"],
                    reply_url=row["url"] or "",
                )
                for row in connection.execute(statement).mappings()
            ]


def _expire_offers(connection: Connection, now: datetime, limit: int) -> int:
    late = select(_OFFER.c.id, _OFFER.c.case_id).where(_OFFER.c.state == OfferState.OPEN.value, _OFFER.c.expires_at <= now)
    expired = 0
    for offer in connection.execute(late.order_by(_OFFER.c.case_id).limit(limit)).all():
        # The case first, as everywhere; and only now it is certain that nobody took the offer meanwhile.
        case = lock_case(connection, offer.case_id)
        if _close_offer(connection, offer.id, OfferState.EXPIRED, now):
            expired += 1
            if case["state"] == State.OFFERED:
                step(connection, case, Move.EXPIRE, actor="assign", at=now, reason="the offer was not taken in time")
    return expired


def _release_silent(connection: Connection, now: datetime, limit: int) -> int:
    silent = select(_CASE.c.id).where(_CASE.c.state == State.ASSIGNED.value, _CASE.c.lease_until <= now)
    released = 0
    for case_id in connection.execute(silent.order_by(_CASE.c.id).limit(limit)).scalars().all():
        case = lock_case(connection, case_id)
        if case["state"] == State.ASSIGNED and case["lease_until"] is not None and case["lease_until"] <= now:
            step(connection, case, Move.RELEASE, actor="overdue", at=now, reason="the owner was silent too long")
            released += 1
    return released


def _close_offer(connection: Connection, offer_id: int, state: OfferState, now: datetime, *, pass_reason: str = "") -> bool:
    """Close an offer; False when it was closed already."""
    still_open = and_(_OFFER.c.id == offer_id, _OFFER.c.state == OfferState.OPEN.value)
    closed = connection.execute(update(_OFFER).where(still_open).values(state=state.value, closed_at=now, pass_reason=pass_reason))
    return closed.rowcount == 1
