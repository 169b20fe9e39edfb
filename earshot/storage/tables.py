"""Every table. Rows are storage's own business: the rooms see the values of `earshot.mention` and `earshot.case`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, UniqueConstraint, false, text
from sqlmodel import Field, SQLModel

from earshot.storage.columns import Json, UtcTime

#: BIGINT on PostgreSQL; on SQLite only a plain INTEGER primary key is the row id.
_Id = BigInteger().with_variant(Integer(), "sqlite")

HEARD, UNDERSTOOD, GONE, QUARANTINED = 0, 1, 8, 9  #: the stages of a mention


def _id() -> Any:
    return Field(default=None, sa_column=Column(_Id, primary_key=True, autoincrement=True))


def _link(target: str, *, nullable: bool = False, index: bool = False) -> Any:
    return Field(default=None, sa_column=Column(_Id, ForeignKey(target), nullable=nullable, index=index))


def _time(*, nullable: bool = False) -> Any:
    return Field(default=None, sa_column=Column(UtcTime, nullable=nullable))


def _json() -> Any:
    return Field(default=None, sa_column=Column(Json, nullable=True))


def _text() -> Any:
    return Field(default="", sa_column=Column(Text, nullable=False, server_default=""))


class AuthorRow(SQLModel, table=True):
    __tablename__ = "author"
    __table_args__ = (UniqueConstraint("network", "native_id"), Index("author_influence", "influence"))
    id: int | None = _id()
    network: str
    native_id: str
    handle: str
    name: str = _text()
    bio: str = _text()
    url: str = _text()
    followers: int | None = None
    following: int | None = None
    posts: int | None = None
    verified: bool = False
    is_bot: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default=false()))
    created_at: datetime | None = _time(nullable=True)
    seen_at: datetime = _time()
    influence: float | None = None  #: percentile 0..1 at the last weighing


class MentionRow(SQLModel, table=True):
    __tablename__ = "mention"
    __table_args__ = (
        UniqueConstraint("network", "native_id"),
        Index("mention_waiting", "id", sqlite_where=text("stage = 0"), postgresql_where=text("stage = 0")),
        Index("mention_posted", "posted_at"),
        Index("mention_case", "case_id"),
        Index("mention_thread", "network", "thread_id"),
        Index("mention_copies", "copy_of", sqlite_where=text("copy_of IS NOT NULL"), postgresql_where=text("copy_of IS NOT NULL")),
        Index("mention_author", "author_id"),
        Index(
            "mention_look",
            "source",
            "looked_at",
            sqlite_where=text("looked_at IS NOT NULL"),
            postgresql_where=text("looked_at IS NOT NULL"),
        ),
    )
    id: int | None = _id()
    network: str
    native_id: str
    author_id: int | None = _link("author.id", nullable=True)
    text: str = _text()
    url: str = _text()
    posted_at: datetime = _time()
    edited_at: datetime | None = _time(nullable=True)  #: when its author last changed it, where the network tells
    edits: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))  #: how often we saw it changed
    seen_at: datetime = _time()
    thread_id: str | None = None
    parent_id: str | None = None
    repost_of: str | None = None
    lang_hint: str | None = None
    company: str | None = None
    source: str = ""  #: name of the source that heard it
    likes: int | None = None
    reposts: int | None = None
    replies: int | None = None
    stage: int = HEARD
    claimed_by: str | None = None
    claimed_until: datetime | None = _time(nullable=True)
    tries: int = 0
    copy_of: int | None = _link("mention.id", nullable=True)
    case_id: int | None = Field(default=None, sa_column=Column(_Id, nullable=True))
    scores: Any = _json()
    looked_at: datetime | None = _time(nullable=True)  #: when it was last seen on its network; None: nobody looks any more


class VersionRow(SQLModel, table=True):
    """What a mention said before its author edited it."""

    __tablename__ = "mention_version"
    id: int | None = _id()
    mention_id: int = _link("mention.id", index=True)
    text: str = _text()
    since: datetime = _time()  #: from when to when we saw it so
    until: datetime = _time()
    understood: bool  #: whether it had been when it was changed


class CopyKeyRow(SQLModel, table=True):
    """Cheap keys of texts, each with the first mention that had it: near copies share at least one.

    No foreign key: there are too many to look for the mention of each.
    """

    __tablename__ = "copy_key"
    key: int = Field(sa_column=Column(_Id, primary_key=True, autoincrement=False))
    mention_id: int = Field(sa_column=Column(_Id, nullable=False))


class CaseRow(SQLModel, table=True):
    __tablename__ = "case_"
    __table_args__ = (
        UniqueConstraint("key"),
        Index("case_queue", "state", "tier", "priority"),
        Index(
            "case_assignee", "assignee", "state", sqlite_where=text("assignee IS NOT NULL"), postgresql_where=text("assignee IS NOT NULL")
        ),
    )
    id: int | None = _id()
    key: str
    network: str
    author_id: int | None = _link("author.id", nullable=True)
    mention_id: int = _link("mention.id")  #: the first mention; the reply goes under `reply_to`
    reply_to: int = _link("mention.id")  #: the author's latest mention
    state: str
    tier: str
    outcome: str
    reason: str = _text()
    rule: str = ""
    policy: str = ""
    due_at: datetime | None = _time(nullable=True)
    priority: float = 0.0
    parts: Any = _json()  #: what the priority is made of: [[name, amount, words], …]
    assignee: int | None = _link("account.id", nullable=True)
    lease_until: datetime | None = _time(nullable=True)
    lang: str = "unsure"
    anger: str = ""
    intent: str = ""
    topics: Any = _json()
    mentions: int = 1
    replies: int = 0  #: of ours that stand in the thread
    opened_at: datetime = _time()
    moved_at: datetime = _time()
    claimed_by: str | None = None
    claimed_until: datetime | None = _time(nullable=True)


class EventRow(SQLModel, table=True):
    __tablename__ = "event"
    __table_args__ = (Index("event_case", "case_id", "id"),)
    id: int | None = _id()
    case_id: int = _link("case_.id")
    at: datetime = _time()
    actor: str
    move: str
    reason: str = _text()
    data: Any = _json()


class OfferRow(SQLModel, table=True):
    __tablename__ = "offer"
    __table_args__ = (
        Index("offer_super_user", "super_user", "state"),
        Index("offer_case", "case_id"),
        Index("offer_expiry", "state", "expires_at"),
    )
    id: int | None = _id()
    case_id: int = _link("case_.id")
    super_user: int = _link("account.id")
    state: str = "open"
    offered_at: datetime = _time()
    expires_at: datetime = _time()
    reason: str = _text()
    pass_reason: str = ""
    closed_at: datetime | None = _time(nullable=True)


class AnswerRow(SQLModel, table=True):
    __tablename__ = "answer"
    __table_args__ = (Index("answer_case", "case_id"), Index("answer_by", "by", "state"))
    id: int | None = _id()
    case_id: int = _link("case_.id")
    by: int = _link("account.id")
    text: str = _text()
    state: str = "draft"
    written_at: datetime = _time()
    decided_by: int | None = _link("account.id", nullable=True)
    decided_at: datetime | None = _time(nullable=True)
    note: str = _text()
    accepted: bool | None = None  #: the author or a manager said it helped (or that it did not)


class ReplyRow(SQLModel, table=True):
    """The outbox: one row is one post of ours, made at most once."""

    __tablename__ = "reply"
    __table_args__ = (
        UniqueConstraint("answer_id"),
        UniqueConstraint("key"),
        Index("reply_state", "state", "not_before"),
        Index("reply_native", "network", "native_id"),
    )
    id: int | None = _id()
    case_id: int = _link("case_.id", index=True)
    answer_id: int = _link("answer.id")
    source: str
    network: str
    parent_id: str
    text: str = _text()
    key: str
    state: str = "pending"
    tries: int = 0
    looked: int = 0  #: times we looked for our own reply and did not find it
    not_before: datetime = _time()
    claimed_by: str | None = None
    claimed_until: datetime | None = _time(nullable=True)
    native_id: str | None = None
    url: str = ""
    error: str = _text()
    created_at: datetime = _time()
    settled_at: datetime | None = _time(nullable=True)


class LabelRow(SQLModel, table=True):
    """A person's correction of a score or a route; it trains the next model."""

    __tablename__ = "label"
    __table_args__ = (Index("label_mention", "mention_id"), Index("label_at", "at"))
    id: int | None = _id()
    mention_id: int = _link("mention.id")
    question: str
    was: str
    now_is: str
    by: int = _link("account.id")
    at: datetime = _time()
    note: str = _text()


