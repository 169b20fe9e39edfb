"""The super-user's desk: her offers, her cases, her answers, and nobody else's."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sites import Site
from starlette.testclient import TestClient

from earshot.case import PassReason, State, Tier
from earshot.mention import Author
from earshot.storage.accounts import Account, Role

QUESTION = "How do I reset my lamp? Write to jo.doe@example.com or call +44 20 7946 0958"


@pytest.fixture
def uma(site: Site) -> Account:
    return site.account(Role.SUPER_USER, "Uma", trust=2)


@pytest.fixture
def desk(site: Site, uma: Account) -> TestClient:
    return site.signed_in(uma)


@pytest.fixture
def offered(site: Site, uma: Account) -> tuple[int, int]:
    """(case, offer)"""
    case_id = site.for_community(QUESTION)
    return case_id, site.offer(case_id, uma)


def test_an_empty_desk_is_friendly(desk: TestClient) -> None:
    assert "A post that fits you appears here by itself." in desk.get("/desk").text
    assert desk.get("/").headers["location"] == "/desk"


def test_an_offer_says_why_she_and_how_long(desk: TestClient, offered: tuple[int, int]) -> None:
    page = desk.get("/desk").text
    assert "Why you: knows hub" in page
    assert "yours to take for 20 min" in page
    assert all(reason.value in page for reason in PassReason)


@pytest.mark.parametrize("path", ["/desk", "/desk/cases/{}"])
def test_personal_data_is_masked_for_her(desk: TestClient, offered: tuple[int, int], path: str) -> None:
    page = desk.get(path.format(offered[0])).text
    assert "jo.doe@example.com" not in page
    assert "7946" not in page
    assert "[e-mail]" in page


@pytest.mark.parametrize("name", ["Jo", "jo.doe@example.com", ""])
def test_she_never_sees_the_address_that_a_mail_came_from(name: str, site: Site, desk: TestClient, uma: Account) -> None:
    address = "jo.doe@example.com"
    case_id = site.for_community(by=Author(network="mailbox", native_id=address, handle=address, name=name), network="mailbox")
    site.offer(case_id, uma)
    assert all(address not in desk.get(path).text for path in ("/desk", f"/desk/cases/{case_id}", "/api/desk"))


def test_she_takes_an_offer_and_answers_it(site: Site, desk: TestClient, uma: Account, offered: tuple[int, int]) -> None:
    case_id, offer_id = offered
    taken = desk.post(f"/desk/offers/{offer_id}/accept")
    assert taken.headers["location"] == f"/desk/cases/{case_id}"
    assert "Send answer" in desk.get(f"/desk/cases/{case_id}").text
    desk.post(f"/desk/cases/{case_id}/answer", data={"text": "Rest a finger on the ring for 12 seconds."})
    case = site.store.cases.get(case_id)
    assert (case.state, case.assignee) == (State.SENDING, uma.id)
    assert "Rest a finger on the ring" in desk.get("/desk").text


def test_a_newcomers_answer_is_checked_first(site: Site) -> None:
    nia = site.account(Role.SUPER_USER, "Nia", trust=0)
    client, case_id = site.signed_in(nia), site.for_community()
    client.post(f"/desk/offers/{site.offer(case_id, nia)}/accept")
    assert "It will be checked first" in client.get(f"/desk/cases/{case_id}").text
    client.post(f"/desk/cases/{case_id}/answer", data={"text": "Hold it."})
    assert site.store.cases.get(case_id).state is State.APPROVAL
    site.store.moves.reject_answer(case_id, by=site.boss.id, now=site.now, note="For how long?")
    page = client.get(f"/desk/cases/{case_id}").text
    assert "For how long?" in page
    assert ">Hold it.</textarea>" in page


@pytest.mark.parametrize(
    ("reason", "tier"),
    [
        (PassReason.TOO_TECHNICAL, Tier.TIER_2),
        (PassReason.TOO_ANGRY, Tier.TIER_1),
        (PassReason.NOT_MY_TOPIC, Tier.COMMUNITY),
        (PassReason.NO_TIME, Tier.COMMUNITY),
    ],
)
def test_a_pass_routes_the_case(site: Site, desk: TestClient, offered: tuple[int, int], reason: PassReason, tier: Tier) -> None:
    case_id, _ = offered
    assert desk.post(f"/desk/cases/{case_id}/pass", data={"reason": reason.value}).headers["location"] == "/desk"
    case = site.store.cases.get(case_id)
    assert (case.state, case.tier) == (State.QUEUED, tier)
    assert desk.get(f"/desk/cases/{case_id}").status_code == 404


def test_an_offer_that_is_gone_says_so(site: Site, desk: TestClient, offered: tuple[int, int]) -> None:
    site.now += timedelta(hours=1)
    answer = desk.post(f"/desk/offers/{offered[1]}/accept")
    assert answer.status_code == 409
    assert "This offer is gone" in answer.text


def test_personal_data_stays_out_of_her_answer_too(desk: TestClient, offered: tuple[int, int]) -> None:
    case_id, offer_id = offered
    desk.post(f"/desk/offers/{offer_id}/accept")
    answer = desk.post(f"/desk/cases/{case_id}/answer", data={"text": "Mail me: uma@example.com"})
    assert answer.status_code == 422
    assert "Mail me: uma@example.com" in answer.text


def test_taking_an_offer_can_be_undone(site: Site, desk: TestClient, offered: tuple[int, int]) -> None:
    case_id, offer_id = offered
    desk.post(f"/desk/offers/{offer_id}/accept")
    desk.post(f"/desk/cases/{case_id}/undo")
    assert site.store.cases.get(case_id).assignee is None


def test_another_super_users_cases_and_offers_do_not_exist_for_her(site: Site, desk: TestClient, offered: tuple[int, int]) -> None:
    case_id, offer_id = offered
    other = site.signed_in(site.account(Role.SUPER_USER, "Vera"))
    assert other.get(f"/desk/cases/{case_id}").status_code == 404
    for step in ("pass", "answer", "undo"):
        data = {"reason": "no time", "text": "hello there"}
        assert other.post(f"/desk/cases/{case_id}/{step}", data=data).status_code == 404
    assert other.post(f"/desk/offers/{offer_id}/accept").status_code == 409
    assert site.store.cases.get(case_id).assignee is None


def test_she_steps_back_and_comes_back(site: Site, desk: TestClient, uma: Account) -> None:
    desk.post("/desk/pause", data={"paused": "true"})
    assert "You are away" in desk.get("/desk").text
    desk.post("/desk/pause", data={"paused": "false"})
    assert "You are away" not in desk.get("/desk").text
