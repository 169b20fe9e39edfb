"""Words that people use about the brand and that no source looks for, with how many more mentions they might bring.

What a search does not look for it does not show. But some sources hear everything in their place (a subreddit, a feed), and there one can
count how often people write a word and leave out what the searches look for. The estimate says: if people leave it out elsewhere as often,
then for each post with the word that a search found, so many were missed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, pairwise
from math import log, sqrt
from types import MappingProxyType

from earshot.errors import BadInput
from earshot.mention import Mention
from earshot.settings import SourceSettings
from listener.query import Query, matches, read
from listener.query.tree import Fuzzy, Term, anchors

_Z = 1.96
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)  #: no query asks when a post was posted
#: a word is proposed from so many posts without any word of a search, by so many authors
_POSTS, _AUTHORS = 4, 3
#: how sure it must be that the word belongs to the brand (log-likelihood ratio; one in a hundred by chance), and how much more common
_SURE, _MORE_COMMON = 6.63, 3.0
#: with fewer other posts nobody can tell what belongs to the brand
LEAST_OTHERS = 30
#: a pair with a word that stands in so many of the other posts says no more than its other word: "the hub"
_PLAIN = 0.05
#: terms that stand in the same posts so often say the same
_SAME = 0.7
#: of those who write the word, so many may leave out the brand, for all we believe
_MOST_LEFT_OUT = 0.9
_EXAMPLES = 3

#: words that are nobody's own
_EVERYBODYS = """
a about after again all already also am an and any anyone are as at back be because been before but by can can't cannot could did
didn't do does doesn't doing don't down even every for from get gets getting go goes going got had has have haven't he her here
him his how i i'm i've if in into is isn't it it's its just know like look made make many me more most much my need never new no
not now of off on one only or other our out over please said same say see she should since so some someone something still such
than that that's the their them then there these they thing things think this those to too try up use used using very want was way
we well were what what's when where which while who why will with without won't work working works would yes yet you you're your
我的 你们 他们 我们 这个 那个 一个 怎么 什么 可以 没有 就是 还是 不是 为什 为什么 是不是
two three four five six ten first second last next day days week weeks month months year years today time
"""

_LINK = re.compile(r"https?://\S+|\S+@\S+\.\S+")
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_HAN}]+|[^\W_{_HAN}](?:[^\W{_HAN}]|['’-](?=\w))*")
_IN_QUERY = re.compile(r'(-?)(?:(\w+):)?(?:"([^"]+)"|([^\s()"]+))')
_OPERATORS = frozenset({"or", "and", "not", "near"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A post as far as it matters here."""

    id: int
    text: str
    source: str
    author: int | None
    names_topic: bool  #: it names a topic or product of the brand's catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindSpot:
    """A word, or a pair, that no search looks for."""

    term: str
    without: int  #: posts about the brand with it and without any word of a search
    seen: float  #: posts a week with it that searches found by other words
    low: float  #: more mentions a week, between this …
    high: float  #: … and this
    own_place: bool  #: known from a place of the brand's own alone, where few need to name it: `low` is 0 then
    examples: tuple[int, ...]  #: ids of posts

    @property
    def is_broad(self) -> bool:
        """A single word, which people write of much else, too."""
        return " " not in self.term and not (_is_han(self.term) and len(self.term) > 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposals:
    found: tuple[BlindSpot, ...]  #: pairs before single words, the largest gain first
    posts: int  #: looked at
    others: int  #: of those, not about the brand
    why_none: str = ""  #: where nothing could be looked for


def propose(
    posts: Sequence[Post],
    sources: Sequence[SourceSettings],
    *,
    weeks: float,
    most: int = 12,
    saved: Mapping[str, Sequence[Query]] = MappingProxyType({}),
) -> Proposals:
    """The words to add to the searches of `sources`, from what came in during `weeks`. `saved`: source -> queries of ours it listens for,
    beside its own.
    """
    ours = {source.name: _queries_of(source, saved.get(source.name, ())) for source in sources}
    terms = {source.name: _listened_for(source, ours[source.name]) for source in sources}
    looked_for = _pattern(chain.from_iterable((*terms.values(), *(_said(query) for each in ours.values() for query in each))))
    if looked_for is None:
        return Proposals(
            found=(), posts=len(posts), others=0, why_none="No source searches for words: each hears all there is in its place."
        )
    covered = _covered(posts, sources, ours)
    about = [is_covered or post.names_topic for post, is_covered in zip(posts, covered, strict=True)]
    others = len(posts) - sum(about)
    if why := _too_little(posts, terms, others):
        return Proposals(found=(), posts=len(posts), others=others, why_none=why)
    grams = [_grams(post.text) for post in posts]
    missed = [own for own, is_about, is_covered in zip(grams, about, covered, strict=True) if is_about and not is_covered]
    candidates = _typical(missed, [own for own, is_about in zip(grams, about, strict=True) if not is_about], looked_for)
    own = {source.name for source in sources if looked_for.search(source.query.casefold()) and not terms[source.name]}
    where = _where(grams, candidates)
    found = (_spot(term, where[term], posts, covered, about, terms, own, weeks) for term in candidates)
    return Proposals(found=tuple(_apart([spot for spot in found if spot], where, most)), posts=len(posts), others=others)


def _queries_of(source: SourceSettings, saved: Sequence[Query]) -> list[Query]:
    """Queries of ours that a source asks; one of the settings that cannot be read is asked by nobody."""
    wanted = []
    if source.wanted:
        with suppress(BadInput):
            wanted = [read(source.wanted)]
    return [*wanted, *saved]


def _listened_for(source: SourceSettings, ours: Sequence[Query]) -> tuple[str, ...]:
    """The words that a source searches for; none where it hears everything in its place, whatever else it asks for."""
    own = () if source.wanted else search_terms(source)
    hears_all = not own and not source.wanted and (source.query or not ours)
    return () if hears_all else tuple(dict.fromkeys((*own, *(term for query in ours for term in _said(query)))))


def _said(query: Query) -> tuple[str, ...]:
    """The words of which one must be there for the query to match."""
    each = anchors(query.tree) or ()
    said = (part.said if isinstance(part, Term) else part.word for part in each if isinstance(part, Term | Fuzzy))
    return tuple(word.lstrip("#@") for word in said)


def _covered(posts: Sequence[Post], sources: Sequence[SourceSettings], ours: Mapping[str, Sequence[Query]]) -> list[bool]:
    """Which of the posts some search would find, wherever they came from."""
    native = _pattern(term for source in sources if not source.wanted for term in search_terms(source))
    queries = dict(enumerate(dict.fromkeys(chain.from_iterable(ours.values()))))
    network_of = {source.name: source.network for source in sources}
    mentions = [
        Mention(network=network_of.get(post.source, "-"), native_id=str(post.id), author=None, text=post.text, url="", posted_at=_ANY_TIME)
        for post in posts
    ]
    found = matches(queries, mentions) if queries else [()] * len(posts)
    return [bool(its) or (native is not None and bool(native.search(post.text.casefold()))) for post, its in zip(posts, found, strict=True)]


def search_terms(source: SourceSettings) -> tuple[str, ...]:
    """The words and phrases that a source searches for, in small letters; none where it hears everything in its place."""
    if source.network in ("feed", "archive") or "://" in source.query:
        return ()
    return tuple(_wanted(source.query))


def _wanted(query: str) -> Iterator[str]:
    skip = False
    for minus, operator, phrase, word in _IN_QUERY.findall(query):
        term = (phrase or word).casefold().lstrip("#@$")
        if term in _OPERATORS:
            skip = term == "not"
        elif not (minus or operator or skip or re.match(r"/?r/", term)):
            yield term
        else:
            skip = False


def with_term(source: SourceSettings, term: str) -> str | None:
    """The query of `source` with one more term; None where its network knows no OR, or it asks in our own language."""
    if source.wanted or source.network not in ("x", "reddit"):
        return None
    return f'{source.query} OR "{term}"' if " " in term else f"{source.query} OR {term}"


# ---- what is about the brand


def _too_little(posts: Sequence[Post], terms: Mapping[str, tuple[str, ...]], others: int) -> str:
    if not any(not terms.get(post.source) for post in posts):
        return "Every source searches for words, so nothing was heard without them. A subreddit or a feed would show what they miss."
    if others < LEAST_OTHERS:
        return f"Only {others} posts that are not about the brand came in: too few to tell which words are its own."
    return ""


def _pattern(terms: Iterable[str]) -> re.Pattern[str] | None:
    each = sorted({re.escape(term) if _is_han(term) else rf"(?<!\w){re.escape(term)}(?!\w)" for term in terms})
    return re.compile("|".join(each)) if each else None


def _is_han(term: str) -> bool:
    return bool(re.search(f"[{_HAN}]", term))


def _grams(text: str) -> frozenset[str]:
    """Words, pairs of neighbours, and runs of two to four Chinese characters."""
    words = _WORD.findall(_LINK.sub(" ", text[:4_000]).casefold())
    grams = {word for word in words if len(word) > 1 and not _is_han(word) and not word.isdigit()}
    grams |= {f"{one} {two}" for one, two in pairwise(words) if not (_is_han(one) or _is_han(two))}
    for run in filter(_is_han, words):
        grams |= {run[i : i + n] for n in (2, 3, 4) for i in range(len(run) - n + 1)}
    return frozenset(grams)


def _typical(missed: Sequence[frozenset[str]], others: Sequence[frozenset[str]], looked_for: re.Pattern[str]) -> list[str]:
    """Terms that posts about the brand which no search would find have far more often than other posts."""
    ours, theirs = Counter(term for own in missed for term in own), Counter(term for own in others for term in own)
    n, m = len(missed), len(others)
    plain = {term for term, k in theirs.items() if k >= max(2, _PLAIN * m)} | set(_EVERYBODYS.split())
    return [
        term
        for term, k in ours.items()
        if k >= _POSTS
        and k / n >= _MORE_COMMON * (theirs[term] + 0.5) / (m + 1)
        and _likelihood_ratio(k, n, theirs[term], m) >= _SURE
        and not looked_for.search(term)
        and _says_something(term, plain)
    ]


def _says_something(term: str, plain: Set[str]) -> bool:
    words = term.split()
    return plain.isdisjoint(words) and not all(word.isdigit() for word in words)


def _likelihood_ratio(k: int, n: int, j: int, m: int) -> float:
    """Dunning's G²: k of n against j of m."""

    def fit(hits: int, of: int, share: float) -> float:
        return (hits * log(share) if hits else 0.0) + ((of - hits) * log(1 - share) if hits < of else 0.0)

    both = (k + j) / (n + m)
    return 2 * (fit(k, n, k / n) + fit(j, m, j / m) - fit(k, n, both) - fit(j, m, both))


# ---- what a word would bring


def _where(grams: Sequence[frozenset[str]], terms: Sequence[str]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {term: [] for term in terms}
    for i, own in enumerate(grams):
        for term in own & places.keys():
            places[term].append(i)
    return places


def _spot(
    term: str,
    where: Sequence[int],
    posts: Sequence[Post],
    covered: Sequence[bool],
    about: Sequence[bool],
    terms: Mapping[str, tuple[str, ...]],
    own: set[str],
    weeks: float,
) -> BlindSpot | None:
    ours = [i for i in where if about[i]]
    without = [i for i in ours if not covered[i]]
    if len(without) < _POSTS or len({posts[i].author for i in without}) < _AUTHORS:
        return None
    seen = sum(covered[i] for i in ours if terms.get(posts[i].source)) / weeks
    hear_all = [i for i in ours if not terms.get(posts[i].source)]
    neutral = [i for i in hear_all if posts[i].source not in own]
    low, high = _left_out(neutral or hear_all, covered)
    return BlindSpot(
        term=term,
        without=len(without),
        seen=seen,
        low=seen * low / (1 - low) if neutral else 0.0,
        high=seen * high / (1 - high),
        own_place=not neutral,
        examples=tuple(posts[i].id for i in without[:_EXAMPLES]),
    )


def _left_out(places: Sequence[int], covered: Sequence[bool]) -> tuple[float, float]:
    """How large a share leaves out what the searches look for: Wilson's interval, bounded."""
    n = len(places)
    if n == 0:
        return 0.0, 0.0
    share = sum(not covered[i] for i in places) / n
    middle, reach = share + _Z**2 / (2 * n), _Z * sqrt(share * (1 - share) / n + _Z**2 / (4 * n * n))
    low, high = ((middle + sign * reach) / (1 + _Z**2 / n) for sign in (-1, 1))
    return max(0.0, min(low, _MOST_LEFT_OUT)), min(high, _MOST_LEFT_OUT)


def _apart(spots: Sequence[BlindSpot], where: Mapping[str, Sequence[int]], most: int) -> list[BlindSpot]:
    """Half of them pairs, which say more, half single words; of each the largest gain first.

    Of those of a kind that stand in much the same posts, one is enough.
    """
    taken: list[BlindSpot] = []
    for is_broad in (False, True):
        kind: list[BlindSpot] = []
        for spot in sorted(spots, key=lambda s: (-(s.low + s.high), -s.without, -len(s.term), s.term)):
            places = set(where[spot.term])
            if spot.is_broad is is_broad and not any(_is_same(places, set(where[other.term])) for other in kind):
                kind.append(spot)
        taken += kind[: most // 2]
    return taken


def _is_same(one: set[int], other: set[int]) -> bool:
    return len(one & other) >= _SAME * min(len(one), len(other))