class LessonRow(SQLModel, table=True):
    """A post that people are asked about, because the models would learn most from it."""

    __tablename__ = "lesson"
    __table_args__ = (UniqueConstraint("mention_id"), UniqueConstraint("day", "place"))
    id: int | None = _id()
    mention_id: int = _link("mention.id")
    day: str  #: the day it is asked on, as "2026-03-02"
    place: int  #: among those of the day, from 0; the constraint bounds how many there are
    state: str = "open"  #: open, taught, skipped
    by: int | None = _link("account.id", nullable=True)
    at: datetime | None = _time(nullable=True)


class TallyRow(SQLModel, table=True):
    """How the scores of a week spread, per question. It is kept: the mentions may be gone one day, or understood anew."""

    __tablename__ = "tally"
    week: datetime = Field(sa_column=Column(UtcTime, primary_key=True))
    question: str = Field(primary_key=True)
    mentions: int  #: looked at
    unsure: int
    labels: Any = _json()  #: label -> mentions


class LearntRow(SQLModel, table=True):
    """A change that was learnt from people's labels; it lies over the weights whose hash is `base`."""

    __tablename__ = "learnt"
    id: int | None = _id()
    at: datetime = _time()
    base: str
    state: str  #: current, kept, withdrawn
    labels: int  #: that it was learnt from
    judged: Any = _json()  #: what it did to each question
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class ForgottenRow(SQLModel, table=True):
    """The hash of a post that was erased on request, or of an author who is never to be heard again."""

    __tablename__ = "forgotten"
    key: str = Field(primary_key=True)
    at: datetime = _time()


