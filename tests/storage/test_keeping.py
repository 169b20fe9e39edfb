from __future__ import annotations

from datetime import timedelta

import pytest
from houses import LEASE, NOW, keep, newest_case, open_case, post, route, routed, score

from earshot.case import Case, Event, Move, Outcome, State, Tier, replay
from earshot.errors import Conflict
from earshot.pipeline import settle
from earshot.storage import Store
from earshot.storage.arrivals import Heard
from earshot.storage.mentions import POISON_TRIES, Poll


def test_a_mention_seen_twice_is_stored_once(store: Store) -> None:
    assert keep(store, post("1"), post("2")) == 2
    assert keep(store, post("2"), post("3"), post("3")) == 1
    assert sum(store.mentions.counts().values()) == 3


def test_a_cursor_moves_with_its_mentions_or_not_at_all(store: Store) -> None:
    store.sources.declare([("x", "x")])
    store.sources.take("x", worker="one", now=NOW, lease=LEASE)
    store.mentions.keep_new([Heard(mention=post("1"))], source="x", now=NOW, poll=Poll(source="x", worker="one", cursor="c1"))
    assert store.sources.statuses()[0].cursor == "c1"

    with pytest.raises(Conflict):
        store.mentions.keep_new([Heard(mention=post("2"))], source="x", now=NOW, poll=Poll(source="x", worker="another", cursor="c2"))
    assert store.sources.statuses()[0].cursor == "c1"
    assert sum(store.mentions.counts().values()) == 1


def test_only_one_worker_polls_a_source_until_its_lease_ends(store: Store) -> None:
    store.sources.declare([("x", "x")])
    assert store.sources.take("x", worker="one", now=NOW, lease=LEASE)
    assert store.sources.take("x", worker="two", now=NOW, lease=LEASE) is None
    assert store.sources.take("x", worker="two", now=NOW + LEASE, lease=LEASE)


def test_reads_are_counted_by_month(store: Store) -> None:
    store.sources.declare([("x", "x")])
    store.sources.take("x", worker="one", now=NOW, lease=LEASE)
    for now in (NOW, NOW, NOW + timedelta(days=40)):
        store.mentions.keep_new([], source="x", now=now, poll=Poll(source="x", worker="one", cursor="c", spent=7))
    [status] = store.sources.statuses()
    assert (status.reads_in(NOW), status.reads_in(NOW + timedelta(days=40))) == (0, 7)


def test_claimed_mentions_are_nobody_elses_until_the_lease_ends(store: Store) -> None:
    keep(store, post("1"), post("2"), post("3"))
    first = store.mentions.claim(2, worker="one", now=NOW, lease=LEASE)
    second = store.mentions.claim(2, worker="two", now=NOW, lease=LEASE)
    assert [w.mention.native_id for w in first + second] == ["1", "2", "3"]
    assert store.mentions.claim(2, worker="three", now=NOW, lease=LEASE) == []
    again = store.mentions.claim(9, worker="three", now=NOW + LEASE * 2, lease=LEASE)
    assert [w.tries for w in again] == [2, 2, 2]


def test_claims_of_dead_workers_are_given_back_at_once(store: Store) -> None:
    keep(store, post("1"))
    store.mentions.claim(1, worker="dead", now=NOW, lease=LEASE)
    store.release_claims(lambda name: name == "dead")
    assert len(store.mentions.claim(1, worker="two", now=NOW, lease=LEASE)) == 1


def test_a_worker_that_lost_its_claim_writes_nothing(store: Store) -> None:
    keep(store, post("1"))
    late = store.mentions.claim(1, worker="slow", now=NOW, lease=LEASE)
    quick = store.mentions.claim(1, worker="quick", now=NOW + LEASE * 2, lease=LEASE)
    assert store.mentions.write_routed([routed(w) for w in quick], settle=settle, worker="quick", now=NOW) == 1
    assert store.mentions.write_routed([routed(w) for w in late], settle=settle, worker="slow", now=NOW) == 0
    assert store.cases.queue().total == 1


