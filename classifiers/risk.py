"""Is there a risk in it: safety, law, press, privacy? Words that mean risk whatever else is said (`risk.toml`), and the model, together."""

from __future__ import annotations

import numpy as np

from classifiers.batch import Batch
from classifiers.risk_words import KINDS
from earshot.mention import Score

_SHOWN = 0.6  #: a post that shows personal data is a matter of privacy at least so probably


def risk(batch: Batch) -> list[Score]:
    """Labels: none, safety, legal, press, privacy. Value: 0..1, probability of any risk.

    A listed phrase makes its kind at least as probable as its rule says, shown personal data makes privacy so; the model can only add.
    """
    labels = batch.model.heads["risk"].labels
    probability = np.array(batch.probabilities["risk"], np.float64)
    named = batch.cues[:, -len(KINDS) :].astype(np.float64)  # what `risk_words` found
    named[:, KINDS.index("privacy")] = np.maximum(
        named[:, KINDS.index("privacy")], _SHOWN * np.array([bool(found) for found in batch.shown])
    )
    of_kind = np.maximum(probability[:, [labels.index(kind) for kind in KINDS]], named)
    any_risk = np.where(batch.languages.is_blank, 0.0, np.maximum(1 - probability[:, labels.index("none")], named.max(axis=1, initial=0.0)))
    likeliest = of_kind.argmax(axis=1)
    has_risk = (any_risk >= 0.5) | ((named > 0).any(axis=1) & ~batch.languages.is_blank)
    confidence = np.where(has_risk, of_kind.max(axis=1, initial=0.0), 1 - any_risk) * batch.trust
    named_kinds = [KINDS[kind] if risky else "none" for risky, kind in zip(has_risk.tolist(), likeliest.tolist(), strict=True)]
    return batch.signed("risk", named_kinds, values=any_risk, confidence=confidence)
