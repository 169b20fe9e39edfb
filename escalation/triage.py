"""Scored mentions become routes: the first rule of the policy whose conditions hold decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from earshot.case import Outcome, Route, Tier
from earshot.mention import Mention, Score, ScoredMention, require_aware
from escalation.policy import Policy, Rule
from escalation.sla import due, started

MISSING = "missing_score"  #: the rule key of a route that could not be decided


def triage(batch: Sequence[ScoredMention], policy: Policy, *, now: datetime) -> list[Route]:
    """One route per mention, in order. The same mentions, policy and `now` give the same routes.

    A mention that lacks a score which a rule needs goes to a person, with tier 1 as the proposal.
    """
    require_aware(now, "now")
    return [_route(scored, policy, now) for scored in batch]


def _route(scored: ScoredMention, policy: Policy, now: datetime) -> Route:
    mention = scored.mention
    # A value that is no number answers no question, so it counts as missing.
    scores = {score.name: score for score in scored.scores if score.value == score.value}
    try:
        rule = _first(policy.rules, scores, mention)
    except KeyError as err:
        return _undecided(scores, mention, policy, now, missing=str(err.args[0]))
    return Route(
        tier=rule.tier,
        outcome=rule.outcome,
        reason=rule.reason,
        rule=rule.key,
        policy=policy.version,
        due_at=None if rule.due is None else _due(rule, rule.due, scores, mention, policy, now),
        reads=rule.reads,
    )


def _first(rules: Sequence[Rule], scores: Mapping[str, Score], mention: Mention) -> Rule:
    """The rule that decides. Raises `KeyError` with the name of a score that is missing."""
    for rule in rules:
        for condition in rule.when:
            if not condition.holds(scores, mention):
                break
        else:
            return rule
    raise AssertionError("the last rule of a policy has no condition")


def _due(rule: Rule, within: timedelta, scores: Mapping[str, Score], mention: Mention, policy: Policy, now: datetime) -> datetime:
    hours = None if rule.around_the_clock else policy.hours_of(rule.tier, _language(scores))
    return due(started(mention.posted_at, now), within, hours)


def _undecided(scores: Mapping[str, Score], mention: Mention, policy: Policy, now: datetime, *, missing: str) -> Route:
    start = started(mention.posted_at, now)
    return Route(
        tier=Tier.TIER_1,
        outcome=Outcome.REVIEW,
        reason=f"there is no {missing} score, so a person decides",
        rule=MISSING,
        policy=policy.version,
        due_at=due(start, policy.due[Tier.TIER_1], policy.hours_of(Tier.TIER_1, _language(scores))),
        reads=tuple(sorted(scores)),
    )


def _language(scores: Mapping[str, Score]) -> str:
    return scores["language"].label if "language" in scores else "unsure"
