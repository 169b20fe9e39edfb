"""Does the author expect an answer?"""

from __future__ import annotations

from classifiers.batch import Batch
from earshot.mention import Score


def asks(batch: Batch) -> list[Score]:
    """Labels: yes, no. Value: 0..1, probability of *yes*."""
    return batch.answers("asks", batch.probability("asks", "yes"))
