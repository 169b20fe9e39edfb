"""What must not come back once an author was forgotten. Only hashes are kept: they know a post again, and tell nobody its name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime

import msgspec
from sqlalchemy import Connection, func, select

from earshot.mention import Mention
from earshot.storage.bulk import insert_rows, rows_among
from earshot.storage.columns import stored_time
from earshot.storage.tables import ForgottenRow, table

_FORGOTTEN = table(ForgottenRow)

#: on PostgreSQL: whoever forgets waits for those who bring mentions, and they for it
_ARRIVALS = 7223553


def post_hash(network: str, native_id: str) -> str:
    """Of a post that was erased: an overlapping poll, or a file that is imported again, does not bring it back."""
    return _hashed("post", network, native_id)


def author_hash(network: str, native_id: str) -> str:
    """Of an author who is never to be heard again."""
    return _hashed("author", network, native_id)


def name_hash(network: str, name: str) -> str:
    """Of a handle or native id under which somebody was forgotten, in whichever case: asked for twice, it is known what happened."""
    return _hashed("name", network, name.casefold())


def _hashed(*parts: str) -> str:
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def remember(connection: Connection, hashes: Iterable[str], *, now: datetime) -> None:
    at = stored_time(now)
    insert_rows(connection, _FORGOTTEN, ("key", "at"), [(key, at) for key in sorted(set(hashes))], otherwise="ON CONFLICT (key) DO NOTHING")


def forgotten_at(connection: Connection, key: str) -> datetime | None:
    found: datetime | None = connection.execute(select(_FORGOTTEN.c.at).where(_FORGOTTEN.c.key == key)).scalar()
    return found


def last_forgotten(connection: Connection) -> datetime | None:
    """When somebody was forgotten last."""
    found: datetime | None = connection.execute(select(func.max(_FORGOTTEN.c.at))).scalar()
    return found


def keep_arrivals_out(connection: Connection) -> None:
    """Let nobody bring mentions until this transaction ends. On SQLite nobody else writes anyhow."""
    if connection.dialect.name != "sqlite":
        connection.execute(select(func.pg_advisory_xact_lock(_ARRIVALS)))


def unwanted(connection: Connection, mentions: Iterable[Mention]) -> set[tuple[str, str]]:
    """(network, native id) of the mentions that were erased before, or whose author is never to be heard again. One look-up a batch."""
    if connection.dialect.name != "sqlite":
        connection.execute(select(func.pg_advisory_xact_lock_shared(_ARRIVALS)))
    if connection.execute(select(_FORGOTTEN.c.key).limit(1)).first() is None:
        return set()
    hashes: dict[str, set[tuple[str, str]]] = {}
    for mention in mentions:
        key = mention.network, mention.native_id
        hashes.setdefault(post_hash(*key), set()).add(key)
        if mention.author is not None:
            hashes.setdefault(author_hash(mention.author.network, mention.author.native_id), set()).add(key)
    found = rows_among(connection, _FORGOTTEN, ("key",), "key", list(hashes))
    return {mention for (key,) in found for mention in hashes[key]}
