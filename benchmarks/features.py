"""What do the hashed features hold? `python benchmarks/features.py DATA_DIR` fits a plain linear model on them for further sets.

No hint, no encoder: logistic regression on the train part, judged on the dev part. Chinese reviews are judged twice: on all kinds of
goods, and on each kind by a model that saw the others only.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import sparse

from classifiers.figures import figures, wilson
from classifiers.lines import Floats, Matrix, counts, logistic, rarity_of, scaled
from classifiers.report import f1_of, macro_f1, with_spread
from classifiers.training_data import Row, Shelf


def told(train: Sequence[Row], dev: Sequence[Row], column: str, *, strength: float, cued: float = 0.0) -> list[str]:
    """The label of each dev row; `cued`: how much cues count beside the words."""
    labels = sorted({row[column] for row in train})
    raw, cues = counts([row["text"] for row in train])
    rarity: Floats = rarity_of(raw)
    lines = logistic(
        _beside(scaled(raw, rarity), cues * cued), np.array([labels.index(row[column]) for row in train]), len(labels), strength=strength
    )
    raw, cues = counts([row["text"] for row in dev])
    said = lines(_beside(scaled(raw, rarity), cues * cued))
    number = said.argmax(axis=1) if said.shape[1] > 1 else (said[:, 0] > 0).astype(int)
    return [labels[each] for each in number.tolist()]


def _beside(words: Matrix, cues: Floats) -> Matrix:
    return sparse.hstack([words, sparse.csr_matrix(cues)], dtype=np.float32).tocsr()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data_dir", type=Path)
    shelf = Shelf(parser.parse_args(arguments).data_dir)

    def of(data_set: str, column: str, strength: float) -> tuple[list[str], list[str]]:
        dev = shelf.rows(data_set, "dev")
        return [row[column] for row in dev], told(shelf.rows(data_set, "train"), dev, column, strength=strength)

    true, given = of("banking77", "intent", 20.0)
    hits = sum(one == other for one, other in zip(true, given, strict=True))
    low, high = wilson(hits, len(true))
    print(f"banking77: accuracy {hits / len(true):.3f} ({low:.3f} to {high:.3f}) on {len(true)}")
    parts = [[{**row, "asks": str(row["act"] == "QUE")} for row in shelf.rows("tweet_acts", part)] for part in ("train", "dev")]
    true, given = [row["asks"] for row in parts[1]], told(parts[0], parts[1], "asks", strength=5.0, cued=0.5)
    found = figures(true, given, [1.0] * len(true))
    question = next(each for each in found.classes if each.label == "True")
    rates = f"precision {question.precision:.2f}, recall {question.recall:.2f}"
    print(f"tweet_acts: question F1 {with_spread(found, f1_of('True'))}, {rates}, on {len(true)} of which {question.n} are questions")
    true, given = of("zh_weibo_emotion", "label", 2.0)
    found = figures(true, given, [1.0] * len(true))
    print(f"zh_weibo_emotion: macro-F1 {with_spread(found, macro_f1)}, angry F1 {with_spread(found, f1_of('angry'))} on {len(true)}")
    true, given = of("zh_shopping_reviews", "label", 2.0)
    print(f"zh_shopping_reviews: macro-F1 {with_spread(figures(true, given, [1.0] * len(true)), macro_f1)} on {len(true)}")
    rows = [*shelf.rows("zh_shopping_reviews", "train"), *shelf.rows("zh_shopping_reviews", "dev")]
    for kind in sorted({row["category"] for row in rows}):
        unseen = [row for row in rows if row["category"] == kind]
        given = told([row for row in rows if row["category"] != kind], unseen, "label", strength=2.0, cued=0.5)
        found = figures([row["label"] for row in unseen], given, [1.0] * len(unseen))
        print(f"  unseen {kind}: macro-F1 {found.macro_f1:.3f} on {len(unseen)}")


if __name__ == "__main__":
    main()
