"""What evaluation prints: the heads on posts to brands, and on the dev parts of the public sets that answer the same questions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from classifiers.figures import Figures, excess, figures, spread, wilson
from classifiers.training_data import QUESTIONS, Post
from earshot.mention import Score, ScoredMention

Scored = Sequence[tuple[Post, ScoredMention]]
Answered = tuple[Post, Score]
_WORST = 5


@dataclass(frozen=True, slots=True)
class Measure:
    """How a public set compares answers to one question, and what must and may be reached (see docs/figures.md)."""

    data_set: str
    question: str
    name: str
    of: Callable[[Figures], float]


def macro_f1(found: Figures) -> float:
    return found.macro_f1


def macro_recall(found: Figures) -> float:
    return float(np.mean([each.recall for each in found.classes])) if found.classes else 0.0


def f1_of(label: str) -> Callable[[Figures], float]:
    return lambda found: next((each.f1 for each in found.classes if each.label == label), 0.0)


MEASURES: Sequence[Measure] = (
    Measure("tweet_sentiment", "sentiment", "macro-recall", macro_recall),
    Measure("tweet_emotion", "emotion", "macro-F1", macro_f1),
    Measure("tweet_offensive", "toxicity", "macro-F1", macro_f1),
    Measure("tweet_irony", "irony", "F1 of yes", f1_of("yes")),
    Measure("multilingual_sentiment", "sentiment", "macro-F1", macro_f1),
    Measure("zh_shopping_reviews", "sentiment", "macro-F1", macro_f1),
    Measure("zh_weibo_emotion", "emotion_zh", "macro-F1", macro_f1),
    Measure("zh_weibo_emotion", "emotion_zh", "F1 of angry", f1_of("angry")),
    Measure("sms_spam", "spam", "F1 of yes", f1_of("yes")),
    Measure("social_spam", "spam", "F1 of yes", f1_of("yes")),
)


def of_brands(title: str, scored: Scored, *, in_full: bool) -> str:
    """A table of all questions by language; `in_full` adds classes, confusions and the worst examples."""
    lines = ["", f"{title}: {len(scored)} posts"]
    lines.append(
        f"{'':12}{'':4}{'posts':>7}{'macro-F1 (95 % interval)':>26}{'unsure':>9}   calibration error beyond chance (95 % interval)"
    )
    for question, lang, chosen in by_question(scored):
        found = judge(chosen, question)
        lines.append(f"{question:12}{lang:4}{_line(found, chosen, question)}")
        lines += _in_detail(found, chosen, question) if in_full else []
    return "\n".join([*lines, *_anger(scored)])


def by_question(scored: Scored) -> Iterator[tuple[str, str, list[Answered]]]:
    """(question, language, posts with their answers), for each question and language that has some."""
    for question in QUESTIONS:
        for lang in ("en", "zh"):
            chosen = [
                (post, answer)
                for post, each in scored
                if post.lang == lang and (answer := each.score(question)) and question in post.labels
            ]
            if chosen:
                yield question, lang, chosen


def _line(found: Figures, chosen: Sequence[Answered], question: str) -> str:
    right = [post.labels[question] == answer.label for post, answer in chosen]
    beyond, low, high = excess(right, [answer.confidence for _, answer in chosen])
    unsure = sum(answer.label == "unsure" for _, answer in chosen) / len(chosen)
    return f"{found.n:7}{with_spread(found, macro_f1):>26}{unsure:9.1%}   {beyond:+.3f} ({low:+.3f} to {high:+.3f})"


def with_spread(found: Figures, measure: Callable[[Figures], float]) -> str:
    """A figure and its 95 % interval, as it is printed."""
    low, high = spread(found, measure)
    return f"{measure(found):.3f} ({low:.3f} to {high:.3f})"


def judge(chosen: Sequence[Answered], question: str) -> Figures:
    return figures(
        [post.labels[question] for post, _ in chosen], [answer.label for _, answer in chosen], [answer.confidence for _, answer in chosen]
    )


def _in_detail(found: Figures, chosen: Sequence[Answered], question: str) -> Iterator[str]:
    for each in found.classes:
        given = sorted(((number, label) for (true, label), number in found.confusion.items() if true == each.label), reverse=True)
        confused = ", ".join(f"{label} {number}" for number, label in given[:4])
        rates = f"precision {each.precision:.2f}  recall {each.recall:.2f}  F1 {each.f1:.2f}"
        yield f"    {each.label:12}{each.n:6}  {rates}   given as: {confused}"
    wrong = sorted(((answer.confidence, post.id) for post, answer in chosen if post.labels[question] != answer.label), reverse=True)
    if wrong:
        yield f"    surest of the wrong: {', '.join(f'{identity} {sure:.2f}' for sure, identity in wrong[:_WORST])}"


def _anger(scored: Scored) -> list[str]:
    """What one threshold on the anger score's value lets through, of all posts and of the angry."""
    values = np.array([answer.value for _, each in scored if (answer := each.score("anger")) is not None])
    angry = np.array([post.labels["anger"] == "angry" for post, _ in scored])
    lines = ["", "below this P(angry): share of all posts, and of the angry ones (95 % interval)"]
    for threshold in (0.02, 0.05, 0.1, 0.2, 0.3):
        passed = int((angry & (values < threshold)).sum())
        low, high = wilson(passed, int(angry.sum()))
        share = f"{passed}/{angry.sum()} = {passed / max(1, angry.sum()):.1%} ({low:.1%} to {high:.1%})"
        lines.append(f"    {threshold:.2f}  {np.mean(values < threshold):6.1%}  {share}")
    return lines


def of_public_sets(answers: Callable[[str, Sequence[Post]], Sequence[Score]], dev: Sequence[Post]) -> str:
    """The dev parts of the public sets, each by the measure that it is compared by. `answers` gives a question's answer to each row."""
    lines = ["", f"{'public set, dev part':26}{'question':12}{'rows':>7}  measure"]
    for measure in MEASURES:
        rows = [post for post in dev if post.data_set == measure.data_set and measure.question in post.labels]
        for lang in sorted({post.lang for post in rows}):
            chosen = [post for post in rows if post.lang == lang]
            found = judge(list(zip(chosen, answers(measure.question, chosen), strict=True)), measure.question)
            named = measure.data_set if measure.data_set != "multilingual_sentiment" else f"{measure.data_set} {lang}"
            lines.append(f"{named:26}{measure.question:12}{found.n:7}  {measure.name} {with_spread(found, measure.of)}")
    return "\n".join(lines)
