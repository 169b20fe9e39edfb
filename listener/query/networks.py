"""A query in a network's own search words, always at least as wide: what a network cannot say is left out, and what it finds too much the
local check drops.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from earshot.errors import BadInput, UnknownName
from listener.query.misspelling import FEWEST, MOST, misspellings
from listener.query.tree import And, Field, Fuzzy, Near, Node, Not, Or, Query, Term, all_of, anchors, any_of, write
from listener.query.words import is_spaceless, runs_of, words_of

MOST_SEARCHES = 20  #: that one query may become on one network

#: languages that `lang:` of X takes; two have older names there
_LANGUAGES_OF_X = """
am ar bg bn bo bs ca cs cy da de dv el en es et eu fa fi fr gu he hi hr ht hu hy id is it ja ka km kn ko lo lt lv ml mr my ne nl no or pa
pl ps pt ro ru sd si sk sl sr sv ta te th tl tr ug uk ur vi zh
"""
_OLDER_NAMES = {"id": "in", "he": "iw"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a network's search is spoken. A function gives None for what the network cannot say, or might take more narrowly than we do."""

    longest: int  #: characters of one search
    says: Callable[[Node], str | None]  #: a term or field that must be there
    says_not: Callable[[Node], str | None] = lambda _: None  #: one that must not; only where the network finds no more than we do
    both: str | None = " "  #: between two that must be there; None where a search holds one only
    either: str | None = " OR "  #: between two of which one must be there; None where there must be a search for each
    most_either: int = 1_000  #: of these in one search


def compile_for(query: Query, network: str, *, reserve: int = 0) -> list[str]:
    """Searches in the network's own words: each post that the network can show and that matches the query is found by at least one.

    But for misspellings: `~` is asked for as the word and the likeliest of them.

    `reserve`: characters of each search that the caller needs. Empty where `network:` leaves this network out. Raises `BadInput` where
    nothing is left that the network can search for, and `UnknownName` for a network without a search.
    """
    asked = _Asked(network, _dialect(network))
    wide = _wider(query.tree, asked)
    if wide is False:
        return []
    if wide is True or not _may_stand_alone(wide):
        raise BadInput(_unsearchable(query, network))
    fitting = _Fitting(asked.dialect, asked.dialect.longest - reserve)
    for tree in (wide, any_of(anchors(wide) or (wide,))):
        with suppress(_TooMany):
            return list(dict.fromkeys(map(fitting.write, fitting.searches(tree))))
    raise BadInput(f"the query is too long for {network}: it would take more than {MOST_SEARCHES} searches. Split it, or leave words out")


def unsearchable(query: Query, network: str) -> tuple[str, ...]:
    """The parts that the network's search does not know; they are checked here, among what it finds without them."""
    asked = _Asked(network, _dialect(network))
    if _wider(query.tree, asked) is False:
        return ()
    left_out = (node for node, wanted in _parts(query.tree, True) if asked.leaf(node, wanted) is True)
    return tuple(dict.fromkeys(write(node) for node in left_out if not (isinstance(node, Field) and node.name == "network")))


def widened(query: Query, network: str) -> Query | None:
    """What the network is asked for at most, as a query of ours: what it matches is about what comes back. None where the network is left
    out. Raises as `compile_for` does.
    """
    wide = _wider(query.tree, _Asked(network, _dialect(network)))
    if wide is True:
        raise BadInput(_unsearchable(query, network))
    return None if wide is False else replace(query, tree=wide)


def _dialect(network: str) -> Dialect:
    try:
        return DIALECTS[network]
    except KeyError:
        known = ", ".join(sorted(DIALECTS))
        raise UnknownName(
            f"no search is known for {network!r} (known: {known}): hear all there is in its place, and check it here"
        ) from None


def _unsearchable(query: Query, network: str) -> str:
    unknown = ", ".join(unsearchable(query, network)) or "posts by these alone"
    return f"{network} cannot search for {unknown}: put a word that must be there beside it (AND), or write out with OR what may be meant"


# ---- what the network can say of it


