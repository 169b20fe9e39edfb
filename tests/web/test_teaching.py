"""Teaching: the posts of the day, and corrections on the case page."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sites import Site
from starlette.testclient import TestClient

from earshot.case import Move
from earshot.storage.accounts import Role
from earshot.storage.labels import Kind
from earshot.storage.lessons import Lesson

POSTS = (
    "How do I reset my lamp?",
    "The hub is dead since the update and I want it fixed",
    "Well that was something, thanks I suppose",
    "Cancel my plan, please",
)
ANSWERS = {"intent": "question", "needs": "common", "anger": "calm", "asks": "yes"}


@pytest.fixture
def boss(site: Site) -> TestClient:
    return site.signed_in(site.boss)


def lessons(site: Site) -> list[Lesson]:
    return site.store.lessons.of_day(site.now.date())


def answer(site: Site, client: TestClient, mention_id: int, **answers: str) -> None:
    for question, label in answers.items():
        site.now += timedelta(seconds=1)
        assert client.post(f"/teach/{mention_id}", data={"question": question, "now_is": label}).status_code == 303


def test_with_nothing_heard_there_is_nothing_to_teach(boss: TestClient) -> None:
    assert "Nothing to teach yet." in boss.get("/teach").text


def test_one_post_is_asked_about_at_a_time_until_all_of_the_day_are_done(site: Site, boss: TestClient) -> None:
    for text in POSTS:
        site.hear(text)
    page = boss.get("/teach").text
    chosen = lessons(site)
    assert "0 of 4 today" in page
    assert [lesson.scored.mention.text in page for lesson in chosen] == [True, False, False, False]
    answer(site, boss, chosen[0].mention_id, **ANSWERS)
    page = boss.get("/teach").text
    assert "1 of 4 today" in page
    assert chosen[1].scored.mention.text in page
    for lesson in chosen[1:]:
        answer(site, boss, lesson.mention_id, **ANSWERS)
    assert "That is all for today." in boss.get("/teach").text
    assert {t.question for t in site.store.labels.taught()} == set(ANSWERS)
    assert len(site.store.labels.taught()) == 16


def test_what_we_think_of_a_post_is_not_shown_before_the_answer(site: Site, boss: TestClient) -> None:
    site.hear(POSTS[0])
    page = boss.get("/teach").text
    assert 'aria-pressed="true"' not in page
    assert "we thought" not in page
    [lesson] = lessons(site)
    answer(site, boss, lesson.mention_id, **(ANSWERS | {"intent": "spam"}))
    assert "(we thought question)" in boss.get("/teach").text
    assert {t.kind for t in site.store.labels.taught() if t.question == "intent"} == {Kind.CORRECTION}


def test_a_skipped_post_makes_room_and_comes_back_with_undo(site: Site, boss: TestClient) -> None:
    site.hear(POSTS[0])
    boss.get("/teach")
    [lesson] = lessons(site)
    told = boss.post(f"/teach/{lesson.mention_id}/skip", headers={"HX-Request": "true"})
    assert told.status_code == 204
    assert f"/teach/{lesson.mention_id}/undo" in told.headers["hx-trigger"]
    assert "Skipped by Boss" in boss.get("/teach").text
    boss.post(f"/teach/{lesson.mention_id}/undo")
    assert "0 of 1 today" in boss.get("/teach").text


def test_an_answer_can_be_taken_back_and_then_there_is_nothing_left_to_take(site: Site, boss: TestClient) -> None:
    site.hear(POSTS[0])
    boss.get("/teach")
    [lesson] = lessons(site)
    answer(site, boss, lesson.mention_id, intent="question")
    boss.post(f"/teach/{lesson.mention_id}/undo")
    assert lessons(site)[0].said == {}
    assert boss.post(f"/teach/{lesson.mention_id}/undo").status_code == 409


@pytest.mark.parametrize("data", [{"question": "sentiment", "now_is": "negative"}, {"question": "anger", "now_is": "purple"}])
def test_an_answer_that_does_not_exist_is_refused(site: Site, boss: TestClient, data: dict[str, str]) -> None:
    site.hear(POSTS[0])
    boss.get("/teach")
    assert boss.post(f"/teach/{lessons(site)[0].mention_id}", data=data).status_code == 422


def test_a_post_that_is_none_of_todays_cannot_be_taught_here(site: Site, boss: TestClient) -> None:
    site.hear(POSTS[0])
    assert boss.post("/teach/1", data={"question": "anger", "now_is": "calm"}).status_code == 409
    assert boss.post("/teach/1/skip").status_code == 409


def test_two_people_share_the_posts_of_the_day(site: Site, boss: TestClient) -> None:
    site.hear(POSTS[0])
    sam = site.signed_in(site.account(Role.STAFF, "Sam"))
    boss.get("/teach")
    [lesson] = lessons(site)
    answer(site, boss, lesson.mention_id, intent="question", needs="common")
    answer(site, sam, lesson.mention_id, anger="calm", asks="yes")
    assert "1 of 1 today" in boss.get("/teach").text
    assert "· Sam" in boss.get("/teach").text


def test_a_hostile_post_is_harmless_here_too(site: Site, boss: TestClient) -> None:
    site.hear('How do I reset my lamp? It blinks red since the update and I need it tonight. "><img src=x onerror=alert(1)> \u202etxt')
    page = boss.get("/teach").text
    assert "How do I reset my lamp?" in page
    assert "<img" not in page
    assert "\u202e" not in page


def test_the_page_takes_few_statements(site: Site, boss: TestClient) -> None:
    for text in POSTS:
        site.hear(text)
    boss.get("/teach")
    with site.statements() as seen:
        boss.get("/teach")
    assert len(seen) <= 6


def test_a_correction_on_the_case_page_stands_in_the_history_and_can_be_taken_back(site: Site, boss: TestClient) -> None:
    case_id = site.hear(POSTS[0])
    page = site.store.cases.page(case_id)
    assert page is not None
    mention = page.posts[0].id
    told = boss.post(f"/cases/{case_id}/label", data={"mention": str(mention), "question": "anger", "now_is": "angry"})
    shown = boss.get(told.headers["location"]).text
    assert f'action="/cases/{case_id}/label/{mention}/undo"' in shown
    assert "<b>Boss</b> corrected a score: " in re.sub(r"\s+", " ", shown)
    boss.post(f"/cases/{case_id}/label/{mention}/undo")
    assert 'class="corrected"' not in boss.get(f"/cases/{case_id}").text
    assert [e.move for e in site.store.cases.events(case_id)][-2:] == [Move.LABEL, Move.UNLABEL]
