"""What the commands of this room share: `python -m classifiers.train`, `finetune` and `teach`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from classifiers.training_data import LESSONS_FOLDER
from earshot.errors import EarshotError


def say(words: str) -> None:
    """A line for the person who waits; standard output stays free for figures."""
    sys.stderr.write(f"{words}\n")


def positive(text: str) -> int:
    """An argument that counts something."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return int(text)


def carried_out(work: Callable[[], str]) -> int:
    """Do the work and say what came of it, or what went wrong; the exit status."""
    try:
        came_of_it = work()
    except EarshotError as err:
        say(str(err))
        return 1
    say(came_of_it)
    return 0


def ask_for_lessons(parser: argparse.ArgumentParser) -> None:
    """The arguments that say what weights learn from."""
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--taught", type=Path, metavar="FILE", help="what an encoder thinks of the texts (python -m classifiers.teach)")
    parser.add_argument("--lessons", type=Path, default=LESSONS_FOLDER, metavar="FOLDER", help="labelled posts of your own (CSV files)")
