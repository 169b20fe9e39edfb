"""What the commands of this room share: `python -m classifiers.train`, `finetune` and `teach`."""

from __future__ import annotations

import argparse
import sys


def say(words: str) -> None:
    """A line for the person who waits; standard output stays free for figures."""
    sys.stderr.write(f"{words}\n")


def positive(text: str) -> int:
    """An argument that counts something."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return int(text)
