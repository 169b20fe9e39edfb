"""The engine and the two ways to use it: `reading()` and `writing()`.

On SQLite a write transaction begins IMMEDIATE (it never has to be upgraded half-way) and the threads of one process queue for it;
processes wait for one another `busy_seconds`. On PostgreSQL both are ordinary transactions.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from earshot.errors import ConfigurationError, DatabaseBehind, DatabaseBusy, DatabaseFull, StorageError

#: a journal of up to 16 MB, so that pages that every batch touches are not written back after each
_PRAGMAS = (
    "journal_mode=WAL",
    "wal_autocheckpoint=4000",
    "synchronous=FULL",
    "foreign_keys=ON",
    "cache_size=-65536",
    "temp_store=MEMORY",
)


class Database:
    """One database by URL. Nothing is opened before the first transaction."""

    def __init__(self, url: str, *, busy_seconds: float = 30.0) -> None:
        try:
            parsed = make_url(url)
        except ArgumentError as err:
            raise ConfigurationError(
                "database_url is not an address such as sqlite:///earshot.db or postgresql+psycopg://name@host/db"
            ) from err
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self._queue = threading.Lock()
        try:
            self.engine: Engine = _sqlite(url, busy_seconds) if self.is_sqlite else _postgres(url, busy_seconds)
        except ModuleNotFoundError as err:
            raise ConfigurationError(f"database_url needs {err.name}, which is not installed: pip install 'earshot[postgres]'") from err

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads: one view of the data."""
        with _explained(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes: commits at the end, rolls back on any error.

        Raises `DatabaseBusy`, `DatabaseFull`, `DatabaseBehind`, or plain `StorageError`.
        """
        with _explained():
            if not self.is_sqlite:
                with self.engine.begin() as connection:
                    yield connection
                return
            with self._queue, self.engine.connect().execution_options(earshot_writes=True) as connection, connection.begin():
                yield connection

    @contextmanager
    def outside(self) -> Iterator[Connection]:
        """A connection outside of any transaction, for upkeep such as VACUUM. It serves nothing else afterwards."""
        with _explained(), self._queue, self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.detach()
            yield connection

    def close(self) -> None:
        self.engine.dispose()


def _sqlite(url: str, busy_seconds: float) -> Engine:
    engine = create_engine(url, connect_args={"timeout": busy_seconds, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # we begin transactions ourselves
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
            return
        writes = connection.get_execution_options().get("earshot_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgres(url: str, busy_seconds: float) -> Engine:
    options = f"-c lock_timeout={int(busy_seconds * 1000)}"
    return create_engine(url, pool_size=8, max_overflow=8, pool_pre_ping=True, connect_args={"options": options})


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what a driver says into what a person on call can act on. The statement is left out: its parameters are people's words."""
    try:
        yield
    except OperationalError as err:
        raise _explain(err) from _without_parameters(err)
    except DBAPIError as err:
        if "no such table" in str(err.orig) or "does not exist" in str(err.orig):
            raise DatabaseBehind("the database has no such table: run `earshot db upgrade`") from _without_parameters(err)
        raise


def _explain(err: OperationalError) -> StorageError:
    said = str(err.orig)
    if any(words in said for words in ("locked", "lock timeout", "deadlock")):
        return DatabaseBusy(
            "the database was locked for longer than busy_seconds; nothing was written. Is a backup or another program holding it?"
        )
    if "full" in said or "No space left" in said or "disk I/O error" in said:
        return DatabaseFull("the disk of the database is full; nothing was written. Free some space: work resumes by itself")
    if "no such table" in said or "does not exist" in said or "no such column" in said:
        return DatabaseBehind("the database has an older schema: run `earshot db upgrade`")
    if "unable to open" in said:
        return StorageError("the database file cannot be opened: check that the folder of database_url exists and may be written")
    if "readonly" in said:
        return StorageError("the database file may only be read: check its owner and rights")
    return StorageError(f"the database failed: {type(err.orig).__name__}; see its own log")


def _without_parameters(err: DBAPIError) -> DBAPIError:
    err.hide_parameters = True
    return err
