from __future__ import annotations

import pytest

from classifiers.encoder_text import LONGEST, prepare


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("Fish &amp; chips &lt;3", "Fish & chips <3"),
        ("see https://example.org/a?b=c and www.example.org now", "see  and  now"),
        ("@quillmere help, @other_one", "@user help, @user"),
        ("#TakeMyMoney #sale #iOS17Beta", "Take My Money sale i OS17Beta"),
        ("sooooo goooood!!!!!", "sooo goood!!!!!"),
        ("thanks😂", "thanks tears of joy "),
        ("stop \u26a0\ufe0f now", "stop  warning  now"),
        ("half \ud83d a pair", "half  a pair"),
        ("", ""),
        ("你好", "你好"),
    ],
)
def test_a_post_is_spelt_out(text: str, prepared: str) -> None:
    assert prepare([text]) == [prepared]


def test_texts_keep_their_order() -> None:
    assert prepare(["one", "two"]) == ["one", "two"]


@pytest.mark.parametrize("part", ["!", "#", "@", "aB", "&amp;", "\u200f", "#aB", "😡", "www.", "why "])
def test_a_flood_is_cut(part: str) -> None:
    (prepared,) = prepare([part * 40_000])
    assert len(prepared) <= LONGEST
