"""All questions at once: loads what they need once, answers batch after batch, and says which words weighed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from classifiers import CLASSIFIERS, OF_A_BRAND
from classifiers.accurate import Cascade, Encoder
from classifiers.batch import Batch
from classifiers.brand import Brand
from classifiers.model import Model, shipped
from earshot.mention import Mention, Score, ScoredMention
from earshot.registry import load

Question = Callable[[Batch], Sequence[Score]]

_AT_ONCE = 2048  #: mentions; larger batches leave the processor's cache
_MOST_PARTS = 40
_PART = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff]|[^\s\u2e80-\u9fff\uf900-\ufaff]+")
_EXPLAINED = ("sentiment", "anger", "intent", "asks", "needs", "urgent", "risk")
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """Part of a text and what it did for a label."""

    text: str
    start: int  #: in the text as given
    end: int
    weight: float  #: -1..1: how much less probable the label would be without this part


class Panel:
    """`Panel(brand=…).understand(mentions)`: safe to share between threads, as nothing in it changes."""

    def __init__(
        self,
        *,
        brand: Brand | None = None,
        model: Model | None = None,
        accurate: Encoder | None = None,
        share: float = 0.2,
        questions: Mapping[str, str] = CLASSIFIERS,
    ) -> None:
        """`accurate` reads the least certain `share` of each batch again. Raises `ModelError` when it does not fit `model`."""
        self.brand = brand
        self.model = model or shipped()
        self.cascade = None if accurate is None else Cascade(accurate, self.model.heads, share=share)
        asked = [name for name in questions if brand is not None or name not in OF_A_BRAND]
        self.questions: dict[str, Question] = {name: load(questions, name, kind="classifier") for name in asked}

    def understand(self, mentions: Sequence[Mention]) -> list[ScoredMention]:
        """One `ScoredMention` per mention, in order, with one score per question."""
        return [ScoredMention(mention=m, scores=scores) for m, scores in zip(mentions, self.answers(mentions), strict=True)]

    def answers(self, mentions: Sequence[Mention]) -> list[tuple[Score, ...]]:
        """The scores of each mention alone, for a caller that adds scores of its own."""
        return [scores for first in range(0, len(mentions), _AT_ONCE) for scores in self._batch(mentions[first : first + _AT_ONCE])]

    def _batch(self, mentions: Sequence[Mention]) -> Iterator[tuple[Score, ...]]:
        batch = Batch(mentions, model=self.model, cascade=self.cascade, brand=self.brand)
        return zip(*[question(batch) for question in self.questions.values()], strict=True)

    def informative(self, scored: Sequence[ScoredMention], *, questions: Sequence[str], most: int) -> list[int]:
        """Places in `scored` of the mentions from whose labels the model would learn most, the best first."""
        from classifiers.informative import margins, most_informative

        if not scored:
            return []
        batch = Batch([one.mention for one in scored], model=self.model)
        return most_informative(scored, margins(batch.fast, questions).tolist(), most=most)

    def explain(self, text: str, *, most: int = 6) -> dict[str, tuple[Weighed, ...]]:
        """For each question of the model the parts of `text` that weighed most, strongest first.

        The fast model explains, also where the accurate one was asked: forty variants of a text are too many for it.
        A part weighs what its removal takes from the probability of the label: so taking out the strongest words does move the score.
        """
        spans = _parts(text)
        variants = [text, *(f"{text[:start]} {text[end:]}" for start, end in spans)]
        batch = Batch([_bare(variant) for variant in variants], model=self.model)
        explained = {}
        for name in _EXPLAINED:
            label = batch.model.heads[name].labels.index(self._label(batch, name))
            probability = batch.probabilities[name][:, label]
            loss = (probability[0] - probability[1:]).tolist()
            weighed = [
                Weighed(text=text[start:end], start=start, end=end, weight=round(weight, 4))
                for (start, end), weight in zip(spans, loss, strict=True)
                if abs(weight) >= 0.005
            ]
            explained[name] = tuple(sorted(weighed, key=lambda part: -abs(part.weight))[:most])
        return explained

    def _label(self, batch: Batch, name: str) -> str:
        head = batch.model.heads[name]
        return head.labels[int((batch.probabilities[name][0] + 1e-9).argmax())]


def _parts(text: str) -> list[tuple[int, int]]:
    """Words and Chinese characters; in a long text several stand together, so that there are never more than `_MOST_PARTS`."""
    spans = [found.span() for found in _PART.finditer(text)]
    together = -(-len(spans) // _MOST_PARTS) or 1
    return [(group[0][0], group[-1][1]) for group in (spans[i : i + together] for i in range(0, len(spans), together))]


def _bare(text: str) -> Mention:
    return Mention(network="none", native_id="0", author=None, text=text, url="", posted_at=_ANY_TIME)
