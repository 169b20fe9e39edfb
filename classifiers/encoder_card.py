"""The card of a fine-tuned encoder, for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from classifiers.accurate import Card
from classifiers.training_data import NOT_TO_LEARN_FROM

if TYPE_CHECKING:
    from classifiers.finetune import Judged, Recipe

_CARD = """# An encoder that answers {questions}

Fine-tuned by `python -m classifiers.finetune` on posts in {languages}; reads up to {length} tokens of a text. For the accurate model: name
its folder in the setting `accurate_model`.

**Use** it beside the fast model, to read again what that is unsure of, with a person looking at what both are unsure of. **Do not use** it
to judge people, or on other languages.

## Figures

On the dev parts, which never teach, as it serves: ONNX, int8. It gives the label of full precision to {agreement:.1%} of texts and heads.
Temperatures of the probabilities were fitted to the same parts; they move no label.

| head | measure | figure | rows |
|---|---|---|---|
{figures}

## What it learnt from

Train parts only, without rows from `{forbidden}`, whose texts are non-commercial or academic. What the encoder had read before is for
whoever gave it to say: its licence holds besides.

| set | licence |
|---|---|
{licences}

"unclear": nobody states a licence that forbids it.

## Made again

{recipe}

| file read | SHA-256 |
|---|---|
{manifest}

| file written | SHA-256 |
|---|---|
{sealed}
"""


def encoder_card(
    card: Card, recipe: Recipe, judged: Sequence[Judged], *, agreement: float, licences: Mapping[str, str], manifest: Mapping[str, str]
) -> str:
    """Markdown, true to heads.json. `agreement`: share of labels that int8 and full precision have in common."""
    return _CARD.format(
        questions=", ".join(head.question for head in card.heads),
        languages=", ".join(card.languages),
        length=card.length,
        agreement=agreement,
        figures=_rows((each.head, each.measure, f"{each.figure:.3f}", str(each.n)) for each in judged),
        forbidden="`, `".join(sorted(NOT_TO_LEARN_FROM)),
        licences=_rows(sorted(licences.items())),
        recipe=", ".join(f"{name} {value:g}" for name, value in asdict(recipe).items()),
        manifest=_rows((file, f"`{digest}`") for file, digest in sorted(manifest.items())),
        sealed=_rows((file, f"`{digest}`") for file, digest in sorted(card.sha256.items())),
    )


def _rows(rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
