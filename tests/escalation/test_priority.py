"""The order inside a queue, and its parts."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from earshot.case import Outcome, Route, Tier
from earshot.mention import Mention, Score, ScoredMention
from escalation.policy import default_policy
from escalation.priority import Priority, prioritise, time_left, time_pressure

NOW = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)


def priority(due_in: timedelta | None = timedelta(hours=2), **values: float) -> Priority:
    mention = Mention(network="x", native_id="1", author=None, text="…", url="", posted_at=NOW)
    scores = tuple(Score(name=name, label="yes", value=value, confidence=0.8, by="test") for name, value in values.items())
    due_at = None if due_in is None else NOW + due_in
    route = Route(tier=Tier.TIER_1, outcome=Outcome.AUTOMATIC, reason="", rule="", policy="", due_at=due_at)
    return prioritise([ScoredMention(mention=mention, scores=scores)], [route], default_policy(), now=NOW)[0]


@pytest.mark.parametrize("name", ["anger", "urgent", "influence"])
def test_more_of_anything_stands_higher(name: str) -> None:
    assert priority(**{name: 0.9}).value > priority(**{name: 0.2}).value > priority().value


def test_the_nearer_the_promise_the_higher() -> None:
    left = [timedelta(days=1), timedelta(hours=1), timedelta(0), -timedelta(days=5)]
    values = [priority(each).value for each in left]
    assert values == sorted(values)
    assert values[2] == values[3]


def test_the_value_is_the_sum_of_its_parts_and_each_says_why() -> None:
    found = priority(anger=0.5, urgent=1.0, influence=1.0)
    assert found.value == pytest.approx(sum(part.amount for part in found.parts))
    assert [(part.name, part.words) for part in found.parts] == [
        ("anger", "yes"),
        ("time", "due in 2 h 0 min"),
        ("urgency", "waiting would hurt"),
        ("influence", "yes"),
    ]


@pytest.mark.parametrize("wild", [math.nan, math.inf, -math.inf, 1e300])
def test_wild_values_stay_within_0_and_1(wild: float) -> None:
    assert 0 <= priority(anger=wild, urgent=wild, influence=wild).value <= 1


def test_nobody_waits_where_no_answer_is_due() -> None:
    assert time_pressure(None, now=NOW) == 0
    assert priority(None).parts[1].words == "nobody waits"


@pytest.mark.parametrize(
    ("left", "words"), [(80, "due in 1 h 20 min"), (5, "due in 5 min"), (3000, "due in 2 d 2 h"), (-12, "12 min late")]
)
def test_time_left_is_said_in_words(left: int, words: str) -> None:
    assert time_left(NOW + timedelta(minutes=left), now=NOW) == words
