"""The order inside a queue, with its parts, so that a person sees why one case stands above another."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec import Struct

from earshot.case import Route
from earshot.mention import Score, ScoredMention
from escalation.policy import Policy

_HOUR = timedelta(hours=1)


class Part(NamedTuple):
    """What one reason adds."""

    name: str
    amount: float  #: 0..its weight in the policy
    words: str


class Priority(Struct, frozen=True):
    """0..1, higher first; the sum of its parts."""

    value: float
    parts: tuple[Part, ...]


def prioritise(batch: Sequence[ScoredMention], routes: Sequence[Route], policy: Policy, *, now: datetime) -> list[Priority]:
    """One priority per mention and its route. A score that is missing or that nobody is sure of adds little, never a penalty."""
    return [_prioritise(scored, route, policy, now) for scored, route in zip(batch, routes, strict=True)]


def time_pressure(due_at: datetime | None, *, now: datetime) -> float:
    """0..1: 1 once it is due, a half with an hour left, a fifth with four; 0 where nobody needs to answer."""
    if due_at is None:
        return 0.0
    return 1.0 / (1.0 + max(due_at - now, timedelta(0)) / _HOUR)


def _prioritise(scored: ScoredMention, route: Route, policy: Policy, now: datetime) -> Priority:
    weights, scores = policy.weights, {score.name: score for score in scored.scores}
    anger, urgent, influence = (scores.get(name) for name in ("anger", "urgent", "influence"))
    parts = (
        Part(name="anger", amount=weights.anger * _unit(anger), words=anger.label if anger else "anger unknown"),
        Part(name="time", amount=weights.time * time_pressure(route.due_at, now=now), words=time_left(route.due_at, now=now)),
        Part(name="urgency", amount=weights.urgency * _unit(urgent), words=_urgency(urgent)),
        Part(name="influence", amount=weights.influence * _sure(influence), words=influence.label if influence else "influence unknown"),
    )
    return Priority(value=min(1.0, sum(part.amount for part in parts)), parts=parts)


def _unit(score: Score | None) -> float:
    """The value, clipped to 0..1; 0 where it is missing or no number."""
    return min(1.0, max(0.0, score.value)) if score is not None and score.value == score.value else 0.0


def _sure(score: Score | None) -> float:
    return _unit(score) * score.confidence if score is not None else 0.0


def _urgency(score: Score | None) -> str:
    if score is None:
        return "urgency unknown"
    return "waiting would hurt" if score.label == "yes" else "can wait"


def time_left(due_at: datetime | None, *, now: datetime) -> str:
    """ "due in 1 h 20 min", "12 min late"."""
    if due_at is None:
        return "nobody waits"
    minutes = int((due_at - now).total_seconds() // 60)
    return f"due in {_length(minutes)}" if minutes >= 0 else f"{_length(-minutes)} late"


def _length(minutes: int) -> str:
    days, rest = divmod(minutes, 24 * 60)
    hours, minutes = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
