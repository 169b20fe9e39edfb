from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from tiny_encoder import write

from classifiers import evaluate
from classifiers.encoder_data import READINGS, TEACHERS
from classifiers.model import load
from classifiers.train import install, main
from classifiers.training_data import ANSWERS, LESSONS, LICENCES, Shelf, lessons, own_posts, posts, same_text
from earshot.errors import BadInput, ModelError

#: Columns and a few invented rows for every set that weights learn from.
SETS: dict[str, tuple[str, Sequence[Sequence[str]]]] = {
    "tweet_sentiment": ("text,label", (("what a lovely morning", "2"), ("this is dreadful", "0"), ("the shop opens at nine", "1"))),
    "multilingual_sentiment": (
        "text,lang,label_name",
        (
            ("so happy today", "en", "positive"),
            ("muy mal servicio otra vez", "es", "negative"),
            ("le train est en retard", "fr", "neutral"),
        ),
    ),
    "zh_shopping_reviews": ("text,label", (("质量很好", "1"), ("太差了", "0"))),
    "zh_hotel_reviews": ("text,label", (("房间干净", "1"), ("房间很脏", "0"))),
    "zh_weibo_polarity": ("text,label", (("开心的一天", "1"), ("难过", "0"))),
    "zh_car_feedback": ("text,sentiment", (("油耗低", "1"), ("噪音大", "-1"))),
    "goemotions": ("text,labels", (("you fool", "anger"), ("thank you", "gratitude"), ("how so", "curiosity|joy"), ("i cried", "sadness"))),
    "tweet_emotion": ("text,label_name", (("livid", "anger"), ("delighted", "joy"), ("weeping", "sadness"))),
    "zh_weibo_emotion": ("text,label", (("气死我了", "angry"), ("真高兴", "happy"), ("伤心", "sad"))),
    "zh_weibo_events": ("text,label", (("可恶", "anger"), ("加油", "positive"))),
    "tweet_offensive": ("text,label", (("shut it you clown", "1"), ("see you there", "0"))),
    "tweet_acts": ("text,act", (("when is it", "QUE"), ("please send it", "REQ"), ("it rained", "STM"))),
    "complaints": ("text,label", (("my parcel is late again", "1"), ("off to lunch", "0"))),
    "app_reviews": ("text,category", (("it crashes on start", "bug report"), ("add a dark mode", "requirement"))),
    "issue_reports": ("title,label", (("Crash on save", "bug"), ("Support tabs", "feature"), ("How to build", "question"))),
    "banking77": ("text", (("where is my card",),)),
    "bitext_intents": ("text", (("cancel my order",),)),
    "clinc150": ("text", (("what is the capital of peru",),)),
    "sms_spam": ("text,spam", (("win a prize now", "1"), ("home soon", "0"))),
    "social_spam": ("text,spam", (("visit my channel", "1"), ("great song", "0"))),
    "tweet_irony": ("text,label", (("oh great, mondays", "1"), ("it is monday", "0"))),
    "zh_assistant_intents": ("text", (("打开音乐",), ("明天天气",))),
    "zh_spam_types": ("text", (("加 微信 领 红包",),)),
    "language_id": (
        "text,lang",
        (("guten morgen zusammen", "de"), ("buongiorno a tutti", "it"), ("goedemorgen allemaal", "nl"), ("dzień dobry", "pl")),
    ),
}
THINGS = [f"{thing}{place}" for thing in ("sun", "moon", "star", "sky", "rain") for place in ("rise", "light", "ray", "fall")]
POSTS = [
    ("question", "1", "common", "0", "0", "0", "none", "community", "how do i reset the lamp {}"),
    ("problem", "1", "specialist", "1", "-1", "1", "safety", "tier_2", "the lamp sparks every {} minutes"),
    ("complaint", "1", "account", "2", "-1", "0", "legal", "tier_1", "liars you charged me {} times i will sue"),
    ("praise", "0", "none", "0", "1", "0", "none", "none", "love my lamp, day {}"),
    ("other", "0", "none", "0", "0", "0", "privacy", "none", "lamp {} on the shelf"),
]
_LABELLED = "id,source,lang,text,intent,asks,needs,anger,sentiment,urgent,risk,tier"


def write_set(folder: Path, name: str, part: str, header: str, rows: Sequence[Sequence[str]]) -> None:
    (folder / name).mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    csv.writer(text).writerows([header.split(","), *rows])
    (folder / name / f"{part}.csv.gz").write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name, (header, rows) in SETS.items():
        for part in ("train", "dev"):
            many = [(f"{text} {thing}", *rest) for thing in (THINGS if part == "train" else ("",)) for text, *rest in rows]
            write_set(folder, name, part, header, many)
    words = ("one", "two", "three", "four", "five", "six", "seven", "eight")
    for name, part, source in (("triage_posts", "train", "shop"), ("triage_posts", "dev", "shop"), ("invented_posts", "train", "")):
        rows = [
            (f"{name}{part}{word}{intent}", source, "en", f"{text.format(word)} {part}", intent, *rest)
            for word in words
            for intent, *rest, text in POSTS
        ]
        write_set(folder, name, part, _LABELLED, rows)
    return folder


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with labelled posts of one's own."""
    folder = tmp_path_factory.mktemp("own")
    rows = [(f"own{n}", "", "zh", text, intent, *rest) for n, (intent, *rest, text) in enumerate(POSTS)]
    text = io.StringIO()
    csv.writer(text).writerows([_LABELLED.split(","), *rows])
    (folder / "posts.csv").write_text(text.getvalue(), encoding="utf-8")
    return folder


