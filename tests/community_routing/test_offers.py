"""Who is asked about which case, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from community_routing.match import OpenCase
from community_routing.offers import beyond_the_roster, make_offers
from community_routing.roster import Skill, SuperUser, free_posts, is_available
from earshot.case import Offer
from earshot.errors import BadInput

NOW = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
ANNA = SuperUser(account=1, name="Anna", languages=("en",), topics=("hub",))
CASE = OpenCase(id=1, lang="en", network="x", topics=("hub",), due_at=NOW + timedelta(hours=2))


def offers(cases: list[OpenCase], roster: list[SuperUser], now: datetime = NOW, seed: int = 0) -> list[Offer]:
    return make_offers(cases, roster, now=now, minutes=20, seed=seed)


def test_an_offer_says_why_she_is_asked_and_until_when() -> None:
    mei = SuperUser(account=2, name="Mei", languages=("zh",), topics=("hub",))
    [offer] = offers([replace(CASE, lang="zh")], [ANNA, mei])
    assert (offer.super_user, offer.reason) == (2, "knows hub, writes Chinese, 1 of 4 open")
    assert offer.expires_at == NOW + timedelta(minutes=20)


def test_an_offer_leaves_somebody_else_half_of_the_time_that_is_left() -> None:
    [offer] = offers([replace(CASE, due_at=NOW + timedelta(minutes=16))], [ANNA])
    assert offer.expires_at == NOW + timedelta(minutes=8)


def test_an_overdue_case_is_still_offered_for_the_full_time() -> None:
    [offer] = offers([replace(CASE, due_at=NOW - timedelta(hours=1))], [ANNA])
    assert offer.expires_at == NOW + timedelta(minutes=20)


@pytest.mark.parametrize(
    "case",
    [
        replace(CASE, lang="zh"),
        replace(CASE, lang="unsure"),
        replace(CASE, level=3),
        replace(CASE, excluded=frozenset({1})),
        replace(CASE, network="reddit"),
    ],
    ids=["other language", "no sure language", "higher level", "passed before", "other network"],
)
def test_nobody_is_asked_about_a_case_that_does_not_fit_her(case: OpenCase) -> None:
    anna = replace(ANNA, networks=("x",))
    assert offers([case], [anna]) == []
    assert beyond_the_roster([case], [anna]) == [case]


def test_a_case_that_waits_for_somebody_asleep_is_not_beyond_the_roster() -> None:
    asleep = replace(ANNA, quiet=(time(11), time(13)))
    assert offers([CASE], [asleep]) == []
    assert beyond_the_roster([CASE], [asleep]) == []
    assert beyond_the_roster([CASE], []) == [CASE]


def test_super_users_of_equal_skill_share_the_work_evenly() -> None:
    skills = (Skill(topic="hub", answered=200, accepted=180),)
    roster = [replace(ANNA, account=number, skills=skills) for number in range(10)]
    asked = Counter(offer.super_user for offer in offers([replace(CASE, id=number) for number in range(30)], roster))
    assert set(asked.values()) == {3}


def test_who_has_less_to_do_is_asked_first() -> None:
    roster = [replace(ANNA, account=1, open_now=3), replace(ANNA, account=2), replace(ANNA, account=3, hours_used=9.0)]
    assert {offer.super_user for offer in offers([replace(CASE, id=n) for n in range(20, 22)], roster)} == {2}


def test_who_was_asked_a_moment_ago_rests() -> None:
    roster = [replace(ANNA, account=1, offered_at=NOW), replace(ANNA, account=2, offered_at=NOW - timedelta(days=1))]
    asked = Counter(offer.super_user for number in range(50) for offer in offers([replace(CASE, id=number)], roster))
    assert asked[2] > 2 * asked[1]


def test_who_knows_a_topic_by_her_record_is_asked_more_often_than_who_only_says_so() -> None:
    proven = replace(ANNA, account=2, topics=(), skills=(Skill(topic="hub", answered=40, accepted=36),))
    asked = Counter(offer.super_user for number in range(100) for offer in offers([replace(CASE, id=number)], [ANNA, proven]))
    assert asked[2] > asked[1] > 0, "the newcomer gets chances, too"


def test_the_same_inputs_make_the_same_offers_and_another_seed_others() -> None:
    cases = [replace(CASE, id=number) for number in range(40)]
    roster = [replace(ANNA, account=number) for number in range(40)]
    assert offers(cases, roster) == offers(cases, roster)
    assert offers(cases, roster, seed=1) != offers(cases, roster)


def test_the_most_pressing_case_wins_the_only_free_hand() -> None:
    late = replace(CASE, id=2, priority=0.9)
    assert [offer.case_id for offer in offers([CASE, late], [replace(ANNA, open_posts=1)])] == [2]


def test_limits_hold_whatever_the_flood() -> None:
    roster = [replace(ANNA, account=number, open_now=number % 3, open_posts=3) for number in range(12)]
    asked = Counter(offer.super_user for offer in offers([replace(CASE, id=number) for number in range(500)], roster))
    assert all(asked[each.account] == free_posts(each, now=NOW) for each in roster)


def test_nothing_to_offer_or_nobody_to_ask_makes_no_offers() -> None:
    assert offers([], [ANNA]) == offers([CASE], []) == offers([CASE], [replace(ANNA, away=True)]) == []


@pytest.mark.parametrize(("clock", "free"), [("21:59", True), ("22:00", False), ("03:00", False), ("07:00", True)])
def test_quiet_hours_run_over_midnight_on_her_own_clock(clock: str, free: bool) -> None:
    anna = replace(ANNA, quiet=(time(22), time(7)), zone="Asia/Shanghai")
    assert is_available(anna, now=datetime.fromisoformat(f"2026-11-03T{clock}:00+08:00")) is free


def test_who_has_done_her_hours_is_free_next_week() -> None:
    assert not is_available(replace(ANNA, hours_used=10.0), now=NOW)


@pytest.mark.parametrize("wrong", [{"trust": 5}, {"open_posts": -1}, {"zone": "Mars/Olympus"}])
def test_a_wrong_roster_entry_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        replace(ANNA, **wrong)
