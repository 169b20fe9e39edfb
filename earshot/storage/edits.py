"""Posts that come again with other words: what they said before is kept as a version, and they are understood anew."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, RowMapping, func, select

from earshot.mention import Mention
from earshot.storage.arrivals import Heard, Key
from earshot.storage.bulk import insert_rows, rows_among, update_rows
from earshot.storage.columns import stored_time
from earshot.storage.matches import drop_matches
from earshot.storage.originals import forget_keys
from earshot.storage.tables import GONE, HEARD, UNDERSTOOD, AuthorRow, MentionRow, VersionRow, table

_AUTHOR, _MENTION, _VERSION = table(AuthorRow), table(MentionRow), table(VersionRow)

#: a post that comes with other words each time (a feed with a counter in it) is read anew so often, and then left as it is
MOST_VERSIONS = 50

#: texts -> the keys by which each is found
KeysOf = Callable[[Sequence[str]], Sequence[tuple[int, ...]]]


class Version(Struct, frozen=True, kw_only=True):
    """What a post said before its author edited it, and from when to when we saw it so."""

    text: str
    since: datetime
    until: datetime


def newest(heard: Iterable[Heard]) -> dict[Key, Heard]:
    """Each post once, as its author left it last."""
    found: dict[Key, Heard] = {}
    for one in heard:
        key = one.mention.network, one.mention.native_id
        if key not in found or not _is_older(one.mention.edited_at, found[key].mention.edited_at):
            found[key] = one
    return found


def take_up(connection: Connection, again: Mapping[Key, Heard], *, keys_of: KeysOf, now: datetime) -> dict[int, tuple[int, ...]]:
    """Keep the former words of those among known posts that were edited, and put the new ones in their place, to be understood.

    Returns ids with the keys of the new words. A version that is older than ours, or the same, changes nothing; neither does what is gone,
    or comes from another author.
    Who claimed one of them with its former words holds it no more.
    """
    edited = _lock(connection, _edited_ids(connection, again), again)
    if not edited:
        return {}
    mentions, ids = {row["id"]: _arrived(again, row).mention for row in edited}, [row["id"] for row in edited]
    latest = select(_VERSION.c.mention_id, func.max(_VERSION.c.until)).where(_VERSION.c.mention_id.in_(ids)).group_by(_VERSION.c.mention_id)
    since: dict[int, datetime] = dict(connection.execute(latest).all())
    at = stored_time(now)
    insert_rows(
        connection,
        _VERSION,
        ("mention_id", "text", "since", "until", "understood"),
        [(row["id"], row["text"], stored_time(since.get(row["id"], row["seen_at"])), at, row["stage"] == UNDERSTOOD) for row in edited],
    )
    drop_matches(connection, ids)
    forget_keys(connection, dict(zip(ids, keys_of([row["text"] for row in edited]), strict=True)))
    update_rows(
        connection,
        _MENTION,
        ("text", "edited_at", "lang_hint", "+edits"),
        [(m.text, stored_time(m.edited_at), m.lang_hint, 1, id_) for id_, m in mentions.items()],
        always=f"stage = {HEARD}, claimed_by = NULL, claimed_until = NULL, tries = 0, ",
    )
    return {row["id"]: _arrived(again, row).copy_keys for row in edited}


def former_texts(connection: Connection, ids: Collection[int]) -> dict[int, str]:
    """Of edited posts: what each said when it was understood last."""
    if not ids:
        return {}
    versions = select(_VERSION.c.mention_id, _VERSION.c.text).where(_VERSION.c.mention_id.in_(ids), _VERSION.c.understood)
    return dict(connection.execute(versions.order_by(_VERSION.c.id)).all())


def versions_of(connection: Connection, ids: Collection[int]) -> dict[int, tuple[Version, ...]]:
    """What edited posts said before, the latest first."""
    found: dict[int, tuple[Version, ...]] = {}
    if ids:
        rows = connection.execute(select(_VERSION).where(_VERSION.c.mention_id.in_(ids)).order_by(_VERSION.c.id.desc())).mappings()
        for row in rows:
            version = Version(text=row["text"], since=row["since"], until=row["until"])
            found[row["mention_id"]] = (*found.get(row["mention_id"], ()), version)
    return found


def _edited_ids(connection: Connection, again: Mapping[Key, Heard]) -> list[int]:
    """A first look, without a lock: most of what comes again says what it said."""
    ids: list[int] = []
    for network in {network for network, _ in again}:
        own = [native_id for net, native_id in again if net == network]
        known = rows_among(connection, _MENTION, ("native_id", "id", "text"), "native_id", own, network=network)
        ids += [id_ for native_id, id_, text in known if again[network, native_id].mention.text != text]
    return sorted(ids)


def _lock(connection: Connection, ids: Sequence[int], again: Mapping[Key, Heard]) -> list[RowMapping]:
    """Those that are still to be changed once nobody else changes them; by id, as everybody does who locks several."""
    if not ids:
        return []
    by = _AUTHOR.c.native_id.label("by")
    wanted = select(_MENTION, by).outerjoin(_AUTHOR, _AUTHOR.c.id == _MENTION.c.author_id).where(_MENTION.c.id.in_(ids))
    wanted = wanted.order_by(_MENTION.c.id)
    if connection.dialect.name != "sqlite":
        wanted = wanted.with_for_update(of=_MENTION)
    return [row for row in connection.execute(wanted).mappings() if _is_edit(row, _arrived(again, row).mention)]


def _arrived(again: Mapping[Key, Heard], row: RowMapping) -> Heard:
    return again[row["network"], row["native_id"]]


def _is_edit(row: RowMapping, mention: Mention) -> bool:
    if row["stage"] == GONE or row["edits"] >= MOST_VERSIONS or row["text"] == mention.text:
        return False
    if row["by"] != (mention.author and mention.author.native_id):  # who copies the id of another's post does not speak for them
        return False
    ours, theirs = row["edited_at"], mention.edited_at
    return _is_older(ours, theirs) or (ours is None and theirs is None)


def _is_older(one: datetime | None, other: datetime | None) -> bool:
    """Where a network tells when a post was edited, what it says nothing of was not edited yet."""
    return other is not None and (one is None or one < other)
