"""A query tried on posts that came in: what it finds, what it just misses, how many a day, and what each network would be asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import sqrt

from earshot.errors import BadInput
from earshot.mention import ScoredMention
from earshot.settings import SourceSettings
from listener.asking import searches_for
from listener.query import DIALECTS, Matcher, NearMiss, Query, near_misses, unsearchable, widened

#: posts that are looked at before anybody asks whether it is enough
STEP = 500
#: near misses are looked for in so many of the latest posts
NEARLY = 1_000
#: an estimate needs so many posts, over so many days
LEAST_POSTS, LEAST_DAYS = 20, 1 / 24
#: a search that brings so many times what the query finds is called wide
WIDE = 3
_DAYS_OF_A_MONTH = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Where a number lies, at 95 %."""

    low: float
    high: float

    def times(self, factor: float) -> Range:
        return Range(low=self.low * factor, high=self.high * factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What one source would ask its network."""

    source: str
    network: str
    searches: tuple[str, ...] = ()  #: in the network's own words; none where it has no search
    left_out: tuple[str, ...] = ()  #: parts of the query that the network does not know: they are checked here
    problem: str = ""  #: why it cannot be asked
    is_wide: bool = False  #: it brings far more than the query finds
    brings: Range | None = None  #: posts a day; None where too little came in from there to tell
    cost: Range | None = None  #: of a month; None where nobody said a price
    budget: int | None = None  #: posts that the source may read in a month

    @property
    def is_beyond_budget(self) -> bool:
        return self.budget is not None and self.brings is not None and self.brings.high * _DAYS_OF_A_MONTH > self.budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    of: int  #: posts that were looked at, the latest ones
    days: float  #: over which they were posted
    found: tuple[int, ...]  #: places of those that match
    nearly: tuple[NearMiss, ...]  #: those that are a slip away first
    questions: tuple[Question, ...]

    @property
    def share(self) -> float:
        return len(self.found) / self.of if self.of else 0.0

    @property
    def per_day(self) -> Range | None:
        """How many posts a day match, of what comes in now; None where too little came in to tell."""
        return _per_day(len(self.found), self.of, self.days)


def try_out(
    query: Query, posts: Sequence[ScoredMention], sources: Sequence[SourceSettings], *, is_enough: Callable[[], bool], most: int = 5
) -> Trial:
    """Try `query` on `posts`, the latest first, until all were looked at or `is_enough` says so; and what `sources` would ask for."""
    matcher = Matcher({0: query})
    found: list[int] = []
    nearly: list[NearMiss] = []
    looked = 0
    while looked < len(posts) and not (looked and is_enough()):
        batch = posts[looked : looked + STEP]
        found += [looked + place for place, matched in enumerate(matcher.match(batch)) if matched]
        if looked < NEARLY:
            nearly += [replace(miss, post=looked + miss.post) for miss in near_misses(query, batch)]
        looked += len(batch)
    seen = posts[:looked]
    days = _days(seen)
    return Trial(
        of=looked,
        days=days,
        found=tuple(found),
        nearly=_telling(nearly, most),
        questions=tuple(_question(query, source, seen, found, days) for source in sources),
    )


def _telling(nearly: Sequence[NearMiss], most: int) -> tuple[NearMiss, ...]:
    """A slip away before all but one, and of each reason two at most."""
    seen = Counter[str]()
    told = []
    for miss in sorted(nearly, key=lambda miss: (not miss.slip, miss.post)):
        seen[miss.why] += 1
        if seen[miss.why] <= 2:
            told.append(miss)
    return tuple(told[:most])


def _question(query: Query, source: SourceSettings, posts: Sequence[ScoredMention], found: Sequence[int], days: float) -> Question:
    if source.network not in DIALECTS:
        return Question(source=source.name, network=source.network, budget=source.monthly_reads)
    try:
        searches, wide = searches_for(source, query), widened(query, source.network)
        if wide is None:
            raise BadInput(f"the query leaves {source.network} out with network:")
    except BadInput as err:
        return Question(source=source.name, network=source.network, problem=str(err))
    there = [post for post in posts if post.mention.network == source.network]
    fits = sum(posts[place].mention.network == source.network for place in found)
    comes = sum(map(bool, Matcher({0: wide}).match(there)))
    brings = _per_day(comes, len(there), days)
    price = source.price_per_thousand
    return Question(
        source=source.name,
        network=source.network,
        searches=tuple(searches),
        left_out=unsearchable(query, source.network),
        is_wide=comes >= 10 and comes > WIDE * fits,
        brings=brings,
        cost=None if price is None or brings is None else brings.times(_DAYS_OF_A_MONTH * price / 1_000),
        budget=source.monthly_reads,
    )


def _days(posts: Sequence[ScoredMention]) -> float:
    moments = [post.mention.posted_at for post in posts]
    return (max(moments) - min(moments)).total_seconds() / 86_400 if moments else 0.0


def _per_day(n: int, of: int, days: float) -> Range | None:
    """So many came of themselves: the square root of such a number strays by about a half, however large it is."""
    if of < LEAST_POSTS or days < LEAST_DAYS:
        return None
    return Range(low=max(0.0, sqrt(n) - 0.98) ** 2 / days, high=(sqrt(n + 1) + 0.98) ** 2 / days)
