"""Reading a span of time again, on request: beside the polls, whose cursor stays where it is, and by whichever worker is free."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from msgspec.structs import replace

from earshot import pacing
from earshot.errors import BadInput, ConfigurationError, Conflict, SourceConfused, SourceError, SourceRefused
from earshot.pipeline import Worker, after_failure, asking, is_closed, keep_page, keys_of_deleted
from earshot.settings import SourceSettings
from earshot.storage import Store
from earshot.storage.backfills import Backfill, BackfillState, PageRead, after_page
from earshot.storage.sources import SourceStatus
from listener.source import LooksBack, Page, Receives, Source, fetch_within

log = structlog.get_logger()

#: pages that are read before somebody else may go on
PAGES = 20
#: tries in a row that fail before a person must look
TRIES = 6
FARTHEST = timedelta(days=365)

_SPAN = re.compile(r"(\d{1,4})([mhdw])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}

#: a source as its settings say, and with the saved queries that it listens for
Open = Callable[[SourceSettings], Source]
Shown = Callable[[Backfill], None]


def _to_nobody(backfill: Backfill) -> None:
    pass


def moment_of(written: str, *, now: datetime) -> datetime:
    """The moment that "7d" (ago) or "2026-11-01" means; a time without a zone is UTC. Raises `BadInput` for anything else."""
    text = written.strip()
    if found := _SPAN.fullmatch(text.lower()):
        moment = now - int(found[1]) * _UNITS[found[2]]
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as err:
            raise BadInput(f"{written!r} is no moment: write 90m, 12h, 7d or 2w for so long ago, or a date as 2026-11-01") from err
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not now - FARTHEST <= moment <= now:
        raise BadInput(f"{written!r} does not lie within the past {FARTHEST.days} days")
    return moment


def waits_for(backfill: Backfill, status: SourceStatus, *, now: datetime) -> str:
    """Why an open back-fill does not go on at this moment; "" where it does, or will when a worker is free."""
    if status.is_closed(now) or not (status.may_be_asked or status.has_spent):
        return status.reason or f"{status.name} is {status.state.value}"
    return backfill.reason if backfill.next_at is not None and backfill.next_at > now else ""


def in_words(backfill: Backfill) -> str:
    """How far it came, and how it ended."""
    span = f"{backfill.since:%Y-%m-%d %H:%M} to {backfill.until:%Y-%m-%d %H:%M} UTC"
    counts = f"{backfill.seen:,} posts seen, {backfill.kept:,} of them new"
    end = {
        BackfillState.OPEN: f"{backfill.covered:.0%} read",
        BackfillState.DONE: "read to the end",
        BackfillState.STOPPED: f"stopped at {backfill.covered:.0%}: {backfill.reason}",
        BackfillState.CANCELLED: f"cancelled at {backfill.covered:.0%}",
        BackfillState.FAILED: f"failed at {backfill.covered:.0%}: {backfill.reason}",
    }
    return f"{backfill.source}, {span}: {counts}, {end[backfill.state]}"


def fill(store: Store, settings: SourceSettings, open_source: Open, *, worker: Worker, now: datetime, shown: Shown = _to_nobody) -> int:
    """Go on with the back-fill of a source, if there is one and nobody else has it; returns how many mentions were new.

    Its source is opened afresh, so that nothing of the polls moves. Its reads count with theirs. A source that is throttled, broken or
    paused is left alone, and one that fails here is as it is after a poll that fails. `shown` is told after each page.
    """
    backfill = store.backfills.claim(settings.name, worker=worker.name, now=now, lease=worker.lease)
    if backfill is None:
        return 0
    status = store.sources.status(settings.name)
    try:
        source = open_source(_looking_back(settings, backfill, now))
    except ConfigurationError as err:
        store.backfills.settle(backfill, state=BackfillState.FAILED, reason=str(err), worker=worker.name, now=now)
        return 0
    try:
        if isinstance(source, Receives):
            reason = "others bring what this source hears: nothing can be read there again"
            store.backfills.settle(backfill, state=BackfillState.FAILED, reason=reason, worker=worker.name, now=now)
            return 0
        return _read(store, settings, source, backfill, worker=worker, now=now, shown=shown)
    except Conflict:
        log.info("backfill_lost", source=settings.name, backfill=backfill.id)
    except SourceError as err:
        _note_failure(store, settings, status, backfill, err, worker=worker, now=now)
    finally:
        source.close()
    return 0


def _looking_back(settings: SourceSettings, backfill: Backfill, now: datetime) -> SourceSettings:
    hours = (now - backfill.since) / timedelta(hours=1)
    return settings.model_copy(update={"first_look": hours, "stream": False})


def _read(
    store: Store,
    settings: SourceSettings,
    source: Source,
    backfill: Backfill,
    *,
    worker: Worker,
    now: datetime,
    shown: Shown,
) -> int:
    least, new = pacing.least_reads(source), 0
    if backfill.cursor is None and isinstance(source, LooksBack):
        backfill = replace(backfill, cursor=source.back_to(backfill.since))
    for _ in range(PAGES):
        status = store.sources.status(settings.name)  # polls read meanwhile
        purse = pacing.purse(settings, source, status, now=now, share=pacing.OF_A_BACKFILL)
        if not purse.affords(least):
            _stop(store, purse, backfill, worker=worker, now=now)
            return new
        with asking(settings.name, what="reading back"):
            page = fetch_within(source, backfill.cursor, now=now, reads=purse.left)
        if page.more and page.cursor == backfill.cursor:
            raise SourceConfused(f"{settings.name}: the network says that there is more and gives the same page again; it is asked later")
        read = _page_read(store, settings.network, page, backfill, worker)
        inside = [mention for mention in page.mentions if backfill.since <= mention.posted_at <= backfill.until]
        new += keep_page(store, inside, source=settings.name, now=now, poll=read)
        backfill = after_page(read, now)
        shown(backfill)
        if read.is_last:
            log.info("backfilled", source=settings.name, backfill=backfill.id)
            return new
    store.backfills.release(backfill, worker=worker.name)
    return new


def _stop(store: Store, purse: pacing.Purse, backfill: Backfill, *, worker: Worker, now: datetime) -> None:
    """Reads that a new day brings are waited for; where the month is over a person decides."""
    if purse.until <= now + timedelta(days=1):
        store.backfills.postpone(backfill, until=purse.until, reason=purse.why, worker=worker.name, failed=False)
    else:
        store.backfills.settle(backfill, state=BackfillState.STOPPED, reason=purse.why, worker=worker.name, now=now)


def _page_read(store: Store, network: str, page: Page, backfill: Backfill, worker: Worker) -> PageRead:
    return PageRead(
        backfill=backfill,
        worker=worker.name,
        lease=worker.lease,
        cursor=page.cursor,
        is_last=not page.more,
        posted=[mention.posted_at for mention in page.mentions],
        deleted=keys_of_deleted(store, network, page.deleted) if page.deleted else {},
        gap=None if page.gap is None else (page.gap.since, page.gap.until, page.gap.why),
        spent=page.spent,
    )


def _note_failure(
    store: Store, settings: SourceSettings, status: SourceStatus, backfill: Backfill, err: SourceError, *, worker: Worker, now: datetime
) -> None:
    state, again_at = after_failure(settings, status.failures, err, now=now)
    store.sources.fell(settings.name, state=state, until=again_at, reason=str(err), closed=is_closed(err))
    if isinstance(err, SourceRefused) or backfill.tries + 1 >= TRIES:
        store.backfills.settle(backfill, state=BackfillState.FAILED, reason=str(err), worker=worker.name, now=now)
    else:
        store.backfills.postpone(backfill, until=again_at, reason=str(err), worker=worker.name, failed=True)
    log.warning("backfill_failed", source=settings.name, backfill=backfill.id, error=type(err).__name__, again_at=again_at.isoformat())
