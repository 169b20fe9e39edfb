from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.personal_data import mask, spans


@pytest.mark.parametrize(
    ("written", "masked"),
    [
        ("write to jane.doe+x@mail.example.org please", "write to [e-mail] please"),
        ("call +44 20 7946 0958 now", "call [phone] now"),
        ("my number is (415) 555-2671, ring me", "my number is [phone], ring me"),
        ("打我电话13812345678吧", "打我电话[phone]吧"),
        ("card 4111 1111 1111 1111 was charged", "card [card] was charged"),
        ("IBAN DE89 3704 0044 0532 0130 00 ok", "IBAN [iban] ok"),
        ("order LF-4821973 is late", "order [order] is late"),
        ("where is order #83920174?", "where is order #[order]?"),
        ("my booking reference is QX7RTP thanks", "my booking reference is [order] thanks"),
        ("订单号：2023120588123 还没发货", "订单号：[order] 还没发货"),
        ("SSN 536-22-1234", "SSN [id]"),
        ("身份证11010519491231002X", "身份证[id]"),
        ("I live at 221 Baker Street, come by", "I live at [address], come by"),
        ("寄到杭州市西湖区文三路138号", "寄到[address]"),
        ("https://shop.example/reset?token=abcdef123456 leaked", "[link] leaked"),
        ("come to Lindenweg 4, Berlin", "come to [address], Berlin"),
        ("moved to 7, avenue des Fleurs", "moved to [address]"),
        ("at 14b Elm tree house Apt 3 now", "at [address] now"),
        ("send it to Unit 7, Box 12", "send it to [address]"),
        ("write to P.O. Box  99", "write to [address]"),
        ("near SW1A 1AA, please", "near [post code], please"),
        ("I am in Springfield, IL 62704 today", "I am in [post code] today"),
    ],
)
def test_personal_data_is_masked_and_the_rest_stays_readable(written: str, masked: str) -> None:
    assert mask(written) == masked


@pytest.mark.parametrize(
    "text",
    [
        "error CE-34224-5 again",
        "since version 12.4.1 it costs $1,299.00",
        "open 24/7 in 2024-2025",
        "the 2 hubs and 30 lamps",
        "@someone @someone.else thanks",
        "win 10 or ios 17.5.1?",
        "2023-12-05 14:33:10",
        "order two of them",
        "my order has not arrived",
    ],
)
def test_ordinary_numbers_stay(text: str) -> None:
    assert mask(text) == text


def test_a_card_number_with_a_wrong_digit_is_no_card() -> None:
    assert "card" not in {span.kind for span in spans("4111 1111 1111 1112")}


@given(st.text(alphabet="0123456789 +-()@.abcXYZ#:路号市", max_size=300))
def test_spans_are_in_order_apart_and_inside(text: str) -> None:
    found = spans(text)
    assert all(0 <= span.start < span.end <= len(text) for span in found)
    assert all(one.end <= other.start for one, other in pairwise(found))
    mask(text)
