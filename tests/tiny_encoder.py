"""An encoder for tests: a real ONNX file and a real tokeniser, made on the spot. It counts words, so what it must say is known."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

from classifiers.accurate import CARD

WORDS = ("[UNK]", "calm", "cross", "furious", "today", "hello")
SURE = 20.0
#: word -> what it adds to the logits of (angry, calm, annoyed) in the columns 1, 2 and 3; column 0 is of no question of ours
SAYS = {"furious": 1, "calm": 2, "cross": 3}
ANGER: dict[str, Any] = {"question": "anger", "labels": ["angry", "calm", "annoyed"], "first": 1, "last": 4}


def graph(*, columns: int = 4, rows: int = len(WORDS), inputs: tuple[str, ...] = ("input_ids", "attention_mask")) -> bytes:
    """The logits of a text are the sum of its words' rows."""
    table = np.zeros((rows, columns), np.float32)
    for word, column in SAYS.items():
        if column < columns and WORDS.index(word) < rows:
            table[WORDS.index(word), column] = SURE
    nodes = [
        helper.make_node("Gather", ["table", inputs[0]], ["said"]),
        helper.make_node("Cast", [inputs[1]], ["heard"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["heard", "last"], ["mask"]),
        helper.make_node("Mul", ["said", "mask"], ["meant"]),
        helper.make_node("ReduceSum", ["meant", "words"], ["logits"], keepdims=0),
    ]
    constants = [
        numpy_helper.from_array(table, "table"),
        numpy_helper.from_array(np.array([2], np.int64), "last"),
        numpy_helper.from_array(np.array([1], np.int64), "words"),
    ]
    given = [helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"]) for name in inputs]
    answer = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["texts", columns])
    model = helper.make_model(helper.make_graph(nodes, "words", given, [answer], constants), opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 10
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def tokenizer() -> bytes:
    made = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made.to_str().encode()


def write(folder: Path, *, onnx_file: bytes | None = None, **changes: Any) -> Path:
    """A sound folder, but for the changes to its card."""
    folder.mkdir(exist_ok=True)
    files = {"words.onnx": graph() if onnx_file is None else onnx_file, "tokenizer.json": tokenizer()}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    sha256 = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    card = {"format": "earshot-encoder-1", "version": "7", "length": 16, "sha256": sha256, "heads": [ANGER], **changes}
    (folder / CARD).write_text(json.dumps(card), encoding="utf-8")
    return folder
