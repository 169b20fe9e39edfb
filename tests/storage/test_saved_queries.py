"""Saved queries in both databases: two people at once, deleting and bringing back, matches that go with their mention."""

from __future__ import annotations

from datetime import timedelta

import pytest
from houses import LEASE, NOW, keep, post, routed, staff
from msgspec.structs import replace

from earshot.errors import BadInput, Conflict
from earshot.pipeline import settle
from earshot.storage import Store
from earshot.storage import queries as saved_queries
from earshot.storage.queries import Draft

LAMPS = Draft(name="lamps", text="lumifern lamp", sources=("x",), not_by=("troll",), not_saying=("giveaway",), urgent=True)


def understood(store: Store, *ids: str, days_ago: int = 0, matched: tuple[int, ...] = ()) -> None:
    """Posts that were heard, understood, and match these queries."""
    keep(store, *(post(id_, at=NOW - timedelta(days=days_ago), thread=id_) for id_ in ids))
    waiting = store.mentions.claim(100, worker="w", now=NOW, lease=LEASE)
    store.mentions.write_routed([replace(routed(w), matched=matched) for w in waiting], settle=settle, worker="w", now=NOW)


def totals(store: Store) -> dict[int, int]:
    return {id_: volume.total for id_, volume in store.queries.volumes(until=NOW).items()}


def test_a_query_comes_back_as_it_was_saved_with_who_changed_it(store: Store) -> None:
    mia = staff(store, "Mia")
    query_id = store.queries.add(LAMPS, by=mia.id, now=NOW)
    query = store.queries.get(query_id)
    assert query is not None
    assert (query.name, query.text, query.sources, query.not_by, query.not_saying, query.urgent) == (
        *("lamps", "lumifern lamp", ("x",), ("troll",), ("giveaway",), True),
    )
    assert (query.version, query.changed_at, query.changed_by) == (1, NOW, "Mia")
    assert store.queries.all() == [query]
    assert store.queries.get(query_id + 1) is None


def test_of_two_people_at_one_query_the_second_is_told_who_was_first(store: Store) -> None:
    mia = staff(store, "Mia")
    query_id = store.queries.add(LAMPS, by=None, now=NOW)
    store.queries.change(query_id, Draft(name="lamps", text="lamp"), version=1, by=mia.id, now=NOW)
    with pytest.raises(Conflict, match="Mia changed this query"):
        store.queries.change(query_id, Draft(name="lamps", text="chair"), version=1, by=None, now=NOW)
    query = store.queries.get(query_id)
    assert query is not None
    assert (query.text, query.version) == ("lamp", 2)


def test_two_queries_cannot_have_one_name(store: Store) -> None:
    first = store.queries.add(LAMPS, by=None, now=NOW)
    with pytest.raises(Conflict, match="'lamps'"):
        store.queries.add(LAMPS, by=None, now=NOW)
    other = store.queries.add(Draft(name="hubs", text="hub"), by=None, now=NOW)
    with pytest.raises(Conflict, match="'lamps'"):
        store.queries.change(other, LAMPS, version=1, by=None, now=NOW)
    store.queries.delete(first, by=None, now=NOW)
    store.queries.change(other, LAMPS, version=1, by=None, now=NOW)
    with pytest.raises(Conflict, match="has its name"):
        store.queries.restore(first, by=None, now=NOW)


def test_a_deleted_query_comes_back_with_what_it_matched_but_not_after_a_day(store: Store) -> None:
    query_id = store.queries.add(LAMPS, by=None, now=NOW)
    understood(store, "1", "2", matched=(query_id,))
    store.queries.delete(query_id, by=None, now=NOW)
    assert store.queries.all() == []
    with pytest.raises(Conflict, match="already"):
        store.queries.delete(query_id, by=None, now=NOW)
    assert store.queries.restore(query_id, by=None, now=NOW) == "lamps"
    assert totals(store) == {query_id: 2}
    store.queries.delete(query_id, by=None, now=NOW)
    other = store.queries.add(Draft(name="hubs", text="hub"), by=None, now=NOW)
    store.queries.delete(other, by=None, now=NOW + timedelta(days=2))
    with pytest.raises(Conflict, match="for good"):
        store.queries.restore(query_id, by=None, now=NOW + timedelta(days=2))
    assert totals(store) == {}


