"""Which posts would teach the models most: those whose best labels lie closest together, and which are not all of a kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from classifiers.model import margin
from earshot.mention import ScoredMention

#: languages that the heads learn
_LEARNT = ("en", "zh")
#: of those chosen, so many may have one intent
_OF_ONE_INTENT = 0.3
#: texts that share so much of their runs of three characters read alike
_ALIKE = 0.4
_RUN = 3
_LONGEST = 1_000


def margins(probabilities: Mapping[str, NDArray[np.float32]], questions: Sequence[str]) -> NDArray[np.float64]:
    """(mentions,) 0..1: how far the likeliest label lies before the second, in the mean of `questions`; near 0 the model guesses."""
    return np.asarray(np.mean([margin(probabilities[question]) for question in questions], axis=0), np.float64)


def most_informative(scored: Sequence[ScoredMention], margin: Sequence[float], *, most: int) -> list[int]:
    """Places in `scored` of up to `most` mentions, the smallest margin first.

    Only what can be read in a language that we learn; no two that read alike, and not more than three in ten of one intent.
    """
    order = sorted((i for i, mention in enumerate(scored) if _can_teach(mention)), key=lambda i: (margin[i], i))
    allowed = max(1, round(most * _OF_ONE_INTENT))
    chosen: list[int] = []
    runs: list[frozenset[str]] = []
    intents: Counter[str] = Counter()
    for i in order:
        if len(chosen) == most:
            break
        intent, own = _label(scored[i], "intent"), _runs(scored[i].mention.text)
        if intents[intent] < allowed and not any(_are_alike(own, other) for other in runs):
            chosen.append(i)
            runs.append(own)
            intents[intent] += 1
    return chosen


def _can_teach(scored: ScoredMention) -> bool:
    intent = scored.score("intent")
    return _label(scored, "language") in _LEARNT and intent is not None and intent.confidence > 0


def _label(scored: ScoredMention, question: str) -> str:
    score = scored.score(question)
    return "" if score is None else score.label


def _runs(text: str) -> frozenset[str]:
    plain = "".join(text[:_LONGEST].casefold().split())
    return frozenset(plain[i : i + _RUN] for i in range(max(1, len(plain) - _RUN + 1)))


def _are_alike(one: frozenset[str], other: frozenset[str]) -> bool:
    return len(one & other) >= _ALIKE * len(one | other)
