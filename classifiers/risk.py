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
    Both count in any language, and however short a text is.
    """
    labels = batch.model.heads["risk"].labels
    probability = np.array(batch.probabilities["risk"], np.float64)
    named = batch.cues[:, -len(KINDS) :].astype(np.float64)  # what `risk_words` found
    named[:, KINDS.index("privacy")] = np.maximum(
        named[:, KINDS.index("privacy")], _SHOWN * np.array([bool(found) for found in batch.shown])
    )
    is_named = (named > 0).any(axis=1)
    of_kind = np.where(batch.is_read()[:, None], np.maximum(probability[:, [labels.index(kind) for kind in KINDS]], named), named)
    any_risk = np.maximum(np.where(batch.is_read(), 1 - probability[:, labels.index("none")], 0.0), named.max(axis=1, initial=0.0))
    has_risk = (any_risk >= 0.5) | is_named
    confidence = np.where(has_risk, of_kind.max(axis=1, initial=0.0), 1 - any_risk) * batch.trust
    likeliest = of_kind.argmax(axis=1).tolist()
    given = [KINDS[kind] if risky else "none" for risky, kind in zip(has_risk.tolist(), likeliest, strict=True)]
    return batch.sure_of("risk", given, any_risk, confidence, batch.is_read() | is_named)
