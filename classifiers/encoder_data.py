"""What an encoder learns from, and what it may read for another model to learn from its answers.

Rows whose source forbids it never teach, nor do texts of the dev parts: those judge. A row without a label in one head teaches the others
all the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from classifiers.training_data import LICENCES, NOT_TO_LEARN_FROM, QUESTIONS, Row, Shelf, Truth, same_texts
from earshot.errors import BadInput

_YES_NO = ("no", "yes")
#: Every head and its labels, in the order of the columns.
HEADS: Mapping[str, tuple[str, ...]] = {
    **QUESTIONS,
    "tweet_sentiment": ("negative", "neutral", "positive"),
    "emotion": ("anger", "joy", "optimism", "sadness"),
    "toxicity": _YES_NO,
    "irony": _YES_NO,
}
MISSING = -1  #: the number of a label that is not there
_POST_HEADS = tuple(QUESTIONS)
#: Where a file has numbers for labels: its cells, in the order of the labels.
_CELLS: Mapping[str, tuple[str, ...]] = {
    "asks": ("0", "1"),
    "anger": ("0", "1", "2"),
    "sentiment": ("-1", "0", "1"),
    "urgent": ("0", "1"),
    "tweet_sentiment": ("0", "1", "2"),
    "emotion": ("0", "1", "2", "3"),
    "toxicity": ("0", "1"),
    "irony": ("0", "1"),
}
_SHORTEST = 4  #: letters; less says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Teacher:
    """A labelled set, and the heads that it teaches: head -> column."""

    data_set: str
    heads: Mapping[str, str] = field(default_factory=lambda: {head: head for head in _POST_HEADS})
    parts: tuple[str, ...] = ("train", "dev")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A set whose texts an encoder may read, without their labels, for another model to learn from its answers."""

    data_set: str
    part: str = "train"
    column: str = "text"
    lang: str = "en"
    only: Truth | None = None


TEACHERS: Sequence[Teacher] = (
    Teacher(data_set="triage_posts"),
    Teacher(data_set="invented_posts", parts=("train",)),
    Teacher(data_set="tweet_sentiment", heads={"tweet_sentiment": "label"}),
    Teacher(data_set="tweet_emotion", heads={"emotion": "label"}),
    Teacher(data_set="tweet_offensive", heads={"toxicity": "label"}),
    Teacher(data_set="tweet_irony", heads={"irony": "label"}),
)

#: What is most like a post to a brand comes first, so that a smaller pool is the better part of it.
READINGS: Sequence[Reading] = (
    Reading(data_set="complaints"),
    Reading(data_set="app_reviews"),
    Reading(data_set="tweet_acts"),
    Reading(data_set="tweet_emotion"),
    Reading(data_set="tweet_irony"),
    Reading(data_set="tweet_offensive"),
    Reading(data_set="banking77"),
    Reading(data_set="bitext_intents"),
    Reading(data_set="clinc150"),
    Reading(data_set="issue_reports", column="title"),
    Reading(data_set="cqa_sap", part="posts", column="title"),
    Reading(data_set="cqa_docusign", part="posts", column="title"),
    Reading(data_set="sms_spam"),
    Reading(data_set="social_spam"),
    Reading(data_set="tweet_sentiment"),
    Reading(data_set="tweet_hate"),
    Reading(data_set="tweet_stance"),
    Reading(data_set="multilingual_sentiment", only=lambda row: row["lang"] == "en"),
    Reading(data_set="goemotions"),
    Reading(data_set="irc_support_threads", part="train_messages", only=lambda row: row["kind"] == "message"),
    Reading(data_set="zh_car_feedback", lang="zh"),
    Reading(data_set="zh_assistant_intents", lang="zh"),
    Reading(data_set="zh_shopping_reviews", lang="zh"),
    Reading(data_set="zh_hotel_reviews", lang="zh"),
    Reading(data_set="zh_weibo_polarity", lang="zh"),
    Reading(data_set="zh_weibo_emotion", lang="zh"),
    Reading(data_set="zh_weibo_events", lang="zh"),
)


@dataclass(frozen=True, slots=True)
class Example:
    """A text with the labels that it has: head -> label."""

    text: str
    labels: Mapping[str, str]
    data_set: str


@dataclass(frozen=True, slots=True)
class Pool:
    """Texts to read, in an order that the same data always give."""

    texts: list[str]
    counts: Mapping[str, int]  #: set -> how many of its texts
    sha256: str


