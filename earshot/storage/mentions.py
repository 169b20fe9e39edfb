"""Mentions: kept with the cursor that brought them, claimed in batches, and written with their cases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy import CTE, Connection, Select, Update, and_, case, func, or_, select, true, update
from sqlalchemy.exc import IntegrityError

from earshot.errors import Conflict
from earshot.mention import Mention, ScoredMention
from earshot.storage.arrivals import Heard, Key, author_key, keep_authors, unknown
from earshot.storage.backfills import PageRead, count_kept, write_page
from earshot.storage.bulk import insert_rows, next_ids, rows_among, update_rows
from earshot.storage.columns import stored_json, stored_time
from earshot.storage.database import Database
from earshot.storage.edits import KeysOf, former_texts, newest, take_up
from earshot.storage.forgotten import unwanted
from earshot.storage.matches import keep_matches
from earshot.storage.originals import Earlier, Keys, Waiting, find_earlier, forget_keys, keep_keys
from earshot.storage.rows import MENTION_FIELDS, author_of, joined_author, mention_of, scored_of, stored_mention
from earshot.storage.settling import Judged, Routed, Settle, Settling
from earshot.storage.sources import SourceState, counted
from earshot.storage.sweeping import erase
from earshot.storage.tables import (
    GONE,
    HEARD,
    QUARANTINED,
    UNDERSTOOD,
    AuthorRow,
    GapRow,
    MentionRow,
    SourceRow,
    table,
)

log = structlog.get_logger()

_AUTHOR, _MENTION, _SOURCE, _GAP = table(AuthorRow), table(MentionRow), table(SourceRow), table(GapRow)

#: a mention that crashed a room so often is put aside; one that was claimed so often to no end is claimed alone
POISON_TRIES = 3

#: (the mentions of a batch with their places, what came before them) -> what is to be written
Place = Callable[[Sequence[Waiting], Earlier], Sequence[Routed]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """What one poll learnt besides mentions: stored in the same transaction, so that neither is lost without the other."""

    source: str
    worker: str | None  #: who holds the lease; whoever lost it writes nothing. None: nobody polled, others brought it
    cursor: str | None
    deleted: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  #: native id -> the keys of its text
    gap: tuple[datetime, datetime, str] | None = None
    spent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How many mentions were new, how many were known already or our own, and how many of those were edited since."""

    new: int
    known: int
    edited: int = 0


def _unkept(texts: Sequence[str]) -> list[tuple[int, ...]]:
    return [()] * len(texts)


