"""What a query is once it was read: a tree of frozen values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from listener.query.words import runs_of, words_of


@dataclass(frozen=True, slots=True)
class Term:
    """A word, a phrase, Chinese characters, "#hashtag" or "@handle", as `words.in_words` writes them."""

    said: str  #: words in small letters, parted by single spaces
    opens: bool = False  #: `lamp*`: the last word may go on
    cased: str = ""  #: the same words with their capitals, where these count


@dataclass(frozen=True, slots=True)
class Fuzzy:
    """`~lumifern`: the word, or one that is a slip or two away and begins with the same letter."""

    word: str
    slips: int = 1  #: letters too many, too few, wrong, or two that changed places
    strict: bool = True  #: ordinary words are no misspellings of it


@dataclass(frozen=True, slots=True)
class Near:
    """At most `within` words (or Chinese characters) stand between the two."""

    left: Node
    right: Node
    within: int
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """`author`, `lang`, `network`, `url`, `sentiment` or `is`, and what it must say, in small letters."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Followers:
    """`sign` is one of < <= = >= >."""

    sign: str
    count: int


@dataclass(frozen=True, slots=True)
class Not:
    part: Node


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Node, ...]


Node: TypeAlias = Term | Fuzzy | Near | Field | Followers | Not | And | Or


@dataclass(frozen=True, slots=True)
class Query:
    """A query that was read. Two with the same tree find the same posts, however they are written."""

    text: str
    tree: Node


def without(query: Query, *, authors: Iterable[str] = (), words: Iterable[str] = ()) -> Query:
    """The query without posts by these handles, and without posts that say one of these words or phrases: for lists of exclusions, which
    count against no limit. What holds no word is left out.
    """
    refused: list[Node] = [Field("author", handle.strip().removeprefix("@").casefold()) for handle in authors if handle.strip("@ ")]
    refused += [Term(said) for word in words if (said := words_of(word))]
    return replace(query, tree=all_of((query.tree, *map(Not, refused))))


def _flat(kind: type[And] | type[Or], sides: tuple[Node, ...]) -> Node:
    """All of them under one `kind`, each once."""
    parts = tuple(dict.fromkeys(part for side in sides for part in (side.parts if isinstance(side, kind) else (side,))))
    return kind(parts) if len(parts) > 1 else parts[0]


def all_of(parts: tuple[Node, ...]) -> Node:
    return _flat(And, parts)


def any_of(parts: tuple[Node, ...]) -> Node:
    return _flat(Or, parts)


def anchors(node: Node) -> tuple[Node, ...] | None:
    """The fewest and rarest parts of which one must hold wherever `node` does; None where there are none, as in `NOT spam`."""
    match node:
        case Term() | Fuzzy() | Field(name="author" | "url"):
            return (node,)
        case Near(left=left, right=right):
            return _rarest([anchors(left), anchors(right)])
        case And(parts=parts):
            return _rarest([anchors(part) for part in parts])
        case Or(parts=parts):
            sides = [anchors(part) for part in parts]
            return None if None in sides else tuple(dict.fromkeys(anchor for side in sides for anchor in side or ()))
    return None


def _rarest(sides: list[tuple[Node, ...] | None]) -> tuple[Node, ...] | None:
    """Few are rarer than many, and long words rarer than short ones; a Chinese character says as much as three letters."""
    return min((side for side in sides if side), key=lambda side: (len(side), -min(map(_weight, side))), default=None)


def _weight(anchor: Node) -> int:
    said = anchor.said if isinstance(anchor, Term) else anchor.word if isinstance(anchor, Fuzzy) else str(anchor)
    return len(said.encode())


def write(node: Node) -> str:
    """The tree in the language again, with all its parentheses; reading that gives the same tree."""
    match node:
        case Term(said=said, opens=opens, cased=cased):
            return f'"{cased}"c' if cased else _quoted(said, opens)
        case Fuzzy(word=word):
            return f"~{word}"
        case Near(left=left, right=right, within=within, ordered=ordered):
            return f"{_group(left)} {'ONEAR' if ordered else 'NEAR'}/{within} {_group(right)}"
        case Field(name=name, value=value):
            return f'{name}:"{value}"' if name == "url" else f"{name}:{value}"
        case Followers(sign=sign, count=count):
            return f"followers{sign}{count}"
        case Not(part=part):
            return f"NOT {_group(part)}"
        case And(parts=parts):
            return " ".join(map(_group, parts))
        case Or(parts=parts):
            return " OR ".join(map(_group, parts))


def _group(node: Node) -> str:
    return write(node) if isinstance(node, Term | Fuzzy | Field | Followers) else f"({write(node)})"


def _quoted(said: str, opens: bool) -> str:
    """Bare where it is one word that is no word of the language."""
    star = "*" if opens else ""
    bare = said[:1] in "#@" or (len(runs_of(said)) == 1 and said not in ("and", "or", "not", "near", "onear"))
    return f"{said}{star}" if bare else f'"{said}{star}"'
