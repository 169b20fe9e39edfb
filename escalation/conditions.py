"""The small grammar of a rule's `when`.

    condition := fact "is" label            | fact "is not" label
               | fact "in" label, label …   | fact "not in" label, label …
               | number ">=" bound          (also > <= <)
    fact      := the name of a score (its label is compared), or "network", or "lang"
    number    := score ".value" | score ".confidence" | "followers"
    bound     := a number, or "$" and the name of a threshold

A condition is parsed once and becomes one cheap check. A count that the network does not tell (`followers`) satisfies no comparison.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from earshot.errors import ConfigurationError
from earshot.mention import Mention, Score

#: (scores by name, mention) -> does it hold? Raises `KeyError` with the name of a score that nobody gave.
Check = Callable[[Mapping[str, Score], Mention], bool]

FACTS = ("network", "lang", "followers")  #: what a condition may ask of the mention itself
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}

_NAME = r"[a-z][a-z0-9_]*"
_LABELS = re.compile(rf"({_NAME}) +(is not|is|not in|in) +(\S.*)")
_NUMBER = re.compile(rf"({_NAME})(?:\.(value|confidence))? *(>=|<=|>|<) *(\$?[\w.+-]+)")
_POSSIBLE = (
    'possible are "anger is angry", "anger is not calm", "intent in question, suggestion", "intent not in spam, other", '
    '"anger.value >= 0.35", "needs.confidence < $sure_needs", "network is x", "lang in en, zh", "followers > 10000"'
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
        return lambda _, mention: (mention.network in labels) is wanted
    if name == "lang":
        return lambda scores, mention: (_language(scores, mention) in labels) is wanted
    if wanted:
        return lambda scores, _: scores[name].label in labels
    return lambda scores, _: scores[name].label not in labels


def _language(scores: Mapping[str, Score], mention: Mention) -> str:
    """The language that we read, else what the network guessed, else "unsure"."""
    return scores["language"].label if "language" in scores else mention.lang_hint or "unsure"


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
    if part == "value":
        return lambda scores, _: compare(scores[name].value, bound)
    if part == "confidence":
        return lambda scores, _: compare(scores[name].confidence, bound)

    def followers(_: Mapping[str, Score], mention: Mention) -> bool:
        count = mention.author.followers if mention.author else None
        return count is not None and compare(count, bound)

    return followers
