"""The influence table, safe to open anywhere; share of voice."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest

from earshot.mention import Author, Mention, Score, ScoredMention
from influence.report import author_rows, influence_table, neutralise, to_csv, to_text
from influence.share_of_voice import share_of_voice
from influence.weigh import default_population

AT = datetime(2026, 11, 3, tzinfo=UTC)


def said(
    number: int, *, by: int = 1, name: str = "Ann", followers: int | None = 100, sentiment: str = "neutral", topics: str = "hub"
) -> ScoredMention:
    author = Author(network="x", native_id=str(by), handle=f"h{by}", name=name, followers=followers)
    mention = Mention(network="x", native_id=str(number), author=author, text="…", url="", posted_at=AT)
    labels = {"sentiment": sentiment, "topics": topics}
    return ScoredMention(
        mention=mention, scores=tuple(Score(name=name, label=label, value=0, confidence=1, by="test") for name, label in labels.items())
    )


def test_each_author_has_one_row_the_most_influential_first() -> None:
    rows = author_rows(
        [
            said(1, sentiment="negative", topics="hub app"),
            said(2, sentiment="negative", topics="app"),
            said(3, sentiment="positive", topics="none"),
            said(4, by=2, followers=50_000, topics=""),
        ],
        default_population(),
    )
    assert [(row.handle, row.mentions, row.topic) for row in rows] == [("h2", 1, ""), ("h1", 3, "app")]
    assert rows[1].sentiment == pytest.approx(-1 / 3)
    assert rows[0].resonance is None


def test_mentions_without_an_author_are_left_out() -> None:
    lone = ScoredMention(mention=Mention(network="x", native_id="1", author=None, text="", url="", posted_at=AT), scores=())
    assert author_rows([lone], default_population()) == author_rows([], default_population()) == []


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", " =", "\t@"])
def test_a_cell_that_a_spreadsheet_would_run_is_neutralised(start: str) -> None:
    rows = author_rows([said(1, name=f"{start}cmd|' /C calc'!A0", topics="@SUM(1)")], default_population())
    [cells] = list(csv.DictReader(io.StringIO(to_csv(influence_table(rows)), newline="")))
    assert cells["author"].startswith("'")
    assert cells["topic"] == "'@SUM(1)"


def test_numbers_and_plain_words_stay_as_they_are() -> None:
    assert [neutralise(cell) for cell in (-0.5, "Ann", "a=b", "", None)] == [-0.5, "Ann", "a=b", "", None]


def test_the_text_has_no_control_characters_and_no_turned_writing() -> None:
    text = to_text(influence_table(author_rows([said(1, name="A\u202enn\x1b[31m\nB")], default_population())))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert len(text.splitlines()) == 2


def test_an_empty_table_has_its_columns() -> None:
    assert to_csv(influence_table([])) == "author,network,handle,percentile,reach,resonance,mentions,sentiment,topic\n"


def test_share_of_voice_is_counted_per_network() -> None:
    def of(company: str | None, network: str = "x") -> Mention:
        return Mention(network=network, native_id="1", author=None, text="", url="", posted_at=AT, company=company)

    heard = [of("Acme"), of("acme"), of("Rival"), of(None), of("Other"), of("Rival", "reddit")]
    table = share_of_voice(heard, brands=["Acme", "Rival"]).set_index(["brand", "network"])
    assert table.loc[("Acme", "x"), "share"] == pytest.approx(2 / 3)
    assert table.loc[("Acme", "reddit"), "mentions"] == 0
    assert share_of_voice([], brands=["Acme"]).empty
