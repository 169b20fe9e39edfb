"""Which of the brand's products and topics does it speak of? spaCy's PhraseMatcher over the catalogue, in English and Chinese.

Only posts in which some phrase seems to stand, or a word that is nearly one of a product's name, reach spaCy, which is far slower than
everything else here. There a misspelt word is put right before the phrases are looked for, so that a name is found with its slips counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from classifiers.batch import Batch
from classifiers.brand import Brand
from classifiers.features import Phrases, Tokens, tokenise
from classifiers.near_names import SHORTEST, Near, NearWords, slips
from classifiers.ordinary_words import ordinary_words
from classifiers.text import normalise_all
from earshot.mention import Score

_HAN = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff]")
_WORD = re.compile(r"[A-Za-z]+")
_HASHTAG = re.compile(r"#(\w{3,60})")
_WITHIN_TAG = re.compile(r"(?<=[^\W\dA-Z_])(?=[A-Z])|(?<=[^\W\d_])(?=\d)|_")
_AS_LISTED, _ORDINARY_WORD = 0.95, 0.75  #: how sure a name as listed is; and one that is an ordinary word, too
_ONE_SLIP, _TWO_SLIPS = 0.8, 0.5
_NONE = 0.9  #: that no name stands where none was found


class Named(NamedTuple):
    """What a mention names: keys of the catalogue, each with how sure it is, 0..1."""

    topics: Mapping[str, float]
    products: Mapping[str, float]


NOTHING = Named({}, {})


def topics(batch: Batch) -> list[Score]:
    """Label: keys of topics parted by spaces, or `none`. Value: how many. Confidence: of the least sure one."""
    return _scores("topics", [named.topics for named in batch.named])


def products(batch: Batch) -> list[Score]:
    """Label: keys of products parted by spaces, or `none`. Value: how many. Confidence: of the least sure one."""
    return _scores("products", [named.products for named in batch.named])


def _scores(name: str, found: Sequence[Mapping[str, float]]) -> list[Score]:
    return Score.batch(
        name=name,
        labels=(" ".join(sorted(keys)) or "none" for keys in found),
        values=(float(len(keys)) for keys in found),
        confidences=(min(keys.values(), default=_NONE) for keys in found),
        by=f"{name}-2",
    )


class Catalogue:
    """A brand's phrases, ready to be found. Build with `catalogue`, which keeps the last few."""

    def __init__(self, brand: Brand) -> None:
        import spacy
        from spacy.matcher import PhraseMatcher

        self._keys = [("topic", topic.key) for topic in brand.topics] + [("product", product.key) for product in brand.products]
        self._topic_of = {product.key: product.topic for product in brand.products if product.topic}
        self._nlp: Any = spacy.blank("en")
        self._matcher: Any = PhraseMatcher(self._nlp.vocab, attr="LOWER")
        listed: set[str] = set()
        spelling: dict[str, tuple[str, ...]] = {}
        for number, phrases in enumerate(_phrases(brand)):
            for phrase in normalise_all(sorted(phrases)):
                read = self._read(phrase)
                self._matcher.add(str(number), [read])
                listed.add(phrase)
                if self._keys[number][0] == "product":
                    spelling |= _written([token.lower_ for token in read])
        self._listed = Phrases(sorted(_possessives(listed))) if listed else None
        self._spelling = list(spelling.values())
        self._near = NearWords({word: slips(len(word)) or 1 for word in spelling}, known=listed)

    def find(self, batch: Batch) -> list[Named]:
        found = [NOTHING] * len(batch)
        self._find(found, range(len(batch)), batch.texts, batch.tokens)
        tagged, tags = _hashtags(batch.texts)
        if tags:
            self._find(found, tagged, tags, tokenise(tags))
        return found

    def _find(self, found: list[Named], numbers: Sequence[int], texts: Sequence[str], tokens: Tokens) -> None:
        """Add what these texts name, which belong to the mentions of these numbers."""
        if self._listed is None:
            return
        near = self._near.find(tokens)
        for place in sorted({*self._listed.find(tokens)[0].tolist(), *self._worth_reading(texts, near)}):
            number = numbers[place]
            found[number] = _joined(found[number], self._of(texts[place], near.get(place, ())))

    def _worth_reading(self, texts: Sequence[str], near: Mapping[int, Sequence[Near]]) -> Iterator[int]:
        """The texts in which a whole phrase stands once their words are put right."""
        places = list(near)
        right = tokenise([self._respelt(texts[place], near[place]) for place in places])
        if self._listed is not None:
            yield from (places[number] for number in self._listed.find(right)[0].tolist())

    def _respelt(self, text: str, near: Sequence[Near]) -> str:
        listed = {one.word: " ".join(self._spelling[one.listed]) for one in near}
        return _WORD.sub(lambda word: listed.get(word[0].lower(), word[0]), text)

    def _of(self, text: str, near: Sequence[Near]) -> Named:
        topics: dict[str, float] = {}
        products: dict[str, float] = {}
        for (kind, key), sure in self._matches(text, near):
            into = topics if kind == "topic" else products
            into[key] = max(sure, into.get(key, 0.0))
        for key, sure in products.items():
            if topic := self._topic_of.get(key):
                topics[topic] = max(sure, topics.get(topic, 0.0))
        return Named(topics, products) if topics or products else NOTHING

    def _matches(self, text: str, near: Sequence[Near]) -> Iterator[tuple[tuple[str, str], float]]:
        """What is named, and how surely."""
        read, edits = self._put_right(self._read(text), {one.word: one for one in near})
        vocabulary = self._nlp.vocab.strings
        for match, start, end in self._matcher(read):
            words = [token.lower_ for token in read[start:end]]
            slipped = sum(edits[start:end])
            if not slipped or slipped <= _slips(words):
                yield self._keys[int(vocabulary[match])], _sureness(words, slipped)

    def _put_right(self, read: Any, near: Mapping[str, Near]) -> tuple[Any, Sequence[int]]:
        """The words with those that are nearly listed as they are listed, and the edits in each."""
        if not near:
            return read, [0] * len(read)
        from spacy.tokens import Doc

        words: list[str] = []
        edits: list[int] = []
        for token in read:
            one = near.get(token.lower_)
            listed = (token.text,) if one is None else self._spelling[one.listed]
            words += listed
            edits += [one.edits if one else 0, *[0] * (len(listed) - 1)]
        return Doc(self._nlp.vocab, words=words), edits

    def _read(self, text: str) -> Any:
        """Chinese characters stand alone, as phrases are not parted by spaces there."""
        return self._nlp.tokenizer(" ".join(_HAN.sub(r" \g<0> ", text).split()))


