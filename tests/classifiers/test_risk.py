from __future__ import annotations

from datetime import UTC, datetime

import pytest

from classifiers.panel import Panel
from classifiers.risk_words import listed
from earshot.mention import Mention, Score


def risk_of(text: str) -> Score:
    mention = Mention(network="x", native_id="1", author=None, text=text, url="", posted_at=datetime(2026, 5, 4, tzinfo=UTC))
    (score,) = (each for each in Panel().understand([mention])[0].scores if each.name == "risk")
    return score


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("@lumifern I'm publishing at three and would like your side in it", "press"),
        ("Is there a press contact? Our readers ask about the outage.", "press"),
        ("my lawyer will write to you", "legal"),
        ("the adapter is smoking and smells burnt", "safety"),
        ("I can see somebody else's order in my account", "privacy"),
    ],
)
def test_words_that_mean_risk_are_heard_whatever_else_is_said(text: str, kind: str) -> None:
    assert risk_of(text).label == kind


@pytest.mark.parametrize(
    "text", ["I read my book by the light of your lamp", "for the record: I love my lamp", "which side of the hub is up?"]
)
def test_words_that_only_sound_alike_are_no_risk(text: str) -> None:
    assert risk_of(text).label == "none"


def test_no_phrase_is_listed_twice() -> None:
    phrases = listed().phrases
    assert len(phrases) == len(set(phrases))
