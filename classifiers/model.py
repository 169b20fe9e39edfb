"""The linear model behind most questions: one table of int8 weights over hashed features, a few small matrices per head.

A text's features are weighed by how rare they are, scaled to length one, and multiplied with the table once for all heads.
A head adds the cues to its columns and turns the sum into calibrated probabilities. The weights are a safetensors file; beside it
lies a JSON that describes it and holds its SHA-256.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.cues import names as cue_names
from classifiers.features import BUCKETS, Rows, Tokens, fingerprint, hashed
from earshot.errors import ModelError

FORMAT = "earshot-heads-2"
SHIPPED = Path(str(files("classifiers").joinpath("models", "heads.safetensors")))

_FEW = 2_000  #: features, those of a dozen posts

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Head:
    """One question: its columns of the table are `first:last`, its labels those of the logits `begin:end`."""

    name: str
    labels: tuple[str, ...]
    first: int
    last: int
    begin: int
    end: int
    lean: Floats  #: (labels,) added to log probabilities when the label is chosen, so that rare labels are heard
    favour: Floats = field(init=False)  #: (labels,) the same as a factor

    def __post_init__(self) -> None:
        object.__setattr__(self, "favour", np.exp(self.lean))

    def choose(self, probability: Floats) -> NDArray[np.intp]:
        """(texts,) the number of the label, from (texts, labels)."""
        return np.asarray(np.argmax(probability * self.favour, axis=1))


@dataclass(frozen=True, slots=True)
class Model:
    """Weights, ready to multiply. Build with `load`. Columns and labels of all heads stand side by side."""

    version: str
    sha256: str  #: of the file
    table: Floats  #: (buckets, columns + 1); the last column holds squared weights, for the length
    mix: Floats  #: (cues, columns)
    bias: Floats  #: (columns,)
    calibration: Floats  #: (columns, labels): probabilities = softmax(columns @ calibration + shift), each head by itself
    shift: Floats  #: (labels,)
    heads: Mapping[str, Head]

    def probabilities(self, tokens: Tokens, cues: Floats) -> dict[str, Floats]:
        """(texts, labels) for each head; rows sum to one."""
        powers = self._powers(tokens, cues)
        return {name: powers[:, head.begin : head.end] for name, head in self.heads.items()}

    def columns(self, tokens: Tokens, cues: Floats) -> Floats:
        """(texts, columns) of all heads, before calibration."""
        sums = _product(hashed(tokens), self.table)
        words = sums[:, :-1]
        words /= np.sqrt(np.maximum(sums[:, -1:], 1e-9))
        words += cues @ self.mix
        words += self.bias
        return words

    def _powers(self, tokens: Tokens, cues: Floats) -> Floats:
        """(texts, labels) the softmax of each head, for all at once."""
        logits = self.columns(tokens, cues) @ self.calibration
        logits += self.shift
        begins = [head.begin for head in self.heads.values()]
        widths = [head.end - head.begin for head in self.heads.values()]
        logits -= np.repeat(np.maximum.reduceat(logits, begins, axis=1), widths, axis=1)
        powers: Floats = np.exp(logits, out=logits)
        powers /= np.repeat(np.add.reduceat(powers, begins, axis=1), widths, axis=1)
        return powers


def load(path: Path = SHIPPED) -> Model:
    """Read weights and check them against the card beside them. Raises `ModelError` when either is missing, foreign or altered."""
    card = _card(path)
    try:
        content = path.read_bytes()
    except OSError as err:
        raise ModelError(
            f"weights {path}: cannot be read ({err.strerror}); install the package again or train them (python -m classifiers.train)"
        ) from err
    found = hashlib.sha256(content).hexdigest()
    if found != card.get("sha256"):
        raise ModelError(
            f"weights {path}: not the file its card describes (SHA-256 {found[:12]}…); it was altered or cut. "
            "Install the package again or train anew"
        )
    return decode(path, content, card)


@cache
def shipped() -> Model:
    """The weights that ship, read once per process."""
    return load()


def _card(path: Path) -> Mapping[str, Any]:
    card = path.with_suffix(".json")
    try:
        described = json.loads(card.read_text(encoding="utf-8"))
    except OSError as err:
        raise ModelError(
            f"weights {path}: the card {card.name} beside them cannot be read ({err.strerror}); keep the two files together"
        ) from err
    except ValueError as err:
        raise ModelError(f"card {card}: not JSON ({err}); install the package again or train anew") from err
    if not isinstance(described, dict) or described.get("format") != FORMAT:
        raise ModelError(
            f"card {card}: does not describe weights of the format {FORMAT}; these weights belong to another program or version"
        )
    return described


def decode(path: Path, content: bytes, card: Mapping[str, Any]) -> Model:
    """The model in `content`, as `card` describes it; `path` is what errors call it."""
    from safetensors import SafetensorError
    from safetensors.numpy import load as read

    try:
        arrays = read(content)
        head_cards: Sequence[Mapping[str, Any]] = card["heads"]
        if tuple(card["cues"]) != cue_names() or card["features"] != fingerprint():
            raise ModelError(f"weights {path}: trained on other features or cues than this program computes; train anew")
        weights, rarity = arrays["weights"], arrays["rarity"].astype(np.float32) * np.float32(card["rarity_scale"])
        if weights.shape != (BUCKETS, sum(h["columns"] for h in head_cards)) or weights.dtype != np.int8 or rarity.shape != (BUCKETS,):
            raise ModelError(f"weights {path}: shape {weights.shape} does not fit the card; train anew")
        table = np.empty((BUCKETS, weights.shape[1] + 1), np.float32)
        np.multiply(weights, arrays["scale"], out=table[:, :-1])
        table[:, :-1] *= rarity[:, None]
        table[:, -1] = rarity * rarity
        heads: dict[str, Head] = {}
        first = begin = 0
        for described in head_cards:
            head = _head(described, arrays, first, begin)
            heads[head.name], first, begin = head, head.last, head.end
        return Model(
            version=str(card["version"]),
            sha256=str(card["sha256"]),
            table=table,
            mix=np.hstack([arrays[f"{name}.mix"] for name in heads]),
            bias=np.concatenate([arrays[f"{name}.bias"] for name in heads]),
            calibration=_beside([arrays[f"{name}.calibration"] for name in heads]),
            shift=np.concatenate([arrays[f"{name}.shift"] for name in heads]),
            heads=heads,
        )
    except (SafetensorError, KeyError, TypeError, ValueError) as err:
        raise ModelError(f"weights {path}: cannot be understood ({type(err).__name__}: {err}); train anew") from err


def _head(described: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], first: int, begin: int) -> Head:
    name, labels, columns = described["name"], tuple(described["labels"]), described["columns"]
    if arrays[f"{name}.calibration"].shape != (columns, len(labels)) or arrays[f"{name}.lean"].shape != (len(labels),):
        raise ValueError(f"the arrays of {name} have other sizes than its {columns} columns and {len(labels)} labels")
    return Head(name, labels, first, first + columns, begin, begin + len(labels), arrays[f"{name}.lean"])


def _beside(blocks: Sequence[Floats]) -> Floats:
    """One matrix with the blocks along its diagonal."""
    whole = np.zeros((sum(len(block) for block in blocks), sum(block.shape[1] for block in blocks)), np.float32)
    row = column = 0
    for block in blocks:
        whole[row : row + len(block), column : column + block.shape[1]] = block
        row, column = row + len(block), column + block.shape[1]
    return whole


def _product(kinds: Sequence[Rows], table: Floats) -> Floats:
    """(texts, columns) the table summed over the features of each text."""
    n = len(kinds[0].begin) - 1
    if sum(len(rows.index) for rows in kinds) < _FEW:
        texts = np.arange(n)
        text_of = np.concatenate([texts.repeat(rows.begin[1:] - rows.begin[:-1]) for rows in kinds])
        index = np.concatenate([rows.index for rows in kinds])
        return np.asarray((texts[:, None] == text_of).astype(np.float32) @ table[index])
    from scipy.sparse import csr_matrix  # a third of a second, which a single post should not wait for

    sums = np.zeros((n, table.shape[1]), np.float32)
    for rows in kinds:
        if len(rows.index):
            ones = np.ones(len(rows.index), np.float32)
            sums += csr_matrix((ones, rows.index, rows.begin), shape=(len(sums), len(table)), copy=False) @ table
    return sums


def softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def margin(probability: Floats) -> Floats:
    """(texts,) how far the likeliest label lies before the second, from (texts, labels)."""
    best = np.partition(probability, -2, axis=1)
    return np.asarray(best[:, -1] - best[:, -2])
