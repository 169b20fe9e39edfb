"""The small grammar of a rule's `when`.

    condition := fact "is" label            | fact "is not" label
               | fact "in" label, label …   | fact "not in" label, label …
               | number ">=" bound          (also > <= <)
    fact      := the name of a score (its label is compared), or "network", or "lang"
    number    := score ".value" | score ".confidence" | "followers"
    bound     := a number, or "$" and the name of a threshold

A condition is parsed once and becomes a check of whole batches. A count that the network does not tell (`followers`) satisfies no
comparison.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from earshot.errors import ConfigurationError
from earshot.mention import Mention, Score


class Facts(NamedTuple):
    """What is known of a batch: its mentions, and by name the scores of each."""

    mentions: Sequence[Mention]
    scores: Mapping[str, Sequence[Score]]


#: (facts, places in the batch) -> those places where it holds. Raises `KeyError` with the name of a score that nobody gave.
Check = Callable[[Facts, Sequence[int]], Sequence[int]]

FACTS = ("network", "lang", "followers")  #: what a condition may ask of the mention itself
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}

_NAME = r"[a-z][a-z0-9_]*"
_LABELS = re.compile(rf"({_NAME}) +(is not|is|not in|in) +(\S.*)")
_NUMBER = re.compile(rf"({_NAME})(?:\.(value|confidence))? *(>=|<=|>|<) *(\$?[\w.+-]+)")
_POSSIBLE = (
    'possible are "anger is angry", "anger is not calm", "intent in question, suggestion", "intent not in spam, other", '
    '"anger.value >= 0.35", "tier.confidence < $sure_staff", "network is x", "lang in en, zh", "followers > 10000"'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One parsed condition. `reads` is the score it needs, None where it asks the mention itself."""

    text: str
    reads: str | None
    labels: tuple[str, ...] = ()  #: the labels that it names, so that misspelt ones can be found
    threshold: str | None = None  #: the threshold that it names
    holds: Check = field(compare=False, repr=False)


def parse_condition(text: str, thresholds: Mapping[str, float]) -> Condition:
    """Read one condition. Raises `ConfigurationError`, which quotes it and lists what is possible."""
    text = " ".join(text.split())
    if found := _NUMBER.fullmatch(text):
        return _number(text, *found.groups(), thresholds=thresholds)
    if found := _LABELS.fullmatch(text):
        return _label(text, *found.groups())
    raise ConfigurationError(f'cannot read the condition "{text[:200]}"; {_POSSIBLE}')


def _label(text: str, name: str, how: str, rest: str) -> Condition:
    if name == "followers":
        raise ConfigurationError(f'"{text[:200]}": followers is a number; compare it with >=, >, <= or <')
    labels = tuple(word.strip() for word in rest.split(",")) if how.endswith("in") else (rest,)
    if not all(labels):
        raise ConfigurationError(f'"{text[:200]}" has an empty label; {_POSSIBLE}')
    reads = None if name in FACTS else name
    return Condition(text=text, reads=reads, labels=labels, holds=_label_check(name, frozenset(labels), wanted="not" not in how.split()))


def _label_check(name: str, labels: frozenset[str], *, wanted: bool) -> Check:
    if name == "network":
        return lambda facts, places: [i for i in places if (facts.mentions[i].network in labels) is wanted]
    if name == "lang":
        return lambda facts, places: [i for i in places if (_language(facts, i) in labels) is wanted]

    def check(facts: Facts, places: Sequence[int]) -> Sequence[int]:
        scores = facts.scores[name]
        return [i for i in places if (scores[i].label in labels) is wanted]

    return check


def _language(facts: Facts, place: int) -> str:
    """The language that we read, else what the network guessed, else "unsure"."""
    return facts.scores["language"][place].label if "language" in facts.scores else facts.mentions[place].lang_hint or "unsure"


def _number(text: str, name: str, part: str | None, sign: str, right: str, *, thresholds: Mapping[str, float]) -> Condition:
    if (name == "followers") is (part is not None) or name in ("network", "lang"):
        raise ConfigurationError(f'"{text[:200]}" compares no number; {_POSSIBLE}')
    bound = _bound(text, right, thresholds)
    threshold = right[1:] if right.startswith("$") else None
    reads = None if name == "followers" else name
    return Condition(text=text, reads=reads, threshold=threshold, holds=_number_check(name, part, COMPARISONS[sign], bound))


def _bound(text: str, right: str, thresholds: Mapping[str, float]) -> float:
    if right.startswith("$"):
        if right[1:] not in thresholds:
            raise ConfigurationError(f'"{text[:200]}": there is no threshold {right}; known: {", ".join(sorted(thresholds)) or "none"}')
        return thresholds[right[1:]]
    try:
        bound = float(right)
    except ValueError:
        bound = math.nan
    if not math.isfinite(bound):
        raise ConfigurationError(f'"{text[:200]}": {right} is neither a number nor a threshold such as $angry')
    return bound


def _number_check(name: str, part: str | None, compare: Callable[[float, float], bool], bound: float) -> Check:
    def value(facts: Facts, places: Sequence[int]) -> Sequence[int]:
        scores = facts.scores[name]
        return [i for i in places if compare(scores[i].value, bound)]

    def confidence(facts: Facts, places: Sequence[int]) -> Sequence[int]:
        scores = facts.scores[name]
        return [i for i in places if compare(scores[i].confidence, bound)]

    def followers(facts: Facts, places: Sequence[int]) -> Sequence[int]:
        authors = ((i, facts.mentions[i].author) for i in places)
        return [i for i, author in authors if author is not None and author.followers is not None and compare(author.followers, bound)]

    return {"value": value, "confidence": confidence}.get(part or "", followers)