def test_every_set_that_teaches_has_a_licence_that_does_not_forbid_it() -> None:
    assert {each.data_set for each in (*LESSONS, *ANSWERS, *TEACHERS, *READINGS)} <= set(LICENCES)
    assert not any("NC" in licence or "academic" in licence for licence in LICENCES.values())


def test_texts_that_judge_the_heads_teach_no_signal(data: Path) -> None:
    taught = lessons(Shelf(data), without=["YOU fool, sunrise!! @someone"])
    assert "you fool sunrise" not in taught.texts
    assert "you fool moonrise" in taught.texts


def test_posts_of_forbidden_sources_never_teach(tmp_path: Path, data: Path) -> None:
    row = ("t1", "airline_support_unlabelled", "en", "late again", "complaint", "1", "account", "2", "-1", "0", "none", "tier_1")
    write_set(tmp_path, "triage_posts", "train", _LABELLED, [row])
    write_set(tmp_path, "triage_posts", "dev", _LABELLED, [row])
    write_set(tmp_path, "invented_posts", "train", _LABELLED, [(*row[:1], "", *row[2:])])
    assert [post.teaches for post in posts(Shelf(tmp_path))] == [False, False, True]


def test_a_missing_data_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="triage_posts"):
        posts(Shelf(tmp_path))


def test_texts_that_read_alike_are_the_same() -> None:
    assert same_text("@Shop  My LAMP, https://t.co/x broke!") == same_text("my lamp broke")


def test_the_same_data_give_the_same_weights_and_worse_ones_are_refused(data: Path, own: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    assert main([str(data), "--lessons", str(own), "--out", str(one)]) == 0
    assert main([str(data), "--lessons", str(own), "--out", str(other)]) == 0
    assert (one / "heads.safetensors").read_bytes() == (other / "heads.safetensors").read_bytes()
    model = load(one / "heads.safetensors")
    assert model.heads["anger"].labels == ("calm", "annoyed", "angry")
    card = (one / "heads.md").read_text(encoding="utf-8")
    assert "CC BY 4.0" in card
    described = json.loads((one / "heads.json").read_text(encoding="utf-8"))
    described["figures"] = dict.fromkeys(described["figures"], 1.5)
    (one / "heads.json").write_text(json.dumps(described), encoding="utf-8")
    before = (one / "heads.safetensors").read_bytes()
    with pytest.raises(ModelError, match="not installed, as the weights in"):
        install(one, b"worse", json.loads((other / "heads.json").read_text(encoding="utf-8")))
    assert (one / "heads.safetensors").read_bytes() == before


def test_evaluation_judges_what_an_encoder_adds(data: Path, own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main([str(data), "--lessons", str(own), "--brief", "--accurate", str(write(tmp_path / "words")), "--share", "0.5"]) == 0
    out = capsys.readouterr().out
    assert "dev, learnt from train" in out
    assert "the same, the encoder reads 50%" in out
    assert "cross-validated" not in out


def test_evaluation_prints_figures_of_held_out_and_cross_validated_posts(data: Path, own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main([str(data), "--lessons", str(own)]) == 0
    printed = capsys.readouterr().out
    assert "dev, learnt from train: 40 posts" in printed
    assert "train + dev, cross-validated: 80 posts" in printed
    assert "share of all posts, and of the angry ones" in printed


def test_evaluation_without_data_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main([str(tmp_path)]) == 1
    assert "triage_posts" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"anger": "very"}, r"row 1: .*'very'"),
        ({"anger": "-1"}, r"row 1: .*'-1'"),
        ({"intent": "gossip"}, "row 1: intent is 'gossip'"),
        ({"urgent": "7"}, r"row 1: .*'7'"),
    ],
)
def test_a_post_of_ones_own_with_a_wrong_label_is_named(tmp_path: Path, cells: dict[str, str], message: str) -> None:
    row = dict(zip(_LABELLED.split(","), ("o1", "", "en", "hello there", *POSTS[0][:-1]), strict=True)) | cells
    (tmp_path / "posts.csv").write_text(f"{_LABELLED}\n{','.join(row.values())}\n", encoding="utf-8")
    with pytest.raises(BadInput, match=message):
        own_posts(tmp_path)


def test_an_empty_cell_of_a_post_of_ones_own_is_no_label(tmp_path: Path) -> None:
    row = dict(zip(_LABELLED.split(","), ("o1", "", "en", "hello there", *POSTS[0][:-1]), strict=True)) | {"urgent": "", "intent": ""}
    (tmp_path / "posts.csv").write_text(f"{_LABELLED}\n{','.join(row.values())}\n", encoding="utf-8")
    [post] = own_posts(tmp_path)
    assert set(post.labels) == {"asks", "needs", "anger", "sentiment", "risk", "tier"}


def test_a_folder_without_posts_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no CSV file with a row in it"):
        own_posts(tmp_path)


def test_the_posts_that_ship_are_labelled_by_the_guide() -> None:
    for post in own_posts():
        labels = post.labels
        to_staff = labels["anger"] == "angry" or labels["risk"] != "none" or labels["needs"] == "account" or labels["intent"] == "cancel"
        tier = "tier_2" if labels["needs"] == "specialist" else "tier_1" if to_staff else "community"
        if labels["asks"] == "no":
            tier = "none" if labels["risk"] in ("none", "privacy") else "tier_1"
        assert labels["tier"] == tier, post.id
