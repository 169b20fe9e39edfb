"""Raw JSON lines -> understood, weighed, routed, on disk (SQLite), beside VADER alone on the same texts in the same run.

    python benchmarks/throughput.py [--mentions N] [--json FILE]

The texts are made of pairs of words from the demo's posts: as long as real ones (about 130 characters), and no copies of one another.
CPU seconds count, since wall seconds depend on what else the machine does; both are printed. With two processes each takes half the lines.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command line does, before NumPy is there

import orjson

from earshot import pipeline
from earshot.rooms import Rooms
from earshot.scheduler import ease_collector
from earshot.settings import load_settings
from earshot.storage import Store
from escalation.policy import default_policy
from listener.archive import parse_score_line, read_archive

STORY = Path(__file__).parent.parent / "earshot" / "demo" / "story"
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--mentions", type=int, default=20_000)
    ask.add_argument("--json", type=Path, help="also write the figures here")
    ask.add_argument("--part", nargs=2, metavar=("DATABASE", "FILE"), help=argparse.SUPPRESS)
    given = ask.parse_args()
    if given.part:
        print(json.dumps(run_part(*given.part)))
        return
    figures = measure(given.mentions)
    print(as_text(figures))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def measure(n: int) -> dict[str, Any]:
    """All figures: VADER's, ours with one and with two processes, and the ratio of CPU to CPU."""
    with tempfile.TemporaryDirectory() as folder:
        lines = list(islice(raw_lines(), n))
        ours = {processes: time_processes(lines, Path(folder), processes) for processes in (1, 2)}
    return {"mentions": n, "one process": ours[1], "two processes": ours[2], "one mention": time_one(lines[:300])}


