"""Cases as people see and move them. Each public method is one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, String, and_, bindparam, cast, func, literal, or_, select, update

from earshot.case import AnswerState, Case, Event, Move, Outcome, ReplyState, Sending, State, Tier
from earshot.errors import BadInput, Conflict, NotAllowed
from earshot.mention import Author, ScoredMention
from earshot.storage.credit import credit_answer
from earshot.storage.database import Database
from earshot.storage.rows import case_of, joined_author, scored_of
from earshot.storage.steps import lock_case, step, withdraw_draft
from earshot.storage.tables import (
    AccountRow,
    AnswerRow,
    AuthorRow,
    CaseRow,
    EventRow,
    LabelRow,
    MentionRow,
    OfferRow,
    ReplyRow,
    SkillRow,
    table,
)

_CASE, _EVENT, _MENTION, _AUTHOR = table(CaseRow), table(EventRow), table(MentionRow), table(AuthorRow)
_ANSWER, _REPLY, _OFFER, _LABEL = table(AnswerRow), table(ReplyRow), table(OfferRow), table(LabelRow)
_ACCOUNT, _SKILL = table(AccountRow), table(SkillRow)
_DECIDER = _ACCOUNT.alias("decider")

#: what waits for a person
WAITING = (State.REVIEW, State.QUEUED, State.OFFERED, State.ASSIGNED, State.APPROVAL)
#: replies of ours in a thread before the author must have the word
REPLY_CAP = 3


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

    # ---- reading

    def queue(
        self,
        *,
        states: Sequence[State] = WAITING,
        tiers: Sequence[Tier] = (),
        networks: Sequence[str] = (),
        assignee: int | None = None,
        due_before: datetime | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> Queue:
        """Cases in the order of their priority, the sooner due first among equals. Two statements."""
        wanted: list[ColumnElement[bool]] = [_CASE.c.state.in_([s.value for s in states])]
        if tiers:
            wanted.append(_CASE.c.tier.in_([t.value for t in tiers]))
        if networks:
            wanted.append(_CASE.c.network.in_(networks))
        if assignee is not None:
            wanted.append(_CASE.c.assignee == assignee)
        if due_before is not None:
            wanted.append(_CASE.c.due_at < due_before)
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
        """Everything the case page shows, in five statements; None when there is no such case."""
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
        return replace(
            _page(row, posts),
            answers=tuple(_written(a) for a in answers),
            events=tuple(_logged(e) for e in events),
            labels={(mention, question): now_is for mention, question, now_is in labels},
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

    # ---- moves of a person; each raises `Conflict` when the case moved meanwhile, `BadInput` when there is no such case

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
        """Put a finished case back into the queue of its tier (the community's where it had none)."""
        with self._db.writing() as connection:
            case = lock_case(connection, case_id)
            tier = case["tier"] if case["tier"] != Tier.NONE else Tier.TIER_1.value
            moved = step(connection, case, Move.REOPEN, actor=_account(by), at=now, reason=reason, data={"tier": tier}, due_at=due_at)
            return case_of(moved)

    def _move(self, case_id: int, move: Move, *, by: int, now: datetime, reason: str) -> Case:
        with self._db.writing() as connection:
            return case_of(step(connection, lock_case(connection, case_id), move, actor=_account(by), at=now, reason=reason))

    def label(self, case_id: int, mention_id: int, *, question: str, now_is: str, by: int, now: datetime, note: str = "") -> None:
        """Keep a person's correction of one score; the next model learns from it."""
        with self._db.writing() as connection:
            row = connection.execute(select(_MENTION.c.scores).where(_MENTION.c.id == mention_id, _MENTION.c.case_id == case_id)).first()
            if row is None:
                raise BadInput(f"case {case_id} has no mention {mention_id}")
            was = next((label for name, label, *_ in row.scores or () if name == question), None)
            if was is None:
                raise BadInput(f"nobody asked {question!r} of that mention")
            _label(connection, mention_id, question, was=was, now_is=now_is, by=by, at=now, note=note)

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
                    select(_EVENT).where(_EVENT.c.case_id == case_id, _EVENT.c.move != Move.JOIN).order_by(_EVENT.c.id.desc()).limit(1)
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
