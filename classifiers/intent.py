"""What is the one main purpose?"""

from __future__ import annotations

from classifiers.batch import Batch
from earshot.mention import Score


def intent(batch: Batch) -> list[Score]:
    """Labels: question, problem, complaint, praise, suggestion, purchase, cancel, spam, other. Value: 0..1, probability of the
    likeliest label.
    """
    return batch.answers("intent", batch.probabilities["intent"].max(axis=1, initial=0.0))
