"""The networks we listen to: how each source does, what it brings and costs, and what its network could not give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import HTTPException, Path
from fastapi.responses import Response

from earshot.errors import Conflict
from earshot.settings import SourceSettings
from earshot.storage.reports import Freshness
from earshot.storage.sources import SourceState, SourceStatus
from earshot.web.site import MANAGERS
from earshot.web.visit import Visit, Visiting
from listener import RECEIVED

GAPS = 20  #: the latest that are shown
#: what needs a person stands first
_ORDER = (SourceState.BROKEN, SourceState.THROTTLED, SourceState.PAUSED, SourceState.HEALTHY)
_NOTHING = Freshness(hours=(0,) * 24, delays=(0,))

Name = Annotated[str, Path(max_length=40)]


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
    return visit.page(
        "sources_list.html" if visit.is_partial else "sources.html",
        listening=listening(visit),
        gaps=visit.store.sources.gaps(limit=GAPS),
        may_change=visit.me.role in MANAGERS,
    )


def listening(visit: Visit) -> list[Listening]:
    """Every source of the settings, what needs a person first. Three statements."""
    known = {status.name: status for status in visit.store.sources.statuses()}
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
    _require(visit, name)
    if not visit.store.sources.pause(name, reason=f"paused by {visit.me.name}"):
        raise Conflict(f"{name} is paused already, or was never polled; look at the page again")
    return visit.done(f"{name} is paused: nothing is read there until somebody resumes it.", to="/sources", undo=f"/sources/{name}/wake")


def wake(visit: Visiting, name: Name) -> Response:
    _require(visit, name)
    if not visit.store.sources.wake(name, now=visit.now):
        raise Conflict(f"{name} was never polled: start earshot work")
    return visit.done(f"{name} is polled at the next chance.", to="/sources")


def _require(visit: Visit, name: str) -> None:
    if name not in {source.name for source in visit.settings.sources}:
        raise HTTPException(404)
