"""An account that is switched off: nobody is signed in with it, and nothing waits for it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from houses import LEASE, NOW, SENDING, open_case, post, staff, super_user

from earshot.case import AnswerState, Move, Offer, State, replay
from earshot.errors import Conflict
from earshot.storage import Store
from earshot.storage.accounts import Account


def case_of(store: Store, name: str) -> int:
    return open_case(store, post(name, by=name, thread=name))


def offer(store: Store, case_id: int, to: Account) -> int:
    """How many offers came of it."""
    store.handover.claim(10, worker="w", now=NOW, lease=LEASE)
    made = Offer(case_id=case_id, super_user=to.id, offered_at=NOW, expires_at=NOW + timedelta(minutes=20), reason="knows hub")
    written = store.handover.write_offers([made], worker="w", now=NOW)
    store.handover.release(worker="w")
    return written


def assert_waits_for_somebody_else(store: Store, case_id: int) -> None:
    case = store.cases.get(case_id)
    assert (case.state, case.assignee) == (State.QUEUED, None)
    events = store.cases.events(case_id)
    assert replay(events) == (case.state, case.tier, case.assignee)
    assert (events[-1].actor, events[-1].reason) == ("accounts", "the account was switched off")


def test_its_sessions_end_at_once_and_for_good(store: Store) -> None:
    sam, uma = staff(store), super_user(store)
    token, other = (store.accounts.start_session(account.id, now=NOW) for account in (sam, uma))
    store.accounts.switch_off(sam.id, now=NOW)
    assert store.accounts.session(token, now=NOW, lasts=timedelta(hours=1)) is None
    assert store.accounts.session(other, now=NOW, lasts=timedelta(hours=1)) == uma
    store.accounts.switch_on(sam.id)
    assert store.accounts.session(token, now=NOW, lasts=timedelta(hours=1)) is None


def test_what_it_was_offered_owned_or_drafted_goes_back_to_the_queue(store: Store) -> None:
    uma, vic = super_user(store), super_user(store, "Vic")
    offered, owned, drafted, others = (case_of(store, name) for name in ("ana", "ben", "cleo", "dan"))
    assert offer(store, offered, uma) == 1
    store.moves.assign(owned, assignee=uma.id, by=uma.id, now=NOW)
    store.moves.answer(drafted, by=uma.id, text="Hold it.", now=NOW, needs_approval=True, sending=SENDING)
    store.moves.assign(others, assignee=vic.id, by=vic.id, now=NOW)

    assert store.accounts.switch_off(uma.id, now=NOW) == 3
    for case_id in (offered, owned, drafted):
        assert_waits_for_somebody_else(store, case_id)
    assert store.handover.desk(uma.id) == []
    page = store.cases.page(drafted)
    assert page is not None
    assert [answer.state for answer in page.answers] == [AnswerState.WITHDRAWN]
    assert store.cases.get(others).assignee == vic.id


def test_a_reply_that_was_approved_still_goes_out_and_keeps_its_name(store: Store) -> None:
    sam, case_id = staff(store), case_of(store, "ana")
    store.moves.answer(case_id, by=sam.id, text="Hold it.", now=NOW, needs_approval=False, sending=SENDING)
    assert store.accounts.switch_off(sam.id, now=NOW) == 0
    case = store.cases.get(case_id)
    assert (case.state, case.assignee) == (State.SENDING, sam.id)


def test_it_is_off_the_roster_and_gets_no_offers_until_it_is_on_again(store: Store) -> None:
    uma, case_id = super_user(store), case_of(store, "ana")
    store.accounts.switch_off(uma.id, now=NOW)
    assert store.accounts.roster(now=NOW) == []
    assert offer(store, case_id, uma) == 0  # as an assigner would that read the roster just before
    store.accounts.switch_on(uma.id)
    assert [member.account for member in store.accounts.roster(now=NOW)] == [uma]
    assert offer(store, case_id, uma) == 1


def test_what_reaches_it_at_the_same_moment_is_taken_back_at_the_next_look(store: Store) -> None:
    boss, sam, case_id = staff(store, "Boss"), staff(store), case_of(store, "ana")
    store.accounts.switch_off(sam.id, now=NOW)
    store.moves.assign(case_id, assignee=sam.id, by=boss.id, now=NOW)
    assert store.handover.expire(NOW) == 1
    assert_waits_for_somebody_else(store, case_id)
    assert store.handover.expire(NOW) == 0


def test_nobody_undoes_what_the_house_took_back(store: Store) -> None:
    sam, case_id = staff(store), case_of(store, "ana")
    store.moves.assign(case_id, assignee=sam.id, by=sam.id, now=NOW)
    store.accounts.switch_off(sam.id, now=NOW)
    assert store.cases.events(case_id)[-1].move is Move.RELEASE
    with pytest.raises(Conflict, match="not a person's"):
        store.moves.undo(case_id, by=sam.id, now=NOW)
