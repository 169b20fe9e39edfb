"""Reports as tables, on the command line and in notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from earshot.storage import Store

if TYPE_CHECKING:
    import pandas as pd

    from classifiers.learn import Judged
    from earshot.learning import Learning, Version


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


def learning_report(learning: Learning) -> str:
    """What came of learning, question by question, and what is in use now."""
    if not learning.judged:
        return (
            "nobody taught anything yet: correct scores on the case pages, or answer the posts of the page Teach; then learn again\n"
            "(posts in English or Chinese teach, each question once it has some twenty labels)\n"
        )
    titles = ("question", "labels", "corrections", "right where held back", "posts of our own (F1)", "")
    said = (
        f"version {learning.version} is in use: workers have it within a minute; earshot learn --back goes back from it"
        if learning.version
        else "nothing was better: all stays as it is"
    )
    return f"{_aligned([titles, *(_judged(judged) for judged in learning.judged)])}\n{said}\n"


def versions_report(versions: Sequence[Version]) -> str:
    """What may be in use, newest first."""
    rows = [("version", "learnt", "labels", "better at", "")]
    for version in versions:
        if version.change is None:
            rows.append((version.name, "as shipped", "", "", "in use" if version.is_in_use else ""))
            continue
        better = ", ".join(f"{j.question} {_share(j.right_before)} -> {_share(j.right_after)}" for j in version.judged if j.kept)
        state = "in use" if version.is_in_use else version.change.state.value
        rows.append((version.name, f"{version.change.at:%Y-%m-%d %H:%M} UTC", str(version.change.labels), better, state))
    return _aligned(rows)


def _judged(judged: Judged) -> tuple[str, ...]:
    return (
        judged.question,
        str(judged.labels),
        str(judged.corrections),
        f"{_share(judged.right_before)} -> {_share(judged.right_after)} of {judged.judged}",
        f"{judged.rehearsed_before:.2f} -> {judged.rehearsed_after:.2f}",
        f"{'kept' if judged.kept else 'left'}: {judged.reason}",
    )


def _share(share: float) -> str:
    return f"{share:.0%}".replace("%", " %")


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "".join("  ".join(map(str.ljust, row, widths)).rstrip() + "\n" for row in rows)
