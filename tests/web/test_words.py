"""Names of strangers, times, and what weighed in a post."""

from __future__ import annotations

from datetime import timedelta

import pytest
from houses import NOW
from hypothesis import given
from hypothesis import strategies as st

from earshot.web import words


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Ana", "Ana"),
        ("  Ana \n\t Lopez  ", "Ana Lopez"),
        ("A\u200bn\u200da\ufeff", "Ana"),
        ("\u202egnp.exe", "gnp.exe"),
        ("\u2067Ana\u2069", "Ana"),
        ("\u3164\u2800\u115f", ""),
        ("Z" + "\u0301" * 40, "Z" + "\u0301" * 3),
        ("x" * 1_000_000, "x" * 59 + "…"),
        ("流萤", "流萤"),
    ],
)
def test_a_name_is_shown_without_what_cannot_be_seen(name: str, shown: str) -> None:
    assert words.clean_name(name) == shown


@given(st.text())
def test_no_name_spans_lines_or_turns_the_reading_direction(name: str) -> None:
    shown = words.clean_name(name)
    assert len(shown) <= words.LONGEST_NAME
    assert "\n" not in shown
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b")


@given(
    st.text(st.characters(exclude_categories=["Mn"]), max_size=300),
    st.lists(st.tuples(st.integers(-5, 400), st.integers(-5, 400)), max_size=8),
)
def test_marking_what_weighed_changes_no_word(text: str, spans: list[tuple[int, int]]) -> None:
    assert "".join(piece for piece, _ in words.highlight(text, spans)) == words.clean_post(text)


def test_what_weighed_is_marked_where_it_stands() -> None:
    assert list(words.highlight("I am furious now", [(5, 12), (8, 12)])) == [("I am ", False), ("furious", True), (" now", False)]


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//x.example", "http://", "HTTP ://x", "ftp://x.example", "", "https:///x"]
)
def test_only_web_addresses_become_links(url: str) -> None:
    assert words.outward(url) == ""


def test_times_are_as_exact_as_a_glance_needs() -> None:
    assert words.due(NOW + timedelta(minutes=25), NOW) == "due in 25 min"
    assert words.due(NOW - timedelta(hours=3, minutes=20), NOW) == "3 h 20 min late"
    assert words.due(None, NOW) == "nobody waits"
    assert words.ago(NOW - timedelta(seconds=20), NOW) == "under a minute ago"
    assert words.ago(NOW - timedelta(days=3), NOW) == "3 d ago"
    assert words.ago(NOW + timedelta(hours=5), NOW) == "in 5 h"


def test_influence_is_said_as_people_say_it() -> None:
    assert [words.standing(value) for value in (0.999, 0.95, 0.6, 0.2, None)] == [
        "top 1 %", "top 5 %", "top 40 %", "lower half", "influence unknown",
    ]  # fmt: skip
    assert [words.count(n) for n in (None, 7, 1200, 15_000, 2_500_000)] == ["–", "7", "1.2k", "15k", "2.5M"]


@pytest.mark.parametrize(
    ("number", "shown"), [(0, "0 replies"), (1, "1 reply"), (2, "2 replies"), (1_000, "1,000 replies")]
)  # fmt: skip
def test_one_is_not_many(number: int, shown: str) -> None:
    assert words.many(number, "reply", "replies") == shown


def test_what_nobody_counted_is_called_as_many_are() -> None:
    assert words.noun(None, "follower") == "followers"
