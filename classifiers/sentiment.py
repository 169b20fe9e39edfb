"""What does it feel towards the brand or the subject?"""

from __future__ import annotations

from classifiers.batch import Batch
from earshot.mention import Score

#: Public sets taught these, beside English and Chinese.
LANGUAGES = frozenset({"ar", "de", "en", "es", "fr", "hi", "it", "pt", "zh"})


def sentiment(batch: Batch) -> list[Score]:
    """Labels: negative, neutral, positive. Value: -1..1, probability of positive less that of negative."""
    pole = batch.probability("sentiment", "positive") - batch.probability("sentiment", "negative")
    return batch.answers("sentiment", pole, languages=LANGUAGES)
