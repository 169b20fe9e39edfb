"""What befalls the machine: somebody else locks the database, and its disk runs full."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text

from earshot.errors import StorageError
from earshot.storage import Store
from earshot.storage.tables import CaseRow, MentionRow, ReplyRow, SourceRow, table

#: seconds of peace between two troubles
PEACE = (6.0, 12.0)
_OURS = "NEMESIS_MOUNTS"
_LOCKED = ", ".join(f'"{table(row).name}"' for row in (SourceRow, MentionRow, CaseRow, ReplyRow))


def enter_own_mounts() -> None:
    """Run this program again where it may mount a disk of its own that nobody else sees, if the system lets it."""
    alone = ["unshare", "--user", "--map-root-user", "--mount"]
    if _OURS in os.environ:
        return
    try:
        os.environ[_OURS] = "" if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode else "yes"
    except FileNotFoundError:
        os.environ[_OURS] = ""
    if os.environ[_OURS]:
        os.execvp(alone[0], [*alone, sys.executable, *sys.orig_argv[1:]])


class Disk:
    """A small disk in memory under `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Take what is left, to the last byte."""
        with self._ballast.open("ab") as file:
            while left := self._left():
                with contextlib.suppress(OSError):  # somebody else was quicker
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, left)

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def _left(self) -> int:
        at = os.statvfs(self.folder)
        return at.f_bavail * at.f_frsize


@contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[Disk | None]:
    """A new folder on a disk of its own while the block lasts, with the disk; None where we may not mount one."""
    folder.mkdir()
    if not os.environ.get(_OURS):
        yield None
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], check=True)
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Ration:
    """Instead of a full disk: the workers that live may not write beyond the first bytes of any file."""

    LEAST = 64 * 1024  #: enough for their logs

    def __init__(self, alive: Callable[[], Iterable[int]]) -> None:
        self.alive = alive

    def fill(self) -> None:
        self._limit(self.LEAST)

    def free(self) -> None:
        self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        for pid in self.alive():
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


class Troubles:
    """One trouble after the other, with peace between them."""

    def __init__(
        self, store: Store, disk: Disk | Ration | None, happened: Counter[str], chance: random.Random, *, busy_seconds: float
    ) -> None:
        self.store, self.disk, self.happened, self.chance, self.busy_seconds = store, disk, happened, chance, busy_seconds
        self._stop = threading.Event()
        self._failed: Exception | None = None

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Troubles while the block lasts."""
        thread = threading.Thread(target=self._go_on, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
        if self._failed:
            raise self._failed

    def _go_on(self) -> None:
        kinds: list[Callable[[], None]] = [self._lock] if self.disk is None else [self._fill, self._lock]
        while True:
            for befall in kinds:
                if self._stop.wait(self.chance.uniform(*PEACE)):
                    return
                try:
                    befall()
                except Exception as err:  # noqa: BLE001 - raised in the thread that waits for it
                    self._failed = err
                    return

    def _lock(self) -> None:
        """Another program writes for longer than anybody waits."""
        with contextlib.suppress(StorageError), self.store.database.writing() as connection:
            if not self.store.database.is_sqlite:
                connection.execute(text(f"LOCK TABLE {_LOCKED} IN EXCLUSIVE MODE"))
            self.happened["database locked"] += 1
            time.sleep(self.busy_seconds + self.chance.uniform(0.5, 2.0))

    def _fill(self) -> None:
        """The disk is full. The journal is written back first: otherwise there would be room in that."""
        assert self.disk is not None
        with contextlib.suppress(StorageError), self.store.database.outside() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        until = time.monotonic() + self.chance.uniform(1.0, 4.0)
        while time.monotonic() < until:
            self.disk.fill()
            time.sleep(0.05)
        self.disk.free()
        self.happened["disk full"] += 1
