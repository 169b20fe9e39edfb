"""Queries are read into trees, and what cannot be read is pointed at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.errors import BadInput
from listener.query import read, write
from listener.query.grammar import LONGEST
from listener.query.tree import And, Field, Followers, Fuzzy, Near, Not, Or, Term

LAMP, CHAIR, SPAM = Term("lamp"), Term("chair"), Term("spam")


def refusal(text: str) -> str:
    with pytest.raises(BadInput) as refused:
        read(text)
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("lamp", LAMP),
        ("lamp chair", And((LAMP, CHAIR))),
        ("lamp AND chair", And((LAMP, CHAIR))),
        ("lamp OR chair", Or((LAMP, CHAIR))),
        ("lamp NOT chair", And((LAMP, Not(CHAIR)))),
        ("lamp -chair", And((LAMP, Not(CHAIR)))),
        ("lamp -(chair OR spam)", And((LAMP, Not(Or((CHAIR, SPAM)))))),
        ("lamp NOT NOT chair", And((LAMP, CHAIR))),
        ("lamp chair OR spam", Or((And((LAMP, CHAIR)), SPAM))),
        ("lamp (chair OR spam)", And((LAMP, Or((CHAIR, SPAM))))),
        ('"Broken   Lamp"', Term("broken lamp")),
        ("lamp*", Term("lamp", opens=True)),
        ('"broken lamp*"', Term("broken lamp", opens=True)),
        ('"Apple Watch"c', Term("apple watch", cased="Apple Watch")),
        ("wi-fi", Term("wi fi")),
        ("lamp NEAR/5 chair", Near(LAMP, CHAIR, 5)),
        ("lamp ONEAR/0 (chair OR spam)", Near(LAMP, Or((CHAIR, SPAM)), 0, ordered=True)),
        ("~lampshade", Fuzzy("lampshade", slips=2)),
        ("~lumifern", Fuzzy("lumifern", slips=1)),
        ("lamp author:@Jane_Doe", And((LAMP, Field("author", "jane_doe")))),
        ("lamp author:u/Jane", And((LAMP, Field("author", "jane")))),
        ("lamp lang:ZH", And((LAMP, Field("lang", "zh")))),
        ("lamp network:reddit", And((LAMP, Field("network", "reddit")))),
        ("url:https://lumifern.com/help", Field("url", "lumifern.com/help")),
        ("lamp followers>10k", And((LAMP, Followers(">", 10_000)))),
        ("lamp followers<=500", And((LAMP, Followers("<=", 500)))),
        ("lamp is:reply -is:question", And((LAMP, Field("is", "reply"), Not(Field("is", "question"))))),
        ("lamp sentiment:negative", And((LAMP, Field("sentiment", "negative")))),
        ("台灯 坏了", And((Term("台灯"), Term("坏了")))),
        ("我的Lumifern坏了", Term("我的 lumifern 坏了")),
        ("#Lumifern @lumifern", And((Term("#lumifern"), Term("@lumifern")))),
        ("🔥", Term("🔥")),
        ("ＬＡＭＰ", LAMP),
        ("“broken lamp”", Term("broken lamp")),
        ("lamp\n\tchair", And((LAMP, CHAIR))),
        ("lamp lamp", LAMP),
        ('"or"', Term("or")),
    ],
)
def test_a_query_means_this_tree(text: str, tree: object) -> None:
    assert read(text).tree == tree


@pytest.mark.parametrize(
    ("text", "column", "advice"),
    [
        ("lamp AND", 6, "a word is missing after AND"),
        ("AND lamp", 1, "AND needs a word before it"),
        ("lamp OR OR chair", 9, "OR needs a word before it"),
        ("lamp NOT", 6, "a word is missing after NOT"),
        ("lamp (chair OR spam", 6, "write )"),
        ("lamp)", 5, "there is no ( for this )"),
        ("lamp ()", 7, "write something between"),
        ('lamp "broken', 6, "quotation mark is not closed"),
        ("lamp colour:red", 6, "write one of author, lang, network, url, followers, is, sentiment"),
        ("lamp author: jane", 6, "without a space"),
        ('lamp author:"jane doe"', 13, "author:jane_doe"),
        ("lamp lang:english", 11, "lang:en"),
        ("lamp network:twitter", 14, "network:x"),
        ("lamp is:angry", 9, "is:reply"),
        ("lamp sentiment:bad", 16, "sentiment:negative"),
        ("lamp followers>many", 6, "followers>1000"),
        ("lamp followers > 5", 16, "followers>1000"),
        ("lamp NEAR chair", 6, "NEAR/5"),
        ("lamp NEAR/5 chair NEAR/5 spam", 19, "(lamp NEAR/5 broken) AND"),
        ("lamp NEAR/5 (chair AND spam)", 6, "not fields"),
        ("lamp NEAR/5 lang:en", 6, "not fields"),
        ("lamp NEAR/5 -chair", 13, "not NOT"),
        ("lamp NEAR/5 #chair", 6, "not fields, #"),
        ("lamp NEAR/500 chair", 6, "NEAR/100"),
        ("lamp and chair", 6, "write AND in capitals"),
        ("lamp || chair", 6, "in letters"),
        ("l*", 1, "2 letters"),
        ("la*p", 3, "at the end"),
        ("*", 1, "no word"),
        ("台灯*", 1, "leave out the star"),
        ("~lamp", 1, "6 letters"),
        ("~台灯台灯台灯", 1, "how people type it: 台灯台灯台灯 OR"),
        ("lamp -", 6, "no word"),
        ('lamp ""', 6, "no word"),
    ],
)
def test_a_mistake_is_pointed_at_with_what_to_write(text: str, column: int, advice: str) -> None:
    message, line, caret = refusal(text).split("\n")
    assert message.startswith(f"column {column}: ")
    assert advice in message
    assert line == f"  {text}"
    assert caret.index("^") == column + 1


def test_the_caret_stands_below_chinese_characters_which_are_two_columns_wide() -> None:
    assert refusal("台灯 坏了 AND").split("\n")[2] == " " * 12 + "^"


def test_of_a_long_line_only_what_is_around_the_mistake_is_shown() -> None:
    _, line, caret = refusal("lamp " * 40 + "colour:red" + " chair" * 40).split("\n")
    assert len(line) < 80
    assert line[caret.index("^") :].startswith("colour:red")


@pytest.mark.parametrize(
    "text", ["NOT spam", "-spam -scam", "lamp OR NOT spam", "lang:en", "followers>1000", "is:question sentiment:negative"]
)
def test_a_query_in_which_no_word_must_be_there_is_refused(text: str) -> None:
    assert "finds nearly every post" in refusal(text)


@pytest.mark.parametrize("text", ["author:jane", "url:lumifern.com", "author:jane -spam", "(lamp -spam) OR author:jane"])
def test_an_author_or_a_link_is_enough_to_look_for(text: str) -> None:
    assert read(text).text == text


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_an_empty_query_is_refused(text: str) -> None:
    assert "empty" in refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000 + "lamp" + ")" * 10_000,
        "(" * 3_000 + "lamp" + ")" * 3_000,
        "NOT " * 1_900 + "lamp",
        "-(" * 2_000 + "lamp" + ")" * 2_000,
        "lamp " * 200_000,
        "lamp OR " * 900 + "chair",
        '"' * 7_999,
        "(" * 7_999,
        ")" * 7_999,
        "~" * 7_999,
        " OR ".join(f"author:{'a' * 200}" for _ in range(30)),
        "lamp NEAR/5 " * 600,
        "author:" * 1_000,
        "lamp\0\ud800" * 10 + "(",
    ],
)
def test_a_hostile_query_is_refused_in_few_words(text: str) -> None:
    assert len(refusal(text)) < 500


def test_the_longest_query_is_still_read() -> None:
    text = " OR ".join(f"word{number}" for number in range(500))
    assert len(text) <= LONGEST
    assert isinstance(read(text).tree, Or)


@given(st.text(alphabet='abAND ORNT()"-~*#@:/5cfollowers><=灯'))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    try:
        tree = read(text).tree
    except BadInput:
        return
    assert read(write(tree)).tree == tree
