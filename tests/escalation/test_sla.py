"""Promises in working hours: they never run backwards, whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.case import Tier
from escalation.sla import Hours, due, hours_for, parse_duration, parse_hours, started

OFFICE = Hours(zone="Europe/Berlin", days=frozenset(range(5)), opens=time(9), closes=time(17))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("start", "hours", "end"),
    [
        ("2026-11-03T10:00+01:00", 2, "2026-11-03T12:00+01:00"),
        ("2026-11-03T06:00+01:00", 2, "2026-11-03T11:00+01:00"),
        ("2026-11-03T16:00+01:00", 2, "2026-11-04T10:00+01:00"),
        ("2026-11-06T16:00+01:00", 2, "2026-11-09T10:00+01:00"),
        ("2026-11-07T12:00+01:00", 8, "2026-11-09T17:00+01:00"),
        ("2026-03-27T16:00+01:00", 2, "2026-03-30T10:00+02:00"),
        ("2026-11-03T10:00+01:00", 40, "2026-11-10T10:00+01:00"),
    ],
)
def test_only_working_hours_count(start: str, hours: int, end: str) -> None:
    assert due(at(start), timedelta(hours=hours), OFFICE) == at(end)


def test_without_working_hours_the_time_runs_around_the_clock() -> None:
    assert due(at("2026-11-07T23:00+01:00"), timedelta(hours=2), None) == at("2026-11-08T01:00+01:00")


def test_a_day_of_24_hours_has_one_more_when_the_clocks_go_back() -> None:
    around = Hours(zone="Europe/Berlin", days=frozenset({6}))
    assert due(at("2026-10-25T00:00+02:00"), timedelta(hours=25), around) == at("2026-10-26T00:00+01:00")


moments = st.integers(0, 2 * 365 * 24 * 60).map(lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes))
offices = st.builds(
    lambda zone, days, opens, length: Hours(zone=zone, days=frozenset(days), opens=time(opens), closes=time((opens + length) % 24)),
    st.sampled_from(["UTC", "Europe/London", "America/New_York", "Asia/Shanghai", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    st.sets(st.integers(0, 6), min_size=1),
    st.integers(0, 12),
    st.integers(1, 12),
)


@given(starts=st.lists(moments, min_size=2, max_size=6), minutes=st.integers(1, 3000), hours=offices)
def test_of_two_posts_the_earlier_one_is_never_due_later(starts: list[datetime], minutes: int, hours: Hours) -> None:
    ends = [due(start, timedelta(minutes=minutes), hours) for start in sorted(starts)]
    assert all(earlier <= later for earlier, later in pairwise(ends))
    assert all(end >= start + timedelta(minutes=minutes) for start, end in zip(sorted(starts), ends, strict=True))


def test_a_clock_that_jumps_does_not_move_a_promise_that_began_before() -> None:
    posted, seen = at("2026-11-03T10:00+00:00"), at("2026-11-03T10:05+00:00")
    assert started(posted, seen) == started(posted, seen + timedelta(hours=1)) == posted
    assert started(posted + timedelta(days=1), seen) == seen


def test_the_first_row_that_fits_tier_and_language_counts() -> None:
    table = (
        parse_hours({"tier": "tier_1", "lang": "zh", "zone": "Asia/Shanghai"}),
        parse_hours({"tier": "tier_1", "days": "sat-mon, wed"}),
    )
    assert hours_for(table, Tier.TIER_1, "zh") is table[0]
    assert hours_for(table, Tier.TIER_1, "en") is table[1]
    assert hours_for(table, Tier.COMMUNITY, "en") is None
    assert table[1].days == {5, 6, 0, 2}


@pytest.mark.parametrize(("text", "minutes"), [(90, 90), ("90", 90), ("45m", 45), ("2h", 120), ("1.5 h", 90), ("1d", 1440)])
def test_lengths_of_time_are_written_as_people_do(text: object, minutes: float) -> None:
    assert parse_duration(text) == timedelta(minutes=minutes)
