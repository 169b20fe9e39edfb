"""What the searches miss: words that people use about the brand and that no source looks for."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

from fastapi.responses import Response

from earshot.web.visit import Visit, Visiting

LOOK_BACK = timedelta(days=28)
_WEEK = timedelta(days=7)


def blind_spots(visit: Visiting, look: str = "") -> Response:
    """The page comes at once; the counting, which takes a second, after it. Without scripts a link asks for it."""
    if not visit.is_partial and not look:
        return visit.page("blind_spots.html", proposals=None)
    heard = visit.store.reports.heard(since=visit.now - LOOK_BACK, until=visit.now)
    since = min((post.posted_at for post in heard), default=visit.now)
    weeks = max(visit.now - since, timedelta(days=1)) / _WEEK
    proposals = visit.rooms.blind_spots(heard, visit.settings.sources, weeks=weeks, saved=visit.store.queries.all())
    texts = {post.id: post.text for post in heard}
    return visit.page(
        "blind_spots_found.html" if visit.is_partial else "blind_spots.html",
        proposals=proposals,
        texts=texts,
        since=since,
        new_query={spot.term: f"/queries/new?{urlencode({'text': _written(spot.term)})}" for spot in proposals.found},
        queries={spot.term: _queries(visit, spot.term) for spot in proposals.found},
    )


def _written(term: str) -> str:
    """A term as a query of ours says it."""
    return f'"{term}"' if " " in term else term


def _queries(visit: Visit, term: str) -> dict[str, str]:
    """Source -> its query with the term; empty where none can take it."""
    found = {source.name: visit.rooms.query_with(source, term) for source in visit.settings.sources}
    return {name: query for name, query in found.items() if query is not None}
