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
_CHUNK = 2**18

_JOINED = re.compile("[’'`´ʼ\u00ad\u200b-\u200f\u2060\ufe0e\ufe0f]+")
_LINK = re.compile(r"(?:https?://|www\.)[!-~]+")
_REPOST, _HANDLE = re.compile(r"rt(?<=\brt) *(?=@\w)"), re.compile(r"@\w+")  # each begins with a letter that is quick to find
_ENCLOSED = re.compile(r"#(\w+)#")
_BETWEEN = re.compile(r"[^\w\n# ]+")  # spaces may stay: words are split apart afterwards
#: what `_JOINED` and `_BETWEEN` do to ASCII, many times faster
_ASCII = range(128)
_LOWER_ASCII = {point: None if chr(point) in "'`" else chr(point).lower() for point in _ASCII}
_WORDS_OF_ASCII = {point: " " if _BETWEEN.match(chr(point)) else chr(point) for point in _ASCII}
_STATED = re.compile(
    r"\d+|\b(?:not?|never|nobody|nothing|none|without|cannot|(?:ai|are|ca|could|did|do|does|had|has|have|is|must|should|wa|was|were|wo|would)nt)\b|[不没沒未无無非别別]"
)
_UNSPACED = re.compile("[\u0800-\u0fff\u3000-\u9fff\U00010000-\U0010ffff]")

Words = NDArray[np.uint64]


def copy_keys(texts: Sequence[str]) -> list[tuple[int, ...]]:
    """Up to `KEYS` signed 64-bit keys of each text: an edited, cut or re-tagged copy shares at least one with its original.

    A short text has one key, which only its exact copies share; one that says nothing (a link, an emoji) has none.
    """
    keys: list[tuple[int, ...]] = []
    for chunk in _chunks([normal.encode() for normal in normalised(texts)]):
        keys += _keys(chunk)
    return keys


def confirm(pairs: Sequence[tuple[str, str]]) -> list[bool]:
    """For each pair whether one is a near copy of the other.

    At least nine tenths agree (of short texts nearly all), or one is the other cut short; and the numbers and negations in both are the
    same: "it works" and "it never works" are no copies, however alike.
    """
    normal = normalised([text for pair in pairs for text in pair])
    left, right = normal[::2], normal[1::2]
    short, long = (
        zip(*((a, b) if len(a) <= len(b) else (b, a) for a, b in zip(left, right, strict=True)), strict=True) if pairs else ((), ())
    )
    heads = [b[: len(a)] for a, b in zip(short, long, strict=True)]
    tails = [b[len(b) - len(a) :] for a, b in zip(short, long, strict=True)]
    whole, head, tail = _similar(short, long), _similar(short, heads), _similar(short, tails)
    return [_is_copy(*one) for one in zip(short, long, heads, tails, whole, head, tail, strict=True)]


def is_near_copy(a: str, b: str) -> bool:
    """`confirm` for one pair."""
    return confirm([(a, b)])[0]


def normalised(texts: Sequence[str]) -> list[str]:
    """What counts of each text: its words in lower case, parted by single spaces."""
    lines = [text[:MAX_COMPARED].replace("\n", " ") for text in texts]
    ascii_ = iter(_lines_of_ascii([line for line in lines if line.isascii()]))
    others = iter(_lines_of_any([line for line in lines if not line.isascii()]))
    return [_without_outer_tags(next(ascii_ if line.isascii() else others)) for line in lines]


def _lines_of_ascii(lines: Sequence[str]) -> list[str]:
    joined = _without_addresses("\n".join(lines).translate(_LOWER_ASCII))
    return _without_enclosed(joined).translate(_WORDS_OF_ASCII).split("\n")


def _lines_of_any(lines: Sequence[str]) -> list[str]:
    joined = _JOINED.sub("", unicodedata.normalize("NFKC", "\n".join(lines)).casefold())
    return _BETWEEN.sub(" ", _without_enclosed(_without_addresses(joined))).split("\n")


def _without_addresses(joined: str) -> str:
    if "http" in joined or "www." in joined:
        joined = _LINK.sub(" ", joined)
    return _HANDLE.sub(" ", _REPOST.sub(" ", joined)) if "@" in joined else joined


def _without_enclosed(joined: str) -> str:
    return _ENCLOSED.sub(r" #\1 ", joined) if "#" in joined else joined


def _without_outer_tags(line: str) -> str:
    """Hashtags before and behind the text are dropped; within it, and where there is nothing else, they are words."""
    if "#" not in line:
        return " ".join(line.split())[:MAX_COMPARED].rstrip()
    words = line.replace("#", " #").split()
    first, last = 0, len(words)
    while first < last and words[last - 1][0] == "#":
        last -= 1
    while first < last and words[first][0] == "#":
        first += 1
    words = [word.lstrip("#") for word in words[first:last] or words]
    return " ".join(filter(None, words))[:MAX_COMPARED].rstrip()


