"""Mentions: kept with the cursor that brought them, claimed in batches, and written back with their cases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import Struct
from sqlalchemy import Connection, delete, func, or_, select, update

from earshot.errors import Conflict
from earshot.mention import Author, Mention, ScoredMention
from earshot.storage.bulk import insert_rows, next_ids, update_rows
from earshot.storage.columns import stored_json, stored_time
from earshot.storage.database import Database
from earshot.storage.rows import (
    AUTHOR_FIELDS,
    MENTION_FIELDS,
    author_of,
    joined_author,
    mention_of,
    pack_scores,
    scored_of,
    stored_author,
    stored_mention,
)
from earshot.storage.settling import Routed, Settle, settle_cases
from earshot.storage.tables import (
    GONE,
    HEARD,
    QUARANTINED,
    UNDERSTOOD,
    AuthorRow,
    CaseRow,
    CopyKeyRow,
    EventRow,
    GapRow,
    MentionRow,
    ReplyRow,
    SourceRow,
    table,
)

_AUTHOR, _MENTION, _COPY_KEY, _CASE = table(AuthorRow), table(MentionRow), table(CopyKeyRow), table(CaseRow)
_EVENT, _REPLY, _SOURCE, _GAP = table(EventRow), table(ReplyRow), table(SourceRow), table(GapRow)


class Heard(Struct, frozen=True, kw_only=True):
    """A mention on its way in, with the cheap keys that near copies share."""

    mention: Mention
    copy_keys: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """What one poll learnt besides mentions: stored in the same transaction, so that neither is lost without the other."""

    source: str
    worker: str  #: who holds the lease; whoever lost it writes nothing
    cursor: str | None
    deleted: tuple[str, ...] = ()
    gap: tuple[datetime, datetime, str] | None = None
    spent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who works on what is claimed, and until when it stays theirs when they fall silent."""

    worker: str
    until: datetime


