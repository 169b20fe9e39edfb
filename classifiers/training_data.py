"""What the weights learn from: which public set teaches which signal, which rows teach the heads, and what may not be learnt from.

Rows are read from gzipped CSV files in a data directory (one folder per set, see the README there). A manifest keeps the SHA-256 of each
file.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from classifiers.text import normalise_all
from earshot.case import Tier
from earshot.errors import BadInput

Row = Mapping[str, str]
Truth = Callable[[Row], bool]

#: Sources of `triage_posts` whose texts are non-commercial or academic: they evaluate, they never teach.
NOT_TO_LEARN_FROM = frozenset({"airline_support_unlabelled", "zh_question_pairs_finance"})

#: Under which licence each set stands that may teach; "unclear": nobody states one that forbids it.
LICENCES: Mapping[str, str] = {
    "app_reviews": "unclear",
    "banking77": "CC BY 4.0",
    "bitext_intents": "unclear",
    "clinc150": "CC BY 3.0",
    "complaints": "unclear",
    "cqa_docusign": "unclear",
    "cqa_sap": "unclear",
    "goemotions": "Apache-2.0",
    "invented_posts": "CC0",
    "irc_support_threads": "CC BY 4.0",
    "issue_reports": "unclear",
    "multilingual_sentiment": "unclear",
    "sms_spam": "free use, keep notice",
    "social_spam": "unclear",
    "triage_posts": "labels CC0; texts as their source",
    "tweet_acts": "BSD-2-Clause",
    "tweet_emotion": "unclear",
    "tweet_hate": "unclear",
    "tweet_irony": "unclear",
    "tweet_offensive": "unclear",
    "tweet_sentiment": "unclear",
    "tweet_stance": "unclear",
    "zh_assistant_intents": "unclear",
    "zh_car_feedback": "unclear",
    "zh_hotel_reviews": "unclear",
    "zh_shopping_reviews": "unclear",
    "zh_spam_types": "unclear",
    "zh_weibo_emotion": "unclear",
    "zh_weibo_events": "unclear",
    "zh_weibo_polarity": "unclear",
}

#: Sets of posts to brands, with the labels of all questions; the others are public sets.
OURS = ("triage_posts", "invented_posts", "lessons")

_NOT_SAID, _SILENT = re.compile(r"@\w*|\blink\b"), re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What one set teaches: for each signal, whether it holds in a row."""

    data_set: str
    teaches: Mapping[str, Truth]
    column: str = "text"
    only: Truth | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """A public set whose rows answer questions of ours: for each question, the label of a row, or nothing."""

    data_set: str
    answers: Mapping[str, Callable[[Row], str]]
    whole: bool = False  #: all its rows teach heads, also those that taught hints


def _cell(column: str, names: Mapping[str, str] | None = None) -> Callable[[Row], str]:
    return lambda row: row[column] if names is None else names.get(row[column], "")


def _yes(_: Row) -> str:
    return "yes"


def _no(_: Row) -> str:
    return "no"


def _is(column: str, *values: str) -> Truth:
    return lambda row: row[column] in values


def _any(column: str, *values: str) -> Truth:
    return lambda row: not set(values).isdisjoint(row[column].split("|"))


def _always(_: Row) -> bool:
    return True


def _never(_: Row) -> bool:
    return False


QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "intent": ("question", "problem", "complaint", "praise", "suggestion", "purchase", "cancel", "spam", "other"),
    "asks": ("no", "yes"),
    "needs": ("common", "specialist", "account", "none"),
    "anger": ("calm", "annoyed", "angry"),
    "sentiment": ("negative", "neutral", "positive"),
    "urgent": ("no", "yes"),
    "risk": ("none", "safety", "legal", "press", "privacy"),
    "tier": tuple(tier.value for tier in Tier),
}
#: What public sets answer, beside `sentiment`.
PUBLIC: Mapping[str, tuple[str, ...]] = {
    "toxicity": ("no", "yes"),
    "spam": ("no", "yes"),
    "irony": ("no", "yes"),
    "emotion": ("anger", "joy", "optimism", "sadness"),
    "emotion_zh": ("angry", "fear", "happy", "neutral", "sad", "surprise"),
}
_NO_YES = {"0": "no", "1": "yes"}
_POLES = {"0": "negative", "1": "positive"}

