"""Weeks are counted from stored scores, kept, and joined with what people said."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from houses import LEASE, NOW, keep, post, routed, score, staff

from earshot.pipeline import settle
from earshot.storage import Store
from earshot.storage.drift import LOOKED_AT, Tally, monday

THIS_WEEK = monday(NOW)
WEEK = timedelta(days=7)
ASKED = ("anger", "asks")


def hear(store: Store, n: int, *, at: datetime, anger: str = "calm", confidence: float = 0.9) -> list[int]:
    known = store.mentions.counts()["understood"]
    keep(store, *(post(f"{known + i}", at=at, by=None) for i in range(n)))
    waiting = store.mentions.claim(10_000, worker="w", now=NOW, lease=LEASE)
    scores = (score("anger", anger, 0.1, confidence), score("asks", "yes", 0.9), score("language", "en"))
    store.mentions.write_routed([routed(w, None, *scores, key=None) for w in waiting], settle=settle, worker="w", now=NOW)
    return [w.id for w in waiting]


def weeks(store: Store, *, now: datetime = NOW) -> list[Tally]:
    return store.drift.weeks(questions=ASKED, unsure_below=0.6, now=now)


def test_a_week_begins_on_monday() -> None:
    assert (THIS_WEEK.weekday(), THIS_WEEK.hour) == (0, 0)
    assert monday(THIS_WEEK) == THIS_WEEK
    assert monday(THIS_WEEK - timedelta(microseconds=1)) == THIS_WEEK - WEEK


def test_nothing_heard_is_nothing_counted(store: Store) -> None:
    assert weeks(store) == []


def test_each_week_is_counted_by_question(store: Store) -> None:
    hear(store, 3, at=THIS_WEEK - WEEK)
    hear(store, 1, at=THIS_WEEK - timedelta(seconds=1), anger="angry", confidence=0.4)
    hear(store, 2, at=THIS_WEEK)
    assert weeks(store) == [
        Tally(week=THIS_WEEK - WEEK, question="anger", mentions=4, unsure=1, labels={"calm": 3, "angry": 1}),
        Tally(week=THIS_WEEK - WEEK, question="asks", mentions=4, unsure=0, labels={"yes": 4}),
        Tally(week=THIS_WEEK, question="anger", mentions=2, unsure=0, labels={"calm": 2}),
        Tally(week=THIS_WEEK, question="asks", mentions=2, unsure=0, labels={"yes": 2}),
    ]


def test_a_week_that_is_over_is_counted_once_and_the_running_one_anew(store: Store) -> None:
    hear(store, 2, at=THIS_WEEK - WEEK)
    later = THIS_WEEK + timedelta(days=2)
    assert [t.mentions for t in weeks(store, now=later)] == [2, 2]
    hear(store, 5, at=THIS_WEEK - WEEK)
    hear(store, 1, at=THIS_WEEK)
    assert [t.mentions for t in weeks(store, now=later)] == [2, 2, 1, 1]


def test_a_week_that_just_ended_still_waits_for_what_comes_late(store: Store) -> None:
    hear(store, 2, at=THIS_WEEK - WEEK)
    soon = THIS_WEEK + timedelta(hours=1)
    weeks(store, now=soon)
    hear(store, 1, at=THIS_WEEK - WEEK)
    assert [t.mentions for t in weeks(store, now=soon)] == [3, 3]


def test_of_a_large_week_a_part_is_looked_at_that_spreads_over_it(store: Store) -> None:
    for part in range(3):
        hear(store, LOOKED_AT, at=THIS_WEEK - WEEK + part * timedelta(days=2), anger=("calm", "annoyed", "angry")[part])
    [anger, _] = weeks(store)
    assert anger.mentions == LOOKED_AT
    assert all(abs(n - LOOKED_AT / 3) <= 1 for n in anger.labels.values())


def test_people_agree_by_their_last_word_in_lessons_alone(store: Store) -> None:
    sam = staff(store)
    first, second, elsewhere = hear(store, 3, at=THIS_WEEK)
    store.lessons.add([first, second], day=date(2026, 3, 2))
    for minutes, (mention_id, label) in enumerate([(first, "angry"), (first, "calm"), (second, "annoyed"), (elsewhere, "angry")]):
        store.labels.keep(mention_id, {"anger": label}, by=sam.id, now=NOW + timedelta(minutes=minutes))
    [anger, asks] = weeks(store)
    assert (anger.judged, anger.agreed) == (2, 1)
    assert (asks.judged, asks.agreed) == (0, 0)
