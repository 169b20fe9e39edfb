"""What personal data a batch of texts may hold, seen in one glance: far cheaper than trying patterns on every text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain

import numpy as np
from numpy.typing import NDArray

# What a glance tells, a bit each
NUMBER = 1  #: a digit
LONG = 2  #: six digits, with at most three other characters between two of them
CODE = 4  #: five capitals, digits or hyphens in a row, a digit among them
SIX_SIGNS = 8  #: six capitals or digits in a row, and no more
AT, EQUALS, PATH = 16, 32, 64  #: "a@b", "=", four slashes
ODD = 128  #: full-width, invisible or otherwise disguised characters: `unmask` them and look again
THREE_DIGITS, LONE_HOUSE = 256, 512  #: in a row; and a name behind
THEN_WORD, THEN_NAME, THEN_CAPITALS, THEN_HOUSE = 1024, 2048, 4096, 8192  #: "5 m", "221 B", "W1 1AA", "138号"
AFTER_STREET, AFTER_NAME, AFTER_STATE = 16384, 32768, 65536  #: "weg 7", "Baker 7", "NY 10001"
SPELT_AT = 131072  #: "(at"

#: how words end that are a street's
_ENDINGS = (
    *("aße", "sse", "str", "tr.", "weg", "atz", "lee", "amm", "fer", "cke", "atu", "uja", "tie", "tan", "gen", "änd", "vej", "ade", "æde"),
    *("aat", "aan", "ein", "eef", "ien", "gur", "aut", "ötu", "tca", "ice"),
)
_HOUSES = "号弄栋幢室"

# a figure is one of 0-9
_DIGIT, _FIGURE, _CAPITAL, _SMALL, _HYPHEN, _POINT, _BLANK, _UPPER, _ODD, _SIGN, _HOUSE = (1 << bit for bit in range(11))
_END = 0x1FC00  #: no code point from here on is a digit or a disguise
_MARGIN = "\n" * 5  #: room to look around in, before the first text and behind the last
_CHAIN = 3  #: as far apart may the digits of a number be
_LONG = 6
_SIX, _IN_WORD = re.compile("[A-Z-]{6}"), re.compile(r"[\w-]@[\w-]")
_ODD_PLANES = "\U00010000-\U0001efff\U0001fb00-\U0001fbff"  #: all disguises beyond the basic plane lie there; most emoji do not
_FEW = 16  #: texts for which one pattern costs less than three dozen steps over arrays

Points = NDArray[np.uint32]
Kinds = NDArray[np.uint16]
Places = NDArray[np.intp]


def glance(texts: Sequence[str]) -> list[int]:
    """The bits of each text. One may be set in vain, none is missing where it holds (but behind a disguise, which `ODD` tells)."""
    if len(texts) > _FEW:
        return _glance(texts)
    looks = [0] * len(texts)
    likely = [number for number, text in enumerate(texts) if _may_show(text)]
    for number, look in zip(likely, _glance([texts[number] for number in likely]) if likely else [], strict=True):
        looks[number] = look
    return looks


def _may_show(text: str) -> bool:
    """Whether there is anything in it for which a bit may stand."""
    return bool(_odd_or_sign().search(text) or _SIX.search(text) or ("@" in text and _IN_WORD.search(text)) or text.count("/") > 3)


@cache
def _odd_or_sign() -> re.Pattern[str]:
    odd = "".join(re.escape(chr(point)) for point in _folds() if point <= 0xFFFF)
    return re.compile(rf"[0-9=(\[{odd}{_ODD_PLANES}]")


def _glance(texts: Sequence[str]) -> list[int]:
    points = np.frombuffer("\n".join((_MARGIN, *texts, _MARGIN)).encode("utf-32-le", "replace"), np.uint32)
    kinds = _kinds().take(points, mode="clip")
    ends = np.cumsum([len(_MARGIN), *(len(text) + 1 for text in texts)])
    looks = np.zeros(len(texts), np.intp)
    first, behind = _runs(_are(kinds, _DIGIT))
    text_of = np.searchsorted(ends, first)
    np.bitwise_or.at(looks, text_of - 1, _around(points, kinds, first, behind))
    for bit, places in chain(_signs(points, kinds, ends), _codes(kinds, first), [(LONG, _long(first, behind, text_of))]):
        looks[np.searchsorted(ends, places) - 1] |= bit
    listed: list[int] = looks.tolist()
    return listed


def unmask(text: str) -> tuple[str, list[int]]:
    """The text without its disguises (full-width, other scripts' and styled digits, characters that nobody sees), and where each of its
    characters stood.
    """
    folds = _folds()
    kept = [(place, folds.get(ord(char), char)) for place, char in enumerate(text)]
    return "".join(char for _, char in kept), [place for place, char in kept if char]


def _runs(holds: NDArray[np.bool_]) -> tuple[Places, Places]:
    """Where each run begins, and where it has ended."""
    borders = np.flatnonzero(holds[1:] != holds[:-1]) + 1
    return borders[::2], borders[1::2]


def _signs(points: Points, kinds: Kinds, ends: Places) -> Iterator[tuple[int, Places]]:
    place = np.flatnonzero(_are(kinds, _SIGN | _ODD))
    sign, name = points[place], _CAPITAL | _SMALL | _FIGURE | _UPPER | _HYPHEN | _ODD
    at = place[(sign == ord("@")) | (sign == ord("＠")) | (sign == ord("﹫"))]
    yield AT, at[_are(kinds[at - 1], name) & _are(kinds[at + 1], name)]
    yield EQUALS, place[sign == ord("=")]
    slash = place[sign == ord("/")]
    opening = place[(sign == ord("(")) | (sign == ord("["))]
    yield SPELT_AT, opening[((points[opening + 1] | 0x20) == ord("a")) & ((points[opening + 2] | 0x20) == ord("t"))]
    text_of = np.searchsorted(ends, slash)
    yield PATH, slash[3:][text_of[3:] == text_of[:-3]]
    yield ODD, place[_are(kinds[place], _ODD)]


def _codes(kinds: Kinds, numbers: Places) -> Iterator[tuple[int, Places]]:
    first, behind = _runs(_are(kinds, _CAPITAL | _FIGURE | _HYPHEN))
    length = behind - first
    yield SIX_SIGNS, first[length == 6]
    first, behind = first[length >= 5], behind[length >= 5]
    yield CODE, first[np.searchsorted(numbers, behind) > np.searchsorted(numbers, first)]


def _long(first: Places, behind: Places, text_of: Places) -> Places:
    """Where the numbers stand that are long, or would be without what parts their digits within one text."""
    if not len(first):
        return first
    opens = np.flatnonzero(np.append(True, (first[1:] - behind[:-1] > _CHAIN) | (text_of[1:] != text_of[:-1])))
    return first[opens[np.add.reduceat(behind - first, opens) >= _LONG]]


def _around(points: Points, kinds: Kinds, first: Places, behind: Places) -> Places:
    """The bits of each number, which begins at `first` and has ended at `behind`."""
    letter = _CAPITAL | _SMALL | _UPPER
    word = behind + _are(kinds[behind], letter)
    word += _are(kinds[word], _POINT)
    end = word
    word = end + _are(kinds[end], _BLANK)
    word += _are(kinds[word], _BLANK)
    before = first - _are(kinds[first - 1], _BLANK)
    before -= _are(kinds[before - 1], _BLANK)
    is_apart = before < first
    blanks = np.flatnonzero(_are(kinds, _BLANK))
    name = blanks[np.searchsorted(blanks, before) - 1] + 1
    bits = np.full(len(first), NUMBER)
    bits |= THEN_WORD * ((word > end) & _are(kinds[word], letter) & ~_are(kinds[first - 1], letter | _HYPHEN | _POINT))
    bits |= THEN_NAME * _are(kinds[word], _CAPITAL | _UPPER)
    bits |= THEN_CAPITALS * (
        _are(kinds[behind], _CAPITAL) & _are(kinds[behind + 1], _CAPITAL) & _are(kinds[before - 1], _CAPITAL | _FIGURE)
    )
    bits |= THEN_HOUSE * _are(kinds[behind], _HOUSE)
    bits |= AFTER_STREET * (is_apart & _among(_threes(points, before - 3), _endings()))
    bits |= AFTER_NAME * (is_apart & _are(kinds[name], _CAPITAL | _UPPER))
    bits |= AFTER_STATE * (is_apart & (behind - first == 5) & _are(kinds[before - 1], _CAPITAL) & _are(kinds[before - 2], _CAPITAL))
    bits |= THREE_DIGITS * (behind - first >= 3)
    bits |= LONE_HOUSE * ((behind - first >= 3) & _are(kinds[behind], _BLANK) & _are(kinds[word], _CAPITAL | _UPPER))
    return bits


def _are(kinds: Kinds, wanted: int) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (kinds & wanted) != 0
    return found


def _among(wanted: NDArray[np.uint64], known: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether each is one of `known`, which is in order."""
    found: NDArray[np.bool_] = known[np.minimum(known.searchsorted(wanted), len(known) - 1)] == wanted
    return found


def _threes(points: Points, place: Places) -> NDArray[np.uint64]:
    """The three code points from `place` on as one number, in lower case where they are ASCII."""
    one, two, three = (points[place + step].astype(np.uint64) | np.uint64(0x20) for step in range(3))
    return np.asarray(one << np.uint64(42) | two << np.uint64(21) | three)


@cache
def _endings() -> NDArray[np.uint64]:
    points = np.array([ord(letter) for ending in _ENDINGS for letter in ending], np.uint32)
    return np.sort(_threes(points, np.arange(0, points.size, 3)))


@cache
def _kinds() -> Kinds:
    """What kind of character each code point is."""
    table = np.zeros(_END + 1, np.uint16)
    folds = _folds()
    table[list(folds)] = _ODD
    table[[point for point, char in folds.items() if char.isdecimal()]] |= _DIGIT
    table[[point for point in range(0x3001) if chr(point).isspace()]] |= _BLANK
    table[[point for point in chain(range(0xC0, 0x530), range(0x1E00, 0x2000)) if chr(point).isupper()]] |= _UPPER
    table[list(map(ord, _HOUSES))] |= _HOUSE
    for kind, letters in (
        *((_DIGIT | _FIGURE, "09"), (_CAPITAL, "AZ"), (_SMALL, "az")),
        *((_HYPHEN, "--"), (_POINT, ",,"), (_POINT, ".."), (_SIGN, "@@"), (_SIGN, "=="), (_SIGN, "//"), (_SIGN, "(("), (_SIGN, "[[")),
    ):
        table[ord(letters[0]) : ord(letters[1]) + 1] |= kind
    return table


_UNSEEN = (
    *(0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x180E, 0x20E3, 0x3164, 0xFEFF),
    *chain(range(0x300, 0x370), range(0x200B, 0x2010), range(0x202A, 0x202F), range(0x2060, 0x2070), range(0xFE00, 0xFE10)),
)
_SEPARATORS = dict.fromkeys((*range(0x2010, 0x2016), 0x2043, 0x2212), "-") | dict.fromkeys((0xB7, 0x2022, 0x2219, 0x22C5, 0x30FB), ".")
_STYLED = (
    *((0xA0, 0xA1), (0x2000, 0x2010), (0x202F, 0x2030), (0x205F, 0x2060), (0x2070, 0x20A0), (0x2460, 0x2500), (0x3000, 0x3001)),
    *((0xFE50, 0xFE70), (0xFF01, 0xFF5F), (0x1D400, 0x1D800)),
)


_WITHIN = "@.-+_=# "  #: marks within numbers, addresses and links; others, such as the full-width comma, are no disguise in Chinese


@cache
def _folds() -> dict[int, str]:
    """What each disguised code point stands for: one ASCII character, or nothing."""
    folds: dict[int, str] = {}
    for first, end in _STYLED:
        plain = {point: unicodedata.normalize("NFKC", chr(point)) for point in range(first, end)}
        folds |= {point: char for point, char in plain.items() if char.isascii() and (char.isalnum() or char in _WITHIN) and len(char) == 1}
    zeros = (point for last in (0, 6) for point in range(0x600 + last, _END, 16) if unicodedata.decimal(chr(point), None) == 0)
    folds |= {zero + digit: str(digit) for zero in zeros for digit in range(10)}  # each script has its ten in a row
    return folds | _SEPARATORS | dict.fromkeys(_UNSEEN, "")
