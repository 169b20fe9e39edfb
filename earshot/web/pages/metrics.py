"""What a scraper may watch: models, sources, cases."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fastapi.responses import PlainTextResponse

from earshot.storage.sources import SourceState
from earshot.web import words
from earshot.web.visit import Visit, Visiting

if TYPE_CHECKING:
    from prometheus_client import Gauge

    Gauges = Callable[..., Gauge]


def metrics(visit: Visiting) -> PlainTextResponse:
    from prometheus_client import CollectorRegistry, Gauge, generate_latest
    from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

    registry = CollectorRegistry()

    def gauge(name: str, says: str, *labels: str) -> Gauge:
        return Gauge(f"earshot_{name}", says, labels, registry=registry)

    _models(visit, gauge)
    _sources(visit, gauge)
    waiting = gauge("cases_waiting", "Cases that wait for a person", "state", "tier")
    for (state, tier), n in visit.store.cases.queue(limit=1).counts.items():
        waiting.labels(state.value, tier.value).set(n)
    return PlainTextResponse(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _models(visit: Visit, gauge: Gauges) -> None:
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


def _sources(visit: Visit, gauge: Gauges) -> None:
    state = gauge("source_state", "1 for the state that a source is in", "source", "network", "state")
    failures = gauge("source_failures", "Polls that failed since the last that did not", "source")
    reads = gauge("source_reads", "Posts read in this month (UTC), by polls and by sweeps", "source", "by")
    polled = gauge("source_last_poll_seconds", "When a poll last ended well, in seconds since 1970", "source")
    heard = gauge("source_mentions_last_day", "Mentions posted in the last 24 hours", "source")
    delay = gauge("source_delay_seconds", "Within how long of being posted that share of them was heard, rounded up", "source", "share")
    freshness = visit.store.reports.freshness(until=visit.now)
    for status in visit.store.sources.statuses():
        name = status.name
        for each in SourceState:
            state.labels(name, status.network, each.value).set(status.state is each)
        failures.labels(name).set(status.failures)
        reads.labels(name, "polls").set(status.reads_in(visit.now))
        reads.labels(name, "sweeps").set(status.swept_in(visit.now))
        if status.polled_at is not None:
            polled.labels(name).set(status.polled_at.timestamp())
        if (fresh := freshness.get(name)) is not None:
            heard.labels(name).set(fresh.mentions)
            for share in (0.5, 0.95):
                delay.labels(name, str(share)).set(fresh.within(share))
