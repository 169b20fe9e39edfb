"""What answers are worth: per class precision, recall and F1, calibration error, confusion, intervals; and whether weights got worse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

_BINS = 10
_NOISE = 0.02  #: a head's macro-F1 may move so far between trainings before we call it worse
_Z = 1.96
_DRAWS = 200


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
    right = np.array([t == g for t, g in zip(true, given, strict=True)])
    return _counted(pairs, calibration_error=_calibration_error(right, np.array(confidence)))


def _counted(pairs: Mapping[tuple[str, str], int], *, calibration_error: float) -> Figures:
    """From (true, given) -> posts."""
    is_true, is_given = Counter[str](), Counter[str]()
    for (true, given), number in pairs.items():
        is_true[true] += number
        is_given[given] += number
    classes = []
    for label in sorted(+is_true):
        hits = pairs.get((label, label), 0)
        precision, recall = _ratio(hits, is_given[label]), _ratio(hits, is_true[label])
        classes.append(
            Class(label=label, n=is_true[label], precision=precision, recall=recall, f1=_ratio(2 * hits, is_given[label] + is_true[label]))
        )
    return Figures(
        n=is_true.total(),
        macro_f1=_ratio(sum(found.f1 for found in classes), len(classes)),
        calibration_error=calibration_error,
        classes=tuple(classes),
        confusion=dict(pairs),
    )


def spread(found: Figures, measure: Callable[[Figures], float]) -> tuple[float, float]:
    """95 % interval of a measure over resampled posts: what other posts of the same kind might have given."""
    if not found.n:
        return 0.0, 1.0
    cells = list(found.confusion)
    shares = np.array([found.confusion[cell] for cell in cells]) / found.n
    draws = np.random.default_rng(0).multinomial(found.n, shares, size=_DRAWS).tolist()
    again = sorted(measure(_counted(dict(zip(cells, drawn, strict=True)), calibration_error=0.0)) for drawn in draws)
    return again[int(0.025 * _DRAWS)], again[int(0.975 * _DRAWS)]


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


def excess(right: Sequence[bool], confidence: Sequence[float]) -> tuple[float, float, float]:
    """Calibration error less what chance alone gives, and its 95 % interval over resampled answers."""
    told, sure = np.array(right, bool), np.array(confidence, float)
    chance, draws = _by_chance(sure), np.random.default_rng(0).integers(0, len(sure), (_DRAWS, len(sure)))
    found = _calibration_error(told, sure) - chance
    # A resample doubles the noise of the sample: what it adds on average is taken off again.
    again = np.sort([_calibration_error(told[rows], sure[rows]) for rows in draws]) - chance
    again -= again.mean() - found
    return found, float(again[int(0.025 * _DRAWS)]), float(again[int(0.975 * _DRAWS)])


def _by_chance(confidence: NDArray[np.float64]) -> float:
    """The calibration error of answers that are right exactly as often as their confidence says, on average over draws."""
    told = np.random.default_rng(0).random((_DRAWS, len(confidence))) < confidence
    return float(np.mean([_calibration_error(each, confidence) for each in told]))


def _calibration_error(right: NDArray[np.bool_], confidence: NDArray[np.float64]) -> float:
    inside = np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)
    gaps = np.bincount(inside, right - confidence, minlength=_BINS)
    return float(_ratio(float(np.abs(gaps).sum()), len(right)))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
