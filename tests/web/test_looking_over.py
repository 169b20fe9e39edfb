"""A trusted super-user looks over what newer ones wrote: she alone, in her languages, never her own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest
from sites import Site
from starlette.testclient import TestClient

from earshot.case import AnswerState, State, Tier
from earshot.storage.accounts import Account, Membership, Role
from earshot.storage.cases import WrittenAnswer

QUESTION = "How do I reset my lamp? Write to jo.doe@example.com or call +44 20 7946 0958"
ANSWER = "Rest a finger on the ring."
NOT_YET = "takes a higher trust level"


@pytest.fixture
def nia(site: Site) -> Account:
    return site.account(Role.SUPER_USER, "Nia", trust=0)


@pytest.fixture
def vera(site: Site) -> Account:
    return site.account(Role.SUPER_USER, "Vera", trust=3)


@pytest.fixture
def desk(site: Site, vera: Account) -> TestClient:
    return site.signed_in(vera)


@dataclass
class Waiting:
    """A draft at its address."""

    case_id: int
    draft: int

    def at(self, step: str = "") -> str:
        return f"/desk/drafts/{self.case_id}{step}"

    @property
    def form(self) -> dict[str, str]:
        return {"draft": str(self.draft)}


def write(site: Site, by: Account, question: str = QUESTION, text: str = ANSWER) -> Waiting:
    case_id = site.for_community(question)
    site.store.handover.accept(site.offer(case_id, by), by=by.id, now=site.now, lease=timedelta(minutes=30))
    site.store.moves.answer(case_id, by=by.id, text=text, now=site.now, needs_approval=True, sending=site.rooms.sending)
    return Waiting(case_id, last_answer(site, case_id).id)


def last_answer(site: Site, case_id: int) -> WrittenAnswer:
    page = site.store.cases.page(case_id)
    assert page is not None
    return page.answers[-1]


def state(site: Site, case_id: int) -> State:
    return site.store.cases.get(case_id).state


def test_an_empty_list_says_what_will_come(desk: TestClient) -> None:
    page = desk.get("/desk").text
    assert "Drafts to look over" in page
    assert "No draft waits." in page


@pytest.mark.parametrize("partial", [{}, {"hx-request": "true"}], ids=["page", "piece"])
def test_she_sees_the_post_and_the_draft_masked(site: Site, desk: TestClient, nia: Account, partial: dict[str, str]) -> None:
    waiting = write(site, nia)
    for path in ("/desk", waiting.at()):
        page = desk.get(path, headers=partial).text
        assert page.index("How do I reset my lamp?") < page.index(ANSWER)
        assert "Nia" in page
        assert "[e-mail]" in page
        assert "jo.doe@example.com" not in page
        assert "7946" not in page


def test_she_approves_and_the_writer_sees_who_did(site: Site, desk: TestClient, nia: Account) -> None:
    waiting = write(site, nia)
    done = desk.post(waiting.at("/approve"), data=waiting.form)
    assert done.headers["location"] == "/desk"
    assert (state(site, waiting.case_id), site.store.cases.get(waiting.case_id).assignee) == (State.SENDING, nia.id)
    page = desk.get("/desk").text
    assert "Approved; the answer goes out." in page
    assert "No draft waits." in page
    writer = site.signed_in(nia)
    assert "Vera approved the answer" in writer.get("/desk").text
    assert "Vera approved the answer" in writer.get(f"/desk/cases/{waiting.case_id}").text
    history = site.signed_in(site.boss).get(f"/cases/{waiting.case_id}").text
    assert "<b>Vera</b> approved the answer" in history


def test_her_approval_waits_in_the_outbox_and_can_be_taken_back(site: Site, desk: TestClient, nia: Account) -> None:
    waiting = write(site, nia)
    desk.post(waiting.at("/approve"), data=waiting.form)
    assert site.store.outbox.claim(worker="w", now=site.now + timedelta(seconds=9), lease=timedelta(minutes=1), sources=["x"]) is None
    assert f'action="{waiting.at("/undo")}"' in desk.get("/desk").text
    assert desk.post(waiting.at("/undo")).headers["location"] == waiting.at()
    assert ANSWER in desk.get(waiting.at()).text
    assert site.store.outbox.open_replies() == 0
    assert state(site, waiting.case_id) is State.APPROVAL


def test_once_it_left_she_is_told_why_it_cannot_be_taken_back(site: Site, desk: TestClient, nia: Account) -> None:
    waiting = write(site, nia)
    desk.post(waiting.at("/approve"), data=waiting.form)
    site.now += timedelta(seconds=11)
    reply = site.store.outbox.claim(worker="w", now=site.now, lease=timedelta(minutes=1), sources=["x"])
    assert reply is not None
    late = desk.post(waiting.at("/undo"))
    assert (late.status_code, "on its way to the network already" in late.text) == (409, True)
    site.store.outbox.sent(reply, native_id="9", url="https://x.example/9", worker="w", now=site.now)
    later = desk.post(waiting.at("/undo"))
    assert (later.status_code, "stands on the network already" in later.text) == (409, True)


def test_she_gives_a_draft_back_and_the_writer_reads_why(site: Site, desk: TestClient, nia: Account) -> None:
    waiting = write(site, nia)
    empty = desk.post(waiting.at("/give-back"), data=waiting.form | {"note": "  "})
    assert (empty.status_code, "what should be different" in empty.text) == (422, True)
    site.now += timedelta(minutes=40)
    desk.post(waiting.at("/give-back"), data=waiting.form | {"note": "For how long?"})
    site.store.handover.expire(site.now)
    case = site.store.cases.get(waiting.case_id)
    assert (case.state, case.assignee) == (State.ASSIGNED, nia.id)
    page = site.signed_in(nia).get(f"/desk/cases/{waiting.case_id}").text
    assert "Vera gave the draft back" in page
    assert "For how long?" in page
    assert f">{ANSWER}</textarea>" in page
    assert "Taken back." in desk.get(desk.post(waiting.at("/undo")).headers["location"]).text
    assert last_answer(site, waiting.case_id).state is AnswerState.DRAFT


def test_programs_get_the_drafts_masked_too(site: Site, desk: TestClient, nia: Account) -> None:
    waiting = write(site, nia, text="Mail me: nia@example.com")
    [draft] = desk.get("/api/desk/drafts").json()
    assert (draft["id"], draft["case"], draft["lang"], draft["by"]) == (waiting.draft, waiting.case_id, "en", "Nia")
    assert "example.com" not in draft["asked"] + draft["text"]
    refused = site.signed_in(nia).get("/api/desk/drafts")
    assert (refused.status_code, NOT_YET in refused.json()["detail"]) == (403, True)


STEPS = [("GET", ""), ("POST", "/approve"), ("POST", "/give-back"), ("POST", "/undo")]


@pytest.mark.parametrize(("method", "step"), STEPS)
@pytest.mark.parametrize("trust", [0, 1, 2])
def test_below_level_3_everything_there_is_refused(site: Site, nia: Account, trust: int, method: str, step: str) -> None:
    waiting = write(site, nia)
    her = site.signed_in(site.account(Role.SUPER_USER, "Uma", trust=trust))
    for headers in ({}, {"hx-request": "true"}):
        answer = her.request(method, waiting.at(step), data=waiting.form | {"note": "no"}, headers=headers)
        assert (answer.status_code, NOT_YET in answer.text) == (403, True)
        assert ANSWER not in answer.text
    assert state(site, waiting.case_id) is State.APPROVAL
    assert "Drafts to look over" not in her.get("/desk").text


def test_a_level_that_is_lost_is_lost_at_once(site: Site, desk: TestClient, vera: Account, nia: Account) -> None:
    waiting = write(site, nia)
    assert desk.get(waiting.at()).status_code == 200
    site.store.accounts.set_trust({vera.id: 2})
    assert desk.get(waiting.at()).status_code == 403
    assert desk.post(waiting.at("/approve"), data=waiting.form).status_code == 403


def test_her_own_draft_is_for_somebody_else(site: Site, desk: TestClient, vera: Account) -> None:
    mine = write(site, vera)
    assert "No draft waits." in desk.get("/desk").text
    for method, step in STEPS[:3]:
        answer = desk.request(method, mine.at(step), data=mine.form | {"note": "no"})
        assert (answer.status_code, "your own draft" in answer.text) == (403, True)
    assert state(site, mine.case_id) is State.APPROVAL


def test_a_draft_in_a_language_of_others_is_for_others(site: Site, nia: Account) -> None:
    waiting = write(site, nia)
    hanna = site.store.accounts.add(
        email="hanna@example.org", name="Hanna", role=Role.SUPER_USER, now=site.now, languages=("zh",),
        membership=Membership(trust_level=4, consent_at=site.now),
    )  # fmt: skip
    her = site.signed_in(hanna)
    assert ANSWER not in her.get("/desk").text
    for method, step in STEPS[:3]:
        answer = her.request(method, waiting.at(step), data=waiting.form | {"note": "no"})
        assert (answer.status_code, "not among yours" in answer.text, ANSWER in answer.text) == (403, True, False)
    assert her.post(waiting.at("/undo")).status_code == 404
    assert state(site, waiting.case_id) is State.APPROVAL


def test_what_staff_work_on_is_no_draft_for_her(site: Site, desk: TestClient, nia: Account) -> None:
    case_id = site.for_community(QUESTION)
    site.store.moves.retier(case_id, tier=Tier.TIER_1, by=site.boss.id, now=site.now, due_at=None)
    site.store.moves.assign(case_id, assignee=nia.id, by=site.boss.id, now=site.now)
    site.store.moves.answer(case_id, by=nia.id, text=ANSWER, now=site.now, needs_approval=True, sending=site.rooms.sending)
    assert ANSWER not in desk.get("/desk").text
    assert desk.get(f"/desk/drafts/{case_id}").status_code == 409


def test_whoever_comes_second_is_told(site: Site, desk: TestClient, nia: Account) -> None:
    waiting = write(site, nia)
    site.signed_in(site.boss).post(f"/cases/{waiting.case_id}/agree")
    for method, step in STEPS[:3]:
        answer = desk.request(method, waiting.at(step), data=waiting.form | {"note": "no"})
        assert (answer.status_code, "does not wait any more" in answer.text) == (409, True)
        assert "Drafts to look over" in answer.text
    assert state(site, waiting.case_id) is State.SENDING


def test_only_the_draft_that_she_read_is_approved(site: Site, desk: TestClient, nia: Account) -> None:
    waiting = write(site, nia)
    site.store.moves.undo(waiting.case_id, by=nia.id, now=site.now)
    site.store.moves.answer(
        waiting.case_id, by=nia.id, text="Throw it away.", now=site.now, needs_approval=True, sending=site.rooms.sending
    )  # fmt: skip
    answer = desk.post(waiting.at("/approve"), data=waiting.form)
    assert answer.status_code == 409
    assert "written anew" in answer.text
    assert "Throw it away." in answer.text
    assert state(site, waiting.case_id) is State.APPROVAL


def test_a_draft_with_personal_data_is_masked_and_goes_back_to_its_writer(site: Site, desk: TestClient, nia: Account) -> None:
    waiting = write(site, nia, text="Mail me: nia@example.com")
    assert "nia@example.com" not in desk.get("/desk").text + desk.get(waiting.at()).text
    answer = desk.post(waiting.at("/approve"), data=waiting.form)
    assert (answer.status_code, "shows personal data" in answer.text) == (422, True)
    assert state(site, waiting.case_id) is State.APPROVAL


def test_a_form_that_names_no_draft_is_not_readable(desk: TestClient, site: Site, nia: Account) -> None:
    waiting = write(site, nia)
    assert desk.post(waiting.at("/approve")).status_code == 422
    assert desk.get("/desk/drafts/0").status_code == 404
    assert desk.get("/desk/drafts/999999").status_code == 409
    assert desk.post("/desk/drafts/999999/undo").status_code == 404


def test_staff_have_pages_of_their_own(site: Site, nia: Account) -> None:
    waiting = write(site, nia)
    boss = site.signed_in(site.boss)
    for method, step in STEPS:
        assert boss.request(method, waiting.at(step), data=waiting.form | {"note": "no"}).status_code == 404


def test_the_desk_reads_as_much_with_one_draft_as_with_many(site: Site, desk: TestClient, nia: Account) -> None:
    counts = []
    for number in range(3):
        write(site, nia, f"How do I reset lamp number {number}?")
        with site.statements() as seen:
            desk.get("/desk")
        counts.append(len(seen))
    assert len(set(counts)) == 1
