"""An author who is forgotten: what goes, what stays for others, and what does not come back. On both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from houses import LEASE, NOW, SENDING, keep, open_case, person, post, route, routed, staff, super_user
from sqlalchemy import event, select, update
from sqlmodel import SQLModel

from earshot.case import AnswerState, Move, Offer, OfferState, Outcome, ReplyState, State, replay
from earshot.errors import BadInput, Conflict, NotAllowed
from earshot.mention import Author, Mention
from earshot.pipeline import judge, settle
from earshot.rooms import Rooms
from earshot.storage import Store
from earshot.storage.erasing import Erased
from earshot.storage.forgetting import words_of
from earshot.storage.learnt import ChangeState
from earshot.storage.tables import AnswerRow, AuthorRow, CaseRow, CopyKeyRow, LearntRow, MentionRow, OfferRow, ReplyRow, VersionRow, table
from escalation.policy import default_policy

LATER = NOW + timedelta(hours=1)
WORDS = "my zircon lantern squeaks whenever the cat walks by"


def author_id(store: Store, handle: str = "ana") -> int:
    (known,) = store.forgetting.find("x", handle=handle)
    return known.id


def forget(store: Store, handle: str = "ana", *, never_again: bool = False) -> Erased:
    return store.forgetting.erase(author_id(store, handle), now=LATER, never_again=never_again)


def rows(store: Store, row: type[SQLModel]) -> list[Any]:
    with store.database.reading() as connection:
        return list(connection.execute(select(table(row)).order_by(*table(row).primary_key.columns)).all())


def change(store: Store, row: type[SQLModel], **values: object) -> None:
    with store.database.writing() as connection:
        connection.execute(update(table(row)).values(**values))


def everything(store: Store) -> str:
    """All that a database says, in lower case."""
    return "\n".join(str(words) for passage in store.forgetting.passages() for words in passage.words.values()).lower()


def understand(store: Store, *copies_of: int | None) -> None:
    """All that waits, as copies of these, in order."""
    waiting = store.mentions.claim(100, worker="w", now=NOW, lease=LEASE)
    originals = [*copies_of, *[None] * len(waiting)]
    store.mentions.write_routed(
        [routed(w, key=None if original else "", copy_of=original) for w, original in zip(waiting, originals, strict=False)],
        settle=settle,
        worker="w",
        now=NOW,
    )


def assert_replays(store: Store, case_id: int) -> None:
    case = store.cases.get(case_id)
    assert replay(store.cases.events(case_id)) == (case.state, case.tier, case.assignee)


# ---- who


def test_an_author_is_found_by_native_id_by_handle_and_else_in_whatever_case_the_handle_is_written(store: Store) -> None:
    keep(store, post("1", by="Ana"), post("2", by="ben"), post("3", by="Ana", network="reddit"))
    assert [known.author.handle for known in store.forgetting.find("x", handle="aNA")] == ["Ana"]
    assert [known.author.handle for known in store.forgetting.find("x", native_id="id-ben")] == ["ben"]
    assert store.forgetting.find("x", native_id="ben") == []
    assert store.forgetting.find("mastodon", handle="Ana") == []


def test_a_handle_as_it_stands_comes_before_one_in_another_case(store: Store) -> None:
    keep(store, post("1", by="ana"), post("2", by="ANA"))
    assert [known.author.handle for known in store.forgetting.find("x", handle="ANA")] == ["ANA"]
    assert len(store.forgetting.find("x", handle="Ana")) == 2


@pytest.mark.parametrize("handle", ["'; DROP TABLE author; --", "100%", "a_b", 'qu"ote\\', "狐狸🦊", "${x}:%s?"])
def test_a_hostile_handle_is_a_handle_like_others(store: Store, handle: str) -> None:
    case_id = open_case(store, post("1", WORDS, by=handle, thread="t"))
    keep(store, post("2", f"hi @{handle}, and @aXb and @100", by="ben"), post("3", WORDS[::-1], by="aXb"))
    forget(store, handle)
    left = everything(store)
    assert handle.lower() not in left
    assert WORDS not in left
    assert store.mentions.texts("x", ["2"]) == {"2": "hi @…, and @aXb and @100"}
    assert [known.author.handle for known in store.forgetting.find("x", handle="aXb")] == ["aXb"]
    assert_replays(store, case_id)


def test_a_name_of_a_megabyte_goes_like_a_short_one(store: Store) -> None:
    author = Author(network="x", native_id="1", handle="ana", name="Ana Long " * 120_000)
    keep(store, Mention(network="x", native_id="1", author=author, text=WORDS, url="", posted_at=NOW))
    keep(store, post("2", "Ana Long was here", by="ben"))
    forget(store)
    assert "ana long ana long" not in everything(store)
    assert store.mentions.texts("x", ["2"]) == {"2": "Ana Long was here"}


def test_an_author_without_mentions_is_forgotten(store: Store) -> None:
    keep(store, post("1", by="ben"))
    with store.database.writing() as connection:
        connection.execute(table(AuthorRow).insert().values(network="x", native_id="id-ana", handle="ana", verified=False, seen_at=NOW))
    erased = forget(store)
    assert (erased.counts, erased.texts) == ({}, [])
    assert [row.handle for row in rows(store, AuthorRow)] == ["ben"]


def test_a_second_time_there_is_nobody_and_it_is_known_why(store: Store) -> None:
    keep(store, post("1"))
    id_ = author_id(store)
    store.forgetting.erase(id_, now=LATER)
    with pytest.raises(BadInput, match="a moment ago"):
        store.forgetting.erase(id_, now=LATER)
    assert store.forgetting.find("x", handle="ana") == []
    assert store.forgetting.forgotten_at("x", "ana") == store.forgetting.forgotten_at("x", "id-ana") == LATER
    assert store.forgetting.forgotten_at("x", "ben") is None


# ---- what goes


def test_a_post_keeps_neither_words_nor_names_nor_ids_nor_the_second_at_which_it_stood(store: Store) -> None:
    full = Mention(
        network="x", native_id="native-1", author=person(), text=WORDS, url="https://x.example/1", posted_at=NOW, thread_id="thread-1",
        parent_id="parent-1", lang_hint="en", company="Lumifern", likes=3, reposts=4, replies=5,
    )  # fmt: skip
    open_case(store, full)
    forget(store)
    (row,) = rows(store, MentionRow)
    left = {name: value for name, value in row._asdict().items() if value not in (None, "", 0)}
    midnight = NOW.replace(hour=0)
    assert left == {
        "id": row.id, "network": "x", "native_id": f"forgotten-{row.id}", "stage": 8, "posted_at": midnight, "seen_at": midnight,
        "case_id": row.case_id,
    }  # fmt: skip
    assert rows(store, AuthorRow) == []


@pytest.fixture
def busy(store: Store) -> dict[str, int]:
    """Every table that can tell of ana does so; ben has the same beside her."""
    sam, uma = staff(store), super_user(store)
    cases = {}
    for name in ("ana", "ben"):
        mention = post(name, f"{name} says: {WORDS}", by=name, thread=f"thread-{name}")
        case_id = cases[name] = open_case(store, mention, route(reason=f"{name} is angry"))
        (item,) = [item for item in store.cases.queue().items if item.case.id == case_id]
        assert item.handle == name
        mention_id = store.mentions.by_native_ids("x", [name])[name]
        store.labels.keep(mention_id, {"asks": "no"}, by=sam.id, now=NOW, note=f"{name} never asks")
        store.lessons.add([mention_id], day=NOW.date())
        store.handover.claim(10, worker="w", now=NOW, lease=LEASE)
        offer = Offer(case_id=case_id, super_user=uma.id, offered_at=NOW, expires_at=LATER, reason=f"knows {name}")
        store.handover.write_offers([offer], worker="w", now=NOW)
        store.moves.assign(case_id, assignee=sam.id, by=sam.id, now=NOW)
        store.moves.answer(case_id, by=sam.id, text=f"Dear {name}, draft", now=NOW, needs_approval=True, sending=SENDING)
        store.moves.reject_answer(case_id, by=uma.id, now=NOW, note=f"not to {name}")
        store.moves.answer(case_id, by=sam.id, text=f"Dear {name}, sent", now=NOW, needs_approval=False, sending=SENDING)
    with store.database.writing() as connection:
        for name in ("ana", "ben"):
            mention_id = store.mentions.by_native_ids("x", [name])[name]
            connection.execute(table(CopyKeyRow).insert().values(key=mention_id * 7, mention_id=mention_id))
    change(store, CaseRow, parts=[["reach", 0.5, "words"]], anger="angry", intent="question", priority=0.7)
    return cases


def test_what_hangs_on_an_author_goes_and_what_hangs_on_others_stays(store: Store, busy: dict[str, int]) -> None:
    before = everything(store)
    erased = forget(store)
    left = everything(store)
    assert "ana" in before
    assert "ana" not in left
    assert left.count("ben") == before.count("ben")
    assert erased.counts == {
        "posts": 1, "cases": 1, "cases closed": 1, "steps of cases": 7, "offers": 1, "answers": 2, "replies": 1, "replies stopped": 1,
        "labels": 1, "lessons": 1, "near-copy keys": 1,
    }  # fmt: skip


def test_a_case_keeps_its_history_without_words_and_replays(store: Store, busy: dict[str, int]) -> None:
    moves = [event.move for event in store.cases.events(busy["ana"])]
    forget(store)
    events = store.cases.events(busy["ana"])
    assert [event.move for event in events] == [*moves, Move.FAIL, Move.DISMISS]
    assert {event.reason for event in events} == {"", "the author was forgotten"}
    assert store.cases.get(busy["ana"]).state is State.CLOSED
    for case_id in busy.values():
        assert_replays(store, case_id)
    case = next(row for row in rows(store, CaseRow) if row.id == busy["ana"])
    assert (case.key, case.author_id, case.reason, case.rule) == (f"forgotten:{case.id}", None, "the author was forgotten", "")
    assert (case.parts, case.topics, case.anger, case.intent, case.lang, case.priority) == (None, None, "", "", "unsure", 0.0)
    assert case.opened_at == NOW.replace(hour=0)


@pytest.mark.parametrize("outcome", [Outcome.REVIEW, Outcome.AUTOMATIC])
def test_a_waiting_case_is_closed_and_nobody_finds_it_in_a_queue(store: Store, outcome: Outcome) -> None:
    case_id = open_case(store, post("1", thread="t"), route(outcome=outcome))
    forget(store)
    assert store.cases.queue().total == 0
    assert store.handover.claim(10, worker="w", now=LATER, lease=LEASE) == []
    assert_replays(store, case_id)


def test_an_open_offer_is_withdrawn_and_a_draft_too(store: Store) -> None:
    uma, vic = super_user(store), super_user(store, "Vic")
    offered, drafted = (open_case(store, post(name, thread=name)) for name in ("1", "2"))
    store.handover.claim(10, worker="w", now=NOW, lease=LEASE)
    offer = Offer(case_id=offered, super_user=uma.id, offered_at=NOW, expires_at=LATER, reason="knows hub")
    store.handover.write_offers([offer], worker="w", now=NOW)
    store.handover.release(worker="w")
    store.moves.answer(drafted, by=vic.id, text="Hold it.", now=NOW, needs_approval=True, sending=SENDING)
    forget(store)
    assert [row.state for row in rows(store, OfferRow)] == [OfferState.WITHDRAWN]
    assert [row.state for row in rows(store, AnswerRow)] == [AnswerState.WITHDRAWN]
    assert store.handover.desk(uma.id) == store.handover.desk(vic.id) == []
    for case_id in (offered, drafted):
        assert_replays(store, case_id)


def test_what_a_person_decided_before_may_still_be_taken_back(store: Store) -> None:
    sam, case_id = staff(store), open_case(store, post("1", thread="t"))
    store.moves.dismiss(case_id, by=sam.id, now=NOW, reason="ana only shouts")
    forget(store)
    assert store.moves.undo(case_id, by=sam.id, now=LATER).state is State.QUEUED
    assert "ana" not in everything(store)
    assert_replays(store, case_id)


def test_nobody_can_answer_somebody_who_was_forgotten(store: Store) -> None:
    sam, case_id = staff(store), open_case(store, post("1", thread="t"))
    forget(store)
    with pytest.raises(NotAllowed):
        store.moves.answer(case_id, by=sam.id, text="Hello?", now=LATER, needs_approval=False, sending=SENDING)
    assert rows(store, ReplyRow) == []


# ---- replies


def reply_to_ana(store: Store) -> int:
    case_id = open_case(store, post("1", thread="t"))
    store.moves.answer(case_id, by=staff(store).id, text="Dear ana", now=NOW, needs_approval=False, sending=SENDING)
    return case_id


def claim(store: Store, *, at: timedelta = timedelta(0)) -> Any:
    return store.outbox.claim(worker="w", now=NOW + at, lease=LEASE, sources=["x"])


def test_a_pending_reply_never_leaves(store: Store) -> None:
    reply_to_ana(store)
    forget(store)
    assert claim(store, at=timedelta(days=1)) is None
    assert store.outbox.open_replies() == 0


def test_a_reply_that_is_being_posted_is_settled_for_a_person_to_look(store: Store) -> None:
    case_id = reply_to_ana(store)
    reply = claim(store)
    erased = forget(store)
    assert erased.on_its_way == 1
    store.outbox.sent(reply, native_id="ours-1", url="https://x.example/ours", worker="w", now=LATER)
    (row,) = rows(store, ReplyRow)
    assert (row.state, row.text, row.parent_id, row.native_id, row.url) == (ReplyState.NEEDS_PERSON, "", "", None, "")
    assert claim(store, at=timedelta(days=1)) is None
    assert_replays(store, case_id)


def test_a_reply_that_stands_there_is_named_and_does_not_come_back_as_a_mention(store: Store) -> None:
    case_id = reply_to_ana(store)
    store.outbox.sent(claim(store), native_id="ours-1", url="https://x.example/ours", worker="w", now=NOW)
    erased = forget(store)
    assert (list(erased.standing), erased.on_its_way) == (["https://x.example/ours"], 0)
    assert "ours" not in everything(store)
    assert keep(store, post("ours-1", "Dear ana", by="brand")) == 0
    assert store.cases.get(case_id).state is State.ANSWERED
    assert_replays(store, case_id)


# ---- what others said


def test_reposts_that_the_network_declares_lose_their_words_and_copies_by_others_keep_theirs(store: Store) -> None:
    keep(store, post("1", WORDS))
    understand(store)
    original = store.mentions.by_native_ids("x", ["1"])["1"]
    keep(store, post("2", f"RT @ana: {WORDS}", by="ben", repost_of="1"))
    keep(store, *(post(str(n), f"{WORDS} {n}", by=f"fan{n}") for n in (3, 4, 5)))
    understand(store, original, original, original, original)
    erased = forget(store)
    assert erased.counts["reposts of them by others"] == 1
    assert store.mentions.texts("x", ["2", "3"]) == {"2": "", "3": f"{WORDS} 3"}
    third, *others = (row for row in rows(store, MentionRow) if row.native_id in "345")
    assert third.copy_of is None
    assert [row.copy_of for row in others] == [third.id, third.id]
    assert rows(store, CopyKeyRow) == []


def test_their_handle_is_masked_in_words_of_others_on_their_network_only(store: Store) -> None:
    said = "@ana and @Ana, u/ANA! mail bob@ana.example, @anabel, banana, https://x.com/ana/status/1 @ana-lou"
    masked = "@… and @…, @…! mail bob@ana.example, @anabel, banana, @…/status/1 @ana-lou"
    keep(store, post("1"), post("2", said, by="ben"), post("3", said, by="ben", network="reddit"))
    forget(store)
    assert store.mentions.texts("x", ["2"]) == {"2": masked}
    assert store.mentions.texts("reddit", ["3"]) == {"3": said}


def test_a_telling_name_is_masked_wherever_it_stands_and_a_plain_one_is_not(store: Store) -> None:
    ana = Author(network="x", native_id="1", handle="lampfan_77", name="Ana Lindqvist")
    keep(store, Mention(network="x", native_id="1", author=ana, text=WORDS, url="", posted_at=NOW))
    keep(store, post("2", "as Ana Lindqvist (lampfan_77) said; Ana is right", by="ben"))
    store.forgetting.erase(author_id(store, "lampfan_77"), now=LATER)
    assert store.mentions.texts("x", ["2"]) == {"2": "as @… (@…) said; Ana is right"}


def test_a_name_that_somebody_else_has_too_is_not_masked(store: Store) -> None:
    for native_id in ("1", "2"):
        ana = Author(network="x", native_id=native_id, handle=f"ana{native_id}", name="Ana Lindqvist")
        keep(store, Mention(network="x", native_id=native_id, author=ana, text=f"Ana Lindqvist here, {native_id}", url="", posted_at=NOW))
    store.forgetting.erase(author_id(store, "ana1"), now=LATER)
    assert store.mentions.texts("x", ["2"]) == {"2": "Ana Lindqvist here, 2"}


def test_what_people_of_ours_wrote_elsewhere_names_them_no_more(store: Store) -> None:
    keep(store, post("1"))
    sam, case_id = staff(store), open_case(store, post("2", by="ben", thread="t"))
    store.moves.dismiss(case_id, by=sam.id, now=NOW, reason="the same as @ana's")
    forget(store)
    assert store.cases.events(case_id)[-1].reason == "the same as @…'s"
    assert store.cases.get(case_id).reason == "the same as @…'s"


def test_answers_of_others_to_their_posts_point_nowhere(store: Store) -> None:
    keep(store, post("1"))
    reply = Mention(network="x", native_id="2", author=person("ben"), text="same here", url="", posted_at=NOW, parent_id="1", thread_id="1")
    keep(store, reply)
    forget(store)
    assert [(row.parent_id, row.thread_id) for row in rows(store, MentionRow) if row.native_id == "2"] == [(None, "1")]


# ---- what was learnt


def install(store: Store, at: timedelta) -> int:
    return store.learnt.install(b"weights", base="b", labels=1, judged=[], now=NOW + at)


def test_changes_learnt_since_a_person_worked_on_their_posts_go_and_the_one_before_is_in_use_again(store: Store) -> None:
    open_case(store, post("1"))
    clean = install(store, timedelta(minutes=-1))
    mention_id = store.mentions.by_native_ids("x", ["1"])["1"]
    store.labels.keep(mention_id, {"asks": "no"}, by=staff(store).id, now=NOW)
    install(store, timedelta(minutes=1))
    install(store, timedelta(minutes=2))
    assert forget(store).counts["learnt changes"] == 2
    assert store.learnt.current() == {"b": clean}
    assert [(change.id, change.state) for change in store.learnt.listed()] == [(clean, ChangeState.CURRENT)]
    assert store.labels.taught() == []


def test_a_label_that_was_taken_back_leaves_no_change_that_learnt_from_it(store: Store) -> None:
    sam, _ = staff(store), open_case(store, post("1"))
    mention_id = store.mentions.by_native_ids("x", ["1"])["1"]
    store.labels.keep(mention_id, {"asks": "no"}, by=sam.id, now=NOW)
    install(store, timedelta(minutes=1))
    store.labels.take_back(mention_id, by=sam.id, now=NOW + timedelta(minutes=2))
    forget(store)
    assert rows(store, LearntRow) == []


def test_changes_stay_where_nobody_worked_on_their_posts(store: Store) -> None:
    open_case(store, post("1"))
    change = install(store, timedelta(minutes=1))
    forget(store)
    assert store.learnt.current() == {"b": change}


def test_what_was_being_learnt_while_they_were_forgotten_is_refused(store: Store) -> None:
    keep(store, post("1"))
    forget(store)
    with pytest.raises(Conflict, match="learn again"):
        install(store, timedelta(0))
    install(store, timedelta(hours=2))


# ---- what comes back


def test_an_erased_post_does_not_come_back_and_a_later_one_is_new(store: Store) -> None:
    keep(store, post("1", WORDS))
    forget(store)
    assert keep(store, post("1", WORDS), post("2", "hello again")) == 1
    assert store.mentions.unknown([post("1", by=None)]) == []
    assert store.mentions.texts("x", ["2"]) == {"2": "hello again"}


def test_an_author_who_is_never_to_be_heard_again_is_not(store: Store) -> None:
    keep(store, post("1"), post("2", by="ben"))
    forget(store, never_again=True)
    assert keep(store, post("3"), post("4", by="ben"), post("5", by="ana", network="reddit")) == 2
    assert store.forgetting.find("x", handle="ana") == []


def test_somebody_forgotten_before_may_be_dropped_from_now_on(store: Store) -> None:
    store.forgetting.never_hear("x", "id-ana", now=NOW)
    assert keep(store, post("1"), post("2", by="ben")) == 1


def test_who_is_forgotten_while_a_file_is_read_is_not_taken_in_afterwards(store: Store) -> None:
    keep(store, post("1"))
    new = store.mentions.unknown([post("2")])
    judged = judge(Rooms(policy=default_policy()), new, now=NOW)
    forget(store, never_again=True)
    with pytest.raises(Conflict, match="forgotten"):
        store.mentions.take_in(judged, place=lambda *_: [], settle=settle, source="x", now=NOW)


def test_a_post_that_a_worker_holds_is_not_written_after_its_author_was_forgotten(store: Store) -> None:
    keep(store, post("1", WORDS))
    waiting = store.mentions.claim(10, worker="w", now=NOW, lease=LEASE)
    forget(store)
    assert store.mentions.write_routed([routed(w) for w in waiting], settle=settle, worker="w", now=LATER) == 0
    assert WORDS not in everything(store)


def statements_for(store: Store, mentions: list[Mention]) -> int:
    seen: list[object] = []

    def note(*given: object) -> None:
        seen.append(given)

    event.listen(store.database.engine, "before_cursor_execute", note)
    store.mentions.unknown(mentions)
    event.remove(store.database.engine, "before_cursor_execute", note)
    return len(seen)


def test_looking_up_the_forgotten_costs_a_batch_the_same_few_statements_however_large_it_is(store: Store) -> None:
    keep(store, post("1"))
    forget(store, never_again=True)
    counts = [statements_for(store, [post(f"{n}-{i}", by=f"author{i}") for i in range(n)]) for n in (1, 200)]
    assert counts[0] == counts[1]


def test_what_their_posts_said_before_goes_too_and_their_handle_is_masked_in_former_words_of_others(store: Store) -> None:
    keep(store, post("1", WORDS), post("2", "ask @ana, she knows", by="ben"))
    keep(store, post("1", "never mind"), post("2", "ask somebody", by="ben"))
    erased = forget(store)
    assert (erased.counts["former versions"], WORDS in erased.texts) == (1, True)
    assert WORDS not in everything(store)
    assert [row.text for row in rows(store, VersionRow)] == ["ask @…, she knows"]


# ---- all or nothing


class PowerCut(Exception):
    pass


def test_a_preview_counts_what_would_go_and_changes_nothing(store: Store, busy: dict[str, int]) -> None:
    before = everything(store)
    preview = store.forgetting.preview(author_id(store), now=LATER)
    assert everything(store) == before
    assert preview.counts == forget(store).counts


@pytest.mark.parametrize("statements", [3, 12, 20, 30, 40])
def test_what_breaks_off_half_way_leaves_everything_as_it_was(store: Store, busy: dict[str, int], statements: int) -> None:
    author, before, left = author_id(store), everything(store), [statements]

    def pull_the_plug(*_: object) -> None:
        left[0] -= 1
        if not left[0]:
            raise PowerCut

    event.listen(store.database.engine, "after_cursor_execute", pull_the_plug)
    with pytest.raises(PowerCut):
        store.forgetting.erase(author, now=LATER)
    event.remove(store.database.engine, "after_cursor_execute", pull_the_plug)
    assert everything(store) == before
    forget(store)
    assert "ana" not in everything(store)


# ---- completeness

#: where words come from: what is added must be decided on here
ERASED = {
    "author": {"native_id", "handle", "name", "bio", "url"},
    "mention": {
        "native_id", "text", "url", "thread_id", "parent_id", "repost_of", "lang_hint", "company", "source", "claimed_by", "scores",
    },
    "mention_version": {"text"},
    "case_": {"key", "reason", "rule", "parts", "lang", "anger", "intent", "topics", "claimed_by"},
    "event": {"reason", "data"},
    "offer": {"reason", "pass_reason"},
    "answer": {"text", "note"},
    "reply": {"parent_id", "text", "claimed_by", "native_id", "url", "error"},
    "label": {"question", "was", "now_is", "note"},
    "lesson": {"day", "state"},
    "learnt": {"base", "state", "judged", "content"},
}  # fmt: skip
#: names of our own, states, numbers, hashes: nothing of an author stands there
OURS = {
    "account": {"email", "name", "role", "tier", "languages", "topics", "password_hash"},
    "author": {"network"},
    "backfill": {"source", "state", "claimed_by"},
    "case_": {"network", "state", "tier", "outcome", "policy"},
    "event": {"actor", "move"},
    "forgotten": {"key"},
    "gap": {"source"},
    "mention": {"network"},
    "offer": {"state"},
    "answer": {"state"},
    "reply": {"source", "network", "key", "state"},
    "sign_in_try": {"key"},
    "skill": {"topic"},
    "source": {"name", "network", "lease_by", "state", "month", "day"},
    "super_user": {"quiet_from", "quiet_to", "timezone"},
    "tally": {"question", "labels"},
    "turn": {"work", "day"},
    "web_session": {"token_hash"},
}  # fmt: skip
#: what people of ours or networks wrote: the proof looks there, and a person decides
LOOKED_THROUGH = {
    "backfill": {"cursor", "reason"},
    "article": {"slug", "title", "lang", "topic", "product", "body", "words"},
    "policy": {"version", "toml", "note"},
    "saved_query": {"name", "text", "sources", "not_by", "not_saying"},
    "super_user": {"about"},
    "gap": {"why"},
    "source": {"cursor", "reason"},
}


def test_it_is_decided_for_every_column_that_can_hold_words_what_becomes_of_it() -> None:
    decided = {(name, column) for part in (ERASED, OURS, LOOKED_THROUGH) for name, columns in part.items() for column in columns}
    assert {(rows.name, column.name) for rows in SQLModel.metadata.sorted_tables for column in words_of(rows)} == decided
