"""What the questions share: a batch of mentions, read once. Each step is computed when the first question asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from classifiers.accurate import Cascade, Reading
from classifiers.brand import Brand
from classifiers.cues import cues
from classifiers.features import Tokens, tokenise
from classifiers.language import Languages, tell
from classifiers.model import Model
from classifiers.personal_data import Span, all_spans
from classifiers.text import normalise_all
from earshot.mention import Mention, Score

_KNOWN = ("en", "zh")
_TRUST_UNSURE, _TRUST_FOREIGN = 0.6, 0.3


class Batch:
    """Mentions in order, with their normalised texts, tokens, and the model's probabilities."""

    def __init__(self, mentions: Sequence[Mention], *, model: Model, cascade: Cascade | None = None, brand: Brand | None = None) -> None:
        self.mentions = mentions
        self.model = model
        self.cascade = cascade
        self.brand = brand

    def __len__(self) -> int:
        return len(self.mentions)

    @cached_property
    def texts(self) -> list[str]:
        """As `classifiers.text` normalises them: one line each."""
        return normalise_all([mention.text for mention in self.mentions])

    @cached_property
    def tokens(self) -> Tokens:
        return tokenise(self.texts)

    @cached_property
    def probabilities(self) -> dict[str, NDArray[np.float32]]:
        """(mentions, labels) for each head of the model, and of the accurate one for the mentions that it read."""
        if self.reading is None:
            return self.fast
        joined = dict(self.fast)
        for question, read in self.reading.probabilities.items():
            joined[question] = self.fast[question].copy()
            joined[question][self.reading.rows] = read
        return joined

    @cached_property
    def fast(self) -> dict[str, NDArray[np.float32]]:
        """(mentions, labels) for each head of the model, by itself."""
        return self.model.probabilities(self.tokens, self.cues)

    @cached_property
    def reading(self) -> Reading | None:
        """What the accurate model read, where there is one."""
        if self.cascade is None:
            return None
        return self.cascade.read([mention.text for mention in self.mentions], self.fast, self.languages.codes)

    @cached_property
    def cues(self) -> NDArray[np.float32]:
        """(mentions, cues), see `classifiers.cues`."""
        return cues(self.tokens)

    @cached_property
    def languages(self) -> Languages:
        return tell(self.tokens, self.fast["language"], self.model.heads["language"].labels)

    @cached_property
    def trust(self) -> NDArray[np.float64]:
        """(mentions,) 0..1, how far an answer may be believed: 1 in a language we know, less in others, 0 where there is nothing to
        read.
        """
        known = np.isin(self.languages.codes, _KNOWN)
        unsure = self.languages.codes == "unsure"
        trust = np.where(known, 1.0, np.where(unsure, _TRUST_UNSURE, _TRUST_FOREIGN))
        return np.asarray(np.where(self.languages.is_blank, 0.0, trust))

    @cached_property
    def shown(self) -> list[list[Span]]:
        """The personal data that each mention shows."""
        return all_spans([mention.text for mention in self.mentions])

    @cached_property
    def named(self) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        """(topics, products) of the brand's catalogue that each mention names."""
        if self.brand is None:
            return [((), ())] * len(self)
        from classifiers.topics import catalogue

        return catalogue(self.brand).find(self)

    def answers(self, question: str, values: NDArray[np.floating], *, blank: str) -> list[Score]:
        """The model's label for each mention with these values; `blank` is the label where there is nothing to read (value 0,
        confidence 0).
        """
        head = self.model.heads[question]
        probability = self.probabilities[question]
        chosen = np.argmax(np.log(np.maximum(probability, 1e-9)) + head.lean, axis=1)
        confidence = np.take_along_axis(probability, chosen[:, None], axis=1)[:, 0] * self.trust
        chosen = np.where(self.languages.is_blank, head.labels.index(blank), chosen)
        values = np.where(self.languages.is_blank, 0.0, values)
        return self.signed(question, map(head.labels.__getitem__, chosen.tolist()), values=values, confidence=confidence)

    def signed(
        self, question: str, labels: Iterable[str], *, values: NDArray[np.floating], confidence: NDArray[np.floating]
    ) -> list[Score]:
        """One score for each mention, which says what model gave it, or models: `anger-1`, `anger-1+7`."""
        by = f"{question}-{self.model.version}"
        scores = Score.batch(name=question, labels=labels, values=rounded(values), confidences=rounded(confidence), by=by)
        if self.cascade is not None and self.reading is not None and question in self.reading.probabilities:
            for row in self.reading.rows.tolist():
                scores[row] = replace(scores[row], by=f"{by}+{self.cascade.version}")
        return scores

    def probability(self, question: str, label: str) -> NDArray[np.float32]:
        """(mentions,) how probable `label` is."""
        return self.probabilities[question][:, self.model.heads[question].labels.index(label)]


def rounded(numbers: NDArray[np.floating]) -> list[float]:
    """Four digits: enough for any rule, and the same alone and in a batch."""
    listed: list[float] = np.round(np.asarray(numbers, np.float64), 4).tolist()
    return listed
