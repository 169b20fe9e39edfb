"""Whether posts, or what people say of them, stray from what they were in the first weeks: then it is time to teach and to retrain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import pi, sqrt
from typing import Literal

from classifiers.figures import wilson

#: an answer with less confidence is called unsure
UNSURE_BELOW = 0.6
#: what later weeks are held against
FIRST_WEEKS = 4
#: a share must move so far, and beyond its interval, before anybody is told
_WORTH_TELLING = 0.05
#: the labels of so many in a hundred posts must have moved, and four times what chance alone moves
_MIX_WORTH_TELLING, _CHANCES = 0.10, 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One week of one question, counted."""

    week: datetime  #: its Monday, 00:00 UTC
    mentions: int = 0
    unsure: int = 0
    labels: Mapping[str, int] = field(default_factory=dict)
    judged: int = 0  #: labels that people gave
    agreed: int = 0  #: of those, how many were ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share with its 95 % interval; 0..1 each. Of nothing it is unknown: the interval is everything."""

    of: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    week: datetime
    unsure: Share
    agreement: Share
    mix: Mapping[str, float]  #: label -> share


@dataclass(frozen=True, slots=True, kw_only=True)
class Strayed:
    """What is not as in the first weeks: two shares, 0..1."""

    what: Literal["unsure", "agreement", "label"]
    now: float
    before: float
    label: str = ""  #: the one that grew most, where the labels moved


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """One question over the weeks, oldest first, the running week last."""

    question: str
    weeks: tuple[Week, ...]
    first: Week | None  #: the first weeks together; None while there is nothing to compare with
    shift: float  #: 0..1: of how many posts the label changed since, as the mix tells
    strayed: tuple[Strayed, ...]  #: beyond chance

    @property
    def now(self) -> Week:
        return self.weeks[-1]


def trend(question: str, seen: Sequence[Seen]) -> Trend:
    """The trend of a question from its weeks, oldest first; there must be one at least."""
    with_posts = [week for week in seen if week.mentions]
    first = with_posts[: min(FIRST_WEEKS, len(with_posts) - 1)]
    before = _together(first) if first else None
    now = seen[-1]
    shift = _shift(before, now) if before else 0.0
    return Trend(
        question=question,
        weeks=tuple(_week(week) for week in seen),
        first=_week(before) if before else None,
        shift=shift,
        strayed=tuple(_strayed(before, now, shift)) if before else (),
    )


def _together(weeks: Sequence[Seen]) -> Seen:
    labels: Counter[str] = Counter()
    for week in weeks:
        labels.update(week.labels)
    return Seen(
        week=weeks[0].week,
        mentions=sum(week.mentions for week in weeks),
        unsure=sum(week.unsure for week in weeks),
        labels=labels,
        judged=sum(week.judged for week in weeks),
        agreed=sum(week.agreed for week in weeks),
    )


def _week(seen: Seen) -> Week:
    return Week(
        week=seen.week, unsure=_share(seen.unsure, seen.mentions), agreement=_share(seen.agreed, seen.judged), mix=_mix(seen)
    )  # fmt: skip


def _share(hits: int, of: int) -> Share:
    low, high = wilson(hits, of)
    return Share(of=of, value=hits / of if of else 0.0, low=low, high=high)


def _mix(seen: Seen) -> dict[str, float]:
    whole = sum(seen.labels.values())
    return {label: n / whole for label, n in sorted(seen.labels.items(), key=lambda item: (-item[1], item[0]))}


def _shift(before: Seen, now: Seen) -> float:
    """Half the sum of what each label won or lost: the total variation distance."""
    was, is_now = _mix(before), _mix(now)
    if not is_now:
        return 0.0
    return sum(abs(is_now.get(label, 0.0) - was.get(label, 0.0)) for label in was | is_now) / 2


def _by_chance(before: Seen, now: Seen) -> float:
    """The shift to be expected between two samples of one mix: each label's mean absolute difference is that of a normal."""
    spread = 1 / max(before.mentions, 1) + 1 / max(now.mentions, 1)
    return sum(sqrt(2 / pi * p * (1 - p) * spread) for p in _mix(_together([before, now])).values()) / 2


def _strayed(before: Seen, now: Seen, shift: float) -> Iterator[Strayed]:
    was, is_now = _share(before.unsure, before.mentions), _share(now.unsure, now.mentions)
    if is_now.low > was.high and is_now.value - was.value >= _WORTH_TELLING:
        yield Strayed(what="unsure", now=is_now.value, before=was.value)
    was, is_now = _share(before.agreed, before.judged), _share(now.agreed, now.judged)
    if is_now.high < was.low and was.value - is_now.value >= _WORTH_TELLING:
        yield Strayed(what="agreement", now=is_now.value, before=was.value)
    if shift >= max(_MIX_WORTH_TELLING, _CHANCES * _by_chance(before, now)):
        yield _grew_most(_mix(before), _mix(now))


def _grew_most(was: Mapping[str, float], is_now: Mapping[str, float]) -> Strayed:
    label = max(sorted(is_now), key=lambda name: is_now[name] - was.get(name, 0.0))
    return Strayed(what="label", label=label, now=is_now[label], before=was.get(label, 0.0))
