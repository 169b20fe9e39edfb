"""Suggestions beside a case. A few hundred candidates are compared in one go; no index to keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

#: below this nothing is suggested: a wrong hint costs more than none
LEAST = 0.35
#: what naming the same topic adds to the likeness of the words
_TOPIC = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate(Generic[T]):
    """Something that may fit: the phrases it is known by (title, search words, a past question), and its topics."""

    of: T
    phrases: tuple[str, ...]
    lang: str
    topics: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion(Generic[T]):
    of: T
    fit: float  #: 0..1
    reason: str


def suggest(text: str, *, lang: str, topics: Sequence[str], candidates: Sequence[Candidate[T]], most: int = 2) -> list[Suggestion[T]]:
    """The best-fitting candidates of the same language, best first, each with its reason."""
    from rapidfuzz import fuzz, process, utils

    same = [candidate for candidate in candidates if candidate.lang == lang or lang == "unsure"]
    if not same:
        return []
    phrases = [(i, phrase) for i, candidate in enumerate(same) for phrase in candidate.phrases]
    # Chinese has no spaces: there a part of the text must look like the phrase.
    scorer: Callable[..., float] = fuzz.partial_ratio if lang == "zh" else fuzz.token_set_ratio
    likeness = process.cdist([text[:2000]], [phrase for _, phrase in phrases], scorer=scorer, processor=utils.default_process)[0] / 100.0
    best: dict[int, tuple[float, str]] = {}
    for (i, phrase), value in zip(phrases, likeness, strict=True):
        best[i] = max(best.get(i, (0.0, "")), (float(value), phrase))
    wanted = frozenset(topics)
    ranked = [_weigh(same[i], value, phrase, wanted) for i, (value, phrase) in best.items()]
    return sorted((s for s in ranked if s.fit >= LEAST), key=lambda s: -s.fit)[:most]


def _weigh(candidate: Candidate[T], likeness: float, phrase: str, topics: frozenset[str]) -> Suggestion[T]:
    shared = sorted(candidate.topics & topics)
    fit = (1 - _TOPIC) * likeness + (_TOPIC if shared else 0.0)
    reason = f"like “{phrase[:80]}”" + (f"; same topic: {', '.join(shared)}" if shared else "")
    return Suggestion(of=candidate.of, fit=fit, reason=reason)
