"""The contract of `earshot score`: what others build on stays as it is.

New weights move numbers, and now and then a label. Then write the golden output anew and read the difference line by line:

    earshot score tests/contract/input.jsonl > tests/contract/output.jsonl
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
QUESTIONS = {"sentiment", "anger", "intent", "asks", "needs", "risk", "urgent", "toxicity", "spam", "language"}
LABELS = {
    "sentiment": {"negative", "neutral", "positive"},
    "anger": {"calm", "annoyed", "angry"},
    "intent": {"question", "problem", "complaint", "praise", "suggestion", "purchase", "cancel", "spam", "other"},
    "asks": {"yes", "no"},
    "needs": {"common", "specialist", "account", "none"},
    "urgent": {"yes", "no"},
    "toxicity": {"yes", "no"},
    "spam": {"yes", "no"},
    "risk": {"none", "safety", "legal", "press", "privacy"},
}


def run(*args: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("EARSHOT_")}
    return subprocess.run([sys.executable, "-m", "earshot", "score", *args], input=stdin, capture_output=True, check=False, env=env)


@pytest.fixture(scope="module")
def scored() -> subprocess.CompletedProcess[bytes]:
    return run(str(HERE / "input.jsonl"))


def lines(output: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_the_output_is_the_golden_one(scored: subprocess.CompletedProcess[bytes]) -> None:
    golden = lines((HERE / "output.jsonl").read_bytes())
    now = lines(scored.stdout)
    assert [line["id"] for line in now] == [line["id"] for line in golden]
    for line, wanted in zip(now, golden, strict=True):
        assert line["route"] == wanted["route"], line["id"]
        for question in QUESTIONS:
            score, before = line["scores"][question], wanted["scores"][question]
            assert (score["label"], score["by"]) == (before["label"], before["by"]), (line["id"], question)
            assert score["value"] == pytest.approx(before["value"], abs=0.002), (line["id"], question)
            assert score["confidence"] == pytest.approx(before["confidence"], abs=0.002), (line["id"], question)


def test_bad_lines_are_named_and_give_no_output(scored: subprocess.CompletedProcess[bytes]) -> None:
    told = scored.stderr.decode().splitlines()
    expected = (HERE / "errors.txt").read_text(encoding="utf-8").splitlines()
    assert len(told) == len(expected)
    assert all(line.startswith(start) for line, start in zip(told, expected, strict=True))
    assert scored.returncode == 1


def test_every_line_has_the_promised_shape(scored: subprocess.CompletedProcess[bytes]) -> None:
    for line in lines(scored.stdout):
        assert set(line) == {"id", "scores", "route"}
        assert set(line["scores"]) >= QUESTIONS
        for question, score in line["scores"].items():
            assert set(score) == {"label", "value", "confidence", "by"}
            assert score["label"] in LABELS.get(question, {score["label"]}) | {"unsure"}
            assert 0 <= score["confidence"] <= 1
        assert set(line["route"]) == {"tier", "outcome", "reason"}
        assert line["route"]["tier"] in {"community", "tier_1", "tier_2", "none"}
        assert line["route"]["outcome"] in {"automatic", "review"}


def test_standard_input_is_read_where_no_file_is_given() -> None:
    good = run(stdin=b'{"id": "1", "text": "hello there, how do I reset it?"}\n\n')
    assert (good.returncode, good.stderr) == (0, b"")
    assert [line["id"] for line in lines(good.stdout)] == ["1"]


def test_a_policy_of_ones_own_decides(tmp_path: Path) -> None:
    policy = tmp_path / "mine.toml"
    shipped = Path(__file__).parents[2] / "escalation" / "default.toml"
    everything = '\n[[rules]]\nkey = "all"\nwhen = []\ntier = "tier_2"\noutcome = "automatic"\nreason = "all to us"\n'
    head = shipped.read_text(encoding="utf-8").partition("[[rules]]")[0]
    policy.write_text(head + everything, encoding="utf-8")
    good = run("--policy", str(policy), stdin=b'{"id": "1", "text": "hello there"}\n')
    assert good.returncode == 0, good.stderr
    assert lines(good.stdout)[0]["route"] == {"tier": "tier_2", "outcome": "automatic", "reason": "all to us"}


def test_a_missing_file_or_policy_is_named() -> None:
    for args in (("nowhere.jsonl",), ("--policy", "nowhere.toml")):
        bad = run(*args, stdin=b"")
        assert bad.returncode == 2
        assert b"nowhere" in bad.stderr
        assert b"Traceback" not in bad.stderr
