"""Mentions: kept with the cursor that brought them, claimed in batches, and written back with their cases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from earshot.case import Case, Move, Route
from earshot.errors import Conflict
from earshot.mention import Author, Mention, ScoredMention
from earshot.storage.credit import credit_answer
from earshot.storage.database import Database
from earshot.storage.rows import author_of, author_values, case_of, joined_author, mention_of, mention_values, pack_scores, scored_of
from earshot.storage.steps import leave
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
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
class Kept:
    """How many mentions were new, and how many were known already or our own."""

    new: int
    known: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A claimed mention that nobody understood yet."""

    id: int
    mention: Mention
    author_id: int | None
    seen_at: datetime
    tries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """The mention that a text may be a copy of."""

    id: int
    text: str
    author_id: int | None
    copy_of: int | None = None  #: where it turned out to be a copy itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """A mention with all that was decided on it, ready to be written."""

    id: int
    author_id: int | None
    scored: ScoredMention
    route: Route
    case_key: str | None  #: None: counted with its original, no case of its own
    copy_of: int | None = None
    priority: float = 0.0
    parts: tuple[tuple[str, float, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What becomes of a case when a mention reaches it: the case afterwards, and the steps that led there."""

    case: Case
    steps: tuple[tuple[Move, str, Mapping[str, Any]], ...]  #: (move, reason, data)
    helped: bool | None = None  #: the author's verdict on our last answer, where the mention gives one


#: (the case as it stands or None, the mention) -> what becomes of it
Settle = Callable[[Case | None, Routed], Settled]


class Mentions:
    def __init__(self, database: Database) -> None:
        self._db = database
        self._upsert = sqlite.insert if database.is_sqlite else postgresql.insert

    def keep_new(self, heard: Sequence[Heard], *, source: str, now: datetime, poll: Poll | None = None) -> Kept:
        """Store what was not stored yet, with the cursor of the poll that brought it, in one transaction.

        Raises `Conflict` when the poll lost its lease meanwhile: then nothing is stored and the new holder reads the page again.
        """
        with self._db.writing() as connection:
            if poll is not None:
                _move_cursor(connection, poll, now)
            mentions = self._without_ours(connection, heard)
            authors = self._keep_authors(connection, [h.mention.author for h in mentions if h.mention.author], now)
            new = self._keep_mentions(connection, mentions, authors, source=source, now=now)
        return Kept(new=new, known=len(heard) - new)

    def _without_ours(self, connection: Connection, heard: Sequence[Heard]) -> list[Heard]:
        """Drop our own replies polled back, and doubles within the batch; oldest first, so that ids follow time."""
        unique = {(h.mention.network, h.mention.native_id): h for h in heard}
        if not unique:
            return []
        ours = connection.execute(
            select(_REPLY.c.network, _REPLY.c.native_id).where(_REPLY.c.native_id.in_([native_id for _, native_id in unique]))
        )
        for network, native_id in ours:
            unique.pop((network, native_id), None)
        return sorted(unique.values(), key=lambda h: h.mention.posted_at)

    def _keep_authors(self, connection: Connection, authors: Iterable[Author], now: datetime) -> dict[tuple[str, str], int]:
        unique = {(author.network, author.native_id): author for author in authors}
        if not unique:
            return {}
        insert = self._upsert(_AUTHOR)
        fresh = {name: insert.excluded[name] for name in ("handle", "name", "bio", "url", "verified", "seen_at")}
        counts = {name: func.coalesce(insert.excluded[name], _AUTHOR.c[name]) for name in ("followers", "following", "posts", "created_at")}
        statement = insert.on_conflict_do_update(index_elements=["network", "native_id"], set_={**fresh, **counts})
        rows = [{**author_values(unique[key]), "seen_at": now} for key in sorted(unique)]
        result = connection.execute(statement.returning(_AUTHOR.c.network, _AUTHOR.c.native_id, _AUTHOR.c.id), rows)
        return {(network, native_id): id_ for network, native_id, id_ in result}

    def _keep_mentions(
        self, connection: Connection, heard: Sequence[Heard], authors: Mapping[tuple[str, str], int], *, source: str, now: datetime
    ) -> int:
        if not heard:
            return 0
        rows = [
            {
                **mention_values(h.mention),
                "author_id": h.mention.author and authors[h.mention.author.network, h.mention.author.native_id],
                "seen_at": now,
                "source": source,
                "stage": HEARD,
                "tries": 0,
            }
            for h in heard
        ]
        insert = self._upsert(_MENTION).on_conflict_do_nothing(index_elements=["network", "native_id"])
        new = connection.execute(insert.returning(_MENTION.c.network, _MENTION.c.native_id, _MENTION.c.id), rows)
        ids = {(network, native_id): id_ for network, native_id, id_ in new}
        keys = [
            {"key": key, "mention_id": ids[h.mention.network, h.mention.native_id]}
            for h in heard
            if (h.mention.network, h.mention.native_id) in ids
            for key in set(h.copy_keys)
        ]
        if keys:
            connection.execute(_COPY_KEY.insert(), keys)
        return len(ids)

    def claim(self, limit: int, *, worker: str, now: datetime, lease: timedelta) -> list[Waiting]:
        """Take up to `limit` mentions that nobody understood yet, oldest first, with one statement."""
        free = or_(_MENTION.c.claimed_until.is_(None), _MENTION.c.claimed_until < now)
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
            keys = {r.case_key for r in batch if r.case_key}
            cases = self._settle_cases(connection, batch, self._lock_cases(connection, keys), settle, now)
            _write_mentions(connection, batch, cases)
        return len(batch)

    def _still_claimed(self, connection: Connection, ids: Sequence[int], worker: str) -> set[int]:
        mine = select(_MENTION.c.id).where(_MENTION.c.id.in_(ids), _MENTION.c.claimed_by == worker, _MENTION.c.stage == HEARD)
        if not self._db.is_sqlite:
            mine = mine.with_for_update()
        return set(connection.execute(mine).scalars())

    def _lock_cases(self, connection: Connection, keys: Iterable[str]) -> dict[str, Case]:
        known = select(_CASE).where(_CASE.c.key.in_(sorted(keys))).order_by(_CASE.c.key)
        if not self._db.is_sqlite:
            known = known.with_for_update()
        return {row["key"]: case_of(row) for row in connection.execute(known).mappings()}

    def _settle_cases(
        self, connection: Connection, batch: Sequence[Routed], known: dict[str, Case], settle: Settle, now: datetime
    ) -> dict[str, int]:
        """Fold the batch into its cases; returns their ids by key. A key that another worker opened meanwhile is settled again."""
        log = _CaseLog(now, known)
        for item in batch:
            if item.case_key is not None:
                log.add(item, settle(log.now.get(item.case_key, known.get(item.case_key)), item))
        opened = self._open_cases(connection, log)
        lost = {key for key in log.opening if key not in opened}
        log.write(connection, opened | {key: case.id for key, case in known.items()}, skip=lost)
        ids = opened | {key: case.id for key, case in known.items() if key in log.now}
        if lost:
            again = [item for item in batch if item.case_key in lost]
            ids |= self._settle_cases(connection, again, self._lock_cases(connection, lost), settle, now)
        return ids

    def _open_cases(self, connection: Connection, log: _CaseLog) -> dict[str, int]:
        if not log.opening:
            return {}
        insert = self._upsert(_CASE).on_conflict_do_nothing(index_elements=["key"]).returning(_CASE.c.key, _CASE.c.id)
        rows = connection.execute(insert, [log.row(key) for key in sorted(log.opening)])
        return {row.key: row.id for row in rows}

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


class _CaseLog:
    """The cases a batch touches: how each stands now, and the steps to write."""

    def __init__(self, now: datetime, known: Mapping[str, Case]) -> None:
        self.at = now
        self._known = known
        self.now: dict[str, Case] = {}
        self.opening: dict[str, list[Routed]] = {}
        self._touched: dict[str, list[Routed]] = {}
        self._steps: list[tuple[str, Routed, Move, str, Mapping[str, Any]]] = []
        self._moves: dict[str, list[Move]] = {}
        self._verdicts: dict[str, bool] = {}

    def add(self, item: Routed, settled: Settled) -> None:
        key = settled.case.key
        self.now[key] = settled.case
        (self._touched if key in self._known else self.opening).setdefault(key, []).append(item)
        self._steps += [(key, item, *step) for step in settled.steps]
        self._moves.setdefault(key, []).extend(move for move, *_ in settled.steps)
        if settled.helped is not None:
            self._verdicts[key] = settled.helped

    def row(self, key: str) -> dict[str, Any]:
        """A new case, from its first mention and how it stands after the whole batch."""
        case, items = self.now[key], self.opening[key]
        first = items[0]
        return {
            "key": key,
            "network": case.network,
            "author_id": first.author_id,
            "mention_id": first.id,
            "mentions": len(items),
            "replies": 0,
            "opened_at": case.opened_at,
            "assignee": case.assignee,
            **self._current(case, items[-1]),
        }

    def _current(self, case: Case, last: Routed) -> dict[str, Any]:
        anger, intent = last.scored.score("anger"), last.scored.score("intent")
        return {
            "reply_to": last.id,
            "state": case.state.value,
            "tier": case.tier.value,
            "outcome": case.outcome.value,
            "reason": case.reason,
            "rule": case.rule,
            "policy": case.policy,
            "due_at": case.due_at,
            "priority": case.priority,
            "parts": last.parts,
            "lang": case.lang,
            "anger": anger.label if anger else "",
            "intent": intent.label if intent else "",
            "topics": case.topics,
            "moved_at": self.at,
        }

    def write(self, connection: Connection, ids: Mapping[str, int], *, skip: set[str]) -> None:
        for key, items in self._touched.items():
            case = self.now[key]
            changes = self._current(case, items[-1]) | {"mentions": _CASE.c.mentions + len(items), "replies": 0, "assignee": case.assignee}
            for move in self._moves[key]:
                leave(connection, ids[key], self._known[key].state, move, at=self.at)
            connection.execute(update(_CASE).where(_CASE.c.id == ids[key]).values(**changes))
        events = [
            {
                "case_id": ids[key],
                "at": self.at,
                "actor": "author" if move is Move.SOLVE else "triage",
                "move": move.value,
                "reason": reason,
                "data": {**data, "mention": item.id},
            }
            for key, item, move, reason, data in self._steps
            if key not in skip
        ]
        if events:
            connection.execute(_EVENT.insert(), events)
        for key, helped in self._verdicts.items():
            if key not in skip:
                credit_answer(connection, ids[key], helped=helped)


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


_FINISH = (
    update(_MENTION)
    .where(_MENTION.c.id == bindparam("b_id"))
    .values(
        stage=UNDERSTOOD,
        claimed_by=None,
        claimed_until=None,
        scores=bindparam("b_scores"),
        case_id=bindparam("b_case"),
        copy_of=bindparam("b_copy"),
    )
)


def _write_mentions(connection: Connection, batch: Sequence[Routed], cases: Mapping[str, int]) -> None:
    if not batch:
        return
    rows = [
        {
            "b_id": item.id,
            "b_scores": pack_scores(item.scored.scores),
            "b_case": cases.get(item.case_key) if item.case_key else None,
            "b_copy": item.copy_of,
        }
        for item in batch
    ]
    connection.execute(_FINISH, rows)
    copies = [item.id for item in batch if item.copy_of is not None]
    if copies:  # a copy never serves as an original: one hot text must not grow a list of candidates
        connection.execute(delete(_COPY_KEY).where(_COPY_KEY.c.mention_id.in_(copies)))
    weights = {item.author_id: s.value for item in batch if item.author_id and (s := item.scored.score("influence")) and s.confidence > 0}
    if weights:
        by_id = update(_AUTHOR).where(_AUTHOR.c.id == bindparam("b_id")).values(influence=bindparam("b_influence"))
        connection.execute(by_id, [{"b_id": id_, "b_influence": value} for id_, value in weights.items()])
