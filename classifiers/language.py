"""In which language is it written? An ISO 639-1 code, `other`, or `unsure`.

Scripts decide where they can (Chinese, Japanese, Korean, Russian, Arabic …); among Latin letters the model decides between the languages
it knows.
Too little to read, or too close a call, is `unsure`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from classifiers.features import Tokens, masks
from earshot.mention import Score

if TYPE_CHECKING:
    from classifiers.batch import Batch

_SURE = 0.5  #: of English
_SURE_FOREIGN = 0.8
_LEAST_LETTERS = 6  #: in Latin and other alphabets
_LEAST_WORDS = 2
_LEAST_HAN = 2

#: script -> (language, first and last code points); Latin and Han are told apart below
_SCRIPTS: tuple[tuple[str, tuple[tuple[int, int], ...]], ...] = (
    ("latin", ((0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F), (0x1E00, 0x1EFF))),
    ("zh", ((0x3400, 0x4DBF), (0x4E00, 0x9FFF))),
    ("ja", ((0x3040, 0x30FF),)),
    ("ko", ((0x1100, 0x11FF), (0xAC00, 0xD7AF))),
    ("ru", ((0x400, 0x52F),)),
    ("ar", ((0x600, 0x6FF), (0x750, 0x77F))),
    ("he", ((0x590, 0x5FF),)),
    ("el", ((0x370, 0x3FF),)),
    ("hi", ((0x900, 0x97F),)),
    ("th", ((0xE00, 0xE7F),)),
    ("unsure", ((0x530, 0x58F), (0x980, 0xDFF), (0xE80, 0x10FF), (0x1200, 0x18AF))),
)
_SHARED_SCRIPTS = ("ru", "ar", "hi")  # several languages write so: named with less confidence
_WIDER = np.array([0x80, 0x800, 0x10000])  #: from each of these on, a letter takes a byte more
_SCRIPT_NAMES = [name for name, _ in _SCRIPTS]
_LATIN, _HAN, _KANA = map(_SCRIPT_NAMES.index, ("latin", "zh", "ja"))
_IS_SHARED = np.isin(_SCRIPT_NAMES, _SHARED_SCRIPTS)


@dataclass(frozen=True, slots=True)
class Languages:
    known: tuple[str, ...]  #: every code that can be told, `unsure` among them
    number: NDArray[np.int64]  #: (mentions,) which of `known`
    value: NDArray[np.float64]  #: (mentions,) how probable the likeliest language is; 0 where there is too little to read
    is_told: NDArray[np.bool_]  #: (mentions,) not `unsure`
    is_readable: NDArray[np.bool_]  #: (mentions,) says enough, links and handles aside, and a close call is most likely English

    @property
    def codes(self) -> list[str]:
        """(mentions,) ISO 639-1, `other` or `unsure`."""
        return [self.known[number] for number in self.number.tolist()]

    def among(self, codes: frozenset[str]) -> NDArray[np.bool_]:
        """(mentions,) whether the language is one of `codes`."""
        return _are(self.known, codes)[self.number]


def language(batch: Batch) -> list[Score]:
    """Label: ISO 639-1 code, `other` (Latin letters, none that we know), or `unsure`.

    Value: 0..1, probability of the likeliest language; 0 where there is too little to read.
    """
    told = batch.languages
    return batch.signed("language", told.codes, values=told.value, confidence=np.where(told.is_told, told.value, 0.0))


def tell(tokens: Tokens, probability: NDArray[np.float32], labels: tuple[str, ...]) -> Languages:
    """Join scripts and the model's `probability` (texts, labels) for Latin text."""
    known, of_script, of_label = _codes(labels)
    unsure, english = known.index("unsure"), known.index("en")
    letters = _letters(tokens)
    words = np.bincount(tokens.text_of[~tokens.is_mark], minlength=tokens.n)
    total = letters.sum(axis=1)
    latin, han, kana = letters[:, _LATIN], letters[:, _HAN], letters[:, _KANA]
    script = letters.argmax(axis=1)
    # A Chinese character says as much as two or three Latin letters: a post with a product name in Latin stays Chinese.
    mostly_han = han + kana >= np.maximum(0.25 * latin, 1)
    script = np.where(mostly_han | (script == _HAN) | (script == _KANA), np.where(kana > 0.1 * np.maximum(han, 1), _KANA, _HAN), script)
    share = np.take_along_axis(letters, script[:, None], axis=1)[:, 0] / np.maximum(total, 1)

    likeliest = of_label[probability.argmax(axis=1)]
    sure = probability.max(axis=1, initial=0.0).astype(np.float64)
    best = np.where(sure >= np.where(likeliest == english, _SURE, _SURE_FOREIGN), likeliest, unsure)
    is_latin = script == _LATIN
    enough = np.where(mostly_han, total >= _LEAST_HAN, (total >= _LEAST_LETTERS) & (words >= _LEAST_WORDS))
    number = np.where(enough, np.where(is_latin, best, of_script[script]), unsure)
    confidence = np.where(is_latin, sure, np.where(_IS_SHARED[script], 0.7, 0.98) * np.maximum(share, 0.8))
    is_readable = enough & ((number != unsure) | (is_latin & (likeliest == english)))
    return Languages(known, number, np.where(enough, np.round(confidence, 4), 0.0), number != unsure, is_readable)


@cache
def _codes(labels: tuple[str, ...]) -> tuple[tuple[str, ...], NDArray[np.int64], NDArray[np.int64]]:
    """Every code, and which of them each script and each label of the model stands for."""
    known = tuple(sorted({*_SCRIPT_NAMES, *labels}))
    return known, np.array([known.index(name) for name in _SCRIPT_NAMES]), np.array([known.index(label) for label in labels])


@cache
def _are(known: tuple[str, ...], codes: frozenset[str]) -> NDArray[np.bool_]:
    return np.array([code in codes for code in known])


def _letters(tokens: Tokens) -> NDArray[np.int64]:
    """(texts, scripts) letters of each script, in words that are neither links nor masks; a word is of the script that it begins with."""
    script = _script_of()[np.minimum(tokens.first, 0xFFFF)]
    link, e_mail, number = masks()
    counted = (script >= 0) & ~tokens.is_mark & (tokens.word != link) & (tokens.word != e_mail) & (tokens.word != number)
    cells = tokens.text_of[counted] * len(_SCRIPTS) + script[counted]
    width = (tokens.end - tokens.start)[counted] / (1 + np.searchsorted(_WIDER, tokens.first[counted], side="right"))
    letters = np.bincount(cells, width, minlength=tokens.n * len(_SCRIPTS))
    return letters.astype(np.int64).reshape(tokens.n, len(_SCRIPTS))


@cache
def _script_of() -> NDArray[np.int64]:
    table = np.full(0x10000, -1, np.int64)
    for number, (_, ranges) in enumerate(_SCRIPTS):
        for first, last in ranges:
            table[first : last + 1] = number
    return table
