"""Saved queries: made, changed, deleted and brought back by people, and what they matched day by day."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, delete, func, or_, select, type_coerce, update
from sqlalchemy.exc import IntegrityError

from earshot.errors import BadInput, Conflict
from earshot.mention import ScoredMention
from earshot.storage.database import Database
from earshot.storage.matches import keep_matches
from earshot.storage.rows import joined_author, scored_of
from earshot.storage.tables import UNDERSTOOD, AccountRow, AuthorRow, MentionRow, QueryMatchRow, SavedQueryRow, table

_QUERY, _MATCH, _MENTION = table(SavedQueryRow), table(QueryMatchRow), table(MentionRow)
_AUTHOR, _ACCOUNT = table(AuthorRow), table(AccountRow)
_CHANGER = _ACCOUNT.alias("changer")
_DAY = timedelta(days=1)

MOST_QUERIES = 500
#: how long a deleted query can be brought back
KEPT_DELETED = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a person says a query should be."""

    name: str
    text: str
    sources: tuple[str, ...] = ()  #: that listen for it; none: it is only looked for in what is heard anyway
    not_by: tuple[str, ...] = ()  #: handles of authors that are left out
    not_saying: tuple[str, ...] = ()  #: words and phrases that are left out
    urgent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedQuery(Draft):
    id: int
    version: int  #: counts its changes; whoever changes it says which version they saw
    changed_at: datetime
    changed_by: str  #: a name; empty where no person did


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """What a query matched: a number for each day, the oldest first, and when the latest was posted."""

    days: tuple[int, ...]
    last: datetime | None = None

    @property
    def total(self) -> int:
        return sum(self.days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Queries that were saved lately, and stored mentions that they were not matched with yet."""

    versions: Mapping[int, int]  #: query -> its version
    queries: tuple[SavedQuery, ...]
    mentions: Mapping[int, ScoredMention]  #: by id
    looked_to: int  #: where the look will have come to; 0: its end


class Queries:
    def __init__(self, database: Database) -> None:
        self._db = database

    def all(self) -> list[SavedQuery]:
        """Every query, by name."""
        with self._db.reading() as connection:
            rows = connection.execute(_saved().where(_QUERY.c.deleted_at.is_(None)).order_by(_QUERY.c.name)).mappings()
            return [_query(row) for row in rows]

    def get(self, query_id: int) -> SavedQuery | None:
        with self._db.reading() as connection:
            row = connection.execute(_saved().where(_QUERY.c.id == query_id, _QUERY.c.deleted_at.is_(None))).mappings().first()
        return None if row is None else _query(row)

    # ---- what people do

    def add(self, draft: Draft, *, by: int | None, now: datetime) -> int:
        """Returns its id. Raises `Conflict` when the name is taken, `BadInput` when there are too many."""
        try:
            with self._db.writing() as connection:
                if connection.execute(select(func.count()).where(_QUERY.c.deleted_at.is_(None))).scalar_one() >= MOST_QUERIES:
                    raise BadInput(f"there are {MOST_QUERIES} saved queries, and no more are matched: delete one that nobody needs")
                made = {"version": 1, "made_by": by, "made_at": now, "changed_by": by, "changed_at": now}
                query_id = connection.execute(_QUERY.insert().values(**_stored(draft), **made).returning(_QUERY.c.id)).scalar_one()
                connection.execute(delete(_MATCH).where(_MATCH.c.query_id == query_id))  # of a query of old that had this id
        except IntegrityError as err:
            raise _taken(draft.name) from err
        return int(query_id)

    def change(self, query_id: int, draft: Draft, *, version: int, by: int | None, now: datetime) -> None:
        """Raises `Conflict` when somebody changed or deleted it since `version`, or the name is taken.

        What it matched so far is dropped where it looks for something else now, and the past is looked through again.
        """
        try:
            with self._db.writing() as connection:
                before = connection.execute(_saved().where(_QUERY.c.id == query_id, _QUERY.c.deleted_at.is_(None))).mappings().first()
                if before is None:
                    raise Conflict("somebody deleted this query meanwhile; save it under a new name if you still need it")
                changed = {"version": version + 1, "changed_by": by, "changed_at": now}
                is_another = _looks_for(_query(before)) != _looks_for(draft)
                if is_another:
                    changed["looked_to"] = None
                mine = and_(_QUERY.c.id == query_id, _QUERY.c.version == version)
                if connection.execute(update(_QUERY).where(mine).values(**_stored(draft), **changed)).rowcount == 0:
                    who = before["changed_by_name"] or "somebody"
                    raise Conflict(
                        f"{who} changed this query since you opened it: open it again, and make your change in what stands there now"
                    )
                if is_another:  # once the row is ours, for who looks at the past writes what it matches under the same lock
                    connection.execute(delete(_MATCH).where(_MATCH.c.query_id == query_id))
        except IntegrityError as err:
            raise _taken(draft.name) from err

    def delete(self, query_id: int, *, by: int | None, now: datetime) -> None:
        """For a day it can be brought back with all it matched. Raises `Conflict` when it is gone already."""
        with self._db.writing() as connection:
            live = and_(_QUERY.c.id == query_id, _QUERY.c.deleted_at.is_(None))
            deleted = {"deleted_at": now, "changed_at": now, "changed_by": by, "version": _QUERY.c.version + 1}
            if connection.execute(update(_QUERY).where(live).values(deleted)).rowcount == 0:
                raise Conflict("somebody deleted this query already")
            purge(connection, _QUERY.c.deleted_at < now - KEPT_DELETED)

    def restore(self, query_id: int, *, by: int | None, now: datetime) -> str:
        """Bring a deleted query back; returns its name. Raises `Conflict` when it is gone for good, or its name is taken by now."""
        gone = and_(_QUERY.c.id == query_id, _QUERY.c.deleted_at.is_not(None))
        # What came in meanwhile was not matched with it.
        again = {"deleted_at": None, "changed_at": now, "changed_by": by, "version": _QUERY.c.version + 1, "looked_to": None}
        try:
            with self._db.writing() as connection:
                name = connection.execute(update(_QUERY).where(gone).values(again).returning(_QUERY.c.name)).scalar_one_or_none()
        except IntegrityError as err:
            raise Conflict("another query has its name by now: rename that one first") from err
        if name is None:
            raise Conflict("this query stands, or was deleted for good")
        return str(name)

    # ---- what they matched

    def volumes(self, *, until: datetime, days: int = 30) -> dict[int, Volume]:
        """For each query that matched anything, what it matched in each of the last days, by when it was posted. One statement.

        It counts within the index, day by day: grouping a million matches would take seconds.
        """
        today = until.replace(hour=0, minute=0, second=0, microsecond=0)
        own = _MATCH.c.query_id == _QUERY.c.id
        numbers = [
            select(func.count()).where(own, _MATCH.c.posted_at >= begin, _MATCH.c.posted_at < begin + _DAY).scalar_subquery()
            for begin in (today - _DAY * ago for ago in range(days - 1, -1, -1))
        ]
        last = type_coerce(select(func.max(_MATCH.c.posted_at)).where(own).scalar_subquery(), _MATCH.c.posted_at.type)
        with self._db.reading() as connection:
            rows = connection.execute(select(_QUERY.c.id, last, *numbers).where(_QUERY.c.deleted_at.is_(None))).all()
        return {id_: Volume(days=tuple(each), last=last) for id_, last, *each in rows if last is not None}

    # ---- what they would have matched

    def past(self, *, since: datetime, most: int) -> Past | None:
        """The next stored mentions posted after `since`, newest first, for queries that were not matched with them; None where none waits.

        Queries that stand at the same place are taken together.
        """
        with self._db.reading() as connection:
            waits = and_(_QUERY.c.deleted_at.is_(None), or_(_QUERY.c.looked_to.is_(None), _QUERY.c.looked_to > 0))
            rows = connection.execute(_saved().where(waits)).mappings().all()
            if not rows:
                return None
            at = next((None for row in rows if row["looked_to"] is None), max(row["looked_to"] or 0 for row in rows))
            queries = tuple(_query(row) for row in rows if row["looked_to"] == at)
            mentions = _understood(connection, below=at, since=since, most=most)
        looked_to = min(mentions) if len(mentions) == most else 0
        return Past(versions={query.id: query.version for query in queries}, queries=queries, mentions=mentions, looked_to=looked_to)

    def write_past(self, past: Past, matched: Mapping[int, Sequence[int]]) -> None:
        """Write what each mention of the past matches; a query that changed meanwhile is left out, and begins anew."""
        with self._db.writing() as connection:
            still = set()
            for query_id, version in sorted(past.versions.items()):
                mine = and_(_QUERY.c.id == query_id, _QUERY.c.version == version, _QUERY.c.deleted_at.is_(None))
                if connection.execute(update(_QUERY).where(mine).values(looked_to=past.looked_to)).rowcount:
                    still.add(query_id)
            stands = set(_still_understood(connection, list(matched)))
            keep_matches(
                connection,
                [
                    (id_, past.mentions[id_].mention.posted_at, [query for query in queries if query in still])
                    for id_, queries in sorted(matched.items())
                    if id_ in stands
                ],
            )

    def match_again(self, changed: Collection[int], found: Mapping[int, tuple[datetime, Sequence[int]]]) -> None:
        """Put what the `changed` queries match of these mentions (id -> when it was posted, their ids) in place of what they matched."""
        with self._db.writing() as connection:
            stand = _still_understood(connection, list(found))
            connection.execute(delete(_MATCH).where(_MATCH.c.mention_id.in_(stand), _MATCH.c.query_id.in_(changed)))
            keep_matches(connection, [(id_, *found[id_]) for id_ in stand])

    def sample(self, most: int) -> list[ScoredMention]:
        """The latest understood mentions, newest first: what a query is tried on before it is saved."""
        with self._db.reading() as connection:
            return list(_understood(connection, below=None, since=None, most=most).values())


def purge(connection: Connection, which: Any) -> None:
    """Delete these queries for good, with all they matched."""
    ids = list(connection.execute(delete(_QUERY).where(which).returning(_QUERY.c.id)).scalars())
    connection.execute(delete(_MATCH).where(_MATCH.c.query_id.in_(ids)))


def _understood(connection: Connection, *, below: int | None, since: datetime | None, most: int) -> dict[int, ScoredMention]:
    author = [column.label(f"by_{column.name}") for column in _AUTHOR.c]
    wanted = select(_MENTION, *author).outerjoin(_AUTHOR, _AUTHOR.c.id == _MENTION.c.author_id).where(_MENTION.c.stage == UNDERSTOOD)
    if below is not None:
        wanted = wanted.where(_MENTION.c.id < below)
    if since is not None:
        wanted = wanted.where(_MENTION.c.posted_at >= since)
    rows = connection.execute(wanted.order_by(_MENTION.c.id.desc()).limit(most)).mappings()
    return {row["id"]: scored_of(row, joined_author(row)) for row in rows}


def _still_understood(connection: Connection, ids: Sequence[int]) -> Sequence[int]:
    """Those whose words were not erased since they were read; they stay locked."""
    stand = select(_MENTION.c.id).where(_MENTION.c.id.in_(ids), _MENTION.c.stage == UNDERSTOOD).order_by(_MENTION.c.id)
    return connection.execute(stand if connection.dialect.name == "sqlite" else stand.with_for_update()).scalars().all()


def _saved() -> Any:
    return select(_QUERY, _CHANGER.c.name.label("changed_by_name")).outerjoin(_CHANGER, _CHANGER.c.id == _QUERY.c.changed_by)


def _looks_for(query: Draft) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    return query.text, query.not_by, query.not_saying


def _stored(draft: Draft) -> dict[str, object]:
    return {
        "name": draft.name,
        "text": draft.text,
        "sources": draft.sources,
        "not_by": draft.not_by,
        "not_saying": draft.not_saying,
        "urgent": draft.urgent,
    }


def _query(row: RowMapping) -> SavedQuery:
    return SavedQuery(
        id=row["id"],
        name=row["name"],
        text=row["text"],
        sources=tuple(row["sources"] or ()),
        not_by=tuple(row["not_by"] or ()),
        not_saying=tuple(row["not_saying"] or ()),
        urgent=row["urgent"],
        version=row["version"],
        changed_at=row["changed_at"],
        changed_by=row["changed_by_name"] or "",
    )


def _taken(name: str) -> Conflict:
    return Conflict(f"another query is called {name!r}: choose another name")
