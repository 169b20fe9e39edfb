"""The model card, written from the description that lies beside the weights, so that it cannot say anything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CARD = """# heads {version}: what a post says, wants and needs

One linear model over hashed words and characters ({columns} columns of int8 weights), English and Chinese. {signals} signals learnt from
public sets feed, with some cues (punctuation, listed words), {heads} heads. It answers: {questions}.

**Use** it to sort public posts to a brand into who should answer, with a person looking at what it is unsure of. **Do not use** it to judge
people, to decide alone on anything that matters to them, or on languages other than English and Chinese (there its confidence is capped).

## Figures

Macro-F1, five-fold cross-validated over train and dev of `triage_posts` (each post scored by weights, and a calibration, that had not seen
it; rows whose licence forbids teaching are judged too). The shipped weights learn from train and dev together, so no part of these sets can
judge them: `python -m classifiers.evaluate DATA_DIR` repeats these figures, and gives those on dev of weights that learnt from train alone.

| question | English | Chinese |
|---|---|---|
{figures}

Chinese posts are few (480 + 120, hardly any urgent or risky ones): take those figures as rough.

## What it learnt from

`triage_posts` (labels CC0; texts under the licences of their sources; rows from `{forbidden}` are left out, as their
texts are non-commercial or academic) and `invented_posts` (CC0). The signals learnt from:

| set | licence |
|---|---|
{licences}

`language_id` (Apache-2.0) and `multilingual_sentiment` teach Latin languages apart. "unclear": nobody states a licence that forbids it.
The texts themselves are not in this package, and cannot be read back from hashed sums of weights.

## Limits

- Sarcasm, quoted anger and dialect are misread; anger is rare, so `anger` is best used as a low threshold on its value.
- Risks are rare: the listed phrases in `risk.toml` find what is said plainly, the model adds little.
- Calibration holds for posts like these; check it on your own (`labels` of your managers).

## Train again

`python -m classifiers.train DATA_DIR` reads the sets below from DATA_DIR and writes weights, description and
this card, unless the figures fall. The same data give the same weights. SHA-256 of the weights: `{sha256}`.

| file | SHA-256 |
|---|---|
{manifest}
"""


def card_text(described: Mapping[str, Any], *, forbidden: str) -> str:
    """Markdown for people, from the JSON beside the weights."""
    figures = described["figures"]
    questions = dict.fromkeys(name.split()[0] for name in figures)
    heads = described["heads"]
    return _CARD.format(
        version=described["version"],
        columns=len(described["signals"]) + sum(head["columns"] for head in heads),
        signals=len(described["signals"]),
        heads=len(heads),
        questions=", ".join(head["name"] for head in heads),
        figures=_rows((question, *(_figure(figures, question, lang) for lang in ("en", "zh"))) for question in questions),
        forbidden=forbidden,
        licences=_rows(sorted(described["licences"].items())),
        sha256=described["sha256"],
        manifest=_rows((file, f"`{digest[:16]}…`") for file, digest in described["manifest"].items()),
    )


def _figure(figures: Mapping[str, float], question: str, lang: str) -> str:
    found = figures.get(f"{question} {lang}")
    return "–" if found is None else f"{found:.2f}"


def _rows(rows: Any) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
