from __future__ import annotations

from datetime import timedelta

import pytest
from houses import LEASE, NOW, SENDING, open_case, post, route, score, staff, super_user

from earshot.case import AnswerState, Move, Offer, Outcome, PassReason, ReplyState, Sending, State, Tier, replay
from earshot.errors import BadInput, Conflict, NotAllowed
from earshot.storage import Store
from earshot.storage.accounts import Role
from earshot.storage.cases import CasePage

DUE = NOW + timedelta(hours=1)


def page(store: Store, case_id: int) -> CasePage:
    found = store.cases.page(case_id)
    assert found is not None
    return found


def offered(store: Store, case_id: int, to: int) -> int:
    store.handover.claim(10, worker="w", now=NOW, lease=LEASE)
    offer = Offer(case_id=case_id, super_user=to, offered_at=NOW, expires_at=NOW + timedelta(minutes=20), reason="knows the hub")
    assert store.handover.write_offers([offer], worker="w", now=NOW) == 1
    return next(item.offer_id for item in store.handover.desk(to) if item.case.id == case_id and item.offer_id)


def assert_replays(store: Store, case_id: int) -> None:
    case = store.cases.get(case_id)
    assert replay(store.cases.events(case_id)) == (case.state, case.tier, case.assignee)


def test_nothing_acts_on_a_proposal_until_a_person_confirms_it(store: Store) -> None:
    case_id = open_case(store, post("1"), route(Tier.COMMUNITY, Outcome.REVIEW))
    assert store.handover.claim(10, worker="w", now=NOW, lease=LEASE) == []
    assert store.cases.overdue(NOW + timedelta(days=9)) == []
    manager = staff(store, "Mia", Role.MANAGER)
    confirmed = store.moves.confirm(case_id, tier=Tier.COMMUNITY, by=manager.id, now=NOW, due_at=DUE)
    assert (confirmed.state, confirmed.outcome) == (State.QUEUED, Outcome.AUTOMATIC)
    assert len(store.handover.claim(10, worker="w", now=NOW, lease=LEASE)) == 1
    assert_replays(store, case_id)


def test_another_tier_than_the_proposed_one_is_kept_as_a_label_and_can_be_undone(store: Store) -> None:
    case_id = open_case(store, post("1"), route(Tier.COMMUNITY, Outcome.REVIEW))
    manager = staff(store, "Mia", Role.MANAGER)
    store.moves.confirm(case_id, tier=Tier.TIER_2, by=manager.id, now=NOW, due_at=DUE)
    [mention] = page(store, case_id).posts
    assert page(store, case_id).labels == {(mention.id, "tier"): "tier_2"}
    undone = store.moves.undo(case_id, by=manager.id, now=NOW)
    assert (undone.state, undone.tier, undone.outcome, undone.reason) == (State.REVIEW, Tier.COMMUNITY, Outcome.REVIEW, "easy")
    assert undone.due_at == NOW + timedelta(hours=2)
    assert page(store, case_id).labels == {}
    assert_replays(store, case_id)


def test_confirming_none_closes_the_case(store: Store) -> None:
    case_id = open_case(store, post("1"), route(Tier.TIER_1, Outcome.REVIEW))
    closed = store.moves.confirm(case_id, tier=Tier.NONE, by=staff(store).id, now=NOW, due_at=DUE)
    assert (closed.state, closed.due_at) == (State.CLOSED, None)
    assert_replays(store, case_id)


def test_a_case_is_confirmed_once(store: Store) -> None:
    case_id = open_case(store, post("1"), route(Tier.TIER_1, Outcome.REVIEW))
    sam = staff(store)
    store.moves.confirm(case_id, tier=Tier.TIER_1, by=sam.id, now=NOW, due_at=DUE)
    with pytest.raises(Conflict, match="not in review any more"):
        store.moves.confirm(case_id, tier=Tier.TIER_2, by=sam.id, now=NOW, due_at=DUE)


