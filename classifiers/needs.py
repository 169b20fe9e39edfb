"""What does answering take?"""

from __future__ import annotations

from classifiers.batch import Batch
from earshot.mention import Score


def needs(batch: Batch) -> list[Score]:
    """Labels: common (an experienced customer can), specialist, account (the company's systems or authority), none. Value: 0..1,
    probability of *common*.
    """
    return batch.answers("needs", batch.probability("needs", "common"))
