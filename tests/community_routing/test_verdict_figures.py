"""How often the verdict is right on invented reactions: those it was tuned on, and those written afterwards and left alone.

A line is the right kind, a tab, and what the author wrote. Run as a program it prints the figures.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from classifiers import understand
from community_routing.verdict import Kind, judge
from earshot.mention import Mention

REACTIONS = Path(__file__).parent / "reactions"


def counted(name: str) -> Counter[tuple[Kind, Kind]]:
    """(right, judged) -> how many."""
    lines = [line.split("\t") for line in (REACTIONS / f"{name}.tsv").read_text(encoding="utf-8").splitlines()]
    mentions = [
        Mention(network="x", native_id=str(n), author=None, text=text, url="", posted_at=datetime(2026, 11, 3, tzinfo=UTC))
        for n, (_, text) in enumerate(lines)
    ]
    return Counter((Kind(right), verdict.kind) for (right, _), verdict in zip(lines, judge(understand(mentions)), strict=True))


def recall(counts: Counter[tuple[Kind, Kind]], kind: Kind) -> float:
    return counts[kind, kind] / sum(n for (right, _), n in counts.items() if right is kind)


def wrong_solved(counts: Counter[tuple[Kind, Kind]]) -> int:
    return sum(n for (right, judged), n in counts.items() if judged is Kind.SOLVED is not right)


@pytest.mark.parametrize(
    ("name", "solved", "asks_again"),
    [("tuned_en", 0.9, 0.9), ("tuned_zh", 0.9, 0.9), ("fresh_en", 0.8, 0.75), ("fresh_zh", 0.7, 0.6)],
)
def test_a_case_is_hardly_ever_closed_by_mistake_and_most_words_are_understood(name: str, solved: float, asks_again: float) -> None:
    counts = counted(name)
    assert recall(counts, Kind.SOLVED) >= solved
    assert recall(counts, Kind.ASKS_AGAIN) >= asks_again
    assert wrong_solved(counts) <= 0.02 * sum(n for (_, judged), n in counts.items() if judged is Kind.SOLVED)


if __name__ == "__main__":
    for path in sorted(REACTIONS.glob("*.tsv")):
        counts = counted(path.stem)
        print(  # noqa: T201
            f"{path.stem}: {counts.total()} reactions; recall solved {recall(counts, Kind.SOLVED):.2f}, "
            f"asks again {recall(counts, Kind.ASKS_AGAIN):.2f}, unclear {recall(counts, Kind.UNCLEAR):.2f}; "
            f"wrongly solved {wrong_solved(counts)} of {sum(n for (_, judged), n in counts.items() if judged is Kind.SOLVED)}"
        )
