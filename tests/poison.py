"""A question that chokes on one word: what a broken classifier does to the mentions around it."""

from __future__ import annotations

from classifiers.batch import Batch
from earshot.mention import Score

WORD = "abracadabra"


def choke(batch: Batch) -> list[Score]:
    if any(WORD in mention.text for mention in batch.mentions):
        raise RuntimeError("this text cannot be read")
    return [Score(name="poison", label="none", value=0.0, confidence=1.0, by="poison-1") for _ in batch.mentions]
