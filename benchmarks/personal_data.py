"""What is found of the personal data in a folder of data sets: recall by kind, what ordinary tweets show, microseconds a text, and
milliseconds for hostile texts of 40,000 characters.

    python benchmarks/personal_data.py DATA [--part dev] [--show]

DATA holds `pii_synthetic` and `tweet_sentiment`. A span counts as found when any of it would be masked, as covered when four fifths would.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from classifiers.personal_data import Span, all_spans, spans

TWEETS = 5_000
LENGTH = 40_000
OURS = {
    "EMAIL_ADDRESS": "e-mail",
    "PHONE_NUMBER": "phone",
    "CREDIT_CARD": "card",
    "IBAN_CODE": "iban",
    "US_SSN": "id",
    "IP_ADDRESS": "ip",
    "STREET_ADDRESS": "address",
    "ZIP_CODE": "postcode",
}
HOSTILE = (
    "1",
    "1 ",
    "1-",
    "12 A ",
    "+49 30 123456 ",
    "4111111111111111 ",
    "a@b.co ",
    "https://a/reset/",
    "Suite 1 A ",
    "rue de la 1 ",
    "市路1号",
    "Ａ１",
    "!",
)


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("data", type=Path)
    ask.add_argument("--part", default="dev", choices=("train", "dev"))
    ask.add_argument("--show", action="store_true", help="also what the tweets show")
    given = ask.parse_args()
    print_recall(given.data / "pii_synthetic" / f"{given.part}.csv.gz")
    print_tweets(given.data / "tweet_sentiment" / "train.csv.gz", show=given.show)
    for unit in HOSTILE:
        text = (unit * LENGTH)[:LENGTH]
        print(f"{unit!r:24} {1e3 * best(partial(spans, text)):6.1f} ms")


def print_recall(path: Path) -> None:
    rows = list(read(path))
    there, found, covered = Counter[str](), Counter[str](), Counter[str]()
    for row, shown in zip(rows, all_spans([row["text"] for row in rows]), strict=True):
        for wanted in json.loads(row["spans"]):
            kind, length = wanted["type"], wanted["end"] - wanted["start"]
            masked = sum(overlap(span, wanted["start"], wanted["end"]) for span in shown)
            there[kind] += 1
            found[kind] += masked > 0
            covered[kind] += masked >= 0.8 * length
    print(f"{path.parent.name} {path.name}: {len(rows)} texts")
    for kind, ours in OURS.items():
        if there[kind]:
            print(f"  {ours:10} {there[kind]:4}  found {found[kind] / there[kind]:.3f}  covered {covered[kind] / there[kind]:.3f}")
    all_there, all_found = sum(there[kind] for kind in OURS), sum(found[kind] for kind in OURS)
    print(f"  together   {all_there:4}  found {all_found / all_there:.3f}")


def print_tweets(path: Path, *, show: bool) -> None:
    texts = [row["text"] for row in islice(read(path), TWEETS)]
    shown = all_spans(texts)
    kinds = Counter(span.kind for found in shown for span in found)
    seconds = best(lambda: all_spans(texts))
    print(f"{len(texts)} tweets: {sum(map(bool, shown))} show something {dict(kinds)}; {1e6 * seconds / len(texts):.1f} µs a text")
    if show:
        for text, found in zip(texts, shown, strict=True):
            for span in found:
                print(f"  {span.kind}: {text[max(0, span.start - 20) : span.start]}<<{text[span.start : span.end]}>>")


def overlap(span: Span, start: int, end: int) -> int:
    return max(0, min(span.end, end) - max(span.start, start))


def best(work: Callable[[], Any], times: int = 7) -> float:
    """CPU seconds of the quickest of some runs."""
    took = []
    for _ in range(times):
        start = time.process_time()
        work()
        took.append(time.process_time() - start)
    return min(took)


def read(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


if __name__ == "__main__":
    main()
