"""Is what we keep still there? Posts that no poll sees again are looked after, and what is gone on its network goes here."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from earshot.errors import SourceError
from earshot.pacing import reads_of_sweeps
from earshot.pipeline import Worker, after_failure, asking, is_closed, keys_of_deleted
from earshot.settings import SourceSettings
from earshot.storage import Store
from earshot.storage.sweeping import Look, Quota
from listener.source import Source, Sweeps

log = structlog.get_logger()


def sweep(store: Store, settings: SourceSettings, source: Source, *, worker: Worker, now: datetime) -> int:
    """Look after one batch of the posts that a source brought, if it can and some are due; returns how many were gone.

    A source that is throttled, broken or paused is left alone, and one that fails here is as it is after a poll that fails.
    """
    if not settings.sweep_hours or not isinstance(source, Sweeps):
        return 0
    looks = source.looks
    quota = Quota(at_once=looks.at_once, per_call=looks.per_call, per_post=looks.per_post, monthly=reads_of_sweeps(settings, source))
    pause, memory = timedelta(hours=settings.sweep_hours), timedelta(days=settings.sweep_days)
    look = store.sweeping.claim(settings.name, quota, now=now, pause=pause, memory=memory, lease=worker.lease)
    if look is None:
        return 0
    try:
        with asking(settings.name, what="looking after posts"):
            gone = [native_id for native_id in source.gone(tuple(look.ids)) if native_id in look.ids]
    except SourceError as err:
        _note_failure(store, settings, look, err, now=now)
        return 0
    keys = keys_of_deleted(store, settings.network, gone)
    erased = store.sweeping.write(look, gone=keys, spent=quota.cost(len(look.ids) - len(gone)), now=now)
    log.info("swept", source=settings.name, looked=len(look.ids), gone=erased)
    return erased


def _note_failure(store: Store, settings: SourceSettings, look: Look, err: SourceError, *, now: datetime) -> None:
    store.sweeping.give_back(look)
    state, again_at = after_failure(settings, look.source.failures, err, now=now)
    store.sources.fell(settings.name, state=state, until=again_at, reason=str(err), closed=is_closed(err))
    log.warning("sweep_failed", source=settings.name, state=state.value, error=type(err).__name__, again_at=again_at.isoformat())
