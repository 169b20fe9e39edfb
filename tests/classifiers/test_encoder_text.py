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


@pytest.mark.parametrize(
    "text", ["!" * 40_000, "#" * 40_000, "@" * 40_000, "aB" * 20_000, "&amp;" * 8_000, "\u200f" * 40_000, "#aB" * 13_000]
)
def test_a_flood_is_cut(text: str) -> None:
    (prepared,) = prepare([text])
    assert len(prepared) <= 2 * LONGEST


def test_a_flood_of_emoji_grows_no_longer_than_their_names() -> None:
    (prepared,) = prepare(["😡" * 40_000])
    assert len(prepared) < 40 * LONGEST
