"""What is known of cases: the queue and its order, the case page, what helped before. Each public method is one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, String, and_, bindparam, cast, func, literal, or_, select, update

from earshot.case import AnswerState, Case, Event, Move, ReplyState, State, Tier
from earshot.errors import BadInput
from earshot.mention import Author, ScoredMention
from earshot.storage.database import Database
from earshot.storage.edits import Version, versions_of
from earshot.storage.rows import case_of, joined_author, scored_of
from earshot.storage.tables import AccountRow, AnswerRow, AuthorRow, CaseRow, EventRow, LabelRow, MentionRow, QueryMatchRow, ReplyRow, table

_CASE, _EVENT, _MENTION, _AUTHOR = table(CaseRow), table(EventRow), table(MentionRow), table(AuthorRow)
_ANSWER, _REPLY, _LABEL, _ACCOUNT = table(AnswerRow), table(ReplyRow), table(LabelRow), table(AccountRow)
_MATCH = table(QueryMatchRow)
_DECIDER = _ACCOUNT.alias("decider")

#: what waits for a person
WAITING = (State.REVIEW, State.QUEUED, State.OFFERED, State.ASSIGNED, State.APPROVAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueItem:
    """One row of the queue."""

    case: Case
    handle: str
    name: str
    influence: float | None
    followers: int | None
    text: str
    url: str  #: where it stands
    posted_at: datetime
    anger: str
    intent: str
    mentions: int
    copies: int  #: near copies of its first mention, other people's reposts too
    parts: tuple[tuple[str, float, str], ...]  #: what the priority is made of: (name, amount, words)
    assignee_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingCase:
    """What the order of the queue is made of."""

    id: int
    priority: float
    parts: tuple[tuple[str, float, str], ...]
    due_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A page of the queue: its rows, how many there are in all, and how many per (state, tier)."""

    items: tuple[QueueItem, ...]
    total: int
    counts: Mapping[tuple[State, Tier], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadPost:
    """A post of the thread as we know it."""

    id: int
    author_id: int | None
    scored: ScoredMention
    in_case: bool
    copies: int  #: near copies that are counted here
    is_edited: bool = False  #: since we heard it


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenAnswer:
    """An answer, who wrote it, and what became of it on the network."""

    id: int
    by: int
    by_name: str
    text: str
    state: AnswerState
    written_at: datetime
    note: str
    accepted: bool | None
    reply_state: ReplyState | None
    reply_url: str
    reply_error: str
    sent_at: datetime | None
    decided_by_name: str | None  #: who approved it or gave it back, where that was somebody else


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEvent:
    id: int
    event: Event
    actor_name: str | None  #: the account's name, None where the house acted


@dataclass(frozen=True, slots=True, kw_only=True)
class CasePage:
    """Everything known of a case and its author."""

    case: Case
    parts: tuple[tuple[str, float, str], ...]
    replies: int
    author: Author | None
    author_id: int | None
    influence: float | None
    assignee_name: str | None
    posts: tuple[ThreadPost, ...]  #: oldest first; posts of the case first when the thread is long
    answers: tuple[WrittenAnswer, ...] = ()
    events: tuple[LoggedEvent, ...] = ()
    labels: Mapping[tuple[int, str], str] = field(default_factory=dict)  #: (mention, question) -> what a person said it is
    versions: Mapping[int, tuple[Version, ...]] = field(default_factory=dict)  #: mention -> what it said before it was edited


@dataclass(frozen=True, slots=True, kw_only=True)
class SolvedCase:
    """A past case with the answer that helped, to be shown beside a similar one."""

    id: int
    text: str
    lang: str
    topics: tuple[str, ...]
    answer: str
    accepted: bool


class Cases:
    def __init__(self, database: Database) -> None:
        self._db = database

    def queue(
        self,
        *,
        states: Sequence[State] = WAITING,
        tiers: Sequence[Tier] = (),
        networks: Sequence[str] = (),
        assignee: int | None = None,
        due_before: datetime | None = None,
        queries: Sequence[int] = (),
        limit: int = 50,
        offset: int = 0,
    ) -> Queue:
        """Cases in the order of their priority, the sooner due first among equals. Two statements.

        `queries`: only those with a mention that matches one of these saved queries.
        """
        wanted: list[ColumnElement[bool]] = [_CASE.c.state.in_([s.value for s in states])]
        if tiers:
            wanted.append(_CASE.c.tier.in_([t.value for t in tiers]))
        if networks:
            wanted.append(_CASE.c.network.in_(networks))
        if assignee is not None:
            wanted.append(_CASE.c.assignee == assignee)
        if due_before is not None:
            wanted.append(_CASE.c.due_at < due_before)
        if queries:
            own = _MENTION.alias("own")
            matched = select(own.c.id).join(_MATCH, _MATCH.c.mention_id == own.c.id)
            wanted.append(matched.where(own.c.case_id == _CASE.c.id, _MATCH.c.query_id.in_(queries)).exists())
        with self._db.reading() as connection:
            rows = connection.execute(_queue_rows(wanted).limit(limit).offset(offset)).mappings().all()
            counted = connection.execute(
                select(_CASE.c.state, _CASE.c.tier, func.count())
                .where(_CASE.c.state.in_([s.value for s in WAITING]))
                .group_by(_CASE.c.state, _CASE.c.tier)
            ).all()
        counts = {(State(state), Tier(tier)): n for state, tier, n in counted}
        total = rows[0]["total"] if rows else 0
        return Queue(items=tuple(_queue_item(row) for row in rows), total=total, counts=counts)

    def page(self, case_id: int) -> CasePage | None:
        """Everything the case page shows, in five statements, one more where posts were edited; None when there is no such case."""
        with self._db.reading() as connection:
            row = connection.execute(_one_case(case_id)).mappings().first()
            if row is None:
                return None
            posts = _thread(connection, row)
            answers = connection.execute(_answers(case_id)).mappings().all()
            events = connection.execute(_events(case_id)).mappings().all()
            labels = connection.execute(
                select(_LABEL.c.mention_id, _LABEL.c.question, _LABEL.c.now_is)
                .where(_LABEL.c.mention_id.in_([p.id for p in posts]))
                .order_by(_LABEL.c.id)
            ).all()
            versions = versions_of(connection, [post.id for post in posts if post.is_edited])
        return replace(
            _page(row, posts),
            answers=tuple(_written(a) for a in answers),
            events=tuple(_logged(e) for e in events),
            labels={(mention, question): now_is for mention, question, now_is in labels},
            versions=versions,
        )

    def glance(self, case_id: int) -> CasePage | None:
        """The case and its thread alone, in two statements: enough to look for similar ones."""
        with self._db.reading() as connection:
            row = connection.execute(_one_case(case_id)).mappings().first()
            return None if row is None else _page(row, _thread(connection, row))

    def conversation(self, case_id: int) -> CasePage | None:
        """The case, its thread and its answers, in three statements: what a super-user sees of it."""
        with self._db.reading() as connection:
            row = connection.execute(_one_case(case_id)).mappings().first()
            if row is None:
                return None
            page = _page(row, _thread(connection, row))
            return replace(page, answers=tuple(_written(a) for a in connection.execute(_answers(case_id)).mappings()))

    def heard_by(self, case_id: int) -> str | None:
        """The source that brought the latest post of the case."""
        latest = select(_MENTION.c.source).where(_MENTION.c.case_id == case_id).order_by(_MENTION.c.id.desc()).limit(1)
        with self._db.reading() as connection:
            return connection.execute(latest).scalar()

    def get(self, case_id: int) -> Case:
        """The case alone. Raises `BadInput` when there is none."""
        with self._db.reading() as connection:
            row = connection.execute(select(_CASE).where(_CASE.c.id == case_id)).mappings().first()
        if row is None:
            raise BadInput(f"there is no case {case_id}")
        return case_of(row)

    def solved(self, *, topics: Sequence[str], lang: str, limit: int = 200) -> list[SolvedCase]:
        """The latest solved or answered cases of a language, for the search of similar ones; same topics first."""
        statement = (
            select(_CASE.c.id, _MENTION.c.text, _CASE.c.lang, _CASE.c.topics, _ANSWER.c.text.label("answer"), _ANSWER.c.accepted)
            .join(_MENTION, _MENTION.c.id == _CASE.c.mention_id)
            .join(_ANSWER, and_(_ANSWER.c.case_id == _CASE.c.id, _ANSWER.c.state == AnswerState.APPROVED))
            .where(_CASE.c.state.in_([State.SOLVED, State.ANSWERED]), _CASE.c.lang == lang)
            .order_by(_CASE.c.id.desc())
            .limit(limit)
        )
        with self._db.reading() as connection:
            rows = connection.execute(statement).mappings().all()
        found = [
            SolvedCase(
                id=r["id"],
                text=r["text"],
                lang=r["lang"],
                topics=tuple(r["topics"] or ()),
                answer=r["answer"],
                accepted=bool(r["accepted"]),
            )
            for r in rows
        ]
        wanted = set(topics)
        return sorted(found, key=lambda case: not wanted & set(case.topics))

    def events(self, case_id: int) -> list[Event]:
        with self._db.reading() as connection:
            return [_logged(row).event for row in connection.execute(_events(case_id)).mappings()]

    def last_event(self) -> int:
        """Id of the newest event: it moves whenever any case does."""
        with self._db.reading() as connection:
            return int(connection.execute(select(func.coalesce(func.max(_EVENT.c.id), 0))).scalar_one())

    def overdue(self, now: datetime, *, limit: int = 500) -> list[Case]:
        """Cases past their due time that a tier owns and that can still go up, oldest due first."""
        statement = (
            select(_CASE)
            .where(_CASE.c.state.in_([State.QUEUED, State.OFFERED, State.ASSIGNED, State.APPROVAL]))
            .where(_CASE.c.due_at < now, _CASE.c.tier.in_([Tier.COMMUNITY, Tier.TIER_1]))
            .order_by(_CASE.c.due_at)
            .limit(limit)
        )
        with self._db.reading() as connection:
            return [case_of(row) for row in connection.execute(statement).mappings()]

    def waiting(self, *, limit: int = 5_000) -> list[WaitingCase]:
        """The cases whose order may have changed with time, soonest due first."""
        statement = select(_CASE.c.id, _CASE.c.priority, _CASE.c.parts, _CASE.c.due_at).where(_CASE.c.state.in_([s.value for s in WAITING]))
        with self._db.reading() as connection:
            rows = connection.execute(statement.order_by(_CASE.c.due_at).limit(limit))
            return [WaitingCase(id=row.id, priority=row.priority, parts=_parts(row.parts), due_at=row.due_at) for row in rows]

    def set_priorities(self, fresh: Mapping[int, tuple[float, tuple[tuple[str, float, str], ...]]]) -> None:
        """Write the priorities that changed, in one batch."""
        if not fresh:
            return
        statement = update(_CASE).where(_CASE.c.id == bindparam("b_id")).values(priority=bindparam("b_value"), parts=bindparam("b_parts"))
        rows = [{"b_id": id_, "b_value": value, "b_parts": parts} for id_, (value, parts) in sorted(fresh.items())]
        with self._db.writing() as connection:
            connection.execute(statement, rows)


def _queue_rows(wanted: Sequence[ColumnElement[bool]]) -> Any:
    return (
        select(
            _CASE,
            _AUTHOR.c.handle,
            _AUTHOR.c.name,
            _AUTHOR.c.influence,
            _AUTHOR.c.followers,
            func.substr(_MENTION.c.text, 1, 600).label("text"),
            _MENTION.c.url,
            _MENTION.c.posted_at,
            _ACCOUNT.c.name.label("assignee_name"),
            _copies_of(_CASE.c.mention_id),
            func.count().over().label("total"),
        )
        .join(_MENTION, _MENTION.c.id == _CASE.c.reply_to)
        .outerjoin(_AUTHOR, _AUTHOR.c.id == _CASE.c.author_id)
        .outerjoin(_ACCOUNT, _ACCOUNT.c.id == _CASE.c.assignee)
        .where(*wanted)
        .order_by(_CASE.c.priority.desc(), _CASE.c.due_at, _CASE.c.id)
    )


def _copies_of(mention_id: ColumnElement[int]) -> Any:
    copy = _MENTION.alias("copy")
    return select(func.count()).where(copy.c.copy_of == mention_id).scalar_subquery().label("copies")


def _parts(packed: list[list[Any]] | None) -> tuple[tuple[str, float, str], ...]:
    return tuple((name, amount, words) for name, amount, words in packed or ())


def _queue_item(row: RowMapping) -> QueueItem:
    return QueueItem(
        case=case_of(row),
        handle=row["handle"] or "",
        name=row["name"] or "",
        influence=row["influence"],
        followers=row["followers"],
        text=row["text"],
        url=row["url"],
        posted_at=row["posted_at"],
        anger=row["anger"],
        intent=row["intent"],
        mentions=row["mentions"],
        copies=row["copies"],
        parts=_parts(row["parts"]),
        assignee_name=row["assignee_name"],
    )


def _one_case(case_id: int) -> Any:
    author = [column.label(f"by_{column.name}") for column in _AUTHOR.c if column.name != "influence"]
    return (
        select(
            _CASE,
            _CASE.c.replies.label("our_replies"),
            *author,
            _AUTHOR.c.influence,
            _ACCOUNT.c.name.label("assignee_name"),
            _MENTION.c.thread_id,
        )
        .join(_MENTION, _MENTION.c.id == _CASE.c.mention_id)
        .outerjoin(_AUTHOR, _AUTHOR.c.id == _CASE.c.author_id)
        .outerjoin(_ACCOUNT, _ACCOUNT.c.id == _CASE.c.assignee)
        .where(_CASE.c.id == case_id)
    )


def _page(row: RowMapping, posts: tuple[ThreadPost, ...]) -> CasePage:
    return CasePage(
        case=case_of(row),
        parts=_parts(row["parts"]),
        replies=row["our_replies"],
        author=joined_author(row),
        author_id=row["author_id"],
        influence=row["influence"],
        assignee_name=row["assignee_name"],
        posts=posts,
    )


def _thread(connection: Connection, case: RowMapping, *, limit: int = 60) -> tuple[ThreadPost, ...]:
    belongs = _MENTION.c.case_id == case["id"]
    if case["thread_id"] is not None:
        belongs = or_(belongs, and_(_MENTION.c.network == case["network"], _MENTION.c.thread_id == case["thread_id"]))
    author = [column.label(f"by_{column.name}") for column in _AUTHOR.c]
    rows = connection.execute(
        select(_MENTION, *author, _copies_of(_MENTION.c.id))
        .outerjoin(_AUTHOR, _AUTHOR.c.id == _MENTION.c.author_id)
        .where(belongs)
        .order_by((_MENTION.c.case_id == case["id"]).desc(), _MENTION.c.posted_at)
        .limit(limit)
    ).mappings()
    posts = [
        ThreadPost(
            id=row["id"],
            author_id=row["author_id"],
            scored=scored_of(row, joined_author(row)),
            in_case=row["case_id"] == case["id"],
            copies=row["copies"],
            is_edited=row["edits"] > 0,
        )
        for row in rows
    ]
    return tuple(sorted(posts, key=lambda post: (post.scored.mention.posted_at, post.id)))


def _answers(case_id: int) -> Any:
    return (
        select(
            _ANSWER,
            _ACCOUNT.c.name.label("by_name"),
            _DECIDER.c.name.label("decided_by_name"),
            _REPLY.c.state.label("reply_state"),
            _REPLY.c.url,
            _REPLY.c.error,
            _REPLY.c.settled_at,
        )
        .join(_ACCOUNT, _ACCOUNT.c.id == _ANSWER.c.by)
        .outerjoin(_DECIDER, and_(_DECIDER.c.id == _ANSWER.c.decided_by, _DECIDER.c.id != _ANSWER.c.by))
        .outerjoin(_REPLY, _REPLY.c.answer_id == _ANSWER.c.id)
        .where(_ANSWER.c.case_id == case_id)
        .order_by(_ANSWER.c.id)
    )


def _written(row: RowMapping) -> WrittenAnswer:
    return WrittenAnswer(
        id=row["id"],
        by=row["by"],
        by_name=row["by_name"],
        text=row["text"],
        state=AnswerState(row["state"]),
        written_at=row["written_at"],
        note=row["note"],
        accepted=row["accepted"],
        reply_state=ReplyState(row["reply_state"]) if row["reply_state"] else None,
        reply_url=row["url"] or "",
        reply_error=row["error"] or "",
        sent_at=row["settled_at"] if row["reply_state"] == ReplyState.SENT else None,
        decided_by_name=row["decided_by_name"],
    )


def _events(case_id: int) -> Any:
    is_account = _EVENT.c.actor == literal("account:").concat(cast(_ACCOUNT.c.id, String))
    return (
        select(_EVENT, _ACCOUNT.c.name.label("actor_name"))
        .outerjoin(_ACCOUNT, is_account)
        .where(_EVENT.c.case_id == case_id)
        .order_by(_EVENT.c.id)
    )


def _logged(row: RowMapping) -> LoggedEvent:
    event = Event(
        case_id=row["case_id"], at=row["at"], actor=row["actor"], move=Move(row["move"]), reason=row["reason"], data=row["data"] or {}
    )
    return LoggedEvent(id=row["id"], event=event, actor_name=row["actor_name"])