def test_an_offer_is_taken_answered_approved_and_put_into_the_outbox(store: Store) -> None:
    uma, mia = super_user(store), staff(store, "Mia", Role.MANAGER)
    case_id = open_case(store, post("1"))
    offer = offered(store, case_id, uma.id)
    taken = store.handover.accept(offer, by=uma.id, now=NOW, lease=LEASE)
    assert (taken.state, taken.assignee) == (State.ASSIGNED, uma.id)
    draft = store.moves.answer(case_id, by=uma.id, text="Hold the ring 12 s.", now=NOW, needs_approval=True, sending=SENDING)
    assert draft.state is State.APPROVAL
    with pytest.raises(NotAllowed, match="somebody else"):
        store.moves.approve_answer(case_id, by=uma.id, now=NOW, sending=SENDING)
    sending = store.moves.approve_answer(case_id, by=mia.id, now=NOW, sending=SENDING)
    assert (sending.state, sending.assignee) == (State.SENDING, uma.id)
    [answer] = page(store, case_id).answers
    assert (answer.state, answer.reply_state, answer.by_name) == (AnswerState.APPROVED, ReplyState.PENDING, "Uma")
    assert store.accounts.roster(now=NOW)[0].membership.skills == {"hub": (1, 0)}
    assert_replays(store, case_id)


def test_an_approved_answer_can_be_taken_back_while_it_is_in_the_house(store: Store) -> None:
    sam = staff(store)
    case_id = open_case(store, post("1"), route(Tier.TIER_1))
    store.moves.answer(case_id, by=sam.id, text="Sorry!", now=NOW, needs_approval=False, sending=SENDING)
    back = store.moves.undo(case_id, by=sam.id, now=NOW)
    assert (back.state, back.assignee) == (State.ASSIGNED, sam.id)
    assert store.outbox.open_replies() == 0
    assert_replays(store, case_id)

    store.moves.answer(case_id, by=sam.id, text="Sorry again!", now=NOW, needs_approval=False, sending=SENDING)
    store.outbox.claim(worker="w", now=NOW, lease=LEASE, sources=["x"])
    with pytest.raises(Conflict, match="on its way"):
        store.moves.undo(case_id, by=sam.id, now=NOW)


def test_one_cannot_undo_what_somebody_else_or_the_house_did(store: Store) -> None:
    sam, mia = staff(store), staff(store, "Mia")
    case_id = open_case(store, post("1"), route(Tier.TIER_1))
    with pytest.raises(Conflict, match="not a person's"):
        store.moves.undo(case_id, by=sam.id, now=NOW)
    store.moves.assign(case_id, assignee=sam.id, by=sam.id, now=NOW)
    with pytest.raises(Conflict, match="somebody else"):
        store.moves.undo(case_id, by=mia.id, now=NOW)


def test_a_case_has_one_owner(store: Store) -> None:
    sam, mia = staff(store), staff(store, "Mia")
    case_id = open_case(store, post("1"), route(Tier.TIER_1))
    store.moves.assign(case_id, assignee=sam.id, by=sam.id, now=NOW)
    with pytest.raises(Conflict, match="belongs to somebody else"):
        store.moves.answer(case_id, by=mia.id, text="hello", now=NOW, needs_approval=False, sending=SENDING)


def test_a_draft_is_given_back_with_a_note(store: Store) -> None:
    uma, mia = super_user(store), staff(store, "Mia", Role.MANAGER)
    case_id = open_case(store, post("1"))
    store.handover.accept(offered(store, case_id, uma.id), by=uma.id, now=NOW, lease=LEASE)
    store.moves.answer(case_id, by=uma.id, text="no idea", now=NOW, needs_approval=True, sending=SENDING)
    back = store.moves.reject_answer(case_id, by=mia.id, now=NOW, note="please be kind")
    assert (back.state, back.assignee) == (State.ASSIGNED, uma.id)
    assert page(store, case_id).answers[0].note == "please be kind"
    assert_replays(store, case_id)


