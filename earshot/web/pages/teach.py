"""Ten posts a day from which the models would learn most, one at a time. What we think of them is not shown: it would be an easy answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

from fastapi import Form
from fastapi.responses import Response

from earshot.errors import BadInput, Conflict
from earshot.storage.labels import LESSON_QUESTIONS
from earshot.storage.lessons import A_DAY, Lesson
from earshot.web import words
from earshot.web.pages.case import MentionId
from earshot.web.site import may_enter
from earshot.web.visit import Visit, Visiting

#: a quiet day is filled from the days before
LOOK_BACK = timedelta(days=7)


def teach(visit: Visiting) -> Response:
    lessons = _lessons(visit)
    return visit.page(
        "teach_list.html" if visit.is_partial else "teach.html",
        lesson=next((lesson for lesson in lessons if lesson.is_open), None),
        done=[lesson for lesson in lessons if not lesson.is_open],
        total=len(lessons),
        may_see_blind_spots=may_enter(visit.me.role, "/blind-spots"),
        questions={question: words.LABELS[question] for question in LESSON_QUESTIONS},
    )


def label(visit: Visiting, mention_id: MentionId, question: Annotated[str, Form()], now_is: Annotated[str, Form()]) -> Response:
    if question not in LESSON_QUESTIONS or now_is not in words.LABELS[question]:
        raise BadInput(f"{question[:40]!r} cannot be {now_is[:40]!r}")
    lesson = _lesson(visit, mention_id)
    visit.store.labels.keep(mention_id, {question: now_is}, by=visit.me.id, now=visit.now)
    is_last = not set(LESSON_QUESTIONS) - {*lesson.said, question}
    said = "That post is taught." if is_last else f"{words.QUESTIONS[question]}: {words.label(question, now_is)}."
    return visit.done(said, to="/teach", undo=f"/teach/{mention_id}/undo")


def skip(visit: Visiting, mention_id: MentionId) -> Response:
    visit.store.labels.skip(_lesson(visit, mention_id).mention_id, by=visit.me.id, now=visit.now)
    return visit.done("Skipped.", to="/teach", undo=f"/teach/{mention_id}/undo")


def undo(visit: Visiting, mention_id: MentionId) -> Response:
    visit.store.labels.take_back(_lesson(visit, mention_id).mention_id, by=visit.me.id, now=visit.now)
    return visit.done("Taken back.", to="/teach")


def _lesson(visit: Visit, mention_id: int) -> Lesson:
    found = (lesson for lesson in visit.store.lessons.of_day(visit.now.date()) if lesson.mention_id == mention_id)
    lesson = next(found, None)
    if lesson is None:
        raise Conflict("that post is none of today's; open the page again")
    return lesson


def _lessons(visit: Visit) -> Sequence[Lesson]:
    """Today's lessons, chosen when somebody first looks, and filled up while the day brings more."""
    day = visit.now.date()
    lessons = visit.store.lessons.of_day(day)
    if len(lessons) >= A_DAY or any(lesson.is_open for lesson in lessons):
        return lessons
    candidates = visit.store.lessons.candidates(day=day, since=visit.now - LOOK_BACK, until=visit.now)
    visit.rooms.use_learnt(visit.store, now=visit.now)
    scored = [mention for _, mention in candidates]
    chosen = visit.rooms.informative(scored, questions=LESSON_QUESTIONS, most=A_DAY - len(lessons))
    if not chosen:
        return lessons
    visit.store.lessons.add([candidates[i][0] for i in chosen], day=day)
    return visit.store.lessons.of_day(day)
