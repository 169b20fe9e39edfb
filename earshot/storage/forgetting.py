"""Authors who ask to be forgotten: who they are to us, erasing them, and looking through all that is left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct
from sqlalchemy import Column, ColumnElement, Connection, LargeBinary, String, Table, Text, func, select, type_coerce
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import SQLModel

from earshot.errors import DatabaseBusy
from earshot.mention import Author, Mention
from earshot.storage.database import Database
from earshot.storage.erasing import Erased, Erasing, network_of
from earshot.storage.forgotten import author_hash, forgotten_at, keep_arrivals_out, name_hash, remember, unwanted
from earshot.storage.rows import author_of
from earshot.storage.tables import AuthorRow, table
from earshot.storage.traces import ascii_lower

_AUTHOR = table(AuthorRow)


class Known(Struct, frozen=True, kw_only=True):
    """An author as we know them."""

    id: int
    author: Author


class Passage(Struct, frozen=True, kw_only=True):
    """The words of one row."""

    table: str
    row: str  #: its primary key
    network: str | None  #: that the row belongs to, where it belongs to one
    words: Mapping[str, str | bytes]  #: column -> as it is stored


class _OnlyTried(Exception):
    """Takes a transaction back."""


class Forgetting:
    def __init__(self, database: Database) -> None:
        self._db = database

    def find(self, network: str, *, handle: str = "", native_id: str = "") -> list[Known]:
        """The author of that native id; else those of that handle, in whichever case it is written where nobody has it as it stands."""
        tries = [_AUTHOR.c.native_id == native_id]
        if not native_id:
            tries = [_AUTHOR.c.handle == handle, func.lower(_AUTHOR.c.handle).in_({handle.lower(), ascii_lower(handle)})]
        wanted = select(_AUTHOR).where(_AUTHOR.c.network == network).order_by(_AUTHOR.c.id)
        with self._db.reading() as connection:
            for condition in tries:
                if rows := connection.execute(wanted.where(condition)).mappings().all():
                    return [Known(id=row["id"], author=author_of(row)) for row in rows]
        return []

    def networks(self) -> list[str]:
        """The networks of which we know authors."""
        with self._db.reading() as connection:
            return list(connection.execute(select(_AUTHOR.c.network).distinct().order_by(_AUTHOR.c.network)).scalars())

    def forgotten_at(self, network: str, name: str) -> datetime | None:
        """When somebody of that handle or native id was forgotten."""
        with self._db.reading() as connection:
            return forgotten_at(connection, name_hash(network, name))

    def let_through(self, mentions: Sequence[Mention]) -> list[Mention]:
        """Those that were not erased, and whose authors may be heard."""
        with self._db.reading() as connection:
            kept_out = unwanted(connection, mentions)
        return [mention for mention in mentions if (mention.network, mention.native_id) not in kept_out]

    def never_hear(self, network: str, native_id: str, *, now: datetime) -> None:
        """Drop whatever this author posts from now on."""
        with self._db.writing() as connection:
            keep_arrivals_out(connection)
            remember(connection, [author_hash(network, native_id)], now=now)

    def erase(self, author_id: int, *, now: datetime, never_again: bool = False) -> Erased:
        """Erase it all in one transaction, close their open cases, and stop the replies to them.

        `never_again`: what they post later is dropped when it arrives. What is erased here comes back in neither case. Raises `BadInput`
        when there is no such author.
        """
        with self._db.writing() as connection:
            if self._db.is_sqlite:
                connection.exec_driver_sql("PRAGMA secure_delete = ON")
            erasing = Erasing(connection, author_id, now)
            erasing.erase()
            erasing.remember(never_again=never_again)
        return erasing.result()

    def preview(self, author_id: int, *, now: datetime) -> Erased:
        """What `erase` would do: it is done, counted, and taken back."""
        try:
            with self._db.writing() as connection:
                erasing = Erasing(connection, author_id, now)
                erasing.erase()
                raise _OnlyTried
        except _OnlyTried:
            return erasing.result()

    def compact(self) -> None:
        """Write the file anew, so that no freed page holds what was erased; on PostgreSQL, clear dead rows away.

        On SQLite it takes twice the file's size of free disk, and nobody else writes meanwhile. Raises `DatabaseBusy` while another program
        reads: then the journal beside the file may still hold what was erased.
        """
        with self._db.outside() as connection:
            if not self._db.is_sqlite:
                for rows in SQLModel.metadata.sorted_tables:
                    connection.exec_driver_sql(f'VACUUM "{rows.name}"')
                return
            connection.exec_driver_sql("PRAGMA temp_store = FILE")  # the new file may be larger than memory
            connection.exec_driver_sql("VACUUM")
            is_busy, *_ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        if is_busy:
            raise DatabaseBusy("another program reads the database, and its journal may still hold what was erased")

    def files(self) -> list[Path]:
        """The files of a SQLite database that are there; a PostgreSQL server has its own."""
        if not self._db.is_sqlite:
            return []
        with self._db.reading() as connection:
            path = connection.exec_driver_sql("SELECT file FROM pragma_database_list WHERE name = 'main'").scalar_one()
        return [file for end in ("", "-wal", "-shm", "-journal") if (file := Path(f"{path}{end}")).exists()]

    def columns(self) -> dict[str, tuple[str, ...]]:
        """Table -> its columns that can hold words, of those that have any."""
        all_columns = {rows.name: tuple(column.name for column in words_of(rows)) for rows in SQLModel.metadata.sorted_tables}
        return {name: columns for name, columns in all_columns.items() if columns}

    def size(self) -> int:
        """How many rows `passages` gives."""
        with self._db.reading() as connection:
            counts = (select(func.count()).select_from(rows) for rows in SQLModel.metadata.sorted_tables if words_of(rows))
            return sum(connection.execute(count).scalar_one() for count in counts)

    def passages(self) -> Iterator[Passage]:
        """Every row of every table that can hold words, as it is stored, in one view of the data."""
        with self._db.reading() as connection:
            for rows in SQLModel.metadata.sorted_tables:
                if words_of(rows):
                    yield from _passages(connection, rows)


def words_of(rows: Table) -> list[Column[Any]]:
    """The columns that can hold words: texts, JSON and bytes."""
    return [column for column in rows.c if isinstance(_stored_as(column), String | LargeBinary)]


def _stored_as(column: Column[Any]) -> TypeEngine[Any]:
    return column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type


def _passages(connection: Connection, rows: Table) -> Iterator[Passage]:
    columns, keys = words_of(rows), [key.label(f"key_{key.name}") for key in rows.primary_key.columns]
    wanted = select(*keys, network_of(rows).label("of_network"), *(_as_stored(column).label(f"{column.name}_") for column in columns))
    for row in connection.execution_options(yield_per=2_000).execute(wanted):
        words = {column.name: value for column, value in zip(columns, row[len(keys) + 1 :], strict=True) if value}
        yield Passage(table=rows.name, row=" ".join(map(str, row[: len(keys)])), network=row[len(keys)], words=words)


def _as_stored(column: Column[Any]) -> ColumnElement[Any]:
    """JSON as its text."""
    return column if isinstance(_stored_as(column), LargeBinary) else type_coerce(column, Text)
