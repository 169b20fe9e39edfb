"""Nobody is left waiting."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from earshot.case import Assignment, Case, Outcome, State, Tier
from escalation.overdue import lease_until, overdue, silent
from escalation.policy import default_policy

NOW = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
LATE = Case(
    id=1,
    key="x:1:1",
    network="x",
    state=State.QUEUED,
    tier=Tier.COMMUNITY,
    outcome=Outcome.AUTOMATIC,
    opened_at=NOW - timedelta(hours=3),
    due_at=NOW - timedelta(minutes=1),
    lang="en",
)


@pytest.mark.parametrize("state", [State.QUEUED, State.OFFERED, State.ASSIGNED, State.APPROVAL])
@pytest.mark.parametrize(("tier", "above"), [(Tier.COMMUNITY, Tier.TIER_1), (Tier.TIER_1, Tier.TIER_2)])
def test_an_overdue_case_goes_one_tier_up_with_a_new_due_time(state: State, tier: Tier, above: Tier) -> None:
    [escalation] = overdue([replace(LATE, state=state, tier=tier)], default_policy(), now=NOW)
    assert escalation.tier is above
    assert escalation.due_at > NOW
    assert "did not answer in time" in escalation.reason


@pytest.mark.parametrize("tier", [Tier.COMMUNITY, Tier.TIER_1])
def test_a_proposal_that_nobody_confirmed_goes_to_staff(tier: Tier) -> None:
    [escalation] = overdue([replace(LATE, state=State.REVIEW, tier=tier, outcome=Outcome.REVIEW)], default_policy(), now=NOW)
    assert escalation.tier is Tier.TIER_1


def test_a_proposal_that_nobody_needs_to_answer_waits_for_a_person() -> None:
    assert overdue([replace(LATE, state=State.REVIEW, tier=Tier.NONE, outcome=Outcome.REVIEW)], default_policy(), now=NOW) == []


@pytest.mark.parametrize("state", [State.NEW, State.SENDING, State.ANSWERED, State.SOLVED, State.CLOSED])
def test_a_case_that_waits_for_nobody_of_ours_is_never_overdue(state: State) -> None:
    assert overdue([replace(LATE, state=state)], default_policy(), now=NOW) == []


def test_what_is_in_time_stays_and_the_longest_overdue_comes_first() -> None:
    cases = [
        LATE,
        replace(LATE, id=2, due_at=NOW - timedelta(hours=1)),
        replace(LATE, id=3, due_at=NOW + timedelta(minutes=1)),
        replace(LATE, id=4, due_at=None),
    ]
    assert [each.case_id for each in overdue(cases, default_policy(), now=NOW)] == [2, 1]


def test_a_late_case_of_tier_2_has_nobody_above() -> None:
    assert overdue([replace(LATE, tier=Tier.TIER_2)], default_policy(), now=NOW) == []


def test_an_escalated_case_is_not_escalated_again_at_once() -> None:
    [escalation] = overdue([LATE], default_policy(), now=NOW)
    moved = replace(LATE, tier=escalation.tier, due_at=escalation.due_at)
    assert overdue([moved], default_policy(), now=NOW + timedelta(minutes=5)) == []


def test_a_silent_owner_loses_the_case_before_the_promise_breaks() -> None:
    policy = default_policy()
    assert lease_until(NOW, NOW + timedelta(hours=5), policy) == NOW + timedelta(minutes=45)
    assert lease_until(NOW, NOW + timedelta(minutes=40), policy) == NOW + timedelta(minutes=25)
    assert lease_until(NOW, NOW - timedelta(minutes=40), policy) == NOW + timedelta(minutes=10)
    assert lease_until(NOW, None, policy) == NOW + timedelta(minutes=45)


def test_owners_are_silent_once_their_lease_is_over() -> None:
    owned = [Assignment(case_id=n, assignee=9, assigned_at=NOW, lease_until=NOW + timedelta(minutes=n)) for n in (3, -2, -5, 0)]
    assert [each.case_id for each in silent(owned, now=NOW)] == [-5, -2, 0]
