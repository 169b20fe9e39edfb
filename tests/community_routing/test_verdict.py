"""Does the author say that it worked, or ask again?"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from community_routing.verdict import Kind, judge
from earshot.mention import Mention, Score, ScoredMention

NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)


def verdict(text: str, asks: str | None = "no") -> Kind:
    mention = Mention(network="x", native_id="1", author=None, text=text, url="", posted_at=NOON)
    scores = (Score(name="asks", label=asks, value=float(asks == "yes"), confidence=0.9, by="test"),) if asks else ()
    return judge([ScoredMention(mention=mention, scores=scores)])[0].kind


@pytest.mark.parametrize(
    "text",
    [
        "Thanks, that worked!",
        "that did the trick",
        "It works now, cheers",
        "Works perfectly.",
        "all sorted, thank you so much",
        "@acme thank you!",
        "Yep that fixed it",
        "problem solved",
        "解决了，谢谢",
        "谢谢你！",
        "可以了",
        "好了，多谢",
    ],
)
def test_the_author_says_that_it_worked(text: str) -> None:
    assert verdict(text) is Kind.SOLVED


@pytest.mark.parametrize(
    "text",
    [
        "thanks but it still doesn't work",
        "didn\u2019t work",
        "That did not help at all",
        "no luck, same error",
        "Thanks for nothing",
        "it worked yesterday but it is still not connecting",
        "tried that already",
        "still waiting",
        "还是不行",
        "没用，没解决",
        "谢谢，但是依然不能用",
        "试过了，没有反应",
    ],
)
def test_the_author_says_that_it_did_not_help(text: str) -> None:
    assert verdict(text) is Kind.ASKS_AGAIN


@pytest.mark.parametrize("text", ["And how do I add a second room?", "有用吗", "thanks! and where do I find the red one?"])
def test_a_new_question_asks_again(text: str) -> None:
    assert verdict(text) is Kind.ASKS_AGAIN


def test_a_new_question_after_success_does_not_take_the_credit_from_the_answer() -> None:
    mention = Mention(network="x", native_id="1", author=None, text="It worked, but can I also rename it?", url="", posted_at=NOON)
    [more] = judge([ScoredMention(mention=mention, scores=())])
    assert (more.kind, more.helped) == (Kind.ASKS_AGAIN, True)


@pytest.mark.parametrize("text", ["ok", "", "👀", "I will try it tonight", "thanks, I hope that works", "谢谢,我晚上试试"])
def test_what_settles_nothing_stays_unclear(text: str) -> None:
    assert verdict(text) is Kind.UNCLEAR


def test_no_score_at_all_is_no_question() -> None:
    assert verdict("hm", asks=None) is Kind.UNCLEAR


@pytest.mark.parametrize(
    "text",
    [
        "still " * 50_000,
        "not " * 50_000,
        "that " * 50_000,
        "没" * 100_000,
        "if it " * 50_000,
        "\ufdfa" * 50_000,
        "谢谢不" * 50_000,
        "!" * 1_000_000,
    ],
)
def test_hostile_runs_are_judged_too(text: str) -> None:
    assert verdict(text) in Kind
