"""How the models do, week by week: how often they are unsure, what they answer, and how often people agree; and what people taught."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from fastapi.responses import PlainTextResponse, Response

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


def metrics(visit: Visiting) -> PlainTextResponse:
    """The same for Prometheus, with the cases that wait."""
    from prometheus_client import CollectorRegistry, Gauge, generate_latest
    from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

    registry = CollectorRegistry()

    def gauge(name: str, says: str, *labels: str) -> Gauge:
        return Gauge(f"earshot_{name}", says, labels, registry=registry)

    looked_at = gauge("mentions_looked_at", "Mentions of the running week that were counted", "question")
    unsure = gauge("unsure_ratio", "Share of these whose answer is unsure", "question")
    labels = gauge("label_ratio", "Share of these with the label", "question", "label")
    judged = gauge("labels_given", "Labels that people gave in the lessons of the running week", "question")
    agreement = gauge(
        "agreement_ratio", "Share of these labels that are ours; bound: low and high of the 95 % interval", "question", "bound"
    )
    shift = gauge("shift_ratio", "How far the labels moved since the first weeks: total variation distance", "question")
    drift = gauge("drift", "1 when something strayed beyond chance since the first weeks", "question")
    for trend in visit.rooms.drift(visit.store, questions=tuple(words.LABELS), now=visit.now):
        now, name = trend.now, trend.question
        looked_at.labels(name).set(now.unsure.of)
        unsure.labels(name).set(now.unsure.value)
        judged.labels(name).set(now.agreement.of)
        shift.labels(name).set(trend.shift)
        drift.labels(name).set(bool(trend.strayed))
        for label, share in now.mix.items():
            labels.labels(name, label).set(share)
        if now.agreement.of:
            for bound in ("value", "low", "high"):
                agreement.labels(name, bound).set(getattr(now.agreement, bound))
    waiting = gauge("cases_waiting", "Cases that wait for a person", "state", "tier")
    for (state, tier), n in visit.store.cases.queue(limit=1).counts.items():
        waiting.labels(state.value, tier.value).set(n)
    return PlainTextResponse(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)
