"""What does it feel towards the brand or the subject?"""

from __future__ import annotations

from classifiers.batch import Batch
from earshot.mention import Score


def sentiment(batch: Batch) -> list[Score]:
    """Labels: negative, neutral, positive. Value: -1..1, probability of positive less that of negative."""
    return batch.answers(
        "sentiment", batch.probability("sentiment", "positive") - batch.probability("sentiment", "negative"), blank="neutral"
    )
