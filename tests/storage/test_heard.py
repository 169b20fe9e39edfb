"""What came in, as the search for blind spots reads it."""

from __future__ import annotations

from datetime import timedelta

from houses import LEASE, NOW, keep, post, routed, score

from earshot.pipeline import settle
from earshot.storage import Store


def test_what_was_heard_comes_newest_first_without_copies_and_says_whether_it_names_the_brand(store: Store) -> None:
    keep(store, post("1", "the hub blinks", at=NOW - timedelta(hours=1)), source="x")
    keep(store, post("2", "my cactus", at=NOW), source="plants")
    keep(store, post("3", "the hub blinks", by="bob", at=NOW), post("4", "long ago", at=NOW - timedelta(days=30)), source="x")
    first, second, old, copy = store.mentions.claim(10, worker="w", now=NOW, lease=LEASE)
    batch = [
        routed(first, None, score("topics", "hub")),
        routed(second, None, score("topics", "none"), score("products", "none")),
        routed(copy, None, score("topics", "hub"), copy_of=first.id),
        routed(old, None, score("topics", "hub")),
    ]
    store.mentions.write_routed(batch, settle=settle, worker="w", now=NOW)
    heard = store.reports.heard(since=NOW - timedelta(days=28), until=NOW)
    assert [(h.id, h.source, h.names_topic) for h in heard] == [(second.id, "plants", False), (first.id, "x", True)]
    assert heard[1].author_id is not None
    assert [h.id for h in store.reports.heard(since=NOW - timedelta(days=28), until=NOW, most=1)] == [second.id]
