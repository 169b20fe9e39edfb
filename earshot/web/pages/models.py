"""How the models do, week by week: how often they are unsure, what they answer, and how often people agree; and what people taught."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from fastapi.responses import Response

from earshot import learning
from earshot.storage.labels import LESSON_QUESTIONS
from earshot.web import words
from earshot.web.visit import Visiting

#: weeks on the page; the first ones stay beside them
SHOWN = 12


def models(visit: Visiting) -> Response:
    trends = visit.rooms.drift(visit.store, questions=tuple(words.LABELS), now=visit.now)
    return visit.page(
        "models.html",
        trends=trends,
        shown=SHOWN,
        lesson_questions=LESSON_QUESTIONS,
        versions=learning.versions(visit.store),
        nightly=visit.settings.learn_nightly,
    )


def use(visit: Visiting, change_id: Annotated[int, Path(ge=0, le=2**63 - 1)]) -> Response:
    version, before = learning.use(visit.store, visit.rooms, change_id or None)
    return visit.done(f"Version {version.name} is in use.", to="/models", undo=f"/models/learnt/{before or 0}")
