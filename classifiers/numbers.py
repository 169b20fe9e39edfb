"""What stands around the numbers of each text of a batch, seen in one glance: far cheaper than trying patterns on every text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

# What a glance tells, a bit each
NUMBER, TWO_DIGITS, FIVE_DIGITS = 1, 2, 4
CODE = 8  #: four capitals, digits or hyphens in a row
THEN_WORD, THEN_NAME, THEN_STREET, THEN_CAPITALS, THEN_HOUSE = 16, 32, 64, 128, 256  #: " 5 m", "221 B", "12, ru", "1AA", "138号"
AFTER_STREET, AFTER_CAPITALS = 512, 1024  #: "eg 7", "NY 1"

#: how words begin that make a street of the number before them, and how those end that do so with the number behind
_BEGINNINGS = ("ru", "av", "bo", "bd", "pl", "ch", "vi", "vı", "ca")
_ENDINGS = ("ße", "se", "r.", "eg", "tz", "ee", "tu", "an", "ej", "de", "at", "it", "te", "pt", "t.", "sc", "nt", "ox")
_HOUSES = tuple(map(ord, "号弄栋幢室"))

_DIGIT, _FIGURE, _CAPITAL, _SMALL, _HYPHEN, _POINT, _BLANK = (1 << bit for bit in range(7))  # a figure is one of 0-9
_LAST = 0xFFFF  #: all code points from here on are taken for one, which may be a digit
_MARGIN = "\n" * 5  #: room to look around in, before the first text and behind the last

Points = NDArray[np.uint32]
Places = NDArray[np.intp]


def glance(texts: Sequence[str]) -> list[int]:
    """The bits of each text. One may be set in vain, none is missing where it holds."""
    points = np.frombuffer("\n".join((_MARGIN, *texts, _MARGIN)).encode("utf-32-le", "replace"), np.uint32)
    kinds = _kinds().take(points, mode="clip")
    ends = np.cumsum([len(_MARGIN), *(len(text) + 1 for text in texts)])

    borders = np.flatnonzero(_are(kinds[1:], _DIGIT) != _are(kinds[:-1], _DIGIT)) + 1
    first, behind = borders[::2], borders[1::2]
    text_of = np.searchsorted(ends, first) - 1
    looks = np.zeros(len(texts), np.intp)
    np.bitwise_or.at(looks, text_of, _around(points, kinds, first, behind))
    digits = np.bincount(text_of, behind - first, len(texts))
    looks |= TWO_DIGITS * (digits >= 2) | FIVE_DIGITS * (digits >= 5)
    looks[np.searchsorted(ends, _codes(kinds)) - 1] |= CODE
    listed: list[int] = looks.tolist()
    return listed


def _around(points: Points, kinds: NDArray[np.uint8], first: Places, behind: Places) -> Places:
    """The bits of each number, which begins at `first` and has ended at `behind`."""
    word = behind + _are(kinds[behind], _CAPITAL | _SMALL)
    word += _are(kinds[word], _POINT)
    end = word
    word = end + _are(kinds[end], _BLANK)
    word += _are(kinds[word], _BLANK)
    before = first - _are(kinds[first - 1], _BLANK)
    before -= _are(kinds[before - 1], _BLANK)
    is_apart = before < first
    bits = np.full(len(first), NUMBER)
    bits |= THEN_WORD * ((word > end) & ~_are(kinds[first - 1], _CAPITAL | _SMALL | _HYPHEN | _POINT))
    bits |= THEN_NAME * _are(kinds[word], _CAPITAL)
    bits |= THEN_STREET * np.isin(_pairs(points, word), _codes_of(_BEGINNINGS))
    bits |= THEN_CAPITALS * (_are(kinds[behind], _CAPITAL) & _are(kinds[behind + 1], _CAPITAL))
    bits |= THEN_HOUSE * np.isin(points[behind], _HOUSES)
    bits |= AFTER_STREET * (is_apart & np.isin(_pairs(points, before - 2), _codes_of(_ENDINGS)))
    bits |= AFTER_CAPITALS * (is_apart & _are(kinds[before - 1], _CAPITAL) & _are(kinds[before - 2], _CAPITAL))
    return bits


def _codes(kinds: NDArray[np.uint8]) -> Places:
    """Where codes begin."""
    sign = _are(kinds, _CAPITAL | _FIGURE | _HYPHEN)
    return np.flatnonzero(_are(kinds[:-3], _CAPITAL | _FIGURE) & sign[1:-2] & sign[2:-1] & sign[3:])


def _are(kinds: NDArray[np.uint8], wanted: int) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (kinds & wanted) != 0
    return found


def _pairs(points: Points, place: Places) -> NDArray[np.uint64]:
    """The two code points from `place` on as one number, in lower case where they are ASCII."""
    one, other = (points[place + step].astype(np.uint64) | np.uint64(0x20) for step in (0, 1))
    return one << np.uint64(32) | other


@cache
def _codes_of(pairs: Iterable[str]) -> NDArray[np.uint64]:
    points = np.array([[ord(letter) for letter in pair] for pair in pairs], np.uint32)
    return _pairs(points.ravel(), np.arange(0, points.size, 2))


@cache
def _kinds() -> NDArray[np.uint8]:
    """What kind of character each code point of the first plane is."""
    table = np.array([_DIGIT * chr(point).isdecimal() | _BLANK * chr(point).isspace() for point in range(_LAST + 1)], np.uint8)
    for kind, letters in ((_FIGURE, "09"), (_CAPITAL, "AZ"), (_SMALL, "az"), (_HYPHEN, "--"), (_POINT, ",,"), (_POINT, "..")):
        table[ord(letters[0]) : ord(letters[1]) + 1] |= kind
    table[_LAST] = _DIGIT
    return table
