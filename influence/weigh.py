"""Mentions become "influence" scores: a percentile 0..1 among the authors of that network, with its factors.

Reach counts for 70 %, resonance for 30 %. Each is a percentile of its own; where their weighted sum stands among the sums of that
network's authors is again a percentile, so that "top 5 %" means what it says. An unknown factor leaves the other one alone, with less
confidence; without either the score is the middle, with no confidence at all.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from earshot.mention import Mention, Score
from influence.signals import Floats, reach, resonance

BY = "influence-1"
REACH, RESONANCE = 0.7, 0.3  #: shares of the two factors
SURE_OF_REACH, SURE_OF_RESONANCE = 0.6, 0.25  #: what each known factor adds to the confidence
ENOUGH = 200  #: known values that it takes to refresh a network's knots
KNOTS = (*(step / 50 for step in range(50)), 0.985, 0.99, 0.995, 0.999, 0.9999)  #: finer where "top 1 %" is decided
TOPS = (0.001, 0.01, 0.05, 0.10, 0.25, 0.50)
_BOUNDS = tuple(1 - top for top in reversed(TOPS))
_WORDS = ("lower half", *(f"top {top * 100:g} %" for top in reversed(TOPS)))  #: below, between and above the bounds
OTHER = "other"  #: knots of a network that we know nothing of


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """The authors to compare with: per network, the values at `KNOTS` of reach, of resonance and of their weighted sum, rising.

    `other` is always there.
    """

    by: str
    reach: Mapping[str, tuple[float, ...]]
    resonance: Mapping[str, tuple[float, ...]]
    total: Mapping[str, tuple[float, ...]]

    @classmethod
    def of(cls, mentions: Iterable[Mention], *, by: str = BY) -> Population:
        """The authors of these mentions, each counted once per network; networks with fewer than 200 known keep the shipped knots."""
        latest = {(m.network, m.author.native_id): m for m in mentions if m.author is not None}
        each, shipped = list(latest.values()), default_population()
        reached = reach(each)
        drawn = resonance(each, _filled(each, reached, shipped))
        networks = np.array([m.network for m in each], object)
        far, deep = _knots(networks, reached, shipped.reach), _knots(networks, drawn, shipped.resonance)
        total = REACH * _percentiles(networks, reached, far) + RESONANCE * _percentiles(networks, drawn, deep)
        return cls(by=by, reach=far, resonance=deep, total=_knots(networks, total, shipped.total))


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One part of the influence, as the case page shows it."""

    name: str
    percentile: float | None  #: 0..1; None: the network does not tell
    weight: float
    words: str


@cache
def default_population() -> Population:
    """The population that ships: invented, log-normal in followers and in reactions, until `Population.of` has seen enough authors."""
    typical = {
        "x": (200, 2.0),
        "reddit": (1_500, 2.2),
        "mastodon": (60, 1.8),
        "hackernews": (300, 2.1),
        "feed": (1_000, 2.0),
        OTHER: (150, 2.0),
    }
    normal = _normal_quantiles()
    return Population(
        by=BY,
        reach=MappingProxyType(
            {name: tuple(np.maximum(0, np.log(middle) + spread * normal)) for name, (middle, spread) in typical.items()}
        ),
        resonance=MappingProxyType({OTHER: tuple(-1.2 + 1.3 * normal)}),
        total=MappingProxyType({OTHER: _independent_total()}),
    )


def weigh(mentions: Sequence[Mention], population: Population) -> list[Score]:
    """One score called "influence" per mention, in order: value 0..1, label "top 5 %", "lower half" or "unknown"."""
    measured = measure(mentions, population)
    labels = [
        _label(value) if sure else "unknown" for value, sure in zip(measured.value.tolist(), measured.confidence.tolist(), strict=True)
    ]
    values, confidence = np.round(measured.value, 4).tolist(), np.round(measured.confidence, 4).tolist()
    return Score.batch(name="influence", labels=labels, values=values, confidences=confidence, by=population.by)