class TurnRow(SQLModel, table=True):
    """Work that one of many workers does once a day: whoever writes the day first does it."""

    __tablename__ = "turn"
    work: str = Field(primary_key=True)
    day: str  #: the last one it was taken on, as "2026-03-02"


class AccountRow(SQLModel, table=True):
    __tablename__ = "account"
    __table_args__ = (UniqueConstraint("email"),)
    id: int | None = _id()
    email: str
    name: str
    role: str
    tier: str | None = None  #: for staff: tier_1 or tier_2
    languages: Any = _json()
    topics: Any = _json()
    password_hash: str | None = None
    active: bool = True
    created_at: datetime = _time()


class SuperUserRow(SQLModel, table=True):
    __tablename__ = "super_user"
    account_id: int = Field(sa_column=Column(_Id, ForeignKey("account.id"), primary_key=True, autoincrement=False))
    open_posts: int = 3
    hours_per_week: float = 10.0
    quiet_from: str = ""
    quiet_to: str = ""
    timezone: str = "UTC"
    trust_level: int = 0
    consent_at: datetime | None = _time(nullable=True)
    last_offered_at: datetime | None = _time(nullable=True)
    about: str = _text()
    paused: bool = False


class SkillRow(SQLModel, table=True):
    """How often a super-user answered on a topic, and how often that helped."""

    __tablename__ = "skill"
    account_id: int = Field(sa_column=Column(_Id, ForeignKey("account.id"), primary_key=True, autoincrement=False))
    topic: str = Field(primary_key=True)
    answered: int = 0
    accepted: int = 0


class SessionRow(SQLModel, table=True):
    __tablename__ = "web_session"
    token_hash: str = Field(primary_key=True)
    account_id: int = _link("account.id", index=True)
    created_at: datetime = _time()
    seen_at: datetime = _time()


class TryRow(SQLModel, table=True):
    """Wrong passwords, for the rate limit: a hash of address or account, and when."""

    __tablename__ = "sign_in_try"
    __table_args__ = (Index("try_key", "key", "at"),)
    id: int | None = _id()
    key: str
    at: datetime = _time()


