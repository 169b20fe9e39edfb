"""Fit the weights: `python -m classifiers.train DATA_DIR [--out FOLDER]`.

Signals first (large public sets, one linear model each), then language, then the heads: each head is a linear model per label over
hashed words, cues and signals, learnt from the posts that may teach; its probabilities are calibrated on answers that each post got from
weights which had not seen it (five folds). The same data give the same weights. Weights whose figures, judged on posts they had not seen,
are worse than those installed are not written.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from classifiers.card import card_text
from classifiers.commands import say
from classifiers.cues import cues
from classifiers.cues import names as cue_names
from classifiers.features import BUCKETS, fingerprint, hashed, tokenise
from classifiers.figures import figures, worse
from classifiers.model import FORMAT, SHIPPED, SOFT, Model, decode, softmax
from classifiers.panel import Panel
from classifiers.text import normalise_all
from classifiers.training_data import LATIN_LANGUAGES, LESSONS, NOT_TO_LEARN_FROM, Post, Shelf, languages, lessons, posts, same_text
from earshot.errors import BadInput, EarshotError, ModelError
from earshot.mention import Mention, ScoredMention

QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "intent": ("question", "problem", "complaint", "praise", "suggestion", "purchase", "cancel", "spam", "other"),
    "asks": ("no", "yes"),
    "needs": ("common", "specialist", "account", "none"),
    "anger": ("calm", "annoyed", "angry"),
    "sentiment": ("negative", "neutral", "positive"),
    "urgent": ("no", "yes"),
    "risk": ("none", "safety", "legal", "press", "privacy"),
}
VERSION = "1"
FOLDS = 5
_CONSTANT = 6.0  #: log odds of a label that all posts had
_NEVER_SEEN = -12.0  #: log odds of a label that no post had
_AT_ONCE = 1024
_CUES_COUNT, _SIGNALS_COUNT = 0.5, 0.5  #: how much cues and signals count beside the words, whose row has length one
_MOST_ROWS = 60_000  #: a signal learns from so many

Matrix = Any  # scipy has no types
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Line:
    """One fitted column: a weight per bucket (and per dense number, where it had some) and a bias."""

    words: Floats
    dense: Floats
    bias: float


@dataclass(frozen=True, slots=True)
class FittedHead:
    labels: tuple[str, ...]
    lines: Sequence[Line]
    calibration: Floats
    shift: Floats
    lean: Floats


@dataclass(frozen=True, slots=True)
class Base:
    """What does not depend on the labelled posts."""

    rarity: Floats
    signals: Mapping[str, Line]
    language: FittedHead


@dataclass(frozen=True, slots=True)
class Table:
    """What posts look like to the heads."""

    posts: Sequence[Post]
    words: Matrix  #: (posts, buckets) scaled to length one
    dense: Floats  #: (posts, cues + signals)
    fold: NDArray[np.int64]  #: (posts,) 0..FOLDS-1, equal for texts that read alike
    teaches: NDArray[np.bool_]  #: (posts,) may be learnt from
    is_real: NDArray[np.bool_]  #: (posts,) not invented: only these calibrate and judge


def counts(texts: Sequence[str]) -> tuple[Matrix, Floats]:
    """Hashed counts and cues, as the model sees them when it serves."""
    rows, dense = [], []
    for first in range(0, len(texts), _AT_ONCE):
        tokens = tokenise(normalise_all(texts[first : first + _AT_ONCE]))
        found = hashed(tokens)
        ones = np.ones(len(found.index), np.float32)
        rows.append(sparse.csr_matrix((ones, found.index, found.begin), shape=(tokens.n, BUCKETS)))
        dense.append(cues(tokens))
    return sparse.vstack(rows).tocsr(), np.vstack(dense)


def rarity_of(words: Matrix) -> Floats:
    """(buckets,) the rarer the heavier; rounded to 8 bits as it will be stored."""
    merged = words.copy()
    merged.sum_duplicates()
    holding = np.bincount(merged.indices, minlength=BUCKETS)
    rarity = np.log((1 + words.shape[0]) / (1 + holding)) + 1
    step = rarity.max() / 255
    return np.asarray(np.round(rarity / step) * step, np.float32)


def scaled(words: Matrix, rarity: Floats) -> Matrix:
    """Weigh by rarity, scale each row to length one. Repeats are not merged for the length, just as in serving."""
    length = np.sqrt(np.maximum(words @ (rarity * rarity), 1e-9))
    rows = words.copy()
    rows.data = rarity[rows.indices] / np.repeat(length, np.diff(rows.indptr)).astype(np.float32)
    rows.sum_duplicates()
    return rows


def fit_line(rows: Matrix, truths: NDArray[np.bool_], *, strength: float = 3.0, dense: int = 0) -> Line:
    """One logistic regression; the last `dense` columns of `rows` are cues and signals.

    A label that all rows have, or none, becomes a constant.
    """
    from sklearn.linear_model import LogisticRegression

    weights = np.zeros(rows.shape[1], np.float32)
    bias = _CONSTANT if truths.all() else -_CONSTANT
    if truths.any() and not truths.all():
        seen = np.unique(rows.indices)  # most buckets are empty in a small set: leaving them out changes nothing but the time
        model = LogisticRegression(C=strength, max_iter=60, class_weight="balanced", tol=1e-3).fit(rows[:, seen], truths)
        weights[seen], bias = model.coef_[0], float(model.intercept_[0])
    cut = rows.shape[1] - dense
    return Line(words=weights[:cut], dense=weights[cut:], bias=bias)


def fit_base(shelf: Shelf, *, judged: Sequence[Post]) -> Base:
    """Rarity, signals and language from the public sets, less the texts by which the heads are judged."""
    taught = lessons(shelf, without=[post.text for post in judged])
    raw, _ = counts(taught.texts)
    rarity = rarity_of(raw)
    words = scaled(raw, rarity)
    signals = {}
    for signal, taught_by in sorted(taught.truths.items()):
        rows = np.concatenate([np.arange(first, first + len(truths)) for first, truths in taught_by])
        truths = np.concatenate([np.array(truths, bool) for _, truths in taught_by])
        if len(rows) > _MOST_ROWS:
            chosen = np.random.default_rng(0).choice(len(rows), _MOST_ROWS, replace=False)
            rows, truths = rows[chosen], truths[chosen]
        signals[signal] = fit_line(words[rows], truths)
        say(f"signal {signal}: {len(rows)} texts, {truths.mean():.0%} hold it")
    return Base(rarity, signals, fit_language(shelf, rarity, dense=len(cue_names()) + len(signals)))


def tabulate(listed: Sequence[Post], base: Base) -> Table:
    raw, cue = counts([post.text for post in listed])
    words = scaled(raw, base.rarity)
    said = np.stack([words @ line.words + line.bias for line in base.signals.values()], axis=1)
    fold = np.array([int(hashlib.sha256(same_text(post.text).encode()).hexdigest(), 16) % FOLDS for post in listed])
    return Table(
        posts=listed,
        words=words,
        dense=np.hstack([cue, np.tanh(said / SOFT)]).astype(np.float32),
        fold=fold,
        teaches=np.array([post.teaches for post in listed]),
        is_real=np.array([post.source != "invented_posts" for post in listed]),
    )


def fit_lines(table: Table, question: str, chosen: NDArray[np.bool_]) -> list[Line]:
    """A line per label (one for yes/no) from the chosen posts."""
    given = np.array([post.labels[question] for post in table.posts])[chosen]
    weight = np.concatenate([np.full(len(cue_names()), _CUES_COUNT), np.full(table.dense.shape[1] - len(cue_names()), _SIGNALS_COUNT)])
    rows = sparse.hstack([table.words[chosen], sparse.csr_matrix(table.dense[chosen] * weight)]).tocsr()
    lines = [fit_line(rows, given == label, dense=len(weight)) for label in _lined(QUESTIONS[question])]
    return [Line(words=line.words, dense=(line.dense * weight).astype(np.float32), bias=line.bias) for line in lines]


def _lined(labels: tuple[str, ...]) -> tuple[str, ...]:
    """The labels that have a line of their own: yes and no share one."""
    return labels[1:] if len(labels) == 2 else labels


def columns_of(table: Table, lines: Sequence[Line]) -> Floats:
    return np.stack([table.words @ line.words + table.dense @ line.dense + line.bias for line in lines], axis=1).astype(np.float32)


@dataclass(frozen=True, slots=True)
class CrossFit:
    """A question answered for every post by lines that had not seen its fold."""

    lines: Sequence[Sequence[Line]]  #: one per fold
    columns: Floats  #: (posts, columns)


def cross_fit(table: Table, question: str, *, learnt: NDArray[np.bool_]) -> CrossFit:
    lines = [fit_lines(table, question, learnt & (table.fold != fold)) for fold in range(FOLDS)]
    columns = np.zeros((len(table.posts), len(lines[0])), np.float32)
    for fold, fitted in enumerate(lines):
        columns[table.fold == fold] = columns_of(table, fitted)[table.fold == fold]
    return CrossFit(lines, columns)


def calibrated(table: Table, question: str, lines: Sequence[Line], columns: Floats, judged: NDArray[np.bool_]) -> FittedHead:
    """The head made of `lines`, with probabilities fitted to the cross-fitted columns of the judged posts."""
    rows = np.flatnonzero(judged).tolist()
    labels = QUESTIONS[question]
    return FittedHead(labels, lines, *calibrate(columns[rows], [table.posts[row].labels[question] for row in rows], labels))


def calibrate(columns: Floats, given: Sequence[str], labels: tuple[str, ...]) -> tuple[Floats, Floats, Floats]:
    """(calibration, shift, lean): a logistic regression from columns to labels."""
    from sklearn.linear_model import LogisticRegression

    number = np.array([labels.index(label) for label in given])
    present = np.unique(number)
    if len(present) == 1:
        raise BadInput(
            f"all {len(number)} posts that may calibrate have the label {labels[int(present[0])]!r}; give posts of other labels too"
        )
    model = LogisticRegression(C=1.0, max_iter=2000).fit(columns, number)
    calibration = np.zeros((columns.shape[1], len(labels)), np.float32)
    shift = np.full(len(labels), _NEVER_SEEN, np.float32)
    if len(present) == 2:
        calibration[:, present[1]], shift[present] = model.coef_[0], (0.0, model.intercept_[0])
    else:
        calibration[:, present], shift[present] = model.coef_.T, model.intercept_
    return calibration, shift, _lean(softmax(columns @ calibration + shift), number, len(labels))


def _lean(probability: Floats, number: NDArray[np.int64], labels: int) -> Floats:
    """How far the choice leans to rare labels: the share of the log prior that serves macro-F1 best."""
    from sklearn.metrics import f1_score

    prior = np.log((np.bincount(number, minlength=labels) + 1) / (len(number) + labels))
    candidates = [-share * prior for share in np.arange(0, 0.35, 0.1)]
    scores = [f1_score(number, (np.log(probability + 1e-9) + lean).argmax(axis=1), average="macro", zero_division=0) for lean in candidates]
    return np.asarray(candidates[int(np.argmax(scores))], np.float32)


def fit_language(shelf: Shelf, rarity: Floats, *, dense: int) -> FittedHead:
    """Which Latin language: from words alone. Scripts are told apart by code points when it serves."""
    labels = (*LATIN_LANGUAGES, "other")
    texts, given = zip(*languages(shelf, "train"), strict=True)
    words, named = scaled(counts(texts)[0], rarity), np.array(given)
    lines = [replace(fit_line(words, named == label), dense=np.zeros(dense, np.float32)) for label in labels]
    texts, given = zip(*languages(shelf, "dev"), strict=True)
    judged = scaled(counts(texts)[0], rarity)
    columns = np.stack([judged @ line.words + line.bias for line in lines], axis=1).astype(np.float32)
    calibration, shift, lean = calibrate(columns, given, labels)
    return FittedHead(labels, lines, calibration, shift, np.zeros_like(lean))


def encode(base: Base, heads: Mapping[str, FittedHead], about: Mapping[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """Quantise to int8: the weights as a safetensors file, and what describes and seals them."""
    from safetensors.numpy import save

    heads = {**heads, "language": base.language}
    lines = [*base.signals.values(), *(line for head in heads.values() for line in head.lines)]
    weights = np.stack([line.words for line in lines], axis=1)
    scale = np.maximum(np.abs(weights).max(axis=0), 1e-6) / 127
    rarity_step = float(base.rarity.max()) / 255
    arrays: dict[str, NDArray[Any]] = {
        "weights": np.round(weights / scale).astype(np.int8),
        "scale": scale.astype(np.float32),
        "signal_bias": np.array([line.bias for line in base.signals.values()], np.float32),
        "rarity": np.round(base.rarity / rarity_step).astype(np.uint8),
    }
    for name, head in heads.items():
        arrays[f"{name}.mix"] = np.stack([line.dense for line in head.lines], axis=1)
        arrays[f"{name}.bias"] = np.array([line.bias for line in head.lines], np.float32)
        arrays[f"{name}.calibration"], arrays[f"{name}.shift"], arrays[f"{name}.lean"] = head.calibration, head.shift, head.lean
    content = save(arrays, metadata={"format": FORMAT})
    return content, {
        "format": FORMAT,
        "version": VERSION,
        "sha256": hashlib.sha256(content).hexdigest(),
        "features": fingerprint(),
        "rarity_scale": rarity_step,
        "signals": list(base.signals),
        "cues": list(cue_names()),
        "heads": [{"name": name, "labels": head.labels, "columns": len(head.lines)} for name, head in heads.items()],
        **about,
    }


def served(base: Base, heads: Mapping[str, FittedHead]) -> Model:
    """The model just as it would be read from its file."""
    return decode(Path(SHIPPED.name), *encode(base, heads, {}))


def score(posts_to_score: Sequence[Post], model: Model) -> list[ScoredMention]:
    """Through the same door as in production."""
    return Panel(model=model).understand([as_mention(post) for post in posts_to_score])


def as_mention(post: Post) -> Mention:
    return Mention(network="file", native_id=post.id, author=None, text=post.text, url="", posted_at=datetime(2026, 1, 1, tzinfo=UTC))


def cross_scored(table: Table, base: Base, fits: Mapping[str, CrossFit]) -> list[tuple[Post, ScoredMention]]:
    """Every real post with the scores of a model that had not seen its fold, nor calibrated on it."""
    scored: list[tuple[Post, ScoredMention]] = []
    for fold in range(FOLDS):
        elsewhere = table.teaches & table.is_real & (table.fold != fold)
        heads = {question: calibrated(table, question, fit.lines[fold], fit.columns, elsewhere) for question, fit in fits.items()}
        held_back = [table.posts[row] for row in np.flatnonzero(table.is_real & (table.fold == fold)).tolist()]
        scored += zip(held_back, score(held_back, served(base, heads)), strict=True)
    return scored


def summary(scored: Sequence[tuple[Post, ScoredMention]]) -> dict[str, float]:
    """ "anger en" -> macro-F1, for each question and language."""
    found = {}
    for question in QUESTIONS:
        for lang in ("en", "zh"):
            chosen = [(post.labels[question], each.score(question)) for post, each in scored if post.lang == lang]
            answers = [(true, answer.label, answer.confidence) for true, answer in chosen if answer is not None]
            if answers:
                found[f"{question} {lang}"] = round(figures(*zip(*answers, strict=True)).macro_f1, 4)
    return found


def train(shelf: Shelf) -> tuple[bytes, dict[str, Any]]:
    """Weights from everything that may teach, and their description with the cross-validated figures."""
    listed = posts(shelf)
    base = fit_base(shelf, judged=listed)
    table = tabulate(listed, base)
    fits, heads = {}, {}
    for question in QUESTIONS:
        fits[question] = cross_fit(table, question, learnt=table.teaches)
        lines = fit_lines(table, question, table.teaches)
        heads[question] = calibrated(table, question, lines, fits[question].columns, table.teaches & table.is_real)
        say(f"head {question}: fitted")
    about = {
        "figures": summary(cross_scored(table, base, fits)),
        "manifest": dict(sorted(shelf.manifest.items())),
        "licences": {lesson.data_set: lesson.licence for lesson in LESSONS},
    }
    return encode(base, heads, about)


def install(folder: Path, content: bytes, described: Mapping[str, Any]) -> None:
    """Write weights and their description, unless those that are there are better. Raises `ModelError`, which lists what is worse."""
    weights = folder / SHIPPED.name
    card = weights.with_suffix(".json")
    if card.exists():
        fallen = worse(described["figures"], json.loads(card.read_text(encoding="utf-8")).get("figures", {}))
        if fallen:
            raise ModelError(
                f"not installed, as the weights in {folder} are better: {'; '.join(fallen)}. "
                f"Write elsewhere (--out), or remove {card.name} first"
            )
    folder.mkdir(parents=True, exist_ok=True)
    weights.write_bytes(content)
    card.write_text(json.dumps(described, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    weights.with_suffix(".md").write_text(card_text(described, forbidden="`, `".join(sorted(NOT_TO_LEARN_FROM))), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m classifiers.train", description="Fit the weights that ship.")
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--out", type=Path, default=SHIPPED.parent, help="folder for weights and card (default: where they ship)")
    given = parser.parse_args(arguments)
    try:
        install(given.out, *train(Shelf(given.data_dir)))
    except EarshotError as err:
        say(str(err))
        return 1
    say(f"written to {given.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
