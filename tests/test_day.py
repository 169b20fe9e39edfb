"""Three hours of the day that `benchmarks/day.py` lives through."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parent.parent / "benchmarks" / "day.py"


def test_nobody_is_called_too_early_nothing_is_read_over_budget_and_all_is_heard(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    command = [sys.executable, str(BENCHMARK), "--hours", "3", "--seed", "5", "--json", str(figures)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(figures.read_text())
    assert set(told) == {"x", "reddit", "mastodon", "discourse"}
    for name, network in told.items():
        assert (network["too_early"], network["lost"]) == (0, 0), name
        assert network["posts"] >= 3, name
        assert network["polls"] > 20, name
    assert 0 < told["x"]["reads"] <= told["x"]["budget"]
