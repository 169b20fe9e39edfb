"""The order inside a queue, with its parts, so that a person sees why one case stands above another."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

from earshot.case import Route
from earshot.mention import Score, ScoredMention
from escalation.policy import Policy

_HOUR, _MINUTE = timedelta(hours=1), timedelta(minutes=1)


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
    return 0.0 if due_at is None else 1.0 / (1.0 + max((due_at - now) / _HOUR, 0.0))


def _prioritise(scored: ScoredMention, route: Route, policy: Policy, now: datetime) -> Priority:
    weights, scores = policy.weights, {score.name: score for score in scored.scores}
    anger, urgent, influence = scores.get("anger"), scores.get("urgent"), scores.get("influence")
    parts = (
        Part("anger", weights.anger * _unit(anger), anger.label if anger else "anger unknown"),
        Part("time", weights.time * time_pressure(route.due_at, now=now), time_left(route.due_at, now=now)),
        Part("urgency", weights.urgency * _unit(urgent), _urgency(urgent)),
        Part("influence", weights.influence * _sure(influence), influence.label if influence else "influence unknown"),
    )
    return Priority(value=min(1.0, sum([part.amount for part in parts])), parts=parts)


def _unit(score: Score | None) -> float:
    """The value, clipped to 0..1; 0 where it is missing or no number."""
    if score is None:
        return 0.0
    value = score.value
    return value if 0.0 <= value <= 1.0 else float(value > 1.0)


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
    minutes = (due_at - now) // _MINUTE
    return f"due in {_length(minutes)}" if minutes >= 0 else f"{_length(-minutes)} late"


@lru_cache(maxsize=4096)
def _length(minutes: int) -> str:
    days, rest = divmod(minutes, 24 * 60)
    hours, minutes = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
