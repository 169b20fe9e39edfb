"""The accurate model: an encoder on the CPU that reads again what the fast model is least certain of.

It is optional (extra `accurate`, setting `accurate_model`) and comes as a folder of three files, none of which is ever executed::

    *.onnx           input_ids, attention_mask (int64, texts x tokens) -> logits (float32, texts x columns)
    tokenizer.json   as the library `tokenizers` writes it
    heads.json       which columns answer which of our questions, and the SHA-256 of the other two
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from msgspec import DecodeError, Meta, Struct, json
from numpy.typing import NDArray

from classifiers.encoder_text import prepare
from classifiers.model import Head, margin, softmax
from earshot.errors import ConfigurationError, ModelError

FORMAT = "earshot-encoder-1"
CARD, TOKENIZER = "heads.json", "tokenizer.json"
_AT_ONCE = 16  #: texts; on a CPU more at once are no faster, and more padding is read
_COUNTS = 0.5  #: how much the encoder's log probabilities count beside the fast model's, see docs/decisions/0025
_DECIDES = "tier"
_LEAST = 1e-9  #: no model is surer than that

Floats = NDArray[np.float32]


class Columns(Struct, frozen=True, forbid_unknown_fields=True):
    """The columns `first:last` of the logits that answer a question: one of ours, or what else the encoder was taught."""

    question: str
    labels: tuple[str, ...]
    first: Annotated[int, Meta(ge=0)]
    last: int


class Card(Struct, frozen=True):
    """`heads.json`."""

    format: str
    version: str
    length: Annotated[int, Meta(ge=8, le=4096)]  #: tokens that the encoder reads of a text
    sha256: Mapping[str, str]  #: of the ONNX file and of the tokeniser, by name
    heads: Annotated[tuple[Columns, ...], Meta(min_length=1)]
    languages: tuple[str, ...] = ("en",)  #: ISO 639-1: what it was taught to read


@dataclass(frozen=True, slots=True)
class Encoder:
    """An encoder, ready to read. Build with `load`; safe to share between threads."""

    path: Path
    card: Card
    session: Any
    tokenizer: Any

    def probabilities(self, texts: Sequence[str]) -> dict[str, Floats]:
        """(texts, labels) for each question that it answers, the labels in its own order. Raises `ModelError` when it fails on a text."""
        logits = self._logits([each.ids or [0] for each in self.tokenizer.encode_batch(prepare(texts))])
        return {head.question: softmax(logits[:, head.first : head.last]) for head in self.card.heads}

    def _logits(self, ids: Sequence[Sequence[int]]) -> Floats:
        """(texts, columns). Texts of one length are read together, a few at a time."""
        width = max(head.last for head in self.card.heads)
        logits = np.empty((len(ids), width), np.float32)
        by_length = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        for first in range(0, len(ids), _AT_ONCE):
            rows = by_length[first : first + _AT_ONCE]
            logits[rows] = self.run(_padded([ids[row] for row in rows]))[:, :width]
        if not np.isfinite(logits).all():
            raise ModelError(f"accurate model {self.path}: answers with numbers that are none; export or fine-tune it again")
        return logits

    def run(self, tokens: NDArray[np.int64]) -> Floats:
        """(texts, columns) from padded tokens, -1 where there is none."""
        mask = tokens >= 0
        given = {"input_ids": np.where(mask, tokens, 0), "attention_mask": mask.astype(np.int64)}
        try:
            return np.asarray(self.session.run(["logits"], given)[0])
        except Exception as err:  # onnxruntime raises some twenty kinds that share no parent
            raise ModelError(
                f"accurate model {self.path}: cannot read {tokens.shape[0]} texts of {tokens.shape[1]} tokens ({err})"
            ) from err


def _padded(ids: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    tokens = np.full((len(ids), max(map(len, ids))), -1, np.int64)
    for row, of_text in enumerate(ids):
        tokens[row, : len(of_text)] = of_text
    return tokens


@dataclass(frozen=True, slots=True)
class Reading:
    """What the two models think together of the mentions that the encoder read."""

    rows: NDArray[np.int64]  #: which mentions of the batch, ascending
    probabilities: Mapping[str, Floats]  #: question -> (rows, labels), the labels as the fast model orders them


class Cascade:
    """The fast model answers everything; the least certain `share` of each batch is read by the encoder, too.

    The certainty of a mention is how far the likeliest tier lies before the second, since the tier decides who answers; where the encoder
    does not know tiers, the mean of that over the questions that it answers. A batch of one is read whenever the share is above 0: where
    little comes in, there is time.
    """

    def __init__(self, encoder: Encoder, heads: Mapping[str, Head], *, share: float) -> None:
        """What the encoder answers beside the questions of the fast model's `heads` is left aside. Raises `ModelError` when it answers none
        of them, or one with other labels.
        """
        self.encoder = encoder
        self.share = share
        self._order = {
            head.question: _order(encoder.path, head, heads[head.question]) for head in encoder.card.heads if head.question in heads
        }
        if not self._order:
            theirs, ours = (", ".join(sorted(names)) for names in ([head.question for head in encoder.card.heads], heads))
            raise ModelError(f"accurate model {encoder.path}: {CARD} answers {theirs}, none of our questions ({ours})")

    @property
    def version(self) -> str:
        return self.encoder.card.version

    def read(self, texts: Sequence[str], fast: Mapping[str, Floats], languages: Sequence[str]) -> Reading:
        """Read those of a batch that need it and are in a language of the encoder. `fast`: (mentions, labels) for each question."""
        rows = self._least_certain(fast, np.isin(languages, self.encoder.card.languages))
        if not len(rows):
            return Reading(rows, {})
        slow = self.encoder.probabilities([texts[row] for row in rows.tolist()])
        return Reading(rows, {name: _joined(fast[name][rows], slow[name][:, order]) for name, order in self._order.items()})

    def _least_certain(self, fast: Mapping[str, Floats], readable: NDArray[np.bool_]) -> NDArray[np.int64]:
        certainty = np.mean([margin(fast[name]) for name in ((_DECIDES,) if _DECIDES in self._order else self._order)], axis=0)
        most = min(ceil(round(self.share * len(readable), 6)), int(readable.sum()))
        return np.sort(np.argsort(np.where(readable, certainty, np.inf), kind="stable")[:most])


def _joined(fast: Floats, slow: Floats) -> Floats:
    """The weighed mean of the log probabilities, as probabilities."""
    said = (1 - _COUNTS) * np.log(np.maximum(fast, _LEAST)) + _COUNTS * np.log(np.maximum(slow, _LEAST))
    return softmax(np.asarray(said, np.float32))


def _order(path: Path, columns: Columns, head: Head) -> list[int]:
    """Where the fast model's labels stand among the encoder's."""
    if sorted(head.labels) != sorted(columns.labels):
        raise ModelError(
            f"accurate model {path}: {CARD} answers {head.name} with {', '.join(columns.labels)}; our labels are {', '.join(head.labels)}"
        )
    return [columns.labels.index(label) for label in head.labels]


def load(path: Path) -> Encoder:
    """The encoder in the folder `path`, checked against its `heads.json` and tried once.

    Raises `ModelError` when a file is missing, foreign or altered, or when the parts do not fit one another; `ConfigurationError`
    when the extra is not installed.
    """
    card = _card(path)
    files = sorted(path.glob("*.onnx"))
    if len(files) != 1:
        raise ModelError(f"accurate model {path}: holds {len(files)} files *.onnx; it must hold exactly one")
    graph, vocabulary = _content(files[0], card), _content(path / TOKENIZER, card)
    encoder = Encoder(path, card, _session(files[0], graph), _tokenizer(path / TOKENIZER, vocabulary, card.length))
    _try(encoder)
    return encoder


def _card(path: Path) -> Card:
    try:
        card = json.decode((path / CARD).read_bytes(), type=Card)
    except OSError as err:
        raise ModelError(
            f"accurate model {path}: {CARD} cannot be read ({err.strerror}); give the folder that holds it in the setting accurate_model"
        ) from err
    except (DecodeError, UnicodeDecodeError) as err:
        raise ModelError(f"accurate model {path}: {CARD} does not describe an encoder ({err})") from err
    if card.format != FORMAT:
        raise ModelError(f"accurate model {path}: {CARD} is of the format {card.format!r}, not {FORMAT}; it belongs to another program")
    for head in card.heads:
        if head.last - head.first != len(head.labels):
            raise ModelError(f"accurate model {path}: {CARD} gives {head.question} {len(head.labels)} labels, but not so many columns")
    if len({head.question for head in card.heads}) != len(card.heads):
        raise ModelError(f"accurate model {path}: {CARD} answers a question twice")
    return card


def _content(file: Path, card: Card) -> bytes:
    """What is checked is what is loaded: the bytes, not the path."""
    try:
        content = file.read_bytes()
    except OSError as err:
        raise ModelError(f"accurate model {file}: cannot be read ({err.strerror}); keep the files of the folder together") from err
    found = hashlib.sha256(content).hexdigest()
    if found != card.sha256.get(file.name):
        raise ModelError(
            f"accurate model {file}: not the file that {CARD} describes (SHA-256 {found[:12]}…); it was altered, cut or exchanged. "
            "Copy the folder again"
        )
    return content


def _session(file: Path, graph: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError as err:
        raise ConfigurationError('setting accurate_model needs the extra: pip install "earshot[accurate]"') from err
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # workers stand side by side: one core each
    # Weights in a further file would be read from wherever we stand, and nobody has checked them: no such folder, no such file.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    options.log_severity_level = 4  # what matters comes as an exception
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as err:  # onnxruntime raises some twenty kinds that share no parent
        raise ModelError(f"accurate model {file}: cannot be understood as ONNX ({err})") from err
    inputs = {given.name: given.type for given in session.get_inputs()}
    if inputs != {"input_ids": "tensor(int64)", "attention_mask": "tensor(int64)"}:
        raise ModelError(f"accurate model {file}: takes {inputs or 'nothing'}; it must take input_ids and attention_mask as int64")
    if "logits" not in {answer.name for answer in session.get_outputs()}:
        raise ModelError(f"accurate model {file}: has no output called logits")
    return session


def _tokenizer(file: Path, vocabulary: bytes, length: int) -> Any:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # one core, and no threads that a fork would leave behind
    try:
        import tokenizers
    except ImportError as err:
        raise ConfigurationError('setting accurate_model needs the extra: pip install "earshot[accurate]"') from err
    try:
        tokenizer = tokenizers.Tokenizer.from_buffer(vocabulary)
        tokenizer.no_padding()
        tokenizer.enable_truncation(length)
    except Exception as err:  # the library raises no kind of its own
        raise ModelError(f"accurate model {file}: is no tokeniser ({err})") from err
    return tokenizer


def _try(encoder: Encoder) -> None:
    """The longest texts of the last token of the vocabulary: whatever does not fit shows here, not in the first busy hour."""
    width = max(head.last for head in encoder.card.heads)
    tokens = np.full((2, encoder.card.length), encoder.tokenizer.get_vocab_size() - 1, np.int64)
    logits = encoder.run(tokens)
    if logits.ndim != 2 or len(logits) != 2 or logits.shape[1] < width or logits.dtype != np.float32:
        raise ModelError(
            f"accurate model {encoder.path}: answers two texts with {logits.dtype} of shape {logits.shape}; "
            f"{CARD} speaks of float32 in {width} columns"
        )
