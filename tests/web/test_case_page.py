"""The case page: what it shows, what can be done on it, and what it says when something cannot."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from houses import keep
from msgspec.structs import replace
from sites import Site
from starlette.testclient import TestClient

from earshot.case import State, Tier
from earshot.storage.accounts import Role
from earshot.storage.articles import Article


@pytest.fixture
def boss(site: Site) -> TestClient:
    return site.signed_in(site.boss)


@pytest.fixture
def case_id(site: Site) -> int:
    return site.for_community("How do I reset my hub? It blinks red since the update and nothing works.")


def _state(site: Site, case_id: int) -> State:
    return site.store.cases.get(case_id).state


# ---- what it shows


def test_it_shows_thread_scores_author_route_and_history(site: Site, boss: TestClient, case_id: int) -> None:
    page = re.sub("<[^>]+>", "", boss.get(f"/cases/{case_id}").text)
    for shown in (
        "It blinks red since the update",
        "Sentiment",
        "% sure",
        "followers",
        "reach",
        "resonance",
        "Policy",
        "Triage",
        "community",
    ):
        assert shown in page, shown


def test_the_words_that_weighed_are_marked_in_the_post(site: Site, boss: TestClient) -> None:
    case_id = site.hear("I am FURIOUS! You are liars and scammers, never again!!")
    page = boss.get(f"/cases/{case_id}").text
    assert "<mark title=" in page
    assert "Weighed:" in page


def test_an_edited_post_shows_what_it_said_before_folded_away_and_harmless(site: Site, boss: TestClient) -> None:
    case_id = site.hear("How do I pair it? <img src=x onerror=alert(1)>")
    assert "former version" not in boss.get(f"/cases/{case_id}").text
    [shown] = site.store.cases.page(case_id).posts
    for text in ("How do I pair the hub?", "How do I pair the white hub?"):
        keep(site.store, replace(shown.scored.mention, text=text), now=site.now)
    page = boss.get(f"/cases/{case_id}").text
    assert "· edited" in page
    assert "<summary>2 former versions</summary>" in page
    assert "How do I pair it? &lt;img src=x onerror=alert(1)&gt;" in page


def test_a_note_of_the_time_travels_with_every_relative_one(site: Site, boss: TestClient, case_id: int) -> None:
    page = boss.get(f"/cases/{case_id}").text
    assert 'title="Mon 02 Mar 2026, 11:55 UTC">5 min ago' in page
    assert "due in 2 h" in page


def test_similar_cases_and_articles_come_with_their_reason(site: Site, boss: TestClient, case_id: int) -> None:
    site.store.articles.put(
        [Article(slug="reset", title="Reset your hub", lang="en", topic="hub", body="Hold the pin hole.", words=("reset my hub",))],
        now=site.now,
    )
    past = site.for_community("How do I reset my hub? It blinks red.")
    boss.post(f"/cases/{past}/answer", data={"text": "Hold the pin hole for ten seconds."})
    reply = site.store.outbox.claim(worker="w", now=site.now + timedelta(days=1), lease=timedelta(minutes=1), sources=["x"])
    assert reply is not None
    site.store.outbox.sent(reply, native_id="9", url="https://x.example/9", worker="w", now=site.now)
    page = boss.get(f"/cases/{case_id}/suggestions", headers={"HX-Request": "true"}).text
    for shown in ("Reset your hub", "like “reset my hub”", "Hold the pin hole for ten seconds.", f'href="/cases/{past}"'):
        assert shown in page, shown


def test_an_open_page_can_ask_whether_it_is_out_of_date(site: Site, boss: TestClient, case_id: int) -> None:
    before = boss.get(f"/cases/{case_id}/stamp").text
    boss.post(f"/cases/{case_id}/take")
    assert boss.get(f"/cases/{case_id}/stamp").text != before


# ---- what can be done


def test_the_notice_after_a_step_is_shown_once_with_the_way_back(site: Site, boss: TestClient, case_id: int) -> None:
    answer = boss.post(f"/cases/{case_id}/tier", data={"tier": "tier_2"})
    assert answer.headers["location"] == f"/cases/{case_id}"
    page = boss.get(answer.headers["location"]).text
    assert "Sent to tier 2." in page
    assert f'action="/cases/{case_id}/undo"' in page
    assert "Sent to tier 2." not in boss.get(f"/cases/{case_id}").text


def test_a_forged_notice_is_not_shown(site: Site, boss: TestClient, case_id: int) -> None:
    boss.cookies.set("earshot_notice", "WyJIYSIsImRvbmUiLCIiXQ.x.y")
    assert boss.get(f"/cases/{case_id}").status_code == 200


def test_a_changed_tier_is_kept_as_a_label_and_undone_with_it(site: Site, boss: TestClient, case_id: int) -> None:
    boss.post(f"/cases/{case_id}/tier", data={"tier": "tier_2", "note": "needs the lab"})
    page = site.store.cases.page(case_id)
    assert page is not None
    assert page.case.tier is Tier.TIER_2
    assert page.case.reason == "needs the lab"
    assert "tier_2" in page.labels.values()
    boss.post(f"/cases/{case_id}/undo")
    assert site.store.cases.get(case_id).tier is Tier.COMMUNITY


def test_taking_giving_and_letting_go(site: Site, boss: TestClient, case_id: int) -> None:
    sam = site.account(Role.STAFF, "Sam")
    boss.post(f"/cases/{case_id}/take")
    assert site.store.cases.get(case_id).assignee == site.boss.id
    boss.post(f"/cases/{case_id}/assign", data={"assignee": str(sam.id)})
    assert site.store.cases.get(case_id).assignee == sam.id
    boss.post(f"/cases/{case_id}/release")
    assert _state(site, case_id) is State.QUEUED
    refused = boss.post(f"/cases/{case_id}/assign", data={"assignee": "424242"})
    assert refused.status_code == 422
    assert "There is no such person" in refused.text


def test_an_answer_goes_to_the_outbox_and_can_be_taken_back(site: Site, boss: TestClient, case_id: int) -> None:
    boss.post(f"/cases/{case_id}/answer", data={"text": "Hold the pin hole for ten seconds."})
    assert _state(site, case_id) is State.SENDING
    boss.post(f"/cases/{case_id}/undo")
    assert _state(site, case_id) is State.QUEUED or site.store.cases.get(case_id).assignee == site.boss.id
    assert site.store.outbox.open_replies() == 0


def test_closing_reopening_and_solving(site: Site, boss: TestClient, case_id: int) -> None:
    boss.post(f"/cases/{case_id}/close", data={"note": "asked twice"})
    assert _state(site, case_id) is State.CLOSED
    boss.post(f"/cases/{case_id}/reopen")
    assert _state(site, case_id) is State.QUEUED
    boss.post(f"/cases/{case_id}/solve")
    assert _state(site, case_id) is State.SOLVED


def test_a_draft_is_approved_edited_or_given_back(site: Site, boss: TestClient) -> None:
    newcomer = site.account(Role.SUPER_USER, "Nia", trust=0)
    first, second = site.for_community("How do I reset my lamp?"), site.for_community("Which cable does the strip need?")
    for case_id in (first, second):
        site.store.handover.accept(site.offer(case_id, newcomer), by=newcomer.id, now=site.now, lease=timedelta(minutes=30))
        site.store.moves.answer(
            case_id, by=newcomer.id, text="Hold it.", now=site.now, needs_approval=True, sending=site.rooms.sending
        )  # fmt: skip
    assert "Draft by Nia" in boss.get(f"/cases/{first}").text
    boss.post(f"/cases/{first}/approve", data={"text": "Hold it for ten seconds."})
    page = site.store.cases.page(first)
    assert page is not None
    assert [(a.text, a.by_name) for a in page.answers] == [("Hold it for ten seconds.", "Nia")]
    assert boss.post(f"/cases/{second}/reject", data={"note": " "}).status_code == 422
    boss.post(f"/cases/{second}/reject", data={"note": "Which cable exactly?"})
    assert _state(site, second) is State.ASSIGNED
    assert "Which cable exactly?" in boss.get(f"/cases/{second}").text


def test_a_corrected_score_is_shown_as_corrected(site: Site, boss: TestClient, case_id: int) -> None:
    page = site.store.cases.page(case_id)
    assert page is not None
    mention = page.posts[0].id
    boss.post(f"/cases/{case_id}/label", data={"mention": str(mention), "question": "anger", "now_is": "angry"})
    assert '<b class="corrected">angry</b>' in boss.get(f"/cases/{case_id}").text


@pytest.mark.parametrize(("question", "now_is"), [("anger", "purple"), ("nonsense", "yes"), ("influence", "top 1 %")])
def test_a_label_that_does_not_exist_is_refused(site: Site, boss: TestClient, case_id: int, question: str, now_is: str) -> None:
    answer = boss.post(f"/cases/{case_id}/label", data={"mention": "1", "question": question, "now_is": now_is})
    assert answer.status_code == 422


def test_a_mention_of_another_case_cannot_be_labelled_here(site: Site, boss: TestClient, case_id: int) -> None:
    other = site.for_community("Which app do I need?")
    answer = boss.post(f"/cases/{other}/label", data={"mention": "1", "question": "anger", "now_is": "calm"})
    assert answer.status_code == 422


# ---- what cannot be done is said, and nothing written is lost


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("  ", "The answer is empty"),
        ("x" * 281, "1 character too long for X"),
        ("灯" * 141, "2 characters too long for X"),
        ("Write to jo.doe@example.com and we sort it out", "shows personal data (e-mail)"),
        ("Call me on +44 20 7946 0958 please", "shows personal data (phone)"),
    ],
)
def test_a_draft_that_may_not_stand_in_public_stays_in_its_box(site: Site, boss: TestClient, case_id: int, text: str, said: str) -> None:
    answer = boss.post(f"/cases/{case_id}/answer", data={"text": text})
    assert answer.status_code == 422
    assert said in answer.text
    assert text.strip() in answer.text
    assert _state(site, case_id) is State.QUEUED


def test_a_link_counts_as_x_counts_it(site: Site, boss: TestClient, case_id: int) -> None:
    text = "x" * 250 + " https://lumifern.example/" + "a" * 200
    assert boss.post(f"/cases/{case_id}/answer", data={"text": text}).status_code == 303


def test_somebody_elses_case_is_not_answered_by_accident(site: Site, boss: TestClient, case_id: int) -> None:
    sam = site.account(Role.STAFF, "Sam")
    site.signed_in(sam).post(f"/cases/{case_id}/take")
    assert "Sam has this case." in boss.get(f"/cases/{case_id}").text
    answer = boss.post(f"/cases/{case_id}/answer", data={"text": "Hold the pin hole."})
    assert answer.status_code == 409
    assert "belongs to somebody else" in answer.text
    assert "Hold the pin hole." in answer.text


def test_a_network_that_we_cannot_answer_on_is_named(site: Site, boss: TestClient) -> None:
    case_id = site.hear("My hub does not pair, how do I fix it?", network="feed")
    answer = boss.post(f"/cases/{case_id}/answer", data={"text": "Hold the pin hole."})
    assert answer.status_code == 403
    assert "We cannot post on feed from here" in answer.text


def test_undoing_somebody_elses_step_is_refused_with_a_reason(site: Site, boss: TestClient, case_id: int) -> None:
    site.signed_in(site.account(Role.STAFF, "Sam")).post(f"/cases/{case_id}/take")
    answer = boss.post(f"/cases/{case_id}/undo")
    assert answer.status_code == 409
    assert "Somebody else made the last step" in answer.text


@pytest.mark.parametrize("step", ["solve", "reopen", "release", "agree", "reject", "approve", "undo"])
def test_a_step_at_the_wrong_moment_is_a_message_not_a_crash(site: Site, boss: TestClient, case_id: int, step: str) -> None:
    boss.post(f"/cases/{case_id}/take")
    boss.post(f"/cases/{case_id}/solve")
    answer = boss.post(f"/cases/{case_id}/{step}", data={"text": "x", "note": "x"})
    assert answer.status_code in (303, 403, 409)
    assert answer.status_code == 303 or 'role="alert"' in answer.text


def test_a_form_without_its_fields_names_them(boss: TestClient, case_id: int) -> None:
    answer = boss.post(f"/cases/{case_id}/tier", data={"tier": "tier_9"})
    assert answer.status_code == 422
    assert "look at tier" in answer.text


def test_escalating_beyond_tier_2_says_why_not(site: Site, boss: TestClient, case_id: int) -> None:
    boss.post(f"/cases/{case_id}/tier", data={"tier": "tier_2"})
    assert "There is nobody above tier 2." in boss.post(f"/cases/{case_id}/escalate").text
