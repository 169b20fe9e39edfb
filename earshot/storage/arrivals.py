"""How new mentions reach their tables: known ones and our own replies left out, authors as they are now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection

from earshot.mention import Author, Mention
from earshot.storage.bulk import insert_rows, rows_among
from earshot.storage.columns import stored_time
from earshot.storage.forgotten import unwanted
from earshot.storage.rows import AUTHOR_FIELDS, stored_author
from earshot.storage.tables import AuthorRow, MentionRow, ReplyRow, table

_AUTHOR, _MENTION, _REPLY = table(AuthorRow), table(MentionRow), table(ReplyRow)

#: (network, native id)
Key = tuple[str, str]

_COLUMNS = (*AUTHOR_FIELDS, "seen_at", "influence")
#: what a network leaves out is not forgotten; what it tells anew replaces what we knew
_REFRESH = "ON CONFLICT (network, native_id) DO UPDATE SET " + ", ".join(
    [f"{name} = excluded.{name}" for name in ("handle", "name", "bio", "url", "verified", "is_bot", "seen_at")]
    + [f"{name} = coalesce(excluded.{name}, author.{name})" for name in ("followers", "following", "posts", "created_at", "influence")]
)


class Heard(Struct, frozen=True, kw_only=True):
    """A mention on its way in, with the cheap keys that near copies share."""

    mention: Mention
    copy_keys: tuple[int, ...] = ()


def unknown(connection: Connection, mentions: Iterable[Mention]) -> list[Mention]:
    """Those that are neither stored, nor replies of ours polled back, nor forgotten, nor doubles within the batch; oldest first, so that
    ids follow time.

    Networks count their ids up, which orders what was posted in the same second.
    """
    new = {(m.network, m.native_id): m for m in mentions}
    for key in unwanted(connection, new.values()):
        del new[key]
    for network in {network for network, _ in new}:
        own = [native_id for net, native_id in new if net == network]
        for table_ in (_MENTION, _REPLY):
            for (native_id,) in rows_among(connection, table_, ("native_id",), "native_id", own, network=network):
                new.pop((network, native_id), None)
    return sorted(new.values(), key=lambda m: (m.posted_at, len(m.native_id), m.native_id))


def keep_authors(
    connection: Connection, authors: Iterable[Author | None], now: datetime, *, influence: Mapping[Key, float] | None = None
) -> dict[Key, int]:
    """Write authors as they are now, with the influence that was found; returns their ids."""
    unique = {(author.network, author.native_id): author for author in authors if author is not None}
    seen, found = stored_time(now), influence or {}
    rows = [(*stored_author(unique[key]), seen, found.get(key)) for key in sorted(unique)]
    insert_rows(connection, _AUTHOR, _COLUMNS, rows, otherwise=_REFRESH)
    ids: dict[Key, int] = {}
    for network in {network for network, _ in unique}:
        own = [native_id for net, native_id in unique if net == network]
        known = rows_among(connection, _AUTHOR, ("native_id", "id"), "native_id", own, network=network)
        ids |= {(network, native_id): id_ for native_id, id_ in known}
    return ids


def author_key(mention: Mention) -> Key | None:
    return None if mention.author is None else (mention.author.network, mention.author.native_id)