def test_no_more_are_saved_than_are_matched(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_queries, "MOST_QUERIES", 1)
    store.queries.add(LAMPS, by=None, now=NOW)
    with pytest.raises(BadInput, match="delete one"):
        store.queries.add(Draft(name="hubs", text="hub"), by=None, now=NOW)


def test_the_volume_counts_days_by_when_posts_were_posted(store: Store) -> None:
    query_id = store.queries.add(LAMPS, by=None, now=NOW)
    understood(store, "1", "2", matched=(query_id,))
    understood(store, "3", days_ago=3, matched=(query_id,))
    understood(store, "4", days_ago=60, matched=(query_id,))
    understood(store, "5")
    volume = store.queries.volumes(until=NOW, days=4)[query_id]
    assert volume.days == (1, 0, 0, 2)
    assert volume.last == NOW


def test_what_goes_with_its_mention_is_counted_no_more(store: Store) -> None:
    query_id = store.queries.add(LAMPS, by=None, now=NOW)
    understood(store, "1", "2", matched=(query_id,))
    keep(store, post("3", by="ben"))
    with store.database.writing() as connection:
        from earshot.storage.sweeping import erase

        erase(connection, "x", {"1": ()})
    assert totals(store) == {query_id: 1}
    (ana,) = store.forgetting.find("x", handle="ana")
    store.forgetting.erase(ana.id, now=NOW)
    assert totals(store) == {}


def test_who_is_forgotten_stands_in_no_query_that_was_deleted(store: Store) -> None:
    understood(store, "1")
    query_id = store.queries.add(Draft(name="lamps", text="lamp -author:ana", not_by=("ana",)), by=None, now=NOW)
    store.queries.delete(query_id, by=None, now=NOW)
    (ana,) = store.forgetting.find("x", handle="ana")
    store.forgetting.erase(ana.id, now=NOW)
    assert [passage for passage in store.forgetting.passages() if passage.table == "saved_query"] == []


def test_the_past_is_looked_through_page_by_page_until_its_end(store: Store) -> None:
    understood(store, "1", "2", "3")
    understood(store, "4", days_ago=60)
    query_id = store.queries.add(LAMPS, by=None, now=NOW)
    looked: list[int] = []
    while past := store.queries.past(since=NOW - timedelta(days=31), most=2):
        assert [query.id for query in past.queries] == [query_id]
        looked += past.mentions
        store.queries.write_past(past, dict.fromkeys(past.mentions, (query_id,)))
    assert len(looked) == len(set(looked)) == 3
    assert totals(store) == {query_id: 3}


def test_a_query_that_changes_while_the_past_is_looked_through_begins_anew(store: Store) -> None:
    understood(store, "1", "2", "3")
    query_id = store.queries.add(LAMPS, by=None, now=NOW)
    past = store.queries.past(since=NOW - timedelta(days=31), most=2)
    assert past is not None
    store.queries.change(query_id, Draft(name="lamps", text="chair"), version=1, by=None, now=NOW)
    store.queries.write_past(past, dict.fromkeys(past.mentions, (query_id,)))
    assert totals(store) == {}
    again = store.queries.past(since=NOW - timedelta(days=31), most=2)
    assert again is not None
    assert list(again.mentions) == list(past.mentions)


def test_only_a_change_of_what_it_looks_for_drops_what_it_matched(store: Store) -> None:
    query_id = store.queries.add(Draft(name="lamps", text="lamp"), by=None, now=NOW)
    understood(store, "1", matched=(query_id,))
    store.queries.change(query_id, Draft(name="Lamps", text="lamp", urgent=True), version=1, by=None, now=NOW)
    assert totals(store) == {query_id: 1}
    store.queries.change(query_id, Draft(name="Lamps", text="lamp", not_saying=("win",)), version=2, by=None, now=NOW)
    assert totals(store) == {}


def test_words_that_were_erased_meanwhile_get_no_match_of_the_past(store: Store) -> None:
    understood(store, "1", "2")
    query_id = store.queries.add(LAMPS, by=None, now=NOW)
    past = store.queries.past(since=NOW - timedelta(days=31), most=10)
    assert past is not None
    with store.database.writing() as connection:
        from earshot.storage.sweeping import erase

        erase(connection, "x", {"1": ()})
    store.queries.write_past(past, dict.fromkeys(past.mentions, (query_id,)))
    assert totals(store) == {query_id: 1}