def test_an_untaken_offer_expires_and_goes_to_somebody_else(store: Store) -> None:
    uma = super_user(store)
    case_id = open_case(store, post("1"))
    offer = offered(store, case_id, uma.id)
    later = NOW + timedelta(minutes=21)
    with pytest.raises(Conflict, match="gone"):
        store.handover.accept(offer, by=uma.id, now=later, lease=LEASE)
    assert store.handover.expire(later) == 1
    [again] = store.handover.claim(10, worker="w", now=later, lease=LEASE)
    assert again.asked_before == {uma.id}
    assert_replays(store, case_id)


def test_a_silent_owner_loses_the_case(store: Store) -> None:
    uma = super_user(store)
    case_id = open_case(store, post("1"))
    store.handover.accept(offered(store, case_id, uma.id), by=uma.id, now=NOW, lease=timedelta(minutes=45))
    assert store.handover.expire(NOW + timedelta(minutes=44)) == 0
    assert store.handover.expire(NOW + timedelta(minutes=46)) == 1
    assert store.cases.get(case_id).state is State.QUEUED
    assert_replays(store, case_id)


def test_a_pass_with_a_reason_routes_the_case_and_is_a_label(store: Store) -> None:
    uma = super_user(store)
    case_id = open_case(store, post("1"))
    offered(store, case_id, uma.id)
    moved = store.handover.pass_on(case_id, by=uma.id, reason=PassReason.TOO_TECHNICAL, now=NOW, tier=Tier.TIER_2, due_at=DUE)
    assert (moved.state, moved.tier) == (State.QUEUED, Tier.TIER_2)
    assert store.handover.desk(uma.id) == []
    [mention] = page(store, case_id).posts
    assert page(store, case_id).labels == {(mention.id, "pass"): "too technical"}
    assert_replays(store, case_id)


def test_nobody_accepts_or_passes_what_is_not_theirs(store: Store) -> None:
    uma, vic = super_user(store), super_user(store, "Vic")
    case_id = open_case(store, post("1"))
    offer = offered(store, case_id, uma.id)
    with pytest.raises(BadInput):
        store.handover.accept(offer, by=vic.id, now=NOW, lease=LEASE)
    with pytest.raises(Conflict):
        store.handover.pass_on(case_id, by=vic.id, reason=PassReason.NO_TIME, now=NOW, tier=Tier.COMMUNITY, due_at=None)


def test_racing_assigners_keep_to_the_cap_and_give_a_case_once(store: Store) -> None:
    uma = super_user(store, open_posts=2)
    cases = [open_case(store, post(str(i), thread=str(i))) for i in range(4)]
    store.handover.claim(10, worker="w", now=NOW, lease=LEASE)
    offers = [Offer(case_id=c, super_user=uma.id, offered_at=NOW, expires_at=DUE, reason="") for c in (*cases, cases[0])]
    assert store.handover.write_offers(offers, worker="w", now=NOW) == 2
    assert store.handover.write_offers(offers, worker="another", now=NOW) == 0


def test_an_offer_is_withdrawn_when_staff_take_the_case(store: Store) -> None:
    uma, sam = super_user(store), staff(store)
    case_id = open_case(store, post("1"))
    offer = offered(store, case_id, uma.id)
    store.moves.assign(case_id, assignee=sam.id, by=sam.id, now=NOW)
    assert store.handover.desk(uma.id) == []
    with pytest.raises(Conflict):
        store.handover.accept(offer, by=uma.id, now=NOW, lease=LEASE)


def test_an_overdue_case_goes_up_and_a_waiting_draft_is_withdrawn(store: Store) -> None:
    uma = super_user(store)
    case_id = open_case(store, post("1"))
    store.handover.accept(offered(store, case_id, uma.id), by=uma.id, now=NOW, lease=timedelta(days=1))
    store.moves.answer(case_id, by=uma.id, text="hm", now=NOW, needs_approval=True, sending=SENDING)
    [late] = store.cases.overdue(NOW + timedelta(hours=3))
    assert late.id == case_id
    raised = store.moves.escalate(case_id, tier=Tier.TIER_1, due_at=DUE, reason="nobody answered in time", now=NOW)
    assert (raised.tier, raised.state, raised.assignee) == (Tier.TIER_1, State.QUEUED, None)
    assert page(store, case_id).answers[0].state is AnswerState.WITHDRAWN
    assert_replays(store, case_id)


