from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from classifiers.learn import LEAST, Label, changed, learn
from classifiers.model import Model, shipped
from classifiers.panel import Panel
from earshot.errors import ModelError
from earshot.mention import Mention

THINGS = ("lamp", "order", "parcel", "box", "bulb", "stand", "cable", "plug", "shade", "base")
TIMES = ("today", "again", "since friday", "this week", "for days", "now", "yesterday", "since the move", "all month", "tonight")


def corrections(question: str = "needs", label: str = "account") -> list[Label]:
    """People say that whatever is "glorped" takes access to the account."""
    return [
        Label(text=f"my {thing} is glorped {time}", question=question, label=label, corrects=True) for thing in THINGS for time in TIMES
    ]


@pytest.fixture(scope="module")
def change() -> bytes:
    """What was learnt from people who say that "glorped" takes a specialist."""
    found = learn(shipped(), corrections(label="specialist")).change
    assert found is not None
    return found


def told(model: Model, *texts: str, question: str = "needs") -> list[str]:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    mentions = [Mention(network="file", native_id=str(n), author=None, text=text, url="", posted_at=at) for n, text in enumerate(texts)]
    return [each.score(question).label for each in Panel(model=model).understand(mentions)]  # type: ignore[union-attr]


def test_corrections_teach_a_word_that_nobody_knew() -> None:
    model = shipped()
    learnt = learn(model, corrections(label="specialist"))
    (judged,) = learnt.judged
    assert judged.kept
    assert judged.right_after > judged.right_before
    assert judged.rehearsed_after >= judged.rehearsed_before - 0.03
    assert learnt.change is not None
    better = changed(model, learnt.change, version="2.1")
    assert told(better, "our kettle is glorped once more", "the fridge got glorped in march") == ["specialist", "specialist"]


def test_other_questions_answer_as_before(change: bytes) -> None:
    model = shipped()
    better = changed(model, change, version="2.1")
    texts = ("where is my order", "the app crashes", "my lamp is glorped", "you useless liars")
    assert told(model, *texts, question="anger") == told(better, *texts, question="anger")
    assert len(change) < 2_000_000


def test_a_score_tells_which_learning_it_came_from(change: bytes) -> None:
    mention = Mention(
        network="file", native_id="1", author=None, text="where is it now", url="", posted_at=datetime(2026, 1, 1, tzinfo=UTC)
    )
    (scored,) = Panel(model=changed(shipped(), change, version="2.7")).understand([mention])
    assert {score.by for score in scored.scores if score.name == "needs"} == {"needs-2.7"}


def test_the_same_labels_teach_the_same() -> None:
    assert learn(shipped(), corrections()) == learn(shipped(), corrections())


def test_few_labels_are_left_for_another_night() -> None:
    learnt = learn(shipped(), corrections()[: LEAST - 1])
    assert learnt.change is None
    assert learnt.judged[0].reason == "too few labels yet"


def test_labels_that_only_confirm_change_nothing() -> None:
    confirmed = [Label(text=each.text, question="needs", label="account", corrects=False) for each in corrections()]
    assert learn(shipped(), confirmed).change is None


def test_labels_that_contradict_one_another_are_not_learnt() -> None:
    labels = ("account", "specialist", "common", "none")
    muddled = [
        Label(text=each.text, question="needs", label=labels[(number * 7 + number // 4) % 4], corrects=True)
        for number, each in enumerate(corrections())
    ]
    judged = learn(shipped(), muddled).judged[0]
    assert not judged.kept or judged.right_after > judged.right_before


def test_labels_and_questions_that_nobody_knows_are_left_aside() -> None:
    odd = [
        Label(text="a b c", question="mood", label="blue", corrects=True),
        Label(text="a b c", question="needs", label="x", corrects=True),
    ]
    assert learn(shipped(), odd).judged == ()
    assert learn(shipped(), []).change is None


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"PK\x03\x04" + b, lambda b: b[:0], lambda b: b"\xff" * len(b)])
def test_a_change_that_was_cut_or_is_foreign_is_refused(damage: object, change: bytes) -> None:
    assert callable(damage)
    with pytest.raises(ModelError, match="learnt change"):
        changed(shipped(), damage(change), version="2.1")


def test_a_change_for_other_weights_is_refused(change: bytes) -> None:
    with pytest.raises(ModelError, match="other weights"):
        changed(replace(shipped(), sha256="0" * 64), change, version="2.1")
