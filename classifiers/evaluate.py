"""How good are the heads? `python -m classifiers.evaluate DATA_DIR` prints figures on posts that the weights had not seen.

First on the dev part, from weights that learnt from the train part only; then cross-validated over train and dev. Signals learn from
public sets without the texts of any labelled post. Posts that may not teach are judged, never learnt from. Installing is the business
of `classifiers.train`: it refuses weights whose cross-validated figures are worse than those installed.

With `--accurate FOLDER` the dev part is judged once more, with its least certain share read by the encoder, too. That may have learnt
from the train part, so nothing is cross-validated then.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from classifiers.accurate import load
from classifiers.figures import Figures, figures, wilson
from classifiers.model import Model
from classifiers.panel import Panel
from classifiers.train import (
    QUESTIONS,
    Base,
    Table,
    as_mention,
    calibrated,
    cross_fit,
    cross_scored,
    fit_base,
    fit_lines,
    served,
    tabulate,
)
from classifiers.training_data import Post, Shelf, posts
from earshot.errors import EarshotError
from earshot.mention import ScoredMention

Scored = Sequence[tuple[Post, ScoredMention]]


def train_part_model(table: Table, base: Base) -> Model:
    """Weights from the train part alone."""
    is_dev = np.array([post.part == "dev" for post in table.posts])
    learnt = table.teaches & ~is_dev
    heads = {}
    for question in QUESTIONS:
        fit = cross_fit(table, question, learnt=learnt)
        heads[question] = calibrated(table, question, fit_lines(table, question, learnt), fit.columns, learnt & table.is_real)
    return served(base, heads)


def judge_dev(title: str, table: Table, panel: Panel, *, in_full: bool) -> str:
    """The report on the dev part as `panel` scores it, with how many posts it scored in a second of the processor."""
    dev = [post for post in table.posts if post.part == "dev"]
    mentions = list(map(as_mention, dev))
    panel.understand(mentions[:1])  # what loads with the first is not counted
    begun = time.process_time()
    scored = panel.understand(mentions)
    took = time.process_time() - begun
    return (
        f"{report(title, list(zip(dev, scored, strict=True)), in_full=in_full)}\n{len(dev) / took:.0f} posts in a second of the processor"
    )


def cross_validated(table: Table, base: Base) -> Scored:
    """Train and dev, each post scored by weights that had not seen it."""
    return cross_scored(table, base, {question: cross_fit(table, question, learnt=table.teaches) for question in QUESTIONS})


def report(title: str, scored: Scored, *, in_full: bool) -> str:
    """A table of all heads by language; `in_full` adds classes and confusions."""
    lines = ["", f"{title}: {len(scored)} posts"]
    lines.append(f"{'':12}{'':4}{'posts':>7}{'macro-F1':>10}{'calibration error':>19}")
    for question in QUESTIONS:
        for lang in ("en", "zh"):
            found = _judge([(post, each) for post, each in scored if post.lang == lang], question)
            lines.append(f"{question:12}{lang:4}{found.n:7}{found.macro_f1:10.3f}{found.calibration_error:19.3f}")
            lines += _classes(found) if in_full else []
    return "\n".join([*lines, *_anger(scored)])


def _judge(scored: Scored, question: str) -> Figures:
    answers = [(post.labels[question], answer) for post, each in scored if (answer := each.score(question)) is not None]
    return figures([true for true, _ in answers], [answer.label for _, answer in answers], [answer.confidence for _, answer in answers])


def _classes(found: Figures) -> list[str]:
    lines = []
    for each in found.classes:
        given = sorted(((number, label) for (true, label), number in found.confusion.items() if true == each.label), reverse=True)
        confused = ", ".join(f"{label} {number}" for number, label in given[:4])
        rates = f"precision {each.precision:.2f}  recall {each.recall:.2f}  F1 {each.f1:.2f}"
        lines.append(f"    {each.label:12}{each.n:6}  {rates}   given as: {confused}")
    return lines


def _anger(scored: Scored) -> list[str]:
    """What one threshold on the anger score's value lets through, of all posts and of the angry."""
    values = np.array([answer.value for _, each in scored if (answer := each.score("anger")) is not None])
    angry = np.array([post.labels["anger"] == "angry" for post, _ in scored])
    lines = ["", "below this P(angry): share of all posts, and of the angry ones (95 % interval)"]
    for threshold in (0.02, 0.05, 0.1, 0.2, 0.3):
        passed = int((angry & (values < threshold)).sum())
        low, high = wilson(passed, int(angry.sum()))
        share = f"{passed}/{angry.sum()} = {passed / max(1, angry.sum()):.1%} ({low:.1%} to {high:.1%})"
        lines.append(f"    {threshold:.2f}  {np.mean(values < threshold):6.1%}  {share}")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m classifiers.evaluate", description="Figures of all heads on posts that they had not seen."
    )
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--brief", action="store_true", help="leave out classes and confusions")
    parser.add_argument("--accurate", type=Path, metavar="FOLDER", help="an encoder that reads again what the weights are least certain of")
    parser.add_argument("--share", type=float, default=0.2, help="share of the posts that it reads")
    given = parser.parse_args(arguments)
    try:
        encoder = None if given.accurate is None else load(given.accurate)
        shelf = Shelf(given.data_dir)
        listed = posts(shelf)
        base = fit_base(shelf, judged=listed)
        table = tabulate(listed, base)
        model = train_part_model(table, base)
        sys.stdout.write(judge_dev("dev, learnt from train", table, Panel(model=model), in_full=not given.brief) + "\n")
        if encoder is not None:
            panel = Panel(model=model, accurate=encoder, share=given.share)
            title = f"the same, the encoder reads {given.share:.0%}"
            sys.stdout.write(judge_dev(title, table, panel, in_full=not given.brief) + "\n")
            return 0
        scored = cross_validated(table, base)
    except EarshotError as err:
        sys.stderr.write(f"{err}\n")
        return 1
    may_teach = [(post, each) for post, each in scored if post.teaches]
    sys.stdout.write(report("train + dev, cross-validated", scored, in_full=not given.brief) + "\n")
    sys.stdout.write(report("the same, only posts whose source may teach", may_teach, in_full=False) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
