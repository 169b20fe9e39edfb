"""Copies are found by a shared key and confirmed by what they say; what only resembles is none."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.near_copies import KEYS, confirm, copy_keys, is_near_copy, normalised

POST = "My lamp hub keeps losing the wifi every evening since the last update, has anybody found a way to make it stay connected?"
ZH_POST = "我家的智能灯自从上次升级以后每天晚上都会断开网络连接，请问有没有人知道怎么解决这个问题"
SYLLABLES = ["ba", "ke", "li", "mo", "nu", "ra", "se", "ti", "vo", "zu", "pla", "gre", "shi", "tor", "quen"]


def invented_posts(count: int, seed: int = 5) -> list[str]:
    draw = random.Random(seed)
    words = ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 3))) for _ in range(3_000)]
    return [" ".join(draw.choices(words, k=draw.randint(10, 30))) for _ in range(count)]


def shares_a_key(a: str, b: str) -> bool:
    one, other = copy_keys([a, b])
    return bool(set(one) & set(other))


@pytest.mark.parametrize("post", [POST, ZH_POST])
@pytest.mark.parametrize(
    "copied",
    [
        lambda post: post,
        lambda post: f"RT @someone: {post}",
        lambda post: f"{post} https://t.co/aB3xYz",
        lambda post: f"@acme @other {post} #fail #acme",
        lambda post: f"#help {post}",
        lambda post: f"😡😡 {post.upper()} 🔥!!!",
        lambda post: post.replace(",", " …").replace("，", " "),
        lambda post: post[: len(post) * 7 // 10] + "…",
        lambda post: f"so true: {post}",
        lambda post: post.replace("every", "evry").replace("上次", "上一次"),
        lambda post: "\u200b".join(post.split(" ")) if " " not in post else post.replace(" ", "\u00a0\n"),
    ],
)
def test_a_post_that_is_passed_on_is_still_the_same(post: str, copied: object) -> None:
    copy = copied(post)  # type: ignore[operator]
    assert shares_a_key(post, copy)
    assert is_near_copy(post, copy)
    assert is_near_copy(copy, post)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "My hub stopped working after the update, what can I do now?",
            "My hub never stopped working after the update, what can I do now?",
        ),
        ("The update made my lamp hub crash and I do like it", "The update made my lamp hub crash and I don't like it"),
        ("Order 1234 has still not arrived, please tell me where it is", "Order 9876 has still not arrived, please tell me where it is"),
        ("How do I pair the hub with a lamp in Canada this summer?", "How do I pair the hub with a lamp in Thailand this summer?"),
        ("my hub broke", "my hub works"),
        ("灯坏了", "灯亮了"),
        ("这个灯泡的颜色可以调节成蓝色吗", "这个灯泡的颜色可以调节成红色吗"),
        (POST, "a completely different post about the weather in the mountains and the food there"),
        (POST, POST[:25]),
        ("", ""),
        ("https://a.example", "https://b.example"),
        ("😀", "😀"),
    ],
)
def test_what_only_resembles_is_no_copy(one: str, other: str) -> None:
    assert not is_near_copy(one, other)


def test_short_texts_are_copies_only_when_nothing_differs() -> None:
    assert copy_keys(["My hub broke!", "@acme my hub BROKE"])[0] == copy_keys(["my hub broke"])[0]
    assert is_near_copy("My hub broke!", "@acme my hub BROKE #fail")
    assert not shares_a_key("my hub broke", "my hub broke down again today")
    assert not shares_a_key("灯坏了", "灯亮了")


def test_a_text_that_says_nothing_has_no_key() -> None:
    assert copy_keys(["", "😀🔥", "https://a.example/x", "@acme", "!!!", "#", "\n"]) == [()] * 7


def test_tags_alone_are_words() -> None:
    assert normalised(["#fail #acme", "#help my hub is #broken today #fail", "#武汉加油#我们一起"]) == [
        "fail acme",
        "my hub is broken today",
        "我们一起",
    ]


def test_keys_are_few_signed_and_the_same_whatever_stands_beside_them() -> None:
    posts = [*invented_posts(3_000), POST, ZH_POST, "short one", ""]
    together = copy_keys(posts)
    assert len(together) == len(posts)
    assert all(len(keys) <= KEYS and len(set(keys)) == len(keys) for keys in together)
    assert all(-(2**63) <= key < 2**63 for keys in together for key in keys)
    assert [copy_keys([post])[0] for post in posts[-20:]] == together[-20:]
    assert copy_keys([]) == []


def test_a_text_that_ends_on_rt_stays_apart_from_the_next() -> None:
    posts = [f"{POST} RT", f"@ann {ZH_POST}", "RT", "@bob"]
    assert copy_keys(posts) == [copy_keys([post])[0] for post in posts]


def test_planted_copies_are_found_and_strangers_are_not() -> None:
    posts = invented_posts(2_000)
    draw = random.Random(11)
    copies = []
    for post in posts:
        words = post.split()
        words[draw.randrange(len(words))] = "another"
        copies.append("RT @x: " + " ".join(words[: max(8, len(words) * draw.randint(6, 10) // 10)]) + " #tag")
    keys, copied = copy_keys(posts), copy_keys(copies)
    found = sum(bool(set(one) & set(other)) for one, other in zip(keys, copied, strict=True))
    strangers = sum(bool(set(one) & set(other)) for one, other in zip(keys, copied[1:], strict=False))
    assert found >= 0.95 * len(posts)
    assert strangers <= 0.01 * len(posts)
    assert not any(confirm(list(pairwise(posts))))


def test_many_pairs_are_judged_like_each_alone() -> None:
    pairs = [(POST, POST + "!"), (POST, ZH_POST), ("a", "a"), ("", "b")]
    assert confirm(pairs) == [True, False, True, False]
    assert confirm([]) == []


@pytest.mark.parametrize("piece", ["#tag ", "@a ", "😀", "rt @", "not ", "灯", "1", "\ufdfa", "https://", "a", "\n", "#", "'"])
def test_hostile_runs_are_judged_too(piece: str) -> None:
    text = piece * 40_000
    assert len(copy_keys([text, POST])) == 2
    assert confirm([(text, text + POST)]) in ([True], [False])


@given(st.lists(st.text(max_size=60), max_size=6))
def test_any_texts_have_keys_of_their_own(posts: list[str]) -> None:
    assert copy_keys(posts) == [copy_keys([post])[0] for post in posts]
    assert all(shares_a_key(post, f"{post} https://a.example/b") for post in posts if copy_keys([post])[0])
