"""The review queue."""

from __future__ import annotations

import html
import json
import re
from datetime import timedelta

import pytest
from houses import keep, person, post
from sites import WORKER, Site
from starlette.testclient import TestClient

from earshot.case import State, Tier
from earshot.mention import Author
from earshot.pipeline import understand
from earshot.storage.accounts import Role
from earshot.web.site import SITE

HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script><svg onload=alert(3)>'


@pytest.fixture
def boss(site: Site) -> TestClient:
    return site.signed_in(site.boss)


def _rows(page: str) -> list[int]:
    return [int(found) for found in re.findall(r'data-case="(\d+)"', page)]


def test_an_empty_queue_says_so(boss: TestClient) -> None:
    assert "Nothing waits here." in boss.get("/queue").text


def test_the_most_pressing_case_stands_first_and_says_why(site: Site, boss: TestClient) -> None:
    calm = site.for_community("How do I reset my lamp?")
    furious = site.hear("I am FURIOUS, you are liars and scammers!! Give me my money back right now or I call my lawyer!")
    page = boss.get("/queue").text
    assert _rows(page) == [furious, calm]
    assert "angry" in page
    assert "Why it stands here" in page


def test_filters_are_links_with_counts(site: Site, boss: TestClient) -> None:
    community = site.for_community()
    site.store.moves.retier(site.for_community("Which app do I need?"), tier=Tier.TIER_2, by=site.boss.id, now=site.now, due_at=None)
    assert _rows(boss.get("/queue?tier=community").text) == [community]
    page = boss.get("/queue?tier=community&state=queued").text
    assert re.search(r'href="/queue\?state=queued"[^>]*aria-current="true"[^>]*>community <span class="count">1', page)
    assert _rows(boss.get("/queue?state=assigned").text) == []
    assert _rows(boss.get("/queue?mine=yes").text) == []
    assert "No case fits these filters" in boss.get("/queue?network=reddit").text


def test_the_numbers_of_the_first_page_lead_to_what_they_count(site: Site, boss: TestClient) -> None:
    late, easy, proposed = site.for_community(), site.for_community("Which app do I need?"), site.hear("Bonjour, ma lampe est en panne")
    site.store.moves.retier(late, tier=Tier.TIER_2, by=site.boss.id, now=site.now, due_at=site.now - timedelta(minutes=90))
    found = re.findall(r'href="(/queue[^"]*)"><b>(\d+)</b><span>([^<]*)', boss.get("/").text)
    numbers = {name: (int(number), _rows(boss.get(html.unescape(href)).text)) for href, number, name in found}
    assert all(number == len(rows) for number, rows in numbers.values())
    assert {name: set(rows) for name, (_, rows) in numbers.items() if name in ("overdue", "for review", "community", "tier 2")} == {
        "overdue": {late}, "for review": {proposed}, "community": {easy}, "tier 2": {late},
    }  # fmt: skip


def test_why_it_stands_there_knows_the_time(site: Site, boss: TestClient) -> None:
    site.for_community()
    site.now += timedelta(hours=5)
    assert re.search(r"time</th><td>3 h late</td>", boss.get("/queue").text)


@pytest.mark.parametrize("query", ["tier=nonsense&state=%00", "network=" + "x" * 500, "page=100000", "state=review" * 3])
def test_odd_filters_do_no_harm(boss: TestClient, query: str) -> None:
    assert boss.get(f"/queue?{query}").status_code == 200


def test_htmx_gets_the_list_alone(site: Site, boss: TestClient) -> None:
    site.for_community()
    assert "<html" not in boss.get("/queue", headers={"HX-Request": "true"}).text


def test_a_step_from_the_queue_answers_with_the_way_back(site: Site, boss: TestClient) -> None:
    case_id = site.for_community()
    answer = boss.post(f"/cases/{case_id}/escalate", headers={"HX-Request": "true"})
    told = json.loads(answer.headers["HX-Trigger"])
    assert answer.status_code == 204
    assert told["notice"] == {"words": "Sent to tier 1.", "kind": "done", "undo": f"/cases/{case_id}/undo"}
    assert site.store.cases.get(case_id).tier is Tier.TIER_1
    boss.post(told["notice"]["undo"], headers={"HX-Request": "true"})
    assert site.store.cases.get(case_id).tier is Tier.COMMUNITY


def test_the_second_of_two_who_confirm_is_told(site: Site, boss: TestClient) -> None:
    case_id = site.for_community()
    answer = boss.post(f"/cases/{case_id}/agree", headers={"HX-Request": "true"})
    assert answer.status_code == 409
    assert "not in review any more" in answer.text


