"""Is there a risk in it: safety, law, press, privacy? Words that mean risk whatever else is said (`risk.toml`), and the model, together."""

from __future__ import annotations

import numpy as np

from classifiers.batch import Batch, rounded
from classifiers.risk_words import KINDS, named_kinds
from earshot.mention import Score

_NAMED = 0.45  #: a listed phrase makes its kind at least so probable: enough for a person to look, too little to decide alone


def risk(batch: Batch) -> list[Score]:
    """Labels: none, safety, legal, press, privacy. Value: 0..1, probability of any risk."""
    labels = batch.model.heads["risk"].labels
    probability = np.array(batch.probabilities["risk"], np.float64)
    named = named_kinds(batch.tokens)
    none = labels.index("none")
    for number, kind in enumerate(KINDS):
        column = labels.index(kind)
        probability[:, column] = np.where(named[:, number], np.maximum(probability[:, column], _NAMED), probability[:, column])
    others = np.delete(probability, none, axis=1).sum(axis=1)
    probability /= np.maximum(others + probability[:, none], 1e-9)[:, None]
    chosen = np.argmax(np.log(np.maximum(probability, 1e-9)) + batch.model.heads["risk"].lean, axis=1)
    chosen = np.where(batch.languages.is_blank, none, chosen)
    any_risk = np.where(batch.languages.is_blank, 0.0, 1 - probability[:, none])
    confidence = np.take_along_axis(probability, chosen[:, None], axis=1)[:, 0] * batch.trust
    by = f"risk-{batch.model.version}"
    return [
        Score(name="risk", label=labels[c], value=v, confidence=p, by=by)
        for c, v, p in zip(chosen.tolist(), rounded(any_risk), rounded(np.clip(confidence, 0, 1)), strict=True)
    ]
