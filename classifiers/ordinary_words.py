"""English words that people use: they are no misspelt names. The list is made by

    python -m classifiers.ordinary_words DATA

from sets that the weights learn from, too: a word is ordinary that stands in two of them, and four times in all.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import re
import textwrap
from collections import Counter
from functools import cache
from importlib.resources import files
from pathlib import Path

_SETS = (
    *("goemotions/train", "clinc150/train", "banking77/train", "tweet_acts/train", "tweet_sentiment/train", "tweet_emotion/train"),
    *("app_reviews/train", "complaints/train", "issue_reports/train", "community_intents/train", "irc_support_threads/train_messages"),
)
_WORD = re.compile(r"(?:[@#]\w+|https?://\S+)|([a-z]+(?:'[a-z]+)?)")
_SHORTEST = 3  #: letters


@cache
def ordinary_words() -> frozenset[str]:
    """In lower case, three letters and more."""
    return frozenset(files("classifiers").joinpath("ordinary_words.txt").read_text(encoding="utf-8").split())


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("data", type=Path)
    data = ask.parse_args().data
    times, sets = Counter[str](), Counter[str]()
    for name in _SETS:
        words = _words(data / f"{name}.csv.gz")
        times.update(words)
        sets.update(words.keys())
    ordinary = sorted(word for word in times if len(word) >= _SHORTEST and sets[word] >= 2 and times[word] >= 4)
    path = Path(__file__).with_name("ordinary_words.txt")
    path.write_text(textwrap.fill(" ".join(ordinary), 140) + "\n", encoding="utf-8")


def _words(path: Path) -> Counter[str]:
    """How often each word stands in the texts of a file."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        texts = (row["text"].lower().replace("’", "'") for row in csv.DictReader(file))
        return Counter(word.removesuffix("'s") for text in texts for word in _WORD.findall(text) if word)


if __name__ == "__main__":
    main()
