"""The command line inside the test's own process: the same code as in a shell, without the seconds that a start takes."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
from houses import sqlite_store

from earshot.cli import main
from earshot.storage import Store


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    status: int
    out: str
    err: str


@dataclass
class CommandLine:
    """`earshot …` in a folder of its own, with a database of its own."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch

    def __post_init__(self) -> None:
        self.monkeypatch.chdir(self.folder)
        self.set(database_url=f"sqlite:///{self.folder}/earshot.db")
        with sqlite_store(self.folder):
            pass

    def set(self, **settings: object) -> None:
        for name, value in settings.items():
            self.monkeypatch.setenv(f"EARSHOT_{name.upper()}", str(value))

    def file(self, name: str, content: str | bytes) -> str:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Said:
        out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        with self.monkeypatch.context() as shell:
            shell.setattr(sys, "argv", ["earshot", *arguments])
            shell.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
            shell.setattr(sys, "stdout", out)
            shell.setattr(sys, "stderr", err)
            try:
                main()
                status = 0
            except SystemExit as end:
                status = int(end.code or 0)
            finally:
                structlog.reset_defaults()
        return Said(status, *(_read(stream) for stream in (out, err)))

    @contextmanager
    def store(self) -> Iterator[Store]:
        opened = Store(f"sqlite:///{self.folder}/earshot.db", busy_seconds=5)
        try:
            yield opened
        finally:
            opened.close()


def _read(stream: io.TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()
