"""The page of the query language is true: each line of its tables can be read, and finds what it says."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from earshot.errors import BadInput
from earshot.mention import Mention
from listener.query import DIALECTS, matches, read
from listener.query.grammar import DEEPEST, FARTHEST, FIELDS, LONG_FUZZY, LONGEST, MOST_TERMS, SHORTEST_FUZZY
from listener.query.networks import MOST_SEARCHES

PAGE = (Path(__file__).parents[2] / "docs" / "queries.md").read_text(encoding="utf-8")


def table(title: str) -> list[list[str]]:
    lines = PAGE.partition(f"{title}\n")[2].partition("\n#")[0].splitlines()
    return [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")][1:]


EXAMPLES = [(row[0].strip("`"), row[2], row[3]) for row in table("## The language")]
FIELD_EXAMPLES = [row[0].strip("`") for row in table("### Fields")]


@pytest.mark.parametrize(("query", "found", "not_found"), EXAMPLES)
def test_each_example_finds_the_one_post_and_not_the_other(query: str, found: str, not_found: str) -> None:
    posts = [
        Mention(network="x", native_id=text, author=None, text=text, url="https://x.com/i/1", posted_at=datetime(2026, 11, 1, tzinfo=UTC))
        for text in (found, not_found)
    ]
    assert matches({1: read(query)}, posts) == [(1,), ()]


@pytest.mark.parametrize("query", FIELD_EXAMPLES)
def test_each_example_of_a_field_can_be_read(query: str) -> None:
    assert read(query).text == query


def test_every_field_and_every_network_with_a_search_stands_in_its_table() -> None:
    assert {re.split("[:<>=]", query.split()[-1])[0] for query in FIELD_EXAMPLES} == set(FIELDS)
    assert {row[0].strip("`") for row in table("## What networks are asked")} == set(DIALECTS)
    assert len(EXAMPLES) > 20


def test_the_mistake_that_is_shown_is_told_like_that() -> None:
    shown = re.search(r"```text\n(.*?)\n```", PAGE, re.DOTALL)
    assert shown is not None
    with pytest.raises(BadInput) as refused:
        read(shown[1].split("\n")[1].strip())
    assert str(refused.value) == shown[1]


def test_the_limits_are_those_of_the_code() -> None:
    assert f"{LONGEST:,} characters, {MOST_TERMS} terms, {DEEPEST} parentheses" in PAGE
    assert (FARTHEST, MOST_SEARCHES, SHORTEST_FUZZY, LONG_FUZZY) == (100, 20, 6, 9)
