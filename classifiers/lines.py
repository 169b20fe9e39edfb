"""What training computes with: rows of hashed features, and the linear models fitted to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from classifiers.cues import cues
from classifiers.features import BUCKETS, Tokens, hashed, tokenise
from classifiers.text import normalise_all

_AT_ONCE = 1024
_CONSTANT = 6.0  #: log odds of a label that all posts had
_STEPS = 60  #: of a logistic regression
_ROUNDS = 25  #: of conjugate gradients; more moved no figure

Matrix = Any  # scipy has no types
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Lines:
    """Linear models side by side: `rows @ weights + bias`."""

    weights: Floats  #: (features, columns)
    bias: Floats  #: (columns,)

    def __call__(self, rows: Matrix) -> Floats:
        return np.asarray(rows @ self.weights + self.bias, np.float32)


def counts(texts: Sequence[str]) -> tuple[Matrix, Floats]:
    """(texts, buckets) how often each hashed feature occurs, and (texts, cues), as the model sees them when it serves."""
    rows, dense = [sparse.csr_matrix((0, BUCKETS), dtype=np.float32)], [np.zeros((0, cues(tokenise([])).shape[1]), np.float32)]
    for first in range(0, len(texts), _AT_ONCE):
        tokens = tokenise(normalise_all(texts[first : first + _AT_ONCE]))
        rows.append(bags(tokens))
        dense.append(cues(tokens))
    return sparse.vstack(rows).tocsr(), np.vstack(dense)


def bags(tokens: Tokens) -> Matrix:
    """(texts, buckets) how often each hashed feature occurs."""
    kinds = [(np.ones(len(kind.index), np.float32), kind.index, kind.begin) for kind in hashed(tokens)]
    return sum(sparse.csr_matrix(kind, shape=(tokens.n, BUCKETS)) for kind in kinds)


def rarity_of(words: Matrix) -> Floats:
    """(buckets,) the rarer the heavier; rounded to 8 bits as it will be stored."""
    holding = np.bincount(words.indices, minlength=BUCKETS)
    rarity = np.log((1 + words.shape[0]) / (1 + holding)) + 1
    step = rarity.max() / 255
    return np.asarray(np.round(rarity / step) * step, np.float32)


def scaled(words: Matrix, rarity: Floats) -> Matrix:
    """Weigh by rarity, and scale each row to length one; a feature that occurs twice counts twice in it, not four times."""
    length = np.sqrt(np.maximum(words @ (rarity * rarity), 1e-9))
    rows = words.copy()
    rows.data = words.data * rarity[rows.indices] / np.repeat(length, np.diff(rows.indptr)).astype(np.float32)
    return rows


def logistic(rows: Matrix, number: NDArray[np.int64], labels: int, *, counted: Floats | None = None, strength: float = 0.5) -> Lines:
    """Logistic regression: a column per label, one for yes and no. Each label weighs the same in sum.

    `counted` (rows,): how much each row counts. A label that no row has gets a column that says never.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    columns = 1 if labels == 2 else labels
    weights, bias = np.zeros((rows.shape[1], columns), np.float32), np.full(columns, -_CONSTANT, np.float32)
    present = np.unique(number)
    if len(present) == 1:
        bias[min(int(present[0]), columns - 1)] = -_CONSTANT if labels == 2 and not present[0] else _CONSTANT
        return Lines(weights, bias)
    seen = np.unique(rows.indices)  # most buckets are empty in a small set: leaving them out changes nothing but the time
    model = LogisticRegression(C=strength, max_iter=_STEPS, class_weight="balanced", tol=1e-3)
    with catch_warnings():
        simplefilter("ignore", ConvergenceWarning)  # stopping early is meant: further steps cost minutes and moved no figure
        model.fit(rows[:, seen], number, sample_weight=counted)
    if labels == 2:
        weights[seen, 0], bias[0] = model.coef_[0], model.intercept_[0]
    elif len(present) == 2:
        weights[np.ix_(seen, present)], bias[present] = model.coef_[0][:, None] * (-0.5, 0.5), model.intercept_[0] * np.array((-0.5, 0.5))
    else:
        weights[np.ix_(seen, present)], bias[present] = model.coef_.T, model.intercept_
    return Lines(weights, bias)


def ridge(rows: Matrix, wanted: Floats, *, penalty: float = 1.0) -> Lines:
    """The lines nearest to `wanted` (rows, columns) in least squares, by conjugate gradients on the normal equations."""
    middle = wanted.mean(axis=0)
    across = rows.T.tocsr()
    weights = np.zeros((rows.shape[1], wanted.shape[1]), np.float32)
    left = across @ (wanted - middle).astype(np.float32)
    step, length = left.copy(), (left * left).sum(axis=0)
    for _ in range(_ROUNDS):
        pushed = across @ (rows @ step) + penalty * step
        reach = length / np.maximum((step * pushed).sum(axis=0), 1e-12)
        weights += reach * step
        left -= reach * pushed
        before, length = length, (left * left).sum(axis=0)
        step = left + (length / np.maximum(before, 1e-12)) * step
    return Lines(weights, middle.astype(np.float32))