def explain(mention: Mention, population: Population) -> tuple[Factor, ...]:
    """The factors of one mention's influence, in words."""
    measured = measure([mention], population)
    far, deep = float(measured.reach[0]), float(measured.resonance[0])
    return (
        _factor("reach", REACH, far, words=_reach_words(mention), unknown=f"{mention.network} does not tell how many the author reaches"),
        _factor("resonance", RESONANCE, deep, words=_resonance_words(mention), unknown=f"{mention.network} does not count reactions"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One entry per mention. Percentiles 0..1, `nan` where unknown; value and confidence are always known."""

    reach: Floats
    resonance: Floats
    value: Floats
    confidence: Floats


def measure(mentions: Sequence[Mention], population: Population) -> Measured:
    """The numbers behind `weigh`, as arrays."""
    networks = np.array([m.network for m in mentions], object)
    reached = reach(mentions)
    drawn = resonance(mentions, _filled(mentions, reached, population))
    far, deep = _percentiles(networks, reached, population.reach), _percentiles(networks, drawn, population.resonance)
    both = _percentiles(networks, REACH * far + RESONANCE * deep, population.total)
    value = np.where(np.isnan(both), np.where(np.isnan(far), deep, far), both)
    confidence = SURE_OF_REACH * ~np.isnan(far) + SURE_OF_RESONANCE * ~np.isnan(deep)
    return Measured(reach=far, resonance=deep, value=np.where(np.isnan(value), 0.5, value), confidence=confidence)


def _percentiles(networks: NDArray[np.object_], raw: Floats, knots: Mapping[str, tuple[float, ...]]) -> Floats:
    """Where each raw value stands among the authors of its network; `nan` stays `nan`."""
    out = np.full(len(raw), np.nan)
    for network in set(networks.tolist()):
        here = networks == network
        out[here] = _standing(raw[here], np.array(knots.get(network, knots[OTHER])))
    return out


def _standing(raw: Floats, knots: Floats) -> Floats:
    """Share below `raw`; where many stand on one value (no reactions at all), the middle of them."""
    below = 1 - np.interp(-raw, -knots[::-1], 1 - np.array(KNOTS)[::-1])
    middle: Floats = (below + np.interp(raw, knots, KNOTS)) / 2
    return middle


def _filled(mentions: Sequence[Mention], reached: Floats, population: Population) -> Floats:
    """Unknown reach as the middle of its network, so that reactions can be compared at all."""
    middle = {name: float(np.interp(0.5, KNOTS, knots)) for name, knots in population.reach.items()}
    return np.where(np.isnan(reached), [middle.get(m.network, middle[OTHER]) for m in mentions], reached)


def _independent_total() -> tuple[float, ...]:
    """Knots of REACH * U + RESONANCE * V for independent uniform U and V."""
    x = np.linspace(0, 1, 2001)
    area = np.maximum(x, 0) ** 2 - np.maximum(x - REACH, 0) ** 2 - np.maximum(x - RESONANCE, 0) ** 2
    return tuple(np.interp(KNOTS, area / (2 * REACH * RESONANCE), x).tolist())


def _knots(networks: NDArray[np.object_], raw: Floats, shipped: Mapping[str, tuple[float, ...]]) -> Mapping[str, tuple[float, ...]]:
    fresh = {}
    for network in sorted(set(networks.tolist())):
        known = raw[(networks == network) & ~np.isnan(raw)]
        if len(known) >= ENOUGH:
            fresh[network] = tuple(np.quantile(known, KNOTS).tolist())
    return MappingProxyType({**shipped, **fresh})


def _normal_quantiles() -> Floats:
    return np.array([NormalDist().inv_cdf(min(max(knot, 0.001), 0.9999)) for knot in KNOTS])


def _label(value: float) -> str:
    return _WORDS[bisect_right(_BOUNDS, value)]


def _factor(name: str, weight: float, percentile: float, *, words: str, unknown: str) -> Factor:
    if np.isnan(percentile):
        return Factor(name=name, percentile=None, weight=weight, words=unknown)
    return Factor(name=name, percentile=percentile, weight=weight, words=f"{words}: {_label(percentile)}")


def _reach_words(mention: Mention) -> str:
    count = mention.author.followers if mention.author else None
    return f"{count or 0:,} karma" if mention.network == "reddit" else _many(count or 0, "follower", "followers")


def _resonance_words(mention: Mention) -> str:
    counts = ((mention.likes, "like", "likes"), (mention.reposts, "repost", "reposts"), (mention.replies, "reply", "replies"))
    return ", ".join(_many(count, one, more) for count, one, more in counts if count is not None)


def _many(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"
