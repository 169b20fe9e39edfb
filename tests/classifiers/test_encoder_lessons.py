"""What encoders learn from, and what they teach: which rows, whose licences, and that answers stay with their texts."""

from __future__ import annotations

import csv
import gzip
import io
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from msgspec import json
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

from classifiers import finetune, teach
from classifiers.accurate import CARD, TOKENIZER, load
from classifiers.encoder_card import encoder_card
from classifiers.encoder_data import HEADS, MISSING, READINGS, TEACHERS, Example, hash_of, licences, to_judge, to_learn, to_read
from classifiers.finetune import ONNX, Recipe, agreement, batches, described, evened, fitted_temperatures, judge, numbered
from classifiers.teach import read_taught
from classifiers.training_data import NOT_TO_LEARN_FROM, Shelf
from earshot.errors import BadInput

ROOT = Path(__file__).parents[2]
_POST = "id,source,lang,text,intent,asks,needs,anger,sentiment,urgent,risk,tier"


def write_set(folder: Path, name: str, part: str, header: str, *rows: Sequence[str]) -> None:
    (folder / name).mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    csv.writer(text).writerows([header.split(","), *rows])
    (folder / name / f"{part}.csv.gz").write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))


def post(text: str, *, source: str = "shop", lang: str = "en", anger: str = "0", tier: str = "community") -> Sequence[str]:
    return ("t1", source, lang, text, "question", "1", "common", anger, "0", "0", "none", tier)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Every set that encoders read: one text of its own in each, with room for more."""
    folder = tmp_path / "data"
    write_set(folder, "triage_posts", "train", _POST, post("how do i reset the lamp"), post("灯怎么重置", lang="zh"))
    write_set(folder, "triage_posts", "dev", _POST, post("which bulb fits my lamp", anger="2"))
    write_set(folder, "invented_posts", "train", _POST, post("the lamp hums at night", source=""))
    for reading in READINGS:
        row = (f"a text from {reading.data_set}", "1", reading.lang, "message")
        write_set(folder, reading.data_set, reading.part, f"{reading.column},label,lang,kind", row)
    for name in ("tweet_sentiment", "tweet_emotion", "tweet_offensive", "tweet_irony"):
        write_set(folder, name, "dev", "text,label", (f"a judging text of {name}", "1"))
    return folder


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """A tiny encoder: every token has logits of its own, a text has their sum."""
    folder = tmp_path / "encoder"
    folder.mkdir()
    words = {word: number for number, word in enumerate(("[UNK]", "a", "text", "from", "the", "lamp"))}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / TOKENIZER))
    table = np.random.default_rng(3).normal(size=(len(words), sum(map(len, HEADS.values())))).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["each"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["wide"]),
        helper.make_node("Mul", ["each", "wide"], ["read"]),
        helper.make_node("ReduceSum", ["read", "middle"], ["logits"], keepdims=0),
    ]
    shapes = [helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"]) for name in ("input_ids", "attention_mask")]
    out = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["texts", table.shape[1]])
    constants = [
        numpy_helper.from_array(value, name)
        for name, value in (("table", table), ("last", np.array([2], np.int64)), ("middle", np.array([1], np.int64)))
    ]
    graph = helper.make_graph(nodes, "tiny", shapes, [out], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), str(folder / ONNX))
    (folder / CARD).write_bytes(json.encode(described(folder, Recipe(), ["en"])))
    return folder


# which rows teach


def test_rows_of_forbidden_sources_and_of_other_languages_never_teach(data: Path) -> None:
    forbidden = [post(f"words from {source}", source=source) for source in sorted(NOT_TO_LEARN_FROM)]
    write_set(data, "triage_posts", "train", _POST, post("my lamp is late"), post("灯怎么重置", lang="zh"), *forbidden)
    assert {each.text for each in to_learn(Shelf(data)) if each.data_set == "triage_posts"} == {"my lamp is late"}


def test_texts_of_a_dev_part_never_teach_though_they_are_written_otherwise(data: Path) -> None:
    write_set(data, "triage_posts", "train", _POST, post("@shop WHICH bulb fits, my lamp?!"), post("the lamp is green"))
    assert {each.text for each in to_learn(Shelf(data)) if each.data_set == "triage_posts"} == {"the lamp is green"}


def test_what_may_not_teach_may_judge(data: Path) -> None:
    write_set(data, "triage_posts", "dev", _POST, *(post(f"late, says {source}", source=source) for source in NOT_TO_LEARN_FROM))
    assert sum(each.data_set == "triage_posts" for each in to_judge(Shelf(data))) == len(NOT_TO_LEARN_FROM)


def test_the_pool_has_nothing_that_judges_nothing_of_the_labelled_posts_and_nothing_twice(data: Path) -> None:
    rows = ("How do I reset the LAMP?", "which bulb fits my lamp", "judged elsewhere", "a new one", "A new one!", "??")
    write_set(data, "complaints", "train", "text", *((text,) for text in rows))
    write_set(data, "care_conversations", "dev", "text", ("Judged elsewhere.",))
    pool = to_read(Shelf(data))
    assert pool.texts[0] == "a new one"
    assert pool.counts["complaints"] == 1
    assert "a judging text of tweet_irony" not in pool.texts


def test_the_pool_is_in_the_languages_asked_for_and_no_longer_than_asked_for(data: Path) -> None:
    chinese = {reading.data_set for reading in READINGS if reading.lang == "zh"}
    assert set(to_read(Shelf(data), languages=["zh"]).counts) == chinese
    assert not set(to_read(Shelf(data)).counts) & chinese
    assert to_read(Shelf(data), most=3).texts == to_read(Shelf(data)).texts[:3]


def test_no_set_that_teaches_an_encoder_forbids_it_and_each_is_documented() -> None:
    page = (ROOT / "docs" / "data-and-licences.md").read_text(encoding="utf-8")
    for data_set, licence in {**licences(TEACHERS), **licences(READINGS)}.items():
        assert not re.search(r"\bNC\b|non-commercial|academic|research", licence), data_set
        assert re.search(rf"^\| `{data_set}` \|.*\| {re.escape(licence.split(',')[0])}", page, re.MULTILINE), data_set


def test_a_missing_set_and_a_cell_that_is_no_label_are_named_with_the_remedy(data: Path) -> None:
    write_set(data, "tweet_irony", "train", "text,label", ("fine", "1"), ("odd", "perhaps"))
    with pytest.raises(BadInput, match=r"tweet_irony/train\.csv\.gz, row 2: label is 'perhaps', none of 0, 1; correct it, or leave"):
        to_learn(Shelf(data))
    (data / "tweet_irony" / "train.csv.gz").unlink()
    with pytest.raises(BadInput, match=r"tweet_irony.*give the folder that holds tweet_irony/train"):
        to_learn(Shelf(data))


def test_a_file_without_texts_says_which_columns_it_has(data: Path) -> None:
    write_set(data, "complaints", "train", "tweet,label", ("my lamp is late", "1"))
    with pytest.raises(BadInput, match=r"complaints/train\.csv\.gz: has no column text, only tweet, label; rename"):
        to_read(Shelf(data))


# labels that are missing, labels that are rare


def test_an_empty_cell_teaches_nothing_in_its_head_and_the_others_all_the_same(data: Path) -> None:
    write_set(data, "triage_posts", "train", _POST, post("my lamp is late", anger="", tier="tier_1"))
    example = next(each for each in to_learn(Shelf(data)) if each.data_set == "triage_posts")
    assert "anger" not in example.labels
    assert (example.labels["tier"], example.labels["asks"], example.labels["sentiment"]) == ("tier_1", "yes", "neutral")
    row = dict(zip(HEADS, numbered([example])[0].tolist(), strict=True))
    assert (row["anger"], row["irony"], row["tier"]) == (MISSING, MISSING, HEADS["tier"].index("tier_1"))


def test_rare_labels_count_more_and_missing_ones_do_not_count() -> None:
    calm, angry = Example("a", {"anger": "calm"}, "triage_posts"), Example("b", {"anger": "angry"}, "triage_posts")
    weights = dict(zip(HEADS, evened(numbered([calm] * 20 + [angry])), strict=True))
    assert weights["anger"][0] < 1 < weights["anger"][2]
    assert len(set(weights["irony"].tolist())) == 1


def test_every_post_stands_in_every_epoch_once_with_a_share_of_tweets_and_the_order_is_seeded() -> None:
    examples = [Example("p", {}, "triage_posts")] * 30 + [Example("t", {}, name) for name in ("tweet_irony", "tweet_emotion") * 40]
    recipe = Recipe(epochs=2, tweets=1.0, batch=8)
    steps = batches(examples, [1] * len(examples), recipe)
    rows = [row for batch in steps for row in batch]
    assert sorted(row for row in rows if row < 30) == sorted([*range(30)] * 2)
    assert len(rows) == 2 * (30 + 30)
    assert steps == batches(examples, [1] * len(examples), recipe)
    assert steps != batches(examples, [1] * len(examples), Recipe(epochs=2, tweets=1.0, batch=8, seed=1))


# figures and the card


def answers_of(numbers: Sequence[Sequence[float]]) -> dict[str, np.ndarray]:
    even = {head: np.full((len(numbers), len(labels)), 1 / len(labels), np.float32) for head, labels in HEADS.items()}
    return {**even, "irony": np.array(numbers, np.float32)}


def test_heads_without_labels_are_not_judged_and_irony_is_judged_by_the_ironic() -> None:
    examples = [Example("a", {"irony": "yes"}, "tweet_irony"), Example("b", {"irony": "no"}, "tweet_irony"), Example("c", {}, "x")]
    (found,) = judge(answers_of([(0.1, 0.9), (0.4, 0.6), (0.5, 0.5)]), examples)
    assert (found.head, found.measure, found.n) == ("irony", "F1 of yes", 2)
    assert found.figure == pytest.approx(2 / 3, abs=1e-3)


def test_an_answer_too_sure_of_itself_is_cooled_and_keeps_its_label() -> None:
    examples = [Example("a", {"irony": "yes"}, "tweet_irony"), Example("b", {"irony": "no"}, "tweet_irony")] * 10
    answers = answers_of([(0.001, 0.999)] * 15 + [(0.999, 0.001)] * 5)
    assert fitted_temperatures(answers, examples)["irony"] > 1
    assert agreement(answers, answers) == 1


def test_the_card_names_every_set_with_its_licence_the_figures_and_the_files(encoder: Path) -> None:
    judged = [finetune.Judged("anger", "macro-F1", 0.66, 599)]
    card = load(encoder).card
    text = encoder_card(card, Recipe(), judged, agreement=0.985, licences=licences(TEACHERS), manifest={"a/train.csv.gz": "f00d"})
    for part in (
        "| tweet_irony | unclear |",
        "| anger | macro-F1 | 0.660 | 599 |",
        "98.5%",
        "`f00d`",
        card.sha256[ONNX],
        *NOT_TO_LEARN_FROM,
    ):
        assert part in text


# lessons stay with their texts


def test_lessons_hold_no_text_and_fit_the_texts_they_were_read_from(
    data: Path, encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made" / "lessons.npz"
    assert teach.main([str(data), "--encoder", str(encoder), "--out", str(out)]) == 0
    lessons = read_taught(out, Shelf(data))
    assert lessons.texts == to_read(Shelf(data)).texts
    assert lessons.logits.dtype == np.float16
    assert list(out.parent.iterdir()) == [out]
    with np.load(out) as stored:
        assert {name: stored[name].dtype.kind for name in stored.files} == {"logits": "f", "about": "u"}
        assert b"a text from" not in stored["about"].tobytes()
    whole = load(encoder).probabilities(lessons.texts)
    for head in lessons.about.heads:
        said = np.exp(lessons.logits[:, head.first : head.last].astype(np.float32))
        assert said == pytest.approx(whole[head.question], abs=2e-3)
    assert f"{len(lessons.texts)} texts read" in capsys.readouterr().err


def test_lessons_are_refused_beside_other_texts(data: Path, encoder: Path, tmp_path: Path) -> None:
    out = tmp_path / "lessons.npz"
    teach.teach(Shelf(data), encoder, out)
    write_set(data, "complaints", "train", "text", ("somebody changed this",))
    with pytest.raises(BadInput, match=r"other texts than those in .*changed: complaints/train\.csv\.gz\); write them again"):
        read_taught(out, Shelf(data))


def test_a_file_that_holds_no_lessons_is_named(data: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04 no more")
    (tmp_path / "foreign.npz").write_bytes(b"text,label")
    for name in ("cut.npz", "absent.npz", "foreign.npz"):
        with pytest.raises(BadInput, match=f"{name}: cannot be read .*classifiers.teach"):
            read_taught(tmp_path / name, Shelf(data))


def test_what_was_read_before_a_stop_is_not_read_again(data: Path, encoder: Path, tmp_path: Path) -> None:
    out = tmp_path / "lessons.npz"
    teach.teach(Shelf(data), encoder, out, at_once=4)
    whole = read_taught(out, Shelf(data))
    parts = teach._parts_folder(out)
    parts.mkdir()
    teach._part(load(encoder), whole.about.encoder, whole.texts[:4], parts)
    (part,) = parts.iterdir()
    np.savez(part, logits=np.full((4, whole.logits.shape[1]), -7, np.float16))  # answers that the encoder would not give
    teach.teach(Shelf(data), encoder, out, at_once=4)
    again = read_taught(out, Shelf(data)).logits
    assert (again[:4] == -7).all()
    assert np.array_equal(again[4:], whole.logits[4:])
    assert not parts.exists()


def test_the_hash_of_texts_depends_on_their_order_and_their_bounds() -> None:
    assert len({hash_of(["ab", "c"]), hash_of(["a", "bc"]), hash_of(["c", "ab"]), hash_of(["ab", "c", ""])}) == 4
    assert hash_of(["half a pair \ud83d"])


# the commands


def run_without_torch(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.modules['torch'] = None; from classifiers.finetune import main; sys.exit(main({list(arguments)!r}))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_without_torch_help_says_what_to_install_and_so_does_the_command(data: Path, tmp_path: Path) -> None:
    shown = run_without_torch("--help")
    assert shown.returncode == 0
    assert 'pip install "earshot[train]"' in " ".join(shown.stdout.split())
    refused = run_without_torch(str(data), "--encoder", str(tmp_path), "--out", str(tmp_path / "out"))
    assert refused.returncode == 1
    assert 'pip install "earshot[train]"' in refused.stderr
    assert not (tmp_path / "out").exists()


def test_teaching_without_an_encoder_says_what_is_missing(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert teach.main([str(data), "--encoder", str(tmp_path / "none"), "--out", str(tmp_path / "out.npz")]) == 1
    assert "heads.json" in capsys.readouterr().err


@pytest.mark.parametrize("command", [finetune.main, teach.main])
def test_a_number_below_one_is_refused(command: object, capsys: pytest.CaptureFixture[str]) -> None:
    option = "--epochs" if command is finetune.main else "--texts"
    with pytest.raises(SystemExit):
        command(["data", "--encoder", "e", "--out", "o", option, "0"])  # type: ignore[operator]
    assert "must be 1 or more" in capsys.readouterr().err
