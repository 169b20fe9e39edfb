"""How people misspell a name: what networks are asked for, whose search finds words only as they are written."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, zip_longest

from listener.query.ordinary import is_ordinary

MOST = 16  #: misspellings of a word that one search asks for …
FEWEST = 3  #: … and where each needs a search of its own

_VOWELS = "aeiouy"
#: what sounds alike
_ALIKE = (("ph", "f"), ("f", "ph"), ("ck", "k"), ("c", "k"), ("k", "c"), ("s", "z"), ("z", "s"), ("x", "ks"), ("qu", "kw"))
_HEARD_AS = {"a": "e", "e": "i", "i": "e", "o": "u", "u": "o", "y": "i"}


def misspellings(word: str, most: int) -> tuple[str, ...]:
    """The likeliest misspellings of `word`, one slip away and with its first letter: one of each kind in turn.

    A letter left out, a vowel for another, a letter doubled or single, two that changed places, what sounds alike. Ordinary words are none.
    """
    kinds = (_left_out(word), _other_vowel(word), _doubled(word), _swapped(word), _sounding_alike(word))
    in_turn = chain.from_iterable(zip_longest(*kinds))
    found = (slip for slip in in_turn if slip and slip != word and slip[0] == word[0] and not is_ordinary(slip))
    return tuple(dict.fromkeys(found))[:most]


def _left_out(word: str) -> Iterator[str]:
    """First one of two alike, then vowels, then others; never the first letter."""

    def order(place: int) -> int:
        return 0 if word[place] == word[place - 1] else 1 if word[place] in _VOWELS else 2

    for place in sorted(range(1, len(word)), key=order):
        yield word[:place] + word[place + 1 :]


def _other_vowel(word: str) -> Iterator[str]:
    for place, letter in enumerate(word):
        if letter in _HEARD_AS and place:
            yield word[:place] + _HEARD_AS[letter] + word[place + 1 :]


def _doubled(word: str) -> Iterator[str]:
    """Consonants between vowels first, which people double most; the last letter after them."""
    for place in sorted(range(1, len(word)), key=lambda place: word[place] in _VOWELS):
        yield word[: place + 1] + word[place:]


def _swapped(word: str) -> Iterator[str]:
    """From the end on, where fingers run ahead."""
    for place in range(len(word) - 2, 0, -1):
        yield word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def _sounding_alike(word: str) -> Iterator[str]:
    for said, heard in _ALIKE:
        if said in word[1:]:
            yield word[0] + word[1:].replace(said, heard, 1)
