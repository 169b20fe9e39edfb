from __future__ import annotations

from datetime import UTC, datetime

import pytest

from classifiers.batch import Batch
from classifiers.panel import Panel
from earshot.mention import Mention

ANGRY = "Your support is absolutely useless garbage and I am furious, you liars"


@pytest.fixture(scope="module")
def panel() -> Panel:
    return Panel()


def test_the_words_that_weighed_are_named_with_their_place_and_sign(panel: Panel) -> None:
    for weighed in panel.explain(ANGRY).values():
        assert all(part.text == ANGRY[part.start : part.end] for part in weighed)
        assert [abs(part.weight) for part in weighed] == sorted((abs(part.weight) for part in weighed), reverse=True)
    assert {part.text for part in panel.explain(ANGRY)["anger"] if part.weight > 0} & {"useless", "garbage", "furious,", "liars"}


def test_without_the_words_that_weighed_the_label_is_less_probable(panel: Panel) -> None:
    top = panel.explain(ANGRY)["anger"][:3]
    shortened = ANGRY
    for part in sorted(top, key=lambda part: -part.start):
        shortened = shortened[: part.start] + " " + shortened[part.end :]
    posted = datetime(2026, 11, 1, tzinfo=UTC)
    mentions = [Mention(network="x", native_id="1", author=None, text=text, url="", posted_at=posted) for text in (ANGRY, shortened)]
    batch = Batch(mentions, model=panel.model)
    before, after = batch.probability("anger", "angry").tolist()
    assert after < before - 0.1


@pytest.mark.parametrize("text", ["", "😡", "!" * 40_000, "why " * 10_000, "请问怎么重置网关"])
def test_every_text_can_be_explained(panel: Panel, text: str) -> None:
    assert set(panel.explain(text)) == {"sentiment", "anger", "intent", "asks", "needs", "urgent", "risk"}