ANSWERS: Sequence[Answers] = (
    Answers(
        data_set="tweet_sentiment",
        answers={"sentiment": _cell("label", {"0": "negative", "1": "neutral", "2": "positive"})},
        whole=True,
    ),
    Answers(data_set="multilingual_sentiment", answers={"sentiment": _cell("label_name")}),
    Answers(data_set="zh_shopping_reviews", answers={"sentiment": _cell("label", _POLES), "spam": _no}),
    Answers(data_set="zh_hotel_reviews", answers={"sentiment": _cell("label", _POLES)}),
    Answers(data_set="zh_weibo_polarity", answers={"sentiment": _cell("label", _POLES)}),
    Answers(
        data_set="zh_car_feedback",
        answers={"sentiment": _cell("sentiment", {"-1": "negative", "0": "neutral", "1": "positive"})},
    ),
    Answers(data_set="tweet_emotion", answers={"emotion": _cell("label_name")}),
    Answers(data_set="zh_weibo_emotion", answers={"emotion_zh": _cell("label"), "spam": _no}),
    Answers(data_set="tweet_offensive", answers={"toxicity": _cell("label", _NO_YES), "spam": _no}),
    Answers(data_set="tweet_irony", answers={"irony": _cell("label", _NO_YES)}),
    Answers(data_set="sms_spam", answers={"spam": _cell("spam", _NO_YES)}),
    Answers(data_set="social_spam", answers={"spam": _cell("spam", _NO_YES)}),
    Answers(data_set="zh_spam_types", answers={"spam": _yes}),
)

LESSONS: Sequence[Lesson] = (
    Lesson(
        data_set="goemotions",
        teaches={
            "angry": _any("labels", "anger", "annoyance", "disgust"),
            "glad": _any("labels", "admiration", "gratitude", "joy", "love", "excitement"),
            "sad": _any("labels", "sadness", "disappointment", "remorse", "grief"),
            "asking": _any("labels", "curiosity", "confusion"),
        },
    ),
    Lesson(
        data_set="tweet_emotion",
        teaches={"angry": _is("label_name", "anger"), "glad": _is("label_name", "joy"), "sad": _is("label_name", "sadness")},
    ),
    Lesson(
        data_set="zh_weibo_emotion",
        teaches={"angry": _is("label", "angry"), "glad": _is("label", "happy"), "sad": _is("label", "sad")},
    ),
    Lesson(data_set="zh_weibo_events", teaches={"angry": _is("label", "anger"), "glad": _is("label", "positive")}),
    Lesson(data_set="tweet_acts", teaches={"asking": _is("act", "QUE"), "requesting": _is("act", "REQ")}),
    Lesson(data_set="complaints", teaches={"complaining": _is("label", "1")}),
    Lesson(
        data_set="app_reviews",
        teaches={"faulty": _is("category", "bug report"), "wishing": _is("category", "requirement")},
    ),
    Lesson(
        data_set="issue_reports",
        column="title",
        teaches={"faulty": _is("label", "bug"), "wishing": _is("label", "feature"), "asking": _is("label", "question")},
    ),
    Lesson(data_set="banking77", teaches={"served": _always}),
    Lesson(data_set="bitext_intents", teaches={"served": _always}),
    Lesson(data_set="clinc150", teaches={"served": _never}),
    Lesson(data_set="zh_assistant_intents", teaches={"served": _never}),
)

#: Latin languages that are told apart; the others are "other".
LATIN_LANGUAGES = ("en", "es", "fr", "de", "it", "pt", "nl")
NOT_LATIN = frozenset((
    "ar", "be", "bg", "bn", "el", "fa", "gu", "he", "hi", "hy", "ja", "ka",
    "ko", "mr", "pa", "ru", "sr", "ta", "te", "th", "uk", "ur", "zh",
))  # fmt: skip