def test_networks_that_cannot_be_answered_say_so(store: Store) -> None:
    sam = staff(store)
    case_id = open_case(store, post("1", network="hackernews"), route(Tier.TIER_1), source="news")
    with pytest.raises(NotAllowed, match="by hand"):
        store.moves.answer(case_id, by=sam.id, text="hello", now=NOW, needs_approval=False, sending=SENDING)
    assert store.cases.get(case_id).state is State.QUEUED


def test_replies_of_one_source_leave_at_least_the_spacing_apart(store: Store) -> None:
    sam = staff(store)
    for i in range(3):
        case_id = open_case(store, post(str(i), thread=str(i)), route(Tier.TIER_1))
        spaced = Sending(sources=frozenset({"x"}), after=timedelta(seconds=10), spacing=timedelta(seconds=30))
        store.moves.answer(case_id, by=sam.id, text=f"hello {i}", now=NOW, needs_approval=False, sending=spaced)
    seen = [
        bool(store.outbox.claim(worker="w", now=NOW + timedelta(seconds=s), lease=LEASE, sources=["x"])) for s in (9, 10, 39, 40, 69, 70)
    ]
    assert seen == [False, True, False, True, False, True]


def test_at_most_three_replies_of_ours_stand_without_a_word_of_the_author(store: Store) -> None:
    sam = staff(store)
    case_id = open_case(store, post("1", thread="t"), route(Tier.TIER_1))
    for i in range(3):
        store.moves.answer(case_id, by=sam.id, text=f"hello {i}", now=NOW, needs_approval=False, sending=SENDING)
        reply = store.outbox.claim(worker="w", now=NOW, lease=LEASE, sources=["x"])
        assert reply is not None
        store.outbox.sent(reply, native_id=f"r{i}", url="", worker="w", now=NOW)
    with pytest.raises(NotAllowed, match="3 replies"):
        store.moves.answer(case_id, by=sam.id, text="hello?", now=NOW, needs_approval=False, sending=SENDING)
    open_case(store, post("2", thread="t"), route(Tier.TIER_1))
    store.moves.answer(case_id, by=sam.id, text="hello again", now=NOW, needs_approval=False, sending=SENDING)


def test_the_author_says_that_it_worked_and_the_answer_is_credited(store: Store) -> None:
    uma = super_user(store)
    case_id = open_case(store, post("1", thread="t"))
    store.handover.accept(offered(store, case_id, uma.id), by=uma.id, now=NOW, lease=LEASE)
    store.moves.answer(case_id, by=uma.id, text="Hold the ring.", now=NOW, needs_approval=False, sending=SENDING)
    reply = store.outbox.claim(worker="w", now=NOW, lease=LEASE, sources=["x"])
    assert reply is not None
    store.outbox.sent(reply, native_id="r1", url="https://x.example/r1", worker="w", now=NOW)
    assert store.cases.get(case_id).state is State.ANSWERED

    open_case(store, post("2", "thanks, that worked!", thread="t"), route(Tier.NONE))
    assert store.cases.get(case_id).state is State.SOLVED
    assert page(store, case_id).answers[0].accepted is True
    assert store.accounts.roster(now=NOW)[0].membership.skills == {"hub": (1, 1)}
    assert_replays(store, case_id)


def test_the_author_asks_again_and_the_case_is_opened_again(store: Store) -> None:
    sam = staff(store)
    case_id = open_case(store, post("1", thread="t"), route(Tier.TIER_1))
    store.moves.answer(case_id, by=sam.id, text="Try again.", now=NOW, needs_approval=False, sending=SENDING)
    reply = store.outbox.claim(worker="w", now=NOW, lease=LEASE, sources=["x"])
    assert reply is not None
    store.outbox.sent(reply, native_id="r1", url="", worker="w", now=NOW)
    open_case(store, post("2", "it still does not work", thread="t"), route(Tier.COMMUNITY))
    case = store.cases.get(case_id)
    assert (case.state, case.tier) == (State.QUEUED, Tier.TIER_1)
    assert_replays(store, case_id)