def _similar(queries: Sequence[str], choices: Sequence[str]) -> NDArray[np.float32]:
    return cpdist(queries, choices, scorer=fuzz.ratio, score_cutoff=_SIMILAR, dtype=np.float32)


def _is_copy(short: str, long: str, head: str, tail: str, whole: float, as_head: float, as_tail: float) -> bool:
    if short == long:
        return bool(short)
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
    return _STATED.findall(text)


def _agree_but_for_the_cut(short: str, head: str) -> bool:
    """As `_states`, but a number at the very end of either may itself be cut."""
    a, b = _states(short.rpartition(" ")[0]), _states(head.rpartition(" ")[0])
    return a[: len(b)] == b[: len(a)]


def _weight(normal: str) -> int:
    """Words count two, characters of scripts without spaces one: below `_SHORT` a text is short."""
    unspaced = len(_UNSPACED.findall(normal))
    return unspaced + 2 * len(_UNSPACED.sub(" ", normal).split() if unspaced else normal.split())


def _chunks(normal: list[bytes]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    size = 0
    for text in normal:
        if size + len(text) > _CHUNK and chunk:
            yield chunk
            chunk, size = [], 0
        chunk.append(text)
        size += len(text)
    if chunk:
        yield chunk


def _keys(normal: list[bytes]) -> list[tuple[int, ...]]:
    """Keys of one chunk: the hash of every shingle out of one running sum, and of those the few that rank first."""
    raw = np.frombuffer(b"\n".join(normal) + b"\n", np.uint8)
    start, unspaced, text = _tokens(raw)
    count = len(normal)
    letters = raw[raw > 32]
    stop = np.append(start, len(letters))
    hashed = _Spans(letters)
    edges = np.searchsorted(text, np.arange(count + 1))
    weight = np.bincount(text, np.where(unspaced, 1, 2), count)
    exact = hashed.spans(stop[edges[:-1]], stop[edges[1:]], salt=1)

    token = np.arange(len(start))
    last = token + np.where(unspaced, _CHARACTERS, _WORDS)
    fits = (last <= edges[text + 1]) & (weight[text] >= _SHORT)
    token, last, text = token[fits], last[fits], text[fits]
    shingles = hashed.spans(start[token], stop[last], salt=2)
    rank = _rank(shingles, stop[last] - start[token])
    order = np.lexsort((rank, text.astype(np.uint16) if count < 2**16 else text))  # 16 bits are sorted by radix
    opening = order[token[order] - edges[text[order]] < _OPENING]
    chosen = np.concatenate([_first(text[opening], shingles[opening], KEYS // 2), _first(text[order], shingles[order], KEYS)])

    found: list[list[int]] = [[] for _ in normal]
    for place, key in zip(chosen["text"].tolist(), chosen["key"].tolist(), strict=True):
        if len(found[place]) < KEYS and key not in found[place]:
            found[place].append(key)
    whole = exact.view(np.int64).tolist()
    return [tuple(keys) if keys else (whole[place],) if weight[place] else () for place, keys in enumerate(found)]


def _tokens(raw: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.bool_], NDArray[np.intp]]:
    """Where each token starts among the letters, whether it is a character of a script without spaces, and which text it belongs to."""
    lead = (raw & 0xC0) != 0x80
    blank = raw <= 32
    alone = ((raw >= 0xE3) & (raw <= 0xE9)) | (raw == 0xE0) | (raw >= 0xF0)
    holder = np.maximum.accumulate(np.where(lead, np.arange(len(raw)), 0))
    after_alone_or_blank = np.ones(len(raw), bool)
    after_alone_or_blank[1:] = (alone | blank)[holder[:-1]]
    starts = np.flatnonzero(lead & ~blank & (alone | after_alone_or_blank))
    return (np.cumsum(~blank) - 1)[starts], alone[starts], np.cumsum(raw == 10)[starts]


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


def _rank(shingles: Words, length: NDArray[Any]) -> NDArray[np.float64]:
    """A lot drawn from the hash, weighted so that longer shingles, which are rarer, tend to come first."""
    lot: NDArray[np.float64] = ((shingles >> np.uint64(11)).astype(np.float64) + 1) / 2**53
    rank: NDArray[np.float64] = -np.log(lot) / length.astype(np.float64) ** 2
    return rank


def _first(text: NDArray[np.intp], shingles: Words, count: int) -> NDArray[Any]:
    """The first `count` different shingles of each text, as (text, key). Both are in the order of texts and ranks."""
    new = np.ones(len(text), bool)
    new[1:] = (text[1:] != text[:-1]) | (shingles[1:] != shingles[:-1])
    text, shingles = text[new], shingles[new]
    place = np.arange(len(text)) - np.searchsorted(text, text)
    kept = place < count
    chosen = np.empty(int(kept.sum()), [("text", np.intp), ("key", np.int64)])
    chosen["text"], chosen["key"] = text[kept], shingles[kept].view(np.int64)
    return chosen
