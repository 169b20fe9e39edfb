"""What holds for every question in the registry, ours or a newcomer's."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import pytest

from classifiers import CLASSIFIERS, OF_A_BRAND, understand
from classifiers.brand import Brand, Product, Topic
from classifiers.panel import Panel
from earshot.mention import Mention, Score

BRAND = Brand(
    name="Quillmere",
    names=("quillmere",),
    products=(Product(key="kettle", name="Kettle One", name_zh="小壶", aliases=("kettleone",), topic="tea"),),
    topics=(Topic(key="tea", name="Tea", name_zh="茶", words=("teapot", "茶叶")), Topic(key="bills", name="Bills", words=("invoice",))),
)
HARD = {
    "nothing": "",
    "space": "  \n\t ",
    "emoji": "😡😡👍🏽🎉",
    "links": "https://example.org/a?b=c www.example.org",
    "handles": "@someone @else",
    "bangs": "!" * 40_000,
    "smileys": ":)" * 20_000,
    "one word": "why " * 10_000,
    "one long word": "a" * 40_000,
    "digits": "1" * 40_000,
    "spaced digits": "1 " * 20_000,
    "right to left marks": "\u202egnol yrev\u202c" * 50 + "\u200f" * 10_000,
    "stacked accents": "Z" + "\u0301\u0316" * 20_000,
    "null and controls": "a\x00b\x01c\x1f why",
    "half of a pair": "broken \ud83d emoji",
    "ampersands": "&" * 40_000,
    "at signs": "@" * 40_000,
    "ligature": "\ufdfa" * 8_000,
    "chinese": "你们的快递什么时候到？等了一个星期了！",
    "arabic": "متى يصل طلبي من فضلك أنا أنتظر منذ أسبوع",
    "ordinary": "@quillmere how do I descale my Kettle One? The invoice says two years warranty",
}


def a_mention(text: str, number: int = 0) -> Mention:
    return Mention(network="x", native_id=str(number), author=None, text=text, url="", posted_at=datetime(2026, 11, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def panel() -> Panel:
    return Panel(brand=BRAND)


@pytest.fixture(scope="module")
def hard_scores(panel: Panel) -> dict[str, dict[str, Score]]:
    mentions = [a_mention(text, number) for number, text in enumerate(HARD.values())]
    return {name: {score.name: score for score in scored.scores} for name, scored in zip(HARD, panel.understand(mentions), strict=True)}


@pytest.mark.parametrize("question", CLASSIFIERS)
def test_every_hostile_text_gets_one_sound_score(question: str, hard_scores: dict[str, dict[str, Score]]) -> None:
    for name, scores in hard_scores.items():
        score = scores[question]
        assert score.name == question
        assert score.label, name
        assert math.isfinite(score.value), name
        assert 0.0 <= score.confidence <= 1.0, name
        assert score.by.startswith(question), name


@pytest.mark.parametrize("question", sorted(set(CLASSIFIERS) - {"personal_data", "topics", "products", "language"}))
@pytest.mark.parametrize("name", ["nothing", "space", "emoji", "links", "handles", "bangs", "smileys", "ampersands", "at signs"])
def test_where_there_is_nothing_to_read_nobody_is_sure(question: str, name: str, hard_scores: dict[str, dict[str, Score]]) -> None:
    assert hard_scores[name]["language"].label == "unsure"
    assert hard_scores[name][question].confidence == 0.0
    assert hard_scores[name][question].value == 0.0


def test_a_language_we_do_not_know_makes_every_model_unsure(hard_scores: dict[str, dict[str, Score]]) -> None:
    scores = hard_scores["arabic"]
    assert scores["language"].label == "ar"
    assert {scores[name].label for name in ("anger", "intent", "asks", "needs", "urgent", "risk", "toxicity", "spam", "tier")} == {"unsure"}
    assert scores["sentiment"].label in ("negative", "neutral", "positive")


def test_no_mentions_give_no_scores(panel: Panel) -> None:
    assert panel.understand([]) == []


def test_scores_come_in_the_order_of_the_mentions(panel: Panel) -> None:
    mentions = [a_mention(f"order {number} is late", number) for number in range(1200)]
    assert [scored.mention for scored in panel.understand(mentions)] == mentions


def test_a_mention_scores_the_same_alone_in_a_batch_and_again(panel: Panel) -> None:
    mentions = [a_mention(text, number) for number, text in enumerate(HARD.values())]
    together, again = panel.understand(mentions), panel.understand(mentions)
    assert together == again
    for scored in together:
        (alone,) = panel.understand([scored.mention])
        for one, other in zip(alone.scores, scored.scores, strict=True):
            assert (one.name, one.label) == (other.name, other.label)
            assert one.value == pytest.approx(other.value, abs=2e-4)
            assert one.confidence == pytest.approx(other.confidence, abs=2e-4)


def test_questions_of_a_brand_are_asked_only_where_there_is_one() -> None:
    (scored,) = understand([a_mention("hello there")])
    assert {score.name for score in scored.scores} == set(CLASSIFIERS) - OF_A_BRAND


def test_ones_own_question_is_one_file_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "politeness_of_mine.py").write_text(
        "from earshot.mention import Score\n"
        "def politeness(batch):\n"
        "    polite = ['please' in text.lower() for text in batch.texts]\n"
        "    return [Score(name='politeness', label='polite' if p else 'plain', value=float(p), confidence=0.6, by='politeness-1')"
        " for p in polite]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    panel = Panel(questions={**CLASSIFIERS, "politeness": "politeness_of_mine:politeness"})
    (scored,) = panel.understand([a_mention("Please help")])
    score = scored.score("politeness")
    assert score is not None
    assert score.label == "polite"
