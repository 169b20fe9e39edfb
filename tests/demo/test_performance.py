"""A short playing over real networks, real pages and a real database: people post, people answer, and it stands there once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from earshot.case import State
from earshot.demo.agenda import Agenda, Clock
from earshot.demo.performance import Performance
from earshot.demo.playing import guests_of
from earshot.demo.result import Result, result_of
from earshot.demo.stage import set_stage
from earshot.demo.story import Story, read_story
from earshot.errors import ConfigurationError
from earshot.scheduler import utc_now

BEGAN = datetime(2026, 3, 2, tzinfo=UTC)
UPTO = timedelta(hours=22)


def a_day() -> Story:
    story = read_story()
    return replace(story, happenings=tuple(h for h in story.happenings if h.at < timedelta(hours=19)))


@contextmanager
def playing(*, upto: timedelta = UPTO, began: datetime = BEGAN) -> Iterator[Performance]:
    with (
        set_stage(a_day(), Clock(began)) as stage,
        closing(Performance(stage, began=began, upto=upto, seed=7, left=timedelta(0))) as performance,
    ):
        yield performance


@pytest.fixture(scope="module")
def played() -> Iterator[Performance]:
    with playing() as performance:
        performance.catch_up()
        yield performance


@pytest.fixture(scope="module")
def result(played: Performance) -> Result:
    return result_of(played)


def test_every_post_is_heard_once(played: Performance, result: Result) -> None:
    assert result.posted >= len(played.played) > 60
    assert (result.lost, result.invented) == (0, 0)


def test_replies_stand_on_the_networks_exactly_once(result: Result) -> None:
    assert result.replies >= 20
    assert result.doubled == 0


def test_super_users_and_staff_answer_and_askers_say_what_came_of_it(played: Performance, result: Result) -> None:
    assert result.offers["accepted"] >= 5
    assert result.solved >= 3
    verdicts = [post for network in ("x", "reddit") for post in played.stage.world.posts(network) if post.via_http]
    assert {post.author for post in verdicts} > {"lumifern"}


def test_no_angry_post_reaches_super_users_without_a_look(result: Result) -> None:
    assert result.angry_to_community == 0


def test_the_result_is_sane_and_says_so_in_a_table(result: Result) -> None:
    result.check(least_solved=3)
    assert dict(result.rows())["mentions stored"].endswith("(lost 0, invented 0)")


def test_the_same_seed_plays_the_same(played: Performance) -> None:
    with playing(upto=timedelta(hours=11)) as again:
        again.catch_up()
        end = BEGAN + timedelta(hours=11)
        second = [(r.network, r.parent, r.text, r.at) for r in again.stage.world.replies()]
    first = [(r.network, r.parent, r.text, r.at) for r in played.stage.world.replies() if r.at <= end]
    assert second
    assert [r for r in first if r[3] < end] == [r for r in second if r[3] < end]


def test_what_is_kept_comes_live_and_is_heard() -> None:
    upto = timedelta(hours=7)
    with playing(upto=upto, began=utc_now() - upto) as performance:
        performance.kept = performance.kept[:3]
        performance.catch_up()
        stop, store, known = threading.Event(), performance.stage.store, len(performance.played)

        def heard() -> int:
            return sum(store.mentions.counts().values())

        def look() -> None:
            performance.agenda.after(1, stop.set if heard() >= known + 3 else look)

        performance.agenda.note(performance.stage.clock(), look)
        timer = threading.Timer(60, stop.set)
        timer.start()
        performance.go_on(stop, gap=(0.05, 0.1))
        timer.cancel()
        assert heard() >= known + 3 > 3


def test_drafts_in_both_languages_wait_for_the_visitor() -> None:
    story, upto = read_story(), timedelta(hours=2)
    easy = {
        lang: [h for h in story.written if h.lang == lang and h.answer and h.network == "x" and not h.reply_to] for lang in ("en", "zh")
    }
    asked = [replace(h, at=timedelta(minutes=75)) for several in easy.values() for h in several[:5]]
    with (
        set_stage(replace(story, happenings=tuple(asked)), Clock(BEGAN)) as stage,
        closing(Performance(stage, began=BEGAN, upto=upto, seed=7, left=timedelta(hours=1))) as performance,
    ):
        performance.catch_up()
        waiting = Counter(item.case.lang for item in stage.store.cases.queue(states=(State.APPROVAL,)).items)
        assert min(waiting["en"], waiting["zh"]) >= 2
        guests = dict(guests_of(stage))
        [mentor] = [account for what, account in guests.items() if what.startswith("trusted super-user")]
        assert stage.may_approve(mentor)
        seen = stage.store.drafts.waiting(approver=mentor.id, languages=mentor.languages)
        assert {draft.case.lang for draft in seen} == {"en", "zh"}


def test_a_database_in_use_is_refused(played: Performance) -> None:
    url = played.stage.settings.database_url
    with pytest.raises(ConfigurationError, match="needs an empty database"), set_stage(a_day(), Clock(BEGAN), database_url=url):
        pass


def test_a_port_that_is_taken_is_named_with_the_remedy(played: Performance) -> None:
    taken = played.stage.settings.port
    with pytest.raises(ConfigurationError, match=f"port {taken} is taken"), set_stage(a_day(), Clock(BEGAN), port=taken):
        pass


def test_an_agenda_is_kept_in_the_order_of_time_and_the_clock_goes_along() -> None:
    clock = Clock(BEGAN)
    agenda, seen = Agenda(clock), []
    for minutes in (30, 10, 20):
        agenda.note(BEGAN + timedelta(minutes=minutes), lambda minutes=minutes: seen.append((minutes, clock())))
    agenda.play(BEGAN + timedelta(minutes=25))
    assert seen == [(m, BEGAN + timedelta(minutes=m)) for m in (10, 20)]
    assert clock() == BEGAN + timedelta(minutes=25)


def test_states_of_the_day_are_all_there_for_a_visitor(result: Result) -> None:
    assert {State.CLOSED, State.ANSWERED, State.SOLVED} <= {state for state, _ in result.cases}
