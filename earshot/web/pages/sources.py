"""The networks we listen to: how each source does, what it brings and costs, and what its network could not give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi.responses import Response

from earshot.errors import Conflict
from earshot.settings import SourceSettings
from earshot.storage.reports import Freshness
from earshot.storage.sources import SourceState, SourceStatus
from earshot.web.pages.backfills import Name, may_change, readings, require_source
from earshot.web.visit import Visit, Visiting
from listener import RECEIVED

GAPS = 20  #: the latest that are shown
#: what needs a person stands first
_ORDER = (SourceState.BROKEN, SourceState.THROTTLED, SourceState.PAUSED, SourceState.HEALTHY)
_NOTHING = Freshness(hours=(0,) * 24, delays=(0,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """A source on the page."""

    settings: SourceSettings
    status: SourceStatus
    freshness: Freshness
    reads: int
    gaps: int

    @property
    def is_received(self) -> bool:
        """Others bring what it hears: there is no next poll."""
        return self.settings.network in RECEIVED

    @property
    def cost(self) -> float | None:
        """What this month's reads cost so far, in whatever money the price is in; None where nobody said a price."""
        price = self.settings.price_per_thousand
        return None if price is None else self.reads / 1000 * price


def sources(visit: Visiting) -> Response:
    statuses = visit.store.sources.statuses()
    return visit.page(
        "sources_list.html" if visit.is_partial else "sources.html",
        listening=listening(visit, statuses),
        gaps=visit.store.sources.gaps(limit=GAPS),
        readings=() if visit.is_partial else readings(visit, statuses),
        may_change=may_change(visit),
    )


def listening(visit: Visit, statuses: Sequence[SourceStatus]) -> list[Listening]:
    """Every source of the settings, what needs a person first. Two statements."""
    known = {status.name: status for status in statuses}
    freshness, gaps = visit.store.reports.freshness(until=visit.now), visit.store.sources.count_gaps()
    found = [
        Listening(
            settings=settings,
            status=status,
            freshness=freshness.get(settings.name, _NOTHING),
            reads=status.reads_in(visit.now) + status.swept_in(visit.now),
            gaps=gaps.get(settings.name, 0),
        )
        for settings in visit.settings.sources
        if (status := known.get(settings.name)) is not None
    ]
    return sorted(found, key=lambda source: (_ORDER.index(source.status.state), source.settings.name))


def pause(visit: Visiting, name: Name) -> Response:
    require_source(visit, name)
    if not visit.store.sources.pause(name, reason=f"paused by {visit.me.name}"):
        raise Conflict(f"{name} is paused already, or was never polled; look at the page again")
    return visit.done(f"{name} is paused: nothing is read there until somebody resumes it.", to="/sources", undo=f"/sources/{name}/wake")


def wake(visit: Visiting, name: Name) -> Response:
    require_source(visit, name)
    if not visit.store.sources.wake(name, now=visit.now):
        raise Conflict(f"{name} was never polled: start earshot work")
    return visit.done(f"{name} is polled at the next chance.", to="/sources")
