"""The influence table: one row per author, most influential first, as a data frame, CSV or text."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from earshot.mention import ScoredMention
from influence.weigh import Measured, Population, measure

if TYPE_CHECKING:
    import pandas as pd

FORMULA = tuple("=+-@\t\r\n＝＋－＠")  #: what a spreadsheet takes for the start of a formula (OWASP, CSV injection)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorRow:
    """One line of the table. Percentiles are 0..1, None where the network does not tell."""

    author: str  #: the name people see
    network: str
    handle: str
    percentile: float
    reach: float | None
    resonance: float | None
    mentions: int
    sentiment: float | None  #: share of positive less share of negative mentions, -1..1; None: no mention had a sentiment
    topic: str  #: the one that comes most often; empty: none


def author_rows(batch: Iterable[ScoredMention], population: Population) -> list[AuthorRow]:
    """Gather mentions by author, most influential first; mentions without an author are left out.

    The mention that carried farthest stands for its author.
    """
    by_author: dict[tuple[str, str], list[int]] = defaultdict(list)
    everything = list(batch)
    for index, scored in enumerate(everything):
        if author := scored.mention.author:
            by_author[scored.mention.network, author.native_id].append(index)
    measured = measure([scored.mention for scored in everything], population)
    rows = [_row(everything, measured, group) for group in by_author.values()]
    return sorted(rows, key=lambda row: (-row.percentile, -row.mentions, row.network, row.handle))


def influence_table(rows: Sequence[AuthorRow]) -> pd.DataFrame:
    """The rows as a data frame, one column per field of `AuthorRow`."""
    import pandas as pd

    return pd.DataFrame([astuple(row) for row in rows], columns=[field.name for field in fields(AuthorRow)])


def to_csv(table: pd.DataFrame) -> str:
    """CSV that is safe to open: words that a spreadsheet would take for a formula are led by an apostrophe."""
    text: str = _rounded(table).map(neutralise).map(printable).to_csv(index=False, lineterminator="\n")
    return text


def to_text(table: pd.DataFrame) -> str:
    """For the terminal: no control characters, no marks that turn the direction of writing."""
    text: str = _rounded(table).map(printable).to_string(index=False, na_rep="–", max_colwidth=32)
    return text


def neutralise(cell: Any) -> Any:
    """Words that begin like a formula, also behind blanks, get an apostrophe in front; numbers stay numbers."""
    if not isinstance(cell, str):
        return cell
    return f"'{cell}" if cell.startswith(FORMULA) or cell.lstrip().startswith(FORMULA) else cell


def printable(cell: Any) -> Any:
    """Without control and format characters (Unicode category C)."""
    if not isinstance(cell, str):
        return cell
    return "".join(" " if char in "\t\r\n" else char for char in cell if char in "\t\r\n" or unicodedata.category(char)[0] != "C")


def _rounded(table: pd.DataFrame) -> pd.DataFrame:
    return table.round({"percentile": 4, "reach": 4, "resonance": 4, "sentiment": 2})


def _row(everything: Sequence[ScoredMention], measured: Measured, group: Sequence[int]) -> AuthorRow:
    best = max(group, key=measured.value.__getitem__)
    mention, mentions = everything[best].mention, [everything[index] for index in group]
    name, handle = (mention.author.name, mention.author.handle) if mention.author else ("", "")
    return AuthorRow(
        author=name or handle,
        network=mention.network,
        handle=handle,
        percentile=float(measured.value[best]),
        reach=_known(measured.reach[best]),
        resonance=_known(measured.resonance[best]),
        mentions=len(group),
        sentiment=_balance(mentions),
        topic=_top_topic(mentions),
    )


def _known(percentile: float) -> float | None:
    return None if np.isnan(percentile) else float(percentile)


def _balance(group: Sequence[ScoredMention]) -> float | None:
    labels = [score.label for scored in group if (score := scored.score("sentiment")) is not None]
    return (labels.count("positive") - labels.count("negative")) / len(labels) if labels else None


def _top_topic(group: Sequence[ScoredMention]) -> str:
    """The topics score carries the keys of its topics in the label, parted by blanks."""
    labels = [score.label for scored in group if (score := scored.score("topics")) is not None]
    topics = Counter(topic for label in labels for topic in label.split() if topic != "none")
    return min(topics, key=lambda topic: (-topics[topic], topic)) if topics else ""
