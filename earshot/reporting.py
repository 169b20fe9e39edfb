"""Reports as tables, on the command line and in notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from earshot.storage import Store

if TYPE_CHECKING:
    import pandas as pd


def influence_frame(store: Store, *, limit: int | None = None) -> pd.DataFrame:
    """Authors by influence, most influential first: a row for each, with what their mentions add up to."""
    from influence.report import author_rows, influence_table
    from influence.weigh import default_population

    rows = author_rows(store.mentions.understood(), default_population())
    return influence_table(rows[:limit])


def influence_report(store: Store, *, limit: int, output: str) -> str:
    """The table as "text" for a terminal or as "csv" for a spreadsheet."""
    from influence.report import to_csv, to_text

    frame = influence_frame(store, limit=limit)
    if frame.empty:
        return "no authors yet: import a file that names them, or poll a network\n"
    return to_csv(frame) if output == "csv" else to_text(frame) + "\n"
