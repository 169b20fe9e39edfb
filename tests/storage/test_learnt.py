"""Learnt changes are kept, replaced, gone back from and used again; one worker a day learns."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from houses import NOW

from earshot.errors import BadInput, Conflict
from earshot.storage import Store
from earshot.storage.learnt import KEPT, ChangeState

WEIGHTS, OTHERS = "a" * 64, "b" * 64
JUDGED = [{"question": "needs", "kept": True}]


def install(store: Store, content: bytes = b"change", *, base: str = WEIGHTS) -> int:
    return store.learnt.install(content, base=base, labels=200, judged=JUDGED, now=NOW)


def states(store: Store) -> list[str]:
    """Oldest first."""
    return [change.state.value for change in reversed(store.learnt.listed())]


def test_a_new_database_has_the_weights_that_ship(store: Store) -> None:
    assert store.learnt.current() == {}
    assert store.learnt.listed() == []
    with pytest.raises(Conflict, match="the weights that ship are in use"):
        store.learnt.back(WEIGHTS)


def test_what_was_installed_last_is_in_use_with_what_is_known_of_it(store: Store) -> None:
    install(store)
    new = install(store, b"\x00\xffanother")
    assert store.learnt.current() == {WEIGHTS: new}
    assert store.learnt.content(new) == b"\x00\xffanother"
    assert states(store) == ["kept", "current"]
    [change, _] = store.learnt.listed()
    assert (change.id, change.at, change.base, change.state, change.labels) == (new, NOW, WEIGHTS, ChangeState.CURRENT, 200)
    assert change.judged == JUDGED


def test_the_last_five_are_kept(store: Store) -> None:
    installed = [install(store) for _ in range(KEPT + 2)]
    assert [change.id for change in store.learnt.listed()] == installed[:1:-1]
    assert store.learnt.content(installed[0]) is None


def test_each_way_back_leads_to_the_one_before_and_in_the_end_to_what_ships(store: Store) -> None:
    first, _ = install(store), install(store)
    assert store.learnt.back(WEIGHTS) == first
    assert states(store) == ["current", "withdrawn"]
    assert store.learnt.back(WEIGHTS) is None
    assert states(store) == ["withdrawn", "withdrawn"]
    assert store.learnt.current() == {}


def test_nobody_goes_back_to_what_was_withdrawn(store: Store) -> None:
    first, withdrawn = install(store), install(store)
    store.learnt.back(WEIGHTS)
    install(store)
    assert store.learnt.back(WEIGHTS) == first != withdrawn


def test_going_back_further_can_be_undone(store: Store) -> None:
    first, _, third = (install(store) for _ in range(3))
    assert store.learnt.use(first, base=WEIGHTS) == third
    assert states(store) == ["current", "kept", "withdrawn"]
    assert store.learnt.use(third, base=WEIGHTS) == first
    assert states(store) == ["kept", "kept", "current"]
    assert store.learnt.use(None, base=WEIGHTS) == third
    assert store.learnt.use(third, base=WEIGHTS) is None
    assert states(store) == ["kept", "kept", "current"]
    assert store.learnt.use(third, base=WEIGHTS) == third
    assert states(store) == ["kept", "kept", "current"]


def test_only_what_is_there_and_fits_the_weights_can_be_used(store: Store) -> None:
    of_others = install(store, base=OTHERS)
    for change_id in (of_others, 99):
        with pytest.raises(BadInput, match=f"no learnt change {change_id} for these weights"):
            store.learnt.use(change_id, base=WEIGHTS)


def test_each_weights_have_their_own(store: Store) -> None:
    ours, theirs = install(store), install(store, base=OTHERS)
    assert store.learnt.current() == {WEIGHTS: ours, OTHERS: theirs}
    assert store.learnt.back(OTHERS) is None
    assert store.learnt.current() == {WEIGHTS: ours}


def test_changes_that_are_installed_at_once_leave_one_in_use(store: Store) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: install(store), range(8)))
    assert states(store) == ["kept"] * (KEPT - 1) + ["current"]


def test_of_many_workers_one_takes_the_turn_of_a_day(store: Store) -> None:
    today = NOW.date()
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda _: store.learnt.take_turn("learn", today), range(8))) == 1
    assert not store.learnt.take_turn("learn", today)
    assert store.learnt.take_turn("learn", today + timedelta(days=1))
    assert not store.learnt.take_turn("learn", today)
    assert store.learnt.take_turn("something else", today)
