"""What the questions share: a batch of mentions, read once. Each step is computed when the first question asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from classifiers.topics import Named

KNOWN = frozenset({"en", "zh"})
UNSURE = "unsure"  #: the label of every question that cannot be answered
_TRUST_CLOSE_CALL = 0.6


class Batch:
    """Mentions in order, with their normalised texts, tokens, and the model's probabilities."""

    def __init__(self, mentions: Sequence[Mention], *, model: Model, cascade: Cascade | None = None, brand: Brand | None = None) -> None:
        self.mentions = mentions
        self.model = model
        self.cascade = cascade
        self.brand = brand
        self._places = np.arange(len(mentions))
        self._is_read: dict[frozenset[str], NDArray[np.bool_]] = {}

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

    def is_read(self, languages: frozenset[str] = KNOWN) -> NDArray[np.bool_]:
        """(mentions,) whether a mention says enough, in one of these languages, or in what may be one of them."""
        if languages not in self._is_read:
            self._is_read[languages] = self.languages.is_readable & self.languages.among(languages | {UNSURE})
        return self._is_read[languages]

    @cached_property
    def trust(self) -> NDArray[np.float64]:
        """(mentions,) 0..1, how far an answer may be believed: less where the language is a close call."""
        return np.where(self.languages.among(frozenset({UNSURE})), _TRUST_CLOSE_CALL, 1.0)

    @cached_property
    def shown(self) -> list[list[Span]]:
        """The personal data that each mention shows."""
        return all_spans([mention.text for mention in self.mentions])

    @cached_property
    def named(self) -> list[Named]:
        """The topics and products of the brand's catalogue that each mention names."""
        from classifiers.topics import NOTHING, catalogue

        return [NOTHING] * len(self) if self.brand is None else catalogue(self.brand).find(self)

    def answers(self, question: str, values: NDArray[np.floating], *, languages: frozenset[str] = KNOWN) -> list[Score]:
        """The model's label for each mention with these values, or `UNSURE` with value and confidence 0 for a mention that is too short,
        or in a language that is none of `languages`.
        """
        labels, confidence = self._chosen[question]
        return self.sure_of(question, labels, values, confidence, self.is_read(languages))

    @cached_property
    def _chosen(self) -> dict[str, tuple[list[str], NDArray[np.float64]]]:
        """For each head the label of each mention, and how far it may be believed."""
        chosen = {name: head.choose(self.probabilities[name]) for name, head in self.model.heads.items()}
        sure = np.array([self.probabilities[name][self._places, numbers] for name, numbers in chosen.items()], np.float64) * self.trust
        return {
            name: (list(map(self.model.heads[name].labels.__getitem__, numbers.tolist())), confidence)
            for (name, numbers), confidence in zip(chosen.items(), sure, strict=True)
        }

    def sure_of(
        self,
        question: str,
        labels: Iterable[str],
        values: NDArray[np.floating],
        confidence: NDArray[np.floating],
        sure: NDArray[np.bool_],
    ) -> list[Score]:
        """One score for each mention; `UNSURE` where not `sure`."""
        if not sure.all():
            labels = [label if known else UNSURE for label, known in zip(labels, sure.tolist(), strict=True)]
            values, confidence = np.where(sure, values, 0.0), np.where(sure, confidence, 0.0)
        return self.signed(question, labels, values=values, confidence=confidence)

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
    listed: list[float] = (np.rint(np.multiply(numbers, 1e4, dtype=np.float64)) / 1e4).tolist()
    return listed
