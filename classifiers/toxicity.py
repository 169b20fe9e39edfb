"""Is it offensive to anybody?"""

from __future__ import annotations

from classifiers.batch import Batch
from earshot.mention import Score


def toxicity(batch: Batch) -> list[Score]:
    """Labels: yes, no. Value: 0..1, probability of *yes*."""
    return batch.answers("toxicity", batch.probability("toxicity", "yes"))