def test_a_confirmed_proposal_goes_to_its_tier(site: Site, boss: TestClient) -> None:
    case_id = site.hear("Bonjour, ma lampe ne marche plus du tout, que faire ?")
    assert site.store.cases.get(case_id).state is State.REVIEW
    boss.post(f"/cases/{case_id}/agree")
    assert site.store.cases.get(case_id).state is State.QUEUED


def test_hostile_names_and_texts_are_inert(site: Site, boss: TestClient) -> None:
    author = Author(network="x", native_id="evil", handle=HOSTILE, name=f"\u202e{HOSTILE}\u200b", bio=HOSTILE, url="javascript:alert(1)")
    case_id = site.hear(f"{HOSTILE} my hub broke, how do I fix it? javascript:alert(4)", by=author, url="javascript:alert(5)")
    for path in ("/queue", f"/cases/{case_id}", f"/cases/{case_id}/suggestions", "/authors", "/authors/1", "/"):
        page = boss.get(path).text
        assert "<img" not in page
        assert not re.search(r"<script(?! src=\"/static/)", page)
        assert "<svg onload" not in page
        assert 'href="javascript' not in page
        assert "\u202e" not in page


def test_a_row_says_how_often_it_was_passed_on(site: Site, boss: TestClient) -> None:
    asked = "After the update my hub lost every scene that I had made, how do I get them back?"
    shared = site.hear(asked)
    alone = site.hear("My strip flickers at night, is that the adapter?")
    keep(site.store, *(post(f"copy{n}", asked, by=f"fan{n}", repost_of="1") for n in range(2)), now=site.now)
    understand(site.store, site.rooms, worker=WORKER, now=site.now)
    assert {item.case.id: item.copies for item in site.store.cases.queue().items} == {shared: 2, alone: 0}
    assert boss.get("/queue").text.count("+2 copies") == 1


def test_the_handle_is_shown_beside_an_empty_name(site: Site, boss: TestClient) -> None:
    site.for_community()
    site.hear("My hub is broken, it blinks red, what can I do?", by=Author(network="x", native_id="z", handle="zed", name="\u200b\u3164"))
    assert "@zed" in boss.get("/queue").text


def test_a_huge_post_and_a_huge_name_are_clipped(site: Site, boss: TestClient) -> None:
    loud = Author(network="x", native_id="loud", handle="loud" * 50_000, name="#tag " * 10_000)
    case_id = site.hear("help me please my hub is broken " + "#hashtag " * 10_000, by=loud)
    assert len(boss.get("/queue").text) < 40_000
    assert len(boss.get(f"/cases/{case_id}").text) < 80_000


def test_no_page_asks_the_database_more_than_six_times(site: Site) -> None:
    her = site.account(Role.SUPER_USER)
    cases = [site.for_community(f"How do I reset lamp number {n}?") for n in range(30)]
    site.offer(cases[0], her)
    people = {role: site.signed_in(site.account(role, f"{role.value}2")) for role in (Role.MANAGER, Role.STAFF, Role.ADMIN, Role.MARKETER)}
    people[Role.SUPER_USER] = site.signed_in(her)
    case = f"/cases/{cases[1]}"
    manager = [
        "/",
        "/queue",
        "/queue?page=2",
        case,
        f"{case}/suggestions",
        "/authors",
        "/authors/1",
        "/policy",
        "/api/queue",
        f"/api{case}",
    ]
    pages = [(Role.MANAGER, path) for path in manager] + [(role, "/") for role in (Role.STAFF, Role.ADMIN, Role.MARKETER)]
    for role, path in [*pages, (Role.SUPER_USER, "/desk"), (Role.SUPER_USER, f"/desk/cases/{cases[0]}")]:
        with site.statements() as seen:
            assert people[role].get(path).status_code == 200
        assert len(seen) <= 6, (path, len(seen))


def test_programs_read_the_same_queue(site: Site, boss: TestClient) -> None:
    case_id = site.for_community()
    page = boss.get("/api/queue?tier=community").json()
    assert [case["id"] for case in page["cases"]] == [case_id]
    whole = boss.get(f"/api/cases/{case_id}").json()
    assert whole["posts"][0]["scores"]["intent"]["label"]
    assert set(boss.get("/api/openapi.json").json()["paths"]) == {address.path for address in SITE if address.path.startswith("/api/")}


def test_authors_of_both_networks_stand_in_one_queue(site: Site, boss: TestClient) -> None:
    site.hear("My hub does not pair, how do I fix it?", by=person("rae", network="reddit"), network="reddit")
    site.hear("My hub does not pair, how do I fix this?")
    assert len(_rows(boss.get("/queue").text)) == 2
