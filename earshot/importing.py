"""`earshot import`: a file of posts into the database, and through the pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from earshot import pipeline
from earshot.errors import BadInput
from earshot.mention import Mention
from earshot.pipeline import Worker
from earshot.rooms import Rooms
from earshot.scheduler import ease_collector, is_dead, utc_now, worker_for
from earshot.settings import Settings
from earshot.storage import Store
from listener.archive import BadRow, Row, read_archive

#: bad lines that are spelled out; the others are counted
SHOWN = 20
#: the source that imported mentions carry
SOURCE = "import"


@dataclass(slots=True)
class Report:
    """What came of an import."""

    read: int = 0
    new: int = 0
    routed: int = 0
    bad_count: int = 0
    bad: list[str] = field(default_factory=list)

    def note(self, row: BadRow) -> None:
        self.bad_count += not row.kept
        if len(self.bad) < SHOWN:
            self.bad.append(f"line {row.line}: {row.reason}")
        elif len(self.bad) == SHOWN:
            self.bad.append("… further lines are counted, not shown")


class _Shown(Protocol):
    def __call__(self, done: int, /) -> None: ...


def parse_columns(text: str) -> dict[str, str]:
    """ "text=body,id=key" as a mapping. Raises `BadInput` for anything else."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    if any(not sign or not name.strip() or not column.strip() for name, sign, column in pairs):
        raise BadInput(f"--columns {text!r}: write pairs such as text=body,id=key")
    return {name.strip(): column.strip() for name, _, column in pairs}


def import_archive(
    settings: Settings, store: Store, file: Path, *, network: str, columns: Mapping[str, str], encoding: str, route: bool, show: bool
) -> Report:
    """Understand, route and store every good row. A second import adds nothing; a stopped one is taken up again."""
    report, now, worker = Report(), utc_now(), worker_for(settings)
    store.release_claims(is_dead)
    ease_collector()
    rooms = Rooms.open(store, settings, now=now) if route else None
    with _progress(file, show=show) as progress:
        rows = read_archive(file, now=now, columns=columns, network=network, encoding=encoding, on_progress=progress)
        for batch in _batches(rows, settings.batch):
            for row in batch:
                if isinstance(row, BadRow):
                    report.note(row)
            mentions = [row for row in batch if isinstance(row, Mention)]
            report.read += len(mentions)
            if rooms is None:
                report.new += pipeline.keep(store, mentions, source=SOURCE, now=now).new
            else:
                taken = pipeline.take_in(store, rooms, mentions, source=SOURCE, now=now)
                report.new, report.routed = report.new + taken.new, report.routed + taken.routed
    if rooms is not None:
        report.routed += _rest(store, rooms, worker, now)
    return report


def _batches(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    """Rows by the batch. Where the file cannot be read on, what came before is still given."""
    batch: list[Row] = []
    try:
        for row in rows:
            batch.append(row)
            if len(batch) == size:
                yield batch
                batch = []
    except BadInput:
        yield batch
        raise
    yield batch


def _rest(store: Store, rooms: Rooms, worker: Worker, now: datetime) -> int:
    """What is left waiting, from this import or one that was stopped."""
    routed = 0
    while n := pipeline.understand(store, rooms, worker=worker, now=now):
        routed += n
    return routed


@contextmanager
def _progress(file: Path, *, show: bool) -> Iterator[_Shown]:
    """A bar over the bytes of the file, where there is a terminal to show it on."""
    if not show:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(f"importing {file.name}", total=file.stat().st_size if file.exists() else None)
        yield lambda done: bar.update(task, completed=done)
