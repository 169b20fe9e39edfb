"""Which mentions match which saved queries: written with the mentions, erased with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection

from earshot.storage.bulk import delete_rows, insert_rows
from earshot.storage.columns import stored_time
from earshot.storage.tables import QueryMatchRow, table

_MATCH = table(QueryMatchRow)


def keep_matches(connection: Connection, matched: Iterable[tuple[int, datetime, Sequence[int]]]) -> None:
    """Write what each mention (id, when it was posted) matches; what is written already stays."""
    rows = [(mention, query, stored_time(posted_at)) for mention, posted_at, queries in matched for query in queries]
    insert_rows(connection, _MATCH, ("mention_id", "query_id", "posted_at"), rows, otherwise="ON CONFLICT DO NOTHING")


def drop_matches(connection: Connection, mentions: Iterable[int]) -> None:
    """Erase what these mentions match."""
    delete_rows(connection, _MATCH, ("mention_id",), [(mention,) for mention in mentions])
