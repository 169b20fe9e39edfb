"""Which of the brand's products and topics does it speak of? spaCy's PhraseMatcher over the catalogue, in English and Chinese.

Only posts that hold the first word of some phrase reach spaCy, which is far slower than everything else here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from classifiers.batch import Batch
from classifiers.brand import Brand
from classifiers.features import Phrases, tokenise
from classifiers.text import normalise_all
from earshot.mention import Score

_HAN = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff]")
_FOUND = 0.9  #: confidence: a name that was listed stands there, or none does


def topics(batch: Batch) -> list[Score]:
    """Label: keys of topics parted by spaces, or `none`. Value: how many."""
    return _scores("topics", [topics for topics, _ in batch.named])


def products(batch: Batch) -> list[Score]:
    """Label: keys of products parted by spaces, or `none`. Value: how many."""
    return _scores("products", [products for _, products in batch.named])


def _scores(name: str, found: Sequence[Sequence[str]]) -> list[Score]:
    return [Score(name=name, label=" ".join(keys) or "none", value=float(len(keys)), confidence=_FOUND, by=f"{name}-1") for keys in found]


class Catalogue:
    """A brand's phrases, ready to be found. Build with `catalogue`, which keeps the last few."""

    def __init__(self, brand: Brand) -> None:
        import spacy
        from spacy.matcher import PhraseMatcher

        self._keys = [("topic", topic.key) for topic in brand.topics] + [("product", product.key) for product in brand.products]
        self._topic_of = {product.key: product.topic for product in brand.products if product.topic}
        self._nlp: Any = spacy.blank("en")
        self._matcher: Any = PhraseMatcher(self._nlp.vocab, attr="LOWER")
        first = set()
        for number, phrases in enumerate(_phrases(brand)):
            for phrase in normalise_all(sorted(phrases)):
                self._matcher.add(str(number), [self._read(phrase)])
                first.add(phrase)
        self._first = Phrases(sorted(_first_words(first))) if first else None

    def find(self, batch: Batch) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        found: list[tuple[tuple[str, ...], tuple[str, ...]]] = [((), ())] * len(batch)
        if self._first is not None:
            for number in np.unique(self._first.find(batch.tokens)[0]).tolist():
                found[number] = self._of(batch.texts[number])
        return found

    def _of(self, text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        vocabulary = self._nlp.vocab.strings
        keys = [self._keys[int(vocabulary[match])] for match, _, _ in self._matcher(self._read(text))]
        named = dict.fromkeys(key for kind, key in keys if kind == "product")
        about = dict.fromkeys(
            [key for kind, key in keys if kind == "topic"] + [self._topic_of[key] for key in named if key in self._topic_of]
        )
        return tuple(sorted(about)), tuple(sorted(named))

    def _read(self, text: str) -> Any:
        """Chinese characters stand alone, as phrases are not parted by spaces there."""
        return self._nlp.tokenizer(" ".join(_HAN.sub(r" \g<0> ", text).split()))


@lru_cache(maxsize=8)
def catalogue(brand: Brand) -> Catalogue:
    return Catalogue(brand)


def _phrases(brand: Brand) -> Iterable[set[str]]:
    for topic in brand.topics:
        yield _spellings([topic.name_zh, *topic.words])
    for product in brand.products:
        yield _spellings([product.name, product.name_zh, *product.aliases])


def _spellings(phrases: Iterable[str]) -> set[str]:
    """With a plural in "s" where the phrase ends in a Latin letter."""
    said = {phrase.strip() for phrase in phrases if any(char.isalnum() for char in phrase)}
    return said | {f"{phrase}s" for phrase in said if phrase[-1].isascii() and phrase[-1].isalpha() and phrase[-1] != "s"}


def _first_words(phrases: Iterable[str]) -> set[str]:
    listed = list(phrases)
    tokens = tokenise(listed)
    words: dict[int, str] = {}
    for text, start, end in zip(tokens.text_of.tolist(), tokens.start.tolist(), tokens.end.tolist(), strict=True):
        words.setdefault(text, "".join(map(chr, tokens.points[start:end])))
    return set(words.values())