@dataclass(frozen=True, slots=True)
class _Asked:
    network: str
    dialect: Dialect

    def leaf(self, node: Node, wanted: bool) -> Node | bool:
        """What is asked of the network; True: everything, False: nothing."""
        if isinstance(node, Field) and node.name == "network":
            return (node.value == self.network) is wanted
        if not wanted:
            return Not(node) if self.dialect.says_not(node) else True
        if isinstance(node, Fuzzy):
            return self._spelt(node)
        return node if self.dialect.says(node) else _less(node, self.dialect)

    def _spelt(self, fuzzy: Fuzzy) -> Node | bool:
        most = FEWEST if self.dialect.either is None else MOST
        written = tuple(term for word in (fuzzy.word, *misspellings(fuzzy.word, most)) if self.dialect.says(term := Term(word)))
        return any_of(written) if written else True


def _less(node: Node, dialect: Dialect) -> Node | bool:
    """A part of a phrase that the network can say, where it cannot say all of it."""
    if not isinstance(node, Term) or node.said[0] in "#@":
        return True
    words = runs_of(node.said)[: -1 if node.opens else None]
    parts = tuple(term for word in words if dialect.says(term := Term(word)))
    return all_of(parts) if parts else True


def _wider(node: Node, asked: _Asked, wanted: bool = True) -> Node | bool:
    """A tree of what the network can say that holds wherever `node` does (or, where it is not `wanted`, wherever it does not)."""
    match node:
        case Not(part=part):
            return _wider(part, asked, not wanted)
        case Near(left=left, right=right) if wanted:
            return _all(_wider(side, asked) for side in (left, right))
        case Near():
            return True
        case And(parts=parts) | Or(parts=parts):
            sides = (_wider(part, asked, wanted) for part in parts)
            return _all(sides) if isinstance(node, And) is wanted else _any(sides)
    return asked.leaf(node, wanted)


def _all(sides: Iterable[Node | bool]) -> Node | bool:
    kept: list[Node] = []
    for side in sides:
        if side is False:
            return False
        if side is not True:
            kept.append(side)
    return all_of(tuple(kept)) if kept else True


def _any(sides: Iterable[Node | bool]) -> Node | bool:
    """Everything as soon as one side is, or only says what must not be there, for networks take no such thing in an OR."""
    kept: list[Node] = []
    for side in sides:
        if side is True or _only_refuses(side):
            return True
        if side is not False:
            kept.append(side)
    return any_of(tuple(kept)) if kept else False


def _only_refuses(side: Node | bool) -> bool:
    return isinstance(side, Not) or (isinstance(side, And) and all(map(_only_refuses, side.parts)))


def _may_stand_alone(tree: Node) -> bool:
    return anchors(tree) is not None


def _parts(node: Node, wanted: bool) -> Iterator[tuple[Node, bool]]:
    """Terms, fields and NEARs, and whether they must be there."""
    match node:
        case Not(part=part):
            yield from _parts(part, not wanted)
        case And(parts=parts) | Or(parts=parts):
            for part in parts:
                yield from _parts(part, wanted)
        case _:
            yield node, wanted


# ---- searches that are short enough


class _TooMany(Exception):
    pass


