"""What must not move an answer, and what must: the behaviours that a figure over a set does not show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from statistics import mean

import pytest

from classifiers.panel import Panel
from earshot.mention import Mention, Score

POSTS = (
    "my order {order} still has not arrived and nobody answers",
    "how do I pair the {product} with a second phone?",
    "thanks {name}, that fixed it, you are great",
    "three weeks and no refund. you people are useless, worst company ever",
    "the {product} app crashes every time I open settings",
    "{name} from your support lied to me, I am furious",
    "love my new {product}, so happy with it",
    "please cancel my subscription, {name} said you can do it",
    "is the {product} waterproof?",
    "charged twice this month, can somebody look at my account",
)
NAMES = {
    "English": ("John", "Emily", "Greg", "Claire", "Jack"),
    "African American": ("Jamal", "Lakisha", "DeShawn", "Latoya", "Tyrone"),
    "Arabic": ("Mohammed", "Fatima", "Ahmed", "Aisha", "Omar"),
    "Chinese": ("Wei", "Xiaoming", "Li Na", "Zhang", "Mei"),
    "Indian": ("Rajesh", "Priya", "Sanjay", "Lakshmi", "Amit"),
    "Spanish": ("José", "María", "Carlos", "Lucía", "Diego"),
}
COUNTRIES = ("England", "Nigeria", "Pakistan", "China", "Mexico", "Poland", "Israel", "Iran", "India", "Germany")
PRODUCTS = ("Lumo Lamp", "Acme Buds", "Zentry 5", "Korvax router", "Fizzle")
QUESTIONS = ("intent", "asks", "needs", "anger", "urgent", "risk")


@pytest.fixture(scope="module")
def panel() -> Panel:
    return Panel()


def answers(panel: Panel, texts: Iterable[str]) -> list[Mapping[str, Score]]:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    mentions = [Mention(network="file", native_id=str(n), author=None, text=text, url="", posted_at=at) for n, text in enumerate(texts)]
    return [{score.name: score for score in scored.scores} for scored in panel.understand(mentions)]


def filled(name: str = "Anna", product: str = "Lumo Lamp", order: str = "48213") -> list[str]:
    return [post.format(name=name, product=product, order=order) for post in POSTS]


def flips(ones: Iterable[Mapping[str, Score]], others: Iterable[Mapping[str, Score]]) -> float:
    """The share of labels that differ."""
    return mean(one[question].label != other[question].label for one, other in zip(ones, others, strict=True) for question in QUESTIONS)


# what must not move an answer


@pytest.mark.parametrize("question", ["anger", "risk"])
def test_no_group_of_names_looks_angrier_or_riskier(panel: Panel, question: str) -> None:
    of_group = {
        group: mean(each[question].value for name in names for each in answers(panel, filled(name=name))) for group, names in NAMES.items()
    }
    assert max(of_group.values()) - min(of_group.values()) < 0.05, of_group


@pytest.mark.parametrize("question", ["anger", "risk"])
def test_no_country_looks_angrier_or_riskier(panel: Panel, question: str) -> None:
    of_country = {
        country: mean(each[question].value for each in answers(panel, [f"{text} (I live in {country})" for text in filled()]))
        for country in COUNTRIES
    }
    assert max(of_country.values()) - min(of_country.values()) < 0.05, of_country


def test_dialect_does_not_make_a_calm_question_angry(panel: Panel) -> None:
    said = (
        ("is the shop open today?", "y'all open today?"),
        ("I am trying to change my plan, how do I do that?", "i been tryna change my plan, how i do that?"),
        ("I have not received it yet, can you check?", "i ain't got it yet, can yall check?"),
        ("hello, how much is it?", "hiya, how much is it pal?"),
        ("could you tell me which one fits?", "can ya tell me which one fit?"),
    )
    for plain, dialect in said:
        one, other = answers(panel, [plain, dialect])
        assert other["anger"].label != "angry", dialect
        assert other["anger"].value - one["anger"].value < 0.15, dialect


def test_names_of_persons_and_products_rarely_change_a_label(panel: Panel) -> None:
    usual = answers(panel, filled())
    assert mean(flips(usual, answers(panel, filled(name=names[0]))) for names in NAMES.values()) < 0.05
    assert mean(flips(usual, answers(panel, filled(product=product))) for product in PRODUCTS) < 0.05
    assert flips(usual, answers(panel, filled(order="77120"))) == 0.0


def test_typing_mistakes_rarely_change_a_label(panel: Panel) -> None:
    def mistyped(text: str) -> str:
        words = text.split()
        longest = max(range(len(words)), key=lambda place: len(words[place]))
        word = words[longest]
        words[longest] = word[:2] + word[3] + word[2] + word[4:] if len(word) > 4 else word
        return " ".join(words)

    assert flips(answers(panel, filled()), answers(panel, map(mistyped, filled()))) < 0.15


@pytest.mark.parametrize(
    "disguise",
    [
        pytest.param(lambda text: text.replace("e", "е").replace("o", "о"), id="letters of another alphabet"),
        pytest.param(lambda text: "\u200b".join(text), id="zero-width characters"),
        pytest.param(lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text), id="full width"),
        pytest.param(lambda text: f"@brand {text} https://t.co/abcdef", id="a handle and a link"),
    ],
)
def test_a_disguise_does_not_hide_what_is_said(panel: Panel, disguise: object) -> None:
    assert callable(disguise)
    texts = filled()
    assert flips(answers(panel, texts), answers(panel, [disguise(text) for text in texts])) < 0.1


# what must move it


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("this is good", "this is not good"),
        ("I am happy with the lamp", "I am not happy with the lamp"),
        ("it works great", "it never works"),
        ("I would recommend them to my friends", "I would not recommend them to anybody"),
        ("客服很好，很满意", "客服不好，很不满意"),
    ],
)
def test_a_negation_turns_the_feeling(panel: Panel, better: str, worse: str) -> None:
    one, other = answers(panel, [better, worse])
    assert one["sentiment"].value > other["sentiment"].value


def test_stronger_words_are_angrier(panel: Panel) -> None:
    steps = (
        "my parcel is late",
        "my parcel is late again, this is annoying",
        "MY PARCEL IS LATE AGAIN you useless liars, worst company ever!!!",
    )
    values = [each["anger"].value for each in answers(panel, steps)]
    assert values == sorted(values)
    assert values[0] < 0.2 < values[2]


def test_a_question_asks_and_praise_does_not(panel: Panel) -> None:
    question, praise = answers(panel, ["how do I reset my lamp? it does not react", "I love this lamp, best thing I bought this year"])
    assert question["asks"].value > 0.5 > praise["asks"].value


@pytest.mark.parametrize("text", ["", "ok", "👍👍👍", "https://example.org/a", "@brand @other", "!!!", "12 345"])
def test_what_says_too_little_is_unsure(panel: Panel, text: str) -> None:
    (scores,) = answers(panel, [text])
    assert {scores[question].label for question in ("sentiment", *QUESTIONS)} == {"unsure"}
    assert all(scores[question].confidence == 0.0 for question in ("sentiment", *QUESTIONS))
