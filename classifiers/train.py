"""Fit the weights: `python -m classifiers.train DATA_DIR [--taught FILE.npz] [--lessons FOLDER] [--out FOLDER]`.

Hints first: lines that large public sets taught, and the lines nearest to what an encoder thinks of a pool of texts (`--taught`, see
`classifiers.teach`; without it the weights are less good). Then the heads: each is a logistic regression over hashed words, hints and cues,
learnt from posts and a few rows of public sets that no hint had seen, so that it trusts hints as far as they go. Hints are sums of words:
they vanish into the head's own columns and cost nothing when it serves. Probabilities are calibrated on answers that each row got from
weights which had not seen it (five folds). The same data give the same weights. Weights whose figures, judged on posts they had not seen,
are worse than those installed are not written.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from classifiers.card import card_text
from classifiers.commands import ask_for_lessons, carried_out, say
from classifiers.cues import names as cue_names
from classifiers.features import fingerprint
from classifiers.figures import worse
from classifiers.lines import Floats, Lines, Matrix, counts, logistic, rarity_of, ridge, scaled
from classifiers.model import FORMAT, SHIPPED, Model, decode, softmax
from classifiers.panel import Panel
from classifiers.report import Scored, by_question, judge
from classifiers.training_data import (
    ANSWERS,
    LATIN_LANGUAGES,
    LESSONS,
    LESSONS_FOLDER,
    LICENCES,
    NOT_TO_LEARN_FROM,
    OURS,
    PUBLIC,
    QUESTIONS,
    Post,
    Shelf,
    Taught,
    answered,
    languages,
    lessons,
    own_posts,
    posts,
    same_texts,
)
from earshot.errors import BadInput, ModelError
from earshot.mention import Mention, ScoredMention

HEADS: Mapping[str, tuple[str, ...]] = {**QUESTIONS, **PUBLIC}
VERSION = "2"
FOLDS = 5
_NEVER_SEEN = -12.0  #: log odds of a label that no post had
_HINTS_COUNT, _CUES_COUNT = 0.3, 0.5  #: beside the words, whose row has length one
_POSTS_COUNT = 3.0  #: a post to a brand beside a row of a public set
_MOST_ROWS = 60_000  #: a hint learns from so many
_HINT_STRENGTH = 3.0
_MOST_OF_SET, _SHARE_OF_SET = 2_000, 5  #: so many rows of a public set, a fifth at most, teach heads; the others teach hints
_LEANS = np.arange(0, 0.75, 0.1)


@dataclass(frozen=True, slots=True)
class FittedHead:
    labels: tuple[str, ...]
    words: Lines  #: (buckets, columns)
    mix: Floats  #: (cues, columns)
    calibration: Floats
    shift: Floats
    lean: Floats


@dataclass(frozen=True, slots=True)
class Base:
    """What does not depend on the labelled posts."""

    rarity: Floats
    hints: Lines
    language: FittedHead
    about: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """What posts, and rows of public sets, look like to the heads."""

    posts: Sequence[Post]
    words: Matrix  #: (posts, buckets) scaled to length one
    hints: Floats
    cues: Floats
    fold: NDArray[np.int64]  #: (posts,) 0..FOLDS-1, equal for texts that read alike
    teaches: NDArray[np.bool_]  #: (posts,) may be learnt from
    is_post: NDArray[np.bool_]  #: (posts,) to a brand, and not invented
    calibrates: NDArray[np.bool_]  #: (posts,) may tell how often an answer is right: neither invented nor seen by hints
    number: Mapping[str, NDArray[np.int64]]  #: question -> (posts,) the number of the label; -1 without one

    @property
    def rows(self) -> Matrix:
        """(posts, buckets + hints + cues)"""
        return sparse.hstack(
            [self.words, sparse.csr_matrix(self.hints * _HINTS_COUNT), sparse.csr_matrix(self.cues * _CUES_COUNT)], dtype=np.float32
        ).tocsr()


def fit_base(shelf: Shelf, *, without: Sequence[Post], taught: Path | None = None) -> Base:
    """Rarity, hints and language from the public sets, less the texts that teach and judge the heads."""
    kept = [post.text for post in without if not post.taught_hints]
    learnt = lessons(shelf, without=kept)
    shown = answered(shelf, "train", without=kept)
    raw, _ = counts([*learnt.texts, *(post.text for post in shown)])
    rarity = rarity_of(raw)
    words = scaled(raw, rarity)
    hints = [*_signals(learnt, words), *_answers(shown, words[len(learnt.texts) :])]
    about: Mapping[str, Any] = {}
    if taught is not None:
        lines, about = _from_encoder(taught, shelf, rarity, without=kept)
        hints.append(lines)
    together = Lines(np.hstack([each.weights for each in hints]), np.concatenate([each.bias for each in hints]))
    return Base(rarity, together, fit_language(shelf, rarity), about)


def _signals(learnt: Taught, words: Matrix) -> Iterator[Lines]:
    for signal, taught_by in sorted(learnt.truths.items()):
        rows = np.concatenate([np.arange(first, first + len(truths)) for first, truths in taught_by])
        truths = np.concatenate([np.array(truths, np.int64) for _, truths in taught_by])
        yield _hint(signal, words, rows, truths, 2)


def _answers(shown: Sequence[Post], words: Matrix) -> Iterator[Lines]:
    for question, labels in HEADS.items():
        rows = np.flatnonzero([question in post.labels for post in shown])
        if len(rows):
            number = np.array([labels.index(shown[row].labels[question]) for row in rows.tolist()], np.int64)
            yield _hint(question, words, rows, number, len(labels))


def _hint(name: str, words: Matrix, rows: NDArray[np.int64], number: NDArray[np.int64], labels: int) -> Lines:
    if len(rows) > _MOST_ROWS:
        chosen = np.random.default_rng(0).choice(len(rows), _MOST_ROWS, replace=False)
        rows, number = rows[chosen], number[chosen]
    say(f"hint {name}: {len(rows)} texts")
    return logistic(words[rows], number, labels, strength=_HINT_STRENGTH)


def _from_encoder(file: Path, shelf: Shelf, rarity: Floats, *, without: Iterable[str]) -> tuple[Lines, Mapping[str, Any]]:
    """Lines that say of a text nearly what the encoder would, and what the card says about it."""
    from classifiers.teach import read_taught

    taught = read_taught(file, shelf)
    kept = set(same_texts(list(without)))
    rows = [row for row, alike in enumerate(same_texts(taught.texts)) if alike not in kept]
    wanted = taught.logits[rows].astype(np.float32)
    for head in taught.about.heads:
        wanted[:, head.first : head.last] -= wanted[:, head.first : head.last].mean(axis=1, keepdims=True)
    lines = ridge(scaled(counts([taught.texts[row] for row in rows])[0], rarity), wanted)
    say(f"hints of the encoder: {len(rows)} texts")
    about = {"encoder": taught.about.encoder, "texts": len(rows), "sets": dict(taught.about.counts)}
    return lines, {"taught": about, "taught_licences": dict(taught.about.licences)}


def everything(shelf: Shelf, lessons_folder: Path = LESSONS_FOLDER) -> list[Post]:
    """The labelled posts and those of one's own, and after them the rows of the public sets that heads learn from: they teach no hint."""
    to_brands = [*posts(shelf), *own_posts(lessons_folder)]
    rows = answered(shelf, "train", without=[post.text for post in to_brands])
    order = hashes([post.text for post in rows])
    sets = np.array([post.data_set for post in rows])
    chosen: list[Post] = []
    for answers in ANSWERS:
        of_set = np.flatnonzero(sets == answers.data_set)
        of_set = of_set[np.argsort(order[of_set], kind="stable")]
        kept_back = min(_MOST_OF_SET, len(of_set) // _SHARE_OF_SET)
        chosen += [rows[row] for row in of_set[:kept_back].tolist()]
        if answers.whole:
            chosen += [replace(rows[row], taught_hints=True) for row in of_set[kept_back:].tolist()]
    return [*to_brands, *chosen]


def hashes(texts: Sequence[str]) -> NDArray[np.int64]:
    """A number for each text, the same for texts that read alike."""
    return np.array([int.from_bytes(hashlib.sha256(each.encode()).digest()[:6], "big") for each in same_texts(texts)], np.int64)


def tabulate(listed: Sequence[Post], base: Base) -> Table:
    raw, cues = counts([post.text for post in listed])
    words = scaled(raw, base.rarity)
    number = {
        question: np.array([labels.index(post.labels[question]) if question in post.labels else -1 for post in listed], np.int64)
        for question, labels in HEADS.items()
    }
    return Table(
        posts=listed,
        words=words,
        hints=base.hints(words),
        cues=cues,
        fold=hashes([post.text for post in listed]) % FOLDS,
        teaches=np.array([post.teaches for post in listed], bool),
        is_post=np.array([post.is_post for post in listed], bool),
        calibrates=np.array([post.is_post or not (post.taught_hints or post.data_set in OURS) for post in listed], bool),
        number=number,
    )


def laid_out(shelf: Shelf, taught: Path | None = None, lessons_folder: Path = LESSONS_FOLDER) -> tuple[Table, Base]:
    """All that heads learn from and are judged by, and the base under it."""
    listed = everything(shelf, lessons_folder)
    base = fit_base(shelf, without=listed, taught=taught)
    return tabulate(listed, base), base


@dataclass(frozen=True, slots=True)
class Uncalibrated:
    """A head's columns, not yet probabilities."""

    words: Lines
    mix: Floats

    def columns(self, table: Table, chosen: NDArray[np.bool_]) -> Floats:
        return np.asarray(self.words(table.words[chosen]) + table.cues[chosen] @ self.mix, np.float32)


def learn(table: Table, rows: Matrix, question: str, chosen: NDArray[np.bool_], hints: Lines) -> Uncalibrated:
    """A head from the chosen posts that have a label; `rows` are those of the table."""
    taught = np.flatnonzero(chosen & (table.number[question] >= 0))
    counted = np.where(table.is_post[taught], _POSTS_COUNT, 1.0).astype(np.float32) if question == "sentiment" else None
    lines = logistic(rows[taught], table.number[question][taught], len(HEADS[question]), counted=counted)
    buckets, known = table.words.shape[1], table.hints.shape[1]
    through = lines.weights[buckets : buckets + known] * _HINTS_COUNT
    words = Lines(lines.weights[:buckets] + hints.weights @ through, lines.bias + hints.bias @ through)
    return Uncalibrated(words, lines.weights[buckets + known :] * _CUES_COUNT)


@dataclass(frozen=True, slots=True)
class CrossFit:
    """A question answered by columns that had not seen the fold of a post."""

    heads: Sequence[Uncalibrated]  #: one per fold
    columns: Floats  #: (posts, columns)


def cross_fit(table: Table, rows: Matrix, question: str, hints: Lines, *, learnt: NDArray[np.bool_]) -> CrossFit:
    heads = [learn(table, rows, question, learnt & (table.fold != fold), hints) for fold in range(FOLDS)]
    columns = np.zeros((len(table.posts), heads[0].mix.shape[1]), np.float32)
    for fold, head in enumerate(heads):
        columns[table.fold == fold] = head.columns(table, table.fold == fold)
    return CrossFit(heads, columns)


def calibrated(table: Table, question: str, head: Uncalibrated, fit: CrossFit, judged: NDArray[np.bool_]) -> FittedHead:
    """The head with probabilities fitted to the cross-fitted columns of the judged posts."""
    chosen = judged & table.calibrates & (table.number[question] >= 0)
    found = calibrate(fit.columns[chosen], table.number[question][chosen], HEADS[question])
    return FittedHead(HEADS[question], head.words, head.mix, *found)


def calibrate(columns: Floats, number: NDArray[np.int64], labels: tuple[str, ...]) -> tuple[Floats, Floats, Floats]:
    """(calibration, shift, lean): a logistic regression from columns to labels."""
    from sklearn.linear_model import LogisticRegression

    present = np.unique(number)
    if len(present) < 2:
        only = f"the label {labels[int(present[0])]!r}" if len(present) else "no label"
        raise BadInput(f"all {len(number)} posts that may calibrate have {only}; give posts of other labels too")
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
    logs = np.log(probability + 1e-9)
    candidates = [-share * prior for share in _LEANS]
    reached = [f1_score(number, (logs + lean).argmax(axis=1), average="macro", zero_division=0) for lean in candidates]
    return np.asarray(candidates[int(np.argmax(reached))], np.float32)


def fit_language(shelf: Shelf, rarity: Floats) -> FittedHead:
    """Which Latin language: from words alone. Scripts are told apart by code points when it serves."""
    labels = (*LATIN_LANGUAGES, "other")

    def read(part: str) -> tuple[Matrix, NDArray[np.int64]]:
        texts, given = zip(*languages(shelf, part), strict=True)
        return scaled(counts(texts)[0], rarity), np.array([labels.index(label) for label in given])

    words = logistic(*read("train"), len(labels), strength=3.0)
    judged, number = read("dev")
    calibration, shift, lean = calibrate(words(judged), number, labels)
    return FittedHead(labels, words, np.zeros((len(cue_names()), len(labels)), np.float32), calibration, shift, np.zeros_like(lean))


def encode(base: Base, heads: Mapping[str, FittedHead], about: Mapping[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """Quantise to int8: the weights as a safetensors file, and what describes and seals them."""
    from safetensors.numpy import save

    heads = {**heads, "language": base.language}
    weights = np.hstack([head.words.weights for head in heads.values()])
    scale = np.maximum(np.abs(weights).max(axis=0), 1e-6) / 127
    rarity_step = float(base.rarity.max()) / 255
    arrays: dict[str, NDArray[Any]] = {
        "weights": np.round(weights / scale).astype(np.int8),
        "scale": scale.astype(np.float32),
        "rarity": np.round(base.rarity / rarity_step).astype(np.uint8),
    }
    for name, head in heads.items():
        arrays[f"{name}.mix"], arrays[f"{name}.bias"] = np.ascontiguousarray(head.mix, np.float32), head.words.bias
        arrays[f"{name}.calibration"], arrays[f"{name}.shift"], arrays[f"{name}.lean"] = head.calibration, head.shift, head.lean
    content = save(arrays, metadata={"format": FORMAT})
    return content, {
        "format": FORMAT,
        "version": VERSION,
        "sha256": hashlib.sha256(content).hexdigest(),
        "features": fingerprint(),
        "rarity_scale": rarity_step,
        "cues": list(cue_names()),
        "heads": [{"name": name, "labels": head.labels, "columns": head.mix.shape[1]} for name, head in heads.items()],
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


@dataclass(frozen=True, slots=True)
class Fitted:
    """All heads, fitted to the posts that were chosen, and what tells how good they are."""

    table: Table
    base: Base
    fits: Mapping[str, CrossFit]
    heads: Mapping[str, FittedHead]


def fit(table: Table, base: Base, *, learnt: NDArray[np.bool_], known: Mapping[str, FittedHead] | None = None) -> Fitted:
    """Heads from the posts `learnt`; those in `known` are taken as they are."""
    fits, heads, rows = {}, dict(known or {}), table.rows
    for question in [question for question in HEADS if question not in heads]:
        fits[question] = cross_fit(table, rows, question, base.hints, learnt=learnt)
        head = learn(table, rows, question, learnt, base.hints)
        heads[question] = calibrated(table, question, head, fits[question], learnt)
        say(f"head {question}: fitted")
    return Fitted(table, base, fits, heads)


def cross_scored(fitted: Fitted) -> list[tuple[Post, ScoredMention]]:
    """Every post to a brand with the scores of a model that had not seen its fold, nor calibrated on it."""
    table, scored = fitted.table, list[tuple[Post, ScoredMention]]()
    for fold in range(FOLDS):
        elsewhere = table.teaches & (table.fold != fold)
        heads = {
            question: calibrated(table, question, fitted.fits[question].heads[fold], fitted.fits[question], elsewhere)
            if question in QUESTIONS
            else head
            for question, head in fitted.heads.items()
        }
        held_back = [table.posts[row] for row in np.flatnonzero(table.is_post & (table.fold == fold)).tolist()]
        scored += zip(held_back, score(held_back, served(fitted.base, heads)), strict=True)
    return scored


def summary(scored: Scored) -> dict[str, float]:
    """ "anger en" -> macro-F1, for each question and language."""
    return {f"{question} {lang}": round(judge(chosen, question).macro_f1, 4) for question, lang, chosen in by_question(scored)}


def train(shelf: Shelf, taught: Path | None = None, lessons_folder: Path = LESSONS_FOLDER) -> tuple[bytes, dict[str, Any]]:
    """Weights from everything that may teach, and their description with the cross-validated figures."""
    table, base = laid_out(shelf, taught, lessons_folder)
    fitted = fit(table, base, learnt=table.teaches)
    read = [*(lesson.data_set for lesson in LESSONS), *(answers.data_set for answers in ANSWERS)]
    about = {
        "figures": summary(cross_scored(fitted)),
        "manifest": dict(sorted(shelf.manifest.items())),
        "licences": {**{data_set: LICENCES[data_set] for data_set in read}, **base.about.get("taught_licences", {})},
        "taught": base.about.get("taught"),
    }
    return encode(base, fitted.heads, about)


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
    ask_for_lessons(parser)
    parser.add_argument("--out", type=Path, default=SHIPPED.parent, help="folder for weights and card (default: where they ship)")
    given = parser.parse_args(arguments)

    def work() -> str:
        install(given.out, *train(Shelf(given.data_dir), given.taught, given.lessons))
        return f"written to {given.out}"

    return carried_out(work)


if __name__ == "__main__":
    raise SystemExit(main())
