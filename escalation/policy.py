"""The routing rules: an ordered table, first match wins. Data, edited by people; the default is `default.toml` beside this file.

A policy is parsed once into frozen values and cheap checks. The last rule has no condition, so that every mention meets one.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from earshot.case import Outcome, Tier
from earshot.errors import ConfigurationError
from escalation.conditions import FACTS, Condition, parse_condition
from escalation.sla import Hours, fits, hours_for, parse_duration, parse_hours, parse_tier

MOST_RULES = 500  #: more than people can read, few enough to stay quick


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A number that conditions name as `$name`, and why it is what it is."""

    name: str
    value: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row: when all conditions hold, who should answer, how surely, why and how soon."""

    key: str
    when: tuple[Condition, ...]
    tier: Tier
    outcome: Outcome
    reason: str  #: in words that a person reads
    due: timedelta | None  #: None: nobody needs to answer
    around_the_clock: bool = False  #: the time runs outside working hours too
    reads: tuple[str, ...] = ()  #: the scores that its conditions need


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """How much each part adds to the priority; they sum to 1."""

    anger: float = 0.35
    time: float = 0.30
    urgency: float = 0.20
    influence: float = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """How long an owner may be silent: `lease`, but never nearer to the promise than `margin`, and never shorter than `at_least`."""

    lease: timedelta = timedelta(minutes=45)
    margin: timedelta = timedelta(minutes=15)
    at_least: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The whole table. Equal texts give equal policies; `text` is what it was read from."""

    version: str
    rules: tuple[Rule, ...]
    thresholds: tuple[Threshold, ...]
    due: Mapping[Tier, timedelta]
    hours: tuple[Hours, ...]
    weights: Weights
    silence: Silence
    text: str = field(repr=False)

    @property
    def reads(self) -> frozenset[str]:
        """Names of all scores that some rule needs."""
        return frozenset(name for rule in self.rules for name in rule.reads)

    def within(self, tier: Tier) -> timedelta | None:
        """How soon a tier answers when no rule says otherwise."""
        return self.due.get(tier)

    def hours_of(self, tier: Tier, lang: str) -> Hours | None:
        """Working hours of a tier in a language; None: around the clock."""
        return hours_for(self.hours, tier, lang)


def check(policy: Policy, known_scores: Collection[str], *, labels: Mapping[str, Collection[str]] = MappingProxyType({})) -> None:
    """Raise `ConfigurationError` when a rule needs a score that nobody gives, or names a label that a score never has.

    `labels` holds, for scores with a fixed set of labels, that set. To be called at start-up and before a policy is saved.
    """
    for rule in policy.rules:
        with _naming(f'policy {policy.version}, rule "{rule.key}"'):
            for condition in rule.when:
                _check_condition(condition, known_scores, labels)


def _check_condition(condition: Condition, known_scores: Collection[str], labels: Mapping[str, Collection[str]]) -> None:
    if condition.reads is None:
        return
    if condition.reads not in known_scores:
        known = ", ".join(sorted(known_scores)) or "none"
        raise ConfigurationError(
            f'"{condition.text}" needs the score {condition.reads!r}, which nobody gives; switch its classifier on or drop the condition. '
            f"Known scores: {known}; facts of the mention: {', '.join(FACTS)}"
        )
    possible = labels.get(condition.reads, condition.labels)
    if odd := sorted(set(condition.labels) - set(possible)):
        raise ConfigurationError(
            f'"{condition.text}": {condition.reads} is never {", ".join(odd)}; possible: {", ".join(sorted(possible))}'
        )


@cache
def default_policy() -> Policy:
    """The policy that ships."""
    return parse_policy(files("escalation").joinpath("default.toml").read_text(encoding="utf-8"))


def parse_policy(toml_text: str) -> Policy:
    """Read a policy. Raises `ConfigurationError`, which names rule and condition and says what is possible."""
    try:
        table = tomllib.loads(toml_text)
    except (tomllib.TOMLDecodeError, RecursionError) as err:
        raise ConfigurationError(f"policy: not readable as TOML: {err}") from err
    with _naming("policy"):
        _only(table, {"version", "thresholds", "rules", "due", "hours", "priority", "silence"})
        version = _words(table, "version")
        thresholds = tuple(_threshold(name, row) for name, row in _table(table, "thresholds").items())
        due = {parse_tier(tier): parse_duration(value) for tier, value in _table(table, "due").items()}
        if missing := [tier for tier in Tier if tier is not Tier.NONE and tier not in due]:
            raise ConfigurationError(f"[due] lacks {', '.join(missing)}")
        hours = tuple(parse_hours(row) for row in _rows(table, "hours"))
        weights, silence = _weights(_table(table, "priority")), _silence(_table(table, "silence"))
    with _naming(f"policy {version}"):
        rules = _rules(_rows(table, "rules"), {t.name: t.value for t in thresholds}, due)
        policy = Policy(
            version=version,
            rules=rules,
            thresholds=thresholds,
            due=MappingProxyType(due),
            hours=hours,
            weights=weights,
            silence=silence,
            text=toml_text,
        )
        _every_promise_can_be_kept(policy)
    return policy


