"""The words that mean risk whatever else a post says (`risk.toml`), found in a whole batch at once."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from classifiers.features import Phrases, Tokens

KINDS = ("safety", "legal", "press", "privacy")  #: the first that applies counts


@dataclass(frozen=True, slots=True)
class _Rules:
    kind_of: NDArray[np.int64]  #: (phrases,) index into KINDS
    phrases: Phrases


def named_kinds(tokens: Tokens) -> NDArray[np.bool_]:
    """(texts, KINDS) which kinds of risk the rules name."""
    rules = _rules()
    texts, found = rules.phrases.find(tokens)
    named = np.zeros((tokens.n, len(KINDS)), bool)
    named[texts, rules.kind_of[found]] = True
    return named


def reasons() -> dict[str, str]:
    """kind -> why it matters, for the person who reads the case."""
    return {rule["kind"]: rule["why"] for rule in _table()}


@cache
def _table() -> list[dict[str, str]]:
    rules: list[dict[str, str]] = tomllib.loads(files("classifiers").joinpath("risk.toml").read_text(encoding="utf-8"))["rule"]
    return rules


@cache
def _rules() -> _Rules:
    phrases = [(KINDS.index(rule["kind"]), phrase) for rule in _table() for phrase in rule["phrases"]]
    return _Rules(kind_of=np.array([kind for kind, _ in phrases]), phrases=Phrases([phrase for _, phrase in phrases]))
