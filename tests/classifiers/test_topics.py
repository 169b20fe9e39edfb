from __future__ import annotations

from datetime import UTC, datetime

import pytest

from classifiers.brand import Brand, Product, Topic, read_brand
from classifiers.panel import Panel
from earshot.errors import BadInput
from earshot.mention import Mention

TOML = """
name = "Quillmere"
names = ["Quillmere", "@quillmere"]

[[products]]
key = "kettle"
name = "Kettle One"
name_zh = "小壶"
aliases = ["kettleone"]
topic = "tea"
about = "It boils."

[[topics]]
key = "tea"
name = "Tea"
name_zh = "茶具"
words = ["teapot", "茶叶"]

[[topics]]
key = "bills"
name = "Bills"
words = ["invoice", "paid twice"]
"""


def answers(text: str) -> dict[str, str]:
    mention = Mention(network="x", native_id="1", author=None, text=text, url="", posted_at=datetime(2026, 1, 1, tzinfo=UTC))
    (scored,) = Panel(brand=read_brand(TOML)).understand([mention])
    return {score.name: score.label for score in scored.scores}


def test_a_brand_is_read_from_toml() -> None:
    brand = read_brand(TOML)
    assert brand.products == (Product(key="kettle", name="Kettle One", name_zh="小壶", aliases=("kettleone",), topic="tea"),)
    assert brand.topics[1] == Topic(key="bills", name="Bills", words=("invoice", "paid twice"))


@pytest.mark.parametrize(
    ("text", "topics", "products"),
    [
        ("My KETTLE ONE leaks", "tea", "kettle"),
        ("two Kettle Ones and three invoices!", "bills tea", "kettle"),
        ("我的小壶漏水了", "tea", "kettle"),
        ("I paid   twice", "bills", "none"),
        ("kettle and one", "none", "none"),
        ("teapots", "tea", "none"),
        ("", "none", "none"),
    ],
)
def test_products_and_topics_of_the_catalogue_are_named(text: str, topics: str, products: str) -> None:
    named = answers(text)
    assert (named["topics"], named["products"]) == (topics, products)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = ", "not valid TOML"),
        ('names = ["a"]', "needs a name"),
        ('name = "a"\n[[products]]\nname = "b"', "needs a key and a name"),
        ('name = "a"\n[[products]]\nkey = "b"\nname = "b"\ntopic = "c"', "topics that are not listed: c"),
        ('name = "a"\n[[topics]]\nkey = "b"\nname = "b"\n[[topics]]\nkey = "b"\nname = "c"', "two"),
        ('name = "a"\n[[topics]]\nkey = "b c"\nname = "b"', "space"),
        ('name = "a"\ntopics = 5', "write each entry"),
    ],
)
def test_a_faulty_brand_file_is_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        read_brand(text)


def test_a_brand_without_a_catalogue_names_nothing() -> None:
    mention = Mention(network="x", native_id="1", author=None, text="hello there", url="", posted_at=datetime(2026, 1, 1, tzinfo=UTC))
    (scored,) = Panel(brand=Brand(name="Quillmere")).understand([mention])
    assert {score.label for score in scored.scores if score.name in ("topics", "products")} == {"none"}
