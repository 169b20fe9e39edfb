"""Who answered posts like this? The policy decides; this is what the labelled posts advise."""

from __future__ import annotations

from classifiers.batch import Batch
from earshot.mention import Score


def tier(batch: Batch) -> list[Score]:
    """Labels: none, community, tier_1, tier_2. Value: 0..1, probability of *community*."""
    return batch.answers("tier", batch.probability("tier", "community"))
