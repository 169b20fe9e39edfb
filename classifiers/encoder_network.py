"""The encoder in torch: read, teach, export. Import it only where torch is installed (extra `train`)."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic
from rich.console import Console
from rich.progress import track
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertModel

from classifiers.accurate import TOKENIZER
from classifiers.encoder_data import HEADS, MISSING, Example
from classifiers.encoder_text import prepare
from classifiers.model import softmax
from earshot.errors import BadInput

if TYPE_CHECKING:
    from classifiers.finetune import Recipe

_WORDS = "embeddings.word_embeddings.weight"
_AT_ONCE = 64
_LONGEST = 512

Floats = NDArray[np.float32]


class Network(nn.Module):  # type: ignore[misc]
    """Tokens -> (texts, columns): the heads beside one another, over the mean of the last layer."""

    def __init__(self, encoder: BertModel) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(0.1)
        self.heads = nn.Linear(encoder.config.hidden_size, sum(map(len, HEADS.values())))

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        last = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(last.dtype)
        return self.heads(self.dropout((last * mask).sum(1) / mask.sum(1)))


def taught(folder: Path, examples: Sequence[Example], numbers: NDArray[np.int64], recipe: Recipe) -> Network:
    """The encoder in `folder`, fine-tuned on examples with their labels (examples, heads). The same recipe gives the same weights."""
    from classifiers.finetune import batches, evened

    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network: Network = Network(_encoder(folder)).to(device).train()
    network.encoder.embeddings.requires_grad_(False)  # rare words keep the meaning that they have
    ids = _tokens(folder, [each.text for each in examples], recipe.length)
    steps = batches(examples, list(map(len, ids)), recipe)
    optimiser, schedule = _optimiser(network, len(steps), recipe)
    weights = [torch.from_numpy(weight).to(device) for weight in evened(numbers)]
    for rows in track(steps, description="fine-tuning", console=Console(stderr=True)):
        logits = network(*_padded([ids[row] for row in rows], device))
        loss = _loss(logits, torch.from_numpy(numbers[rows]).to(device), weights, recipe.smoothing)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    network.to("cpu").eval()
    return network


def answers(network: Network, folder: Path, texts: Sequence[str], recipe: Recipe) -> dict[str, Floats]:
    """(texts, labels) for each head, in full precision."""
    ids = _tokens(folder, texts, recipe.length)
    logits = np.empty((len(ids), network.heads.out_features), np.float32)
    by_length = sorted(range(len(ids)), key=lambda row: len(ids[row]))
    with torch.inference_mode():
        for first in range(0, len(ids), _AT_ONCE):
            rows = by_length[first : first + _AT_ONCE]
            logits[rows] = network(*_padded([ids[row] for row in rows], "cpu")).numpy()
    ends = np.cumsum([len(labels) for labels in HEADS.values()])[:-1]
    return dict(zip(HEADS, map(softmax, np.split(logits, ends, axis=1)), strict=True))


def temper(network: Network, temperatures: Mapping[str, float]) -> None:
    """Divide the logits of each head by its temperature, in its weights."""
    warmth = [temperatures.get(head, 1.0) for head, labels in HEADS.items() for _ in labels]
    with torch.no_grad():
        divisor = torch.tensor(warmth)
        network.heads.weight.div_(divisor[:, None])
        network.heads.bias.div_(divisor)


def export(network: Network, file: Path) -> None:
    """Write the network as ONNX with int8 weights."""
    whole = file.with_name("whole.onnx")
    with _quiet():
        _export_whole(network, whole)
        graph = onnx.load(str(whole))
        del graph.graph.value_info[:]  # shapes that the exporter noted contradict those that quantisation infers
        onnx.save(graph, str(whole))
        quantize_dynamic(str(whole), str(file), weight_type=QuantType.QInt8, per_channel=True)
    whole.unlink()


def _export_whole(network: Network, file: Path) -> None:
    sizes = {0: torch.export.Dim("texts", min=1, max=_LONGEST), 1: torch.export.Dim("tokens", min=2, max=_LONGEST)}
    torch.onnx.export(
        network,
        (torch.randint(5, 1000, (2, 12)), torch.ones(2, 12, dtype=torch.long)),
        str(file),
        input_names=["input_ids", "attention_mask"],
        output_names=["logits"],
        dynamic_shapes={"input_ids": sizes, "attention_mask": sizes},
        dynamo=True,
        external_data=False,
        verbose=False,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporters advise at length; whether the export is good is measured afterwards."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(before)


def _encoder(folder: Path) -> BertModel:
    """Raises `BadInput` when the folder holds no encoder in the layout of BERT."""
    files = sorted(folder.glob("*.safetensors"))
    if len(files) != 1:
        raise BadInput(f"encoder {folder}: holds {len(files)} files *.safetensors; give a folder with exactly one")
    try:
        config = BertConfig.from_json_file(str(folder / "config.json"))
        stored = load_file(str(files[0]))
    except (OSError, ValueError, SafetensorError) as err:
        raise BadInput(f"encoder {folder}: cannot be read ({err}); it needs config.json and safetensors") from err
    prefix = next((name.removesuffix(_WORDS) for name in stored if name.endswith(_WORDS)), None)
    if config.model_type != "bert" or prefix is None:
        raise BadInput(f"encoder {folder}: is not in the layout of BERT (no {_WORDS}); give a BERT, MiniLM or the like")
    encoder = BertModel(config, add_pooling_layer=False)
    weights = {name.removeprefix(prefix): weight.float() for name, weight in stored.items() if name.startswith(prefix)}
    try:
        missing = encoder.load_state_dict(weights, strict=False).missing_keys
    except RuntimeError as err:
        raise BadInput(f"encoder {folder}: config.json does not fit the weights ({err}); keep the two files together") from err
    if missing:
        raise BadInput(f"encoder {folder}: {files[0].name} lacks {len(missing)} arrays, such as {missing[0]}; copy the file again")
    return encoder


def _tokens(folder: Path, texts: Sequence[str], length: int) -> list[list[int]]:
    try:
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    except Exception as err:  # the library raises plain Exception
        raise BadInput(f"encoder {folder}: {TOKENIZER} cannot be read ({err}); copy it from where the encoder comes from") from err
    tokenizer.no_padding()
    tokenizer.enable_truncation(length)
    return [each.ids or [0] for each in tokenizer.encode_batch(prepare(texts))]  # as when it serves


def _padded(ids: Sequence[Sequence[int]], device: str) -> tuple[Any, Any]:
    rows = [torch.tensor(each) for each in ids]
    padded = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    mask = nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    return padded.to(device), mask.to(device)


def _optimiser(network: Network, steps: int, recipe: Recipe) -> tuple[Any, Any]:
    parts = [
        {"params": [weight for weight in network.encoder.parameters() if weight.requires_grad], "lr": recipe.rate},
        {"params": list(network.heads.parameters()), "lr": recipe.heads_rate},
    ]
    optimiser = torch.optim.AdamW(parts, weight_decay=0.01)
    rates = [recipe.rate, recipe.heads_rate]
    return optimiser, torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, total_steps=steps + 1, pct_start=0.1)


def _loss(logits: Any, numbers: Any, weights: Sequence[Any], smoothing: float) -> Any:
    """Each head by the share of the batch that has a label for it."""
    total, first = logits.sum() * 0, 0
    for head, weight in enumerate(weights):
        known = numbers[:, head] != MISSING
        if known.any():
            said = logits[known, first : first + len(weight)]
            total = total + cross_entropy(said, numbers[known, head], weight=weight, label_smoothing=smoothing) * known.float().mean()
        first += len(weight)
    return total
