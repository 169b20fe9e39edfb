"""Scored mentions become routes: the first rule of the policy whose conditions hold decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache

from earshot.case import Outcome, Route, Tier
from earshot.mention import Mention, Score, ScoredMention, require_aware
from escalation.conditions import Facts
from escalation.policy import Policy, Rule
from escalation.sla import due, started

MISSING = "missing_score"  #: the rule key of a route that could not be decided

Scores = Mapping[str, Score]


def triage(batch: Sequence[ScoredMention], policy: Policy, *, now: datetime) -> list[Route]:
    """One route per mention, in order. The same mentions, policy and `now` give the same routes.

    A mention that lacks a score which a rule needs goes to a person, with tier 1 as the proposal.
    """
    require_aware(now, "now")
    # A value that is no number answers no question, so it counts as missing.
    known = [{score.name: score for score in scored.scores if score.value == score.value} for scored in batch]
    needed = policy.reads | {"language"}
    whole = [place for place, scores in enumerate(known) if needed <= scores.keys()]
    columns = {name: [known[place][name] for place in whole] for name in needed}
    rules = _deciding(policy.rules, Facts([batch[place].mention for place in whole], columns))
    decided = dict(zip(whole, rules, strict=True))
    hours_of = cache(policy.hours_of)

    def route(place: int) -> Route:
        mention, scores = batch[place].mention, known[place]
        try:
            rule = decided.get(place) or _deciding(policy.rules, Facts([mention], {name: [score] for name, score in scores.items()}))[0]
        except KeyError as err:
            return _undecided(scores, mention, policy, now, missing=str(err.args[0]))
        hours = None if rule.around_the_clock else hours_of(rule.tier, _language(scores))
        return Route(
            tier=rule.tier,
            outcome=rule.outcome,
            reason=rule.reason,
            rule=rule.key,
            policy=policy.version,
            due_at=None if rule.due is None else due(started(mention.posted_at, now), rule.due, hours),
            reads=rule.reads,
        )

    return [route(place) for place in range(len(batch))]


def _deciding(rules: Sequence[Rule], facts: Facts) -> list[Rule]:
    """The first rule that holds, for each mention. Raises `KeyError` with the name of a score that is missing."""
    left = list(range(len(facts.mentions)))
    deciding: dict[int, Rule] = {}
    for rule in rules:
        held: Sequence[int] = left
        for condition in rule.when:
            if held:
                held = condition.holds(facts, held)
        if held:
            deciding |= dict.fromkeys(held, rule)
            left = [place for place in left if place not in deciding]
    return [deciding[place] for place in range(len(facts.mentions))]


def _undecided(scores: Scores, mention: Mention, policy: Policy, now: datetime, *, missing: str) -> Route:
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


def _language(scores: Scores) -> str:
    return scores["language"].label if "language" in scores else "unsure"
