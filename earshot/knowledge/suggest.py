"""Suggestions beside a case. A few hundred candidates are compared in one go; no index to keep.

A word says more the fewer candidates know it, so shared words are weighed by their rarity. Chinese is read in pairs of
characters, and a misspelt word counts as the known word that it resembles.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

#: below this nothing is suggested: a wrong hint costs more than none
LEAST = 0.5
#: characters of a text and of a candidate that are read
_LONGEST = 2000
_LONGEST_PHRASE = 800
#: words that only the background shares count this much
_ASIDE = 0.2
#: how much of the words counts where topics agree, are unknown, or differ
_AGREE, _UNKNOWN, _DIFFER = 1.0, 0.75, 0.5
#: among fewer candidates than this every word looks rare, so more of a phrase must be met
_FEW = 6
#: distinct words on either side beyond which meeting by chance grows likely
_MANY_WORDS = 14
#: likeness (0..100) and length from which a word is taken for a misspelling, and how many are looked at
_MISSPELT, _SPELLABLE, _MENDED = 83, 5, 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate(Generic[T]):
    """Something that may fit: the phrases it is known by (title, search words, a past question), and its topics."""

    of: T
    phrases: tuple[str, ...]
    lang: str
    topics: frozenset[str]
    background: str = ""  #: its full text: tells which words are common, and counts a little itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion(Generic[T]):
    of: T
    fit: float  #: 0..1
    reason: str


@dataclass(frozen=True, slots=True)
class _Known:
    """The words of one candidate."""

    phrases: tuple[frozenset[str], ...]
    said: frozenset[str]  #: of all phrases
    aside: frozenset[str]  #: only in the background


def suggest(text: str, *, lang: str, topics: Sequence[str], candidates: Sequence[Candidate[T]], most: int = 2) -> list[Suggestion[T]]:
    """The best-fitting candidates of the same language, best first, each with its reason. Rather none than an unrelated one."""
    same = [c for c in candidates if (c.lang == lang or lang == "unsure") and c.phrases]
    known = [_known(candidate) for candidate in same]
    rarity = _rarity(known)
    asked = _mend(_words(text, _LONGEST), rarity)
    wanted = frozenset(topics)
    ranked = [_weigh(candidate, words, asked, rarity, wanted, len(same)) for candidate, words in zip(same, known, strict=True)]
    return sorted((s for s in ranked if s.fit >= LEAST), key=lambda s: -s.fit)[:most]


def _weigh(
    candidate: Candidate[T], known: _Known, asked: frozenset[str], rarity: Mapping[str, float], topics: frozenset[str], among: int
) -> Suggestion[T]:
    def weight(words: Iterable[str]) -> float:
        return math.fsum(rarity[word] for word in words)

    met = [weight(phrase & asked) for phrase in known.phrases]
    covered = [value / (weight(phrase) or 1.0) for value, phrase in zip(met, known.phrases, strict=True)]
    best = max(range(len(met)), key=lambda i: (met[i] * covered[i], met[i], i))  # the title, which comes first, is read anyway
    shared = (met[best] + weight(known.said & asked)) / 2 + _ASIDE * weight(known.aside & asked)
    evidence = shared * _worth(covered[best], among) * _agreement(candidate.topics, topics)
    evidence *= math.sqrt(_room(asked) * _room(known.phrases[best]))
    return Suggestion(of=candidate.of, fit=evidence / (1 + evidence), reason=_reason(candidate.phrases[best], candidate.topics & topics))


def _worth(covered: float, among: int) -> float:
    """What the shared words are worth, 0..1, where this much of the phrase was met."""
    sure = min(1.0, among / _FEW)
    return sure * (0.7 + 0.3 * covered) + (1 - sure) * covered**3


def _room(words: frozenset[str]) -> float:
    return min(1.0, _MANY_WORDS / max(len(words), 1))


def _agreement(ours: frozenset[str], theirs: frozenset[str]) -> float:
    if not ours or not theirs:
        return _UNKNOWN
    return _AGREE if ours & theirs else _DIFFER


def _reason(phrase: str, topics: frozenset[str]) -> str:
    return f"like “{phrase[:80]}”" + (f"; same topic: {', '.join(sorted(topics))}" if topics else "")


def _rarity(known: Sequence[_Known]) -> dict[str, float]:
    """Word -> 0..1: what only one candidate knows weighs 1."""
    seen = Counter(word for words in known for word in (*words.said, *words.aside))
    unit = math.log1p(len(known))
    return {word: math.log1p(len(known) / times) / unit for word, times in seen.items()}


def _mend(asked: frozenset[str], rarity: Mapping[str, float]) -> frozenset[str]:
    """Misspelt words become the known word that they resemble most."""
    from rapidfuzz import fuzz, process

    strange = sorted((word for word in asked if word not in rarity and _spellable(word)), key=lambda word: (-len(word), word))[:_MENDED]
    spelt: dict[str, list[str]] = {word[0]: [] for word in strange}  # few people get the first letter wrong
    for word in rarity:
        if word[0] in spelt and _spellable(word):
            spelt[word[0]].append(word)
    found = [process.extractOne(word, spelt[word[0]], scorer=fuzz.ratio, score_cutoff=_MISSPELT) for word in strange]
    return asked | {match[0] for match in found if match is not None}


def _spellable(word: str) -> bool:
    return len(word) >= _SPELLABLE and word.isalpha()


# ---- words


_EAST = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"  #: scripts whose words are not parted by spaces, or bear endings
_NOT_WORDS = re.compile(r"https?://[!-~]+|@[A-Za-z0-9_.\-]+")
_WORD = re.compile(rf"[{_EAST}]+|(?:(?![{_EAST}])[^\W\d_])+(?:'[a-z]+)?|\d+(?:\.\d+)?")
_FIRST_EAST = "\u3040"
_PARTICLES = re.compile(
    "怎么|怎麼|什么|什麼|为什|為什|请问|請問|一个|一個|多少|是不是|能不能|有没有|有沒有|可以|还是|還是|没有|沒有|明明|我们|我們|你们|你們"
    "|[的了吗嗎呢吧啊我你他她它这這那是就也都很把被啥么麼想要还還]"
)
_COMMON_WORDS = """
    a about after afternoon again all also always am an and any anybody anyone anything are around as at bad be because been before
    being between both but by came can cant come comes could days did didnt do does doesnt doing done dont during else even evening
    ever every everybody everyone everything far few first five for four friday from get gets give go goes going good got had has
    have having he hello her here hi him his how i if im in into is isnt it its itself ive just knew know knows last let lets like
    little look looks lot made make many may me mean might minute minutes monday month months more morning most much must my near
    need never next nice night no nor not nothing now of off on once one only or other our out over own please put really said same
    saturday saw say says see several she should since so some somebody someone something soon sorry still such sunday take tell
    tells than thanks that the their them then there these they thing think this those thought three through thursday to today told
    tomorrow tonight too tuesday two until up us using very want was way we wednesday week weeks well were what when where which
    while who whole whom why will with without wont would year years yes yesterday yet you your
    """
_COMMON = frozenset(_COMMON_WORDS.split())
_ENDING = re.compile(r"(?<=\w{3})(?:ings?|ers|ies|e[ds]|[es])$")


def _known(candidate: Candidate[T]) -> _Known:
    phrases = tuple(_words(phrase, _LONGEST_PHRASE) for phrase in candidate.phrases)
    said = frozenset().union(*phrases)
    return _Known(phrases, said, _words(candidate.background, _LONGEST) - said)


def _words(text: str, most: int) -> frozenset[str]:
    """What the first so many characters are compared by: words without their endings, numbers, pairs of Chinese characters."""
    plain = unicodedata.normalize("NFKC", _NOT_WORDS.sub(" ", text[:most])).lower().replace("’", "'")[:most]
    words: set[str] = set()
    for run in _WORD.findall(plain):
        if run[0] >= _FIRST_EAST:
            words.update(pair for part in _PARTICLES.split(run) for pair in _pairs(part))
        elif (word := run.removesuffix("'s").replace("'", "")) not in _COMMON:
            words.add(_stem(word))
    return frozenset(words)


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(max(len(run) - 1, 1))] if run else []


def _stem(word: str) -> str:
    """Without its English ending, so that "flickers" meets "flickering"; nothing that a person reads."""
    stem = _ENDING.sub("", word) if word[-1] in "sged" else word
    return stem[:-1] if len(stem) > 3 and stem[-1] == stem[-2] else stem
