"""The classifiers beside VADER and TextBlob on the same texts in the same run; one text, the start, memory; and the longest hostile texts.

    python benchmarks/classify.py [--texts N] [--rounds N] [--json FILE]

VADER and TextBlob read sentiment alone. `fast model`: from raw texts to the probabilities of all heads; `all questions`: with language,
risk words, personal data and the scores themselves. CPU seconds of one core count; the readers take turns batch by batch, so that what else
the machine does slows all alike, and the best of the rounds is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # one core, before NumPy is there

import orjson
from throughput import raw_lines

from classifiers.batch import Batch
from classifiers.panel import Panel
from classifiers.train import as_mention
from classifiers.training_data import Post
from earshot.mention import Mention

_AT_ONCE = 2048
_PEER_SHARE = 4  #: peers read every fourth batch only; they are slow and steady
_LONG = 40_000
_STAGES = ("texts", "tokens", "cues", "fast", "languages", "shown")
_HOSTILE = {
    "!": "!",
    "emoji": "😀",
    ":)": ":) ",
    "one word": "a",
    "words": "word ",
    "right-to-left marks": "\u202e",
    "@": "@a ",
    "digits": "1",
    "numbers": "12 ",
    "&": "&amp;",
    "Chinese": "坏",
    "dots": "a.",
    "stacked marks": "e\u0301\u0301\u0301",
}
_START = """
import time
begun = time.perf_counter()
from classifiers.panel import Panel
panel = Panel()
loaded = time.perf_counter() - begun
from datetime import UTC, datetime
from earshot.mention import Mention
at = datetime(2026, 1, 1, tzinfo=UTC)
panel.understand([Mention(network="file", native_id="1", author=None, text="where is my order", url="", posted_at=at)])
import psutil
print(loaded, time.perf_counter() - begun, psutil.Process().memory_info().rss / 2**20)
"""


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--texts", type=int, default=8192)
    ask.add_argument("--rounds", type=int, default=5)
    ask.add_argument("--json", type=Path, help="also write the figures here")
    given = ask.parse_args()
    figures = {"rates": rates(given.texts, given.rounds), "one": one_text(), "start": start(), "hostile_ms": hostile()}
    print(as_text(figures))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def rates(n: int, rounds: int) -> dict[str, dict[str, float]]:
    """Texts in a second of one core for each reader, and how many times VADER's that is."""
    from textblob import TextBlob
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    mentions = invented(n)
    panel, vader = Panel(), SentimentIntensityAnalyzer()
    readers: dict[str, Callable[[Sequence[Mention]], object]] = {
        "fast model": lambda batch: Batch(batch, model=panel.model).fast,
        "all questions": panel.answers,
        "VADER": lambda batch: [vader.polarity_scores(mention.text) for mention in batch],
        "TextBlob": lambda batch: [TextBlob(mention.text).sentiment for mention in batch],
    }
    best = dict.fromkeys(readers, float("inf"))
    for read in readers.values():
        read(mentions[:256])
    for _ in range(rounds):
        took, texts = dict.fromkeys(readers, 0.0), dict.fromkeys(readers, 0)
        for number, first in enumerate(range(0, n, _AT_ONCE)):
            batch = mentions[first : first + _AT_ONCE]
            for name, read in readers.items():
                if name in ("VADER", "TextBlob") and number % _PEER_SHARE:
                    continue
                begun = time.process_time()
                read(batch)
                took[name] += time.process_time() - begun
                texts[name] += len(batch)
        best = {name: min(best[name], took[name] / texts[name]) for name in readers}
    return {name: {"texts_per_s": round(1 / each), "times_vader": round(best["VADER"] / each, 2)} for name, each in best.items()}


def one_text() -> dict[str, float]:
    """Milliseconds for one mention after the start, one after the other."""
    panel, took = Panel(), []
    for mention in invented(400):
        begun = time.perf_counter()
        panel.understand([mention])
        took.append(1000 * (time.perf_counter() - begun))
    warm = sorted(took[20:])
    explained = []
    for mention in invented(100):
        begun = time.perf_counter()
        panel.explain(mention.text)
        explained.append(1000 * (time.perf_counter() - begun))
    return {
        "median_ms": round(warm[len(warm) // 2], 2),
        "p99_ms": round(warm[int(len(warm) * 0.99)], 2),
        "explained_median_ms": round(sorted(explained)[50], 2),
    }


def start() -> dict[str, float]:
    """Seconds until the panel stands, and until the first mention was read; MiB of memory then. The best of three processes."""
    lines = [subprocess.run([sys.executable, "-c", _START], capture_output=True, text=True, check=True).stdout for _ in range(3)]
    loaded, first, memory = zip(*[map(float, line.split()) for line in lines], strict=True)
    return {"panel_s": round(min(loaded), 2), "first_mention_s": round(min(first), 2), "memory_mib": round(min(memory))}


def hostile() -> dict[str, dict[str, float]]:
    """Milliseconds of each stage on one text of 40,000 characters."""
    panel, found = Panel(), {}
    for name, piece in _HOSTILE.items():
        text = (piece * (_LONG // len(piece) + 1))[:_LONG]
        mention = as_mention(Post(text=text, lang="en", source="", part="", labels={}, id=name))
        stages: dict[str, float] = {}
        for _ in range(2):  # the first time grows the tables
            batch = Batch([mention], model=panel.model)
            for stage in _STAGES:
                begun = time.perf_counter()
                getattr(batch, stage)
                stages[stage] = round(1000 * (time.perf_counter() - begun), 1)
        found[name] = stages
    return found


def invented(n: int) -> list[Mention]:
    lines = islice(raw_lines(), n)
    texts = [orjson.loads(line)["text"] for line in lines]
    return [as_mention(Post(text=text, lang="en", source="", part="", labels={}, id=str(i))) for i, text in enumerate(texts)]


def as_text(figures: dict[str, Any]) -> str:
    lines = [f"{'':16}{'texts/s':>10}{'x VADER':>10}"]
    lines += [f"{name:16}{each['texts_per_s']:10,}{each['times_vader']:10.2f}" for name, each in figures["rates"].items()]
    lines += ["", *(f"{name}: {value}" for part in ("one", "start") for name, value in figures[part].items())]
    lines += ["", f"40,000 characters, ms   {''.join(f'{stage:>10}' for stage in _STAGES)}"]
    lines += [f"  {name:22}{''.join(f'{value:10.1f}' for value in each.values())}" for name, each in figures["hostile_ms"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
