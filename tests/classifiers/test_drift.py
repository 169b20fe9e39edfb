"""When posts stray from those of the first weeks, somebody is told; when it is chance, nobody is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from classifiers.drift import Seen, Strayed, Trend, trend

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def week(n: int, *, unsure: int = 200, angry: int = 100, judged: int = 0, agreed: int = 0, mentions: int = 1_000) -> Seen:
    labels = {"calm": mentions - angry, "angry": angry}
    return Seen(week=MONDAY + n * timedelta(days=7), mentions=mentions, unsure=unsure, labels=labels, judged=judged, agreed=agreed)


def after(last: Seen, *, first: Seen | None = None) -> Trend:
    return trend("anger", [*(first or week(n) for n in range(5)), last])


def test_weeks_that_are_like_the_first_ones_alarm_nobody() -> None:
    found = after(week(5, unsure=215, angry=110))
    assert found.strayed == ()
    assert found.first is not None
    assert found.first.unsure.value == 0.2
    assert found.first.unsure.low < 0.2 < found.first.unsure.high
    assert found.shift == pytest.approx(0.01)


def test_being_unsure_more_often_is_told() -> None:
    assert after(week(5, unsure=310)).strayed == (Strayed(what="unsure", now=0.31, before=0.2),)


def test_another_mix_of_labels_is_told_by_the_label_that_grew_most() -> None:
    found = after(week(5, angry=300))
    assert found.strayed == (Strayed(what="label", label="angry", now=0.3, before=0.1),)
    assert found.shift == pytest.approx(0.2)


def test_people_who_agree_less_are_told_of() -> None:
    found = after(week(5, judged=60, agreed=20), first=week(0, judged=60, agreed=48))
    assert found.strayed == (Strayed(what="agreement", now=20 / 60, before=48 / 60),)


def test_a_handful_of_posts_is_chance() -> None:
    assert after(week(5, unsure=4, angry=3, mentions=10)).strayed == ()
    assert after(week(5, judged=3, agreed=1), first=week(0, judged=60, agreed=48)).strayed == ()


def test_one_week_alone_has_nothing_to_be_compared_with() -> None:
    found = trend("anger", [week(0)])
    assert (found.first, found.strayed, found.shift) == (None, (), 0.0)
    assert found.now.mix == {"calm": 0.9, "angry": 0.1}


def test_of_nothing_the_share_is_unknown() -> None:
    found = trend("anger", [Seen(week=MONDAY)])
    assert (found.now.agreement.of, found.now.agreement.low, found.now.agreement.high) == (0, 0.0, 1.0)
    assert found.now.mix == {}
