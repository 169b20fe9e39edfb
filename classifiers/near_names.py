"""Finds words that are one or two slips away from listed ones: "galxy" for "galaxy".

Two words that differ by so many edits have a common rest when each loses so many letters; it is enough to look at their first seven. So
each listed word is kept under the hashes of all its rests, and a word of a post is compared only with those that share one: about as many
as are truly near, however long the list. All rests of all words come from one product of matrices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from classifiers.features import Hashes, Ints, Tokens, tokenise
from classifiers.ordinary_words import ordinary_words

SHORTEST, LONG = 5, 8  #: letters of a name that may hold one slip, and of one that may hold two
_HEAD = 7  #: letters of which the rests are made
_LEAST, _MOST = 3, 24  #: letters of a word in a post
_BASE = 0x100000001B3
_SPREAD = np.uint64(0xD6E8FEB86659FD93)


class Near(NamedTuple):
    """A word as it stands in a post (in lower case), and what it may stand for."""

    word: str
    listed: int  #: its place in the list
    edits: int


def slips(letters: int) -> int:
    """How many edits a name of so many letters may hold: a letter too many, too few, wrong, or two that changed places."""
    return 0 if letters < SHORTEST else 1 if letters < LONG else 2


class NearWords:
    """Listed words in lower case, each with the edits that it may hold, ready to be found."""

    def __init__(self, words: Mapping[str, int], *, known: Iterable[str]) -> None:
        """What is `known` is never taken for another word, no more than ordinary words are."""
        self._words = list(words)
        self._edits = np.array(list(words.values()), np.int64)
        self._known = _Sieve(np.concatenate([_ordinary(), _words_of(known)]), spare=64)
        rests = _rests(_heads(self._words))
        kept = np.array([len(lost) for lost in _LOSSES])[None, :] <= self._edits[:, None]
        listed, _ = np.nonzero(kept)
        order = np.argsort(rests[kept], kind="stable")
        self._rests, self._listed = rests[kept][order], listed[order]
        self._holds_rest = _Sieve(self._rests, spare=8)

    def find(self, tokens: Tokens) -> dict[int, list[Near]]:
        """By the number of the text, the words in it that are neither ordinary nor listed, with the nearest listed one of each."""
        strange = self._strange(tokens)
        words, which = np.unique(tokens.word[strange], return_index=True)
        spelt = [_spelt(tokens, at) for at in strange[which].tolist()]
        nearest = self._nearest(spelt)
        near: dict[int, list[Near]] = {}
        hit = [place for place, word in enumerate(spelt) if word in nearest]
        for place in strange[np.isin(tokens.word[strange], words[hit])].tolist() if hit else ():
            near.setdefault(int(tokens.text_of[place]), []).append(nearest[_spelt(tokens, place)])
        return near

    def _strange(self, tokens: Tokens) -> Ints:
        """Tokens that are words of letters, not known, and share a rest with a listed word."""
        length = tokens.end - tokens.start
        at = np.flatnonzero(
            ~self._known.may_hold(tokens.word) & ~tokens.is_mark & ~tokens.is_single & (length >= _LEAST) & (length <= _MOST)
        )
        head = tokens.data[np.minimum(tokens.start[at, None] + np.arange(_HEAD), len(tokens.data) - 1)]
        head = np.where(np.arange(_HEAD) < length[at, None], head, 0)
        return at[self._holds_rest.may_hold(_rests(head.astype(np.uint64))).any(axis=1)]

    def _nearest(self, spelt: Sequence[str]) -> dict[str, Near]:
        """The nearest listed word, if one is near enough; of equally near ones the first in the list."""
        from rapidfuzz.distance import OSA
        from rapidfuzz.process import cpdist

        word, listed = self._pairs(_rests(_heads(spelt)))
        if not len(word):
            return {}
        edits = cpdist(
            [spelt[place] for place in word.tolist()],
            [self._words[place] for place in listed.tolist()],
            scorer=OSA.distance,
            score_cutoff=2,
            dtype=np.int64,
        )
        fits = np.flatnonzero(edits <= self._edits[listed])
        best: dict[str, Near] = {}
        for place in fits[np.lexsort((listed[fits], edits[fits]))].tolist():
            written = spelt[word[place]]
            best.setdefault(written, Near(word=written, listed=int(listed[place]), edits=int(edits[place])))
        return best

    def _pairs(self, rests: Hashes) -> tuple[Ints, Ints]:
        """(words, listed words) that share a rest, each pair once."""
        word, rest = np.nonzero(self._holds_rest.may_hold(rests))
        wanted = rests[word, rest]
        first, stop = (np.searchsorted(self._rests, wanted, side=side) for side in ("left", "right"))
        number = np.repeat(np.arange(len(wanted)), stop - first)
        place = np.arange(len(number)) - np.searchsorted(number, number) + first[number]
        return np.divmod(np.unique(word[number] * len(self._words) + self._listed[place]), len(self._words))


class _Sieve:
    """Lets all of some hashes through and hardly any others: each has two holes, of which there are `spare` times as many as hashes."""

    def __init__(self, hashes: Hashes, *, spare: int) -> None:
        self._bits = max(16, int(len(hashes) * spare).bit_length())
        self._holes = np.zeros(1 << self._bits, bool)
        for place in self._places(hashes):
            self._holes[place] = True

    def may_hold(self, hashes: Hashes) -> NDArray[np.bool_]:
        one, other = self._places(hashes)
        return self._holes[one] & self._holes[other]

    def _places(self, hashes: Hashes) -> tuple[Ints, Ints]:
        spread = hashes * _SPREAD
        other = (spread >> np.uint64(64 - 2 * self._bits)) & np.uint64((1 << self._bits) - 1)
        return (spread >> np.uint64(64 - self._bits)).astype(np.intp), other.astype(np.intp)


_LOSSES = [lost for edits in range(3) for lost in combinations(range(_HEAD), edits)]  #: letters of the head that a rest is without


@cache
def _weights() -> Hashes:
    """(head, rests) what a letter counts for in each rest; by them a product of matrices hashes all rests at once."""
    weights = np.zeros((_HEAD, len(_LOSSES)), np.uint64)
    for rest, lost in enumerate(_LOSSES):
        left = [place for place in range(_HEAD) if place not in lost]
        weights[left, rest] = [pow(_BASE, power + 1, 1 << 64) for power in range(len(left))]
    return weights


def _rests(heads: Hashes) -> Hashes:
    """(words, rests) hashes of what is left of each head."""
    return heads @ _weights()


def _heads(words: Sequence[str]) -> Hashes:
    """(words, head) the first letters, zero where there are none."""
    first = np.array([word[:_HEAD].encode("latin-1", "replace") for word in words], f"S{_HEAD}")
    return first.view(np.uint8).reshape(len(words), _HEAD).astype(np.uint64)


def _spelt(tokens: Tokens, at: int) -> str:
    return tokens.data[tokens.start[at] : tokens.end[at]].tobytes().decode("utf-8", "replace").removesuffix("'s")


def _words_of(words: Iterable[str]) -> Hashes:
    return tokenise([" ".join(words)]).word


@cache
def _ordinary() -> Hashes:
    return _words_of(sorted(ordinary_words()))
