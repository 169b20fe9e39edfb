"""Fine-tune a local encoder: `python -m classifiers.finetune DATA_DIR --encoder FOLDER --out FOLDER`.

All heads learn at once from the mean of the encoder's last layer. What comes out is what `classifiers.accurate` loads: int8 ONNX,
tokenizer.json, heads.json, and a card. It is judged on the dev parts as it will serve: through ONNX, in int8. torch is needed here only.
"""

from __future__ import annotations

import argparse
import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import numpy as np
from msgspec import json
from numpy.typing import NDArray

from classifiers.accurate import CARD, FORMAT, TOKENIZER, Card, Columns, load
from classifiers.commands import carried_out, positive, say
from classifiers.encoder_card import encoder_card
from classifiers.encoder_data import HEADS, MISSING, TEACHERS, Example, licences, to_judge, to_learn
from classifiers.figures import figures
from classifiers.report import f1_of, macro_f1, macro_recall
from classifiers.training_data import Shelf
from earshot.errors import BadInput, ConfigurationError, ModelError

VERSION = "1"
ONNX = "encoder.int8.onnx"
REMEDY = 'pip install "earshot[train]" (torch, some 5 GB)'
_POSTS = ("triage_posts", "invented_posts")
_CHUNK = 32  #: batches; within so many, texts of one length stand together
_LEAST_AGREEMENT = 0.9  #: of labels, between torch and int8; with less, the export went wrong
#: What a head is compared by, where it is not macro-F1.
_MEASURES = {"tweet_sentiment": ("macro-recall", macro_recall), "irony": ("F1 of yes", f1_of("yes"))}
_TEMPERATURES = np.geomspace(0.25, 4.0, 33)

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How an encoder learns."""

    epochs: int = 5
    threads: int = 1
    seed: int = 0
    length: int = 96  #: tokens of a text that are read
    batch: int = 16
    tweets: float = 3.0  #: tweets of the public sets for each post, in every epoch anew
    rate: float = 8e-5  #: highest learning rate of the encoder
    heads_rate: float = 1e-3  #: and of the heads, which begin at random
    smoothing: float = 0.05


@dataclass(frozen=True, slots=True)
class Judged:
    """One head on the dev parts."""

    head: str
    measure: str
    figure: float
    n: int


def numbered(examples: Sequence[Example]) -> Numbers:
    """(examples, heads) the number of each label; `MISSING` where there is none."""
    return np.array(
        [[labels.index(each.labels[head]) if head in each.labels else MISSING for head, labels in HEADS.items()] for each in examples],
        np.int64,
    ).reshape(len(examples), len(HEADS))


def evened(numbers: Numbers) -> list[Floats]:
    """For each head (labels,): the rarer a label, the more it counts, by the root of how much rarer."""
    weights = []
    for column, labels in zip(numbers.T, HEADS.values(), strict=True):
        counts = np.bincount(column[column != MISSING], minlength=len(labels)) + 1
        weights.append(np.sqrt(counts.sum() / counts / len(labels)).astype(np.float32))
    return weights


def batches(examples: Sequence[Example], lengths: Sequence[int], recipe: Recipe) -> list[list[int]]:
    """Rows of every step of all epochs: each post once an epoch, and tweets, the more the larger their set (by its root)."""
    order = random.Random(recipe.seed)
    return [batch for _ in range(recipe.epochs) for batch in _batched(_epoch(examples, recipe, order), lengths, recipe, order)]


def _epoch(examples: Sequence[Example], recipe: Recipe, order: random.Random) -> list[int]:
    by_set: dict[str, list[int]] = {}
    for row, example in enumerate(examples):
        by_set.setdefault("" if example.data_set in _POSTS else example.data_set, []).append(row)
    rows = list(by_set.pop("", []))
    tweets, roots = recipe.tweets * len(rows), {name: sqrt(len(of_set)) for name, of_set in by_set.items()}
    for name, of_set in by_set.items():
        rows += order.sample(of_set, min(len(of_set), round(tweets * roots[name] / sum(roots.values()))))
    order.shuffle(rows)
    return rows


def _batched(rows: list[int], lengths: Sequence[int], recipe: Recipe, order: random.Random) -> list[list[int]]:
    found = []
    for first in range(0, len(rows), recipe.batch * _CHUNK):
        chunk = sorted(rows[first : first + recipe.batch * _CHUNK], key=lambda row: lengths[row])
        parts = [chunk[start : start + recipe.batch] for start in range(0, len(chunk), recipe.batch)]
        order.shuffle(parts)
        found += parts
    return found


def described(folder: Path, recipe: Recipe, languages: Sequence[str]) -> Card:
    """What heads.json says of the files in `folder`."""
    ends = np.cumsum([len(labels) for labels in HEADS.values()]).tolist()
    columns = tuple(
        Columns(question=head, labels=labels, first=last - len(labels), last=last)
        for (head, labels), last in zip(HEADS.items(), ends, strict=True)
    )
    sealed = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (ONNX, TOKENIZER)}
    return Card(FORMAT, VERSION, recipe.length, sealed, columns, tuple(languages))


def judge(answers: Mapping[str, Floats], examples: Sequence[Example]) -> list[Judged]:
    """The figure of each head from its probabilities, (examples, labels), by the measure that its set is compared by."""
    judged = []
    for head, labels in HEADS.items():
        rows = [row for row, each in enumerate(examples) if head in each.labels]
        if not rows:
            continue
        given = [labels[number] for number in answers[head][rows].argmax(axis=1).tolist()]
        found = figures([examples[row].labels[head] for row in rows], given, answers[head][rows].max(axis=1).tolist())
        measure, of = _MEASURES.get(head, ("macro-F1", macro_f1))
        judged.append(Judged(head, measure, round(of(found), 4), len(rows)))
    return judged


def fitted_temperatures(answers: Mapping[str, Floats], examples: Sequence[Example]) -> dict[str, float]:
    """Head -> the temperature at which its probabilities fit the dev parts best. It moves no label, so the figures stay honest."""
    numbers, found = numbered(examples), {}
    for column, head in zip(numbers.T, HEADS, strict=True):
        rows = np.flatnonzero(column != MISSING)
        if len(rows):
            logs = np.log(np.maximum(answers[head][rows], 1e-9)).astype(np.float64)
            found[head] = min(map(float, _TEMPERATURES), key=lambda warmth: _surprise(logs / warmth, column[rows]))
    return found


def _surprise(logits: NDArray[np.float64], truth: Numbers) -> float:
    """Mean negative log likelihood."""
    return float(np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(truth)), truth]))


def agreement(one: Mapping[str, Floats], other: Mapping[str, Floats]) -> float:
    """The share of texts and heads to which both give the same label."""
    return float(np.mean([one[head].argmax(axis=1) == other[head].argmax(axis=1) for head in one]))


def finetune(shelf: Shelf, encoder: Path, out: Path, *, recipe: Recipe, languages: Sequence[str]) -> None:
    """Teach, export, judge, write. Nothing is written to `out` unless all went well.

    Raises `ConfigurationError` without torch, `BadInput` for data or an encoder that cannot be read, `ModelError` for a failed export.
    """
    networks = network_library()
    learnt, dev = to_learn(shelf, languages), to_judge(shelf, languages)
    if not learnt or not dev:
        raise BadInput(f"data directory {shelf.folder}: no row in {', '.join(languages)} may teach or judge; give other --languages")
    say(f"{len(learnt)} rows teach, {len(dev)} judge")
    network = networks.taught(encoder, learnt, numbered(learnt), recipe)
    texts = [each.text for each in dev]
    whole = networks.answers(network, encoder, texts, recipe)
    networks.temper(network, fitted_temperatures(whole, dev))
    with TemporaryDirectory(prefix="earshot-finetune-") as work:
        folder = Path(work)
        say("exporting, and judging what was exported")
        networks.export(network, folder / ONNX)
        (folder / TOKENIZER).write_bytes((encoder / TOKENIZER).read_bytes())
        card = described(folder, recipe, languages)
        (folder / CARD).write_bytes(json.format(json.encode(card), indent=1) + b"\n")
        served = load(folder).probabilities(texts)
        same = agreement(served, whole)
        if same < _LEAST_AGREEMENT:
            raise ModelError(f"encoder {encoder}: its int8 export gives the same label to {same:.1%} only; it cannot be served in int8")
        judged = judge(served, dev)
        about = encoder_card(card, recipe, judged, agreement=same, licences=licences(TEACHERS), manifest=shelf.manifest)
        (folder / "README.md").write_text(about, encoding="utf-8")
        out.mkdir(parents=True, exist_ok=True)
        for name in (ONNX, TOKENIZER, CARD, "README.md"):
            (out / name).write_bytes((folder / name).read_bytes())
    for each in judged:
        say(f"{each.head:16}{each.measure:14}{each.figure:.3f}  on {each.n}")
    say(f"int8 gives the label of full precision to {same:.1%}")


def network_library() -> ModuleType:
    """What needs torch. Raises `ConfigurationError` when the extra is not installed."""
    try:
        from classifiers import encoder_network
    except ImportError as err:
        raise ConfigurationError(f"fine-tuning needs the extra train ({err}): {REMEDY}") from err
    return encoder_network


def main(arguments: Sequence[str] | None = None) -> int:
    usual = Recipe()
    parser = argparse.ArgumentParser(
        prog="python -m classifiers.finetune",
        description="Fine-tune a local encoder with several heads at once, and export it for the accurate model.",
        epilog=f"Needs the extra train: {REMEDY}.",
    )
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--encoder", type=Path, required=True, help="folder with config.json, tokenizer.json and one *.safetensors (BERT)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the ONNX file, tokenizer.json, heads.json and the card")
    parser.add_argument("--epochs", type=positive, default=usual.epochs)
    parser.add_argument("--threads", type=positive, default=usual.threads)
    parser.add_argument("--languages", nargs="+", default=["en"], help="languages of the posts that teach; the encoder must know them")
    given = parser.parse_args(arguments)
    recipe = Recipe(epochs=given.epochs, threads=given.threads)

    def work() -> str:
        finetune(Shelf(given.data_dir), given.encoder, given.out, recipe=recipe, languages=given.languages)
        return f"written to {given.out}"

    return carried_out(work)


if __name__ == "__main__":
    raise SystemExit(main())
