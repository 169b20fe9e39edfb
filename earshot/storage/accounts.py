"""Accounts, sign-ins, and the roster of super-users."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import RowMapping, and_, delete, func, select, update
from sqlalchemy.exc import IntegrityError

from earshot.case import AnswerState, OfferState, State, Tier
from earshot.errors import BadInput
from earshot.storage.absence import take_back
from earshot.storage.database import Database
from earshot.storage.tables import AccountRow, AnswerRow, CaseRow, OfferRow, SessionRow, SkillRow, SuperUserRow, TryRow, table

_ACCOUNT, _SUPER_USER, _SKILL = table(AccountRow), table(SuperUserRow), table(SkillRow)
_SESSION, _TRY = table(SessionRow), table(TryRow)
_CASE, _OFFER, _ANSWER = table(CaseRow), table(OfferRow), table(AnswerRow)


class Role(StrEnum):
    ADMIN = "admin"
    MANAGER = "manager"
    STAFF = "staff"
    SUPER_USER = "super-user"
    MARKETER = "marketer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A sign-in of ours with a role."""

    id: int
    email: str
    name: str
    role: Role
    tier: Tier | None = None  #: the tier that a member of staff works in
    languages: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """What a super-user chose, and what was earned."""

    open_posts: int = 3
    hours_per_week: float = 10.0
    quiet_from: str = ""  #: local "HH:MM"; empty: no quiet hours
    quiet_to: str = ""
    timezone: str = "UTC"
    trust_level: int = 0
    about: str = ""
    paused: bool = False
    consent_at: datetime | None = None
    skills: Mapping[str, tuple[int, int]] = field(default_factory=dict)  #: topic -> (answered, accepted)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackRecord:
    """What became of a super-user's last answers: judged by authors, accepted by them, reviewed by others, agreed to by these."""

    judged: int
    accepted: int
    reviewed: int
    agreed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A super-user with how busy she is at the moment."""

    account: Account
    membership: Membership
    open_now: int
    offers_now: int
    answers_this_week: int
    last_offered_at: datetime | None


class Accounts:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(
        self,
        *,
        email: str,
        name: str,
        role: Role,
        now: datetime,
        password_hash: str | None = None,
        tier: Tier | None = None,
        languages: Sequence[str] = (),
        topics: Sequence[str] = (),
        membership: Membership | None = None,
    ) -> Account:
        """Create an account. Raises `BadInput` when the e-mail address is taken."""
        try:
            with self._db.writing() as connection:
                row = (
                    connection.execute(
                        _ACCOUNT.insert()
                        .values(
                            email=email.strip().lower(),
                            name=name.strip(),
                            role=role.value,
                            tier=tier.value if tier else None,
                            languages=list(languages),
                            topics=list(topics),
                            password_hash=password_hash,
                            active=True,
                            created_at=now,
                        )
                        .returning(*_ACCOUNT.c)
                    )
                    .mappings()
                    .one()
                )
                if role is Role.SUPER_USER:
                    _add_membership(connection, row["id"], membership or Membership(consent_at=now), topics)
        except IntegrityError as err:
            raise BadInput(f"there is an account for {email!r} already") from err
        return _account_of(row)

    def by_email(self, email: str) -> tuple[Account, str | None] | None:
        """The account and its password hash; None when there is none."""
        with self._db.reading() as connection:
            row = connection.execute(select(_ACCOUNT).where(_ACCOUNT.c.email == email.strip().lower())).mappings().first()
        return None if row is None else (_account_of(row), row["password_hash"])

    def get(self, account_id: int) -> Account | None:
        with self._db.reading() as connection:
            row = connection.execute(select(_ACCOUNT).where(_ACCOUNT.c.id == account_id)).mappings().first()
        return None if row is None else _account_of(row)

    def everyone(self, *, roles: Sequence[Role] = tuple(Role)) -> list[Account]:
        with self._db.reading() as connection:
            rows = connection.execute(
                select(_ACCOUNT).where(_ACCOUNT.c.role.in_([r.value for r in roles])).order_by(_ACCOUNT.c.name)
            ).mappings()
            return [_account_of(row) for row in rows]

    def switch_off(self, account_id: int, *, now: datetime) -> int:
        """Nobody signs in with it any more, its sessions end, and what it held goes back to its queues; returns how many cases did."""
        with self._db.writing() as connection:
            connection.execute(update(_ACCOUNT).where(_ACCOUNT.c.id == account_id).values(active=False))
            connection.execute(delete(_SESSION).where(_SESSION.c.account_id == account_id))
            return take_back(connection, now)

    def switch_on(self, account_id: int) -> None:
        """It may sign in again; what it held before stays where it went."""
        with self._db.writing() as connection:
            connection.execute(update(_ACCOUNT).where(_ACCOUNT.c.id == account_id).values(active=True))

    # ---- sign-in

    def start_session(self, account_id: int, *, now: datetime) -> str:
        """A new session; returns its token, of which only a hash is stored."""
        token = secrets.token_urlsafe(32)
        with self._db.writing() as connection:
            connection.execute(_SESSION.insert().values(token_hash=_hashed(token), account_id=account_id, created_at=now, seen_at=now))
        return token

    def session(self, token: str, *, now: datetime, lasts: timedelta) -> Account | None:
        """Whose session that is; None when it is unknown, silent for longer than `lasts`, or the account was switched off."""
        statement = (
            select(_ACCOUNT, _SESSION.c.seen_at)
            .join(_SESSION, _SESSION.c.account_id == _ACCOUNT.c.id)
            .where(_SESSION.c.token_hash == _hashed(token), _SESSION.c.seen_at > now - lasts, _ACCOUNT.c.active)
        )
        with self._db.reading() as connection:
            row = connection.execute(statement).mappings().first()
        if row is None:
            return None
        if now - row["seen_at"] > lasts / 20:  # not at every request: a page view should not cost a write
            with self._db.writing() as connection:
                connection.execute(update(_SESSION).where(_SESSION.c.token_hash == _hashed(token)).values(seen_at=now))
        return _account_of(row)

    def end_session(self, token: str) -> None:
        with self._db.writing() as connection:
            connection.execute(delete(_SESSION).where(_SESSION.c.token_hash == _hashed(token)))

    def failed_tries(self, key: str, *, since: datetime) -> int:
        with self._db.reading() as connection:
            return connection.execute(select(func.count()).where(_TRY.c.key == _hashed(key), _TRY.c.at > since)).scalar_one()

    def note_failed_try(self, keys: Sequence[str], *, now: datetime) -> None:
        """Count a wrong password against each key (the account's name, the address); older ones than a day are dropped."""
        with self._db.writing() as connection:
            connection.execute(delete(_TRY).where(_TRY.c.at < now - timedelta(days=1)))
            connection.execute(_TRY.insert(), [{"key": _hashed(key), "at": now} for key in keys])

    # ---- roster

    def roster(self, *, now: datetime) -> list[Member]:
        """All active super-users with their skills and how busy they are. Two statements."""
        open_cases = (
            select(func.count())
            .where(_CASE.c.assignee == _ACCOUNT.c.id, _CASE.c.state.in_([State.ASSIGNED, State.APPROVAL]))
            .scalar_subquery()
        )
        offers = select(func.count()).where(_OFFER.c.super_user == _ACCOUNT.c.id, _OFFER.c.state == OfferState.OPEN.value).scalar_subquery()
        week = select(func.count()).where(_ANSWER.c.by == _ACCOUNT.c.id, _ANSWER.c.written_at > now - timedelta(days=7)).scalar_subquery()
        statement = (
            select(_ACCOUNT, *_membership_columns(), open_cases.label("open_now"), offers.label("offers_now"), week.label("week"))
            .join(_SUPER_USER, _SUPER_USER.c.account_id == _ACCOUNT.c.id)
            .where(_ACCOUNT.c.active)
            .order_by(_ACCOUNT.c.id)
        )
        with self._db.reading() as connection:
            rows = connection.execute(statement).mappings().all()
            skills: dict[int, dict[str, tuple[int, int]]] = {}
            for account_id, topic, answered, accepted in connection.execute(select(_SKILL)):
                skills.setdefault(account_id, {})[topic] = (answered, accepted)
        return [
            Member(
                account=_account_of(row),
                membership=_membership_of(row, skills.get(row["id"], {})),
                open_now=row["open_now"],
                offers_now=row["offers_now"],
                answers_this_week=row["week"],
                last_offered_at=row["last_offered_at"],
            )
            for row in rows
        ]

    def membership(self, account_id: int) -> Membership | None:
        """What a super-user chose and earned, in one statement; None for everybody else."""
        statement = (
            select(*_membership_columns(), _SKILL.c.topic, _SKILL.c.answered, _SKILL.c.accepted)
            .outerjoin(_SKILL, _SKILL.c.account_id == _SUPER_USER.c.account_id)
            .where(_SUPER_USER.c.account_id == account_id)
        )
        with self._db.reading() as connection:
            rows = connection.execute(statement).mappings().all()
        skills = {row["topic"]: (row["answered"], row["accepted"]) for row in rows if row["topic"] is not None}
        return _membership_of(rows[0], skills) if rows else None

    def set_paused(self, account_id: int, *, paused: bool) -> None:
        """A super-user steps back for a while, or comes back: no new offers meanwhile."""
        with self._db.writing() as connection:
            connection.execute(update(_SUPER_USER).where(_SUPER_USER.c.account_id == account_id).values(paused=paused))

    def set_trust(self, levels: Mapping[int, int]) -> None:
        """Write the trust levels that changed."""
        with self._db.writing() as connection:
            for account_id, level in levels.items():
                connection.execute(update(_SUPER_USER).where(_SUPER_USER.c.account_id == account_id).values(trust_level=level))

    def track_records(self, *, last: int = 50) -> dict[int, TrackRecord]:
        """Per super-user: what became of her last answers. Those without an answer are left out."""
        rank = func.row_number().over(partition_by=_ANSWER.c.by, order_by=_ANSWER.c.id.desc()).label("rank")
        recent = (
            select(_ANSWER.c.by, _ANSWER.c.accepted, _ANSWER.c.state, _ANSWER.c.decided_by, rank)
            .join(_SUPER_USER, _SUPER_USER.c.account_id == _ANSWER.c.by)
            .subquery()
        )
        was_reviewed = and_(recent.c.decided_by.is_not(None), recent.c.decided_by != recent.c.by)
        statement = (
            select(
                recent.c.by,
                func.count(recent.c.accepted).label("judged"),
                func.count().filter(recent.c.accepted.is_(True)).label("accepted"),
                func.count().filter(was_reviewed).label("reviewed"),
                func.count().filter(was_reviewed, recent.c.state == AnswerState.APPROVED.value).label("agreed"),
            )
            .where(recent.c.rank <= last)
            .group_by(recent.c.by)
        )
        with self._db.reading() as connection:
            rows = connection.execute(statement).all()
        return {row.by: TrackRecord(judged=row.judged, accepted=row.accepted, reviewed=row.reviewed, agreed=row.agreed) for row in rows}


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _account_of(row: RowMapping) -> Account:
    return Account(
        id=row["id"],
        email=row["email"],
        name=row["name"],
        role=Role(row["role"]),
        tier=Tier(row["tier"]) if row["tier"] else None,
        languages=tuple(row["languages"] or ()),
        topics=tuple(row["topics"] or ()),
        active=row["active"],
    )


_MEMBERSHIP = ("open_posts", "hours_per_week", "quiet_from", "quiet_to", "timezone", "trust_level", "about", "paused", "consent_at")


def _membership_columns() -> list[Any]:
    return [_SUPER_USER.c[name] for name in (*_MEMBERSHIP, "last_offered_at")]


def _membership_of(row: RowMapping, skills: Mapping[str, tuple[int, int]]) -> Membership:
    return Membership(**{name: row[name] for name in _MEMBERSHIP}, skills=dict(skills))


def _add_membership(connection: Any, account_id: int, membership: Membership, topics: Sequence[str]) -> None:
    connection.execute(_SUPER_USER.insert().values(account_id=account_id, **{name: getattr(membership, name) for name in _MEMBERSHIP}))
    skills = dict.fromkeys(topics, (0, 0)) | dict(membership.skills)
    if skills:
        rows = [
            {"account_id": account_id, "topic": t, "answered": answered, "accepted": accepted} for t, (answered, accepted) in skills.items()
        ]
        connection.execute(_SKILL.insert(), rows)
