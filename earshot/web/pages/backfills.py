"""Spans of time that are read again: how far each is, and asking for one, cancelling it, letting it go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Form, HTTPException, Path
from fastapi.responses import RedirectResponse, Response

from earshot.backfilling import waits_for
from earshot.errors import Conflict
from earshot.storage.backfills import Backfill, BackfillState
from earshot.storage.sources import SourceStatus
from earshot.web.site import MANAGERS
from earshot.web.visit import Visit, Visiting

MOST = 8  #: the latest that are shown

Name = Annotated[str, Path(max_length=40)]
Number = Annotated[int, Path(ge=1, le=2**63 - 1)]
Days = Annotated[int, Form(ge=1, le=365)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A back-fill on the page."""

    backfill: Backfill
    waits_for: str

    @property
    def is_open(self) -> bool:
        return self.backfill.state is BackfillState.OPEN


def backfills(visit: Visiting) -> Response:
    """A piece of the page of the sources, which asks for it again while something is under way."""
    if not visit.is_partial:
        return RedirectResponse("/sources#back-fills", status_code=303)
    return visit.page("backfill.html", readings=readings(visit, visit.store.sources.statuses()), may_change=may_change(visit))


def readings(visit: Visit, statuses: Sequence[SourceStatus]) -> list[Reading]:
    """The latest, with why those wait that do. One statement."""
    known = {status.name: status for status in statuses}
    return [
        Reading(backfill=each, waits_for=waits_for(each, known[each.source], now=visit.now) if each.state is BackfillState.OPEN else "")
        for each in visit.store.backfills.latest(limit=MOST)
    ]


def may_change(visit: Visit) -> bool:
    return visit.me.role in MANAGERS


def require_source(visit: Visit, name: str) -> None:
    if name not in {source.name for source in visit.settings.sources}:
        raise HTTPException(404)


def ask(visit: Visiting, name: Name, days: Days) -> Response:
    require_source(visit, name)
    visit.store.backfills.ask(name, since=visit.now - timedelta(days=days), until=visit.now, now=visit.now, by=visit.me.id)
    return visit.done(f"{name} is read back: {days} days.", to="/sources#back-fills")


def ask_for_gap(visit: Visiting, gap_id: Number) -> Response:
    gap = visit.store.sources.gap(gap_id)
    if gap is None:
        raise HTTPException(404)
    require_source(visit, gap.source)
    if gap.closed_at is not None:
        raise Conflict("that gap is closed already")
    visit.store.backfills.ask(gap.source, since=gap.since, until=gap.until, now=visit.now, by=visit.me.id)
    return visit.done(f"The gap of {gap.source} is read again.", to="/sources#back-fills")


def cancel(visit: Visiting, backfill_id: Number) -> Response:
    if not visit.store.backfills.cancel(backfill_id, now=visit.now):
        raise Conflict("that back-fill is over already")
    return visit.done("The back-fill is cancelled. What it brought stays.", to="/sources#back-fills")


def resume(visit: Visiting, backfill_id: Number) -> Response:
    if not visit.store.backfills.resume(backfill_id):
        raise Conflict("that back-fill does not stand still, or another one of its source is under way")
    return visit.done("The back-fill goes on.", to="/sources#back-fills")