@dataclass(slots=True)
class Shelf:
    """The data directory, and a manifest of what was read from it."""

    folder: Path
    manifest: dict[str, str] = field(default_factory=dict)  #: file -> SHA-256

    def rows(self, data_set: str, part: str) -> list[Row]:
        """All rows of one part. Raises `BadInput` when the file is not there or is no gzipped CSV."""
        path = self.folder / data_set / f"{part}.csv.gz"
        try:
            content = path.read_bytes()
            rows: list[Row] = list(csv.DictReader(gzip.decompress(content).decode("utf-8").splitlines(keepends=True)))
        except (OSError, EOFError, UnicodeDecodeError, csv.Error) as err:
            raise BadInput(f"data set {path}: cannot be read ({err}); give the folder that holds {data_set}/{part}.csv.gz") from err
        self.manifest[f"{data_set}/{part}.csv.gz"] = hashlib.sha256(content).hexdigest()
        return rows


@dataclass(frozen=True, slots=True)
class Taught:
    """Texts with what they teach: signal -> (first, truths): `truths` belong to `texts[first:]`, one after another."""

    texts: list[str]
    truths: Mapping[str, list[tuple[int, list[bool]]]]


@dataclass(frozen=True, slots=True)
class Post:
    """A post to a brand with the labels of all questions, or a row of a public set with those that it answers."""

    text: str
    lang: str
    source: str
    part: str
    labels: Mapping[str, str]
    id: str
    data_set: str = "triage_posts"
    taught_hints: bool = False  #: a hint has seen it, so that it cannot tell how far hints go

    @property
    def teaches(self) -> bool:
        return self.source not in NOT_TO_LEARN_FROM

    @property
    def is_post(self) -> bool:
        """To a brand, and written by a customer: neither a row of a public set nor an invented post."""
        return self.data_set == "triage_posts"


def lessons(shelf: Shelf, *, without: Iterable[str], parts: Sequence[str] = ("train",)) -> Taught:
    """Everything the signals learn from, leaving out texts that stand in `without` (the posts that judge the heads)."""
    seen = set(map(same_text, without))
    texts: list[str] = []
    truths: dict[str, list[tuple[int, list[bool]]]] = {}
    for lesson in LESSONS:
        rows = [row for part in parts for row in shelf.rows(lesson.data_set, part)]
        rows = [row for row in rows if (lesson.only is None or lesson.only(row)) and same_text(row[lesson.column]) not in seen]
        for signal, truth in lesson.teaches.items():
            truths.setdefault(signal, []).append((len(texts), [truth(row) for row in rows]))
        texts += [row[lesson.column] for row in rows]
    return Taught(texts=texts, truths=truths)


def posts(shelf: Shelf) -> list[Post]:
    """The labelled posts: `triage_posts` (train and dev) and `invented_posts`."""
    listed = []
    for data_set, part in (("triage_posts", "train"), ("triage_posts", "dev"), ("invented_posts", "train")):
        for row in shelf.rows(data_set, part):
            source = row.get("source") or "invented_posts"
            labels = _named(row)
            listed.append(
                Post(text=row["text"], lang=row["lang"], source=source, part=part, labels=labels, id=row["id"], data_set=data_set)
            )
    return listed


LESSONS_FOLDER = Path(str(files("classifiers").joinpath("lessons")))


def own_posts(folder: Path = LESSONS_FOLDER) -> list[Post]:
    """The labelled posts of a folder of CSV files: by default the invented ones that ship with the program.

    Raises `BadInput`, naming file and row, for what cannot be read or has a label that nobody knows.
    """
    found = []
    for path in sorted(folder.glob("*.csv")):
        try:
            rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines(keepends=True)))
        except (OSError, UnicodeDecodeError, csv.Error) as err:
            raise BadInput(f"labelled posts {path}: cannot be read ({err}); save the file as CSV in UTF-8") from err
        found += [_own_post(row, f"labelled posts {path}, row {number}") for number, row in enumerate(rows, start=1)]
    if not found:
        raise BadInput(f"labelled posts {folder}: no CSV file with a row in it; see classifiers/lessons/README.md")
    return found


