"""The day's lessons: the few posts from which the models would learn most, put before people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import RowMapping, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from earshot.mention import ScoredMention
from earshot.storage.database import Database
from earshot.storage.labels import LESSON_QUESTIONS
from earshot.storage.rows import joined_author, scored_of
from earshot.storage.tables import UNDERSTOOD, AccountRow, AuthorRow, LabelRow, LessonRow, MentionRow, table

_LESSON, _MENTION, _AUTHOR, _LABEL = table(LessonRow), table(MentionRow), table(AuthorRow), table(LabelRow)
_ACCOUNT = table(AccountRow)

A_DAY = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One post to be asked about, with what we said and what people said so far."""

    mention_id: int
    case_id: int | None
    state: str  #: open, taught, skipped
    by_name: str | None  #: who taught or skipped it
    by: int | None
    scored: ScoredMention
    said: Mapping[str, str]  #: question -> label

    @property
    def is_open(self) -> bool:
        return self.state == "open"


class Lessons:
    def __init__(self, database: Database) -> None:
        self._db = database

    def of_day(self, day: date) -> list[Lesson]:
        """The lessons of a day in their order, those left out whose post was deleted meanwhile. Two statements."""
        author = [column.label(f"by_{column.name}") for column in _AUTHOR.c]
        wanted = (
            select(_MENTION, *author, _LESSON.c.state, _LESSON.c.by.label("taught_by"), _ACCOUNT.c.name.label("taught_by_name"))
            .join(_LESSON, _LESSON.c.mention_id == _MENTION.c.id)
            .outerjoin(_AUTHOR, _AUTHOR.c.id == _MENTION.c.author_id)
            .outerjoin(_ACCOUNT, _ACCOUNT.c.id == _LESSON.c.by)
            .where(_LESSON.c.day == day.isoformat(), _MENTION.c.stage == UNDERSTOOD)
            .order_by(_LESSON.c.place)
        )
        with self._db.reading() as connection:
            rows = connection.execute(wanted).mappings().all()
            labels = connection.execute(
                select(_LABEL.c.mention_id, _LABEL.c.question, _LABEL.c.now_is)
                .where(_LABEL.c.mention_id.in_([row["id"] for row in rows]))
                .order_by(_LABEL.c.id)
            ).all()
        said: dict[int, dict[str, str]] = {}
        for mention_id, question, now_is in labels:
            said.setdefault(mention_id, {})[question] = now_is
        return [_lesson(row, said.get(row["id"], {})) for row in rows]

    def candidates(self, *, day: date, since: datetime, until: datetime, most: int = 3_000) -> list[tuple[int, ScoredMention]]:
        """(id, mention) of the newest posts that nobody labelled or skipped, and that are no lesson of `day`; near copies are left out."""
        known = select(_LABEL.c.mention_id).where(_LABEL.c.question.in_(LESSON_QUESTIONS))
        settled = select(_LESSON.c.mention_id).where(or_(_LESSON.c.day == day.isoformat(), _LESSON.c.state != "open"))
        wanted = (
            select(_MENTION)
            .where(_MENTION.c.posted_at > since, _MENTION.c.posted_at <= until, _MENTION.c.stage == UNDERSTOOD)
            .where(_MENTION.c.copy_of.is_(None), _MENTION.c.repost_of.is_(None))
            .where(_MENTION.c.id.not_in(known), _MENTION.c.id.not_in(settled))
            .order_by(_MENTION.c.posted_at.desc())
            .limit(most)
        )
        with self._db.reading() as connection:
            return [(row["id"], scored_of(row, None)) for row in connection.execute(wanted).mappings()]

    def add(self, mention_ids: Sequence[int], *, day: date) -> None:
        """Put mentions before people on that day, after those that are there; never more than `A_DAY` in all, and none twice.

        What nobody got round to on earlier days makes room: it is a lesson again when it still teaches most.
        """
        insert = (sqlite if self._db.is_sqlite else postgresql).insert(_LESSON).on_conflict_do_nothing()
        with self._db.writing() as connection:
            connection.execute(_LESSON.delete().where(_LESSON.c.day < day.isoformat(), _LESSON.c.state == "open"))
            taken = connection.execute(select(func.count()).where(_LESSON.c.day == day.isoformat())).scalar_one()
            places = range(taken, A_DAY)
            rows = [
                {"mention_id": id_, "day": day.isoformat(), "place": place, "state": "open"}
                for id_, place in zip(mention_ids, places, strict=False)
            ]
            if rows:
                connection.execute(insert, rows)


def _lesson(row: RowMapping, said: Mapping[str, str]) -> Lesson:
    return Lesson(
        mention_id=row["id"],
        case_id=row["case_id"],
        state=row["state"],
        by=row["taught_by"],
        by_name=row["taught_by_name"],
        scored=scored_of(row, joined_author(row)),
        said=said,
    )
