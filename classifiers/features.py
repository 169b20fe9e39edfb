"""From a batch of normalised texts to hashed features, in NumPy: no Python loop ever runs over words or n-grams.

The batch becomes one array of code points. A prefix sum of a polynomial makes the hash of any span a subtraction and a product, so words,
pairs,
n-grams of characters and whole phrases all cost the same. Each Chinese or Japanese character and each emoji is a token of its own.

Two outputs: `hashed` gives the sparse rows of a batch (each occurrence counts; nothing is merged), `Phrases.find` says which phrases of a
list stand
in which text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from classifiers.text import normalise_all

BITS = 17  #: 2**BITS buckets
BUCKETS = 1 << BITS
CHARACTER_SPANS = (4,)
_NEGATION_REACH = 4  #: tokens
_NEGATIONS = (
    "not no never nothing nobody none neither nor cannot cant can't dont don't doesnt doesn't didnt didn't wont won't isnt isn't "
    "arent aren't wasnt wasn't werent weren't aint ain't without hardly couldnt couldn't wouldnt wouldn't shouldnt shouldn't "
    "havent haven't hasnt hasn't hadn't 不 没 別 别 无 未 莫"
)

_PROBE = "@a See https://b.example: NOT sooo good!! 你好 😀 x's 12.50 &amp; LF-4821973"

_SPACE, _BREAK, _WORD, _MARK, _SINGLE = range(5)  # kinds of code points; a _SINGLE is a token by itself

Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_STEP = 0x9E3779B97F4A7C15  # odd, so it has an inverse modulo 2**64
_STEP_BACK = pow(_STEP, -1, 1 << 64)
_SPREAD = np.uint64(0xD6E8FEB86659FD93)
_SIEVE_SHIFT = np.uint64(48)


@dataclass(frozen=True, slots=True)
class Tokens:
    """A batch, cut into tokens. `n` texts, `p` code points, `t` tokens; texts are in order, tokens too."""

    n: int
    points: NDArray[np.uint32]  #: (p,) folded code points; digits are "0", every text is fenced by spaces
    text_of_point: Ints  #: (p,)
    sums: Hashes  #: (p + 1,) prefix sums of the polynomial
    start: Ints  #: (t,) first point of a token
    end: Ints  #: (t,) one past its last point
    text_of: Ints  #: (t,)
    is_mark: Bools  #: (t,) punctuation
    is_shouted: Bools  #: (t,) three capitals or more, and nothing else
    is_stretched: Bools  #: (t,) "sooo"
    word: Hashes  #: (t,) one number for each token, the same for equal ones

    def hashes(self, start: Ints, end: Ints) -> Hashes:
        """One number for each span of points, the same for equal spans wherever they stand."""
        return _hashes(self.sums, start, end)


@dataclass(frozen=True, slots=True)
class Rows:
    """Sparse rows: text i has the buckets `index[begin[i]:begin[i + 1]]`, repeated as often as they occur."""

    begin: NDArray[np.int32]
    index: NDArray[np.int32]


class _Group(NamedTuple):
    """Buckets of one kind of feature, in the order of texts."""

    bucket: NDArray[np.int32]
    text_of: Ints


def tokenise(texts: Sequence[str]) -> Tokens:
    """Cut normalised texts (no line breaks, see `normalise_all`) into tokens."""
    joined = " \n " + " \n ".join(texts) + " \n "
    raw = np.frombuffer(joined.encode("utf-32-le", "replace"), np.uint32)
    folded = _look_up(_folding(), raw, above=None)
    keep = _kept(folded)
    points, capital = folded[keep], (raw != folded)[keep] & (folded[keep] != ord("0"))
    kind = _look_up(_kinds(), points, above=_SINGLE)
    sums = np.zeros(len(points) + 1, np.uint64)
    np.cumsum((points.astype(np.uint64) + np.uint64(7)) * _powers(len(points))[0], out=sums[1:])
    starts_token = np.empty(len(points), bool)
    starts_token[0] = True
    starts_token[1:] = (kind[1:] != kind[:-1]) | (kind[1:] == _SINGLE)
    start = np.flatnonzero(starts_token)
    end = np.append(start[1:], len(points))
    text_of_point = np.cumsum(kind == _BREAK) - 1
    said = kind[start] >= _WORD
    start, end = start[said], end[said]
    kind_of = kind[start]
    return Tokens(
        n=len(texts),
        points=points,
        text_of_point=text_of_point,
        sums=sums,
        start=start,
        end=end,
        text_of=text_of_point[start],
        is_mark=kind_of == _MARK,
        is_shouted=(kind_of == _WORD) & (end - start > 2) & (_count(capital, start, end) == end - start),
        is_stretched=(kind_of == _WORD) & (_count(_third_in_a_row(points), start, end) > 0),
        word=_hashes(sums, start, end),
    )


def _hashes(sums: Hashes, start: Ints, end: Ints) -> Hashes:
    return (sums[end] - sums[start]) * _powers(len(sums))[1][start]


def hashed(tokens: Tokens) -> Rows:
    """The buckets of each text: words, pairs, pairs with a gap, what stands after a negation, shouted and stretched words, character
    spans.
    """
    word = tokens.word
    groups = [_Group(_bucket(word, 1), tokens.text_of)]
    for gap, factor in ((1, np.uint64(0x9E3779B1)), (2, np.uint64(0x85EBCA6B))):
        together = tokens.text_of[:-gap] == tokens.text_of[gap:]
        pairs = word[:-gap] * factor + word[gap:]
        groups.append(_Group(_bucket(pairs[together], 1 + gap), tokens.text_of[:-gap][together]))
    for salt, chosen in ((4, _negated(tokens, word)), (5, tokens.is_shouted), (6, tokens.is_stretched)):
        groups.append(_Group(_bucket(word[chosen], salt), tokens.text_of[chosen]))
    groups += [_character_spans(tokens, length) for length in CHARACTER_SPANS]
    return _rows(groups, tokens.n)


def fingerprint() -> int:
    """A number that changes when the features do: weights fit only the features that they were trained on."""
    index = hashed(tokenise(normalise_all([_PROBE]))).index.astype(np.int64)
    return int(index @ np.arange(1, len(index) + 1))


class Phrases:
    """Finds listed phrases in a batch by comparing hashes: the price does not grow with the list.

    A phrase stands where its tokens stand one after another as written (case and runs folded). `find` gives (text, phrase) index pairs.
    """

    def __init__(self, phrases: Sequence[str]) -> None:
        tokens = tokenise(normalise_all(phrases))
        first = np.searchsorted(tokens.text_of, np.arange(tokens.n), side="left")
        last = np.searchsorted(tokens.text_of, np.arange(tokens.n), side="right") - 1
        if np.any(last < first):
            raise ValueError(f"a phrase without a word in it: {phrases[int(np.argmax(last < first))]!r}")
        hashes = tokens.hashes(tokens.start[first], tokens.end[last])
        self._opens = _Sieve(tokens.hashes(tokens.start[first], tokens.end[first]))
        self._whole = _Sieve(hashes)
        self._by_length: dict[int, tuple[Hashes, Ints]] = {}
        for length in np.unique(last - first + 1).tolist():
            chosen = np.flatnonzero(last - first + 1 == length)
            order = chosen[np.argsort(hashes[chosen], kind="stable")]
            self._by_length[length] = hashes[order], order

    def find(self, tokens: Tokens) -> tuple[Ints, Ints]:
        texts, phrases = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        opening = np.flatnonzero(self._opens.may_hold(tokens.word))
        for length, (hashes, numbers) in self._by_length.items():
            at = opening[: np.searchsorted(opening, len(tokens.start) - length, side="right")]
            span = tokens.hashes(tokens.start[at], tokens.end[at + length - 1])
            likely = self._whole.may_hold(span) & (tokens.text_of[at] == tokens.text_of[at + length - 1])
            at, span = at[likely], span[likely]
            first, stop = (np.searchsorted(hashes, span, side=side) for side in ("left", "right"))
            found = np.repeat(np.arange(len(at)), stop - first)  # a phrase that is listed twice is found twice
            place = np.arange(len(found)) - np.searchsorted(found, found) + first[found]
            texts.append(tokens.text_of[at[found]])
            phrases.append(numbers[place])
        return np.concatenate(texts), np.concatenate(phrases)


class _Sieve:
    """Lets all of some hashes through and hardly any others, so that few need to be looked up."""

    def __init__(self, hashes: Hashes) -> None:
        self._holes = np.zeros(1 << 16, bool)
        self._holes[self._place(hashes)] = True

    def may_hold(self, hashes: Hashes) -> Bools:
        return self._holes[self._place(hashes)]

    def _place(self, hashes: Hashes) -> Ints:
        return (hashes * _SPREAD >> _SIEVE_SHIFT).astype(np.intp)


def _kept(folded: NDArray[np.uint32]) -> Bools:
    """Drop repeated spaces and digits, and the fourth and later of a run."""
    same = folded[1:] == folded[:-1]
    drop = np.zeros(len(folded), bool)
    drop[1:] = same & ((folded[1:] == ord(" ")) | (folded[1:] == ord("0")))
    drop[3:] |= same[2:] & same[1:-1] & same[:-2]
    return ~drop


def _third_in_a_row(points: NDArray[np.uint32]) -> Bools:
    third = np.zeros(len(points), bool)
    same = points[1:] == points[:-1]
    third[2:] = same[1:] & same[:-1]
    return third


def _count(flags: Bools, start: Ints, end: Ints) -> Ints:
    """How many flags are set in each span; few are, so they look for their spans."""
    at = np.flatnonzero(flags)
    span = np.searchsorted(start, at, side="right") - 1
    inside = (span >= 0) & (at < end[span])
    return np.bincount(span[inside], minlength=len(start))


def _negated(tokens: Tokens, word: Hashes) -> Bools:
    """Tokens that stand up to four after a negation, with no punctuation between."""
    known = _negation_hashes()
    place = np.minimum(np.searchsorted(known, word), len(known) - 1)
    reach = known[place] == word
    negated = np.zeros(len(word), bool)
    follows = np.zeros(len(word), bool)
    follows[1:] = (tokens.text_of[1:] == tokens.text_of[:-1]) & ~tokens.is_mark[1:]
    for _ in range(_NEGATION_REACH):
        reach = np.concatenate(([False], reach[:-1])) & follows
        negated |= reach
    return negated


def _character_spans(tokens: Tokens, length: int) -> _Group:
    """Every span of so many characters that lies within one text."""
    stop = max(0, len(tokens.points) - length + 1)
    first, last = tokens.text_of_point[:stop], tokens.text_of_point[length - 1 :]
    inside = (first == last) & (tokens.points[:stop] != ord("\n"))
    hashes = (tokens.sums[length:] - tokens.sums[:stop]) * _powers(len(tokens.sums))[1][:stop]
    return _Group(_bucket(hashes[inside], 16 + length), first[inside])


def _bucket(hashes: Hashes, salt: int) -> NDArray[np.int32]:
    mixed = hashes + np.uint64(salt * 0x1000193_51ED27)
    mixed = (mixed ^ (mixed >> np.uint64(32))) * _SPREAD
    return (mixed >> np.uint64(64 - BITS)).astype(np.int32)


def _rows(groups: Sequence[_Group], n: int) -> Rows:
    """Lay the groups side by side within each text. All are in the order of texts, so places can be counted and nothing is sorted."""
    counts = [np.bincount(group.text_of, minlength=n) for group in groups]
    begin = np.zeros(n + 1, np.int32)
    np.cumsum(sum(counts), out=begin[1:])
    index = np.empty(begin[-1], np.int32)
    place = begin[:-1].astype(np.intp)
    for group, own in zip(groups, counts, strict=True):
        before = np.cumsum(own) - own
        index[np.arange(len(group.bucket)) + (place - before)[group.text_of]] = group.bucket
        place += own
    return Rows(begin=begin, index=index)


def _look_up(table: NDArray[np.uint32], points: NDArray[np.uint32], *, above: int | None) -> NDArray[np.uint32]:
    """`table[point]` in the first plane; beyond it `above`, or the point itself."""
    if points.max(initial=0) < len(table):
        return table[points]
    beyond = points >= len(table)
    return np.where(beyond, points if above is None else np.uint32(above), table[np.where(beyond, 0, points)])


@cache
def _folding() -> NDArray[np.uint32]:
    """Lower case, digits to "0", every kind of space to " "."""
    table = np.arange(0x10000, dtype=np.uint32)
    for point in range(0x10000):
        char = chr(point)
        lower = char.lower()
        if len(lower) == 1:
            table[point] = ord(lower)
        if char.isdecimal():
            table[point] = ord("0")
        elif char != "\n" and (char.isspace() or point < 32):
            table[point] = ord(" ")
    return table


@cache
def _kinds() -> NDArray[np.uint32]:
    table = np.full(0x10000, _MARK, np.uint32)
    for point in range(0x10000):
        if chr(point).isalnum():
            table[point] = _WORD
    table[[ord("_"), ord("'")]] = _WORD
    table[ord(" ")], table[ord("\n")] = _SPACE, _BREAK
    for first, last in (
        (0x2190, 0x2BFF),
        (0x2E80, 0x2FDF),
        (0x3040, 0x30FF),
        (0x3400, 0x4DBF),
        (0x4E00, 0x9FFF),
        (0xF900, 0xFAFF),
        (0xE000, 0xF8FF),
    ):
        table[first : last + 1] = _SINGLE
    for first, last in ((0x0300, 0x036F), (0x0900, 0x0DFF), (0x0E00, 0x0FFF), (0x0591, 0x05C7), (0x064B, 0x065F)):
        table[first : last + 1] = _WORD
    return table


@cache
def _negation_hashes() -> Hashes:
    tokens = tokenise([_NEGATIONS])
    return np.sort(tokens.word)


_POWERS: list[tuple[Hashes, Hashes]] = []


def _powers(n: int) -> tuple[Hashes, Hashes]:
    """The first `n` powers of the step and of its inverse, modulo 2**64."""
    if not _POWERS or len(_POWERS[-1][0]) < n:
        size = next(s for s in (1 << 16 << k for k in count()) if s >= n)
        _POWERS[:] = [(_accumulate(_STEP, size), _accumulate(_STEP_BACK, size))]
    forward, back = _POWERS[-1]
    return forward[:n], back[:n]


def _accumulate(step: int, size: int) -> Hashes:
    powers = np.full(size, step, np.uint64)
    powers[0] = 1
    return np.multiply.accumulate(powers)