@lru_cache(maxsize=8)
def catalogue(brand: Brand) -> Catalogue:
    return Catalogue(brand)


def _slips(words: Sequence[str]) -> int:
    """How many slips a name of these words may hold: one less where it is an ordinary word, which has many neighbours. The "s" of a plural
    is not counted.
    """
    return slips(sum(map(len, words)) - words[-1].endswith("s")) - _is_ordinary(words)


def _is_ordinary(words: Sequence[str]) -> bool:
    return len(words) == 1 and not {words[0], words[0].removesuffix("s")}.isdisjoint(ordinary_words())


def _sureness(words: Sequence[str], edits: int) -> float:
    if edits:
        return _ONE_SLIP if edits == 1 else _TWO_SLIPS
    return _ORDINARY_WORD if _is_ordinary(words) else _AS_LISTED


def _joined(one: Named, other: Named) -> Named:
    """Of both, the surer where both name a key."""
    if one is NOTHING or other is NOTHING:
        return other if one is NOTHING else one
    return Named(*({key: max(a.get(key, 0.0), b.get(key, 0.0)) for key in {*a, *b}} for a, b in zip(one, other, strict=True)))


def _hashtags(texts: Sequence[str]) -> tuple[list[int], list[str]]:
    """Of the texts whose hashtags hold more than one word ("#AcmeBuds"), the numbers, and these words, tag by tag."""
    numbers, tags = [], []
    for number, text in enumerate(texts):
        if "#" in text:
            parted = [words for tag in _HASHTAG.findall(text) if " " in (words := _WITHIN_TAG.sub(" ", tag))]
            if parted:
                numbers.append(number)
                tags.append(" . ".join(parted))
    return numbers, tags


def _phrases(brand: Brand) -> Iterable[set[str]]:
    for topic in brand.topics:
        yield _spellings([topic.name_zh, *topic.words])
    for product in brand.products:
        yield _spellings([product.name, product.name_zh, *product.aliases])


def _spellings(phrases: Iterable[str]) -> set[str]:
    """With a plural in "s" where the phrase ends in a Latin letter."""
    said = {phrase.strip() for phrase in phrases if any(char.isalnum() for char in phrase)}
    return said | {f"{phrase}s" for phrase in said if phrase[-1].isascii() and phrase[-1].isalpha() and phrase[-1] != "s"}


def _written(words: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The words of a phrase that may be misspelt, each as it is listed; also all of them as one. Short names are not among them: too many
    words are near.
    """
    plain = all(word.isascii() and word.isalpha() for word in words)
    if len(words) > 1:
        apart = {word: (word,) for word in words if len(word) >= SHORTEST - 1 and word.isascii() and word.isalpha()}
        whole = "".join(words)
        return apart | ({whole: tuple(words)} if plain and len(whole) >= SHORTEST else {})
    return {words[0]: (words[0],)} if plain and len(words[0]) >= SHORTEST else {}


def _possessives(phrases: Iterable[str]) -> set[str]:
    """The phrases, and as they stand in "the kettle's lid"."""
    said = set(phrases)
    return said | {f"{phrase}'s" for phrase in said}
