"""Numbers for the pages and reports, each traceable to posts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf

from sqlalchemy import BigInteger, case, func, select, type_coerce

from earshot.case import ReplyState, State, Tier
from earshot.mention import Author
from earshot.storage.columns import stored_time
from earshot.storage.database import Database
from earshot.storage.rows import author_of
from earshot.storage.sources import SourceState
from earshot.storage.tables import UNDERSTOOD, AuthorRow, CaseRow, EventRow, MentionRow, ReplyRow, SourceRow, table

_MICROSECONDS_OF_AN_HOUR = 3_600_000_000
_AUTHOR, _MENTION, _CASE, _EVENT, _REPLY, _SOURCE = (table(row) for row in (AuthorRow, MentionRow, CaseRow, EventRow, ReplyRow, SourceRow))


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorReport:
    """An author with what their mentions add up to."""

    id: int
    author: Author
    influence: float | None  #: percentile 0..1
    mentions: int
    likes: int
    reposts: int
    replies: int
    sentiment: float | None  #: mean -1..1 of their mentions
    last_posted_at: datetime
    topics: str = ""  #: the topic they name most often


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """The numbers on a manager's start page."""

    waiting: int
    review: int
    overdue: int
    by_tier: dict[Tier, int]
    heard_last_day: int
    answered_last_day: int
    solved_last_day: int
    broken_sources: int