def test_later_mentions_of_an_author_in_a_thread_join_the_case(store: Store) -> None:
    case_id = open_case(store, post("1", thread="t"))
    assert open_case(store, post("2", thread="t", at=NOW + timedelta(minutes=5))) == case_id
    assert open_case(store, post("3", thread="t", by="ben")) != case_id
    page = store.cases.page(case_id)
    assert page is not None
    assert [p.scored.mention.native_id for p in page.posts if p.in_case] == ["1", "2"]
    assert [p.scored.mention.native_id for p in page.posts if not p.in_case] == ["3"]


def test_mentions_of_one_case_within_a_batch_open_it_once(store: Store) -> None:
    keep(store, *(post(str(i), thread="t", at=NOW + timedelta(seconds=i)) for i in range(5)))
    waiting = store.mentions.claim(10, worker="w", now=NOW, lease=LEASE)
    store.mentions.write_routed([routed(w) for w in waiting], settle=settle, worker="w", now=NOW)
    queue = store.cases.queue()
    assert (queue.total, queue.items[0].mentions) == (1, 5)


def test_without_author_or_thread_each_mention_is_its_own_case(store: Store) -> None:
    keep(store, post("1", by=None, thread="t"), post("2", by=None, thread="t"), post("3"), post("4"))
    waiting = store.mentions.claim(10, worker="w", now=NOW, lease=LEASE)
    store.mentions.write_routed([routed(w) for w in waiting], settle=settle, worker="w", now=NOW)
    assert store.cases.queue().total == 4


def test_a_harder_later_mention_raises_the_tier(store: Store) -> None:
    case_id = open_case(store, post("1", thread="t"))
    open_case(store, post("2", thread="t"), route(Tier.TIER_1, reason="angry"))
    case = store.cases.get(case_id)
    assert (case.tier, case.state, case.reason) == (Tier.TIER_1, State.QUEUED, "angry")
    assert [e.move for e in store.cases.events(case_id)] == [Move.QUEUE, Move.JOIN, Move.ESCALATE]


def test_a_proposal_stays_a_proposal_when_a_later_mention_raises_it(store: Store) -> None:
    case_id = open_case(store, post("1", thread="t"), route(Tier.COMMUNITY, Outcome.REVIEW))
    open_case(store, post("2", thread="t"), route(Tier.TIER_2))
    case = store.cases.get(case_id)
    assert (case.tier, case.state, case.outcome) == (Tier.TIER_2, State.REVIEW, Outcome.REVIEW)


def test_a_copy_is_counted_with_its_original(store: Store) -> None:
    case_id = open_case(store, post("1"))
    page = store.cases.page(case_id)
    assert page is not None
    [original] = page.posts
    keep(store, post("2", by="ben"))
    [copy] = store.mentions.claim(10, worker="w", now=NOW, lease=LEASE)
    store.mentions.write_routed([routed(copy, key=None, copy_of=original.id)], settle=settle, worker="w", now=NOW)
    again = store.cases.page(case_id)
    assert again is not None
    assert again.posts[0].copies == 1
    assert newest_case(store) == case_id


def test_the_log_replays_to_the_state_of_the_case(store: Store) -> None:
    for decision in (route(Tier.NONE), route(Tier.TIER_2), route(Tier.COMMUNITY, Outcome.REVIEW)):
        case_id = open_case(store, post(f"{decision.tier}", thread=f"{decision.tier}"), decision)
        case = store.cases.get(case_id)
        assert replay(store.cases.events(case_id)) == (case.state, case.tier, case.assignee)


def test_poison_is_put_aside_and_the_rest_goes_on(store: Store) -> None:
    keep(store, post("1"), post("2"))
    first, _ = store.mentions.claim(10, worker="w", now=NOW, lease=LEASE)
    store.mentions.quarantine([first.id], worker="w")
    assert store.mentions.counts() == {"heard": 1, "understood": 0, "gone": 0, "quarantined": 1}


def claimed(store: Store, worker: str, *, limit: int = 10) -> list[str]:
    """What a worker takes that nobody else is left to hold."""
    store.release_claims(lambda _: True)
    return [w.mention.native_id for w in store.mentions.claim(limit, worker=worker, now=NOW, lease=LEASE)]


