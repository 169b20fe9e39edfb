"""Learn from the people who correct us: labels become a small change to the weights, kept only where it is better on labels held back.

A head moves away from its weights only as far as the labels ask for it (logistic regression with the old weights as the centre of its
penalty), while it rehearses posts of our own so that it forgets nothing. A fifth of both is held back by the hash of the text, and judges.
What comes out is a `Change`: safetensors bytes of some hundred kilobytes that `changed` lays over the weights it was learnt for.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from classifiers.cues import cues
from classifiers.features import tokenise
from classifiers.figures import figures
from classifiers.model import Floats, Head, Model, softmax
from classifiers.text import normalise_all
from classifiers.training_data import Post, own_posts, same_texts
from earshot.errors import ModelError

FORMAT = "earshot-change-1"
LEAST = 20  #: labels of a question; fewer are left for another night
_HELD_BACK = 5  #: every fifth text judges
_CENTRE = 0.3  #: how strongly a head is held where it was
_CORRECTION_COUNTS = 3.0  #: beside a label that confirms us, or a rehearsed post
_NOISE = 0.03  #: macro-F1 on rehearsed posts may fall so far
_STEPS = 60

Numbers = NDArray[np.int64]
Matrix = Any  # scipy has no types


class Label(Struct, frozen=True, kw_only=True):
    """What people say of a text."""

    text: str
    question: str
    label: str
    corrects: bool  #: we had said something else


class Judged(Struct, frozen=True, kw_only=True):
    """What learning did to one question. Shares of 0..1, on what was held back."""

    question: str
    labels: int
    corrections: int
    judged: int  #: labels held back
    right_before: float
    right_after: float
    rehearsed_before: float  #: macro-F1 on posts of our own
    rehearsed_after: float
    kept: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Learnt:
    judged: tuple[Judged, ...]  #: one for each question that had labels
    change: bytes | None  #: None where nothing was better


@dataclass(frozen=True, slots=True)
class _Moved:
    """How the columns of one head move."""

    buckets: NDArray[np.int32]
    weights: Floats  #: (buckets, columns)
    bias: Floats  #: (columns,)


@dataclass(frozen=True, slots=True)
class _Read:
    """Every text that teaches or judges, read once for all questions: those with labels, behind them the posts of our own."""

    rows: Matrix  #: (texts, buckets) scaled to length one
    columns: Floats  #: (texts, columns) of all heads, as they are now
    is_judge: NDArray[np.bool_]
    rehearsed: Sequence[Post]


@dataclass(frozen=True, slots=True)
class _Examples:
    """Texts with the number of their label, as one head sees them."""

    rows: Matrix
    columns: Floats  #: (texts, columns) of the head
    number: Numbers
    counted: Floats
    is_judge: NDArray[np.bool_]
    is_label: NDArray[np.bool_]  #: and not rehearsed


def learn(model: Model, labels: Sequence[Label]) -> Learnt:
    """Move the heads of `model` to where `labels` say, question by question; labels that it does not know are left aside."""
    judged, moved = [], {}
    known = [each for each in labels if each.question in model.heads and each.label in model.heads[each.question].labels]
    if not known:
        return Learnt((), None)
    read = _read(model, known)
    for question in dict.fromkeys(each.question for each in known):
        head = model.heads[question]
        verdict, move = _learn(model, head, [each for each in known if each.question == question], _examples(head, known, read))
        judged.append(verdict)
        if move is not None:
            moved[question] = move
    return Learnt(tuple(judged), _encoded(model, moved) if moved else None)


def changed(model: Model, change: bytes, *, version: str) -> Model:
    """The model with the change laid over it. Raises `ModelError` when it was learnt for other weights, or is not one."""
    table, bias = model.table.copy(), model.bias.copy()
    for question, move in _decoded(model, change).items():
        head = model.heads[question]
        table[move.buckets, head.first : head.last] += move.weights * np.sqrt(model.table[move.buckets, -1:])
        bias[head.first : head.last] += move.bias
    return replace(model, version=version, table=table, bias=bias)


def _learn(model: Model, head: Head, labels: Sequence[Label], examples: _Examples) -> tuple[Judged, _Moved | None]:
    corrections = sum(each.corrects for each in labels)
    judges = examples.is_judge & examples.is_label
    teaches = ~examples.is_judge
    rehearsal = examples.is_judge & ~examples.is_label

    def told(columns: Floats, chosen: NDArray[np.bool_]) -> Numbers:
        return head.choose(_probability(model, head, columns[chosen]))

    move, after, reason = None, examples.columns, "too few labels yet"
    if len(labels) >= LEAST and corrections and judges.any():
        move = _moved(model, head, examples, teaches)
        after = examples.columns + examples.rows[:, move.buckets] @ move.weights + move.bias
        reason = ""
    right = [_share_right(examples.number[judges], told(columns, judges)) for columns in (examples.columns, after)]
    rehearsed = [_macro_f1(examples.number[rehearsal], told(columns, rehearsal)) for columns in (examples.columns, after)]
    if move is not None and right[1] <= right[0]:
        move, reason = None, "no better on the labels held back"
    elif move is not None and rehearsed[1] < rehearsed[0] - _NOISE:
        move, reason = None, "worse on posts of our own"
    verdict = Judged(
        question=head.name,
        labels=len(labels),
        corrections=corrections,
        judged=int(judges.sum()),
        right_before=round(right[0], 4),
        right_after=round(right[1], 4),
        rehearsed_before=round(rehearsed[0], 4),
        rehearsed_after=round(rehearsed[1], 4),
        kept=move is not None,
        reason=reason or "better on the labels held back",
    )
    return verdict, move


def _read(model: Model, labels: Sequence[Label]) -> _Read:
    from classifiers.lines import bags, scaled  # SciPy, which a worker that only takes a change up does not need

    rehearsed = own_posts()
    texts = [*(each.text for each in labels), *(post.text for post in rehearsed)]
    tokens = tokenise(normalise_all(texts))
    return _Read(
        rows=scaled(bags(tokens), np.sqrt(model.table[:, -1])),
        columns=model.columns(tokens, cues(tokens)),
        is_judge=np.array([_number_of(alike) % _HELD_BACK == 0 for alike in same_texts(texts)]),
        rehearsed=rehearsed,
    )


def _examples(head: Head, labels: Sequence[Label], read: _Read) -> _Examples:
    """Those texts of `read`, `labels` first, that have a label for this head."""
    given = [
        *(each.label if each.question == head.name else None for each in labels),
        *(post.labels.get(head.name) for post in read.rehearsed),
    ]
    counted = [_CORRECTION_COUNTS if each.corrects else 1.0 for each in labels] + [1.0] * len(read.rehearsed)
    chosen = np.array([row for row, label in enumerate(given) if label in head.labels])
    return _Examples(
        rows=read.rows[chosen],
        columns=read.columns[chosen, head.first : head.last],
        number=np.array([head.labels.index(label) for label in given if label in head.labels]),
        counted=np.array(counted, np.float32)[chosen],
        is_judge=read.is_judge[chosen],
        is_label=chosen < len(labels),
    )


def _number_of(text: str) -> int:
    """The same on every machine and in every run."""
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


def _probability(model: Model, head: Head, columns: Floats) -> Floats:
    block = model.calibration[head.first : head.last, head.begin : head.end]
    return softmax(columns @ block + model.shift[head.begin : head.end])


def _moved(model: Model, head: Head, examples: _Examples, teaches: NDArray[np.bool_]) -> _Moved:
    """The move that makes the labels most probable, less `_CENTRE` / 2 of its squared length."""
    from scipy.optimize import minimize

    buckets = np.unique(examples.rows[teaches].indices)
    rows, columns = examples.rows[teaches][:, buckets], examples.columns[teaches]
    counted, number = examples.counted[teaches], examples.number[teaches]
    block, width = model.calibration[head.first : head.last, head.begin : head.end], columns.shape[1]
    truth = np.eye(len(head.labels), dtype=np.float32)[number]

    def cost(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights, bias = flat[:-width].reshape(-1, width), flat[-width:]
        probability = _probability(model, head, np.asarray(columns + rows @ weights + bias, np.float32))
        surprise = -float(counted @ np.log(np.maximum((probability * truth).sum(axis=1), 1e-12)))
        slope = (counted[:, None] * (probability - truth)) @ block.T
        gradient = np.concatenate([(rows.T @ slope + _CENTRE * weights).ravel(), slope.sum(axis=0) + _CENTRE * bias])
        return surprise + _CENTRE / 2 * float(flat @ flat), gradient

    found = minimize(cost, np.zeros((len(buckets) + 1) * width), jac=True, method="L-BFGS-B", options={"maxiter": _STEPS}).x
    return _Moved(buckets.astype(np.int32), found[:-width].reshape(-1, width).astype(np.float32), found[-width:].astype(np.float32))


def _share_right(number: Numbers, told: Numbers) -> float:
    return float(np.mean(told == number)) if len(number) else 0.0


def _macro_f1(number: Numbers, told: Numbers) -> float:
    return figures([str(each) for each in number.tolist()], [str(each) for each in told.tolist()], [1.0] * len(number)).macro_f1


def _encoded(model: Model, moved: Mapping[str, _Moved]) -> bytes:
    from safetensors.numpy import save

    arrays: dict[str, NDArray[Any]] = {}
    for question, move in moved.items():
        arrays[f"{question}.buckets"], arrays[f"{question}.bias"] = move.buckets, move.bias
        arrays[f"{question}.weights"] = np.ascontiguousarray(move.weights.astype(np.float16))
    about = json.dumps({"format": FORMAT, "weights": model.sha256, "questions": list(moved)})
    content: bytes = save({**arrays, "about": np.frombuffer(about.encode(), np.uint8)})
    return content


def _decoded(model: Model, change: bytes) -> dict[str, _Moved]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(change)
        about = json.loads(arrays["about"].tobytes())
        if about["format"] != FORMAT:
            raise ModelError(f"learnt change: of another format ({str(about['format'])[:40]}); learn again (earshot learn)")
        if about["weights"] != model.sha256:
            raise ModelError("learnt change: belongs to other weights than those installed; learn again (earshot learn)")
        moved = {question: _move(arrays, question) for question in about["questions"]}
    except (SafetensorError, KeyError, TypeError, ValueError, IndexError) as err:
        raise ModelError(f"learnt change: cannot be understood ({type(err).__name__}); learn again (earshot learn)") from err
    for question, move in moved.items():
        head = model.heads.get(question)
        fits = head is not None and move.weights.shape == (len(move.buckets), head.last - head.first) == (len(move.buckets), len(move.bias))
        if not fits or move.buckets.min(initial=0) < 0 or move.buckets.max(initial=0) >= len(model.table):
            raise ModelError(f"learnt change: does not fit the head {question[:40]!r}; learn again (earshot learn)")
    return moved


def _move(arrays: Mapping[str, NDArray[Any]], question: str) -> _Moved:
    buckets, weights, bias = (arrays[f"{question}.{part}"] for part in ("buckets", "weights", "bias"))
    return _Moved(buckets, weights.astype(np.float32), bias.astype(np.float32))
