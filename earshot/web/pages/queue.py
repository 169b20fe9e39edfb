"""The review queue: what waits for a person, the most pressing first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar
from urllib.parse import urlencode

from fastapi import Query
from fastapi.responses import Response

from earshot.case import State, Tier
from earshot.storage.cases import WAITING
from earshot.web import words
from earshot.web.visit import Visit, Visiting

T = TypeVar("T")
Id = Annotated[int, Query(ge=1, le=2**63 - 1)]

PER_PAGE = 25
#: saved queries that are offered as filters; the page of the queries leads to the others
MOST_QUERIES = 8
TIERS = (Tier.COMMUNITY, Tier.TIER_1, Tier.TIER_2, Tier.NONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What the address asks for. Empty means all that waits."""

    states: tuple[State, ...] = ()
    tiers: tuple[Tier, ...] = ()
    networks: tuple[str, ...] = ()
    mine: bool = False
    late: bool = False
    queries: tuple[int, ...] = ()
    page: int = 1

    def link(self, **changes: object) -> str:
        """The address with these filters, some of them changed; changing one leads back to the first page."""
        only = {"mine": "yes" if self.mine else (), "late": "yes" if self.late else ()}
        asked = {"state": self.states, "tier": self.tiers, "network": self.networks, "query": self.queries} | only | changes
        query = urlencode([(name, str(value)) for name, values in asked.items() for value in _each(values)])
        return f"/queue?{query}" if query else "/queue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """A filter that is a link: follow it to switch it on or off."""

    label: str
    href: str
    is_on: bool
    count: int | None = None


def queue(
    visit: Visiting,
    state: Annotated[list[str], Query(max_length=20)] = [],  # noqa: B006 - FastAPI copies it
    tier: Annotated[list[str], Query(max_length=20)] = [],  # noqa: B006
    network: Annotated[list[str], Query(max_length=20)] = [],  # noqa: B006
    mine: str = "",
    late: str = "",
    query: Annotated[list[Id], Query(max_length=20)] = [],  # noqa: B006
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> Response:
    filters = Filters(
        states=tuple(s for s in State if s in state),
        tiers=tuple(t for t in TIERS if t in tier),
        networks=tuple(sorted({words.plain(n)[:40] for n in network})),
        mine=bool(mine),
        late=bool(late),
        queries=tuple(sorted(set(query))),
        page=page,
    )
    found = visit.store.cases.queue(
        states=filters.states or WAITING,
        tiers=filters.tiers,
        networks=filters.networks,
        assignee=visit.me.id if filters.mine else None,
        due_before=visit.now if filters.late else None,
        queries=filters.queries,
        limit=PER_PAGE,
        offset=(page - 1) * PER_PAGE,
    )
    template = "queue_list.html" if visit.is_partial else "queue.html"
    return visit.page(template, queue=found, filters=filters, pages=-(-found.total // PER_PAGE), groups=chips(visit, filters, found.counts))


def chips(visit: Visit, filters: Filters, counts: Mapping[tuple[State, Tier], int]) -> dict[str, list[Chip]]:
    """Every filter with how many cases it would show beside the others that are on."""
    states, tiers = filters.states or WAITING, filters.tiers or TIERS
    by_state = {s: sum(counts.get((s, t), 0) for t in tiers) for s in WAITING}
    by_tier = {t: sum(counts.get((s, t), 0) for s in states) for t in TIERS}
    networks = sorted({source.network for source in visit.settings.sources} | set(filters.networks))
    return {
        "State": [_chip(filters, "state", filters.states, s, words.STATES[s], by_state[s]) for s in WAITING],
        "Tier": [_chip(filters, "tier", filters.tiers, t, words.TIERS[t], by_tier[t]) for t in TIERS],
        "Network": [_chip(filters, "network", filters.networks, n, words.NETWORKS.get(n, n), None) for n in networks],
        "Query": _of_queries(visit, filters),
        "Only": [
            Chip(label="late", href=filters.link(late=() if filters.late else "yes"), is_on=filters.late),
            Chip(label="mine", href=filters.link(mine=() if filters.mine else "yes"), is_on=filters.mine),
        ],
    }


def _of_queries(visit: Visit, filters: Filters) -> list[Chip]:
    """The saved queries that are chosen, and a few besides."""
    saved = visit.store.queries.all()
    shown = [q for n, q in enumerate(sorted(saved, key=lambda q: not q.urgent)) if n < MOST_QUERIES or q.id in filters.queries]
    return [_chip(filters, "query", filters.queries, q.id, words.clean_name(q.name), None) for q in shown]


def _chip(filters: Filters, name: str, chosen: Sequence[T], value: T, label: str, count: int | None) -> Chip:
    is_on = value in chosen
    others = tuple(c for c in chosen if c != value)
    return Chip(label=label, href=filters.link(**{name: others if is_on else (*chosen, value)}), is_on=is_on, count=count)


def _each(values: object) -> Iterable[object]:
    return values if isinstance(values, tuple) else (values,)