@dataclass(frozen=True, slots=True)
class _Fitting:
    dialect: Dialect
    longest: int

    def searches(self, tree: Node) -> list[Node]:
        """Trees that the network takes; together they find all that `tree` does."""
        if self._fits(tree):
            return [tree]
        match tree:
            case Or(parts=parts):
                return self._packed(piece for part in parts for piece in self.searches(part))
            case And(parts=parts):
                return self._of_all(parts)
        raise BadInput(f"{_clipped(write(tree))} is too long for one search of {self.longest} characters: shorten it")

    def _packed(self, pieces: Iterable[Node]) -> list[Node]:
        """As many of the alternatives in one search as it holds."""
        packed: list[Node] = []
        for piece in pieces:
            if packed and self._fits(both := any_of((packed[-1], piece))):
                packed[-1] = both
            else:
                packed.append(piece)
            if len(packed) > MOST_SEARCHES:
                raise _TooMany
        return packed

    def _of_all(self, parts: tuple[Node, ...]) -> list[Node]:
        """The part that finds the fewest posts, with as much of the others as there is room for."""
        wanted = [part for part in parts if not isinstance(part, Not)]
        rarest = anchors(all_of(tuple(wanted)))
        first = next(part for part in wanted if anchors(part) == rarest)
        pieces = self.searches(first)
        if self.dialect.both is None:
            return pieces
        for part in sorted((part for part in wanted if part is not first), key=lambda part: len(self.write(part))):
            pieces = self._narrowed(pieces, part)
        refused = [part for part in parts if isinstance(part, Not)]
        return [self._refusing(piece, refused) for piece in pieces]

    def _refusing(self, piece: Node, refused: Iterable[Node]) -> Node:
        room, kept = self.longest - len(self._grouped(piece)), []
        for part in refused:
            taken = len(self.write(part)) + len(self.dialect.both or "")
            if taken <= room:
                kept.append(part)
                room -= taken
        return all_of((piece, *kept))

    def _narrowed(self, pieces: list[Node], part: Node) -> list[Node]:
        """The pieces with `part` beside them; its alternatives are shared out over more searches, while these are few."""
        alternatives = part.parts if isinstance(part, Or) else (part,)
        narrowed: list[Node] = []
        for piece in pieces:
            both = self._with(piece, part)
            narrowed += [both] if both is not piece else self._shared_out(piece, alternatives)
        return narrowed if len(narrowed) <= MOST_SEARCHES else pieces

    def _shared_out(self, piece: Node, alternatives: tuple[Node, ...]) -> list[Node]:
        """The piece with some of the alternatives in each search; alone where one does not fit beside it."""
        shared: list[tuple[Node, ...]] = []
        for other in alternatives:
            if self._with(piece, other) is piece or len(shared) > MOST_SEARCHES:
                return [piece]
            if shared and self._fits(all_of((piece, any_of((*shared[-1], other))))):
                shared[-1] = (*shared[-1], other)
            else:
                shared.append((other,))
        return [all_of((piece, any_of(some))) for some in shared]

    def _with(self, piece: Node, part: Node) -> Node:
        both = all_of((piece, part))
        return both if self._fits(both) else piece

    def _fits(self, tree: Node) -> bool:
        if (self.dialect.either is None and _holds(tree, Or)) or (self.dialect.both is None and _holds(tree, And)):
            return False
        return not (isinstance(tree, Or) and len(tree.parts) > self.dialect.most_either) and len(self.write(tree)) <= self.longest

    def write(self, node: Node) -> str:
        match node:
            case And(parts=parts):
                return (self.dialect.both or " ").join(map(self._grouped, _in_order(parts)))
            case Or(parts=parts):
                return (self.dialect.either or " ").join(map(self._grouped, parts))
            case Not(part=part):
                return self.dialect.says_not(part) or ""
        return self.dialect.says(node) or ""

    def _grouped(self, node: Node) -> str:
        return f"({self.write(node)})" if isinstance(node, And | Or) else self.write(node)


def _holds(tree: Node, kind: type[And] | type[Or]) -> bool:
    return isinstance(tree, kind) or (isinstance(tree, And | Or) and any(_holds(part, kind) for part in tree.parts))


def _in_order(parts: Iterable[Node]) -> list[Node]:
    """What is refused last, and of words with a star one, behind all others: only there a network takes a word for a beginning."""
    stars = [part for part in parts if isinstance(part, Term) and part.opens]
    return [*sorted((part for part in parts if part not in stars), key=lambda part: isinstance(part, Not)), *stars[:1]]


