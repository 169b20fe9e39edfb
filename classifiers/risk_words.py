"""The words that mean risk whatever else a post says (`risk.toml`)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

KINDS = ("safety", "legal", "press", "privacy")  #: the first that applies counts


@dataclass(frozen=True, slots=True)
class Listed:
    """Every phrase of `risk.toml`, and what it makes of a post."""

    phrases: tuple[str, ...]
    kind_of: NDArray[np.int64]  #: (phrases,) index into KINDS
    at_least: NDArray[np.float64]  #: (phrases,) 0..1

    def kinds(self, n: int, texts: NDArray[np.int64], found: NDArray[np.int64]) -> NDArray[np.float64]:
        """(n, KINDS) 0..1: how probable the phrases `found` in `texts` make each kind, by themselves; mostly 0."""
        named = np.zeros((n, len(KINDS)))
        np.maximum.at(named, (texts, self.kind_of[found]), self.at_least[found])
        return named


def reasons() -> dict[str, str]:
    """kind -> why it matters, for the person who reads the case."""
    return {rule["kind"]: rule["why"] for rule in _table()}


@cache
def listed() -> Listed:
    rows = [(phrase, KINDS.index(rule["kind"]), float(rule["at_least"])) for rule in _table() for phrase in rule["phrases"]]
    phrases, kinds, at_least = zip(*rows, strict=True)
    return Listed(phrases=phrases, kind_of=np.array(kinds), at_least=np.array(at_least))


@cache
def _table() -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = tomllib.loads(files("classifiers").joinpath("risk.toml").read_text(encoding="utf-8"))["rule"]
    return rules
