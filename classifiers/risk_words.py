"""The words that mean risk whatever else a post says (`risk.toml`), found in a whole batch at once."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.features import Phrases, Tokens

KINDS = ("safety", "legal", "press", "privacy")  #: the first that applies counts


@dataclass(frozen=True, slots=True)
class _Rules:
    kind_of: NDArray[np.int64]  #: (phrases,) index into KINDS
    at_least: NDArray[np.float64]  #: (phrases,) 0..1
    phrases: Phrases


def named_kinds(tokens: Tokens) -> NDArray[np.float64]:
    """(texts, KINDS) 0..1: how probable the phrases that stand in a text make each kind, by themselves; mostly 0."""
    rules = _rules()
    texts, found = rules.phrases.find(tokens)
    named = np.zeros((tokens.n, len(KINDS)))
    np.maximum.at(named, (texts, rules.kind_of[found]), rules.at_least[found])
    return named


def reasons() -> dict[str, str]:
    """kind -> why it matters, for the person who reads the case."""
    return {rule["kind"]: rule["why"] for rule in _table()}


@cache
def _table() -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = tomllib.loads(files("classifiers").joinpath("risk.toml").read_text(encoding="utf-8"))["rule"]
    return rules


@cache
def _rules() -> _Rules:
    phrases = [(KINDS.index(rule["kind"]), float(rule["at_least"]), phrase) for rule in _table() for phrase in rule["phrases"]]
    kinds, at_least, words = zip(*phrases, strict=True)
    return _Rules(kind_of=np.array(kinds), at_least=np.array(at_least), phrases=Phrases(words))
