"""The page of the saved queries, and the editor that tries one before it is saved."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from houses import keep, post
from sites import WORKER, Site
from starlette.testclient import TestClient

from earshot.pipeline import understand
from earshot.rooms import Rooms
from earshot.settings import Settings, SourceSettings
from earshot.storage.accounts import Role
from earshot.storage.queries import Draft
from earshot.web.pages import queries as page_of_queries
from escalation.policy import default_policy

HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>'
HTMX = {"HX-Request": "true"}
SOURCES = (
    SourceSettings(name="x", network="x", query="lumifern", account="lumifern", price_per_thousand=5, monthly_reads=10),
    SourceSettings(name="hn", network="hackernews", query="lumifern"),
    SourceSettings(name="news", network="feed", query="https://news.example/feed"),
)


@pytest.fixture(scope="module")
def rooms_of_the_brand() -> Rooms:
    from classifiers.brand import read_brand

    names = '["Lumifern", "@lumifern", "#lumifern", "Lumi Fern", "Lumifern Plus", "lumifern.example", "流萤蕨", "#流萤蕨"]'
    return Rooms(policy=default_policy(), brand=read_brand(f'name = "Lumifern"\nnames = {names}'), own_accounts=("lumifern",))


@pytest.fixture
def planning(site: Site, rooms_of_the_brand: Rooms) -> Site:
    site.rooms = rooms_of_the_brand
    site.settings = Settings(secret_key="s" * 40, sources=SOURCES)
    return site


@pytest.fixture
def boss(planning: Site) -> TestClient:
    return planning.signed_in(planning.boss)


def hear(site: Site, *texts: str, network: str = "x") -> None:
    site.posted += len(texts)
    posts = [
        post(str(site.posted - n), text, network=network, thread=str(site.posted - n), at=site.now - timedelta(hours=n))
        for n, text in enumerate(texts)
    ]
    keep(site.store, *posts, now=site.now)
    understand(site.store, site.rooms, worker=WORKER, now=site.now)


def tried(client: TestClient, text: str, **more: object) -> str:
    return html.unescape(client.post("/queries/check", data={"text": text, **more}, headers=HTMX).text)


def test_an_empty_page_says_how_to_begin(boss: TestClient) -> None:
    page = boss.get("/queries").text
    assert "No query is saved yet." in page
    assert 'href="/queries/new"' in page


def test_a_query_is_saved_and_stands_in_the_list_with_what_it_matches(planning: Site, boss: TestClient) -> None:
    form = {"name": "broken lamps", "text": "lamp broken", "source": ["x", "nowhere"], "urgent": "yes", "not_by": "troll\n@spammer, x"}
    assert boss.post("/queries", data=form).status_code == 303
    (query,) = planning.store.queries.all()
    assert (query.sources, query.urgent, query.not_by, query.changed_by) == (("x",), True, ("troll", "@spammer", "x"), "Boss")
    hear(planning, "my lamp is broken", "my lamp")
    page = boss.get("/queries").text
    for words in ("broken lamps", "urgent", "1 mention", "waiting cases", "1 on the busiest"):
        assert words in page


def test_marketers_plan_queries_and_are_not_led_into_the_queue(planning: Site, boss: TestClient) -> None:
    boss.post("/queries", data={"name": "lamps", "text": "lamp"})
    hear(planning, "my lamp")
    marketer = planning.signed_in(planning.account(Role.MARKETER))
    page = marketer.get("/queries").text
    assert "1 mention" in page
    assert "/queue" not in page


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"name": "", "text": "lamp"}, "needs a name"),
        ({"name": "x" * 61, "text": "lamp"}, "60 at most"),
        ({"name": "lamps", "text": "lamp AND ("}, "not closed"),
        ({"name": "lamps", "text": ""}, "the query is empty"),
        ({"name": "lamps", "text": "lamp", "not_by": "a\n" * 3 + "\n".join(map(str, range(201)))}, "200 at most"),
        ({"name": "lamps", "text": "lamp", "not_saying": "x" * 200}, "too long"),
    ],
)
def test_what_cannot_be_saved_is_said_and_nothing_written_is_lost(
    planning: Site, boss: TestClient, form: dict[str, str], words: str
) -> None:
    answer = boss.post("/queries", data=form)
    assert answer.status_code == 422
    page = html.unescape(answer.text)
    assert words.lower() in page.lower()
    assert form["text"] in page
    assert planning.store.queries.all() == []


def test_of_two_at_one_query_the_second_keeps_what_was_written(planning: Site, boss: TestClient) -> None:
    query_id = planning.store.queries.add(Draft(name="lamps", text="lamp"), by=None, now=planning.now)
    first = {"name": "lamps", "text": "lamp broken", "version": 1}
    assert boss.post(f"/queries/{query_id}", data=first).status_code == 303
    answer = boss.post(f"/queries/{query_id}", data=first | {"text": "lamp bust"})
    assert answer.status_code == 409
    assert "Boss changed this query" in answer.text
    assert "lamp bust" in answer.text
    assert [query.text for query in planning.store.queries.all()] == ["lamp broken"]


def test_a_deleted_query_comes_back_with_one_click(planning: Site, boss: TestClient) -> None:
    query_id = planning.store.queries.add(Draft(name="lamps", text="lamp"), by=None, now=planning.now)
    answer = boss.post(f"/queries/{query_id}/delete", headers=HTMX)
    assert answer.status_code == 204
    assert f"/queries/{query_id}/undo" in answer.headers["HX-Trigger"]
    assert boss.get(f"/queries/{query_id}").status_code == 404
    assert boss.post(f"/queries/{query_id}/undo", headers=HTMX).status_code == 204
    assert "lamps" in boss.get("/queries").text


def test_a_mistake_is_pointed_at(boss: TestClient) -> None:
    page = tried(boss, "lumifern AND AND lamp")
    assert "column 14: AND needs a word before it" in page
    assert "  lumifern AND AND lamp\n               ^" in page


def test_trying_shows_what_matches_what_nearly_does_and_how_much(planning: Site, boss: TestClient) -> None:
    hear(planning, "my lamp is broken", "my lamps are broken", "win a broken lamp, giveaway", *["a chair"] * 21, "broken lamp")
    page = tried(boss, "lamp broken -giveaway", source=["x", "hn", "news"])
    assert re.search(r"<b>8 %</b> of the last 25 posts, (?:under 1|\d+) to \d+ a day", page)
    assert "a slip away from lamp: lamps" not in page  # too short a word to be misspelt
    assert "which NOT leaves out" in page
    assert "lacks lamp" in page
    assert "lamp broken -giveaway -from:lumifern</code>" in page
    assert re.search(r"costs \d+\.\d\d to \d+\.\d\d a month", page)
    assert "may be more than the 10 posts a month" in page
    assert "It has no search" in page


def test_our_own_posts_and_what_is_left_out_do_not_count(planning: Site, boss: TestClient) -> None:
    hear(planning, "my lamp", "lamp giveaway", "a lamp")
    assert "<b>67 %</b>" in tried(boss, "lamp", not_saying="giveaway")
    assert "<b>0 %</b>" in tried(boss, "lamp", not_by="ana")


def test_what_a_network_cannot_be_asked_is_said_before_it_is_saved(boss: TestClient) -> None:
    assert "It cannot be asked there" in tried(boss, "lamp*", source="x")
    assert "Not asked there, but checked here" in tried(boss, "lumifern lamp* followers>1000", source="x")
    assert "searches" in tried(boss, "a1 OR a2 OR a3", source="hn")


def test_the_names_of_the_brand_come_with_their_misspellings(boss: TestClient) -> None:
    page = html.unescape(boss.post("/queries/check", data={"text": "broken", "add": "brand", "name": "lamps"}).text)
    assert '(~lumifern OR "lumi fern" OR 流萤蕨) (broken)</textarea>' in page
    assert 'value="lamps"' in page
    page = html.unescape(boss.post("/queries/check", data={"add": "brand"}).text)
    assert '>~lumifern OR "lumi fern" OR 流萤蕨</textarea>' in page


def test_without_a_script_a_query_is_tried_all_the_same(planning: Site, boss: TestClient) -> None:
    hear(planning, "my lamp")
    page = boss.post("/queries/check", data={"text": "lamp", "name": "n"}).text
    assert "<html" in page
    assert "my lamp" in page


def test_a_heavy_query_is_tried_on_as_much_as_time_allows(planning: Site, boss: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_of_queries, "SECONDS", 0.0)
    hear(planning, *(f"lamp {n}" for n in range(501)))
    assert "of the last 500 posts" in tried(boss, "lamp")


def test_hostile_words_stay_words(planning: Site, boss: TestClient) -> None:
    hear(planning, f"lamp {HOSTILE}")
    boss.post("/queries", data={"name": f"lamp {HOSTILE}"[:60], "text": "lamp", "not_saying": HOSTILE})
    (query,) = planning.store.queries.all()
    for answer in (
        boss.get("/queries"),
        boss.get(f"/queries/{query.id}"),
        boss.get("/queue"),
        boss.post("/queries/check", data={"text": f"lamp {HOSTILE}", "not_by": HOSTILE}),
        boss.get("/queries/new", params={"text": HOSTILE}),
    ):
        assert "<img" not in answer.text
        assert "<script>alert" not in answer.text


def test_the_queue_shows_the_cases_of_a_query_alone(planning: Site, boss: TestClient) -> None:
    planning.store.queries.add(Draft(name="hubs", text="hub"), by=None, now=planning.now)
    for text in ("How do I reset my lamp?", "How do I reset my hub?"):
        planning.for_community(text)
    (hubs,) = planning.store.queries.all()
    page = boss.get(f"/queue?query={hubs.id}").text
    assert "reset my hub" in page
    assert "reset my lamp" not in page
    assert re.search(r'aria-current="true">hubs', page)
    assert "No case fits these filters" in boss.get("/queue?query=999").text


def test_a_page_asks_as_much_of_the_database_for_many_queries_as_for_one(planning: Site, boss: TestClient) -> None:
    def asked() -> int:
        with planning.statements() as seen:
            boss.get("/queries")
        return len(seen)

    planning.store.queries.add(Draft(name="lamps", text="lamp"), by=None, now=planning.now)
    one = asked()
    for n in range(20):
        planning.store.queries.add(Draft(name=f"n{n}", text=f"lamp{n}"), by=None, now=planning.now)
    assert asked() == one