def test_what_may_kill_its_workers_is_claimed_alone_and_put_aside_when_that_tells(store: Store) -> None:
    keep(store, post("1"), post("2"))
    for n in range(POISON_TRIES):
        assert claimed(store, f"dead{n}") == ["1", "2"]
    keep(store, post("3"), post("4"))
    for n in range(POISON_TRIES):
        assert claimed(store, f"dead alone{n}") == ["1"]
    assert claimed(store, "next") == ["2"]
    assert store.mentions.counts() == {"heard": 3, "understood": 0, "gone": 0, "quarantined": 1}


def test_suspects_and_those_that_are_none_are_never_claimed_together(store: Store) -> None:
    keep(store, post("1"), post("2"))
    for n in range(POISON_TRIES):
        claimed(store, f"dead{n}", limit=1)
    assert [w.mention.native_id for w in store.mentions.claim(10, worker="other", now=NOW, lease=LEASE)] == ["2"]
    keep(store, post("3"))
    assert claimed(store, "alone") == ["1"]
    assert [w.mention.native_id for w in store.mentions.claim(10, worker="other", now=NOW, lease=LEASE)] == ["2", "3"]


def test_restarts_put_nothing_aside(store: Store) -> None:
    """Each time a whole batch was under way; afterwards each mention gets through, if only alone."""
    keep(store, *(post(str(n), thread=str(n)) for n in range(5)))
    for n in range(POISON_TRIES):
        assert len(claimed(store, f"deployed{n}")) == 5
    for _ in range(5):
        waiting = store.mentions.claim(10, worker="w", now=NOW + LEASE * 2, lease=LEASE)
        assert len(waiting) == 1
        store.mentions.write_routed([routed(w) for w in waiting], settle=settle, worker="w", now=NOW)
    assert store.mentions.counts() == {"heard": 0, "understood": 5, "gone": 0, "quarantined": 0}


def test_a_worker_that_lives_and_begins_again_casts_no_suspicion(store: Store) -> None:
    keep(store, post("1"), post("2"))
    for n in range(2 * POISON_TRIES):
        for _ in range(2 * POISON_TRIES):
            again = [w.mention.native_id for w in store.mentions.claim(10, worker=f"w{n}", now=NOW, lease=LEASE)]
            assert again == (["1", "2"] if n < POISON_TRIES else ["1"])
        store.release_claims(lambda _: True)
    assert store.mentions.counts()["quarantined"] == 0


def test_what_the_network_deleted_is_deleted_here(store: Store) -> None:
    store.sources.declare([("x", "x")])
    store.sources.take("x", worker="w", now=NOW, lease=LEASE)
    case_id = open_case(store, post("1", "my secret story"))
    store.mentions.keep_new([], source="x", now=NOW, poll=Poll(source="x", worker="w", cursor="c", deleted={"1": ()}))
    page = store.cases.page(case_id)
    assert page is not None
    assert page.posts[0].scored.mention.text == ""
    assert page.posts[0].scored.scores == ()


def test_followers_that_a_network_leaves_out_are_not_forgotten(store: Store) -> None:
    keep(store, post("1"))
    silent = post("2")
    assert silent.author is not None
    keep(store, post("3", by="ana"))
    [report] = [r for r in store.reports.influence() if r.author.handle == "ana"] or [None]
    assert report is None or report.author.followers == 100


def test_scores_come_back_as_they_were_given(store: Store) -> None:
    keep(store, post("1"))
    waiting = store.mentions.claim(1, worker="w", now=NOW, lease=LEASE)
    given = (score("anger", "angry", 1.9, 0.81), score("language", "en", 1.0, 0.99))
    store.mentions.write_routed([routed(w, None, *given) for w in waiting], settle=settle, worker="w", now=NOW)
    page = store.cases.page(newest_case(store))
    assert page is not None
    assert page.posts[0].scored.scores == given


def test_values_are_refused_that_cannot_be(store: Store) -> None:
    with pytest.raises(ValueError, match="aware"):
        Event(case_id=1, at=NOW.replace(tzinfo=None), actor="x", move=Move.OPEN)
    assert isinstance(store.cases.get(open_case(store, post("1"))), Case)
