"""Who matters: authors with their influence, factor by factor."""

from __future__ import annotations

import csv
import io
from typing import Annotated

from fastapi import HTTPException, Path, Query
from fastapi.responses import Response

from earshot.storage.reports import SORTS, AuthorReport
from earshot.web import words
from earshot.web.visit import Visiting

PER_PAGE = 50
MOST_EXPORTED = 10_000
CELLS = (
    "network", "handle", "name", "influence", "mentions", "followers", "likes", "reposts", "replies", "sentiment", "topic",
    "last_posted_at",
)  # fmt: skip
COLUMNS = {
    "influence": "Influence",
    "mentions": "Mentions",
    "followers": "Followers",
    "last_posted_at": "Last heard",
}


def authors(visit: Visiting, sort: str = "influence", page: Annotated[int, Query(ge=1, le=100_000)] = 1) -> Response:
    sort = sort if sort in SORTS else "influence"
    rows = visit.store.reports.influence(limit=PER_PAGE, offset=(page - 1) * PER_PAGE, sort=sort)
    total = visit.store.reports.count_authors()
    pages, first = -(-total // PER_PAGE), (page - 1) * PER_PAGE
    return visit.page("authors.html", rows=rows, total=total, sort=sort, columns=COLUMNS, page=page, pages=pages, first=first)


def author(visit: Visiting, author_id: Annotated[int, Path(ge=1, le=2**63 - 1)]) -> Response:
    found = visit.store.reports.influence(limit=1, author_id=author_id)
    if not found:
        raise HTTPException(404)
    return visit.page("author.html", row=found[0])


def export(visit: Visiting, sort: str = "influence") -> Response:
    """The table as CSV; no cell can be read as a formula."""
    rows = visit.store.reports.influence(limit=MOST_EXPORTED, sort=sort if sort in SORTS else "influence")
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(
        (
            "network",
            "handle",
            "name",
            "influence",
            "mentions",
            "followers",
            "likes",
            "reposts",
            "replies",
            "sentiment",
            "topic",
            "last_posted_at",
        )
    )
    writer.writerows(_cells(row) for row in rows)
    return Response(
        out.getvalue().encode("utf-8-sig"),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": 'attachment; filename="authors.csv"'},
    )


def _cells(row: AuthorReport) -> list[str]:
    author = row.author
    counts = (row.mentions, author.followers, row.likes, row.reposts, row.replies)
    cells: list[object] = [author.network, author.handle, words.clean_name(author.name), _rounded(row.influence), *counts]
    return [neutral(cell) for cell in (*cells, _rounded(row.sentiment), row.topics, row.last_posted_at.isoformat())]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def neutral(cell: object) -> str:
    """A cell that no spreadsheet runs: text that begins like a formula gets an apostrophe in front. Numbers stay numbers."""
    text = "" if cell is None else str(cell)
    is_risky = isinstance(cell, str) and text.lstrip(" ")[:1] in ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
    return f"'{text}" if is_risky else text
