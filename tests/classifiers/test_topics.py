from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
import rapidfuzz.distance
import rapidfuzz.process

from classifiers.brand import Brand, Product, Topic, read_brand
from classifiers.features import tokenise
from classifiers.near_names import NearWords, slips
from classifiers.panel import Panel
from earshot.errors import BadInput
from earshot.mention import Mention, ScoredMention

QUESTIONS = {"topics": "classifiers.topics:topics", "products": "classifiers.topics:products"}
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


MORE_TOML = """
name = "Orrery"

[[products]]
key = "buds"
name = "Galaxy Buds"
topic = "sound"

[[products]]
key = "thermolux"
name = "Thermolux"

[[products]]
key = "dawn"
name = "Dawn"

[[products]]
key = "drift"
name = "Drift"

[[products]]
key = "tracking"
name = "Tracking"

[[topics]]
key = "sound"
name = "Sound"
words = ["volume knob"]
"""


def read(text: str, toml: str = TOML) -> ScoredMention:
    mention = Mention(network="x", native_id="1", author=None, text=text, url="", posted_at=datetime(2026, 1, 1, tzinfo=UTC))
    (scored,) = Panel(brand=read_brand(toml), questions=QUESTIONS).understand([mention])
    return scored


def answers(text: str, toml: str = TOML) -> dict[str, str]:
    return {score.name: score.label for score in read(text, toml).scores}


def sureness(text: str) -> float:
    score = read(text, MORE_TOML).score("products")
    assert score is not None
    return score.confidence if score.label != "none" else 0.0


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


@pytest.mark.parametrize(
    ("text", "products"),
    [
        ("my Galxy Bds broke", "buds"),
        ("my glaaxy buds broke", "buds"),
        ("the GALAXYBUDS of mine", "buds"),
        ("galxybuds, anyone?", "buds"),
        ("that galxy's buds", "none"),
        ("the galxy of stars", "none"),
        ("termolux is down", "thermolux"),
        ("the thermolx's lamp", "thermolux"),
        ("tehrmolxu is down", "thermolux"),
        ("thrmlx is down", "none"),
    ],
)
def test_a_misspelt_product_is_named(text: str, products: str) -> None:
    assert answers(text, MORE_TOML)["products"] == products


@pytest.mark.parametrize("text", ["up at dwan", "the drfit of it", "two drafts", "cracking news", "stacking and racing", "galleys bids"])
def test_short_names_and_ordinary_words_are_never_taken_for_another(text: str) -> None:
    assert answers(text, MORE_TOML)["products"] == "none"


def test_a_misspelt_product_brings_its_topic() -> None:
    assert answers("my Galxy Bds broke", MORE_TOML)["topics"] == "sound"


def test_the_more_slips_the_less_sure_and_an_ordinary_word_is_less_sure_than_a_name() -> None:
    assert sureness("my galaxy buds") > sureness("my galaxy bds") > sureness("my galxy bds") > 0
    assert sureness("my thermolux") > sureness("what a dawn") > 0


@pytest.mark.parametrize(
    "text", ["love my #GalaxyBuds", "#galaxybuds!", "#Galaxy_Buds", "#LoveMyGalaxyBuds", "#LoveMyGalxyBuds", "no #fail but #GALAXYBUDS"]
)
def test_a_hashtag_is_read_word_by_word(text: str) -> None:
    assert answers(text, MORE_TOML)["products"] == "buds"


def test_words_of_two_hashtags_make_no_name() -> None:
    assert answers("#MyGalaxy #BudsLove", MORE_TOML)["products"] == "none"


@pytest.mark.parametrize(
    "text", ["#aB" * 10_000, "galxy " * 6_000, "#" * 40_000, "Galxy" * 8_000, "galxy's" * 5_000, "#GalxyBuds" * 4_000, "' " * 20_000]
)
def test_a_hostile_text_is_read(text: str) -> None:
    assert set(answers(text, MORE_TOML)) == {"topics", "products"}


NAMES = ("thermolux", "galaxy", "kettleone", "vorlex", "quillmerelamp")


def slip(word: str, at: int, how: str) -> str:
    """The word with one slip."""
    at %= len(word)
    if how == "lost":
        return word[:at] + word[at + 1 :]
    if how == "swapped":
        return word[:at] + word[at : at + 2][::-1] + word[at + 2 :]
    return word[:at] + "z" + word[at + (how == "wrong") :]


def slips_of(word: str) -> set[str]:
    """All that one slip makes of it."""
    return {slip(word, at, how) for at in range(len(word)) for how in ("lost", "swapped", "wrong", "added")} - {word}


def test_whatever_the_slip_a_word_is_found() -> None:
    listed = NearWords({word: slips(len(word)) for word in NAMES}, known=())
    written = [(name, one) for name in NAMES for one in sorted(slips_of(name))]
    found = listed.find(tokenise([f"my {word} broke" for _, word in written]))
    assert [(NAMES[found[number][0].listed], found[number][0].edits) for number in range(len(written))] == [
        (name, 1) for name, _ in written
    ]


def test_whatever_two_slips_a_long_word_is_found() -> None:
    listed = NearWords({"thermolux": 2}, known=())
    written = sorted({two for one in slips_of("thermolux") for two in slips_of(one)} - {"thermolux"})
    found = listed.find(tokenise(written))
    assert len(written) > 500
    near_enough = [number for number, word in enumerate(written) if rapidfuzz.distance.OSA.distance(word, "thermolux") <= 2]
    assert sorted(found) == near_enough


def test_of_twenty_thousand_products_a_word_is_compared_with_few(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(5)
    names = {"".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(6, 11))) for _ in range(20_000)}
    listed = NearWords({name: slips(len(name)) for name in sorted(names)}, known=names)
    compared = 0
    compare = rapidfuzz.process.cpdist

    def counted(queries: list[str], choices: list[str], **options: object) -> object:
        nonlocal compared
        compared += len(queries)
        return compare(queries, choices, **options)

    monkeypatch.setattr(rapidfuzz.process, "cpdist", counted)
    misspelt = [slip(name, chance.randint(0, 20), "wrong") for name in sorted(names)[:1_000]]
    found = listed.find(tokenise(misspelt))
    assert len(found) > 950
    assert compared < 20 * len(misspelt)
