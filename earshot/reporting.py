"""Reports as tables, on the command line and in notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from earshot.errors import ConfigurationError
from earshot.registry import load
from earshot.settings import Settings, SourceSettings
from earshot.storage import Store

if TYPE_CHECKING:
    import pandas as pd

    from classifiers.learn import Judged
    from earshot.learning import Learning, Version


_LAST_GAPS = 5  #: that are shown


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


def sources_report(settings: Settings, store: Store, *, now: datetime) -> str:
    """Each source: its state, when it was and will be polled, what it read and what that cost, and its gaps; then what a person must do."""
    from listener import RECEIVED

    if not settings.sources:
        return "no source yet: add one to earshot.toml as a [[sources]] entry, or look around with earshot listen --network\n"
    store.sources.declare([(source.name, source.network) for source in settings.sources])
    known = {status.name: status for status in store.sources.statuses()}
    gaps = store.sources.count_gaps()
    rows: list[tuple[str, ...]] = [("source", "network", "keys", "state", "polled", "next", "reads this month", "cost", "gaps")]
    notes: list[str] = []
    for source in settings.sources:
        status, wrong = known[source.name], _missing_keys(source)
        reads = status.reads_in(now) + status.swept_in(now)
        allowed = "" if source.monthly_reads is None else f" of {source.monthly_reads:,}"
        cost = "" if source.price_per_thousand is None else f"{reads / 1000 * source.price_per_thousand:.2f}"
        state = "broken" if wrong else status.state.value
        following = "as it comes" if source.network in RECEIVED else _minute(status.next_poll_at, "at once")
        times = [_minute(status.polled_at, "never"), "" if wrong else following]
        rows.append(
            (
                source.name,
                source.network,
                "missing" if wrong else "ok",
                state,
                *times,
                f"{reads:,}{allowed}",
                cost,
                str(gaps.get(source.name, 0)),
            )
        )
        notes += [f"{source.name}: {reason}" for reason in [wrong or status.reason] if reason]
    missing = [gap for gap in store.sources.gaps(limit=_LAST_GAPS) if gap.closed_at is None]
    notes += [f"{gap.source}: gap from {_minute(gap.since)} to {_minute(gap.until)}: {gap.why}" for gap in missing]
    return _aligned(rows) + "".join(f"\n{note}" for note in notes) + ("\n" if notes else "")


def _missing_keys(source: SourceSettings) -> str:
    """What keeps the source from being opened, and where a person gets it; empty where nothing does."""
    from earshot.scheduler import open_source

    try:
        open_source(source).close()
    except ConfigurationError as err:
        where = _keys_from(source.network)
        return f"{err}; keys are to be had at {where}" if where else str(err)
    return ""


def _keys_from(network: str) -> str:
    from listener import SOURCES

    return str(load(SOURCES, network, kind="network").keys_from) if network in SOURCES else ""


def _minute(at: datetime | None, otherwise: str = "") -> str:
    return otherwise if at is None else f"{at:%Y-%m-%d %H:%M}"


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
