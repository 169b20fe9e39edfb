"""A policy is a table that people edit: what is wrong with it is said in words that name rule and condition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.case import Outcome, Tier
from earshot.errors import ConfigurationError
from escalation.policy import check, default_policy, parse_policy

GIVEN = ("language", "sentiment", "anger", "intent", "asks", "needs", "urgent", "tier", "risk", "personal_data", "topics", "influence")
LABELS = {
    "intent": ("question", "problem", "complaint", "praise", "suggestion", "purchase", "cancel", "spam", "other"),
    "needs": ("common", "specialist", "account", "none"),
    "anger": ("calm", "annoyed", "angry"),
    "risk": ("none", "safety", "legal", "press", "privacy"),
}


def a_policy(*whens: str, thresholds: str = "", extra: str = "") -> str:
    rules = "".join(
        f'[[rules]]\nkey = "r{n}"\nwhen = {when}\ntier = "tier_1"\noutcome = "review"\nreason = "why"\n' for n, when in enumerate(whens)
    )
    return f'version = "t"\n{extra}\n[due]\ncommunity = "2h"\ntier_1 = "4h"\ntier_2 = 480\n[thresholds]\n{thresholds}\n{rules}'


def test_the_default_policy_reads_only_what_the_house_gives() -> None:
    check(default_policy(), GIVEN, labels=LABELS)


def test_every_rule_and_threshold_of_the_default_policy_has_its_reason_and_use() -> None:
    policy = default_policy()
    used = {condition.threshold for rule in policy.rules for condition in rule.when}
    assert {threshold.name for threshold in policy.thresholds} == used - {None}
    assert all(each.reason for each in (*policy.rules, *policy.thresholds))


def test_the_default_policy_sends_nothing_to_super_users_that_says_angry_or_risk_or_account() -> None:
    for rule in default_policy().rules:
        if rule.tier is Tier.COMMUNITY and rule.outcome is Outcome.AUTOMATIC:
            assert any(condition.text == "needs is common" for condition in rule.when)


def test_rules_keep_their_order_and_their_times() -> None:
    policy = parse_policy(a_policy('["anger is angry"]', "[]"))
    assert [rule.key for rule in policy.rules] == ["r0", "r1"]
    assert policy.rules[0].due is not None
    assert policy.rules[0].due.total_seconds() == 4 * 3600
    assert policy.rules[0].outcome is Outcome.REVIEW
    assert policy.reads == {"anger"}


def test_equal_texts_give_equal_policies() -> None:
    assert parse_policy(a_policy("[]")) == parse_policy(a_policy("[]"))


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ('["anger is"]', 'r0.*cannot read the condition "anger is".*possible are'),
        ('["anger.value > angry"]', "r0.*angry is neither a number nor a threshold"),
        ('["anger.value >= $agry"]', r"r0.*there is no threshold \$agry; known: angry"),
        ('["anger.value >= nan"]', "r0.*neither a number"),
        ('["anger >= 0.3"]', "r0.*compares no number"),
        ('["followers is 3"]', "r0.*followers is a number"),
        ('["followers.value > 3"]', "r0.*compares no number"),
        ('["intent in question, , spam"]', "r0.*empty label"),
        ("[\"__import__('os')\"]", "r0.*cannot read"),
        ('"anger is angry"', "r0.*when must be a list"),
        ("[3]", "r0.*when must be a list"),
    ],
)
def test_a_condition_that_cannot_be_read_is_quoted_with_what_is_possible(when: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        parse_policy(a_policy(when, "[]", thresholds='angry = { value = 0.5, reason = "why" }'))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("version =", "not readable as TOML"),
        ("", "version is missing"),
        (a_policy('["lang is en"]'), 'the last rule, "r0", must have no condition'),
        (a_policy("[]", "[]"), 'rule "r0": has no condition, so the rules after it'),
        (a_policy(), "needs between 1 and 500"),
        (a_policy("[]").replace('"tier_1"\nout', '"tier_9"\nout'), 'rule "r0": there is no tier .tier_9.; possible: none, community'),
        (a_policy("[]").replace("review", "maybe"), "there is no outcome 'maybe'; possible: automatic, review"),
        (a_policy("[]").replace("reason", "because"), "because is unknown"),
        (a_policy("[]").replace('"4h"', '"4 weeks"'), "is no length of time"),
        (a_policy("[]").replace('"4h"', "true"), "is no length of time"),
        (a_policy("[]").replace('tier_1 = "4h"', ""), r"\[due\] lacks tier_1"),
        (a_policy("[]", thresholds='a = { value = "x", reason = "why" }'), "threshold a: value is missing or no number"),
        (a_policy("[]", thresholds="a = 3"), "threshold a: needs a value and a reason"),
        (a_policy("[]", extra='[[hours]]\nzone = "Mars/Olympus"'), "no time zone"),
        (a_policy("[]", extra='[[hours]]\nopens = "18:00"\ncloses = "09:00"'), "not after they open"),
        (a_policy("[]", extra='[[hours]]\ndays = "someday"'), "days 'someday' cannot be read"),
        (a_policy("[]", extra='[[hours]]\nopens = "9 am"'), "no time of day"),
        (a_policy("[]", extra='[[hours]]\ndays = "mon"\nopens = "09:00"\ncloses = "09:01"'), "does not fit into a year"),
        (a_policy("[]", extra="[priority]\nanger = 1\ntime = 1\nurgency = 0\ninfluence = 0"), "sum to 1"),
        (a_policy("[]", extra='[silence]\nlease = "now"'), "silence: 'now' is no length of time"),
        (a_policy('["lang is en"]', "[]").replace("r1", "r0"), "two rules have this key"),
        ("rules = 3\nversion = 't'\n[due]\ncommunity=1\ntier_1=1\ntier_2=1", "rules is missing or no list of tables"),
        ("[" * 100_000, "not readable as TOML"),
    ],
)
def test_a_wrong_policy_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        parse_policy(text)


def test_a_rule_that_needs_a_score_which_nobody_gives_is_found_at_start_up() -> None:
    policy = parse_policy(a_policy('["toxicity.value > 0.5"]', "[]"))
    with pytest.raises(
        ConfigurationError, match=r'rule "r0": "toxicity.value > 0.5" needs the score \'toxicity\'.*Known scores: anger, asks'
    ):
        check(policy, GIVEN)


def test_a_misspelt_label_is_found_at_start_up() -> None:
    policy = parse_policy(a_policy('["intent in question, complant"]', "[]"))
    with pytest.raises(ConfigurationError, match="intent is never complant; possible: cancel, complaint"):
        check(policy, GIVEN, labels=LABELS)


@given(st.text(max_size=200))
def test_any_text_is_a_policy_or_a_clear_error(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_policy(text)
