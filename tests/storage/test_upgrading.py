from __future__ import annotations

from pathlib import Path

from alembic.script import ScriptDirectory

from earshot.storage import Store
from earshot.storage.migrations import configuration, is_current, newest


def test_the_last_migration_is_the_one_that_alembic_would_run_last() -> None:
    assert ScriptDirectory.from_config(configuration()).get_current_head() == newest()


def test_a_new_database_is_behind_until_it_is_upgraded(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/new.db")
    assert not is_current(store.database)
    store.upgrade()
    store.upgrade()
    assert is_current(store.database)
    store.close()


def test_an_upgraded_database_needs_no_upgrade(store: Store) -> None:
    assert is_current(store.database)
