"""The one normalisation that every question shares: what two posts that read alike have in common, in one pass over a batch.

Links become ``link``, handles ``@``, an e-mail address ``name xemailx``, a long number ``xnumberx``; HTML entities are resolved;
width and ligatures are folded (NFKC); zero-width and direction marks vanish; letters of another alphabet that pose as Latin inside
a Latin word are read as Latin; runs are cut to three. Capitals of ASCII are kept: they tell. Every step is linear in the text,
whatever the text.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence

import numpy as np

#: A post is read up to here: the beginning and the end of a longer one. What a post wants stands there, and a flood stays cheap.
LONGEST = 8_000
_TAIL = 2_000

_MARKS = "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff"
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e01ef]"
)
_STACKED_MARKS = re.compile(f"([{_MARKS}]{{2}})[{_MARKS}]+")
_BREAKS = re.compile(r"[^\S ]")
_ASCII_BREAKS = {point: " " for point in range(128) if _BREAKS.match(chr(point))}  # the same, many times faster
_LINK = re.compile(r"(?:https?\b|www\.)[^\s\u2e80-\u9fff\uac00-\ud7af]*")
_EMAIL_DOMAIN = re.compile(r"@(?<=\w@)[A-Za-z0-9-]+\.[A-Za-z0-9.-]+")
_HANDLE = re.compile(r"@(?:[A-Za-z0-9_][A-Za-z0-9_.\-]*|\w{1,20}(?=[\s:,]|\Z))")
_MASK = re.compile(r"<(?:email|phone|number)>|__(?:email|phone)__")
_LONG_NUMBER = re.compile(r"\d[\d-]{6,}")
_OTHER_DIGITS = 0x660  #: from here on there are digits of other scripts
_RUN = re.compile(r"(.)\1{3,}")
_APOSTROPHE, _QUOTE = re.compile("[‘’ʼ`´]"), re.compile("[“”«»„]")

_CAPITAL = re.compile("[À-ÖØ-ÞĀ-ſΑ-ΩА-ЯЁ]")

_POSER = re.compile("[Ͱ-ԯ]")
_MIXED_WORD = re.compile(r"\b(?=\w*[A-Za-z])(?=\w*[Ͱ-ԯ])\w{1,64}\b")
_POSERS = str.maketrans("АВЕЅІЈКМНОРСТУХаеіјѕорсухһԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧοανρ", "ABESIJKMHOPCTYXaeijsopcyxhdqwABEZHIKMNOPTYXoavp")


def normalise(text: str) -> str:
    """One text, normalised. `normalise_all` does many at a tenth of the price."""
    return normalise_all([text])[0]


def normalise_all(texts: Sequence[str]) -> list[str]:
    """Normalise each text; the result has as many entries, in the same order, and none holds a line break."""
    joined = "\n".join(map(_one_line, texts))
    if "http" in joined or "www." in joined:
        joined = _LINK.sub("link", joined)
    if "@" in joined:
        joined = _HANDLE.sub("@", _EMAIL_DOMAIN.sub(" xemailx", joined))
    if "<" in joined or "__" in joined:
        joined = _MASK.sub(lambda mask: "xemailx" if "mail" in mask[0] else "xnumberx", joined)
    lines = joined.split("\n") if texts else []
    for number in _with_runs(joined):
        lines[number] = collapse_runs(_LONG_NUMBER.sub("xnumberx", lines[number]))
    return lines


def _with_runs(joined: str) -> list[int]:
    """Which lines hold four equal characters or seven digits in a row: few, and looking for them all at once costs far less than the
    patterns.
    """
    points = np.frombuffer(joined.encode("utf-32-le", "replace"), np.uint32)
    same = points[1:] == points[:-1]
    digit = (points - ord("0") < 10) | (points == ord("-")) | (points >= _OTHER_DIGITS)
    pairs = digit[1:] & digit[:-1]
    fours = pairs[2:] & pairs[:-2]
    runs = np.concatenate([np.flatnonzero(same[2:] & same[1:-1] & same[:-2]), np.flatnonzero(fours[3:] & fours[:-3])])
    return np.unique(np.searchsorted(np.flatnonzero(points == ord("\n")), runs)).tolist() if len(runs) else []


def collapse_runs(text: str) -> str:
    """Cut every run of one character to three: what follows may then be quadratic in runs without harm."""
    return _RUN.sub(r"\1\1\1", text)


def _one_line(text: str) -> str:
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - _TAIL]} {text[-_TAIL:]}"
    if "&" in text:
        text = html.unescape(text)
    if not text.isascii():
        text = _fold(text)
        return _BREAKS.sub(" ", text)
    return text if text.isprintable() else text.translate(_ASCII_BREAKS)


def _fold(text: str) -> str:
    text = _STACKED_MARKS.sub(r"\1", _INVISIBLE.sub("", text))
    text = unicodedata.normalize("NFKC", text.encode("utf-8", "replace").decode("utf-8"))
    text = _CAPITAL.sub(lambda letter: letter[0].lower(), _QUOTE.sub('"', _APOSTROPHE.sub("'", text)))
    return _MIXED_WORD.sub(lambda word: word[0].translate(_POSERS), text) if _POSER.search(text) else text
