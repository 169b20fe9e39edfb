"""What people teach: labels, and what their work says without a word."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from houses import LEASE, NOW, SENDING, keep, newest_case, post, route, routed, score, staff, super_user

from earshot.case import Move, Offer, Outcome, PassReason, Route, Tier, replay
from earshot.errors import BadInput, Conflict
from earshot.mention import Score
from earshot.pipeline import settle
from earshot.storage import Store
from earshot.storage.labels import Kind, Taught

TODAY = date(2026, 3, 2)
SCORES = (
    score("language", "en"),
    score("intent", "question"),
    score("needs", "common", 0.7),
    score("anger", "calm"),
    score("asks", "yes", 0.9),
)


def understood(store: Store, native_id: str = "1", decision: Route | None = None, scores: tuple[Score, ...] = SCORES) -> tuple[int, int]:
    """(case, mention) of a post with these scores."""
    keep(store, post(native_id, by=f"author{native_id}"))
    waiting = store.mentions.claim(100, worker="w", now=NOW, lease=LEASE)
    store.mentions.write_routed([routed(w, decision, *scores) for w in waiting], settle=settle, worker="w", now=NOW)
    return newest_case(store), waiting[0].id


def said(store: Store) -> dict[tuple[int, str], tuple[str, Kind]]:
    return {(t.mention_id, t.question): (t.label, t.kind) for t in store.labels.taught()}


def test_a_label_is_taught_with_its_text_and_language(store: Store) -> None:
    sam = staff(store)
    case_id, mention_id = understood(store)
    store.labels.keep(mention_id, {"anger": "angry"}, by=sam.id, now=NOW, case_id=case_id)
    assert store.labels.taught() == [
        Taught(
            mention_id=mention_id,
            text="how do I pair the hub?",
            lang="en",
            question="anger",
            label="angry",
            was="calm",
            kind=Kind.CORRECTION,
            at=NOW,
        )
    ]


def test_saying_what_we_said_is_a_confirmation_and_the_last_word_counts(store: Store) -> None:
    sam, mia = staff(store), staff(store, "Mia")
    _, mention_id = understood(store)
    store.labels.keep(mention_id, {"anger": "angry"}, by=sam.id, now=NOW)
    store.labels.keep(mention_id, {"anger": "calm"}, by=mia.id, now=NOW + timedelta(minutes=1))
    assert said(store) == {(mention_id, "anger"): ("calm", Kind.CONFIRMATION)}


def test_a_corrected_language_is_the_language_of_all_that_is_taught_of_it(store: Store) -> None:
    sam = staff(store)
    _, mention_id = understood(store)
    store.labels.keep(mention_id, {"asks": "no", "language": "zh"}, by=sam.id, now=NOW)
    assert {t.lang for t in store.labels.taught()} == {"zh"}


@pytest.mark.parametrize("question", ["mood", "tier"])
def test_a_label_needs_a_question_that_was_asked(store: Store, question: str) -> None:
    sam = staff(store)
    case_id, mention_id = understood(store)
    with pytest.raises(BadInput, match="nobody asked"):
        store.labels.keep(mention_id, {question: "x"}, by=sam.id, now=NOW)
    with pytest.raises(BadInput, match="no mention"):
        store.labels.keep(mention_id, {"asks": "no"}, by=sam.id, now=NOW, case_id=case_id + 1)
    with pytest.raises(BadInput, match="no mention"):
        store.labels.keep(mention_id + 99, {"asks": "no"}, by=sam.id, now=NOW)
    assert store.labels.taught() == []


def test_the_history_of_the_case_tells_a_label_and_its_undo_and_still_replays(store: Store) -> None:
    sam = staff(store)
    case_id, mention_id = understood(store)
    store.moves.retier(case_id, tier=Tier.TIER_2, by=sam.id, now=NOW, due_at=NOW)
    store.labels.keep(mention_id, {"anger": "angry"}, by=sam.id, now=NOW)
    store.labels.take_back(mention_id, by=sam.id, now=NOW)
    events = store.cases.events(case_id)
    assert [(e.move, e.reason) for e in events[-2:]] == [(Move.LABEL, "anger is angry"), (Move.UNLABEL, "anger")]
    store.moves.undo(case_id, by=sam.id, now=NOW)  # the step before the labels
    case = store.cases.get(case_id)
    assert case.tier is Tier.COMMUNITY
    assert replay(store.cases.events(case_id)) == (case.state, case.tier, case.assignee)
    assert store.labels.taught() == []


def test_taking_back_takes_what_was_said_at_once_and_only_ones_own(store: Store) -> None:
    sam, mia = staff(store), staff(store, "Mia")
    _, mention_id = understood(store)
    store.labels.keep(mention_id, {"anger": "angry"}, by=sam.id, now=NOW)
    store.labels.keep(mention_id, {"asks": "no", "needs": "none"}, by=sam.id, now=NOW + timedelta(seconds=1))
    with pytest.raises(Conflict, match="nothing of yours"):
        store.labels.take_back(mention_id, by=mia.id, now=NOW)
    store.labels.take_back(mention_id, by=sam.id, now=NOW)
    assert [t.question for t in store.labels.taught()] == ["anger"]


def test_a_tier_that_a_person_kept_confirms_it_unless_taken_back(store: Store) -> None:
    mia = staff(store, "Mia")
    proposal = route(Tier.TIER_1, Outcome.REVIEW)
    kept, kept_mention = understood(store, "1", proposal)
    changed, changed_mention = understood(store, "2", proposal)
    undone, _ = understood(store, "3", proposal)
    store.moves.confirm(kept, tier=Tier.TIER_1, by=mia.id, now=NOW, due_at=NOW)
    store.moves.confirm(changed, tier=Tier.COMMUNITY, by=mia.id, now=NOW, due_at=NOW)
    store.moves.confirm(undone, tier=Tier.TIER_1, by=mia.id, now=NOW, due_at=NOW)
    store.moves.undo(undone, by=mia.id, now=NOW)
    assert said(store) == {
        (kept_mention, "tier"): ("tier_1", Kind.CONFIRMATION),
        (changed_mention, "tier"): ("community", Kind.CORRECTION),
    }


def offered(store: Store, case_id: int, to: int) -> int:
    store.handover.claim(10, worker="w", now=NOW, lease=LEASE)
    offer = Offer(case_id=case_id, super_user=to, offered_at=NOW, expires_at=NOW + timedelta(minutes=20), reason="knows the hub")
    store.handover.write_offers([offer], worker="w", now=NOW)
    store.handover.release(worker="w")
    return next(item.offer_id for item in store.handover.desk(to) if item.case.id == case_id and item.offer_id)


@pytest.mark.parametrize(
    ("reason", "taught"),
    [
        (PassReason.TOO_ANGRY, ("anger", "angry")),
        (PassReason.TOO_TECHNICAL, ("needs", "specialist")),
        (PassReason.NOT_MY_TOPIC, None),
        (PassReason.NO_TIME, None),
    ],
)
def test_a_pass_says_what_its_reason_implies(store: Store, reason: PassReason, taught: tuple[str, str] | None) -> None:
    uma = super_user(store)
    case_id, mention_id = understood(store)
    offered(store, case_id, uma.id)
    store.handover.pass_on(case_id, by=uma.id, reason=reason, now=NOW, tier=Tier.COMMUNITY, due_at=NOW)
    assert said(store) == ({(mention_id, taught[0]): (taught[1], Kind.CORRECTION)} if taught else {})


def test_an_answer_of_a_super_user_that_helped_bears_out_that_it_was_an_easy_question(store: Store) -> None:
    uma, sam = super_user(store), staff(store)
    case_id, mention_id = understood(store, scores=(*SCORES[:2], score("needs", "specialist"), *SCORES[3:]))
    store.handover.accept(offered(store, case_id, uma.id), by=uma.id, now=NOW, lease=LEASE)
    store.moves.answer(case_id, by=uma.id, text="Hold the ring.", now=NOW, needs_approval=False, sending=SENDING)
    assert store.labels.taught() == []
    reply = store.outbox.claim(worker="w", now=NOW, lease=LEASE, sources=["x"])
    assert reply is not None
    store.outbox.sent(reply, native_id="r", url="", worker="w", now=NOW)
    store.moves.solve(case_id, by=sam.id, now=NOW)
    assert said(store) == {
        (mention_id, "asks"): ("yes", Kind.CONFIRMATION),
        (mention_id, "needs"): ("common", Kind.CORRECTION),
        (mention_id, "tier"): ("community", Kind.CONFIRMATION),
    }
    store.labels.keep(mention_id, {"needs": "specialist"}, by=sam.id, now=NOW)  # a word counts more than what work implies
    assert said(store)[mention_id, "needs"] == ("specialist", Kind.CONFIRMATION)


def test_a_deleted_post_teaches_nothing_and_what_is_older_can_be_left_out(store: Store) -> None:
    from earshot.storage.mentions import Poll

    sam = staff(store)
    _, gone = understood(store, "1")
    _, stays = understood(store, "2")
    for minutes, mention_id in enumerate((gone, stays)):
        store.labels.keep(mention_id, {"asks": "no"}, by=sam.id, now=NOW + timedelta(minutes=minutes))
    assert [t.mention_id for t in store.labels.taught(since=NOW + timedelta(seconds=1))] == [stays]
    store.sources.declare([("x", "x")])
    assert store.sources.take("x", worker="w", now=NOW, lease=LEASE)
    store.mentions.keep_new([], source="x", now=NOW, poll=Poll(source="x", worker="w", cursor=None, deleted={"1": ()}))
    assert [t.mention_id for t in store.labels.taught()] == [stays]


# ---- lessons


def test_a_day_has_ten_lessons_at_most_and_none_comes_twice(store: Store) -> None:
    ids = [understood(store, str(i))[1] for i in range(12)]
    store.lessons.add(ids[:8], day=TODAY)
    store.lessons.add(ids, day=TODAY)
    lessons = store.lessons.of_day(TODAY)
    assert len(lessons) <= 10
    assert [lesson.mention_id for lesson in lessons][:8] == ids[:8]


def test_a_lesson_is_taught_when_all_its_questions_are_answered_and_open_again_when_one_is_taken_back(store: Store) -> None:
    sam = staff(store)
    _, mention_id = understood(store)
    store.lessons.add([mention_id], day=TODAY)
    store.labels.keep(mention_id, {"intent": "problem"}, by=sam.id, now=NOW)
    [lesson] = store.lessons.of_day(TODAY)
    assert (lesson.is_open, lesson.said) == (True, {"intent": "problem"})
    store.labels.keep(mention_id, {"needs": "common", "anger": "calm", "asks": "yes"}, by=sam.id, now=NOW + timedelta(seconds=1))
    [lesson] = store.lessons.of_day(TODAY)
    assert (lesson.state, lesson.by_name) == ("taught", "Sam")
    store.labels.take_back(mention_id, by=sam.id, now=NOW)
    [lesson] = store.lessons.of_day(TODAY)
    assert (lesson.is_open, lesson.said) == (True, {"intent": "problem"})


def test_a_skipped_lesson_can_be_taken_back_and_keeps_its_labels(store: Store) -> None:
    sam = staff(store)
    _, mention_id = understood(store)
    with pytest.raises(BadInput, match="no lesson"):
        store.labels.skip(mention_id, by=sam.id, now=NOW)
    store.lessons.add([mention_id], day=TODAY)
    store.labels.keep(mention_id, {"intent": "problem"}, by=sam.id, now=NOW)
    store.labels.skip(mention_id, by=sam.id, now=NOW)
    assert store.lessons.of_day(TODAY)[0].state == "skipped"
    store.labels.take_back(mention_id, by=sam.id, now=NOW)
    [lesson] = store.lessons.of_day(TODAY)
    assert (lesson.is_open, lesson.said) == (True, {"intent": "problem"})


def test_what_was_labelled_or_offered_is_no_candidate_again(store: Store) -> None:
    sam = staff(store)
    labelled, lesson, fresh = (understood(store, str(i))[1] for i in range(3))
    store.labels.keep(labelled, {"anger": "calm"}, by=sam.id, now=NOW)
    store.lessons.add([lesson], day=TODAY)
    found = store.lessons.candidates(day=TODAY, since=NOW - timedelta(days=1), until=NOW)
    assert [id_ for id_, _ in found] == [fresh]
    assert store.lessons.candidates(day=TODAY, since=NOW, until=NOW) == []


def test_what_nobody_got_round_to_may_be_a_lesson_on_another_day_and_what_was_skipped_not(store: Store) -> None:
    sam, tomorrow = staff(store), TODAY + timedelta(days=1)
    left, skipped = (understood(store, str(i))[1] for i in range(2))
    store.lessons.add([left, skipped], day=TODAY)
    store.labels.skip(skipped, by=sam.id, now=NOW)
    again = [id_ for id_, _ in store.lessons.candidates(day=tomorrow, since=NOW - timedelta(days=1), until=NOW)]
    assert again == [left]
    store.lessons.add(again, day=tomorrow)
    assert [lesson.mention_id for lesson in store.lessons.of_day(tomorrow)] == [left]
