"""Which posts are put before people."""

from __future__ import annotations

import numpy as np
from houses import post, score, scored

from classifiers.batch import Batch
from classifiers.informative import margins, most_informative
from classifiers.panel import Panel
from earshot.mention import ScoredMention


def asked(i: int, text: str, *, intent: str = "question", lang: str = "en", confidence: float = 0.5) -> ScoredMention:
    return scored(post(str(i), text), score("language", lang), score("intent", intent, 0.5, confidence))


TEXTS = ("my lamp hums at night", "who sells the blue cable", "thanks, that was quick", "parcel never came", "it smells burnt")


def test_the_margin_is_the_lead_of_the_likeliest_label_over_all_questions() -> None:
    probabilities = {"a": np.array([[0.5, 0.4, 0.1], [0.1, 0.1, 0.8]], np.float32), "b": np.array([[0.5, 0.5], [1, 0]], np.float32)}
    assert margins(probabilities, ("a", "b")).round(3).tolist() == [0.05, 0.85]


def test_the_smallest_margins_come_first() -> None:
    mentions = [asked(i, text, intent=f"{i}") for i, text in enumerate(TEXTS)]
    assert most_informative(mentions, [0.5, 0.1, 0.9, 0.3, 0.2], most=3) == [1, 4, 3]


def test_posts_that_read_alike_are_asked_about_once() -> None:
    texts = ("How do I reset my Fern Lamp?", "how do i reset my fern lamp??  ", "Where is my refund?")
    mentions = [asked(i, text, intent=f"{i}") for i, text in enumerate(texts)]
    assert most_informative(mentions, [0.1, 0.2, 0.3], most=10) == [0, 2]


def test_not_all_are_of_one_intent() -> None:
    mentions = [asked(i, f"{text} {i}") for i, text in enumerate(TEXTS)] + [asked(9, "cancel my plan", intent="cancel")]
    assert most_informative(mentions, [0.1, 0.2, 0.3, 0.4, 0.5, 0.9], most=10) == [0, 1, 2, 5]


def test_what_cannot_be_read_or_is_in_a_language_that_we_do_not_learn_is_left_out() -> None:
    mentions = [
        asked(0, "Où est ma lampe ?", lang="fr"),
        asked(1, "🔥🔥", confidence=0.0),
        asked(2, "hm", lang="unsure"),
        asked(3, "灯坏了", lang="zh"),
    ]
    assert most_informative(mentions, [0.0] * 4, most=10) == [3]


def test_the_panel_asks_first_about_what_it_knows_least_of() -> None:
    panel, questions = Panel(), ("intent", "needs", "anger", "asks")
    found = panel.understand([post(str(i), text) for i, text in enumerate((*TEXTS, "How do I reset my lamp? It blinks red, please help."))])
    chosen = panel.informative(found, questions=questions, most=10)
    margin = margins(Batch([one.mention for one in found], model=panel.model).fast, questions)
    assert len(chosen) > 1
    assert [margin[i] for i in chosen] == sorted(margin[i] for i in chosen)
    assert panel.informative([], questions=questions, most=2) == []
