"""Posts that come again with other words: versions, and what becomes of their cases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from houses import LEASE, NOW, SENDING, keep, newest_case, post, route, routed, score, staff
from msgspec.structs import replace

from earshot.case import Move, Outcome, Route, State, Tier, replay
from earshot.mention import Mention, Score
from earshot.pipeline import settle
from earshot.storage import Store
from earshot.storage.arrivals import Heard
from earshot.storage.cases import CasePage
from earshot.storage.edits import MOST_VERSIONS, Version
from earshot.storage.mentions import Poll
from earshot.storage.tables import CopyKeyRow, VersionRow, table
from listener.edits import added
from listener.near_copies import copy_keys

ASKED = "how do I pair the hub with my phone?"
LATER = NOW + timedelta(minutes=5)
NOBODY = route(Tier.NONE)


def hear(store: Store, *mentions: Mention, now: datetime = LATER) -> int:
    """Keep what came, with all that keeping needs; returns how many were edited."""
    heard = [Heard(mention=m, copy_keys=keys) for m, keys in zip(mentions, copy_keys([m.text for m in mentions]), strict=True)]
    return store.mentions.keep_new(heard, source="x", now=now, keys_of=copy_keys).edited


def understand(store: Store, decision: Route | None = None, *scores: Score, now: datetime = LATER) -> None:
    waiting = store.mentions.claim(100, worker="w", now=now, lease=LEASE)
    batch = [
        replace(routed(w, decision, *scores), added=None if w.former is None else added([(w.former, w.mention.text)])[0]) for w in waiting
    ]
    store.mentions.write_routed(batch, settle=settle, worker="w", now=now)


def opened(store: Store, mention: Mention, decision: Route | None = None) -> int:
    hear(store, mention, now=NOW)
    understand(store, decision, now=NOW)
    return newest_case(store)


def edit(store: Store, mention: Mention, text: str, decision: Route | None = None) -> None:
    assert hear(store, replace(mention, text=text)) == 1
    understand(store, decision)


def page_of(store: Store, case_id: int) -> CasePage:
    page = store.cases.page(case_id)
    assert page is not None
    assert replay(store.cases.events(case_id)) == (page.case.state, page.case.tier, page.case.assignee)
    return page


def moves(store: Store, case_id: int) -> list[Move]:
    return [event.move for event in store.cases.events(case_id)]


def versions(store: Store) -> list[str]:
    with store.database.reading() as connection:
        return [row.text for row in connection.execute(table(VersionRow).select().order_by(table(VersionRow).c.id))]


# ---- versions


def test_an_edited_post_keeps_its_former_words_and_is_understood_again(store: Store) -> None:
    first = post("1", ASKED, thread="t")
    case_id = opened(store, first)
    edit(store, first, f"{ASKED} it is the old one", route())
    [shown] = page_of(store, case_id).posts
    assert shown.scored.mention.text == f"{ASKED} it is the old one"
    assert page_of(store, case_id).versions == {shown.id: (Version(text=ASKED, since=NOW, until=LATER),)}
    assert store.mentions.counts()["understood"] == 1


def test_nobody_edits_the_post_of_another(store: Store) -> None:
    """Incident 9: an id that another author brings again, or nobody, moves no words."""
    keep(store, post("1", "mine"))
    for by in ("eve", None):
        keep(store, post("1", "theirs", by=by))
    assert store.mentions.texts("x", ["1"]) == {"1": "mine"}


def test_an_edit_that_is_seen_twice_is_one_version(store: Store) -> None:
    keep(store, post("1", "one"))
    assert [hear(store, post("1", "two")), hear(store, post("1", "two")), hear(store, post("1", "two"), post("1", "two"))] == [1, 0, 0]
    assert versions(store) == ["one"]


def test_each_version_follows_the_one_before(store: Store) -> None:
    mention = post("1", ASKED)
    case_id = opened(store, mention)
    for minutes, text in ((5, "second words"), (9, "third words")):
        hear(store, replace(mention, text=text), now=NOW + timedelta(minutes=minutes))
    [(third, second)] = page_of(store, case_id).versions.values()
    assert (second.text, second.since, second.until) == (ASKED, NOW, LATER)
    assert (third.text, third.since, third.until) == ("second words", LATER, NOW + timedelta(minutes=9))


@pytest.mark.parametrize(
    ("ours", "theirs", "wins"),
    [(None, None, True), (None, 1, True), (1, None, False), (1, 2, True), (2, 1, False), (1, 1, False)],
)
def test_an_older_version_that_arrives_late_does_not_win(store: Store, ours: int | None, theirs: int | None, wins: bool) -> None:
    def at(minutes: int | None) -> datetime | None:
        return None if minutes is None else NOW + timedelta(minutes=minutes)

    keep(store, replace(post("1", "ours"), edited_at=at(ours)))
    assert hear(store, replace(post("1", "theirs"), edited_at=at(theirs))) == wins
    assert store.mentions.texts("x", ["1"]) == {"1": "theirs" if wins else "ours"}


def test_of_two_versions_in_one_page_the_one_that_was_edited_last_counts(store: Store) -> None:
    edited, first = replace(post("1", "edited"), edited_at=NOW), post("1", "first")
    hear(store, edited, first, first)
    assert (store.mentions.texts("x", ["1"]), versions(store)) == ({"1": "edited"}, [])


def test_two_workers_who_see_an_edit_at_once_write_one_version(store: Store) -> None:
    keep(store, *(post(str(n), "one") for n in range(20)))
    changed = [post(str(n), "two") for n in range(20)]
    with ThreadPoolExecutor(4) as pool:
        edited = list(pool.map(lambda order: hear(store, *changed[::order]), (1, -1, 1, -1)))
    assert (sum(edited), len(versions(store))) == (20, 20)


def test_who_holds_the_former_words_writes_nothing(store: Store) -> None:
    keep(store, post("1", "one"))
    held = store.mentions.claim(10, worker="slow", now=NOW, lease=LEASE)
    hear(store, post("1", "two"))
    assert store.mentions.write_routed([routed(w) for w in held], settle=settle, worker="slow", now=LATER) == 0
    [again] = store.mentions.claim(10, worker="w", now=LATER, lease=LEASE)
    assert (again.mention.text, again.former, again.tries) == ("two", None, 1)


def test_a_post_with_a_counter_in_it_is_read_anew_only_so_often(store: Store) -> None:
    keep(store, post("1", "0 comments"))
    edited = [hear(store, post("1", f"{n + 1} comments")) for n in range(MOST_VERSIONS + 3)]
    assert sum(edited) == len(versions(store)) == MOST_VERSIONS


def test_what_is_gone_stays_gone_and_its_versions_go_with_it(store: Store) -> None:
    hear(store, post("1", "zircon one"))
    hear(store, post("1", "zircon two"))
    store.sources.declare([("x", "x")])
    store.sources.take("x", worker="w", now=NOW, lease=LEASE)
    store.mentions.keep_new([], source="x", now=LATER, poll=Poll(source="x", worker="w", cursor=None, deleted={"1": ()}))
    assert versions(store) == []
    assert hear(store, post("1", "zircon three")) == 0
    assert store.mentions.texts("x", ["1"]) == {"1": ""}


def test_an_edited_post_is_found_by_its_new_words_and_by_its_former_ones_no_more(store: Store) -> None:
    before, after = "the blue lamp in my kitchen blinks all night long", "somebody stole the green lamp from our office garden"
    hear(store, post("1", before), now=NOW)
    understand(store)
    hear(store, post("1", after))
    with store.database.reading() as connection:
        kept = {row.key for row in connection.execute(table(CopyKeyRow).select())}
    assert kept == set(copy_keys([after])[0])


# ---- cases


def test_an_edit_is_no_further_word_of_the_author(store: Store) -> None:
    first, second = post("1", ASKED, thread="t"), post("2", "hello?", thread="t", at=LATER)
    case_id = opened(store, first)
    opened(store, second)
    edit(store, first, f"{ASKED} thanks in advance", route())
    [item] = store.cases.queue().items
    assert (item.mentions, item.text) == (2, "hello?")
    assert moves(store, case_id) == [Move.QUEUE, Move.JOIN, Move.EDIT]
    page_of(store, case_id)


def test_an_edit_may_raise_a_case(store: Store) -> None:
    mention = post("1", ASKED, thread="t")
    case_id = opened(store, mention)
    edit(store, mention, f"{ASKED} it smokes!", route(Tier.TIER_2, reason="danger"))
    case = page_of(store, case_id).case
    assert (case.tier, case.state, moves(store, case_id)[-2:]) == (Tier.TIER_2, State.QUEUED, [Move.EDIT, Move.ESCALATE])


def test_a_dismissed_case_opens_when_an_edit_makes_it_a_request(store: Store) -> None:
    mention = post("1", "I like the new hub", thread="t")
    case_id = opened(store, mention, NOBODY)
    assert store.cases.get(case_id).state is State.CLOSED
    edit(store, mention, "I like the new hub. EDIT: how do I pair it?", route())
    assert page_of(store, case_id).case.state is State.QUEUED


def test_a_proposal_stays_a_proposal(store: Store) -> None:
    mention = post("1", ASKED, thread="t")
    case_id = opened(store, mention, route(outcome=Outcome.REVIEW))
    edit(store, mention, f"{ASKED} it smokes!", route(Tier.TIER_2))
    case = page_of(store, case_id).case
    assert (case.state, case.outcome, case.tier) == (State.REVIEW, Outcome.REVIEW, Tier.TIER_2)


@pytest.fixture
def answered(store: Store) -> tuple[Mention, int]:
    mention = post("1", "how do I pair teh hub with my phone?", thread="t")
    case_id = opened(store, mention)
    sam = staff(store)
    store.moves.assign(case_id, assignee=sam.id, by=sam.id, now=NOW)
    store.moves.answer(case_id, by=sam.id, text="hold the button", now=NOW, needs_approval=False, sending=SENDING)
    reply = store.outbox.claim(worker="w", now=NOW, lease=LEASE, sources=("x",))
    assert reply is not None
    store.outbox.sent(reply, native_id="r1", url="", worker="w", now=NOW)
    assert store.cases.get(case_id).state is State.ANSWERED
    return mention, case_id


@pytest.mark.parametrize(
    ("text", "tier", "state"),
    [
        ("how do I pair the hub with my phone?", Tier.COMMUNITY, State.ANSWERED),
        ("how do I pair teh hub with my phone? (the white one)", Tier.COMMUNITY, State.ANSWERED),
        ("how do I pair teh hub with my phone? EDIT: that worked, thank you!", Tier.COMMUNITY, State.SOLVED),
        ("how do I pair teh hub with my phone? EDIT: it still does not work", Tier.COMMUNITY, State.QUEUED),
        ("how do I pair teh hub with my phone? it burns my hand", Tier.TIER_2, State.QUEUED),
    ],
)
def test_an_answered_case_follows_what_was_added_and_no_slip_of_the_pen(
    store: Store, answered: tuple[Mention, int], text: str, tier: Tier, state: State
) -> None:
    mention, case_id = answered
    edit(store, mention, text, route(tier))
    page = page_of(store, case_id)
    assert page.case.state is state
    assert page.replies == 1
    assert Move.EDIT in moves(store, case_id)


def test_two_edits_before_anybody_read_them_are_compared_with_what_was_read(store: Store, answered: tuple[Mention, int]) -> None:
    mention, case_id = answered
    hear(store, replace(mention, text=f"{mention.text} EDIT: it still doez not work"))
    edit(store, mention, f"{mention.text} EDIT: it still does not work")
    assert page_of(store, case_id).case.state is State.QUEUED


def test_an_edit_of_an_earlier_post_leaves_how_the_author_feels_now(store: Store) -> None:
    first, second = post("1", ASKED, thread="t"), post("2", "I am furious", thread="t", at=LATER)
    hear(store, first, now=NOW)
    understand(store, None, score("anger", "calm"), now=NOW)
    hear(store, second)
    understand(store, None, score("anger", "angry"))
    hear(store, replace(first, text=f"{ASKED} please"))
    understand(store, None, score("anger", "calm"))
    assert [item.anger for item in store.cases.queue().items] == ["angry"]