class Waiting(Struct, frozen=True, kw_only=True):
    """A claimed mention that nobody understood yet."""

    id: int
    mention: Mention
    author_id: int | None
    seen_at: datetime
    tries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How many mentions were new, and how many were known already or our own."""

    new: int
    known: int
    waiting: tuple[Waiting, ...] = ()  #: the new ones, where they were claimed at once


class Original(Struct, frozen=True, kw_only=True):
    """The mention that a text may be a copy of."""

    id: int
    text: str
    author_id: int | None
    copy_of: int | None = None  #: where it turned out to be a copy itself


class Mentions:
    def __init__(self, database: Database) -> None:
        self._db = database

    def keep_new(self, heard: Sequence[Heard], *, source: str, now: datetime, poll: Poll | None = None, claim: Claim | None = None) -> Kept:
        """Store what was not stored yet, with the cursor of the poll that brought it, in one transaction.

        With `claim` the new ones belong to that worker at once. Raises `Conflict` when the poll lost its lease meanwhile: then nothing
        is stored and the new holder reads the page again.
        """
        with self._db.writing() as connection:
            if poll is not None:
                _move_cursor(connection, poll, now)
            mentions = self._without_ours(connection, heard)
            authors = _keep_authors(connection, [h.mention.author for h in mentions if h.mention.author], now)
            new = _keep_mentions(connection, mentions, authors, source=source, now=now, claim=claim)
        waiting = tuple(
            Waiting(id=id_, mention=h.mention, author_id=_author_id(h.mention, authors), seen_at=now, tries=1) for id_, h in new
        )
        return Kept(new=len(new), known=len(heard) - len(new), waiting=waiting if claim is not None else ())

    def _without_ours(self, connection: Connection, heard: Sequence[Heard]) -> list[Heard]:
        """Drop our own replies polled back, and doubles within the batch; oldest first, so that ids follow time.

        Networks count their ids up, which orders what was posted in the same second.
        """
        unique = {(h.mention.network, h.mention.native_id): h for h in heard}
        if not unique:
            return []
        ours = connection.execute(
            select(_REPLY.c.network, _REPLY.c.native_id).where(_REPLY.c.native_id.in_([native_id for _, native_id in unique]))
        )
        for network, native_id in ours:
            unique.pop((network, native_id), None)
        return sorted(unique.values(), key=lambda h: (h.mention.posted_at, len(h.mention.native_id), h.mention.native_id))

    def claim(self, limit: int, *, worker: str, now: datetime, lease: timedelta) -> list[Waiting]:
        """Take up to `limit` mentions that nobody understood yet, oldest first, with one statement.

        What this worker holds already it takes again: an earlier round of it broke off.
        """
        free = or_(_MENTION.c.claimed_until.is_(None), _MENTION.c.claimed_until < now, _MENTION.c.claimed_by == worker)
        waiting = select(_MENTION.c.id).where(_MENTION.c.stage == HEARD, free).order_by(_MENTION.c.id).limit(limit)
        if not self._db.is_sqlite:
            waiting = waiting.with_for_update(skip_locked=True)
        claim = (
            update(_MENTION)
            .where(_MENTION.c.id.in_(waiting))
            .values(claimed_by=worker, claimed_until=now + lease, tries=_MENTION.c.tries + 1)
            .returning(*_MENTION.c)
        )
        if not self._any_waiting():
            return []
        with self._db.writing() as connection:
            rows = connection.execute(claim).mappings().all()
            ids = {row["author_id"] for row in rows if row["author_id"] is not None}
            found = connection.execute(select(_AUTHOR).where(_AUTHOR.c.id.in_(ids))).mappings() if ids else ()
            authors = {row["id"]: author_of(row) for row in found}
        return [
            Waiting(
                id=row["id"],
                mention=mention_of(row, authors.get(row["author_id"])),
                author_id=row["author_id"],
                seen_at=row["seen_at"],
                tries=row["tries"],
            )
            for row in sorted(rows, key=lambda row: row["id"])
        ]

    def _any_waiting(self) -> bool:
        """Look before taking the write lock: an idle worker disturbs nobody."""
        with self._db.reading() as connection:
            return connection.execute(select(_MENTION.c.id).where(_MENTION.c.stage == HEARD).limit(1)).first() is not None

    def originals(self, ids: Sequence[int]) -> dict[int, list[Original]]:
        """For each of these mentions the earlier ones that it may be a copy of: the first to have one of its copy keys, oldest first."""
        other = _COPY_KEY.alias("other")
        first = select(func.min(other.c.mention_id)).where(other.c.key == _COPY_KEY.c.key).scalar_subquery()
        shared = select(_COPY_KEY.c.mention_id, first.label("first")).where(_COPY_KEY.c.mention_id.in_(ids)).distinct().subquery()
        columns = (_MENTION.c.id, _MENTION.c.text, _MENTION.c.author_id, _MENTION.c.copy_of)
        candidates = (
            select(shared.c.mention_id, *columns).join(_MENTION, _MENTION.c.id == shared.c.first).where(_MENTION.c.id < shared.c.mention_id)
        )
        found: dict[int, list[Original]] = {}
        with self._db.reading() as connection:
            for mention_id, *original in connection.execute(candidates.order_by(_MENTION.c.id)):
                found.setdefault(mention_id, []).append(
                    Original(**dict(zip(("id", "text", "author_id", "copy_of"), original, strict=True)))
                )
        return found

    def by_native_ids(self, network: str, native_ids: Iterable[str]) -> dict[str, int]:
        """Ids of the mentions we know, by their native id."""
        with self._db.reading() as connection:
            rows = connection.execute(
                select(_MENTION.c.native_id, _MENTION.c.id).where(_MENTION.c.network == network, _MENTION.c.native_id.in_(list(native_ids)))
            )
            return {row.native_id: row.id for row in rows}

    def write_routed(self, routed: Sequence[Routed], *, settle: Settle, worker: str, now: datetime) -> int:
        """Write scores, cases and events of a claimed batch in one transaction; returns how many were still ours to write.

        `settle` is asked once per mention, in order, with the case as it stands at that moment. Mentions whose claim went to
        another worker meanwhile are left to it.
        """
        with self._db.writing() as connection:
            ours = self._still_claimed(connection, [r.id for r in routed], worker)
            batch = [r for r in routed if r.id in ours]
            cases = settle_cases(connection, batch, settle, now)
            _write_mentions(connection, batch, cases)
        return len(batch)

    def _still_claimed(self, connection: Connection, ids: Sequence[int], worker: str) -> set[int]:
        mine = select(_MENTION.c.id).where(_MENTION.c.id.in_(ids), _MENTION.c.claimed_by == worker, _MENTION.c.stage == HEARD)
        if not self._db.is_sqlite:
            mine = mine.with_for_update()
        return set(connection.execute(mine).scalars())

    def quarantine(self, ids: Sequence[int], *, worker: str) -> None:
        """Put mentions aside that crash a classifier every time, so that the others go on."""
        with self._db.writing() as connection:
            connection.execute(update(_MENTION).where(_MENTION.c.id.in_(ids), _MENTION.c.claimed_by == worker).values(stage=QUARANTINED))

    def release(self, ids: Sequence[int], *, worker: str) -> None:
        """Give claimed mentions back at once, for a later try."""
        with self._db.writing() as connection:
            mine = update(_MENTION).where(_MENTION.c.id.in_(ids), _MENTION.c.claimed_by == worker)
            connection.execute(mine.values(claimed_by=None, claimed_until=None))

    def understood(self, *, most: int = 1_000_000) -> Iterator[ScoredMention]:
        """The latest understood mentions with their authors and scores, newest first, without holding them all in memory."""
        author = [column.label(f"by_{column.name}") for column in _AUTHOR.c]
        statement = (
            select(_MENTION, *author)
            .outerjoin(_AUTHOR, _AUTHOR.c.id == _MENTION.c.author_id)
            .where(_MENTION.c.stage == UNDERSTOOD)
            .order_by(_MENTION.c.id.desc())
            .limit(most)
        )
        with self._db.reading() as connection:
            for row in connection.execution_options(yield_per=2_000).execute(statement).mappings():
                yield scored_of(row, joined_author(row))

    def counts(self) -> dict[str, int]:
        """How many mentions stand at which stage."""
        names = {HEARD: "heard", UNDERSTOOD: "understood", GONE: "gone", QUARANTINED: "quarantined"}
        with self._db.reading() as connection:
            rows = connection.execute(select(_MENTION.c.stage, func.count()).group_by(_MENTION.c.stage)).all()
        return {name: next((n for stage, n in rows if stage == value), 0) for value, name in names.items()}


_AUTHOR_COLUMNS = (*AUTHOR_FIELDS, "seen_at")
#: what a network leaves out is not forgotten; what it tells anew replaces what we knew
_REFRESH = "ON CONFLICT (network, native_id) DO UPDATE SET " + ", ".join(
    [f"{name} = excluded.{name}" for name in ("handle", "name", "bio", "url", "verified", "seen_at")]
    + [f"{name} = coalesce(excluded.{name}, author.{name})" for name in ("followers", "following", "posts", "created_at")]
)
_MENTION_COLUMNS = ("id", *MENTION_FIELDS, "author_id", "seen_at", "source", "stage", "tries", "claimed_by", "claimed_until")


def _keep_authors(connection: Connection, authors: Iterable[Author], now: datetime) -> dict[tuple[str, str], int]:
    """Write authors as they are now; returns their ids by (network, native id)."""
    unique = {(author.network, author.native_id): author for author in authors}
    seen = stored_time(now)
    insert_rows(connection, _AUTHOR, _AUTHOR_COLUMNS, [(*stored_author(unique[key]), seen) for key in sorted(unique)], otherwise=_REFRESH)
    ids: dict[tuple[str, str], int] = {}
    for network in {network for network, _ in unique}:
        own = [native_id for net, native_id in unique if net == network]
        known = select(_AUTHOR.c.native_id, _AUTHOR.c.id).where(_AUTHOR.c.network == network, _AUTHOR.c.native_id.in_(own))
        ids |= {(network, native_id): id_ for native_id, id_ in connection.execute(known)}
    return ids


def _keep_mentions(
    connection: Connection,
    heard: Sequence[Heard],
    authors: Mapping[tuple[str, str], int],
    *,
    source: str,
    now: datetime,
    claim: Claim | None,
) -> list[tuple[int, Heard]]:
    """Write the mentions that are not known yet, with their copy keys; returns these with their ids."""
    heard = _unknown(connection, heard)
    if not heard:
        return []
    claimed = (HEARD, 0, None, None) if claim is None else (HEARD, 1, claim.worker, stored_time(claim.until))
    ids, seen = next_ids(connection, _MENTION, len(heard)), stored_time(now)
    rows = [
        (id_, *stored_mention(h.mention), _author_id(h.mention, authors), seen, source, *claimed) for id_, h in zip(ids, heard, strict=True)
    ]
    insert_rows(connection, _MENTION, _MENTION_COLUMNS, rows, otherwise="ON CONFLICT (network, native_id) DO NOTHING")
    stored = set(connection.execute(select(_MENTION.c.id).where(_MENTION.c.id.between(ids[0], ids[-1]))).scalars()) & set(ids)
    new = [(id_, h) for id_, h in zip(ids, heard, strict=True) if id_ in stored]
    insert_rows(connection, _COPY_KEY, ("key", "mention_id"), [(key, id_) for id_, h in new for key in set(h.copy_keys)])
    return new


def _unknown(connection: Connection, heard: Sequence[Heard]) -> list[Heard]:
    """What is not stored yet. To insert it again would do nothing, but wait for whoever writes the mention at this moment."""
    known = set()
    for network in {h.mention.network for h in heard}:
        own = [h.mention.native_id for h in heard if h.mention.network == network]
        stored = select(_MENTION.c.native_id).where(_MENTION.c.network == network, _MENTION.c.native_id.in_(own))
        known |= {(network, native_id) for native_id in connection.execute(stored).scalars()}
    return [h for h in heard if (h.mention.network, h.mention.native_id) not in known]


def _author_id(mention: Mention, authors: Mapping[tuple[str, str], int]) -> int | None:
    return None if mention.author is None else authors[mention.author.network, mention.author.native_id]


def _move_cursor(connection: Connection, poll: Poll, now: datetime) -> None:
    month = now.strftime("%Y-%m")
    moved = connection.execute(
        update(_SOURCE)
        .where(_SOURCE.c.name == poll.source, _SOURCE.c.lease_by == poll.worker)
        .values(
            cursor=poll.cursor,
            polled_at=now,
            reads=poll.spent
            + func.coalesce(select(_SOURCE.c.reads).where(_SOURCE.c.name == poll.source, _SOURCE.c.month == month).scalar_subquery(), 0),
            month=month,
        )
    )
    if moved.rowcount == 0:
        raise Conflict(f"source {poll.source!r}: the lease went to another worker; it reads this page again")
    if poll.gap is not None:
        since, until, why = poll.gap
        connection.execute(_GAP.insert().values(source=poll.source, since=since, until=until, why=why, at=now))
    if poll.deleted:
        network = select(_SOURCE.c.network).where(_SOURCE.c.name == poll.source).scalar_subquery()
        gone = select(_MENTION.c.id).where(_MENTION.c.network == network, _MENTION.c.native_id.in_(poll.deleted))
        connection.execute(delete(_COPY_KEY).where(_COPY_KEY.c.mention_id.in_(gone)))
        connection.execute(update(_MENTION).where(_MENTION.c.id.in_(gone)).values(stage=GONE, text="", url="", scores=None))


def _write_mentions(connection: Connection, batch: Sequence[Routed], cases: Mapping[str, int]) -> None:
    if not batch:
        return
    rows = [
        (stored_json(pack_scores(item.scored.scores)), cases.get(item.case_key) if item.case_key else None, item.copy_of, item.id)
        for item in batch
    ]
    finished = f"stage = {UNDERSTOOD}, claimed_by = NULL, claimed_until = NULL, "
    update_rows(connection, _MENTION, ("scores", "case_id", "copy_of"), rows, always=finished)
    copies = [item.id for item in batch if item.copy_of is not None]
    if copies:  # a copy never serves as an original: one hot text must not grow a list of candidates
        connection.execute(delete(_COPY_KEY).where(_COPY_KEY.c.mention_id.in_(copies)))
    _write_influence(connection, batch)


def _write_influence(connection: Connection, batch: Sequence[Routed]) -> None:
    by_author = sorted((item for item in batch if item.author_id), key=_author_key)  # in the order in which they are kept: no deadlock
    weights = {item.author_id: s.value for item in by_author if (s := item.scored.score("influence")) and s.confidence > 0}
    update_rows(connection, _AUTHOR, ("influence",), [(value, id_) for id_, value in weights.items()])


def _author_key(item: Routed) -> tuple[str, str]:
    author = item.scored.mention.author
    return ("", "") if author is None else (author.network, author.native_id)