class Mentions:
    def __init__(self, database: Database) -> None:
        self._db = database

    def keep_new(
        self, heard: Sequence[Heard], *, source: str, now: datetime, poll: Poll | PageRead | None = None, keys_of: KeysOf = _unkept
    ) -> Kept:
        """Store what was not stored yet, to be understood later, with the cursor of the poll or back-fill that brought it, in one
        transaction.

        Of a known post that was edited since, the former words are kept, and the new ones understood as if it were new; `keys_of` tells the
        keys under which the former ones were kept.

        Raises `Conflict` when it lost its lease meanwhile: then nothing is stored and the new holder reads the page again.
        """
        arrived, seen = newest(heard), stored_time(now)
        with self._db.writing() as connection:
            if isinstance(poll, Poll):
                _move_cursor(connection, poll, now)
            elif poll is not None:
                write_page(connection, poll, now)
            mentions = unknown(connection, [h.mention for h in arrived.values()])
            again = arrived.keys() - {(m.network, m.native_id) for m in mentions}
            edited = take_up(connection, {key: arrived[key] for key in again}, keys_of=keys_of, now=now)
            waiting = _placed(connection, mentions, keep_authors(connection, [m.author for m in mentions], now), now)
            insert_rows(
                connection,
                _MENTION,
                ("id", *MENTION_FIELDS, "author_id", "seen_at", "looked_at", "source", "stage", "tries"),
                [(w.id, *stored_mention(w.mention), w.author_id, seen, seen, source, HEARD, 0) for w in waiting],
                otherwise="ON CONFLICT (network, native_id) DO NOTHING",
            )
            stored = self._stored(connection, [w.id for w in waiting])
            new = {w.id: arrived[w.mention.network, w.mention.native_id].copy_keys for w in waiting if w.id in stored}
            keep_keys(connection, new | edited)
            if isinstance(poll, PageRead):
                count_kept(connection, poll.backfill.id, len(stored))
        return Kept(new=len(stored), known=len(heard) - len(stored), edited=len(edited))

    def _stored(self, connection: Connection, ids: Sequence[int]) -> set[int]:
        """Which of the mentions just written are ours; another worker may have brought the same post at this moment."""
        if not ids or self._db.is_sqlite:
            return set(ids)
        return set(connection.execute(select(_MENTION.c.id).where(_MENTION.c.id.between(ids[0], ids[-1]))).scalars()) & set(ids)

    def unknown(self, mentions: Iterable[Mention]) -> list[Mention]:
        """Those that are not stored yet, once each, oldest first; replies of ours are known."""
        with self._db.reading() as connection:
            return unknown(connection, mentions)

    def take_in(self, judged: Sequence[Judged], *, place: Place, settle: Settle, source: str, now: datetime) -> Sequence[Routed]:
        """Store judged mentions with their cases, in one transaction: all that is known of a mention is written once. Returns them.

        They must be unknown, and in the order in which `unknown` gives them. Raises `Conflict` when another worker stored one of them, or
        opened one of their cases, at this moment; then nothing is written.
        """
        mentions, influence = [j.scored.mention for j in judged], _influence(judged)
        try:
            with self._db.writing() as connection:
                if unwanted(connection, mentions):
                    raise Conflict("the author of one of these mentions was forgotten at this moment")
                waiting = _placed(
                    connection, mentions, keep_authors(connection, [m.author for m in mentions], now, influence=influence), now
                )
                keys = {w.id: j.copy_keys for w, j in zip(waiting, judged, strict=True)}
                routed = place(waiting, find_earlier(connection, waiting, keys))
                cases = Settling(connection, routed, settle, now)
                _insert_understood(connection, waiting, routed, cases.ids, source, now)
                cases.write(connection)
                keep_matches(connection, map(_matched, routed))
                keep_keys(connection, {item.id: item.copy_keys for item in routed if item.copy_of is None})
        except IntegrityError as err:
            raise Conflict("another worker wrote one of these mentions or cases at this moment") from err
        return routed

    def write_routed(self, routed: Sequence[Routed], *, settle: Settle, worker: str, now: datetime) -> int:
        """Write scores, cases and events of a claimed batch in one transaction; returns how many were still ours to write.

        `settle` is asked once per mention, in order, with the case as it stands at that moment. Mentions whose claim went to
        another worker meanwhile are left to it. Raises `Conflict` as `take_in` does.
        """
        try:
            with self._db.writing() as connection:
                ours = self._still_claimed(connection, [r.id for r in routed], worker)
                batch = [r for r in routed if r.id in ours]
                _write_influence(connection, batch)
                cases = Settling(connection, batch, settle, now)
                _finish(connection, batch, cases.ids)
                cases.write(connection)
                keep_matches(connection, map(_matched, batch))
                forget_keys(connection, {item.id: item.copy_keys for item in batch if item.copy_of is not None})
        except IntegrityError as err:
            raise Conflict("another worker opened one of these cases at this moment") from err
        return len(batch)

    def claim(self, limit: int, *, worker: str, now: datetime, lease: timedelta) -> list[Waiting]:
        """Take up to `limit` mentions that nobody understood yet, oldest first, with one statement.

        What this worker holds already it takes again, which counts as no other try: its round broke off, but it lives. A mention that was
        claimed `POISON_TRIES` times to no end is a suspect: it may kill its workers, or have stood beside what does, or only have seen
        restarts. It is taken alone, so that nothing dies with it, and put aside once so many claims of it alone came to no end either.
        """
        free = or_(_MENTION.c.claimed_until.is_(None), _MENTION.c.claimed_until < now, _MENTION.c.claimed_by == worker)
        tries = _MENTION.c.tries + case((_MENTION.c.claimed_by == worker, 0), else_=1)
        waiting = select(_MENTION.c.id, tries.label("tries")).where(_MENTION.c.stage == HEARD, free).order_by(_MENTION.c.id).limit(limit)
        if not self._db.is_sqlite:
            waiting = waiting.with_for_update(skip_locked=True)
        claim = (
            update(_MENTION)
            .where(_MENTION.c.id.in_(_one_claim(waiting.cte("waiting"))))
            .values(claimed_by=worker, claimed_until=now + lease, tries=tries)
            .returning(*_MENTION.c)
        )
        if not self._any_waiting():
            return []
        with self._db.writing() as connection:
            claimed = connection.execute(claim).mappings().all()
            _put_aside(connection, [row["id"] for row in claimed if row["tries"] > 2 * POISON_TRIES])
            rows = [row for row in claimed if row["tries"] <= 2 * POISON_TRIES]
            ids = {row["author_id"] for row in rows if row["author_id"] is not None}
            found = connection.execute(select(_AUTHOR).where(_AUTHOR.c.id.in_(ids))).mappings() if ids else ()
            authors = {row["id"]: author_of(row) for row in found}
            former = former_texts(connection, [row["id"] for row in rows if row["edits"] and row["case_id"] is not None])
        return [
            Waiting(
                id=row["id"],
                mention=mention_of(row, authors.get(row["author_id"])),
                author_id=row["author_id"],
                seen_at=row["seen_at"],
                tries=row["tries"],
                former=former.get(row["id"]),
            )
            for row in sorted(rows, key=lambda row: row["id"])
        ]

    def _any_waiting(self) -> bool:
        """Look before taking the write lock: an idle worker disturbs nobody."""
        with self._db.reading() as connection:
            return connection.execute(select(_MENTION.c.id).where(_MENTION.c.stage == HEARD).limit(1)).first() is not None

    def earlier(self, waiting: Sequence[Waiting], keys: Keys) -> Earlier:
        """What came before these mentions that they may repeat; `keys` of their texts by id."""
        with self._db.reading() as connection:
            return find_earlier(connection, waiting, keys)

    def by_native_ids(self, network: str, native_ids: Iterable[str]) -> dict[str, int]:
        """Ids of the mentions we know, by their native id."""
        with self._db.reading() as connection:
            return dict(rows_among(connection, _MENTION, ("native_id", "id"), "native_id", list(native_ids), network=network))

    def texts(self, network: str, native_ids: Iterable[str]) -> dict[str, str]:
        """Texts of the mentions we know, by their native id."""
        with self._db.reading() as connection:
            return dict(rows_among(connection, _MENTION, ("native_id", "text"), "native_id", list(native_ids), network=network))

    def _still_claimed(self, connection: Connection, ids: Sequence[int], worker: str) -> set[int]:
        mine = select(_MENTION.c.id).where(_MENTION.c.id.in_(ids), _MENTION.c.claimed_by == worker, _MENTION.c.stage == HEARD)
        if not self._db.is_sqlite:
            mine = mine.order_by(_MENTION.c.id).with_for_update()
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


