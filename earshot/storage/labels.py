"""What people teach: the labels they give, and what their work says without a word. Each public method is one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import chain
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection, Select, and_, func, select, update

from earshot.case import AnswerState, Move, PassReason, Tier
from earshot.errors import BadInput, Conflict
from earshot.storage.accounts import Role
from earshot.storage.database import Database
from earshot.storage.tables import UNDERSTOOD, AccountRow, AnswerRow, CaseRow, EventRow, LabelRow, LessonRow, MentionRow, table

_LABEL, _LESSON, _MENTION, _CASE = table(LabelRow), table(LessonRow), table(MentionRow), table(CaseRow)
_EVENT, _ANSWER, _ACCOUNT = table(EventRow), table(AnswerRow), table(AccountRow)

#: what a lesson asks about a mention
LESSON_QUESTIONS = ("intent", "needs", "anger", "asks")
#: labels that hang on a step of the case and go with it
_OF_A_STEP = ("tier", "pass")
#: what a pass says of the mention
_PASSED = {PassReason.TOO_ANGRY.value: ("anger", "angry"), PassReason.TOO_TECHNICAL.value: ("needs", "specialist")}
#: what an answer of a super-user that helped says of the mention: it was asked, and an experienced customer could answer
_BORNE_OUT = {"asks": "yes", "needs": "common", "tier": Tier.COMMUNITY.value}


class Kind(StrEnum):
    CORRECTION = "correction"
    CONFIRMATION = "confirmation"  #: a person kept what we said, or the author bore it out


class Taught(Struct, frozen=True, kw_only=True):
    """One question about one mention, answered by people. There is one for each (mention, question)."""

    mention_id: int
    text: str  #: as the author wrote it
    lang: str  #: as a person said, else as we understood; "unsure" where nobody knows
    question: str  #: a classifier's name, or "tier"
    label: str  #: what people say
    was: str  #: what we said; "" where we did not
    kind: Kind
    at: datetime


class Labels:
    def __init__(self, database: Database) -> None:
        self._db = database

    def keep(
        self, mention_id: int, labels: Mapping[str, str], *, by: int, now: datetime, case_id: int | None = None, note: str = ""
    ) -> None:
        """Keep what a person says of a mention: question -> label. The history of its case tells it.

        Raises `BadInput` when there is no such mention (in `case_id`, where given), or nobody asked one of the questions of it.
        """
        with self._db.writing() as connection:
            mention = _understood(connection, mention_id)
            if case_id not in (None, mention.case_id):
                raise BadInput(f"case {case_id} has no mention {mention_id}")
            ours = _ours(mention.scores)
            if odd := sorted(labels.keys() - ours.keys()):
                raise BadInput(f"nobody asked {', '.join(odd)!r} of that mention")
            rows = [
                {"mention_id": mention_id, "question": question, "was": ours[question], "now_is": label, "by": by, "at": now, "note": note}
                for question, label in labels.items()
            ]
            connection.execute(_LABEL.insert(), rows)
            said = ", ".join(f"{question.replace('_', ' ')} is {label}" for question, label in labels.items())
            _tell(connection, mention, Move.LABEL, said, by=by, now=now, labels=dict(labels))
            if _answered(connection, mention_id) >= set(LESSON_QUESTIONS):
                _mark(connection, mention_id, "taught", by=by, now=now)

    def skip(self, mention_id: int, *, by: int, now: datetime) -> None:
        """Leave a lesson aside for good. Raises `BadInput` where there is none."""
        with self._db.writing() as connection:
            if not _mark(connection, mention_id, "skipped", by=by, now=now):
                raise BadInput(f"mention {mention_id} is no lesson")

    def take_back(self, mention_id: int, *, by: int, now: datetime) -> None:
        """Take back what this person said last of a mention, all of it where it was said at once, or that they skipped it.

        Raises `Conflict` when they said nothing.
        """
        with self._db.writing() as connection:
            mention = _understood(connection, mention_id)
            if _reopen(connection, mention_id, _LESSON.c.state == "skipped", _LESSON.c.by == by):
                return
            mine = and_(_LABEL.c.mention_id == mention_id, _LABEL.c.by == by, _LABEL.c.question.not_in(_OF_A_STEP))
            latest = select(func.max(_LABEL.c.at)).where(mine).scalar_subquery()
            taken = connection.execute(_LABEL.delete().where(mine, _LABEL.c.at == latest).returning(_LABEL.c.question)).scalars().all()
            if not taken:
                raise Conflict("there is nothing of yours to take back")
            _tell(connection, mention, Move.UNLABEL, ", ".join(sorted(taken)).replace("_", " "), by=by, now=now)
            if not _answered(connection, mention_id) >= set(LESSON_QUESTIONS):
                _reopen(connection, mention_id, _LESSON.c.state == "taught")

    def taught(self, *, since: datetime | None = None) -> list[Taught]:
        """All that people taught (since then), oldest first, in five statements. Where several speak of one question, an explicit label
        counts more than what a person's work implies, and the later more than the earlier. Deleted mentions teach nothing.
        """
        found: dict[tuple[int, str], Taught] = {}
        languages: dict[int, str] = {}
        with self._db.reading() as connection:
            connection = connection.execution_options(yield_per=2_000)  # scores are large: none is kept
            for lesson in chain(_borne_out(connection), _confirmed(connection), _passed(connection), _said(connection)):
                found[lesson.mention_id, lesson.question] = lesson
                if lesson.question == "language":
                    languages[lesson.mention_id] = lesson.label
        kept = (_in_language(lesson, languages) for lesson in found.values() if since is None or lesson.at >= since)
        return sorted(kept, key=lambda lesson: (lesson.at, lesson.mention_id, lesson.question))


def _in_language(lesson: Taught, languages: Mapping[int, str]) -> Taught:
    return replace(lesson, lang=languages[lesson.mention_id]) if lesson.mention_id in languages else lesson


def _understood(connection: Connection, mention_id: int) -> Any:
    wanted = select(_MENTION.c.id, _MENTION.c.scores, _MENTION.c.case_id)
    row = connection.execute(wanted.where(_MENTION.c.id == mention_id, _MENTION.c.stage == UNDERSTOOD)).first()
    if row is None:
        raise BadInput(f"there is no mention {mention_id}, or it was deleted on its network")
    return row


def _ours(scores: Sequence[Sequence[Any]] | None) -> dict[str, str]:
    return {name: label for name, label, *_ in scores or ()}


def _tell(connection: Connection, mention: Any, move: Move, reason: str, *, by: int, now: datetime, **data: Any) -> None:
    if mention.case_id is not None:
        connection.execute(
            _EVENT.insert().values(
                case_id=mention.case_id, at=now, actor=f"account:{by}", move=move.value, reason=reason, data={"mention": mention.id, **data}
            )
        )


def _answered(connection: Connection, mention_id: int) -> set[str]:
    return set(connection.execute(select(_LABEL.c.question).where(_LABEL.c.mention_id == mention_id)).scalars())


def _mark(connection: Connection, mention_id: int, state: str, *, by: int, now: datetime) -> bool:
    """Close an open lesson; False where there is none."""
    is_open = and_(_LESSON.c.mention_id == mention_id, _LESSON.c.state == "open")
    return connection.execute(update(_LESSON).where(is_open).values(state=state, by=by, at=now)).rowcount == 1


def _reopen(connection: Connection, mention_id: int, *where: ColumnElement[bool]) -> bool:
    closed = update(_LESSON).where(_LESSON.c.mention_id == mention_id, *where)
    return connection.execute(closed.values(state="open", by=None, at=None)).rowcount == 1


# ---- what was taught, the weakest evidence first


def _borne_out(connection: Connection) -> Iterator[Taught]:
    """Answers of super-users that helped."""
    helped = (
        select(_MENTION.c.id, _MENTION.c.text, _MENTION.c.scores, _ANSWER.c.written_at, _CASE.c.tier)
        .join(_CASE, _CASE.c.mention_id == _MENTION.c.id)
        .join(_ANSWER, and_(_ANSWER.c.case_id == _CASE.c.id, _ANSWER.c.state == AnswerState.APPROVED.value, _ANSWER.c.accepted))
        .join(_ACCOUNT, and_(_ACCOUNT.c.id == _ANSWER.c.by, _ACCOUNT.c.role == Role.SUPER_USER.value))
        .where(_MENTION.c.stage == UNDERSTOOD, _CASE.c.tier == Tier.COMMUNITY.value)
        .order_by(_ANSWER.c.id)
    )
    for row in connection.execute(helped):
        ours = _ours(row.scores) | {"tier": row.tier}
        for question, label in _BORNE_OUT.items():
            yield _taught(row, question, label, was=ours.get(question, ""), at=row.written_at)


def _confirmed(connection: Connection) -> Iterator[Taught]:
    """Proposed tiers that a person kept and did not take back. Other tiers are labels."""
    by_people = (_EVENT.c.actor.startswith("account:"), _EVENT.c.move == Move.UNDO)
    undone = {data.get("undoes") for data in connection.execute(select(_EVENT.c.data).where(*by_people)).scalars()}
    for row in connection.execute(_reviews().order_by(_EVENT.c.id)):
        if row.event_id not in undone and row.data["was"]["tier"] == row.data.get("tier"):
            yield _taught(row, "tier", row.data["tier"], was=row.data["tier"], at=row.at)


def _reviews() -> Select[Any]:
    return (
        select(_MENTION.c.id, _MENTION.c.text, _MENTION.c.scores, _EVENT.c.id.label("event_id"), _EVENT.c.at, _EVENT.c.data)
        .join(_CASE, _CASE.c.id == _EVENT.c.case_id)
        .join(_MENTION, _MENTION.c.id == _CASE.c.mention_id)
        .where(_EVENT.c.move == Move.QUEUE, _EVENT.c.actor.startswith("account:"), _MENTION.c.stage == UNDERSTOOD)
    )


def _passed(connection: Connection) -> Iterator[Taught]:
    """Passes whose reason says something of the mention."""
    for row in connection.execute(_labels(_LABEL.c.question == "pass")):
        if row.now_is in _PASSED:
            question, label = _PASSED[row.now_is]
            yield _taught(row, question, label, was=_ours(row.scores).get(question, ""), at=row.at)


def _said(connection: Connection) -> Iterator[Taught]:
    for row in connection.execute(_labels(_LABEL.c.question != "pass")):
        yield _taught(row, row.question, row.now_is, was=row.was, at=row.at)


def _labels(wanted: ColumnElement[bool]) -> Select[Any]:
    return (
        select(_MENTION.c.id, _MENTION.c.text, _MENTION.c.scores, _LABEL.c.question, _LABEL.c.was, _LABEL.c.now_is, _LABEL.c.at)
        .join(_MENTION, _MENTION.c.id == _LABEL.c.mention_id)
        .where(_MENTION.c.stage == UNDERSTOOD, wanted)
        .order_by(_LABEL.c.id)
    )


def _taught(row: Any, question: str, label: str, *, was: str, at: datetime) -> Taught:
    return Taught(
        mention_id=row.id,
        text=row.text,
        lang=_ours(row.scores).get("language", "unsure"),
        question=question,
        label=label,
        was=was,
        kind=Kind.CONFIRMATION if label == was else Kind.CORRECTION,
        at=at,
    )
