"""How likely each super-user would help with each case, and what one more case would cost her.

The chance is a smoothed share of accepted answers per topic, moved by a draw whose width is our ignorance: newcomers get chances. The
draw hangs on case, account and seed alone, so that the same inputs replay to the same offers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from community_routing.roster import SuperUser, free_posts

Floats = NDArray[np.float32]

PRIOR = 4.0  #: answers that the first guess is worth
DECLARED, UNDECLARED = 0.55, 0.2  #: first guess for a topic she named, and for one she did not
EXPLORE = 1.0  #: how far a draw strays, in standard deviations
TIE = 0.02  #: a draw's least width; keeps like cases from being fought over one by one
SERVED = 0.75  #: any offer is better than none; no cost outweighs it
FATIGUE = 0.4  #: what a full load costs, beside a chance of 0..1: fairness counts about as much as skill
RESTED = timedelta(hours=2)  #: an offer longer ago than this no longer tires


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCase:
    """What matching needs to know of a case that waits for the community."""

    id: int
    lang: str
    network: str
    topics: tuple[str, ...] = ()
    due_at: datetime | None = None
    priority: float = 0.0  #: 0..1
    level: int = 0  #: least trust level
    excluded: frozenset[int] = frozenset()  #: accounts that passed it or let it expire


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Rows are super-users, columns are cases."""

    gain: Floats  #: (super-users, cases); 0 where she may not have it
    cost: Floats  #: (super-users, most free posts); what the next, second … case costs, rising; inf where she has no room


def match(cases: Sequence[OpenCase], roster: Sequence[SuperUser], *, now: datetime, seed: int = 0) -> Match:
    """Weigh every case against every super-user. Cases in a language that nobody is sure of match nobody."""
    chance = _chance(cases, roster, seed)
    worth = 0.5 + 0.5 * np.clip(np.array([case.priority for case in cases], np.float32), 0, 1)
    gain = np.where(allowed(cases, roster), SERVED + chance * worth, np.float32(0))
    return Match(gain=gain.astype(np.float32, copy=False), cost=_cost(roster, now))


def allowed(cases: Sequence[OpenCase], roster: Sequence[SuperUser]) -> NDArray[np.bool_]:
    """(super-users, cases): language, network and level fit, and she has not passed it before."""
    langs = _one_of([each.languages for each in roster], [case.lang for case in cases])
    networks = _one_of([each.networks or None for each in roster], [case.network for case in cases])
    trust, level = np.array([each.trust for each in roster]), np.array([case.level for case in cases])
    fits: NDArray[np.bool_] = langs & networks & (trust[:, None] >= level[None, :])
    fits &= np.array([case.lang != "unsure" for case in cases], bool)[None, :]
    row = {each.account: index for index, each in enumerate(roster)}
    passed = [(row[account], column) for column, case in enumerate(cases) for account in case.excluded if account in row]
    if passed:
        fits[tuple(np.array(passed).T)] = False
    return fits


def _one_of(offered: Sequence[Sequence[str] | None], asked: Sequence[str]) -> NDArray[np.bool_]:
    """(offered, asked): is what is asked among what is offered? None offers everything."""
    names = {name: index for index, name in enumerate(dict.fromkeys(asked))}
    table = np.zeros((len(offered), len(names)), bool)
    for row, several in enumerate(offered):
        table[row, slice(None) if several is None else [names[name] for name in several if name in names]] = True
    return table[:, [names[name] for name in asked]]


def _chance(cases: Sequence[OpenCase], roster: Sequence[SuperUser], seed: int) -> Floats:
    """(super-users, cases), 0..1."""
    topics = {name: index for index, name in enumerate(dict.fromkeys(topic for case in cases for topic in case.topics))}
    mean, spread = _skill_table(roster, topics)
    shares = _topic_shares(cases, topics)
    likely: Floats = (shares @ mean.T).T
    width = np.maximum((shares @ spread.T).T * np.float32(EXPLORE), np.float32(TIE))
    width *= _draws([each.account for each in roster], [case.id for case in cases], seed)
    chance: Floats = np.clip(likely + width, np.float32(0.01), np.float32(1))
    return chance


def _skill_table(roster: Sequence[SuperUser], topics: dict[str, int]) -> tuple[Floats, Floats]:
    """Mean and standard deviation of helping, (super-users, topics + 1); the last column is for cases without a topic."""
    right, all_ = np.zeros((2, len(roster), len(topics) + 1), np.float32)
    guess = np.full_like(right, UNDECLARED)
    guess[:, -1] = (DECLARED + UNDECLARED) / 2
    for row, each in enumerate(roster):
        guess[row, [topics[topic] for topic in each.topics if topic in topics]] = DECLARED
        for skill in each.skills:
            columns = [topics[skill.topic], -1] if skill.topic in topics else [-1]
            right[row, columns] += skill.accepted
            all_[row, columns] += skill.answered
    mean = (right + PRIOR * guess) / (all_ + PRIOR)
    return mean, np.sqrt(mean * (1 - mean) / (all_ + PRIOR + 1))


def _topic_shares(cases: Sequence[OpenCase], topics: dict[str, int]) -> csr_array:
    """(cases, topics + 1): each case spread evenly over its topics, or whole in the last column where it has none."""
    columns = [sorted({topics[topic] for topic in case.topics}) or [len(topics)] for case in cases]
    ends = np.cumsum([0, *map(len, columns)])
    data = np.concatenate([np.full(len(each), 1 / len(each), np.float32) for each in columns]) if columns else np.zeros(0, np.float32)
    return csr_array((data, [index for each in columns for index in each], ends), shape=(len(cases), len(topics) + 1))


def _draws(accounts: Sequence[int], ids: Sequence[int], seed: int) -> Floats:
    """(accounts, ids): numbers of mean 0 and variance 1 that hang on account, id and seed alone."""
    left = _scramble(np.array(accounts, np.int64).astype(np.uint64) + np.uint64(seed % 2**32 << 32))
    right = _scramble(np.array(ids, np.int64).astype(np.uint64))
    mixed = (left[:, None] ^ right[None, :]) * np.uint32(0x9E3779B1)
    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(0x85EBCA77)
    return (mixed >> np.uint32(8)).astype(np.float32) * np.float32(3**0.5 * 2 / 2**24) - np.float32(3**0.5)


def _scramble(numbers: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, 2014), upper half."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (mixed >> np.uint64(32)).astype(np.uint32)


def _cost(roster: Sequence[SuperUser], now: datetime) -> Floats:
    free = [free_posts(each, now=now) for each in roster]
    cost = np.full((len(roster), max(free, default=0)), np.inf, np.float32)
    for row, (each, room) in enumerate(zip(roster, free, strict=True)):
        cost[row, :room] = FATIGUE * (_tiredness(each, now) + (each.open_now + np.arange(room)) / max(1, each.open_posts))
    return cost


def _tiredness(super_user: SuperUser, now: datetime) -> float:
    """0..0.75: half the share of her hours that is used up, and a quarter more when she was asked a moment ago."""
    week = 0.5 * super_user.hours_used / super_user.hours_per_week if super_user.hours_per_week else 0.5
    if super_user.offered_at is None:
        return week
    rest = max(now - super_user.offered_at, timedelta(0)) / RESTED
    return week + 0.25 * max(0.0, 1.0 - rest)