def time_one(lines: list[bytes]) -> dict[str, float]:
    """Milliseconds to score and route a single mention, one after the other, after the start."""
    rooms = Rooms(policy=default_policy())
    mentions = [parse_score_line(line, number) for number, line in enumerate(lines, start=1)]
    took = []
    for mention in mentions:
        start = time.perf_counter()
        rooms.triage(rooms.score([mention]), now=NOW)
        took.append(1000 * (time.perf_counter() - start))
    warm = sorted(took[10:])
    return {"median_ms": round(warm[len(warm) // 2], 2), "p99_ms": round(warm[int(len(warm) * 0.99)], 2)}


def raw_lines(seed: int = 1) -> Iterator[bytes]:
    """Endless distinct posts by some thousand authors."""
    chance = random.Random(seed)
    posts = [orjson.loads(line) for path in sorted(STORY.glob("posts_*.jsonl")) for line in path.read_bytes().splitlines()]
    words = [post["text"].split() for post in posts if post["lang"] == "en"]
    pairs = [pair for each in words for pair in pairwise(each)]
    number = 0
    while True:
        number += 1
        length = max(3, min(60, int(chance.lognormvariate(2.95, 0.6))))
        text = " ".join(" ".join(chance.choice(pairs)) for _ in range(length // 2 + 1))
        handle = f"author{int(chance.paretovariate(0.5)) % 5000}"
        author = {"id": handle, "handle": handle, "followers": int(chance.lognormvariate(5, 2))}
        posted = NOW - timedelta(seconds=number)
        line = {
            "id": str(number),
            "network": "x",
            "text": text,
            "author": author,
            "created_at": posted.isoformat(),
            "thread_id": str(number),
        }
        yield orjson.dumps(line)


def time_processes(lines: list[bytes], folder: Path, processes: int) -> dict[str, Any]:
    """Run that many processes over their shares of the lines, into one database. Start-up is not counted."""
    url = f"sqlite:///{folder}/{processes}.db"
    store = Store(url)
    store.upgrade()
    store.close()
    parts = []
    for i in range(processes):
        path = folder / f"{processes}-{i}.jsonl"
        path.write_bytes(b"\n".join(lines[i::processes]) + b"\n")
        parts.append(subprocess.Popen([sys.executable, __file__, "--part", url, str(path)], stdout=subprocess.PIPE))
    done = [json.loads(part.communicate()[0]) for part in parts]
    result = rates(len(lines), max(d["wall"] for d in done), sum(d["cpu"] for d in done))
    result["vader"] = rates(len(lines), max(d["vader_wall"] for d in done), sum(d["vader_cpu"] for d in done))
    result["times_vader"] = round(result["vader"]["cpu_seconds"] / result["cpu_seconds"], 3)
    result["peak_mib"] = max(d["peak_mib"] for d in done)
    stages: dict[str, float] = defaultdict(float)
    for each in done:
        for name, seconds in each["stages"].items():
            stages[name] += seconds
    result["stages_cpu_seconds"] = {name: round(seconds, 2) for name, seconds in stages.items()}
    result["bytes_per_mention"] = round(Path(f"{folder}/{processes}.db").stat().st_size / len(lines))
    store = Store(url)
    assert store.mentions.counts()["understood"] == len(lines), store.mentions.counts()
    store.close()
    return result


def run_part(url: str, file: str) -> dict[str, Any]:
    """One process: read its file, understand, write; the time of each stage apart.

    VADER reads each batch right after us: what else the machine does then slows both alike.
    """
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    store, settings = Store(url, busy_seconds=60), load_settings()
    rooms = Rooms.open(store, settings, now=NOW)
    rooms.score([next(read_archive(file, now=NOW))])
    ease_collector()
    stages = Stages()
    stages.watch(store.mentions, {"unknown": "look", "take_in": "near copies confirmed, cases, write"})
    stages.watch(rooms, {"score": "understand and weigh", "triage": "decide", "prioritise": "decide"})
    analyzer, ours, vader = SentimentIntensityAnalyzer(), Watch(), Watch()
    rows = stages.timed_rows(read_archive(file, now=NOW), "read")
    batch: list[Any] = [None]
    while batch:
        with ours:
            batch = list(islice(rows, settings.batch))
            pipeline.take_in(store, rooms, batch, source="import", now=NOW)
        with vader:
            for mention in batch:
                analyzer.polarity_scores(mention.text)
    stages.seconds["the rest (keys of near copies)"] = ours.cpu - sum(stages.seconds.values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "wall": ours.wall,
        "cpu": ours.cpu,
        "vader_wall": vader.wall,
        "vader_cpu": vader.cpu,
        "peak_mib": round(peak),
        "stages": stages.seconds,
    }


class Watch:
    """Adds up the wall and CPU seconds of what runs within it."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    def __enter__(self) -> None:
        self.wall -= time.perf_counter()
        self.cpu -= time.process_time()

    def __exit__(self, *_: object) -> None:
        self.cpu += time.process_time()
        self.wall += time.perf_counter()


class Stages:
    """CPU seconds per stage, measured around the calls that make it up."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def watch(self, target: object, names: dict[str, str]) -> None:
        for name, stage in names.items():
            setattr(target, name, self._timed(getattr(target, name), stage))

    def _timed(self, call: Callable[..., Any], stage: str) -> Callable[..., Any]:
        def timed(*args: Any, **given: Any) -> Any:
            start = time.process_time()
            try:
                return call(*args, **given)
            finally:
                self.seconds[stage] += time.process_time() - start

        return timed

    def timed_rows(self, rows: Iterator[Any], stage: str) -> Iterator[Any]:
        step = self._timed(lambda: next(rows, None), stage)
        while (row := step()) is not None:
            yield row


def rates(n: int, wall: float, cpu: float) -> dict[str, Any]:
    return {
        "wall_seconds": round(wall, 2),
        "cpu_seconds": round(cpu, 2),
        "per_wall_second": round(n / wall),
        "per_cpu_second": round(n / cpu),
    }


def as_text(figures: dict[str, Any]) -> str:
    lines = [f"{figures['mentions']} mentions"]
    for name in ("one process", "two processes"):
        each = figures[name]
        lines.append(
            f"{name:14} wall {each['wall_seconds']:7.2f} s  cpu {each['cpu_seconds']:7.2f} s  "
            f"{each['per_wall_second']:6}/s  {each['per_cpu_second']:6}/cpu-s  peak {each['peak_mib']} MiB"
        )
        beside = each["vader"]
        lines.append(
            f"  beside VADER wall {beside['wall_seconds']:7.2f} s  cpu {beside['cpu_seconds']:7.2f} s  "
            f"{beside['per_wall_second']:6}/s  {beside['per_cpu_second']:6}/cpu-s  "
            f"{each['times_vader']:.2f} x VADER"
        )
    one = figures["one mention"]
    lines.append(f"one mention    median {one['median_ms']} ms, p99 {one['p99_ms']} ms")
    total = sum(figures["one process"]["stages_cpu_seconds"].values())
    for stage, seconds in sorted(figures["one process"]["stages_cpu_seconds"].items(), key=lambda item: -item[1]):
        lines.append(f"    {stage:24} {seconds:7.2f} s  {100 * seconds / total:3.0f} %")
    lines.append(f"    {figures['one process']['bytes_per_mention']} bytes on disk per mention")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
