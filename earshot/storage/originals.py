"""Which earlier mention a text may be a copy of: for each of its cheap keys, the first mention that had it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection

from earshot.mention import Mention
from earshot.storage.bulk import delete_rows, insert_rows, rows_among
from earshot.storage.tables import CopyKeyRow, MentionRow, table

_COPY_KEY, _MENTION = table(CopyKeyRow), table(MentionRow)

#: mention id -> the keys of its text
Keys = Mapping[int, Sequence[int]]


class Waiting(Struct, frozen=True, kw_only=True):
    """A mention with its place in the database that nobody understood yet."""

    id: int
    mention: Mention
    author_id: int | None
    seen_at: datetime
    tries: int
    former: str | None = None  #: what it said when it was understood last, where it was edited since and has a case


class Original(Struct, frozen=True, kw_only=True):
    """The mention that a text may be a copy of."""

    id: int
    text: str
    author_id: int | None
    copy_of: int | None = None  #: where it turned out to be a copy itself


class Earlier(Struct, frozen=True, kw_only=True):
    """What came before the mentions of a batch, by their ids."""

    originals: Mapping[int, Sequence[Original]]  #: those that share a key, oldest first
    reposted: Mapping[int, int]  #: the mention that the network itself says is reposted, where we know it


def find_earlier(connection: Connection, waiting: Sequence[Waiting], keys: Keys) -> Earlier:
    """What the batch may repeat: mentions that are stored, or that stand before it in the batch itself."""
    return Earlier(originals=_originals(connection, waiting, keys), reposted=_reposted(connection, waiting))


def keep_keys(connection: Connection, keys: Keys) -> None:
    """Remember whose keys these are; a key belongs to the first mention that had it, so that a hot text grows no list."""
    first: dict[int, int] = {}
    for id_ in sorted(keys):
        for key in keys[id_]:
            first.setdefault(key, id_)
    rows = [(key, first[key]) for key in sorted(first)]
    insert_rows(connection, _COPY_KEY, ("key", "mention_id"), rows, otherwise="ON CONFLICT (key) DO NOTHING")


def forget_keys(connection: Connection, keys: Keys) -> None:
    """A copy, or a post that is gone, never serves as an original."""
    delete_rows(connection, _COPY_KEY, ("key", "mention_id"), sorted((key, id_) for id_, own in keys.items() for key in own))


def _originals(connection: Connection, waiting: Sequence[Waiting], keys: Keys) -> dict[int, list[Original]]:
    first: dict[int, int] = dict(rows_among(connection, _COPY_KEY, ("key", "mention_id"), "key", [k for own in keys.values() for k in own]))
    holders: dict[int, set[int]] = {}
    for id_ in sorted(keys):
        for key in keys[id_]:
            if (holder := first.setdefault(key, id_)) < id_:
                holders.setdefault(id_, set()).add(holder)
    wanted = {holder for held in holders.values() for holder in held}
    here = {w.id: Original(id=w.id, text=w.mention.text, author_id=w.author_id) for w in waiting if w.id in wanted}
    known = here | _stored(connection, wanted - here.keys())
    return {id_: [known[holder] for holder in sorted(held) if holder in known] for id_, held in holders.items()}


def _stored(connection: Connection, ids: Iterable[int]) -> dict[int, Original]:
    rows = rows_among(connection, _MENTION, ("id", "text", "author_id", "copy_of"), "id", list(ids))
    return {id_: Original(id=id_, text=text, author_id=author_id, copy_of=copy_of) for id_, text, author_id, copy_of in rows}


def _reposted(connection: Connection, waiting: Sequence[Waiting]) -> dict[int, int]:
    reposts = [w for w in waiting if w.mention.repost_of is not None]
    place = {(w.mention.network, w.mention.native_id): w.id for w in waiting} if reposts else {}
    for network in {w.mention.network for w in reposts}:
        wanted = sorted({str(w.mention.repost_of) for w in reposts if w.mention.network == network})
        stored = rows_among(connection, _MENTION, ("native_id", "id"), "native_id", wanted, network=network)
        place |= {(network, native_id): id_ for native_id, id_ in stored}
    found = {w.id: place.get((w.mention.network, str(w.mention.repost_of))) for w in reposts}
    return {id_: original for id_, original in found.items() if original is not None}