def _one_claim(waiting: CTE) -> Select[tuple[int]]:
    """Which of those that wait one claim takes: the oldest alone if it is a suspect, else all that are none; and what is put aside."""
    is_spent = waiting.c.tries > 2 * POISON_TRIES
    oldest = select(waiting).where(~is_spent).order_by(waiting.c.id).limit(1).subquery("oldest")
    are_unsuspected = and_(waiting.c.tries <= POISON_TRIES, oldest.c.tries <= POISON_TRIES)
    return select(waiting.c.id).outerjoin(oldest, true()).where(or_(is_spent, waiting.c.id == oldest.c.id, are_unsuspected))


def _put_aside(connection: Connection, ids: Sequence[int]) -> None:
    if ids:
        log.error("mentions_ended_their_workers", mentions=ids)
        connection.execute(update(_MENTION).where(_MENTION.c.id.in_(ids)).values(stage=QUARANTINED))


def _placed(connection: Connection, mentions: Sequence[Mention], authors: Mapping[Key, int], now: datetime) -> list[Waiting]:
    ids = next_ids(connection, _MENTION, len(mentions))
    return [
        Waiting(id=id_, mention=mention, author_id=None if key is None else authors[key], seen_at=now, tries=0)
        for id_, mention, key in zip(ids, mentions, map(author_key, mentions), strict=True)
    ]


