"""Replies on their way out. A reply is claimed and its attempt committed before the network is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from earshot.case import Move, ReplyState, State
from earshot.storage.database import Database
from earshot.storage.rounds import replies_since_a_person_looked
from earshot.storage.steps import lock_case, step
from earshot.storage.tables import CaseRow, MentionRow, ReplyRow, table

_REPLY, _CASE, _MENTION = table(ReplyRow), table(CaseRow), table(MentionRow)
#: the number of PostgreSQL's lock under which replies are claimed
_ONE_CLAIMS = 7_223_552


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A claimed reply. `must_look`: an earlier attempt may have succeeded, so look for our own reply before anything is sent."""

    id: int
    case_id: int
    source: str
    parent_id: str
    text: str
    key: str
    tries: int
    looked: int  #: how often an earlier attempt was looked for and not found
    must_look: bool
    error: str  #: what went wrong last
    rounds: int = 0  #: replies of ours to this author in this thread within the hour, since a person looked at one


class Outbox:
    def __init__(self, database: Database) -> None:
        self._db = database

    def claim(
        self, *, worker: str, now: datetime, lease: timedelta, sources: Sequence[str], spacing: timedelta = timedelta(0)
    ) -> Outgoing | None:
        """The next reply that may go out, with its attempt noted, or None. What a dead worker was sending counts as unknown.

        Once a reply leaves, its source posts nothing more for `spacing`; looking for what was posted goes on.
        """
        is_due = and_(_REPLY.c.not_before <= now, or_(_REPLY.c.claimed_until.is_(None), _REPLY.c.claimed_until <= now))
        is_open = _REPLY.c.state.in_([ReplyState.PENDING.value, ReplyState.SENDING.value, ReplyState.UNKNOWN.value])
        wanted = select(_REPLY).where(is_due, is_open, _REPLY.c.source.in_(sources)).order_by(_REPLY.c.not_before, _REPLY.c.id).limit(1)
        with self._db.reading() as connection:
            if connection.execute(wanted).first() is None:
                return None
        with self._db.writing() as connection:
            if not self._db.is_sqlite:  # one at a time: otherwise two workers post at once
                connection.execute(select(func.pg_advisory_xact_lock(_ONE_CLAIMS)))
                wanted = wanted.with_for_update(skip_locked=True)
            row = connection.execute(wanted).mappings().first()
            if row is None:
                return None
            must_look = row["state"] != ReplyState.PENDING
            rounds = replies_since_a_person_looked(connection, row["case_id"], now)
            connection.execute(
                update(_REPLY)
                .where(_REPLY.c.id == row["id"])
                .values(state=ReplyState.SENDING.value, tries=_REPLY.c.tries + 1, claimed_by=worker, claimed_until=now + lease)
            )
            if not must_look:
                _hold(connection, row["source"], (ReplyState.PENDING,), now + spacing)
        return Outgoing(
            id=row["id"],
            case_id=row["case_id"],
            source=row["source"],
            parent_id=row["parent_id"],
            text=row["text"],
            key=row["key"],
            tries=row["tries"] + 1,
            looked=row["looked"],
            must_look=must_look,
            rounds=rounds,
            error=row["error"],
        )

    def holds(self, reply: Outgoing, *, worker: str) -> bool:
        """Whether a claimed reply is still its worker's: one that slept past its lease may find that others took it."""
        with self._db.reading() as connection:
            return connection.execute(select(_REPLY.c.id).where(_mine(reply, worker))).first() is not None

    def sent(self, reply: Outgoing, *, native_id: str, url: str, worker: str, now: datetime) -> None:
        """The reply stands on the network."""
        with self._db.writing() as connection:
            values = {"state": ReplyState.SENT.value, "native_id": native_id, "url": url, "settled_at": now, "error": ""}
            if self._settle(connection, _mine(reply, worker), values):
                _move(connection, reply.case_id, Move.SENT, now, "the reply stands on the network", counts=True)
                _hear_again(connection, reply, now)

    def rejected(self, reply: Outgoing, *, error: str, worker: str, now: datetime) -> None:
        """The network will never take it: the case goes back to a person."""
        self._fail(reply, ReplyState.REJECTED, error, worker, now)

    def needs_person(self, reply: Outgoing, *, error: str, worker: str, now: datetime) -> None:
        """Nobody can tell whether it stands there: a person must look."""
        self._fail(reply, ReplyState.NEEDS_PERSON, error, worker, now)

    def _fail(self, reply: Outgoing, state: ReplyState, error: str, worker: str, now: datetime) -> None:
        with self._db.writing() as connection:
            if self._settle(connection, _mine(reply, worker), {"state": state.value, "error": error, "settled_at": now}):
                _move(connection, reply.case_id, Move.FAIL, now, error, counts=False)

    def unknown(self, reply: Outgoing, *, error: str, retry_at: datetime, worker: str, tries: int | None = None) -> None:
        """It may or may not stand there: look from `retry_at` on. Looks after earlier attempts prove nothing about this one.

        `tries` counts the reply as tried so often, where nothing but a last look is left to do.
        """
        values = {"state": ReplyState.UNKNOWN.value, "error": error, "not_before": retry_at, "looked": 0}
        with self._db.writing() as connection:
            self._settle(connection, _mine(reply, worker), values if tries is None else values | {"tries": tries})

    def absent(self, reply: Outgoing, *, retry_at: datetime, worker: str, may_resend: bool) -> None:
        """We looked and it is not there: look once more, or send it again where that was the proof."""
        state = ReplyState.PENDING if may_resend else ReplyState.UNKNOWN
        with self._db.writing() as connection:
            values = {"state": state.value, "not_before": retry_at, "looked": _REPLY.c.looked + 1}
            self._settle(connection, _mine(reply, worker), values)

    def postponed(self, reply: Outgoing, *, error: str, retry_at: datetime, worker: str) -> None:
        """It was surely not made (the network is down or asks us to wait): try again later."""
        state = ReplyState.UNKNOWN if reply.must_look else ReplyState.PENDING
        with self._db.writing() as connection:
            self._settle(connection, _mine(reply, worker), {"state": state.value, "error": error, "not_before": retry_at})

    def hold(self, source: str, *, until: datetime) -> None:
        """Leave the network of `source` alone until then."""
        with self._db.writing() as connection:
            _hold(connection, source, (ReplyState.PENDING, ReplyState.UNKNOWN), until)

    def _settle(self, connection: Connection, mine: ColumnElement[bool], values: Mapping[str, object]) -> bool:
        done = connection.execute(update(_REPLY).where(mine).values(claimed_by=None, claimed_until=None, **values))
        return done.rowcount == 1

    def open_replies(self) -> int:
        """How many replies are not settled yet."""
        with self._db.reading() as connection:
            states = [ReplyState.PENDING.value, ReplyState.SENDING.value, ReplyState.UNKNOWN.value]
            return len(connection.execute(select(_REPLY.c.id).where(_REPLY.c.state.in_(states))).all())


