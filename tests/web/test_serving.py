"""`earshot serve` as it is started: a process, a port, and an end."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest


@contextmanager
def _serving(tmp_path: Path, *args: str, port: int = 0) -> Iterator[subprocess.Popen[str]]:
    """The command as a process, which does not outlive the test whatever happens in it."""
    env = os.environ | {
        "EARSHOT_DATABASE_URL": f"sqlite:///{tmp_path}/e.db",
        "EARSHOT_PORT": str(port),
        "EARSHOT_CONFIG": str(tmp_path / "none.toml"),
        "EARSHOT_LOG_FORMAT": "json",
    }
    with subprocess.Popen([sys.executable, "-m", "earshot", "serve", *args], env=env, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("args", [(), ("--work",)])
def test_it_serves_says_where_and_stops_when_asked(tmp_path: Path, args: tuple[str, ...]) -> None:
    with _serving(tmp_path, *args) as process:
        assert process.stderr is not None
        address = next(found.group(1) for line in process.stderr if (found := re.search(r'"address": ?"([^"]+)"', line)))
        assert httpx2.get(f"{address}/health").status_code == 200
        assert httpx2.get(f"{address}/queue").status_code in (303, 307, 401)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) in (0, -signal.SIGINT, 130)
        assert "Traceback" not in process.stderr.read()


def test_a_port_that_is_taken_is_named_with_the_remedy(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with _serving(tmp_path, port=taken.getsockname()[1]) as process:
            _, told = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "is taken: choose another with EARSHOT_PORT" in told
