"""Rows by the thousand, straight through the driver.

SQLAlchemy builds a dict and walks its processors for every row of every batch; where mentions are written that took most of the time.
Here values come in the form in which the database stores them (see `stored_time` and `stored_json` in `columns`), as tuples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, func, select, text


def insert_rows(
    connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]], *, otherwise: str = ""
) -> None:
    """Insert `rows`, whose values stand in the order of `columns`; `otherwise` is what follows VALUES, such as an ON CONFLICT."""
    if rows:
        marks = ", ".join([_mark(connection)] * len(columns))
        connection.exec_driver_sql(f'INSERT INTO "{table.name}" ({_names(columns)}) VALUES ({marks}) {otherwise}', list(rows))  # noqa: S608 - names of ours only


def update_rows(connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]], *, always: str = "") -> None:
    """Update `rows` by id, which stands last in each.

    A column led by "+" is added to; `always` is what is set alike in all rows, such as "stage = 1, ".
    """
    if rows:
        mark = _mark(connection)
        sets = ", ".join(f'"{name[1:]}" = "{name[1:]}" + {mark}' if name.startswith("+") else f'"{name}" = {mark}' for name in columns)
        connection.exec_driver_sql(f'UPDATE "{table.name}" SET {always}{sets} WHERE id = {mark}', list(rows))  # noqa: S608 - names of ours only


def delete_rows(connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Delete the rows in which `columns` have these values."""
    if rows:
        these = " AND ".join(f'"{name}" = {_mark(connection)}' for name in columns)
        connection.exec_driver_sql(f'DELETE FROM "{table.name}" WHERE {these}', list(rows))  # noqa: S608 - names of ours only


def rows_among(
    connection: Connection, table: Table, columns: Sequence[str], column: str, values: Sequence[Any], **equal: Any
) -> Sequence[Any]:
    """`columns` of the rows whose `column` is among `values`, however many these are, and whose further columns are `equal`."""
    if not values:
        return ()
    is_sqlite = connection.dialect.name == "sqlite"
    among = "IN (SELECT value FROM json_each(?))" if is_sqlite else "= ANY(%s)"
    also = "".join(f' AND "{name}" = {_mark(connection)}' for name in equal)
    given = msgspec.json.encode(values).decode() if is_sqlite else list(values)
    statement = f'SELECT {_names(columns)} FROM "{table.name}" WHERE "{column}" {among}{also}'  # noqa: S608 - names of ours only
    return connection.exec_driver_sql(statement, (given, *equal.values())).all()


def next_ids(connection: Connection, table: Table, n: int) -> list[int]:
    """`n` ids that no row has or will have, rising. On SQLite only within a writing transaction, which nobody shares."""
    if connection.dialect.name == "sqlite":
        newest = connection.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one()
        return list(range(newest + 1, newest + 1 + n))
    taken = text("SELECT nextval(pg_get_serial_sequence(:name, 'id')) FROM generate_series(1, :n)")
    return list(connection.execute(taken, {"name": table.name, "n": n}).scalars())


def _mark(connection: Connection) -> str:
    return "?" if connection.dialect.name == "sqlite" else "%s"


def _names(columns: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)
