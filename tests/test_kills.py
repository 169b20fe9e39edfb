"""Ten of the kills that `benchmarks/kills.py` makes by the hundred."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parent.parent / "benchmarks" / "kills.py"


def test_workers_that_are_killed_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    command = [sys.executable, str(BENCHMARK), "--kills", "10", "--seed", "7", "--json", str(figures)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(figures.read_text())
    assert told["kills"] == 10
    assert told["posts"] >= 20
    assert told["replies"] > 0
    assert told["stages"]
    faults = ("lost", "doubled", "not_understood", "posted_twice", "said_sent_but_absent", "unsettled", "two_owners", "replay_mismatches")
    assert {name: told[name] for name in faults} == dict.fromkeys(faults, 0)
