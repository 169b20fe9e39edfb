"""In which language is it written? An ISO 639-1 code, or `unsure`.

Scripts decide where they can (Chinese, Japanese, Korean, Russian, Arabic …); among Latin letters the model decides between the languages
it knows.
Too little to read, or too close a call, is `unsure`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from classifiers.features import Tokens, tokenise
from earshot.mention import Score

if TYPE_CHECKING:
    from classifiers.batch import Batch

_SURE = 0.6  #: of a Latin language, English included
_SURE_FOREIGN = 0.9
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
_NAMES = np.array([name for name, _ in _SCRIPTS])


@dataclass(frozen=True, slots=True)
class Languages:
    codes: NDArray[np.str_]  #: (mentions,)
    confidence: NDArray[np.float64]  #: (mentions,)
    is_blank: NDArray[np.bool_]  #: (mentions,) nothing to read: no letters, but for links and handles


def language(batch: Batch) -> list[Score]:
    """Label: ISO 639-1 code or `unsure`. Value: 0..1, the same as the confidence; 0 for `unsure`."""
    told = batch.languages
    sure = np.round(told.confidence, 4).tolist()
    return Score.batch(name="language", labels=told.codes.tolist(), values=sure, confidences=sure, by=f"language-{batch.model.version}")


def tell(tokens: Tokens, probability: NDArray[np.float32], labels: Sequence[str]) -> Languages:
    """Join scripts and the model's `probability` (texts, labels) for Latin text."""
    letters = _letters(tokens)
    words = np.bincount(tokens.text_of[~tokens.is_mark], minlength=tokens.n)
    total = letters.sum(axis=1)
    script = letters.argmax(axis=1)
    japanese = letters[:, _column("ja")] > 0.1 * np.maximum(letters[:, _column("zh")], 1)
    han = np.isin(_NAMES[script], ("zh", "ja"))
    # A Chinese character says as much as two or three Latin letters: a post with a product name in Latin stays Chinese.
    mostly_han = letters[:, _column("zh")] + letters[:, _column("ja")] >= np.maximum(0.25 * letters[:, _column("latin")], 1)
    script = np.where(mostly_han | han, np.where(japanese, _column("ja"), _column("zh")), script)
    share = np.where(total > 0, np.take_along_axis(letters, script[:, None], axis=1)[:, 0] / np.maximum(total, 1), 0.0)

    best = probability.argmax(axis=1)
    sure = probability.max(axis=1).astype(np.float64)
    latin_code = np.array(labels)[best]
    latin_code = np.where(sure >= np.where(latin_code == "en", _SURE, _SURE_FOREIGN), latin_code, "unsure")
    latin = script == _column("latin")
    codes = np.where(latin, latin_code, _NAMES[script])
    confidence = np.where(latin, sure, np.where(np.isin(codes, _SHARED_SCRIPTS), 0.7, 0.98) * np.maximum(share, 0.8))

    enough = np.where(mostly_han, total >= _LEAST_HAN, (total >= _LEAST_LETTERS) & (words >= _LEAST_WORDS))
    codes = np.where(enough & (codes != "other"), codes, "unsure")
    return Languages(codes=codes, confidence=np.where(codes == "unsure", 0.0, confidence), is_blank=total == 0)


def _column(name: str) -> int:
    return int(np.flatnonzero(name == _NAMES)[0])


def _letters(tokens: Tokens) -> NDArray[np.int64]:
    """(texts, scripts) letters of each script, in words that are neither links nor masks; a word is of the script that it begins with."""
    script = _script_of()[np.minimum(tokens.points[tokens.start], 0xFFFF)]
    counted = (script >= 0) & ~tokens.is_mark & ~np.isin(tokens.word, _not_words())
    cells = tokens.text_of[counted] * len(_SCRIPTS) + script[counted]
    letters = np.bincount(cells, (tokens.end - tokens.start)[counted], minlength=tokens.n * len(_SCRIPTS))
    return letters.astype(np.int64).reshape(tokens.n, len(_SCRIPTS))


@cache
def _script_of() -> NDArray[np.int64]:
    table = np.full(0x10000, -1, np.int64)
    for number, (_, ranges) in enumerate(_SCRIPTS):
        for first, last in ranges:
            table[first : last + 1] = number
    return table


@cache
def _not_words() -> NDArray[np.uint64]:
    tokens = tokenise(["link", "xemailx", "xnumberx"])
    return tokens.word
