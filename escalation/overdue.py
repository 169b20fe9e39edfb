"""Nobody is left waiting: overdue cases go one tier up, and a silent owner loses a case before the promise breaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from earshot.case import Assignment, Case, Outcome, State, Tier
from escalation.policy import Policy
from escalation.sla import due

_WAITING = frozenset({State.REVIEW, State.QUEUED, State.OFFERED, State.ASSIGNED, State.APPROVAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """A case that goes up: to which tier, why, and when that tier must have answered."""

    case_id: int
    tier: Tier
    reason: str
    due_at: datetime


def is_overdue(case: Case, *, now: datetime) -> bool:
    """Somebody waits for an answer that is late."""
    return case.state in _WAITING and case.due_at is not None and case.due_at <= now


def overdue(cases: Sequence[Case], policy: Policy, *, now: datetime) -> list[Escalation]:
    """The overdue cases that can go up, most urgent promise first; the new due time starts now.

    A proposal that nobody confirmed goes to staff as it was proposed, or to tier 1. Proposals that nobody needs to answer stay where
    they are, since a person has to decide; so do late cases of tier 2, which has nobody above.
    """
    late = sorted((case for case in cases if is_overdue(case, now=now)), key=lambda case: (case.due_at, case.id))
    return [_escalate(case, policy, now) for case in late if _next_tier(case) is not None]


def lease_until(assigned_at: datetime, due_at: datetime | None, policy: Policy) -> datetime:
    """How long a new owner may be silent: the lease, cut so that somebody else still can keep the promise."""
    silence = policy.silence
    end = assigned_at + silence.lease
    if due_at is not None:
        end = min(end, due_at - silence.margin)
    return max(end, assigned_at + silence.at_least)


def silent(assignments: Sequence[Assignment], *, now: datetime) -> list[Assignment]:
    """The assignments whose owner was silent too long; longest first."""
    return sorted((each for each in assignments if each.lease_until <= now), key=lambda each: (each.lease_until, each.case_id))


def _next_tier(case: Case) -> Tier | None:
    if case.tier is Tier.NONE:
        return None
    if case.state is State.REVIEW or case.outcome is Outcome.REVIEW:
        return max(case.tier, Tier.TIER_1, key=lambda tier: tier.rank)
    return case.tier.above() if case.tier is not Tier.TIER_2 else None


def _escalate(case: Case, policy: Policy, now: datetime) -> Escalation:
    tier = _next_tier(case)
    assert tier is not None  # noqa: S101 - `overdue` asked before
    within = policy.due[tier]
    why = "nobody confirmed the proposal in time" if case.state is State.REVIEW else f"{case.tier.replace('_', ' ')} did not answer in time"
    return Escalation(case_id=case.id, tier=tier, reason=why, due_at=due(now, within, policy.hours_of(tier, case.lang)))
