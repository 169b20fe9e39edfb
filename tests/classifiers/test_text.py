from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.text import LONGEST, normalise, normalise_all


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("see https://t.co/x?y=1 now", "see link now"),
        ("看http://t.cn/A6P2你好", "看link你好"),
        ("@Some_One.x thanks", "@ thanks"),
        ("@小米客服 在吗", "@ 在吗"),
        ("mail bob@example.org please", "mail bob xemailx please"),
        ("order LF-4821973 or <number>", "order LF-xnumberx or xnumberx"),
        ("fish &amp; chips &lt;3", "fish & chips <3"),
        ("ｆｕｌｌ　ｗｉｄｔｈ！", "full width!"),
        ("in\u200bvis\u202eible\ufeff", "invisible"),
        ("it’s “fine”", 'it\'s "fine"'),
        ("ref\u0443nd", "refynd"),
        ("sooooooo bad!!!!!!", "sooo bad!!!"),
        ("one\r\ntwo\tthree\u2028four", "one  two three four"),
        ("Слава ÉCOLE", "слава éCOLE"),
        ("", ""),
    ],
)
def test_posts_that_read_alike_become_alike(written: str, read: str) -> None:
    assert normalise(written) == read


def test_letters_that_pose_as_latin_are_read_as_latin() -> None:
    assert normalise("\u0430ccount bl\u043ecked") == "account blocked"


def test_a_long_post_is_read_at_its_beginning_and_its_end() -> None:
    read = normalise("start " + "word " * 20_000 + "finish")
    assert len(read) <= LONGEST + 1
    assert read.startswith("start ")
    assert read.endswith("finish")


@given(st.lists(st.text(max_size=60), max_size=8))
def test_many_are_normalised_as_each_alone(texts: list[str]) -> None:
    assert normalise_all(texts) == [normalise(text) for text in texts]


@given(st.text(max_size=200))
def test_no_line_break_is_left(text: str) -> None:
    assert "\n" not in normalise(text)
