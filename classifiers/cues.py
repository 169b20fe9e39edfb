"""A few dozen cheap numbers beside the hashed words: punctuation, form, and how many words of each listed kind (`cues.toml`) a post
holds.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from classifiers.features import Phrases, Tokens, tokenise
from classifiers.risk_words import KINDS, named_kinds

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


@cache
def _listed() -> tuple[tuple[str, ...], NDArray[np.int64], Phrases]:
    kinds = tomllib.loads(files("classifiers").joinpath("cues.toml").read_text(encoding="utf-8"))
    phrases = [phrase for words in kinds.values() for phrase in words]
    kind_of = np.repeat(np.arange(len(kinds)), [len(words) for words in kinds.values()])
    return tuple(kinds), kind_of, Phrases(phrases)


def names() -> tuple[str, ...]:
    return (*_FORM, *_listed()[0], *(f"risk: {kind}" for kind in KINDS))


def cues(tokens: Tokens) -> NDArray[np.float32]:
    """(texts, cues), each 0..1."""
    return np.hstack([_form(tokens), _kinds(tokens), named_kinds(tokens)]).astype(np.float32)


def _kinds(tokens: Tokens) -> NDArray[np.float64]:
    kinds, kind_of, phrases = _listed()
    texts, found = phrases.find(tokens)
    counts = np.bincount(texts * len(kinds) + kind_of[found], minlength=tokens.n * len(kinds)).reshape(tokens.n, len(kinds))
    return np.asarray(np.minimum(counts, _MOST) / _MOST)


def _form(tokens: Tokens) -> NDArray[np.float64]:
    n, of = tokens.n, tokens.text_of
    first = tokens.points[tokens.start] if len(of) else np.empty(0, np.uint32)

    def share(chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.minimum(np.bincount(of[chosen], minlength=n), _MOST) / _MOST

    length = np.bincount(of, minlength=n)
    stop = np.cumsum(length)
    said = length > 0
    opens, ends = np.zeros(n), np.zeros(n)
    if len(of):
        opens[said] = first[(stop - length)[said]] == ord("@")
        ends[said] = first[(stop - 1)[said]] == ord("?")
    width = tokens.end - tokens.start
    word = tokens.hashes(tokens.start, tokens.end)
    links, e_mails, numbers = _masks()
    columns = [
        share(first == ord("?")),
        share(first == ord("!")),
        share(first == ord("@")),
        share((first == ord(".")) & (width > 1)),
        share(tokens.is_shouted),
        share(tokens.is_stretched),
        share(first > 0x1F000),
        share(first == ord("0")),
        np.minimum(np.log1p(length) / 6, 1.0),
        opens,
        ends,
        share(word == links),
        share((word == e_mails) | (word == numbers)),
        np.bincount(of[(first >= 0x3400) & (first <= 0x9FFF)], minlength=n) / np.maximum(length, 1),
    ]
    return np.stack(columns, axis=1)


@cache
def _masks() -> tuple[np.uint64, np.uint64, np.uint64]:
    """What normalised texts hold in place of links, e-mail addresses and long numbers."""
    tokens = tokenise(["link xemailx xnumberx"])
    link, e_mail, number = tokens.hashes(tokens.start, tokens.end)
    return link, e_mail, number
