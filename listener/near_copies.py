"""Reposts and copy-paste, found without comparing all pairs: copies share a key, and only those that do are compared.

Links, handles, hashtags around the text, "RT @x:", emoji, punctuation and case do not count. Everything here is a pure function of texts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz
from rapidfuzz.process import cpdist

KEYS = 4  #: keys of a text, at most
MAX_COMPARED = 2_000  #: characters of a text that count; longer posts that begin alike are alike

_SIMILAR = 90.0  #: of 100: how much of two long texts must agree
_LONG = 200  #: letters; in a shorter text one other word is another question ("in Canada", "in Kenya"), so that more must agree
_NEARLY_ALL, _NEARLY_ALL_UNSPACED = 96.5, 95.0
_LEAST_CUT = 0.4  #: a text that was cut keeps at least this share of the whole
_LEAST_CUT_LENGTH = 30  #: and this many characters (Chinese: a third)
_SHORT = 8  #: a text of less than four words or eight Chinese characters is a copy only where nothing differs
_WORDS, _CHARACTERS = 3, 5  #: length of a shingle: words, or characters where words are not parted by spaces
_OPENING = 12  #: tokens; half of the keys come from here, for a copy that was cut keeps its beginning
_CHUNK = 2**18  #: bytes looked at together

_JOINED = re.compile("[’'`´ʼ\u00ad\u200b-\u200f\u2060\ufe0e\ufe0f]+")
# each begins with a letter that is quick to find
_LINKS = re.compile(r"https?://[!-~]+"), re.compile(r"www\.[!-~]+")
_REPOST, _HANDLE = re.compile(r"rt(?<=\brt) *(?=@\w)"), re.compile(r"@\w+")
_ENCLOSED = re.compile(r"#(\w+)#")
_BETWEEN = re.compile(r"[^\w\n# ]+")  # spaces may stay: words are split apart afterwards
_BETWEEN_ASCII = {point: " " for point in range(128) if _BETWEEN.match(chr(point))}
#: a number or a negation: whatever else is alike, it makes another statement
STATED = re.compile(
    r"\d+|\b(?:not?|never|nobody|nothing|none|without|cannot|(?:ai|are|ca|could|did|do|does|had|has|have|is|must|should|wa|was|were|wo|would)nt)\b|[不没沒未无無非别別]"
)
_UNSPACED = re.compile("[\u0800-\u0fff\u3000-\u9fff\U00010000-\U0010ffff]")

_END, _BLANK, _MIDDLE, _LETTER, _ALONE_3, _ALONE_4 = range(6)  #: what a byte is, see `_kind`

Words = NDArray[np.uint64]
Places = NDArray[np.intp]


def copy_keys(texts: Sequence[str]) -> list[tuple[int, ...]]:
    """Up to `KEYS` signed 64-bit keys of each text: an edited, cut or re-tagged copy shares at least one with its original.

    A short text has one key, which only its exact copies share; one that says nothing (a link, an emoji) has none.
    """
    keys: list[tuple[int, ...]] = []
    for chunk in _chunks([line.encode() for line in _lines(texts)]):
        keys += _keys(chunk)
    return keys


def confirm(pairs: Sequence[tuple[str, str]]) -> list[bool]:
    """For each pair whether one is a near copy of the other.

    At least nine tenths agree (of short texts nearly all), or one is the other cut short; and the numbers and negations in both are the
    same: "it works" and "it never works" are no copies, however alike.
    """
    texts = list(dict.fromkeys(text for pair in pairs for text in pair))
    normal = dict(zip(texts, normalised(texts), strict=True))
    both = [sorted((normal[a], normal[b]), key=len) for a, b in pairs]
    judged = iter(_judge([(short, long) for short, long in both if short != long]))
    return [bool(short) if short == long else next(judged) for short, long in both]


def _judge(pairs: Sequence[tuple[str, str]]) -> list[bool]:
    """`confirm` for normalised texts that differ, the shorter one first."""
    shorts, longs = [short for short, _ in pairs], [long for _, long in pairs]
    heads = [long[: len(short)] for short, long in pairs]
    tails = [long[len(long) - len(short) :] for short, long in pairs]
    whole, head, tail = _similar(shorts, longs), _similar(shorts, heads), _similar(shorts, tails)
    return [_is_copy(*one) for one in zip(shorts, longs, heads, tails, whole, head, tail, strict=True)]


def is_near_copy(a: str, b: str) -> bool:
    """`confirm` for one pair."""
    return confirm([(a, b)])[0]


def normalised(texts: Sequence[str]) -> list[str]:
    """What counts of each text: its words in lower case, parted by single spaces."""
    return [" ".join(line.split())[:MAX_COMPARED].rstrip() for line in _lines(texts)]


def _lines(texts: Sequence[str]) -> list[str]:
    """As `normalised`, but with any blanks between the words."""
    lines = [text[:MAX_COMPARED].replace("\n", " ") for text in texts]
    ascii_ = iter(_lines_of_ascii([line for line in lines if line.isascii()]))
    others = iter(_lines_of_any([line for line in lines if not line.isascii()]))
    counted = [next(ascii_ if line.isascii() else others) for line in lines]
    return [_without_outer_tags(line) if "#" in line else line for line in counted]


def _lines_of_ascii(lines: Sequence[str]) -> list[str]:
    """As `_lines_of_any`, many times faster."""
    joined = "\n".join(lines).lower().replace("'", "").replace("`", "")
    return _without_enclosed(_without_addresses(joined)).translate(_BETWEEN_ASCII).split("\n")


def _lines_of_any(lines: Sequence[str]) -> list[str]:
    joined = _JOINED.sub("", unicodedata.normalize("NFKC", "\n".join(lines)).casefold())
    return _BETWEEN.sub(" ", _without_enclosed(_without_addresses(joined))).split("\n")


def _without_addresses(joined: str) -> str:
    for link in _LINKS:
        joined = link.sub(" ", joined)
    return _HANDLE.sub(" ", _REPOST.sub(" ", joined)) if "@" in joined else joined


def _without_enclosed(joined: str) -> str:
    return _ENCLOSED.sub(r" #\1 ", joined) if "#" in joined else joined


def _without_outer_tags(line: str) -> str:
    """Hashtags before and behind the text are dropped; within it, and where there is nothing else, they are words."""
    words = line.replace("#", " #").split()
    first, last = 0, len(words)
    while first < last and words[last - 1][0] == "#":
        last -= 1
    while first < last and words[first][0] == "#":
        first += 1
    words = [word.lstrip("#") for word in words[first:last] or words]
    return " ".join(words)


def _similar(queries: Sequence[str], choices: Sequence[str]) -> NDArray[np.float32]:
    return cpdist(queries, choices, scorer=fuzz.ratio, score_cutoff=_SIMILAR, dtype=np.float32)


def _is_copy(short: str, long: str, head: str, tail: str, whole: float, as_head: float, as_tail: float) -> bool:
    if _weight(short) < _SHORT:
        return False
    enough, least_cut = _demands(short)
    if whole >= enough:
        return _states(short) == _states(long)
    if len(short) < least_cut or len(short) < _LEAST_CUT * len(long):
        return False
    return (as_head >= enough and _agree_but_for_the_cut(short, head)) or (as_tail >= enough and _states(short) == _states(tail))


def _demands(short: str) -> tuple[float, int]:
    """(how much must agree, how long a cut text must be at least), by the length and the script of the shorter text."""
    unspaced = 3 * len(_UNSPACED.findall(short)) > len(short)
    is_long = len(short) * (3 if unspaced else 1) >= _LONG
    nearly_all = _NEARLY_ALL_UNSPACED if unspaced else _NEARLY_ALL
    return (_SIMILAR if is_long else nearly_all), (_LEAST_CUT_LENGTH // 3 if unspaced else _LEAST_CUT_LENGTH)


def _states(text: str) -> list[str]:
    """The numbers and negations in it, in order."""
    return STATED.findall(text)


def _agree_but_for_the_cut(short: str, head: str) -> bool:
    """As `_states`, but a number at the very end of either may itself be cut."""
    a, b = _states(short.rpartition(" ")[0]), _states(head.rpartition(" ")[0])
    return a[: len(b)] == b[: len(a)]


def _weight(normal: str) -> int:
    """Words count two, characters of scripts without spaces one: below `_SHORT` a text is short."""
    unspaced = len(_UNSPACED.findall(normal))
    return unspaced + 2 * len(_UNSPACED.sub(" ", normal).split() if unspaced else normal.split())


def _chunks(lines: list[bytes]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    size = 0
    for line in lines:
        if size + len(line) > _CHUNK and chunk:
            yield chunk
            chunk, size = [], 0
        chunk.append(line)
        size += len(line)
    if chunk:
        yield chunk


def _keys(lines: list[bytes]) -> list[tuple[int, ...]]:
    """Keys of one chunk: the hash of every shingle out of one running sum, and of those the few that rank first."""
    letters, start, unspaced, edges = _tokens(b"\n".join(lines) + b"\n")
    begin, end = edges[:-1], edges[1:]
    text = np.repeat(np.arange(len(lines)), end - begin)
    stop = np.append(start, len(letters))
    hashed = _Spans(letters)

    token = np.arange(len(start))
    last = token + np.where(unspaced, _CHARACTERS, _WORDS)
    length = stop[np.minimum(last, len(start))] - start
    rank = hashed.spans(start, start + length, salt=2) / length**2  # longer shingles are rarer: they tend to come first
    rank[last > end[text]] = np.inf
    found = _first(rank, text, begin, is_opening=token - begin[text] < _OPENING)

    weight = np.bincount(text, np.where(unspaced, 1, 2), len(lines)).tolist()
    whole = hashed.spans(stop[begin], stop[end], salt=1).view(np.int64).tolist()
    return [tuple(set(keys)) if heavy >= _SHORT else (key,) if heavy else () for keys, key, heavy in zip(found, whole, weight, strict=True)]


def _first(rank: NDArray[np.float64], text: Places, begin: Places, *, is_opening: NDArray[np.bool_]) -> list[list[int]]:
    """`KEYS` least ranks of each text as keys, half of them from its opening; where there are fewer, the first comes again."""
    least = np.empty((len(begin), KEYS))
    for number in range(KEYS):
        ranked = np.where(is_opening, rank, np.inf) if number < KEYS // 2 else rank
        least[:, number] = np.minimum.reduceat(np.append(ranked, np.inf), begin)
        rank[rank == least[text, number]] = np.inf
    keys: list[list[int]] = np.where(np.isinf(least), least[:, :1], least).view(np.int64).tolist()
    return keys


def _tokens(raw: bytes) -> tuple[NDArray[np.uint8], Places, NDArray[np.bool_], Places]:
    """All letters; where among them each token starts; whether it is a character of a script without spaces; where texts part."""
    kinds = np.frombuffer((b"    " + raw).translate(_KINDS), np.uint8)
    kind, one_back, three_back, four_back = kinds[4:], kinds[3:-1], kinds[1:-3], kinds[:-4]
    is_parted = (kind >= _ALONE_3) | (one_back <= _BLANK) | (three_back == _ALONE_3) | (four_back == _ALONE_4)
    starts = np.flatnonzero((kind >= _LETTER) & is_parted)
    edges = np.append(0, np.searchsorted(starts, np.flatnonzero(kind == _END)))
    letters = np.frombuffer(raw.translate(None, b" \n"), np.uint8)
    return letters, np.cumsum(kind > _BLANK)[starts] - 1, kind[starts] >= _ALONE_3, edges


def _kind(byte: int) -> int:
    """What a byte of a line is: it begins a letter, or is of its middle. A character of three or four bytes may stand alone as a token."""
    if byte in b"\n ":
        return _END if byte == 10 else _BLANK
    if 0x80 <= byte < 0xC0:
        return _MIDDLE
    if byte >= 0xF0:
        return _ALONE_4
    return _ALONE_3 if byte == 0xE0 or 0xE3 <= byte <= 0xE9 else _LETTER


_KINDS = bytes(map(_kind, range(256)))


class _Spans:
    """Hashes of any span of letters, each in constant time, from one running sum of letter x base^position."""

    def __init__(self, letters: NDArray[np.uint8]) -> None:
        self._powers, self._inverses = _powers(max(len(letters) + 1, 2 * _CHUNK))
        self._sums = np.zeros(len(letters) + 1, np.uint64)
        np.cumsum((letters.astype(np.uint64) + np.uint64(7)) * self._powers[: len(letters)], out=self._sums[1:])

    def spans(self, start: NDArray[Any], stop: NDArray[Any], *, salt: int) -> Words:
        mixed: Words = (self._sums[stop] - self._sums[start]) * self._inverses[start] + np.uint64(salt * 0x9E3779B97F4A7C15 % 2**64)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        mixed ^= mixed >> np.uint64(31)
        return mixed


@lru_cache(maxsize=1)
def _powers(count: int) -> tuple[Words, Words]:
    base = 0x100000001B3
    powers, inverses = (np.full(count, step, np.uint64) for step in (base, pow(base, -1, 2**64)))
    powers[0] = inverses[0] = 1
    return np.cumprod(powers, dtype=np.uint64), np.cumprod(inverses, dtype=np.uint64)
