r"""Which personal data does it show? One glance at a batch, then patterns with their checksums where something may be found.

Every pattern is bounded and starts only where a word starts, so that no text, however hostile, costs more than a few steps per character.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from classifiers import personal_codes as codes
from classifiers import personal_glance as seen
from classifiers import personal_numbers as numbers
from classifiers import personal_places as places
from classifiers.personal_names import names
from earshot.mention import Score

if TYPE_CHECKING:
    from classifiers.batch import Batch

Place = tuple[int, int]
Finder = Callable[[str], Iterable[Place]]


class Span(NamedTuple):
    """Where personal data stands in a text as given."""

    start: int
    end: int
    kind: str  #: a key of `SURENESS`


#: how probably what is found is what it is taken for, see docs/questions.md
SURENESS = {
    "e-mail": 0.99, "card": 0.99, "iban": 0.99, "id": 0.97, "ip": 0.95, "link": 0.95, "phone": 0.95, "order": 0.9, "address": 0.85,
    "postcode": 0.9, "name": 0.75,
}  # fmt: skip
_NOTHING_SHOWN = 0.98  #: that a text shows none where none is found
_BESIDE_NAMES = frozenset(("e-mail", "phone", "card", "iban", "id", "address"))

#: the surer kinds first, as what they take, later ones are not shown
_FINDERS: tuple[tuple[str, int, Finder], ...] = (
    ("link", seen.PATH | seen.EQUALS | seen.AT, codes.links),
    ("e-mail", seen.AT, codes.emails),
    ("e-mail", seen.SPELT_AT, codes.spelt_emails),
    ("iban", seen.LONG, numbers.ibans),
    ("id", seen.LONG, numbers.papers),
    ("ip", seen.LONG, numbers.addresses_of_networks),
    ("card", seen.LONG, numbers.cards),
    ("order", seen.CODE, codes.named_codes),
    ("order", seen.SIX_SIGNS, codes.booked_codes),
    ("order", seen.LONG, codes.plain_codes),
    ("phone", seen.LONG, numbers.phones),
    ("address", seen.THEN_HOUSE, places.chinese_addresses),
    ("address", seen.LONE_HOUSE | seen.AFTER_STREET, places.addresses),
    ("address", seen.THEN_NAME | seen.AFTER_NAME | seen.THEN_WORD, places.named_addresses),
    ("postcode", seen.THEN_CAPITALS | seen.AFTER_STATE, places.post_codes),
    ("postcode", seen.THREE_DIGITS, places.named_post_codes),
)


_NOTHING = frozenset((0, seen.NUMBER, seen.ODD))


def personal_data(batch: Batch) -> list[Score]:
    """Label: `none`, or the kinds found, parted by spaces. Value: how many spans."""
    nothing = _score([])
    return [_score(found) if found else nothing for found in batch.shown]


def spans(text: str) -> list[Span]:
    """What should not be shown, in order; no two overlap."""
    return all_spans([text])[0]


def all_spans(texts: Sequence[str]) -> list[list[Span]]:
    """`spans` of each text."""
    looks = seen.glance(texts)
    return [[] if look in _NOTHING else _find(text, look) for text, look in zip(texts, looks, strict=True)]


def mask(text: str) -> str:
    """The text with each span replaced by its kind in brackets: "[e-mail]"."""
    parts, at = [], 0
    for span in spans(text):
        parts += [text[at : span.start], f"[{span.kind}]"]
        at = span.end
    return "".join([*parts, text[at:]])


def _find(text: str, look: int) -> list[Span]:
    if not look & seen.ODD:
        return _spans(text, look)
    plain, stood = seen.unmask(text)
    (look,) = seen.glance([plain])
    stood.append(len(text))
    return [Span(stood[span.start], stood[span.end], span.kind) for span in _spans(plain, look)]


def _spans(text: str, look: int) -> list[Span]:
    kept: list[Span] = []
    left = text
    for kind, find in _worth_a_try(look):
        found = list(find(left))
        if found:
            found = _apart(found)
            kept += [Span(start, end, kind) for start, end in found]
            left = _without(left, found)
    return sorted(kept + _names(left, kept)) if kept else kept


def _names(left: str, kept: Sequence[Span]) -> list[Span]:
    owned = sorted(span for span in kept if span.kind in _BESIDE_NAMES)
    return [Span(start, end, "name") for start, end in _apart(names(left, owned))]


@lru_cache(maxsize=1 << 12)
def _worth_a_try(look: int) -> tuple[tuple[str, Finder], ...]:
    return tuple((kind, find) for kind, needs, find in _FINDERS if look & needs)


def _apart(found: Iterable[Place]) -> list[Place]:
    """In order; of two that overlap, the one that begins first, or else the longer."""
    kept: list[Place] = []
    for start, end in sorted(found, key=lambda place: (place[0], -place[1])):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end))
    return kept


def _without(text: str, found: Sequence[Place]) -> str:
    """The text with those places blotted out: as long as before, and no pattern matches there."""
    parts, at = [], 0
    for start, end in found:
        parts += [text[at:start], "\0" * (end - start)]
        at = end
    return "".join([*parts, text[at:]])


def _score(found: Sequence[Span]) -> Score:
    kinds = sorted({span.kind for span in found})
    confidence = max((SURENESS[kind] for kind in kinds), default=_NOTHING_SHOWN)
    return Score(
        name="personal_data", label=" ".join(kinds) or "none", value=float(len(found)), confidence=confidence, by="personal_data-2"
    )
