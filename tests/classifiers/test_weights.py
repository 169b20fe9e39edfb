from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from classifiers.model import SHIPPED, load
from classifiers.training_data import PUBLIC, QUESTIONS
from earshot.errors import ModelError


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    for file in (SHIPPED, SHIPPED.with_suffix(".json")):
        shutil.copy(file, tmp_path)
    return tmp_path / SHIPPED.name


def rewrite_card(weights: Path, change: Callable[[dict[str, Any]], object]) -> None:
    card = weights.with_suffix(".json")
    described = json.loads(card.read_text(encoding="utf-8"))
    change(described)
    card.write_text(json.dumps(described), encoding="utf-8")


def test_the_weights_that_ship_are_small_and_sound() -> None:
    assert SHIPPED.stat().st_size < 8_000_000
    model = load()
    assert {"language", *QUESTIONS, *PUBLIC} == set(model.heads)


def test_weights_with_one_changed_byte_are_refused(weights: Path) -> None:
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError, match="not the file its card describes"):
        load(weights)


def test_weights_that_were_cut_short_are_refused(weights: Path) -> None:
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match="altered or cut"):
        load(weights)


def test_weights_without_their_card_are_refused(weights: Path) -> None:
    weights.with_suffix(".json").unlink()
    with pytest.raises(ModelError, match="keep the two files together"):
        load(weights)


def test_missing_weights_are_named(weights: Path) -> None:
    weights.unlink()
    with pytest.raises(ModelError, match=r"heads\.safetensors: cannot be read"):
        load(weights)


def test_a_card_of_another_program_is_refused(weights: Path) -> None:
    rewrite_card(weights, lambda card: card.update(format="somebody-elses-2"))
    with pytest.raises(ModelError, match="another program or version"):
        load(weights)


def test_a_card_that_is_no_json_is_refused(weights: Path) -> None:
    weights.with_suffix(".json").write_text("PK\x03\x04")
    with pytest.raises(ModelError, match="not JSON"):
        load(weights)


def test_weights_of_other_features_are_refused(weights: Path) -> None:
    rewrite_card(weights, lambda card: card.update(features=1))
    with pytest.raises(ModelError, match="other features"):
        load(weights)


def test_a_card_of_other_heads_is_refused(weights: Path) -> None:
    rewrite_card(weights, lambda card: card["heads"].pop())
    with pytest.raises(ModelError, match="does not fit the card"):
        load(weights)


def test_scoring_loads_neither_scikit_learn_nor_spacy_nor_pandas() -> None:
    code = (
        "import sys; from classifiers.panel import Panel; Panel();"
        "print([name for name in ('sklearn', 'spacy', 'pandas', 'phonenumbers') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
