"""The accurate model, over an encoder that counts words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto
from tiny_encoder import ANGER, WORDS, graph, write

from classifiers.accurate import CARD, Encoder, load
from classifiers.panel import Panel
from earshot.errors import ModelError
from earshot.mention import Mention, Score


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "words")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load(write(tmp_path_factory.mktemp("encoder") / "words"))


def a_mention(text: str) -> Mention:
    return Mention(network="x", native_id="1", author=None, text=text, url="", posted_at=datetime(2026, 11, 1, tzinfo=UTC))


def angers(panel: Panel, texts: list[str]) -> list[Score]:
    found = [scored.score("anger") for scored in panel.understand([a_mention(text) for text in texts])]
    assert None not in found
    return [score for score in found if score is not None]


# what it answers

EVERYDAY = [
    "the parcel came today and I am calm",
    "my order is here and I feel furious today",
    "it seems that you are cross today",
    "hello there",
]


def test_probabilities_come_in_the_order_of_the_texts_whatever_their_lengths(encoder: Encoder) -> None:
    texts = [f"{'today ' * (number % 11)}{('furious', 'calm', 'cross')[number % 3]}" for number in range(50)]
    found = encoder.probabilities(texts)["anger"]
    assert found.argmax(axis=1).tolist() == [number % 3 for number in range(50)]
    assert found.sum(axis=1) == pytest.approx(1.0)


def test_a_text_without_a_word_and_half_a_pair_of_surrogates_are_read(encoder: Encoder) -> None:
    assert encoder.probabilities(["", "\ud83d", "https://example.org"])["anger"] == pytest.approx(1 / 3)


def test_only_so_many_tokens_are_read(encoder: Encoder) -> None:
    (cut,) = encoder.probabilities(["today " * 16 + "furious"])["anger"]
    assert cut == pytest.approx(1 / 3)


def test_what_the_encoder_is_sure_of_moves_the_score_and_signs_it(encoder: Encoder) -> None:
    fast, both = angers(Panel(), EVERYDAY), angers(Panel(accurate=encoder, share=1.0), EVERYDAY)
    assert [score.label for score in both[:3]] == ["calm", "angry", "annoyed"]
    assert both[1].value > fast[1].value
    assert both[0].value < fast[0].value
    assert {score.by for score in both} == {f"{fast[0].by}+7"}


def test_questions_that_the_encoder_does_not_answer_stay_as_they_were(encoder: Encoder) -> None:
    mentions = [a_mention(text) for text in EVERYDAY]
    for before, after in zip(Panel().understand(mentions), Panel(accurate=encoder, share=1.0).understand(mentions), strict=True):
        assert [score for score in before.scores if score.name != "anger"] == [score for score in after.scores if score.name != "anger"]


def test_risk_is_signed_like_every_other_question(tmp_path: Path) -> None:
    labels = ["none", "safety", "legal", "press", "privacy"]
    heads = [{"question": "risk", "labels": labels, "first": 0, "last": 5}]
    panel = Panel(accurate=load(write(tmp_path / "risk", onnx_file=graph(columns=5), heads=heads)), share=1.0)
    (scored,) = panel.understand([a_mention("the parcel came today and I am fine")])
    risk = scored.score("risk")
    assert risk is not None
    assert risk.by.endswith("+7")


# which mentions it reads


@pytest.mark.parametrize(("share", "read"), [(0.0, 0), (0.2, 4), (0.21, 5), (1.0, 20)])
def test_the_least_certain_share_of_a_batch_is_read(encoder: Encoder, share: float, read: int) -> None:
    texts = [f"{text} number {number}" for number, text in enumerate(EVERYDAY[:3] * 6)] + [
        "I am so happy with it",
        "what a day for all of us",
    ]
    fast, both = angers(Panel(), texts), angers(Panel(accurate=encoder, share=share), texts)
    was_read = [score.by.endswith("+7") for score in both]
    assert sum(was_read) == read
    certainty = sorted(score.confidence for score in fast)[:read]
    assert sorted(score.confidence for score, its in zip(fast, was_read, strict=True) if its) == pytest.approx(certainty)
    assert all(one == other for one, other, its in zip(fast, both, was_read, strict=True) if not its)


def test_a_mention_that_comes_alone_is_read(encoder: Encoder) -> None:
    (score,) = angers(Panel(accurate=encoder, share=0.2), EVERYDAY[:1])
    assert score.by.endswith("+7")


def test_what_it_was_not_taught_to_read_stays_with_the_fast_model(encoder: Encoder) -> None:
    texts = ["你们的快递什么时候到？等了一个星期了！", "https://example.org", "😡😡", "", "متى يصل طلبي من فضلك أنا أنتظر منذ أسبوع"]
    assert angers(Panel(accurate=encoder, share=1.0), texts) == angers(Panel(), texts)


def test_an_encoder_may_be_taught_other_languages(tmp_path: Path) -> None:
    panel = Panel(accurate=load(write(tmp_path / "zh", languages=["zh"])), share=1.0)
    english, chinese = angers(panel, ["I am furious with you today", "你们的快递什么时候到？"])
    assert not english.by.endswith("+7")
    assert chinese.by.endswith("+7")


def test_what_it_was_taught_beside_our_questions_is_left_aside(tmp_path: Path) -> None:
    heads = [{"question": "irony", "labels": ["no", "yes"], "first": 0, "last": 2}, ANGER]
    panel = Panel(accurate=load(write(tmp_path / "more", heads=heads)), share=1.0)
    assert [score.label for score in angers(panel, EVERYDAY[:3])] == ["calm", "angry", "annoyed"]


def test_no_mentions_are_no_work(encoder: Encoder) -> None:
    assert Panel(accurate=encoder).understand([]) == []


# what is refused


def test_a_folder_that_is_not_there_is_named_with_its_setting(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere: heads\.json cannot be read .* accurate_model"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["words.onnx", "tokenizer.json"])
def test_a_file_with_one_changed_byte_is_refused(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=rf"{name}: not the file that heads\.json describes"):
        load(folder)


def test_a_folder_without_a_tokeniser_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"tokenizer\.json: cannot be read"):
        load(folder)


def test_a_folder_of_two_encoders_is_refused(folder: Path) -> None:
    (folder / "other.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match="holds 2 files"):
        load(folder)


WRONG_CARDS: dict[str, tuple[dict[str, Any], str]] = {
    "another program": ({"format": "somebody-elses-2"}, "belongs to another program"),
    "too few columns": ({"heads": [ANGER | {"last": 3}]}, "gives anger 3 labels, but not so many columns"),
    "twice": ({"heads": [ANGER, ANGER]}, "answers a question twice"),
    "no heads": ({"heads": []}, "does not describe an encoder"),
    "before the first": ({"heads": [ANGER | {"first": -2, "last": 1}]}, "does not describe an encoder"),
    "columns it lacks": ({"heads": [ANGER | {"first": 2, "last": 5}]}, r"of shape \(2, 4\); heads\.json speaks of float32 in 5 columns"),
    "a version that is a number": ({"version": 7}, r"does not describe an encoder \(Expected `str`.*version"),
    "no hash": ({"sha256": {}}, "not the file that"),
}


@pytest.mark.parametrize("wrong", WRONG_CARDS)
def test_a_card_that_does_not_fit_is_refused(tmp_path: Path, wrong: str) -> None:
    changes, message = WRONG_CARDS[wrong]
    with pytest.raises(ModelError, match=message):
        load(write(tmp_path / "words", **changes))


def test_a_card_that_is_no_json_is_refused(folder: Path) -> None:
    (folder / CARD).write_bytes(b"PK\x03\x04\xff")
    with pytest.raises(ModelError, match="does not describe an encoder"):
        load(folder)


WRONG_GRAPHS: dict[str, tuple[Callable[[], bytes], str]] = {
    "no ONNX": (lambda: b"\x80\x04 a pickle", "cannot be understood as ONNX"),
    "other inputs": (lambda: graph(inputs=("ids", "attention_mask")), "it must take input_ids and attention_mask"),
    "fewer words than the tokeniser": (lambda: graph(rows=len(WORDS) - 1), "cannot read 2 texts of 16 tokens"),
}


@pytest.mark.parametrize("wrong", WRONG_GRAPHS)
def test_an_encoder_that_does_not_fit_is_refused_before_the_first_mention(tmp_path: Path, wrong: str) -> None:
    made, message = WRONG_GRAPHS[wrong]
    with pytest.raises(ModelError, match=message):
        load(write(tmp_path / "words", onnx_file=made()))


def test_weights_in_a_further_file_are_never_reached_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = onnx.load_from_string(graph())
    table = model.graph.initializer[0]
    (tmp_path / "further.bin").write_bytes(table.raw_data)
    table.ClearField("raw_data")
    table.data_location = TensorProto.EXTERNAL
    table.external_data.add(key="location", value="further.bin")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="cannot be understood as ONNX"):
        load(write(tmp_path, onnx_file=bytes(model.SerializeToString())))


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (ANGER | {"question": "mood"}, "answers mood, none of our questions .*anger"),
        (ANGER | {"labels": ["0", "1", "2"]}, "answers anger with 0, 1, 2; our labels are calm, annoyed, angry"),
    ],
)
def test_an_encoder_of_other_questions_or_labels_is_refused(tmp_path: Path, head: dict[str, Any], message: str) -> None:
    encoder = load(write(tmp_path / "words", heads=[head]))
    with pytest.raises(ModelError, match=message):
        Panel(accurate=encoder)


# the setting


def test_earshot_score_reads_with_the_model_of_the_setting(folder: Path, tmp_path: Path) -> None:
    line = json.dumps({"id": "1", "text": EVERYDAY[1]}).encode()
    env = {**os.environ, "EARSHOT_ACCURATE_MODEL": str(folder), "EARSHOT_DATABASE_URL": f"sqlite:///{tmp_path / 'e.db'}"}
    done = subprocess.run([sys.executable, "-m", "earshot", "score"], input=line, env=env, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["scores"]["anger"]["by"].endswith("+7")


def test_without_the_setting_no_runtime_is_loaded() -> None:
    code = (
        "import sys; from classifiers.panel import Panel; Panel().explain('hello');"
        "print([name for name in ('onnxruntime', 'tokenizers', 'onnx') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
