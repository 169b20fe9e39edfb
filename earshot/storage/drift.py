"""What the models answered week by week, and how often people said the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection, Row, func, select
from sqlalchemy.dialects import postgresql, sqlite

from earshot.storage.bulk import rows_among
from earshot.storage.columns import stored_time
from earshot.storage.database import Database
from earshot.storage.labels import LESSON_QUESTIONS
from earshot.storage.tables import UNDERSTOOD, LabelRow, LessonRow, MentionRow, TallyRow, table

_MENTION, _TALLY, _LABEL, _LESSON = table(MentionRow), table(TallyRow), table(LabelRow), table(LessonRow)

WEEK = timedelta(days=7)
#: so many mentions of a week are looked at, spread over it: the shares are good to two in a hundred
LOOKED_AT = 2_000
#: a week is counted for good when it has been over for so long: what comes late is in by then
SETTLES = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How the scores of one week spread for one question, and what people said in its lessons."""

    week: datetime  #: its Monday, 00:00 UTC
    question: str
    mentions: int  #: looked at
    unsure: int
    labels: Mapping[str, int] = field(default_factory=dict)
    judged: int = 0  #: labels that people gave in lessons
    agreed: int = 0  #: of those, how many were ours


class Drift:
    def __init__(self, database: Database) -> None:
        self._db = database

    def weeks(self, *, questions: Collection[str], unsure_below: float, now: datetime, weeks: int = 12) -> list[Tally]:
        """Every week that was counted, oldest first, and the running one. Weeks that are over are counted once and kept."""
        running = monday(now)
        with self._db.reading() as connection:
            rows = connection.execute(select(_TALLY).where(_TALLY.c.week < running)).all()
            counted = {row.week for row in rows}
            missing = [running - n * WEEK for n in range(weeks) if running - n * WEEK not in counted]
            fresh = [tally for week in missing for tally in _count(connection, week, questions, unsure_below)]
            tallies = [*(_tally(row) for row in rows if row.question in questions), *fresh]
            judged, agreed = _agreement(connection, since=min((tally.week for tally in tallies), default=running))
        self._keep([tally for tally in fresh if tally.week + WEEK + SETTLES <= now])
        with_people = [replace(t, judged=judged[t.week, t.question], agreed=agreed[t.week, t.question]) for t in tallies]
        return sorted(with_people, key=lambda tally: (tally.week, tally.question))

    def _keep(self, tallies: Sequence[Tally]) -> None:
        if not tallies:
            return
        insert = (sqlite if self._db.is_sqlite else postgresql).insert(_TALLY).on_conflict_do_nothing()
        rows = [{"week": t.week, "question": t.question, "mentions": t.mentions, "unsure": t.unsure, "labels": t.labels} for t in tallies]
        with self._db.writing() as connection:
            connection.execute(insert, rows)


def monday(moment: datetime) -> datetime:
    """When the week of `moment` began."""
    return (moment - timedelta(days=moment.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)


def _agreement(connection: Connection, *, since: datetime) -> tuple[Counter[tuple[datetime, str]], Counter[tuple[datetime, str]]]:
    """(week, question) -> how many labels people gave, how many were ours: the last word on each lesson.

    Corrections elsewhere are no measure: nobody corrects what is right.
    """
    said = (
        select(_LABEL.c.mention_id, _LABEL.c.question, _LABEL.c.was, _LABEL.c.now_is, _LABEL.c.at)
        .join(_LESSON, _LESSON.c.mention_id == _LABEL.c.mention_id)
        .where(_LABEL.c.question.in_(LESSON_QUESTIONS), _LABEL.c.at >= since)
        .order_by(_LABEL.c.id)
    )
    last = {(row.mention_id, row.question): row for row in connection.execute(said)}.values()
    judged = Counter((monday(row.at), row.question) for row in last)
    agreed = Counter((monday(row.at), row.question) for row in last if row.was == row.now_is)
    return judged, agreed


def _tally(row: Row[tuple[object, ...]]) -> Tally:
    return Tally(week=row.week, question=row.question, mentions=row.mentions, unsure=row.unsure, labels=row.labels or {})


def _count(connection: Connection, week: datetime, questions: Collection[str], unsure_below: float) -> list[Tally]:
    within = (_MENTION.c.posted_at >= week, _MENTION.c.posted_at < week + WEEK)
    first, last = connection.execute(select(func.min(_MENTION.c.id), func.max(_MENTION.c.id)).where(*within)).one()
    if first is None:
        return []
    step = -(-(last - first + 1) // LOOKED_AT)
    rows = rows_among(connection, _MENTION, ("posted_at", "scores"), "id", list(range(first, last + 1, step)), stage=UNDERSTOOD)
    begins, ends = stored_time(week) or 0, stored_time(week + WEEK) or 0
    mentions, unsure = Counter[str](), Counter[str]()
    labels: dict[str, Counter[str]] = {name: Counter() for name in questions}
    for posted_at, packed in rows:
        if not (begins <= posted_at < ends and packed):
            continue
        for name, label, _, confidence, *_ in msgspec.json.decode(packed):
            if name in questions:
                mentions[name] += 1
                unsure[name] += confidence < unsure_below
                labels[name][label] += 1
    return [
        Tally(week=week, question=name, mentions=n, unsure=unsure[name], labels=dict(labels[name])) for name, n in sorted(mentions.items())
    ]
