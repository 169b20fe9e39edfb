"""Is it promotion or bait, written by somebody who wants nothing from the brand?"""

from __future__ import annotations

from classifiers.batch import Batch
from earshot.mention import Score


def spam(batch: Batch) -> list[Score]:
    """Labels: yes, no. Value: 0..1, probability of *yes*."""
    return batch.answers("spam", batch.probability("spam", "yes"))