class SourceRow(SQLModel, table=True):
    __tablename__ = "source"
    name: str = Field(primary_key=True)
    network: str
    cursor: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    lease_by: str | None = None
    lease_until: datetime | None = _time(nullable=True)
    state: str = "healthy"  #: healthy, throttled, broken, paused
    reason: str = _text()
    failures: int = 0
    next_poll_at: datetime | None = _time(nullable=True)
    polled_at: datetime | None = _time(nullable=True)
    polls: int = 0
    month: str = ""  #: the month that `reads` and `swept` count, as "2026-11"
    reads: int = 0  #: of polls
    swept: int = 0  #: reads of sweeps
    day: str = ""  #: the day that `day_reads` counts, as "2026-11-22"
    day_reads: int = 0  #: of polls
    pace: float | None = None  #: new mentions that are expected per second; None before the first poll
    paused: bool = False  #: by a person
    closed_until: datetime | None = _time(nullable=True)  #: the moment before which its network wants no call


class SavedQueryRow(SQLModel, table=True):
    """What people look for, in our own query language, under a name."""

    __tablename__ = "saved_query"
    __table_args__ = (
        Index(
            "saved_query_name", "name", unique=True, sqlite_where=text("deleted_at IS NULL"), postgresql_where=text("deleted_at IS NULL")
        ),
    )
    id: int | None = _id()
    name: str
    text: str = _text()
    sources: Any = _json()  #: names of the sources that listen for it
    not_by: Any = _json()  #: handles of authors that are left out
    not_saying: Any = _json()  #: words and phrases that are left out
    urgent: bool = False
    version: int = 1  #: counts its changes
    looked_to: int | None = Field(
        default=None, sa_column=Column(_Id, nullable=True)
    )  #: matched with stored mentions down to this id; 0: all
    made_by: int | None = _link("account.id", nullable=True)
    made_at: datetime = _time()
    changed_by: int | None = _link("account.id", nullable=True)
    changed_at: datetime = _time()
    deleted_at: datetime | None = _time(nullable=True)


class QueryMatchRow(SQLModel, table=True):
    """A mention that a saved query matches. No foreign keys: they are written by the thousand, and a query may vanish meanwhile."""

    __tablename__ = "query_match"
    __table_args__ = (Index("query_match_posted", "query_id", "posted_at"),)
    mention_id: int = Field(sa_column=Column(_Id, primary_key=True, autoincrement=False))
    query_id: int = Field(sa_column=Column(_Id, primary_key=True, autoincrement=False))
    posted_at: datetime = _time()


class GapRow(SQLModel, table=True):
    __tablename__ = "gap"
    id: int | None = _id()
    source: str = Field(index=True)
    since: datetime = _time()
    until: datetime = _time()
    why: str = _text()
    at: datetime = _time()
    backfill_id: int | None = _link("backfill.id", nullable=True)  #: the one that could not get it either
    closed_at: datetime | None = _time(nullable=True)  #: when a back-fill brought what was missing


class BackfillRow(SQLModel, table=True):
    """A span of a source that a person wants read again."""

    __tablename__ = "backfill"
    __table_args__ = (Index("backfill_source", "source", "state"),)
    id: int | None = _id()
    source: str
    since: datetime = _time()
    until: datetime = _time()
    state: str  #: open, done, stopped, cancelled, failed
    cursor: str | None = Field(default=None, sa_column=Column(Text, nullable=True))  #: its own; the source keeps another
    oldest: datetime | None = _time(nullable=True)
    newest: datetime | None = _time(nullable=True)
    seen: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    kept: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    reads: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    tries: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    reason: str = _text()
    by: int | None = _link("account.id", nullable=True)
    asked_at: datetime = _time()
    next_at: datetime | None = _time(nullable=True)
    settled_at: datetime | None = _time(nullable=True)
    claimed_by: str | None = None
    claimed_until: datetime | None = _time(nullable=True)


class PolicyRow(SQLModel, table=True):
    __tablename__ = "policy"
    id: int | None = _id()
    version: str = Field(unique=True)
    toml: str = _text()
    by: int | None = _link("account.id", nullable=True)
    at: datetime = _time()
    note: str = _text()


class ArticleRow(SQLModel, table=True):
    __tablename__ = "article"
    __table_args__ = (UniqueConstraint("slug"),)
    id: int | None = _id()
    slug: str
    title: str
    lang: str = "en"
    topic: str = ""
    product: str = ""
    body: str = _text()
    words: Any = _json()
    updated_at: datetime = _time()


def table(row: type[SQLModel]) -> Table:
    """The Core table behind a row class: batches are written with Core, ten times faster than through sessions."""
    return cast(Table, row.__table__)  # type: ignore[attr-defined]
