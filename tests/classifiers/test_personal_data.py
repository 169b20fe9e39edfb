from __future__ import annotations

from collections import Counter
from itertools import pairwise

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.personal_data import SURENESS, all_spans, mask, spans
from classifiers.personal_glance import glance, unmask

MASKED = {
    "e-mail": [
        ("write to jane.doe+x@mail.example.org please", "write to [e-mail] please"),
        ("邮箱jane@example.com联系", "邮箱[e-mail]联系"),
        ("mail jane (at) example (dot) com", "mail [e-mail]"),
        ("mail jane[at]example.com!", "mail [e-mail]!"),
    ],
    "phone": [
        ("call +44 20 7946 0958 now", "call [phone] now"),
        ("my number is (415) 555-2671, ring me", "my number is [phone], ring me"),
        ("打我电话13812345678吧", "打我电话[phone]吧"),
        ("answering at 374 780 163?", "answering at [phone]?"),
        ("call 555-1234 or 555-9876", "call [phone] or [phone]"),
        ("Desk: +1-903-140-4508x769", "Desk: [phone]"),
        ("tel 030/1234567", "tel [phone]"),
        ("+49 (0)30 123456", "[phone]"),
    ],
    "card": [
        ("card 4111 1111 1111 1111 was charged", "card [card] was charged"),
        ("the 4111-1111-1111-1111 of mine", "the [card] of mine"),
        ("my card number is 4111 1111 1111 1112", "my card number is [card]"),
    ],
    "iban": [("IBAN DE89 3704 0044 0532 0130 00 ok", "IBAN [iban] ok"), ("to gb82west12345698765432", "to [iban]")],
    "id": [
        ("SSN 536-22-1234", "SSN [id]"),
        ("ssn 536221234", "ssn [id]"),
        ("身份证11010519491231002X", "身份证[id]"),
        ("nino AB 12 34 56 C", "nino [id]"),
        ("12345678Z es mi DNI", "[id] es mi DNI"),
        ("sono RSSMRA85T10A562S", "sono [id]"),
        ("hetu 131052-308T", "hetu [id]"),
        ("passport no. X1234567", "passport no. [id]"),
        ("护照号 E12345678", "护照号 [id]"),
    ],
    "ip": [("logged in from 81.203.44.17 today", "logged in from [ip] today")],
    "order": [
        ("order LF-4821973 is late", "order [order] is late"),
        ("where is order #83920174?", "where is order #[order]?"),
        ("my booking reference is QX7RTP thanks", "my booking reference is [order] thanks"),
        ("PNR ABCDEF please", "PNR [order] please"),
        ("订单号：2023120588123 还没发货", "订单号：[order] 还没发货"),
        ("tracking 1Z999AA10123456784", "tracking [order]"),
        ("113-1234567-1234567 never came", "[order] never came"),
        ("invoice INV-2023-00412", "invoice [order]"),
    ],
    "link": [
        ("https://shop.example/reset?token=abcdef123456 leaked", "[link] leaked"),
        ("see https://x.example/a?utm_source=mail&code=abc12345 now", "see [link] now"),
        ("https://x.example/reset/3f9a8b7c6d5e4f3a2b1c done", "[link] done"),
        ("https://ann:secret@host.example/x", "[link]"),
    ],
    "address": [
        ("I live at 221 Baker Street, come by", "I live at [address], come by"),
        ("I live at 221 BAKER STREET", "I live at [address]"),
        ("寄到杭州市西湖区文三路138号", "寄到[address]"),
        ("寄到广东省深圳市南山区科技园南路18号3栋502室", "寄到[address]"),
        ("北京市朝阳区建国路88号院5号楼1201", "[address]"),
        ("come to Lindenweg 4, Berlin", "come to [address], Berlin"),
        ("moved to 7, avenue des Fleurs", "moved to [address]"),
        ("at 14b Elm tree house Apt 3 now", "at [address] now"),
        ("send it to Unit 7, Box 12", "send it to [address]"),
        ("write to P.O. Box  99", "write to [address]"),
        ("it is 12 Elm Street\n Suite 445\n LOW TOWN\n United Kingdom 10543", "it is [address]"),
        ("my new address is 3421 Fagradalsbraut 71", "my new address is [address]"),
        ("ulica Miła 53", "[address]"),
        ("I live at 12 oak road", "I live at [address]"),
    ],
    "postcode": [
        ("near SW1A 1AA, please", "near [postcode], please"),
        ("I am in Springfield, IL 62704 today", "I am in [postcode] today"),
        ("my zip code is 880", "my zip code is [postcode]"),
        ("邮编 518000", "邮编 [postcode]"),
    ],
    "name": [
        ("Name: Jane Doe\nPhone: 415-555-2671", "Name: [name]\nPhone: [phone]"),
        ("Jane M Doe, 415-555-2671", "[name], [phone]"),
        ("Dear Jane Doe, 221 Baker Street", "Dear [name], [address]"),
        ("this is Maria Lopez, my email is m@x.org", "this is [name], my email is [e-mail]"),
        ("收件人：王小明 13812345678", "收件人：[name] [phone]"),
        ("13812345678 王小明", "[phone] [name]"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("written", "masked"), [pair for pairs in MASKED.values() for pair in pairs])
def test_personal_data_is_masked_and_the_rest_stays_readable(written: str, masked: str) -> None:
    assert mask(written) == masked


def test_every_kind_is_told_apart_and_says_how_sure_it_is() -> None:
    assert set(MASKED) == set(SURENESS)
    assert all(f"[{kind}]" in masked for kind, pairs in MASKED.items() for _, masked in pairs)


@pytest.mark.parametrize(
    "text",
    [
        "error CE-34224-5 again",
        "since version 12.4.1 it costs $1,299.00",
        "open 24/7 in 2024-2025",
        "24/7 Wall St",
        "the 2 hubs and 30 lamps",
        "@someone @someone.else thanks",
        "win 10 or ios 17.5.1? build 19045.3803",
        "2023-12-05 14:33:10",
        "order two of them",
        "my order has not arrived",
        "reservation PLEASE help",
        "the router at 192.168.1.1 and dns 8.8.8.8",
        "firmware 17.4.12.21 is bad",
        "2.124.821.694 views",
        "home at 7 with 3 kids",
        "meet at 5 Guys at 7",
        "I DECIDED 2 GO N E WAY",
        "10 Oct 2012 in Hall 4",
        "Jane Doe and John Smith were there",
        "https://t.co/abc123 https://youtube.com/watch?v=dQw4w9WgXcQ",
        "https://shop.example/track?order=1",
        "今天买了2个，第3号店，99路公交",
    ],
)
def test_ordinary_numbers_stay(text: str) -> None:
    assert mask(text) == text


def test_a_companys_free_line_is_nobodys_own() -> None:
    assert mask("call 1-800-555-0199 or 0800 123 4567") == "call 1-800-555-0199 or 0800 123 4567"


def test_a_card_number_with_a_wrong_digit_is_no_card() -> None:
    assert "card" not in {span.kind for span in spans("4111 1111 1111 1112")}


@pytest.mark.parametrize("wrong", ["110105194912310021", "11010519491331002X", "GB82WEST12345698765433", "RSSMRA85T10A562T", "12345678A"])
def test_an_identity_number_with_a_wrong_checksum_is_none(wrong: str) -> None:
    assert not {"id", "iban"} & {span.kind for span in spans(f"it says {wrong}")}


@pytest.mark.parametrize(
    ("written", "masked"),
    [
        ("call me on １３８１２３４５６７８ ok", "call me on [phone] ok"),
        ("打我138\u200b1234\u200d5678", "打我[phone]"),
        ("card 4111\u20601111\u00ad1111\ufeff1111.", "card [card]."),
        ("call 138–1234–5678", "call [phone]"),
        ("1️⃣3️⃣8️⃣1️⃣2️⃣3️⃣4️⃣5️⃣6️⃣7️⃣8️⃣ ok", "[phone] ok"),
        ("call 𝟒𝟏𝟓-𝟓𝟓𝟓-𝟐𝟔𝟕𝟏", "call [phone]"),
        ("اتصل ٤١٥-٥٥٥-٢٦٧١", "اتصل [phone]"),
        ("jane＠exam\u200bple．com", "[e-mail]"),
    ],
)
def test_no_disguise_hides_a_number(written: str, masked: str) -> None:
    assert mask(written) == masked


def test_spans_say_where_it_stands_in_the_text_as_given() -> None:
    text = "😀 call １３８\u200b１２３４５６７８ or jane@example.org"
    assert [text[span.start : span.end] for span in spans(text)] == ["１３８\u200b１２３４５６７８", "jane@example.org"]


@given(st.text(alphabet="0123456789 +-()@.abcXYZ#:路号市\n１\u200b/=", max_size=300))
def test_spans_are_in_order_apart_and_inside(text: str) -> None:
    found = spans(text)
    assert all(0 <= span.start < span.end <= len(text) for span in found)
    assert all(one.end <= other.start for one, other in pairwise(found))
    mask(text)


@given(st.lists(st.text(alphabet="0123456789 +-()@.abcXYZ#:路号市St\n\ud83d", max_size=60), max_size=8))
def test_a_text_shows_the_same_alone_and_in_a_batch(texts: list[str]) -> None:
    assert all_spans(texts) == [spans(text) for text in texts]


def test_what_a_glance_cannot_rule_out_costs_no_more_than_a_glance() -> None:
    quiet = ["what a lovely day, thank you!", "为什么还没到？", "@someone why is it down again #fail", "so good 😀😀", ""]
    assert glance(quiet) == [0] * len(quiet)


@given(st.text(max_size=60))
def test_a_disguise_taken_off_leaves_each_character_where_it_stood(text: str) -> None:
    plain, stood = unmask(text)
    assert len(plain) == len(stood)
    assert all(char == text[place] or char.isascii() for char, place in zip(plain, stood, strict=True))


def test_a_flood_of_numbers_is_masked_whole_though_few_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: Counter[str] = Counter()
    parse = phonenumbers.parse

    def counted(number: str, region: str | None = None) -> phonenumbers.PhoneNumber:
        asked[number] += 1
        return parse(number, region)

    monkeypatch.setattr(phonenumbers, "parse", counted)
    assert mask("call 415-555-2671, " * 2_000) == "call [phone], " * 2_000
    assert asked.total() <= 100


@pytest.mark.parametrize("unit", ["1", "1 ", "1-", "a@", "A1-", "221 Baker ", "https://a/reset/", "at 1 A ", "区1号", "order 12345 ", "１"])
def test_a_hostile_text_is_read_to_its_end(unit: str) -> None:
    text = unit * (40_000 // len(unit)) + " jane@example.org"
    assert text[spans(text)[-1].start :] == "jane@example.org"


SHOWN = (
    "jo@example.org",
    "+49 30 1234567",
    "QWERTZ",
    " https://x.example/a/b/c?token=ab12cd34",
    "１３８１２３４５６７８",
    "jo (at) example (dot) com",
    "138号",
    "LF-48213",
)


@given(st.lists(st.lists(st.sampled_from((*SHOWN, " ", "call me", "订单", "booking ")), max_size=4).map("".join), min_size=1, max_size=4))
def test_in_few_texts_the_same_is_found_as_in_many(texts: list[str]) -> None:
    assert all_spans(texts) == all_spans(texts * 20)[: len(texts)]


def test_a_number_is_seen_behind_a_text_that_ends_with_one() -> None:
    assert [len(found) for found in all_spans(["page 5", "+49 30 1234567"] * 20)] == [0, 1] * 20
