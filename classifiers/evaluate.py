"""How good are the heads? `python -m classifiers.evaluate DATA_DIR` prints figures on posts that the weights had not seen.

First on the dev parts, from weights that learnt from the train parts only; then cross-validated over train and dev. Hints learn from public
sets without the texts of any labelled post. Posts that may not teach are judged, never learnt from. Installing is the business of
`classifiers.train`: it refuses weights whose cross-validated figures are worse than those installed.

With `--accurate FOLDER` the dev part is judged once more, with its least certain share read by the encoder, too. That may have learnt
from the train part, so nothing is cross-validated then.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from classifiers.accurate import load
from classifiers.batch import Batch
from classifiers.commands import ask_for_lessons
from classifiers.panel import Panel
from classifiers.report import of_brands, of_public_sets
from classifiers.train import Table, as_mention, cross_scored, fit, laid_out, served
from classifiers.training_data import LESSONS_FOLDER, PUBLIC, Post, Shelf, answered
from earshot.errors import EarshotError
from earshot.mention import Score


def judge_dev(title: str, table: Table, panel: Panel, *, in_full: bool) -> str:
    """The report on the dev part as `panel` scores it, with how many posts it scored in a second of the processor."""
    dev = [post for post in table.posts if post.part == "dev"]
    mentions = list(map(as_mention, dev))
    panel.understand(mentions[:1])  # what loads with the first is not counted
    begun = time.process_time()
    scored = panel.understand(mentions)
    took = time.process_time() - begun
    found = of_brands(title, list(zip(dev, scored, strict=True)), in_full=in_full)
    return f"{found}\n{len(dev) / took:.0f} posts in a second of the processor"


def answer(panel: Panel, question: str, posts: Sequence[Post]) -> list[Score]:
    """What the heads say of rows of one set, among the labels that it has; also heads that no classifier asks."""
    batch = Batch(list(map(as_mention, posts)), model=panel.model, cascade=panel.cascade)
    head = batch.model.heads[question]
    has = np.isin(head.labels, sorted({post.labels[question] for post in posts}))
    probability = np.where(has, batch.probabilities[question], 0.0)
    chosen = head.choose(probability)
    sure = probability.max(axis=1, initial=0.0)
    return batch.signed(question, [head.labels[number] for number in chosen.tolist()], values=sure, confidence=sure)


def evaluated(
    shelf: Shelf, taught: Path | None, accurate: Path | None, share: float, *, lessons_folder: Path = LESSONS_FOLDER, in_full: bool
) -> Iterator[str]:
    """The parts of the report, one after the other as they are ready. Raises `BadInput` and `ModelError`."""
    encoder = None if accurate is None else load(accurate)
    table, base = laid_out(shelf, taught, lessons_folder)
    is_dev = np.array([post.part == "dev" for post in table.posts])
    fitted = fit(table, base, learnt=table.teaches & ~is_dev)
    model = served(base, fitted.heads)
    public = answered(shelf, "dev")
    yield judge_dev("dev, learnt from train", table, Panel(model=model), in_full=in_full)
    yield of_public_sets(partial(answer, Panel(model=model)), public)
    if encoder is not None:
        panel = Panel(model=model, accurate=encoder, share=share)
        yield judge_dev(f"the same, the encoder reads {share:.0%}", table, panel, in_full=in_full)
        yield of_public_sets(partial(answer, panel), public)
        return
    known = {question: head for question, head in fitted.heads.items() if question in PUBLIC}
    scored = cross_scored(fit(table, base, learnt=table.teaches, known=known))
    yield of_brands("train + dev, cross-validated", scored, in_full=in_full)
    may_teach = [(post, each) for post, each in scored if post.teaches]
    yield of_brands("the same, only posts whose source may teach", may_teach, in_full=False)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m classifiers.evaluate", description="Figures of all heads on posts that they had not seen."
    )
    ask_for_lessons(parser)
    parser.add_argument("--brief", action="store_true", help="leave out classes, confusions and the worst examples")
    parser.add_argument("--accurate", type=Path, metavar="FOLDER", help="an encoder that reads again what the weights are least certain of")
    parser.add_argument("--share", type=float, default=0.2, help="share of the posts that it reads")
    given = parser.parse_args(arguments)
    try:
        parts = evaluated(
            Shelf(given.data_dir), given.taught, given.accurate, given.share, lessons_folder=given.lessons, in_full=not given.brief
        )
        sys.stdout.writelines(f"{part}\n" for part in parts)
    except EarshotError as err:
        sys.stderr.write(f"{err}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