def to_learn(shelf: Shelf, languages: Sequence[str] = ("en",)) -> list[Example]:
    """The train parts, less what may not teach and what judges in any of them. Raises `BadInput` for a file or cell that cannot be read."""
    judging = judging_texts(shelf, sets=[teacher.data_set for teacher in TEACHERS])
    found = [example for teacher in TEACHERS for example in _examples(shelf, teacher, "train", languages, forbidden=NOT_TO_LEARN_FROM)]
    alike = same_texts([example.text for example in found])
    return [example for example, text in zip(found, alike, strict=True) if text and example.labels and text not in judging]


def to_judge(shelf: Shelf, languages: Sequence[str] = ("en",)) -> list[Example]:
    """The dev parts. What may not teach may judge."""
    return [example for teacher in TEACHERS if "dev" in teacher.parts for example in _examples(shelf, teacher, "dev", languages)]


def judging_texts(shelf: Shelf, sets: Sequence[str] = ("*",)) -> set[str]:
    """Every cell of the dev parts of these sets, or of all in the data directory, as `same_text` has it."""
    parts = sorted(path.relative_to(shelf.folder) for each in sets for path in shelf.folder.glob(f"{each}/dev*.csv.gz"))
    cells = {
        cell
        for path in parts
        for row in shelf.rows(path.parent.name, path.name.removesuffix(".csv.gz"))
        for cell in row.values()
        if isinstance(cell, str) and len(cell) >= _SHORTEST
    }
    return set(same_texts(list(cells)))


def to_read(shelf: Shelf, *, languages: Sequence[str] = ("en",), most: int | None = None) -> Pool:
    """The texts that may teach without labels: none that stands in a dev part or in `triage_posts`, none twice, `most` at most."""
    seen = judging_texts(shelf) | set(same_texts([row["text"] for row in shelf.rows("triage_posts", "train")]))
    texts: list[str] = []
    counts: dict[str, int] = {}
    for reading in READINGS:
        if reading.lang not in languages or len(texts) == most:
            continue
        new = _unseen(_readable(shelf, reading), seen)
        new = new if most is None else new[: most - len(texts)]
        counts[reading.data_set] = len(new)
        texts += new
    return Pool(texts=texts, counts=counts, sha256=hash_of(texts))


def _unseen(texts: Sequence[str], seen: set[str]) -> list[str]:
    """Those that read like none in `seen`, which grows by them."""
    new = []
    for text, alike in zip(texts, same_texts(texts), strict=True):
        if len(alike) >= _SHORTEST and alike not in seen:
            seen.add(alike)
            new.append(text)
    return new


def hash_of(texts: Sequence[str]) -> str:
    """SHA-256 of texts and their order."""
    digest = hashlib.sha256()
    for text in texts:
        content = text.encode("utf-8", "surrogatepass")
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()


def licences(sets: Iterable[Teacher | Reading]) -> dict[str, str]:
    """Set -> licence."""
    return {each.data_set: LICENCES[each.data_set] for each in sets}


def _readable(shelf: Shelf, reading: Reading) -> list[str]:
    rows = _with_column(shelf, reading.data_set, reading.part, reading.column)
    return [row[reading.column] for row in rows if row.get(reading.column) and (reading.only is None or reading.only(row))]


def _with_column(shelf: Shelf, data_set: str, part: str, column: str) -> list[Row]:
    rows = shelf.rows(data_set, part)
    if rows and column not in rows[0]:
        raise BadInput(
            f"data set {data_set}/{part}.csv.gz: has no column {column}, only {', '.join(rows[0])}; rename the one with the texts"
        )
    return rows


def _examples(
    shelf: Shelf, teacher: Teacher, part: str, languages: Sequence[str], *, forbidden: frozenset[str] = frozenset()
) -> Iterator[Example]:
    file = Path(teacher.data_set) / f"{part}.csv.gz"
    for number, row in enumerate(_with_column(shelf, teacher.data_set, part, "text"), start=1):
        if row.get("lang", "en") in languages and row.get("source") not in forbidden:
            labels = {head: _label(row, head, column, f"{file}, row {number}") for head, column in teacher.heads.items()}
            yield Example(row["text"] or "", {head: label for head, label in labels.items() if label}, teacher.data_set)


def _label(row: Row, head: str, column: str, place: str) -> str:
    """The label in the words that people read; empty where the cell is."""
    cell = row.get(column) or ""
    cells = _CELLS.get(head, HEADS[head])
    if cell and cell not in cells:
        raise BadInput(f"{place}: {column} is {cell!r}, none of {', '.join(cells)}; correct it, or leave the cell empty")
    return HEADS[head][cells.index(cell)] if cell else ""