def _clipped(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"


# ---- the networks


def _words(node: Node) -> str | None:
    """A word, Chinese characters as they are, or a phrase in quotes. How networks cut phrases with Chinese and emoji in them nobody knows:
    their words are looked for one by one.
    """
    if not isinstance(node, Term) or node.opens or node.said[0] in "#@" or _has_emoji(node.said):
        return None
    runs = runs_of(node.said)
    if len(runs) == 1:
        return f'"{node.said}"' if "_" in node.said or node.said in ("and", "or", "not") else node.said
    return None if any(is_spaceless(char) for char in node.said) else f'"{node.said}"'


def _has_emoji(said: str) -> bool:
    return not said.isascii() and any("\u2600" <= char <= "\u2bff" or "\U0001f000" <= char <= "\U0001faff" for char in said)


def _x(node: Node) -> str | None:
    match node:
        case Term(said=said, opens=False) if re.fullmatch(r"#(?!\d+$)\w+|@[a-z0-9_]{1,15}", said) or (len(said) == 1 and _has_emoji(said)):
            return said
        case Term():
            return _words(node)
        case Field(name="author", value=handle) if re.fullmatch(r"[a-z0-9_]{1,15}", handle):
            return f"from:{handle}"
        case Field(name="lang", value=code) if code in _LANGUAGES_OF_X.split():
            return f"(lang:{_OLDER_NAMES.get(code, code)} OR lang:und)"
        case Field(name="is", value="reply"):
            return "is:reply"
        case Field(name="url", value=address) if not _may_be_of_x(words_of(address).split()) and '"' not in address:
            return f'url:"{address}"'
    return None


def _may_be_of_x(words: list[str]) -> bool:
    """May these words stand in the address of a post itself, where `url:` of X does not look?"""
    own = ("https?", "x|twitter", "com", r"\w{1,20}", "status", r"\d+")
    starts = range(len(own) - len(words) + 1)
    return any(all(map(re.fullmatch, own[start:], words)) for start in starts)


def _x_not(node: Node) -> str | None:
    """X folds accents, too, so that only plain words may be refused there."""
    match node:
        case Term(said=said, cased="") if said.isascii() and (said[0] in "#@" or _words(node)):
            return f"-{_x(node)}" if _x(node) else None
        case Field(name="lang", value=code) if code in _LANGUAGES_OF_X.split():
            return f"-lang:{_OLDER_NAMES.get(code, code)}"
        case Field(name="author") | Field(name="is"):
            return f"-{_x(node)}" if _x(node) else None
    return None


def _reddit(node: Node) -> str | None:
    match node:
        case Field(name="author", value=handle) if re.fullmatch(r"[a-z0-9_-]{1,20}", handle):
            return f"author:{handle}"
    return _words(node)


def _reddit_not(node: Node) -> str | None:
    """Reddit finds other forms of a word, too ("lamps"), so that no word may be refused there."""
    says = _reddit(node) if isinstance(node, Field) else None
    return f"NOT {says}" if says else None


def _hackernews(node: Node) -> str | None:
    """The last word of a search is taken for a beginning, so that a star can be said."""
    if isinstance(node, Term) and node.opens and node.said.isascii() and node.said.isalnum():
        return _words(Term(node.said))
    return _words(node)


def _mastodon(node: Node) -> str | None:
    """Tags, as our source there takes them: their timelines show the posts in which the word is a hashtag."""
    if not isinstance(node, Term) or node.opens or node.said[0] == "@" or _has_emoji(node.said):
        return None
    tag = node.said.removeprefix("#")
    is_whole = tag != node.said or not any(map(is_spaceless, tag))  # Chinese stands within longer tags, too
    return f"#{tag}" if is_whole and re.fullmatch(r"\w+", tag) and not tag.isdigit() else None


def _one_word(node: Node) -> str | None:
    """A single word, where how a search reads several is not written down."""
    says = _words(node)
    return says if isinstance(node, Term) and says == node.said else None


def _within(node: Node) -> str | None:
    """A single word that is looked for within others, too, so that a star need not be said."""
    return _one_word(Term(node.said) if isinstance(node, Term) and node.opens else node)


DIALECTS: Mapping[str, Dialect] = {
    # our sources there read all there is, and keep what has one of the words
    "bluesky": Dialect(longest=4_000, says=_within, both=None, either=" "),
    "discourse": Dialect(longest=4_000, says=_within, both=None, either=" "),
    "lemmy": Dialect(longest=200, says=_within, both=None, either=None),
    "stackexchange": Dialect(longest=200, says=_one_word, both=None, either=None),
    "x": Dialect(longest=512, says=_x, says_not=_x_not),
    "reddit": Dialect(longest=512, says=_reddit, says_not=_reddit_not, both=" AND "),
    "hackernews": Dialect(longest=512, says=_hackernews, either=None),
    "mastodon": Dialect(longest=512, says=_mastodon, both=None, either=" ", most_either=5),
}
