"""Drafts that wait for a trusted super-user, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest
from houses import NOW, SENDING, open_case, post, route, staff, super_user
from sqlalchemy import event

from earshot.case import AnswerState, State, Tier, replay
from earshot.errors import Conflict, NotAllowed
from earshot.storage import Store
from earshot.storage.accounts import Account
from earshot.storage.cases import WrittenAnswer
from earshot.storage.drafts import Draft


def draft(store: Store, by: Account, name: str, text: str = "Hold the ring.", *, tier: Tier = Tier.COMMUNITY, due: int = 60) -> int:
    """A case with a draft of `by`, due in so many minutes."""
    case_id = open_case(store, post(name, by=name), route(tier, due_at=NOW + timedelta(minutes=due)))
    store.moves.assign(case_id, assignee=by.id, by=by.id, now=NOW)
    return write(store, case_id, by, text)


def write(store: Store, case_id: int, by: Account, text: str) -> int:
    return store.moves.answer(case_id, by=by.id, text=text, now=NOW, needs_approval=True, sending=SENDING).id


def waiting(store: Store, approver: Account, languages: tuple[str, ...] = ("en",)) -> list[Draft]:
    return store.drafts.waiting(approver=approver.id, languages=languages)


def last_answer(store: Store, case_id: int) -> WrittenAnswer:
    page = store.cases.page(case_id)
    assert page is not None
    return page.answers[-1]


def test_she_sees_drafts_of_others_in_her_languages_the_soonest_due_first(store: Store) -> None:
    nia, vera = super_user(store, "Nia", trust=0), super_user(store, "Vera", trust=3)
    later, sooner = draft(store, nia, "ana", due=90), draft(store, nia, "ben", due=30)
    draft(store, vera, "cleo")
    draft(store, staff(store), "dan")
    draft(store, nia, "eve", tier=Tier.TIER_1)
    found = waiting(store, vera, ("en", "zh"))
    assert [(d.case.id, d.by_name, d.text, d.asked) for d in found] == [
        (sooner, "Nia", "Hold the ring.", "how do I pair the hub?"),
        (later, "Nia", "Hold the ring.", "how do I pair the hub?"),
    ]
    assert waiting(store, vera, ("zh",)) == waiting(store, vera, ()) == []


def test_a_draft_that_was_settled_does_not_wait(store: Store) -> None:
    nia, vera = super_user(store, "Nia", trust=0), super_user(store, "Vera", trust=3)
    approved, given_back, taken_back = (draft(store, nia, name) for name in ("ana", "ben", "cleo"))
    store.moves.approve_answer(approved, by=vera.id, now=NOW, sending=SENDING)
    store.moves.reject_answer(given_back, by=vera.id, now=NOW, note="How long?")
    store.moves.undo(taken_back, by=nia.id, now=NOW)
    assert waiting(store, vera) == []
    assert [store.drafts.of_case(case_id) for case_id in (approved, given_back, taken_back)] == [None] * 3


def test_however_many_drafts_wait_they_take_one_statement(store: Store) -> None:
    nia, vera, seen = super_user(store, "Nia", trust=0), super_user(store, "Vera", trust=3), []
    for number in range(7):
        draft(store, nia, f"author{number}")

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(store.database.engine, "before_cursor_execute", note)
    assert len(waiting(store, vera)) == 7
    event.remove(store.database.engine, "before_cursor_execute", note)
    assert len([statement for statement in seen if "FROM" in statement]) == 1


def test_nobody_decides_on_a_draft_of_her_own_or_on_one_that_she_did_not_read(store: Store) -> None:
    nia, vera = super_user(store, "Nia", trust=0), super_user(store, "Vera", trust=3)
    case_id = draft(store, nia, "ana")
    [read] = waiting(store, vera)
    store.moves.undo(case_id, by=nia.id, now=NOW)
    write(store, case_id, nia, "Throw it away.")
    with pytest.raises(Conflict, match="written anew"):
        store.moves.approve_answer(case_id, by=vera.id, now=NOW, sending=SENDING, draft_id=read.id)
    with pytest.raises(Conflict, match="written anew"):
        store.moves.reject_answer(case_id, by=vera.id, now=NOW, note="no", draft_id=read.id)
    with pytest.raises(NotAllowed, match="your own draft"):
        store.moves.reject_answer(case_id, by=nia.id, now=NOW, note="no")
    assert store.cases.get(case_id).state is State.APPROVAL


def test_whoever_gets_a_draft_back_has_time_to_write_another(store: Store) -> None:
    nia, vera = super_user(store, "Nia", trust=0), super_user(store, "Vera", trust=3)
    case_id, later = draft(store, nia, "ana"), NOW + timedelta(hours=3)
    store.moves.reject_answer(case_id, by=vera.id, now=later, note="How long?", lease_until=later + timedelta(minutes=45))
    store.handover.expire(later + timedelta(minutes=44))
    assert store.cases.get(case_id).assignee == nia.id
    store.handover.expire(later + timedelta(minutes=46))
    assert store.cases.get(case_id).assignee is None


def test_a_draft_that_was_given_back_by_mistake_waits_again(store: Store) -> None:
    nia, vera = super_user(store, "Nia", trust=0), super_user(store, "Vera", trust=3)
    case_id = draft(store, nia, "ana")
    store.moves.reject_answer(case_id, by=vera.id, now=NOW, note="How long?")
    assert (last_answer(store, case_id).note, last_answer(store, case_id).decided_by_name) == ("How long?", "Vera")
    case = store.moves.undo(case_id, by=vera.id, now=NOW)
    answer = last_answer(store, case_id)
    assert (case.state, answer.state, answer.note, answer.decided_by_name) == (State.APPROVAL, AnswerState.DRAFT, "", None)
    assert [d.case.id for d in waiting(store, vera)] == [case_id]
    assert replay(store.cases.events(case_id)) == (case.state, case.tier, case.assignee)


def test_an_approval_is_named_to_the_writer_and_cannot_be_taken_back_once_it_stands(store: Store) -> None:
    nia, vera = super_user(store, "Nia", trust=0), super_user(store, "Vera", trust=3)
    case_id = draft(store, nia, "ana")
    store.moves.approve_answer(case_id, by=vera.id, now=NOW, sending=SENDING)
    assert [(past.state, past.decided_by_name) for past in store.handover.answers_of(nia.id)] == [(AnswerState.APPROVED, "Vera")]
    reply = store.outbox.claim(worker="w", now=NOW, lease=timedelta(minutes=1), sources=["x"])
    assert reply is not None
    store.outbox.sent(reply, native_id="9", url="https://x.example/9", worker="w", now=NOW)
    with pytest.raises(Conflict, match="stands on the network already"):
        store.moves.undo(case_id, by=vera.id, now=NOW)


def test_what_needed_nobody_names_nobody(store: Store) -> None:
    uma = super_user(store)
    case_id = open_case(store, post("1"))
    store.moves.answer(case_id, by=uma.id, text="Hold it.", now=NOW, needs_approval=False, sending=SENDING)
    assert last_answer(store, case_id).decided_by_name is None
    assert [past.decided_by_name for past in store.handover.answers_of(uma.id)] == [None]
