"""UNDERSTAND: what does a post say, want, and need?

`understand` answers every question of `CLASSIFIERS` about every mention of a batch; `panel.Panel` does the same for a worker that
lives longer.

A question is a function from a `Batch` to one `Score` per mention, in order. The batch holds what questions share (normalised
texts, tokens, the model's probabilities), each computed when first asked for. To add your own, write one file::

    # classifiers/politeness.py
    def politeness(batch: Batch) -> list[Score]:
        polite = [float("please" in text.lower()) for text in batch.texts]
        return [Score(name="politeness", label=("plain", "polite")[int(p)], value=p, confidence=0.6, by="politeness-1") for p in polite]

and one line in `CLASSIFIERS` below. The shared tests in `tests/classifiers` run over it from then on.

| question | labels | value |
|---|---|---|
| language | ISO 639-1, other, unsure | 0..1 probability of the likeliest language; 0 where there is too little to read |
| sentiment | negative, neutral, positive | -1..1 P(positive) - P(negative) |
| anger | calm, annoyed, angry | 0..1 P(angry) |
| intent | question, problem, complaint, praise, suggestion, purchase, cancel, spam, other | 0..1 probability of the likeliest label |
| asks | yes, no | 0..1 P(yes) |
| needs | common, specialist, account, none | 0..1 P(common) |
| urgent | yes, no | 0..1 P(yes) |
| risk | none, safety, legal, press, privacy | 0..1 probability of any risk |
| toxicity | yes, no | 0..1 P(yes) |
| spam | yes, no | 0..1 P(yes) |
| tier | none, community, tier_1, tier_2 | 0..1 P(community): who answered posts like this |
| personal_data | none, or kinds parted by spaces | how many spans |
| topics | none, or keys of the catalogue's topics parted by spaces | how many topics |
| products | none, or keys of the catalogue's products parted by spaces | how many products |

`confidence` is the calibrated probability of the label. Where there is too little to read (no letters, a single word, only links,
only emoji), and in languages other than English and Chinese (sentiment knows more), the label is `unsure`, value and confidence are
0; where the language is a close call confidence is at most 0.6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from earshot.mention import Mention, ScoredMention

if TYPE_CHECKING:
    from classifiers.brand import Brand

#: question -> "module:function"
CLASSIFIERS: Mapping[str, str] = {
    "language": "classifiers.language:language",
    "sentiment": "classifiers.sentiment:sentiment",
    "anger": "classifiers.anger:anger",
    "intent": "classifiers.intent:intent",
    "asks": "classifiers.asks:asks",
    "needs": "classifiers.needs:needs",
    "urgent": "classifiers.urgent:urgent",
    "risk": "classifiers.risk:risk",
    "toxicity": "classifiers.toxicity:toxicity",
    "spam": "classifiers.spam:spam",
    "tier": "classifiers.tier:tier",
    "personal_data": "classifiers.personal_data:personal_data",
    "topics": "classifiers.topics:topics",
    "products": "classifiers.topics:products",
}

#: Asked only when there is a brand with a catalogue.
OF_A_BRAND = frozenset({"topics", "products"})


def understand(mentions: Sequence[Mention], *, brand: Brand | None = None) -> list[ScoredMention]:
    """Every question about every mention, in order. The weights are read once per process; a worker keeps a `Panel` instead."""
    from classifiers.panel import Panel

    return Panel(brand=brand).understand(mentions)
