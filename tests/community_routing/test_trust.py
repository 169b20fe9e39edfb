"""Trust is earned by measured quality and lost again."""

from __future__ import annotations

import pytest

from community_routing.recognition import Deeds, badges, points
from community_routing.trust import LEVELS, Record, level_after, lower_bound, may_approve, needs_approval, quality
from earshot.errors import BadInput

GOOD = Record(judged=50, accepted=46, rated=40, helpful=38, reviewed=20, agreed=19)
POOR = Record(judged=50, accepted=15, rated=40, helpful=12, reviewed=20, agreed=8)


def test_newcomers_draft_and_mentors_approve() -> None:
    assert [needs_approval(level) for level in range(5)] == [True, True, False, False, False]
    assert [may_approve(level) for level in range(5)] == [False, False, False, True, True]


def test_good_answers_lift_her_one_level_at_a_time() -> None:
    assert [level_after(level, GOOD) for level in range(5)] == [1, 2, 3, 4, 4]


def test_poor_answers_cost_her_one_level_at_a_time() -> None:
    assert [level_after(level, POOR) for level in range(5)] == [0, 0, 1, 2, 3]


def test_three_lucky_answers_lift_nobody() -> None:
    assert level_after(0, Record(judged=3, accepted=3)) == 0


def test_quality_grows_with_evidence() -> None:
    assert quality(Record()) == 0 < lower_bound(3, 3) < lower_bound(50, 50) < 1


def test_a_level_is_kept_at_a_lower_quality_than_it_takes_to_reach_it() -> None:
    assert all(level.keeps < level.quality for level in LEVELS[1:])


def test_impossible_records_and_levels_are_refused() -> None:
    with pytest.raises(BadInput):
        Record(judged=3, accepted=4)
    with pytest.raises(BadInput):
        needs_approval(5)


def test_accepted_answers_earn_points_and_badges() -> None:
    deeds = Deeds(answers=30, accepted=25, languages=2)
    assert points(deeds) == 280
    assert [badge.name for badge in badges(deeds)] == ["first help", "good neighbour", "bridge"]