#: seconds from a post to our hearing of it, in which posts are counted
DELAYS = (10, 30, 60, 120, 300, 900, 3600, 6 * 3600, 24 * 3600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """What a source brought of the posts of the last hours, and how late we heard of them."""

    hours: tuple[int, ...]  #: mentions of each hour, oldest first
    delays: tuple[int, ...]  #: mentions heard within each of `DELAYS`, and not within the one before; the last were later still

    @property
    def mentions(self) -> int:
        return sum(self.hours)

    def within(self, share: float) -> float:
        """Seconds, one of `DELAYS`, in which at least this share of the mentions was heard; infinity where it took longer or none was."""
        heard, wanted = 0, share * self.mentions
        for seconds, n in zip(DELAYS, self.delays, strict=False):
            heard += n
            if heard and heard >= wanted:
                return seconds
        return inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day of mentions: how many, and how many of each sentiment."""

    day: datetime
    mentions: int
    negative: int
    neutral: int
    positive: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardPost:
    """A post that came in, with the source that brought it."""

    id: int
    text: str
    source: str
    author_id: int | None
    posted_at: datetime
    names_topic: bool  #: a topic or product of the brand's catalogue


SORTS = ("influence", "mentions", "followers", "sentiment", "last_posted_at")


class Reports:
    def __init__(self, database: Database) -> None:
        self._db = database

    def influence(self, *, limit: int = 50, offset: int = 0, sort: str = "influence", author_id: int | None = None) -> list[AuthorReport]:
        """Authors with their mentions, the most influential first. Sentiment and topic are read from the stored scores."""
        sums = [func.coalesce(func.sum(_MENTION.c[name]), 0).label(f"{name}_sum") for name in ("likes", "reposts", "replies")]
        grouped = (
            select(_MENTION.c.author_id, func.count().label("mentions"), func.max(_MENTION.c.posted_at).label("last_posted_at"), *sums)
            .where(_MENTION.c.stage == UNDERSTOOD, _MENTION.c.author_id.is_not(None))
            .group_by(_MENTION.c.author_id)
            .subquery()
        )
        statement = select(_AUTHOR, grouped).join(grouped, grouped.c.author_id == _AUTHOR.c.id)
        if author_id is not None:
            statement = statement.where(_AUTHOR.c.id == author_id)
        column = (
            _AUTHOR.c[sort]
            if sort in ("influence", "followers")
            else grouped.c[sort if sort in SORTS and sort != "sentiment" else "mentions"]
        )
        statement = statement.order_by(column.desc().nulls_last(), _AUTHOR.c.id).limit(limit).offset(offset)
        with self._db.reading() as connection:
            rows = connection.execute(statement).mappings().all()
            scores = connection.execute(
                select(_MENTION.c.author_id, _MENTION.c.scores).where(
                    _MENTION.c.author_id.in_([row["id"] for row in rows]), _MENTION.c.stage == UNDERSTOOD
                )
            ).all()
        moods, topics = _moods_and_topics(scores)
        return [
            AuthorReport(
                id=row["id"],
                author=author_of(row),
                influence=row["influence"],
                mentions=row["mentions"],
                likes=row["likes_sum"],
                reposts=row["reposts_sum"],
                replies=row["replies_sum"],
                sentiment=moods.get(row["id"]),
                last_posted_at=row["last_posted_at"],
                topics=topics.get(row["id"], ""),
            )
            for row in rows
        ]

    def count_authors(self) -> int:
        with self._db.reading() as connection:
            return connection.execute(select(func.count()).select_from(_AUTHOR)).scalar_one()

    def today(self, now: datetime) -> Today:
        """Three statements, whatever the size of the queue."""
        waiting = [State.REVIEW, State.QUEUED, State.OFFERED, State.ASSIGNED, State.APPROVAL]
        day = now - timedelta(days=1)
        with self._db.reading() as connection:
            rows = connection.execute(
                select(_CASE.c.state, _CASE.c.tier, func.count(), func.sum(case((_CASE.c.due_at < now, 1), else_=0)))
                .where(_CASE.c.state.in_(waiting))
                .group_by(_CASE.c.state, _CASE.c.tier)
            ).all()
            broken = select(func.count()).where(_SOURCE.c.state == SourceState.BROKEN.value).scalar_subquery()
            recent = select(func.count(), broken).where(_MENTION.c.posted_at > day, _MENTION.c.posted_at <= now)
            heard, broken_sources = connection.execute(recent).one()
            sent = connection.execute(
                select(func.count().filter(_EVENT.c.move == "sent"), func.count().filter(_EVENT.c.move == "solve")).where(
                    _EVENT.c.at > day, _EVENT.c.move.in_(["sent", "solve"])
                )
            ).one()
        by_tier: dict[Tier, int] = {
            tier: sum(n for state, t, n, _ in rows if t == tier and state != State.REVIEW) for tier in Tier if tier is not Tier.NONE
        }
        return Today(
            waiting=sum(n for _, _, n, _ in rows),
            review=sum(n for state, _, n, _ in rows if state == State.REVIEW),
            overdue=sum(late or 0 for *_, late in rows),
            by_tier=by_tier,
            heard_last_day=heard,
            answered_last_day=sent[0],
            solved_last_day=sent[1],
            broken_sources=broken_sources,
        )

    def freshness(self, *, until: datetime, hours: int = 24) -> dict[str, Freshness]:
        """What each source brought of the posts of the last hours; sources that brought none are left out. One statement."""
        posted, seen = (type_coerce(_MENTION.c[name], BigInteger) for name in ("posted_at", "seen_at"))
        start = until - timedelta(hours=hours)
        hour = (posted - stored_time(start)) // _MICROSECONDS_OF_AN_HOUR
        late = case(*((seen - posted <= seconds * 1_000_000, i) for i, seconds in enumerate(DELAYS)), else_=len(DELAYS))
        tallies = select(_MENTION.c.source, hour.label("hour"), late.label("late"), func.count().label("n")).where(
            _MENTION.c.posted_at > start, _MENTION.c.posted_at <= until
        )
        found: dict[str, tuple[list[int], list[int]]] = {}
        with self._db.reading() as connection:
            for source, at, delay, n in connection.execute(tallies.group_by(_MENTION.c.source, "hour", "late")):
                in_hours, delays = found.setdefault(source, ([0] * hours, [0] * (len(DELAYS) + 1)))
                in_hours[min(int(at), hours - 1)] += n
                delays[delay] += n
        return {name: Freshness(hours=tuple(in_hours), delays=tuple(delays)) for name, (in_hours, delays) in found.items()}

    def days(self, *, until: datetime, days: int = 14) -> list[Day]:
        """Mentions per day with their sentiment, oldest first; days without any are there too."""
        start = (until - timedelta(days=days - 1)).replace(hour=0, minute=0, second=0, microsecond=0)
        tallies = [[0, 0, 0, 0] for _ in range(days)]
        with self._db.reading() as connection:
            rows = connection.execute(
                select(_MENTION.c.posted_at, _MENTION.c.scores).where(
                    _MENTION.c.posted_at >= start, _MENTION.c.posted_at <= until, _MENTION.c.stage == UNDERSTOOD
                )
            )
            for posted_at, scores in rows:
                tally = tallies[(posted_at - start).days]
                tally[0] += 1
                mood = next((s[1] for s in scores or () if s[0] == "sentiment"), None)
                if mood in ("negative", "neutral", "positive"):
                    tally[("negative", "neutral", "positive").index(mood) + 1] += 1
        return [
            Day(day=start + timedelta(days=i), mentions=t[0], negative=t[1], neutral=t[2], positive=t[3]) for i, t in enumerate(tallies)
        ]

    def heard(self, *, since: datetime, until: datetime, most: int = 10_000) -> list[HeardPost]:
        """The newest posts of that time, without near copies. One statement."""
        wanted = (
            select(_MENTION.c.id, _MENTION.c.text, _MENTION.c.source, _MENTION.c.author_id, _MENTION.c.posted_at, _MENTION.c.scores)
            .where(_MENTION.c.posted_at > since, _MENTION.c.posted_at <= until, _MENTION.c.stage == UNDERSTOOD)
            .where(_MENTION.c.copy_of.is_(None), _MENTION.c.repost_of.is_(None))
            .order_by(_MENTION.c.posted_at.desc())
            .limit(most)
        )
        with self._db.reading() as connection:
            return [
                HeardPost(
                    id=row.id,
                    text=row.text,
                    source=row.source,
                    author_id=row.author_id,
                    posted_at=row.posted_at,
                    names_topic=_names_topic(row.scores),
                )
                for row in connection.execute(wanted)
            ]

    def replies_sent(self) -> int:
        with self._db.reading() as connection:
            return connection.execute(select(func.count()).where(_REPLY.c.state == ReplyState.SENT.value)).scalar_one()


def _names_topic(scores: Sequence[Sequence[object]] | None) -> bool:
    return any(name in ("topics", "products") and label != "none" for name, label, *_ in scores or ())


def _moods_and_topics(scores: Sequence[tuple[int, list[list[object]]]]) -> tuple[dict[int, float], dict[int, str]]:
    moods: dict[int, list[float]] = {}
    topics: dict[int, dict[str, int]] = {}
    for author, packed in scores:
        for name, label, value, confidence, _by in packed or ():
            if name == "sentiment" and confidence:
                moods.setdefault(author, []).append(float(value))  # type: ignore[arg-type]
            if name == "topics" and label != "none":
                for topic in str(label).split():
                    tally = topics.setdefault(author, {})
                    tally[topic] = tally.get(topic, 0) + 1
    mean = {author: sum(values) / len(values) for author, values in moods.items()}
    return mean, {author: max(sorted(tally), key=tally.__getitem__) for author, tally in topics.items()}