def _rules(rows: list[dict[str, Any]], thresholds: Mapping[str, float], due: Mapping[Tier, timedelta]) -> tuple[Rule, ...]:
    if not 1 <= len(rows) <= MOST_RULES:
        raise ConfigurationError(f"needs between 1 and {MOST_RULES} [[rules]], not {len(rows)}")
    rules: dict[str, Rule] = {}
    for number, row in enumerate(rows, start=1):
        with _naming(f'rule "{row["key"]}"' if isinstance(row.get("key"), str) else f"rule {number}"):
            rule = _rule(row, thresholds, due)
            if rule.key in rules:
                raise ConfigurationError("two rules have this key; give each its own")
            if not rule.when and number < len(rows):
                raise ConfigurationError("has no condition, so the rules after it would never be reached; move it to the end")
            rules[rule.key] = rule
    if rule.when:
        raise ConfigurationError(f'the last rule, "{rule.key}", must have no condition (when = []), so that every mention meets a rule')
    return tuple(rules.values())


def _rule(row: dict[str, Any], thresholds: Mapping[str, float], due: Mapping[Tier, timedelta]) -> Rule:
    _only(row, {"key", "when", "tier", "outcome", "reason", "due", "around_the_clock"})
    when = row.get("when")
    if not isinstance(when, list) or not all(isinstance(text, str) for text in when):
        raise ConfigurationError('when must be a list of conditions in quotes, such as ["anger is angry"]')
    conditions = tuple(parse_condition(text, thresholds) for text in when)
    tier = parse_tier(_words(row, "tier"))
    return Rule(
        key=_words(row, "key"),
        when=conditions,
        tier=tier,
        outcome=_outcome(_words(row, "outcome")),
        reason=_words(row, "reason"),
        due=parse_duration(row["due"]) if "due" in row else due.get(tier),
        around_the_clock=_flag(row, "around_the_clock"),
        reads=tuple(dict.fromkeys(c.reads for c in conditions if c.reads is not None)),
    )


def _every_promise_can_be_kept(policy: Policy) -> None:
    langs = {row.lang or "" for row in policy.hours} | {""}
    for rule in policy.rules:
        for lang in langs:
            if rule.due is not None and not rule.around_the_clock and not fits(rule.due, policy.hours_of(rule.tier, lang)):
                raise ConfigurationError(f'rule "{rule.key}": its time does not fit into a year of working hours of {rule.tier}')


def _threshold(name: str, row: object) -> Threshold:
    with _naming(f"threshold {name}"):
        if not isinstance(row, dict):
            raise ConfigurationError('needs a value and a reason: { value = 0.5, reason = "…" }')
        _only(row, {"value", "reason"})
        return Threshold(name=name, value=_number(row, "value"), reason=_words(row, "reason"))


def _weights(row: dict[str, Any]) -> Weights:
    with _naming("priority"):
        _only(row, {"anger", "time", "urgency", "influence"})
        if not row:
            return Weights()
        parts = {name: _number(row, name) for name in ("anger", "time", "urgency", "influence")}
        if min(parts.values()) < 0 or not math.isclose(sum(parts.values()), 1.0, abs_tol=1e-6):
            raise ConfigurationError("anger, time, urgency and influence must not be negative and must sum to 1")
        return Weights(**parts)


def _silence(row: dict[str, Any]) -> Silence:
    with _naming("silence"):
        _only(row, {"lease", "margin", "at_least"})
        return Silence(**{name: parse_duration(value) for name, value in row.items()})


def _outcome(text: str) -> Outcome:
    try:
        return Outcome(text)
    except ValueError as err:
        raise ConfigurationError(f"there is no outcome {text!r}; possible: {', '.join(Outcome)}") from err


@contextmanager
def _naming(where: str) -> Iterator[None]:
    """Put the place in front of whatever is wrong there."""
    try:
        yield
    except ConfigurationError as err:
        raise ConfigurationError(f"{where}: {err}") from err


def _only(row: Mapping[str, Any], known: Collection[str]) -> None:
    if unknown := sorted(set(row) - set(known)):
        raise ConfigurationError(f"{', '.join(unknown)} is unknown; possible: {', '.join(sorted(known))}")


def _typed(row: Mapping[str, Any], key: str, fits: Callable[[Any], bool], kind: str) -> Any:
    if key not in row or not fits(row[key]):
        raise ConfigurationError(f"{key} is missing or no {kind}")
    return row[key]


def _words(row: Mapping[str, Any], key: str) -> str:
    text: str = _typed(row, key, lambda value: isinstance(value, str) and bool(value.strip()), "text")
    return text.strip()


def _number(row: Mapping[str, Any], key: str) -> float:
    return float(_typed(row, key, lambda value: type(value) in (int, float) and math.isfinite(value), "number"))


def _flag(row: Mapping[str, Any], key: str) -> bool:
    return key in row and bool(_typed(row, key, lambda value: isinstance(value, bool), "true or false"))


def _table(row: Mapping[str, Any], key: str) -> dict[str, Any]:
    table: dict[str, Any] = _typed({key: {}} | dict(row), key, lambda value: isinstance(value, dict), "table")
    return table


def _rows(row: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    def is_rows(value: Any) -> bool:
        return isinstance(value, list) and all(isinstance(item, dict) for item in value)

    rows: list[dict[str, Any]] = _typed({key: []} | dict(row), key, is_rows, f"list of tables; write it as [[{key}]]")
    return rows
