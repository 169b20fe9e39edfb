"""From a batch of normalised texts to hashed features, in NumPy: no Python loop ever runs over words or n-grams.

The batch becomes one array of bytes. A prefix sum of a polynomial makes the hash of any span a subtraction and a product, so words, pairs
and whole phrases all cost the same. Each Chinese or Japanese character and each emoji is a token of its own.

Two outputs: `hashed` gives the sparse rows of a batch (each occurrence counts; nothing is merged), `Phrases.find` says which phrases of a
list stand in which text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count

import numpy as np
from numpy.typing import NDArray

from classifiers.text import normalise_all

BITS = 17  #: 2**BITS buckets
BUCKETS = 1 << BITS
_SPAN = 4  #: bytes of a character span
_NEGATION_REACH = 4  #: tokens
_NEGATIONS = (
    "not no never nothing nobody none neither nor cannot cant can't dont don't doesnt doesn't didnt didn't wont won't isnt isn't "
    "arent aren't wasnt wasn't werent weren't aint ain't without hardly couldnt couldn't wouldnt wouldn't shouldnt shouldn't "
    "havent haven't hasnt hasn't hadn't 不 没 別 别 无 未 莫"
)

_PROBE = "@a See https://b.example: NOT sooo good!! 你好吗 😀 x's 12.50 &amp; LF-4821973 très"

_SPACE, _BREAK, _WORD, _MARK, _SINGLE, _CONTINUED = range(6)  # kinds of bytes; a _SINGLE is a token by itself

Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]

_STEP = 0x9E3779B97F4A7C15  # odd, so it has an inverse modulo 2**64
_STEP_BACK = pow(_STEP, -1, 1 << 64)
_SPREAD = np.uint64(0xD6E8FEB86659FD93)
_SECOND, _THIRD = np.uint64(0x9E3779B1), np.uint64(0xC2B2AE35)
_SIEVE_SHIFT = np.uint64(48)


@dataclass(frozen=True, slots=True)
class Tokens:
    """A batch, cut into tokens. `n` texts, `b` bytes, `t` tokens; texts are in order, tokens too."""

    n: int
    data: Bytes  #: (b,) UTF-8, folded; digits are "0", every text is fenced by spaces and breaks
    kind: Bytes  #: (b,) of each byte
    breaks: Ints  #: (n + 1,) where each text begins, and where the last one ends
    sums: Hashes  #: (b + 1,) prefix sums of the polynomial
    start: Ints  #: (t,) first byte of a token
    end: Ints  #: (t,) one past its last byte
    begin: Ints  #: (n + 1,) text i has the tokens `begin[i]:begin[i + 1]`
    text_of: Ints  #: (t,)
    first: NDArray[np.uint32]  #: (t,) its first code point
    is_mark: Bools  #: (t,) punctuation
    is_single: Bools  #: (t,) a character that is a token by itself
    is_shouted: Bools  #: (t,) three capitals or more, and nothing else
    is_stretched: Bools  #: (t,) "sooo"
    word: Hashes  #: (t,) one number for each token, the same for equal ones

    def hashes(self, start: Ints, end: Ints) -> Hashes:
        """One number for each span of bytes, the same for equal spans wherever they stand."""
        return _hashes(self.sums, start, end)

    def spelt(self) -> list[str]:
        """Each token as it is read here: in lower case, digits as "0"."""
        content = self.data.tobytes()
        return [content[start:end].decode() for start, end in zip(self.start.tolist(), self.end.tolist(), strict=True)]


@dataclass(frozen=True, slots=True)
class Rows:
    """Sparse rows of one kind of feature: text i has the buckets `index[begin[i]:begin[i + 1]]`, repeated as often as they occur."""

    begin: NDArray[np.int32]
    index: NDArray[np.int32]


def tokenise(texts: Sequence[str]) -> Tokens:
    """Cut normalised texts (no line breaks, see `normalise_all`) into tokens."""
    as_written = (" \n " + " \n ".join(texts) + " \n ").encode("utf-8", "replace")
    raw = np.frombuffer(as_written, np.uint8)
    folded = np.frombuffer(as_written.translate(_FOLDED), np.uint8)
    keep = _kept(folded)
    data = folded[keep]
    is_capital = (raw != folded)[keep] & (data >= ord("a"))
    kind = np.frombuffer(data.tobytes().translate(_KINDS), np.uint8)
    sums = np.zeros(len(data) + 1, np.uint64)
    np.cumsum((data.astype(np.uint64) + np.uint64(7)) * _powers(len(data))[0], out=sums[1:])

    character = np.flatnonzero(kind != _CONTINUED)
    kind_of = kind[character]
    opens = np.empty(len(character), bool)
    opens[0] = True
    opens[1:] = (kind_of[1:] != kind_of[:-1]) | (kind_of[1:] == _SINGLE)
    start, kind_of = character[opens], kind_of[opens]
    end = np.append(start[1:], len(data))
    said = kind_of >= _WORD
    start, end, kind_of = start[said], end[said], kind_of[said]

    breaks = np.flatnonzero(kind == _BREAK)[: len(texts) + 1]
    begin = np.searchsorted(start, breaks)
    first = _code_points(data, start)
    is_word = kind_of == _WORD
    return Tokens(
        n=len(texts),
        data=data,
        kind=kind,
        breaks=breaks,
        sums=sums,
        start=start,
        end=end,
        begin=begin,
        text_of=np.repeat(np.arange(len(texts)), np.diff(begin)),
        first=first,
        is_mark=(kind_of == _MARK) | _is_wide_mark(first),
        is_single=kind_of == _SINGLE,
        is_shouted=is_word & (end - start > 2) & (_count(is_capital, start, end) == end - start),
        is_stretched=is_word & (_count(_third_in_a_row(data), start, end) > 0),
        word=_hashes(sums, start, end),
    )


def hashed(tokens: Tokens) -> list[Rows]:
    """The buckets of each text, by kind: words, pairs, three single characters in a row, what stands after a negation, shouted words,
    stretched words, character spans.
    """
    word, text_of, single = tokens.word, tokens.text_of, tokens.is_single
    together = text_of[:-1] == text_of[1:]
    three = together[:-1] & together[1:] & single[:-2] & single[1:-1] & single[2:]
    return [
        _rows(tokens, None, word, 1),
        _rows(tokens, together, _pairs(word), 2),
        _rows(tokens, three, _mixed(word[:-2] * _THIRD + word[1:-1] * _SECOND + word[2:]), 3),
        _rows(tokens, _negated(tokens), word, 4),
        _rows(tokens, tokens.is_shouted, word, 5),
        _rows(tokens, tokens.is_stretched, word, 6),
        _character_spans(tokens),
    ]


def fingerprint() -> int:
    """A number that changes when the features do: weights fit only the features that they were trained on."""
    index = np.concatenate([rows.index for rows in hashed(tokenise(normalise_all([_PROBE])))]).astype(np.int64)
    return int(index @ np.arange(1, len(index) + 1))


@cache
def masks() -> tuple[np.uint64, np.uint64, np.uint64]:
    """The words that normalised texts hold in place of links, e-mail addresses and long numbers."""
    link, e_mail, number = tokenise(["link xemailx xnumberx"]).word
    return link, e_mail, number


class Phrases:
    """Finds listed phrases in a batch by comparing hashes: the price does not grow with the list.

    A phrase stands where its tokens stand one after another as written (case and runs folded). `find` gives (text, phrase) index pairs.
    """

    def __init__(self, phrases: Sequence[str]) -> None:
        tokens = tokenise(normalise_all(phrases))
        first, last = tokens.begin[:-1], tokens.begin[1:] - 1
        if np.any(last < first):
            raise ValueError(f"a phrase without a word in it: {phrases[int(np.argmax(last < first))]!r}")
        hashes = tokens.hashes(tokens.start[first], tokens.end[last])
        self._of_one = Sieve(hashes[last == first])
        opening = _pairs(tokens.word)[first[last > first]] if len(tokens.word) > 1 else hashes[:0]
        self._of_more = Sieve(opening)
        self._by_length: dict[int, tuple[Hashes, Ints]] = {}
        for length in np.unique(last - first + 1).tolist():
            chosen = np.flatnonzero(last - first + 1 == length)
            order = chosen[np.argsort(hashes[chosen], kind="stable")]
            self._by_length[length] = hashes[order], order

    def find(self, tokens: Tokens) -> tuple[Ints, Ints]:
        texts, phrases = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        opening_one = np.flatnonzero(self._of_one.may_hold(tokens.word))
        opening_more = np.flatnonzero(self._of_more.may_hold(_pairs(tokens.word)))
        for length, (hashes, numbers) in self._by_length.items():
            at = opening_one if length == 1 else opening_more[: np.searchsorted(opening_more, len(tokens.start) - length, side="right")]
            if not len(at):
                continue
            at = at[tokens.text_of[at] == tokens.text_of[at + length - 1]]
            span = tokens.hashes(tokens.start[at], tokens.end[at + length - 1])
            first = np.searchsorted(hashes, span, side="left")
            stands = hashes[np.minimum(first, len(hashes) - 1)] == span
            if not stands.any():
                continue
            at, span, first = at[stands], span[stands], first[stands]
            stop = np.searchsorted(hashes, span, side="right")
            found = np.repeat(np.arange(len(at)), stop - first)  # a phrase that is listed twice is found twice
            place = np.arange(len(found)) - np.searchsorted(found, found) + first[found]
            texts.append(tokens.text_of[at[found]])
            phrases.append(numbers[place])
        return np.concatenate(texts), np.concatenate(phrases)


class Sieve:
    """Lets all of some hashes through and hardly any others, so that few need to be looked up."""

    def __init__(self, hashes: Hashes) -> None:
        self._holes = np.zeros(1 << 16, bool)
        self._holes[self._place(hashes)] = True

    def may_hold(self, hashes: Hashes) -> Bools:
        return self._holes[self._place(hashes)]

    def _place(self, hashes: Hashes) -> Ints:
        return (hashes * _SPREAD >> _SIEVE_SHIFT).astype(np.intp)


def _hashes(sums: Hashes, start: Ints, end: Ints) -> Hashes:
    return (sums[end] - sums[start]) * _powers(len(sums))[1][start]


def _kept(folded: Bytes) -> Bools:
    """Drop repeated spaces and digits."""
    keep = np.ones(len(folded), bool)
    following = folded[1:]
    keep[1:] = (following != folded[:-1]) | ((following != ord(" ")) & (following != ord("0")))
    return keep


def _code_points(data: Bytes, at: Ints) -> NDArray[np.uint32]:
    """The code point that begins at each place."""
    points = data[at].astype(np.uint32)
    for least, most, length in ((0xC2, 0xDF, 2), (0xE0, 0xEF, 3), (0xF0, 0xF7, 4)):
        wide = np.flatnonzero((points >= least) & (points <= most)) if points.max(initial=0) >= least else np.empty(0, np.int64)
        if len(wide):
            value = points[wide] & (0x7F >> length)
            for further in range(1, length):
                value = (value << 6) | (data[at[wide] + further] & 0x3F)
            points[wide] = value
    return points


def _is_wide_mark(first: NDArray[np.uint32]) -> Bools:
    """Dashes, dots and brackets beyond ASCII."""
    return ((first >= 0x2010) & (first <= 0x206F)) | ((first >= 0x3001) & (first <= 0x303F))


def _third_in_a_row(data: Bytes) -> Bools:
    third = np.zeros(len(data), bool)
    same = data[1:] == data[:-1]
    third[2:] = same[1:] & same[:-1]
    return third


def _count(flags: Bools, start: Ints, end: Ints) -> Ints:
    """How many flags are set in each span; few are, so they look for their spans."""
    at = np.flatnonzero(flags)
    span = np.searchsorted(start, at, side="right") - 1
    inside = (span >= 0) & (at < end[span])
    return np.bincount(span[inside], minlength=len(start))


def _negated(tokens: Tokens) -> Bools:
    """Tokens that stand up to four after a negation, with no punctuation between."""
    sieve, known = _negation_words()
    likely = np.flatnonzero(sieve.may_hold(tokens.word))
    place = np.minimum(np.searchsorted(known, tokens.word[likely]), len(known) - 1)
    reached = likely[known[place] == tokens.word[likely]]
    negated = np.zeros(len(tokens.word), bool)
    for _ in range(_NEGATION_REACH):
        reached = reached[reached + 1 < len(negated)]
        reached = reached[(tokens.text_of[reached] == tokens.text_of[reached + 1]) & ~tokens.is_mark[reached + 1]] + 1
        negated[reached] = True
    return negated


def _pairs(word: Hashes) -> Hashes:
    """One number for each two tokens in a row."""
    return _mixed(word[:-1] * _SECOND + word[1:])


def _mixed(hashes: Hashes) -> Hashes:
    """Let the high bits of a sum of products reach the low ones, which `_bucket` spreads."""
    return hashes ^ (hashes >> np.uint64(32))


def _rows(tokens: Tokens, chosen: Bools | None, hashes: Hashes, salt: int) -> Rows:
    """Buckets of the chosen tokens (None: of all); `hashes` may end before the tokens do."""
    at = None if chosen is None else np.flatnonzero(chosen)
    begin = tokens.begin if at is None else np.searchsorted(at, tokens.begin)
    buckets = ((hashes if at is None else hashes[at]) + np.uint64(salt * 0x1000193_51ED27)) * _SPREAD >> np.uint64(64 - BITS)
    return Rows(begin=begin.astype(np.int32), index=buckets.astype(np.int32))


def _character_spans(tokens: Tokens) -> Rows:
    """Every span of four bytes whose inner ones belong to one word; none cuts a character, none holds a single one."""
    kind = tokens.kind
    inner = (kind == _WORD) | (kind == _CONTINUED)
    opens = (kind < _SINGLE) & (kind != _BREAK)
    whole = kind != _CONTINUED
    spans = opens[:-_SPAN] & inner[1 : 1 - _SPAN] & inner[2 : 2 - _SPAN] & (kind[3 : 3 - _SPAN] != _BREAK) & whole[_SPAN:]
    at = np.flatnonzero(spans)
    four = np.ndarray(len(kind) - _SPAN, np.dtype("<u4"), buffer=tokens.data.tobytes(), strides=(1,))[at]
    mixed = four * np.uint32(0x9E3779B1)
    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(0x85EBCA6B)
    return Rows(begin=np.searchsorted(at, tokens.breaks).astype(np.int32), index=(mixed >> np.uint32(32 - BITS)).astype(np.int32))


def _folding() -> bytes:
    """ASCII in lower case, digits to "0", control characters to spaces; other letters were folded when they were normalised."""
    table = bytearray(range(256))
    table[ord("A") : ord("Z") + 1] = range(ord("a"), ord("z") + 1)
    table[ord("0") : ord("9") + 1] = b"0" * 10
    for control in (*range(32), 127):
        if control != ord("\n"):
            table[control] = ord(" ")
    return bytes(table)


def _kinds() -> bytes:
    """By the first byte of a character in UTF-8, which tells its block."""
    table = bytearray([_MARK]) * 256
    table[ord(" ")], table[ord("\n")] = _SPACE, _BREAK
    for first, last, kind in (
        (ord("0"), ord("9"), _WORD),
        (ord("a"), ord("z"), _WORD),
        (0x80, 0xBF, _CONTINUED),
        (0xC2, 0xC2, _SINGLE),  # signs of Latin-1
        (0xC3, 0xE1, _WORD),  # Latin, Greek, Cyrillic, Hebrew, Arabic, Indian scripts, Thai …
        (0xE2, 0xE9, _SINGLE),  # signs and symbols, kana, Chinese
        (0xEA, 0xED, _WORD),  # Korean
        (0xEE, 0xF7, _SINGLE),  # compatibility, emoji, rare Chinese
    ):
        table[first : last + 1] = bytes([kind]) * (last + 1 - first)
    table[ord("_")] = table[ord("'")] = _WORD
    return bytes(table)


_FOLDED, _KINDS = _folding(), _kinds()


@cache
def _negation_words() -> tuple[Sieve, Hashes]:
    known = np.sort(tokenise([_NEGATIONS]).word)
    return Sieve(known), known


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
