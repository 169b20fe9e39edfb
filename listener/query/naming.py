"""The names of a brand as a query: each as people write it, and as they misspell it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from listener.query.grammar import SHORTEST_FUZZY
from listener.query.tree import Fuzzy, Term, any_of, write
from listener.query.words import is_spaceless, words_of


def names_query(names: Iterable[str]) -> str:
    """A query that finds each of these names; `~` where a name is long enough for it. Empty where none holds a word.

    A name that holds another ("Lumifern Plus") is found by that one.
    """
    said = dict.fromkeys(words_of(re.sub(r"^(?:[@#]|/?[ru]/)", "", name.strip())) for name in names)
    wanted = [each for each in said if each and not any(other != each and _holds(each, other) for other in said if other)]
    return write(any_of(tuple(map(_found_as, wanted)))) if wanted else ""


def _holds(name: str, other: str) -> bool:
    return other in name if is_spaceless(other[0]) else f" {other} " in f" {name} "


def _found_as(said: str) -> Fuzzy | Term:
    is_fuzzy = said.isalpha() and not is_spaceless(said[0]) and len(said) >= SHORTEST_FUZZY
    return Fuzzy(said) if is_fuzzy else Term(said)
