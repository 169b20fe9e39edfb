"""The assignment is fair, keeps every limit, and comes close to the optimum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from community_routing.assign import assign, total
from community_routing.match import Match


def a_match(cases: int, super_users: int, places: int, seed: int) -> Match:
    rng = np.random.default_rng(seed)
    gain = rng.random((super_users, cases)).astype(np.float32)
    gain[rng.random(gain.shape) < 0.3] = 0
    cost = np.tile(0.2 * np.arange(places, dtype=np.float32) / max(1, places), (super_users, 1))
    for row, room in enumerate(rng.integers(0, places + 1, super_users)):
        cost[row, room:] = np.inf
    return Match(gain=gain, cost=cost)


def optimum(match: Match) -> float:
    rows, places = np.nonzero(np.isfinite(match.cost))
    value = np.maximum(match.gain[rows] - match.cost[rows, places][:, None], 0)
    return float(value[linear_sum_assignment(value, maximize=True)].sum())


@pytest.mark.parametrize(("cases", "super_users", "places"), [(400, 40, 4), (60, 40, 4), (160, 40, 4), (300, 100, 1), (30, 5, 10)])
def test_it_reaches_98_percent_of_the_optimum(cases: int, super_users: int, places: int) -> None:
    match = a_match(cases, super_users, places, seed=cases)
    assert total(match, assign(match)) >= 0.98 * optimum(match)


@example(cases=2, super_users=4, places=2, seed=4)  # her first case is worth to her only what it adds to her second
@settings(max_examples=60)
@given(cases=st.integers(0, 30), super_users=st.integers(0, 12), places=st.integers(0, 5), seed=st.integers(0, 10_000))
def test_nobody_gets_more_than_she_has_room_for_or_what_she_may_not_have(cases: int, super_users: int, places: int, seed: int) -> None:
    match = a_match(cases, super_users, places, seed)
    owner = assign(match)
    assert owner.shape == (cases,)
    held = np.flatnonzero(owner >= 0)
    assert (match.gain[owner[held], held] > 0).all()
    assert (np.bincount(owner[held], minlength=super_users) <= np.isfinite(match.cost).sum(axis=1)).all()
    assert total(match, owner) >= optimum(match) - 0.02 * cases - 1e-3


def test_the_same_match_is_assigned_the_same_way() -> None:
    match = a_match(200, 30, 4, seed=7)
    assert assign(match).tolist() == assign(match).tolist()


def test_a_large_crowd_of_likes_ends() -> None:
    match = Match(gain=np.ones((50, 400), np.float32), cost=np.tile(np.array([[0, 0.1]], np.float32), (50, 1)))
    assert np.bincount(assign(match)[assign(match) >= 0]).tolist() == [2] * 50
