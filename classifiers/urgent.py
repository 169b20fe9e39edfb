"""Would waiting hours hurt?"""

from __future__ import annotations

from classifiers.batch import Batch
from earshot.mention import Score


def urgent(batch: Batch) -> list[Score]:
    """Labels: yes, no. Value: 0..1, probability of *yes*."""
    return batch.answers("urgent", batch.probability("urgent", "yes"))
