"""Words that everybody uses: whoever writes one means it, and did not misspell the name of a brand."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


def is_ordinary(word: str) -> bool:
    """Is that an English word, in small letters? Names of places and people are among them."""
    return word in _ordinary()


@cache
def _ordinary() -> frozenset[str]:
    """82,765 words, from the list that symspellpy ships."""
    listed = files("symspellpy").joinpath("frequency_dictionary_en_82_765.txt").read_text(encoding="utf-8")
    return frozenset(line.partition(" ")[0] for line in listed.splitlines())
