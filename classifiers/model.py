"""The linear model behind most questions: one table of int8 weights over hashed features, a few small matrices per head.

A text's features are weighed by how rare they are, scaled to length one, and multiplied with the table once for all heads.
Some columns are *signals*: what large public sets taught (is it negative, offensive, a request). A head adds its own columns,
the signals and the cues, and turns the sum into calibrated probabilities. The weights are a safetensors file; beside it lies a
JSON that describes it and holds its SHA-256.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.cues import names as cue_names
from classifiers.features import BUCKETS, Rows, Tokens, fingerprint, hashed
from earshot.errors import ModelError

FORMAT = "earshot-heads-1"
SHIPPED = Path(str(files("classifiers").joinpath("models", "heads.safetensors")))
SOFT = 3.0  #: signals pass tanh(x / 3): beyond that a signal is simply sure

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Head:
    """How one question is answered from own columns `first:last`, cues and signals."""

    name: str
    labels: tuple[str, ...]
    first: int
    last: int
    mix: Floats  #: (cues + signals, columns)
    bias: Floats  #: (columns,)
    calibration: Floats  #: (columns, labels): probabilities = softmax(columns @ calibration + shift)
    shift: Floats  #: (labels,)
    lean: Floats  #: (labels,) added to log probabilities when the label is chosen, so that rare labels are heard


@dataclass(frozen=True, slots=True)
class Model:
    """Weights, ready to multiply. Build with `load`."""

    version: str
    table: Floats  #: (buckets, columns + 1); the last column holds squared weights, for the length
    signal_bias: Floats  #: (signals,); the signals are the first columns
    heads: Mapping[str, Head]

    def probabilities(self, tokens: Tokens, cues: Floats) -> dict[str, Floats]:
        """(texts, labels) for each head; rows sum to one."""
        columns, dense = self.columns(tokens, cues)
        return {
            name: softmax((columns[:, h.first : h.last] + dense @ h.mix + h.bias) @ h.calibration + h.shift)
            for name, h in self.heads.items()
        }

    def columns(self, tokens: Tokens, cues: Floats) -> tuple[Floats, Floats]:
        """(texts, columns) of the table, and (texts, cues + signals) as the heads mix them."""
        sums = _product(hashed(tokens), self.table)
        columns = np.asarray(sums[:, :-1] / np.sqrt(np.maximum(sums[:, -1:], 1e-9)), np.float32)
        return columns, np.hstack([cues, np.tanh((columns[:, : len(self.signal_bias)] + self.signal_bias) / SOFT)])


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
        signals = len(card["signals"])
        if tuple(card["cues"]) != cue_names() or card["features"] != fingerprint():
            raise ModelError(f"weights {path}: trained on other features or cues than this program computes; train anew")
        weights, rarity = arrays["weights"], arrays["rarity"].astype(np.float32) * np.float32(card["rarity_scale"])
        if (
            weights.shape != (BUCKETS, signals + sum(h["columns"] for h in head_cards))
            or weights.dtype != np.int8
            or rarity.shape != (BUCKETS,)
        ):
            raise ModelError(f"weights {path}: shape {weights.shape} does not fit the card; train anew")
        table = np.empty((BUCKETS, weights.shape[1] + 1), np.float32)
        np.multiply(weights, arrays["scale"], out=table[:, :-1])
        table[:, :-1] *= rarity[:, None]
        table[:, -1] = rarity * rarity
        heads, first = {}, signals
        for described in head_cards:
            heads[described["name"]] = _head(described, arrays, first)
            first += described["columns"]
    except (SafetensorError, KeyError, TypeError, ValueError) as err:
        raise ModelError(f"weights {path}: cannot be understood ({type(err).__name__}: {err}); train anew") from err
    return Model(version=str(card["version"]), table=table, signal_bias=arrays["signal_bias"], heads=heads)


def _head(described: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], first: int) -> Head:
    name = described["name"]
    part = {key: arrays[f"{name}.{key}"].astype(np.float32) for key in ("mix", "bias", "calibration", "shift", "lean")}
    return Head(name=name, labels=tuple(described["labels"]), first=first, last=first + described["columns"], **part)


def _product(rows: Rows, table: Floats) -> Floats:
    from scipy.sparse import csr_matrix

    n = len(rows.begin) - 1
    counts = csr_matrix((np.ones(len(rows.index), np.float32), rows.index, rows.begin), shape=(n, len(table)), copy=False)
    return np.asarray(counts @ table)


def softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