def test_an_author_who_writes_while_our_reply_is_on_its_way_is_heard(store: Store) -> None:
    sam = staff(store)
    case_id = open_case(store, post("1", thread="t"), route(Tier.TIER_1))
    store.moves.answer(case_id, by=sam.id, text="Try again.", now=NOW, needs_approval=False, sending=SENDING)
    reply = store.outbox.claim(worker="w", now=NOW, lease=LEASE, sources=["x"])
    assert reply is not None
    open_case(store, post("2", "hello?", thread="t"), route(Tier.TIER_1))
    store.outbox.sent(reply, native_id="r1", url="", worker="w", now=NOW)
    assert store.cases.get(case_id).state is State.QUEUED
    assert Move.REOPEN in [e.move for e in store.cases.events(case_id)]
    assert_replays(store, case_id)


def test_our_own_reply_polled_back_is_no_mention(store: Store) -> None:
    sam = staff(store)
    case_id = open_case(store, post("1", thread="t"), route(Tier.TIER_1))
    store.moves.answer(case_id, by=sam.id, text="Try again.", now=NOW, needs_approval=False, sending=SENDING)
    reply = store.outbox.claim(worker="w", now=NOW, lease=LEASE, sources=["x"])
    assert reply is not None
    store.outbox.sent(reply, native_id="r1", url="", worker="w", now=NOW)
    from houses import keep

    assert keep(store, post("r1", "Try again.", thread="t", by="lumifern")) == 0


def test_the_queue_is_in_the_order_of_priority_and_counts_by_tier(store: Store) -> None:
    first = open_case(store, post("1", thread="1"), route(Tier.TIER_1))
    second = open_case(store, post("2", thread="2"), route(Tier.TIER_2))
    open_case(store, post("3", thread="3"), route(Tier.NONE))
    store.cases.set_priorities({second: (0.9, (("time", 0.9, "due"),))})
    queue = store.cases.queue()
    assert [item.case.id for item in queue.items] == [second, first]
    assert queue.counts == {(State.QUEUED, Tier.TIER_1): 1, (State.QUEUED, Tier.TIER_2): 1}
    assert store.cases.queue(tiers=[Tier.TIER_1]).total == 1
    assert store.cases.queue(networks=["reddit"]).total == 0


def test_reports_trace_back_to_mentions(store: Store) -> None:
    open_case(store, post("1", thread="1"))
    open_case(store, post("2", thread="2", by="ben"))
    reports = store.reports.influence()
    assert {r.author.handle: r.mentions for r in reports} == {"ana": 1, "ben": 1}
    today = store.reports.today(NOW + timedelta(hours=3))
    assert (today.waiting, today.overdue, today.heard_last_day) == (2, 2, 2)
    assert sum(day.mentions for day in store.reports.days(until=NOW)) == 2
    assert len(list(store.mentions.understood())) == 2
    assert score("x", "y").confidence == 0.9


def test_what_became_of_answers_is_counted_over_the_last_fifty(store: Store) -> None:
    uma, mia = super_user(store, open_posts=99), staff(store, "Mia", Role.MANAGER)
    for i in range(3):
        case_id = open_case(store, post(str(i), thread=str(i)))
        store.handover.accept(offered(store, case_id, uma.id), by=uma.id, now=NOW, lease=LEASE)
        store.moves.answer(case_id, by=uma.id, text=f"answer {i}", now=NOW, needs_approval=True, sending=SENDING)
        if i == 0:
            store.moves.reject_answer(case_id, by=mia.id, now=NOW, note="no")
        else:
            store.moves.approve_answer(case_id, by=mia.id, now=NOW, sending=SENDING)
    record = store.accounts.track_records()[uma.id]
    assert (record.judged, record.accepted, record.reviewed, record.agreed) == (0, 0, 3, 2)
    assert store.accounts.track_records(last=1)[uma.id].reviewed == 1
    store.accounts.set_trust({uma.id: 3})
    assert store.accounts.roster(now=NOW)[0].membership.trust_level == 3
