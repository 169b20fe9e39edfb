"""When a source is asked again, and what that may cost: polls go where posts are expected, and no day eats the month."""

from __future__ import annotations

import calendar
import math
import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from earshot.settings import SourceSettings
from earshot.storage.sources import SourceStatus
from listener.source import Metered, Source, Sweeps

#: how long it takes until what a source brought weighs a third (1/e) of what it brings now
MEMORY = timedelta(hours=1)
#: no day takes more of what the month has left, unless an even share is more: a bad week leaves us hearing for the rest
MOST_OF_A_MONTH = 0.25
#: a back-fill takes no more of a day than this part, so that polls go on
OF_A_BACKFILL = 0.5
#: polls come up to this part of their interval late, so that sources that were started together part
JITTER = 0.1
#: clocks differ: so long after a network lets us in again nobody knocks, and up to this longer
AFTER_A_RESET = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """Reads that may be spent now; None: any number. Where they are too few: until when, and why."""

    left: int | None
    until: datetime
    why: str

    def affords(self, reads: int) -> bool:
        return self.left is None or self.left >= reads


def reads_of_sweeps(settings: SourceSettings, source: Source) -> int | None:
    """The part of `monthly_reads` that looking after posts may cost, set aside for it; None where it is not bounded."""
    if settings.monthly_reads is None:
        return None
    costs = isinstance(source, Sweeps) and bool(source.looks.per_call or source.looks.per_post)
    return int(settings.monthly_reads * settings.sweep_share) if costs and settings.sweep_hours else 0


def purse(settings: SourceSettings, source: Source, status: SourceStatus, *, now: datetime, share: float = 1.0) -> Purse:
    """What polls may read of the month, and of its current day; with `share` no more than until that part of the day's reads is spent."""
    if settings.monthly_reads is None:
        return Purse(left=None, until=now, why="")
    month = settings.monthly_reads - (reads_of_sweeps(settings, source) or 0)
    spent, today = status.reads_in(now), status.reads_today(now)
    before_today = month - (spent - today)
    days = calendar.monthrange(now.year, now.month)[1] - now.day + 1
    a_day = max(math.ceil(before_today * max(MOST_OF_A_MONTH, 1 / days) * share), least_reads(source))
    if month - spent < least_reads(source):
        why = f"the {settings.monthly_reads:,} reads of this month are spent; raise monthly_reads or wait"
        return Purse(left=max(month - spent, 0), until=_next_month(now), why=why)
    kept = "" if share == 1 else ", the rest is for polls"
    why = f"a day takes at most {a_day:,} of the reads that this month has left{kept}; it goes on at midnight UTC, or raise monthly_reads"
    return Purse(left=max(min(month - spent, a_day - today), 0), until=_tomorrow(now), why=why)


def least_reads(source: Source) -> int:
    """With fewer reads left, the source is not asked."""
    return source.least_reads if isinstance(source, Metered) else 1


def pace_after(status: SourceStatus, settings: SourceSettings, *, new: int, now: datetime) -> float:
    """New mentions per second that a source is expected to bring, after a poll that brought `new`.

    An average over the past whose weight falls by e in each `MEMORY`. It begins at one per interval, and never lies above: a new source is
    watched closely, and a burst is soon over.
    """
    at_most = 1 / settings.every
    before = at_most if status.pace is None else status.pace
    if status.polled_at is None or now <= status.polled_at:
        return min(before, at_most)
    past = (now - status.polled_at).total_seconds()
    kept = math.exp(-past / MEMORY.total_seconds())
    return min(before * kept + new / past * (1 - kept), at_most)


def interval(settings: SourceSettings, pace: float) -> timedelta:
    """The time in which one mention is expected, between `every` and `slowest`, and a little more; an urgent source never slows down."""
    slowest = settings.every if settings.urgent else max(settings.slowest, settings.every)
    seconds = min(max(1 / pace, settings.every), slowest) if pace > 0 else slowest
    return timedelta(seconds=seconds * random.uniform(1, 1 + JITTER))


def after_a_reset(at: datetime) -> datetime:
    """When to ask a network again that asked us to wait until `at`."""
    return at + AFTER_A_RESET * random.uniform(1, 2)


def _tomorrow(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def _next_month(now: datetime) -> datetime:
    return (now.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=32)).replace(day=1)
