"""What a query just misses is shown with what kept it out."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.errors import BadInput
from earshot.mention import Mention
from listener.query import matches, near_misses, read

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def posts(*texts: str) -> list[Mention]:
    return [
        Mention(network="x", native_id=str(number), author=None, text=text, url="https://x.com/i/1", posted_at=NOW, lang_hint="en")
        for number, text in enumerate(texts)
    ]


@pytest.mark.parametrize(
    ("query", "text", "why", "slip"),
    [
        ("lumifern lamp", "lumifern chair", "lacks lamp", False),
        ("lumifern lamp lang:de", "lumifern lamp", "lacks lang:de", False),
        ("lumifern -giveaway", "lumifern giveaway", "says giveaway, which NOT leaves out", False),
        ("lumifern (lamp OR shade)", "lumifern chair", "lacks lamp OR shade", False),
        ("chair OR (lumifern lamp shade)", "lumifern shade", "lacks lamp", False),
        ("lumifern lamp", "my lumifren lamp", "a slip away from lumifern: lumifren", True),
        ("lumifern", "my lumfern", "a slip away from lumifern: lumfern", True),
        ("lumifern", "my Lumi Fern", "written apart: lumifern", True),
        ('"lumi fern"', "my lumifern", 'written together: "lumi fern"', True),
        ('"Lumifern"c', "LUMIFERN", 'other capitals than in "Lumifern"c', True),
        ("lumifern NEAR/1 lamp", "lumifern is a very nice lamp", "too far apart, or in another order: lumifern NEAR/1 lamp", True),
        ("lumifern ONEAR/1 lamp", "lamp lumifern", "too far apart, or in another order: lumifern ONEAR/1 lamp", True),
        ("台灯 坏了", "台灯很好", "lacks 坏了", False),
    ],
)
def test_a_near_miss_says_why(query: str, text: str, why: str, slip: bool) -> None:
    (miss,) = near_misses(read(query), posts(text))
    assert (miss.post, miss.why, miss.slip) == (0, why, slip)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("lumifern lamp", "lumifern lamp"),
        ("lumifern lamp", "a chair"),
        ("lumifern lamp shade", "lumifern"),
        ("lumifern", "chair"),
        ("lumifern -giveaway", "chair"),
        ("lamp", "damp"),
        ("lamp", "lam"),
        ("lumifern lamp", "lumifren chair"),
    ],
)
def test_this_is_no_near_miss(query: str, text: str) -> None:
    assert near_misses(read(query), posts(text)) == []


def test_near_misses_come_in_the_order_of_the_posts() -> None:
    found = near_misses(read("lumifern lamp"), posts("lumifern", "lumifern lamp", "lumifren lamp", "nothing", "lamp"))
    assert [(miss.post, miss.slip) for miss in found] == [(0, False), (2, True), (4, False)]


@given(
    st.lists(
        st.sampled_from(["lumifern", "lamp", '"old lamp"', "NOT", "-", "OR", "(", ")", "NEAR/1", '"Lamp"c', "lam*", "~lumifern"]),
        max_size=8,
    ),
    st.lists(st.text(alphabet="lumifern oldpa台"), max_size=5),
)
def test_what_matches_is_never_a_near_miss(words: list[str], texts: list[str]) -> None:
    try:
        query = read(" ".join(words))
    except BadInput:
        return
    all_posts = posts(*texts)
    matching = {number for number, its in enumerate(matches({1: query}, all_posts)) if its}
    assert matching.isdisjoint(miss.post for miss in near_misses(query, all_posts))
