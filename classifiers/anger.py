"""How angry is the author?"""

from __future__ import annotations

from classifiers.batch import Batch
from earshot.mention import Score


def anger(batch: Batch) -> list[Score]:
    """Labels: calm, annoyed, angry. Value: 0..1, calibrated probability of *angry*; one threshold on it bounds how many angry posts
    pass.
    """
    return batch.answers("anger", batch.probability("anger", "angry"))
