"""What an author wrote anew when they edited a post."""

from __future__ import annotations

import pytest

from listener.edits import MOST_COMPARED, added

ASKED = "How do I pair the hub with my phone?"


@pytest.mark.parametrize(
    ("former", "text", "new"),
    [
        ("How do I pair teh hub?", "How do I pair the hub?", ""),
        ("my lamp blinks", "My lamp blinks!", ""),
        (ASKED, f"{ASKED} EDIT: that worked, thanks!", "EDIT: that worked, thanks!"),
        (ASKED, f"Solved. {ASKED}", "Solved."),
        ("the hub works", "the hub never works", "never"),
        ("the hub does not work", "the hub does work", "the hub does work"),
        ("I own 3 lamps", "I own 4 lamps", "4"),
        ("pair the hub", "pair the app", "app"),
        ("我的灯不亮了", "我的灯不亮了。更新：还是不行", "。更新：还是不行"),
        ("", "hello", "hello"),
        ("hello there", "", ""),
        ("same", "same", ""),
    ],
)
def test_what_is_new_is_told_as_it_is_written_and_slips_of_the_pen_are_not(former: str, text: str, new: str) -> None:
    assert added([(former, text)]) == [new]


def test_a_change_too_large_to_compare_is_all_new() -> None:
    before, after = "x " * (MOST_COMPARED + 1), "y " * (MOST_COMPARED + 1)
    assert added([("a " + before + "z", "a " + after + "z")]) == [after.strip()]