def _own_post(row: Row, place: str) -> Post:
    try:
        labels = _named(row)
        post = Post(text=row["text"], lang=row["lang"], source="lessons", part="train", labels=labels, id=row["id"], data_set="lessons")
    except (KeyError, ValueError, IndexError, TypeError) as err:
        raise BadInput(f"{place}: lacks a column or has a label that nobody knows ({err}); see classifiers/lessons/README.md") from err
    odd = {question: label for question, label in labels.items() if label not in {**QUESTIONS, **PUBLIC}[question]}
    if odd:
        raise BadInput(
            f"{place}: {', '.join(f'{question} is {label!r}' for question, label in odd.items())}; see classifiers/lessons/README.md"
        )
    return post


def answered(shelf: Shelf, part: str, *, without: Iterable[str] = ()) -> list[Post]:
    """The rows of one part of the public sets, less those that read like a text of `without`."""
    seen = set(same_texts(list(without)))
    listed = []
    for each in ANSWERS:
        rows = shelf.rows(each.data_set, part)
        texts = [_unspaced(row["text"]) if each.data_set == "zh_spam_types" else row["text"] for row in rows]
        for number, (row, text, alike) in enumerate(zip(rows, texts, same_texts(texts), strict=True), start=1):
            labels = {question: label for question, answer in each.answers.items() if (label := answer(row))}
            if labels and alike not in seen:
                lang = row.get("lang") or ("zh" if each.data_set.startswith("zh_") else "en")
                identity = f"{each.data_set}/{part}/{number}"
                listed.append(
                    Post(text=text, lang=lang, source=each.data_set, part=part, labels=labels, id=identity, data_set=each.data_set)
                )
    return listed


def languages(shelf: Shelf, part: str) -> Iterator[tuple[str, str]]:
    """(text, Latin language or "other") to tell languages apart."""
    for row in shelf.rows("language_id", part):
        if row["lang"] not in NOT_LATIN:
            yield row["text"], row["lang"] if row["lang"] in LATIN_LANGUAGES else "other"
    for row in shelf.rows("multilingual_sentiment", part):
        if row["lang"] in LATIN_LANGUAGES or row["lang"] == "hi":  # Hindi in Latin letters, mixed with English
            yield row["text"], row["lang"] if row["lang"] in LATIN_LANGUAGES else "other"
    for data_set in ("tweet_sentiment", "goemotions"):
        yield from ((row["text"], "en") for row in shelf.rows(data_set, part)[:4000])


def same_text(text: str) -> str:
    """Equal for texts that differ in case, width, links, handles and punctuation only."""
    return same_texts([text])[0]


def same_texts(texts: Sequence[str]) -> list[str]:
    """`same_text` of each, at a tenth of the price."""
    return [_SILENT.sub("", _NOT_SAID.sub("", text)).lower() for text in normalise_all(texts)]


def _unspaced(text: str) -> str:
    return text.replace(" ", "")


def _named(row: Row) -> dict[str, str]:
    """The labels of a row in the words that people read; an empty cell is no label."""
    labels = {question: read(row[question]) for question, read in _READ.items() if row[question]}
    if "intent" in labels:
        labels["spam"] = "yes" if labels["intent"] == "spam" else "no"
    return labels


#: How a labelled post says each answer.
_READ: Mapping[str, Callable[[str], str]] = {
    "intent": str,
    "asks": _NO_YES.__getitem__,
    "needs": str,
    "anger": {"0": "calm", "1": "annoyed", "2": "angry"}.__getitem__,
    "sentiment": {"-1": "negative", "0": "neutral", "1": "positive"}.__getitem__,
    "urgent": _NO_YES.__getitem__,
    "risk": str,
    "tier": str,
}
