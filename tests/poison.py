"""A question that chokes on one word: what a broken classifier does to the mentions around it."""

from __future__ import annotations

import os

from classifiers.batch import Batch
from earshot.mention import Score

WORD = "abracadabra"


def choke(batch: Batch) -> list[Score]:
    if _holds_the_word(batch):
        raise RuntimeError("this text cannot be read")
    return _scores(batch)


def kill(batch: Batch) -> list[Score]:
    """As a fault in a library does: the process is gone, and nothing was caught."""
    if _holds_the_word(batch):
        os._exit(1)
    return _scores(batch)


def _holds_the_word(batch: Batch) -> bool:
    return any(WORD in mention.text for mention in batch.mentions)


def _scores(batch: Batch) -> list[Score]:
    return [Score(name="poison", label="none", value=0.0, confidence=1.0, by="poison-1") for _ in batch.mentions]
