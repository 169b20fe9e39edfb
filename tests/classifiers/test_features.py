from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.features import BUCKETS, Phrases, Tokens, hashed, tokenise
from classifiers.text import normalise_all


def words(tokens: Tokens) -> list[str]:
    return tokens.spelt()


def buckets(tokens: Tokens, text: int = 0) -> list[list[int]]:
    """Of one text, by kind of feature."""
    return [rows.index[rows.begin[text] : rows.begin[text + 1]].tolist() for rows in hashed(tokens)]


def test_words_marks_and_single_characters_are_tokens() -> None:
    assert words(tokenise(["I can't: 你好 😀😀 12.50!"])) == ["i", "can't", ":", "你", "好", "😀", "😀", "0", ".", "0", "!"]


def test_tokens_know_their_text() -> None:
    assert tokenise(["a b", "", "c"]).text_of.tolist() == [0, 0, 2]


def test_shouting_and_stretching_are_marked() -> None:
    tokens = tokenise(["WORST app sooo bad OK"])
    assert [word for word, shouted in zip(words(tokens), tokens.is_shouted, strict=True) if shouted] == ["worst"]
    assert [word for word, stretched in zip(words(tokens), tokens.is_stretched, strict=True) if stretched] == ["sooo"]


@given(st.lists(st.text(max_size=80), max_size=12))
def test_a_text_has_the_same_features_alone_and_in_a_batch(texts: list[str]) -> None:
    normal = normalise_all(texts)
    together = tokenise(normal)
    assert all(len(rows.begin) == len(texts) + 1 for rows in hashed(together))
    for number, text in enumerate(normal):
        assert buckets(together, number) == buckets(tokenise([text]))


def test_buckets_are_in_range_and_spread() -> None:
    tokens = tokenise([f"word{'abcdefghij'[n % 10]}{chr(0x4E00 + n)} tail" for n in range(2000)])
    index = np.concatenate([rows.index for rows in hashed(tokens)])
    assert index.min() >= 0
    assert index.max() < BUCKETS
    assert len(np.unique(index)) > 5500


def test_order_and_negation_make_a_difference() -> None:
    assert buckets(tokenise(["this is not good"])) != buckets(tokenise(["good this is not"]))


def test_letters_beyond_ascii_stay_whole() -> None:
    tokens = tokenise(["Très cher, слово 한국어 。"])
    assert tokens.spelt() == ["très", "cher", ",", "слово", "한국어", "。"]
    assert tokens.first.tolist() == [ord("t"), ord("c"), ord(","), ord("с"), ord("한"), ord("。")]
    assert tokens.is_mark.tolist() == [False, False, True, False, False, True]


def test_three_chinese_characters_in_a_row_are_a_feature_and_no_half_character_is() -> None:
    kinds = buckets(tokenise(["你好吗"]))
    assert [len(found) for found in kinds] == [3, 2, 1, 0, 0, 0, 0]


def test_no_texts_have_no_features() -> None:
    assert all(rows.begin.tolist() == [0] for rows in hashed(tokenise([])))
    assert all(rows.begin.tolist() == [0, 0] for rows in hashed(tokenise([""])))


def test_phrases_are_found_whole_and_in_their_text_only() -> None:
    phrases = Phrases(["small claims", "法院", "on fire"])
    texts, found = phrases.find(tokenise(["SMALL  claims court", "smaller claims", "我要去法院告你", "it is on", "fire now", "on FIRE!"]))
    assert sorted(zip(texts.tolist(), found.tolist(), strict=True)) == [(0, 0), (2, 1), (5, 2)]


def test_a_phrase_without_a_word_is_refused() -> None:
    with pytest.raises(ValueError, match="without a word"):
        Phrases(["fine", "  "])
