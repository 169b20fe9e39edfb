"""How the models do: the page of managers, and the same for Prometheus."""

from __future__ import annotations

from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sites import HOST, Site
from starlette.testclient import TestClient

from earshot.settings import Settings
from earshot.storage.accounts import Role
from earshot.web import words
from earshot.web.app import create_app


@pytest.fixture
def boss(site: Site) -> TestClient:
    return site.signed_in(site.boss)


def numbers(text: str) -> dict[tuple[str, str], float]:
    """(name, values of its labels in the order of their names) -> number."""
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {(sample.name, " ".join(sample.labels.values())): sample.value for sample in samples}


def after_two_weeks(site: Site) -> TestClient:
    """Posts of two weeks, and a manager who is signed in at their end."""
    for text in ("How do I reset my lamp?", "I love my lamp, thank you!"):
        site.hear(text)
    site.now += timedelta(days=7)
    site.hear("My hub is broken and I am FURIOUS, you liars!")
    return site.signed_in(site.boss)


def test_with_nothing_heard_there_is_nothing_to_compare(boss: TestClient) -> None:
    assert "Nothing to compare yet." in boss.get("/models").text


def test_one_week_is_shown_without_a_comparison(site: Site, boss: TestClient) -> None:
    site.hear("How do I reset my lamp?")
    page = boss.get("/models").text
    assert "There is one week so far." in page
    assert "One week so far:" in page


def test_each_question_has_its_weeks_as_a_picture_and_as_a_table(site: Site) -> None:
    boss = after_two_weeks(site)
    page = boss.get("/models").text
    for card in page.split('id="of-')[1:]:
        assert '<th scope="row">' in card.partition("<details")[0], card[:40]
    assert [card.partition('"')[0] for card in page.split('id="of-')[1:]] == list(words.LABELS)
    assert page.count('<svg viewBox="0 0 250 92"') == len(words.LABELS)
    assert '<th scope="row">02 Mar 2026</th>' in page
    assert "Nothing strayed" in page


def test_what_people_say_in_lessons_counts_as_agreement(site: Site) -> None:
    boss = after_two_weeks(site)
    boss.get("/teach")
    lesson = next(lesson for lesson in site.store.lessons.of_day(site.now.date()) if lesson.is_open)
    ours = lesson.scored.score("anger")
    assert ours is not None
    other = "calm" if ours.label != "calm" else "angry"
    boss.post(f"/teach/{lesson.mention_id}", data={"question": "anger", "now_is": other})
    found = numbers(boss.get("/metrics").text)
    assert found["earshot_labels_given", "anger"] == 1
    assert found["earshot_agreement_ratio", "value anger"] == 0
    assert 0.7 < found["earshot_agreement_ratio", "high anger"] < 0.9
    assert "of 1 label this week" in boss.get("/models").text


def test_metrics_say_what_the_page_says(site: Site) -> None:
    boss = after_two_weeks(site)
    answer = boss.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = numbers(answer.text)
    assert found["earshot_mentions_looked_at", "sentiment"] == 1
    assert sum(value for (name, labels), value in found.items() if name == "earshot_label_ratio" and labels.endswith(" sentiment")) == 1
    assert found["earshot_drift", "sentiment"] in (0, 1)
    assert sum(value for (name, _), value in found.items() if name == "earshot_cases_waiting") >= 1


def test_metrics_open_to_managers_and_to_the_token_alone(site: Site) -> None:
    opened = create_app(site.store, site.rooms, Settings(secret_key="s" * 40, metrics_token="t0ken"), lambda: site.now)
    scraper = TestClient(opened, base_url=HOST, follow_redirects=False)
    assert scraper.get("/metrics", headers={"authorization": "Bearer t0ken"}).status_code == 200
    assert scraper.get("/queue", headers={"authorization": "Bearer t0ken"}).status_code == 303
    for wrong in ("", "Bearer ", "Bearer t0ke", "t0ken", "Bearer tökén"):
        refused = scraper.get("/metrics", headers={"authorization": wrong.encode()})
        assert refused.status_code == 401
        assert not refused.text.startswith("<")
    assert site.visitor().get("/metrics", headers={"authorization": "Bearer "}).status_code == 401
    assert site.signed_in(site.account(Role.STAFF)).get("/metrics").status_code == 404


def test_the_pages_take_few_statements(site: Site) -> None:
    boss = after_two_weeks(site)
    boss.get("/models")
    with site.statements() as seen:
        boss.get("/models")
    assert len([statement for statement in seen if "tally" in statement or "label" in statement]) <= 3