def _hold(connection: Connection, source: str, states: Sequence[ReplyState], until: datetime) -> None:
    waiting = and_(_REPLY.c.source == source, _REPLY.c.state.in_([s.value for s in states]), _REPLY.c.not_before < until)
    connection.execute(update(_REPLY).where(waiting).values(not_before=until))


def _mine(reply: Outgoing, worker: str) -> ColumnElement[bool]:
    return and_(_REPLY.c.id == reply.id, _REPLY.c.claimed_by == worker)


def _move(connection: Connection, case_id: int, move: Move, now: datetime, reason: str, *, counts: bool) -> None:
    """Tell the case. One that a later mention moved on meanwhile stays where it is; the reply is counted all the same."""
    case = lock_case(connection, case_id)
    if counts:
        connection.execute(update(_CASE).where(_CASE.c.id == case_id).values(replies=_CASE.c.replies + 1))
    if case["state"] == State.SENDING:
        data = {"assignee": case["assignee"]} if move is Move.SENT else {}
        step(connection, case, move, actor="outbox", at=now, reason=reason, data=data)


def _hear_again(connection: Connection, reply: Outgoing, now: datetime) -> None:
    """An author who wrote while our reply was on its way has the word: somebody must read it."""
    case = lock_case(connection, reply.case_id)
    latest = connection.execute(select(_MENTION.c.native_id).where(_MENTION.c.id == case["reply_to"])).scalar_one()
    if case["state"] == State.ANSWERED and latest != reply.parent_id:
        step(connection, case, Move.REOPEN, actor="author", at=now, reason="the author wrote again meanwhile")
