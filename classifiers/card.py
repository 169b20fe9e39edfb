"""The model card, written from the description that lies beside the weights, so that it cannot say anything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CARD = """# heads {version}: what a post says, wants and needs

One linear model over hashed words and characters ({columns} columns of int8 weights), English and Chinese, with some cues (punctuation,
listed words) and {heads} heads: {questions}. Sentiment knows more languages; `emotion`, `emotion_zh` and `irony` are there for reports
of your own and are not asked of every post.

**Use** it to sort public posts to a brand into who should answer, with a person looking at what it is unsure of. **Do not use** it to judge
people, or to decide alone on anything that matters to them. What is too short, or in another language, it calls `unsure`.

## Figures

Macro-F1, five-fold cross-validated over train and dev of `triage_posts` (each post scored by weights, and a calibration, that had not
seen it; rows whose licence forbids teaching are judged too). The shipped weights learn from train and dev together, so no part of these
sets can judge them: `python -m classifiers.evaluate DATA_DIR --taught FILE` repeats these figures, and gives those on dev of weights
that learnt from train alone. The encoder that taught (below) learnt from the train part, too: what it passed on through other texts
makes the figures of that part a little too good, those of dev not.

| question | English | Chinese |
|---|---|---|
{figures}

Chinese posts are few (480 + 120, hardly any urgent or risky ones): take those figures as rough.

Thresholds on these scores live in the policy, `escalation/default.toml`, each with the error that it was chosen for;
`python benchmarks/triage.py DATA_DIR --taught FILE` repeats that choice.

## What it learnt from

`triage_posts` (labels CC0; texts under the licences of their sources; rows from `{forbidden}` are left out, as their texts are
non-commercial or academic), `invented_posts` (CC0) and the posts in `classifiers/lessons` (CC0). Public sets taught more heads, and
hints that help the others:

| set | licence |
|---|---|
{licences}

`language_id` (Apache-2.0) and `multilingual_sentiment` teach Latin languages apart. "unclear": nobody states a licence that forbids it.
The texts themselves are not in this package, and cannot be read back from hashed sums of weights.
{taught}
## Limits

- Sarcasm, quoted anger and dialect are misread; anger is rare, so `anger` is best used as a low threshold on its value.
- Risks are rare: the listed phrases in `risk.toml` find what is said plainly, the model adds little.
- Calibration holds for posts like these; check it on your own (`labels` of your managers, the page Models). Where angry posts are
  commoner than here, P(angry) is too low.
- Toxicity learnt from English alone. Chinese heads learnt from few posts.

## Train again

`python -m classifiers.train DATA_DIR --taught FILE` reads the sets below from DATA_DIR and writes weights, description and
this card, unless the figures fall. The same data give the same weights. SHA-256 of the weights: `{sha256}`.

| file | SHA-256 |
|---|---|
{manifest}
"""

_TAUGHT = """
An encoder read {texts} texts of public sets without their labels, and the model learnt to answer as it did
(`docs/how-to/train-an-encoder.md`; SHA-256 of its description: `{encoder}`).
"""


def card_text(described: Mapping[str, Any], *, forbidden: str) -> str:
    """Markdown for people, from the JSON beside the weights."""
    figures = described["figures"]
    questions = dict.fromkeys(name.split()[0] for name in figures)
    heads = described["heads"]
    return _CARD.format(
        version=described["version"],
        columns=sum(head["columns"] for head in heads),
        heads=len(heads),
        questions=", ".join(head["name"] for head in heads),
        figures=_rows((question, *(_figure(figures, question, lang) for lang in ("en", "zh"))) for question in questions),
        forbidden=forbidden,
        licences=_rows(sorted(described["licences"].items())),
        taught=_TAUGHT.format_map(described["taught"]) if described.get("taught") else "",
        sha256=described["sha256"],
        manifest=_rows((file, f"`{digest[:16]}…`") for file, digest in described["manifest"].items()),
    )


def _figure(figures: Mapping[str, float], question: str, lang: str) -> str:
    found = figures.get(f"{question} {lang}")
    return "–" if found is None else f"{found:.2f}"


def _rows(rows: Any) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
