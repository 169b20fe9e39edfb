"""The rules of the trade, as the default policy keeps them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from earshot.case import Outcome, Route, Tier
from earshot.mention import Author, Mention, Score, ScoredMention
from escalation.policy import default_policy, parse_policy
from escalation.preview import preview
from escalation.triage import MISSING, triage

NOW = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)  # a Tuesday
CALM_QUESTION = {
    "language": ("en", 0.0, 0.99),
    "sentiment": ("neutral", 0.0, 0.8),
    "anger": ("calm", 0.02, 0.95),
    "intent": ("question", 1.0, 0.9),
    "asks": ("yes", 0.97, 0.95),
    "needs": ("common", 1.0, 0.9),
    "urgent": ("no", 0.05, 0.9),
    "tier": ("community", 0.9, 0.9),
    "risk": ("none", 0.0, 0.97),
    "personal_data": ("none", 0.0, 1.0),
    "influence": ("top 25 %", 0.8, 0.6),
}


def scored(
    *, posted_at: datetime = NOW, author: Author | None = None, without: str = "", **changed: tuple[str, float, float]
) -> ScoredMention:
    mention = Mention(network="x", native_id="1", author=author, text="…", url="", posted_at=posted_at)
    given = {name: triple for name, triple in (CALM_QUESTION | changed).items() if name != without}
    scores = (Score(name=name, label=label, value=value, confidence=sure, by="test") for name, (label, value, sure) in given.items())
    return ScoredMention(mention=mention, scores=tuple(scores))


def route(each: ScoredMention, *, now: datetime = NOW) -> Route:
    return triage([each], default_policy(), now=now)[0]


def test_a_calm_common_question_goes_to_the_community() -> None:
    decided = route(scored())
    assert (decided.tier, decided.outcome, decided.due_at) == (Tier.COMMUNITY, Outcome.AUTOMATIC, NOW + timedelta(hours=2))
    assert decided.reason
    assert set(decided.reads) == {"tier", "needs", "intent"}


AUTOMATIC = [
    ({"anger": ("angry", 0.9, 0.9)}, Tier.TIER_1),
    ({"anger": ("annoyed", 0.65, 0.4)}, Tier.TIER_1),
    ({"risk": ("safety", 1.0, 0.9)}, Tier.TIER_1),
    ({"risk": ("safety", 1.0, 0.9), "asks": ("no", 0.0, 1.0)}, Tier.TIER_1),
    ({"risk": ("legal", 1.0, 0.9)}, Tier.TIER_1),
    ({"risk": ("press", 1.0, 0.9)}, Tier.TIER_1),
    ({"risk": ("privacy", 1.0, 0.9)}, Tier.TIER_1),
    ({"personal_data": ("phone", 1.0, 1.0)}, Tier.TIER_1),
    ({"intent": ("cancel", 1.0, 0.9)}, Tier.TIER_1),
    ({"tier": ("tier_1", 0.0, 0.9)}, Tier.TIER_1),
    ({"tier": ("tier_2", 0.0, 0.9)}, Tier.TIER_2),
    ({"tier": ("none", 0.0, 0.9)}, Tier.NONE),
    ({"asks": ("no", 0.03, 0.97)}, Tier.NONE),
    ({"asks": ("no", 0.03, 0.97), "anger": ("angry", 0.9, 0.9)}, Tier.NONE),
    ({"asks": ("no", 0.03, 0.97), "risk": ("privacy", 1.0, 0.9)}, Tier.NONE),
    ({"intent": ("spam", 1.0, 0.9), "asks": ("no", 0.3, 0.7)}, Tier.NONE),
    ({"intent": ("suggestion", 1.0, 0.9)}, Tier.COMMUNITY),
]
UNSURE = [
    ({"language": ("unsure", 0.4, 0.0)}, Tier.TIER_1),
    ({"language": ("unsure", 0.0, 0.0)}, Tier.NONE),
    ({"intent": ("problem", 0.9, 0.9), "tier": ("none", 0.0, 0.9), "asks": ("no", 0.1, 0.9)}, Tier.NONE),
    ({"language": ("de", 0.9, 0.9), "asks": ("no", 0.01, 0.3)}, Tier.TIER_1),
    ({"anger": ("calm", 0.3, 0.7)}, Tier.TIER_1),
    ({"risk": ("safety", 1.0, 0.3)}, Tier.TIER_1),
    ({"risk": ("none", 0.3, 0.7)}, Tier.TIER_1),
    ({"sentiment": ("negative", -0.8, 0.9)}, Tier.COMMUNITY),
    ({"tier": ("none", 0.0, 0.3)}, Tier.NONE),
    ({"tier": ("tier_2", 0.0, 0.3)}, Tier.TIER_2),
    ({"tier": ("tier_1", 0.0, 0.3)}, Tier.TIER_1),
    ({"tier": ("community", 0.4, 0.4)}, Tier.COMMUNITY),
    ({"needs": ("account", 0.0, 0.9)}, Tier.COMMUNITY),
    ({"intent": ("complaint", 1.0, 0.9)}, Tier.COMMUNITY),
]


@pytest.mark.parametrize(("changed", "tier"), AUTOMATIC)
def test_what_the_classifiers_are_sure_of_is_decided(changed: dict[str, tuple[str, float, float]], tier: Tier) -> None:
    decided = route(scored(**changed))
    assert (decided.tier, decided.outcome) == (tier, Outcome.AUTOMATIC)
    assert (decided.due_at is None) is (tier is Tier.NONE)


@pytest.mark.parametrize(("changed", "tier"), UNSURE)
def test_what_the_classifiers_are_unsure_of_is_a_proposal(changed: dict[str, tuple[str, float, float]], tier: Tier) -> None:
    decided = route(scored(**changed))
    assert (decided.tier, decided.outcome) == (tier, Outcome.REVIEW)
    assert decided.due_at is not None


@pytest.mark.parametrize("name", ["language", "anger", "asks", "needs", "risk", "tier", "personal_data"])
def test_a_missing_score_asks_a_person(name: str) -> None:
    decided = route(scored(without=name))
    assert (decided.tier, decided.outcome, decided.rule) == (Tier.TIER_1, Outcome.REVIEW, MISSING)
    assert name in decided.reason


def test_a_value_that_is_no_number_asks_a_person() -> None:
    assert route(scored(anger=("calm", math.nan, 0.9))).rule == MISSING


def test_deciding_twice_gives_the_same_route() -> None:
    batch = [scored(**changed) for changed, _ in AUTOMATIC + UNSURE]
    assert triage(batch, default_policy(), now=NOW) == triage(batch, default_policy(), now=NOW)


def test_the_time_counts_from_the_post() -> None:
    assert route(scored(posted_at=NOW - timedelta(minutes=50))).due_at == NOW + timedelta(minutes=70)


def test_a_post_from_the_future_is_due_as_if_posted_now() -> None:
    assert route(scored(posted_at=NOW + timedelta(days=900))).due_at == NOW + timedelta(hours=2)


def test_a_post_from_before_there_were_networks_has_a_route() -> None:
    assert route(scored(posted_at=datetime.min.replace(tzinfo=UTC))).tier is Tier.COMMUNITY


def test_safety_does_not_wait_for_working_hours() -> None:
    night = NOW.replace(hour=2)
    assert route(scored(posted_at=night, risk=("safety", 1.0, 0.9)), now=night).due_at == night + timedelta(minutes=30)
    assert route(scored(posted_at=night, tier=("tier_1", 0.0, 0.9)), now=night).due_at == night.replace(hour=11)


def test_rules_may_ask_the_mention_itself() -> None:
    rule = '[[rules]]\nkey = "{0}"\nwhen = {1}\ntier = "tier_1"\noutcome = "review"\nreason = "why"\n'
    whens = ('["followers >= 10000"]', '["network is not x"]', '["lang in zh, ja"]', '["lang not in en, zh, ja"]', "[]")
    text = 'version = "t"\n[due]\ncommunity = 1\ntier_1 = 1\ntier_2 = 1\n' + "".join(rule.format(n, when) for n, when in enumerate(whens))
    policy = parse_policy(text)
    famous = Author(network="x", native_id="7", handle="h", followers=20_000)
    batch = [
        scored(author=famous),
        scored(author=replace(famous, followers=None)),
        scored(language=("zh", 0, 1)),
        scored(language=("unsure", 0, 0)),
        scored(without="language"),
    ]
    assert [each.rule for each in triage(batch, policy, now=NOW)] == ["0", "4", "2", "3", "3"]


def test_a_preview_says_what_would_change() -> None:
    old = default_policy()
    new = parse_policy(old.text.replace("may_be_angry = { value = 0.08", "may_be_angry = { value = 0.01"))
    seen = preview([scored(), scored(tier=("tier_1", 0.0, 0.9))], old, new, now=NOW)
    assert (seen.mentions, seen.ways) == (2, (("community (automatic) -> tier 1 (review)", 1),))
    assert seen.changes[0].after.rule == "may_be_angry"