def _insert_understood(
    connection: Connection, waiting: Sequence[Waiting], routed: Sequence[Routed], cases: Mapping[str, int], source: str, now: datetime
) -> None:
    seen = stored_time(now)
    insert_rows(
        connection,
        _MENTION,
        ("id", *MENTION_FIELDS, "author_id", "seen_at", "looked_at", "source", "stage", "tries", "scores", "case_id", "copy_of"),
        [
            (w.id, *stored_mention(w.mention), w.author_id, seen, seen, source, UNDERSTOOD, 1, *_understood(item, cases))
            for w, item in zip(waiting, routed, strict=True)
        ],
    )


def _finish(connection: Connection, batch: Sequence[Routed], cases: Mapping[str, int]) -> None:
    finished = f"stage = {UNDERSTOOD}, claimed_by = NULL, claimed_until = NULL, "
    update_rows(
        connection, _MENTION, ("scores", "case_id", "copy_of"), [(*_understood(item, cases), item.id) for item in batch], always=finished
    )


def _understood(item: Routed, cases: Mapping[str, int]) -> tuple[str | None, int | None, int | None]:
    return stored_json(item.scored.scores), None if item.case_key is None else cases[item.case_key], item.copy_of


def _matched(item: Routed) -> tuple[int, datetime, Sequence[int]]:
    return item.id, item.scored.mention.posted_at, item.matched


def _write_influence(connection: Connection, batch: Sequence[Routed]) -> None:
    """In the order in which authors are kept: then no two transactions wait for each other."""
    found, ids = _influence(batch), {author_key(item.scored.mention): item.author_id for item in batch}
    update_rows(connection, _AUTHOR, ("influence",), [(found[key], ids[key]) for key in sorted(found)])


def _influence(batch: Iterable[Judged]) -> dict[Key, float]:
    """The influence of each author of whom enough is known."""
    scored = ((author_key(item.scored.mention), item.scored.score("influence")) for item in batch)
    return {key: score.value for key, score in scored if key is not None and score is not None and score.confidence > 0}


def _received(here: Update) -> Update:
    """What others bring shows that a source is well, unless a person paused it meanwhile."""
    return here.where(~_SOURCE.c.paused).values(state=SourceState.HEALTHY.value, reason="", failures=0)


def _move_cursor(connection: Connection, poll: Poll, now: datetime) -> None:
    here = update(_SOURCE).where(_SOURCE.c.name == poll.source)
    moved = connection.execute(
        (_received(here) if poll.worker is None else here.where(_SOURCE.c.lease_by == poll.worker)).values(
            cursor=poll.cursor, polled_at=now, **counted(now, reads=poll.spent)
        )
    )
    if moved.rowcount == 0:
        raise Conflict(f"source {poll.source!r}: the lease went to another worker, which reads this page again; or nobody declared it")
    if poll.gap is not None:
        since, until, why = poll.gap
        connection.execute(_GAP.insert().values(source=poll.source, since=since, until=until, why=why, at=now))
    if poll.deleted:
        network = connection.execute(select(_SOURCE.c.network).where(_SOURCE.c.name == poll.source)).scalar_one()
        erase(connection, network, poll.deleted)
