"""Thirty of the kills that `benchmarks/nemesis.py` makes by the thousand, with all else that befalls workers there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parent.parent / "benchmarks" / "nemesis.py"


def test_workers_in_a_hostile_world_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    command = [sys.executable, str(BENCHMARK), "--kills", "30", "--seed", "7", "--json", str(figures)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=380)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(figures.read_text())
    assert told["kills"] == 30
    assert told["posts"] >= 50
    assert told["replies"] > 0
    assert told["stages"]
    befell = {"pause", "clock an hour on", "clock an hour back", "database locked", "deletion"}
    assert befell - set(told["happened"]) == set()
    faults = (
        "lost",
        "doubled",
        "not_understood",
        "erased_but_standing",
        "posted_twice",
        "said_sent_but_absent",
        "unsettled",
        "two_owners",
        "replay_mismatches",
        "cursors_went_back",
        "unexpected_errors",
        "damaged_pages",
    )
    assert {name: told[name] for name in faults} == dict.fromkeys(faults, 0)
