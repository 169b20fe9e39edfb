"""What answers are worth: per class precision, recall and F1, calibration error, confusion, intervals; and whether weights got worse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

_BINS = 10
_NOISE = 0.02  #: a head's macro-F1 may move so far between trainings before we call it worse
_Z = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Class:
    label: str
    n: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One head on some posts."""

    n: int
    macro_f1: float  #: mean over the labels that occur
    calibration_error: float  #: mean distance of confidence from accuracy, in ten bins
    classes: tuple[Class, ...]
    confusion: Mapping[tuple[str, str], int]  #: (true, given) -> posts


def figures(true: Sequence[str], given: Sequence[str], confidence: Sequence[float]) -> Figures:
    pairs = Counter(zip(true, given, strict=True))
    is_true, is_given = Counter(true), Counter(given)
    classes = []
    for label in sorted(is_true):
        hits = pairs[label, label]
        precision, recall = _ratio(hits, is_given[label]), _ratio(hits, is_true[label])
        classes.append(
            Class(label=label, n=is_true[label], precision=precision, recall=recall, f1=_ratio(2 * hits, is_given[label] + is_true[label]))
        )
    return Figures(
        n=len(true),
        macro_f1=_ratio(sum(found.f1 for found in classes), len(classes)),
        calibration_error=_calibration_error([t == g for t, g in zip(true, given, strict=True)], confidence),
        classes=tuple(classes),
        confusion=dict(pairs),
    )


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % interval of a share."""
    if n == 0:
        return 0.0, 1.0
    share = hits / n
    middle = share + _Z**2 / (2 * n)
    reach = _Z * sqrt(share * (1 - share) / n + _Z**2 / (4 * n * n))
    return max(0.0, (middle - reach) / (1 + _Z**2 / n)), min(1.0, (middle + reach) / (1 + _Z**2 / n))


def worse(candidate: Mapping[str, float], installed: Mapping[str, float]) -> list[str]:
    """Sentences that say which figures fell beyond noise; empty when the candidate may be installed."""
    return [
        f"{name}: {candidate.get(name, 0.0):.3f}, installed {before:.3f}"
        for name, before in installed.items()
        if candidate.get(name, 0.0) < before - _NOISE
    ]


def _calibration_error(right: Sequence[bool], confidence: Sequence[float]) -> float:
    bins: dict[int, list[tuple[bool, float]]] = {}
    for is_right, sure in zip(right, confidence, strict=True):
        bins.setdefault(min(int(sure * _BINS), _BINS - 1), []).append((is_right, sure))
    gaps = [abs(sum(is_right - sure for is_right, sure in inside)) for inside in bins.values()]
    return _ratio(sum(gaps), len(right))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
