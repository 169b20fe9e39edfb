"""A few dozen cheap numbers beside the hashed words: punctuation, form, and how many words of each listed kind (`cues.toml`) a post
holds.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from classifiers.features import Phrases, Tokens, masks
from classifiers.risk_words import KINDS, listed

_MOST = 3  #: counts are cut here: the tenth insult says no more than the third
_FORM = (
    "?",
    "!",
    "@",
    "...",
    "shouted",
    "stretched",
    "emoji",
    "number",
    "length",
    "starts with @",
    "ends with ?",
    "link",
    "personal",
    "chinese",
)


def names() -> tuple[str, ...]:
    return (*_FORM, *_listed().kinds, *(f"risk: {kind}" for kind in KINDS))


def cues(tokens: Tokens) -> NDArray[np.float32]:
    """(texts, cues), each 0..1."""
    own, (texts, found) = _listed(), _listed().phrases.find(tokens)
    is_cue = found < len(own.kind_of)
    counts = _counted(own, tokens.n, texts[is_cue], found[is_cue])
    risks = listed().kinds(tokens.n, texts[~is_cue], found[~is_cue] - len(own.kind_of))
    return np.hstack([_form(tokens), counts, risks]).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Listed:
    kinds: tuple[str, ...]
    kind_of: NDArray[np.int64]  #: (phrases of `cues.toml`,)
    phrases: Phrases  #: these, and behind them those that mean risk: all are looked for at once


@cache
def _listed() -> _Listed:
    kinds = tomllib.loads(files("classifiers").joinpath("cues.toml").read_text(encoding="utf-8"))
    kind_of = np.repeat(np.arange(len(kinds)), [len(words) for words in kinds.values()])
    phrases = [phrase for words in kinds.values() for phrase in words]
    return _Listed(kinds=tuple(kinds), kind_of=kind_of, phrases=Phrases([*phrases, *listed().phrases]))


def _counted(own: _Listed, n: int, texts: NDArray[np.int64], found: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, kinds) 0..1: how many phrases of each kind stand in each text."""
    kinds = len(own.kinds)
    counts = np.bincount(texts * kinds + own.kind_of[found], minlength=n * kinds).reshape(n, kinds)
    return np.asarray(np.minimum(counts, _MOST) / _MOST)


def _form(tokens: Tokens) -> NDArray[np.float64]:
    n, of, first = tokens.n, tokens.text_of, tokens.first

    length = np.bincount(of, minlength=n)
    stop = np.cumsum(length)
    said = length > 0
    opens, ends = np.zeros(n), np.zeros(n)
    if len(of):
        opens[said] = first[(stop - length)[said]] == ord("@")
        ends[said] = first[(stop - 1)[said]] == ord("?")
    width = tokens.end - tokens.start
    word = tokens.word
    links, e_mails, numbers = masks()
    counted = (
        first == ord("?"),
        first == ord("!"),
        first == ord("@"),
        (first == ord(".")) & (width > 1),
        tokens.is_shouted,
        tokens.is_stretched,
        first > 0x1F000,
        first == ord("0"),
        word == links,
        (word == e_mails) | (word == numbers),
        (first >= 0x3400) & (first <= 0x9FFF),
    )
    column, token = np.nonzero(counted)
    counts = np.bincount(column * n + of[token], minlength=len(counted) * n).reshape(len(counted), n)
    shares, chinese = np.minimum(counts[:-1], _MOST) / _MOST, counts[-1] / np.maximum(length, 1)
    return np.vstack([shares[:8], np.minimum(np.log1p(length) / 6, 1.0), opens, ends, shares[8:], chinese]).T
