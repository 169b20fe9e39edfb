"""Reads a query: text -> tree, or an error that points at the column and says what to write."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from earshot.errors import BadInput
from listener.query.tree import Field, Followers, Fuzzy, Near, Node, Not, Or, Query, Term, all_of, anchors, any_of
from listener.query.words import is_spaceless, runs_of, words_of

if TYPE_CHECKING:
    from lark import Lark, Token
    from lark.exceptions import UnexpectedToken

LONGEST = 8_000  #: characters of a query
MOST_TERMS = 500
DEEPEST = 30  #: parentheses and NOTs within one another
FARTHEST = 100  #: of NEAR
SHORTEST_STAR = 2  #: letters before *
SHORTEST_FUZZY, LONG_FUZZY = 6, 9  #: letters of a word that may hold one slip, and of one that may hold two

FIELDS = ("author", "lang", "network", "url", "followers", "is", "sentiment")
_SENTIMENTS = ("negative", "neutral", "positive")
_KINDS = ("reply", "question")
_OTHER_NAMES = {"twitter": "x", "hn": "hackernews", "rss": "feed", "atom": "feed"}

_GRAMMAR = r"""
?start: either
?either: both | either OR both -> either
?both: unary | both unary -> both | both AND unary -> both_said
?unary: near | (NOT | MINUS) unary -> negated
?near: atom | atom NEAR atom -> near
?atom: LPAR either RPAR -> group
     | WORD -> word
     | PHRASE -> phrase
     | FIELD -> field
     | FOLLOWERS -> followers
     | FUZZY -> fuzzy

LPAR: "("
RPAR: ")"
AND.9: /AND(?![^\s()"])/
OR.9: /OR(?![^\s()"])/
NOT.9: /NOT(?![^\s()"])/
NEAR.9: /O?NEAR\/\d{1,9}(?![^\s()"])/
MINUS.8: /-(?=[^\s)-])/
PHRASE.7: /"[^"]*"(?:c(?![^\s()"]))?/
FOLLOWERS.7: /followers[<>=:][^\s()"]*/i
FIELD.6: /[A-Za-z_]+:(?:"[^"]*"|[^\s()"]*)/
FUZZY.6: /~[^\s()"]*/
WORD: /[^\s()"]+/
%ignore /\s+/
"""
#: what keyboards and documents make of the signs, one for one, so that columns stay
_SIGNS = str.maketrans("“”„«»（）：～＂　＃＠－", '"""""():~" #@-')
_COUNT = re.compile(r"followers(<=|>=|<|>|=)(\d{1,12}|\d{1,9}[km])", re.IGNORECASE)
_THOUSANDS = {"k": 1_000, "m": 1_000_000}


class _Mistake(Exception):
    def __init__(self, column: int, advice: str) -> None:
        super().__init__(advice)
        self.column, self.advice = column, advice


def read(text: str) -> Query:
    """The query that `text` says. Raises `BadInput` with the column, the line with a caret, and what to write instead."""
    if len(text) > LONGEST:
        raise BadInput(f"the query has {len(text):,} characters; at most {LONGEST:,} are read. Split it into several queries")
    line = re.sub(r"\s", " ", text).translate(_SIGNS)
    if not line.strip():
        raise BadInput('the query is empty: write a word to look for, such as lumifern, or a "phrase in quotes"')
    try:
        tree = _parse(line)
        if anchors(tree) is None:
            raise _Mistake(1, _NOTHING_TO_FIND)
    except _Mistake as err:
        raise BadInput(_pointed(line, err.column, err.advice)) from None
    return Query(text, tree)


_NOTHING_TO_FIND = (
    "this finds nearly every post, for no word must be there. Put a word, an author: or a url: beside it, in every branch of an OR: "
    "lumifern NOT spam"
)


def _parse(line: str) -> Node:
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    try:
        _check_size(line)
        tree: Node = _parser().parse(line)  # type: ignore[assignment]
    except UnexpectedToken as err:
        raise _Mistake(*_unexpected(line, err)) from None
    except UnexpectedCharacters as err:
        raise _Mistake(err.column, 'this quotation mark is not closed: write " at the end of the phrase') from None
    return tree


@cache
def _parser() -> Lark:
    from lark import Lark, Transformer, v_args

    class Build(Transformer[Any, Any]):
        """Each rule gives a node; nothing recurses, however deep the query."""

    for name, rule in _RULES.items():
        setattr(Build, name, v_args(inline=True)(staticmethod(rule)))
    return Lark(_GRAMMAR, parser="lalr", lexer="basic", transformer=Build())


def _check_size(line: str) -> None:
    depth, terms, chain = 0, 0, 0
    for token in _parser().lex(line):
        depth += {"LPAR": 1, "RPAR": -1}.get(token.type, 0)
        chain = chain + 1 if token.type in ("NOT", "MINUS") else 0
        terms += token.type in ("WORD", "PHRASE", "FIELD", "FOLLOWERS", "FUZZY")
        column = token.column or 1
        if depth + chain > DEEPEST:
            raise _Mistake(column, f"more than {DEEPEST} parentheses or NOTs stand within one another: leave out those that change nothing")
        if terms > MOST_TERMS:
            raise _Mistake(column, f"more than {MOST_TERMS} terms: split the query into several")


# ---- rules


def _either(left: Node, _or: Token, right: Node) -> Node:
    return any_of((left, right))


def _both(left: Node, right: Node) -> Node:
    return all_of((left, right))


def _both_said(left: Node, _and: Token, right: Node) -> Node:
    return all_of((left, right))


def _negated(_not: Token, part: Node) -> Node:
    return part.part if isinstance(part, Not) else Not(part)


def _group(_left: Token, inner: Node, _right: Token) -> Node:
    return inner


def _near(left: Node, sign: Token, right: Node) -> Node:
    name, _, distance = sign.partition("/")
    if int(distance) > FARTHEST:
        raise _Mistake(_column(sign), f"NEAR reaches {FARTHEST} words at most: write {name}/{FARTHEST}, or AND")
    for side in (left, right):
        if not _may_be_near(side):
            raise _Mistake(
                _column(sign),
                f"{name} joins words, phrases and (one OR other), not fields, #, NOT or AND: write lamp {name}/5 broken",
            )
    return Near(left, right, int(distance), ordered=name == "ONEAR")


def _may_be_near(side: Node) -> bool:
    match side:
        case Term(said=said):
            return said[0] not in "#@"
        case Or(parts=parts):
            return all(map(_may_be_near, parts))
    return isinstance(side, Fuzzy)


def _word(token: Token) -> Node:
    if token in ("and", "or", "not", "near", "onear"):
        raise _Mistake(_column(token), f'write {token.upper()} in capitals, or "{token}" in quotes to look for the word')
    if re.fullmatch(r"(?i)o?near(/.*)?", token):
        raise _Mistake(_column(token), "say how many words may stand between, in capitals: NEAR/5; or put it in quotes")
    if token in ("&&", "&", "||", "|", "+", "!"):
        raise _Mistake(_column(token), "write AND, OR or NOT in letters")
    if re.fullmatch("[<>=]+.*", token):
        raise _Mistake(_column(token), "leave no space before the sign: followers>1000")
    return _term(token, token)


def _phrase(token: Token) -> Node:
    if token.endswith("c"):
        return _term(token, token[1:-2], cased=True)
    return _term(token, token[1:-1])


def _term(token: Token, text: str, *, cased: bool = False) -> Term:
    opens = text.endswith("*")
    bare = text.removesuffix("*")
    said = words_of(bare)
    if "*" in bare:
        raise _Mistake(_column(token) + token.index("*"), "the star stands at the end of a word only, once: lamp*")
    if not said:
        raise _Mistake(_column(token), f"there is no word in {_clip(token)}: write letters, Chinese characters, numbers or emoji")
    if opens:
        _check_star(token, said, cased)
    return Term(said, opens, words_of(bare, cased=True) if cased else "")


def _check_star(token: Token, said: str, cased: bool) -> None:
    if cased:
        raise _Mistake(_column(token), "a star and exact case do not go together: leave out one")
    if is_spaceless(said[-1]):
        raise _Mistake(_column(token), "this script is found within longer words anyway: leave out the star")
    if len(runs_of(said)[-1].lstrip("#@")) < SHORTEST_STAR:
        raise _Mistake(_column(token), f"a star needs {SHORTEST_STAR} letters before it, or it finds nearly everything: lamp*")


def _fuzzy(token: Token) -> Node:
    word = words_of(token[1:])
    if word and is_spaceless(word[0]):
        raise _Mistake(_column(token), f"~ knows no misspellings in this script: write out with OR how people type it: {word} OR …")
    if not word.isalpha():
        raise _Mistake(_column(token), "~ looks for misspellings of one word of letters: ~lumifern")
    if len(word) < SHORTEST_FUZZY:
        raise _Mistake(
            _column(token),
            f"{word} is too short for ~ (at least {SHORTEST_FUZZY} letters): too many words are near. Write misspellings out with OR",
        )
    return Fuzzy(word, slips=2 if len(word) >= LONG_FUZZY else 1)


def _field(token: Token) -> Node:
    name, _, value = token.partition(":")
    value = value.strip('"').strip()
    reading = _FIELD_VALUES.get(name.lower())
    if reading is None:
        raise _Mistake(
            _column(token), f"there is no field {_clip(name)}: write one of {', '.join(FIELDS)}, or put it in quotes to look for the words"
        )
    if not value:
        raise _Mistake(_column(token), f"write what {name}: must say right behind it, without a space: {_EXAMPLES[name.lower()]}")
    return Field(name.lower(), reading(_column(token) + len(name) + 1, value.lower()))


def _author(column: int, value: str) -> str:
    handle = re.sub(r"^(@|/?u/)", "", value)
    if not re.fullmatch(r"\S{1,100}", handle):
        raise _Mistake(column, "an author is named by the handle, without spaces: author:jane_doe")
    return handle


def _lang(column: int, value: str) -> str:
    if not re.fullmatch("[a-z]{2}", value):
        raise _Mistake(column, "a language is named by its two letters (ISO 639-1): lang:en, lang:zh")
    return value


def _network(column: int, value: str) -> str:
    if value in _OTHER_NAMES:
        raise _Mistake(column, f"write network:{_OTHER_NAMES[value]}")
    if not re.fullmatch(r"[a-z0-9_-]{1,40}", value):
        raise _Mistake(column, "a network is named as in the settings: network:reddit")
    return value


def _url(column: int, value: str) -> str:
    address = re.sub(r"^https?://", "", value)
    if not re.search(r"\w", address):
        raise _Mistake(column, "write a part of the address: url:lumifern.com/help")
    return address


def _one_of(name: str, choices: tuple[str, ...]) -> Callable[[int, str], str]:
    def reading(column: int, value: str) -> str:
        if value not in choices:
            raise _Mistake(column, f"{name}: knows {', '.join(choices)}: write {name}:{choices[0]}")
        return value

    return reading


def _followers(token: Token) -> Node:
    found = _COUNT.fullmatch(token)
    if not found:
        raise _Mistake(_column(token), "write a comparison and a number: followers>1000, followers>=10k, followers<500")
    digits = found[2].lower()
    return Followers(found[1], int(digits.rstrip("km")) * _THOUSANDS.get(digits[-1], 1))


_FIELD_VALUES: dict[str, Callable[[int, str], str]] = {
    "author": _author,
    "lang": _lang,
    "network": _network,
    "url": _url,
    "is": _one_of("is", _KINDS),
    "sentiment": _one_of("sentiment", _SENTIMENTS),
}
_EXAMPLES = {
    "author": "author:jane_doe",
    "lang": "lang:en",
    "network": "network:reddit",
    "url": "url:lumifern.com",
    "is": "is:reply",
    "sentiment": "sentiment:negative",
}
_RULES: dict[str, Callable[..., Node]] = {
    "either": _either,
    "both": _both,
    "both_said": _both_said,
    "negated": _negated,
    "group": _group,
    "near": _near,
    "word": _word,
    "phrase": _phrase,
    "field": _field,
    "followers": _followers,
    "fuzzy": _fuzzy,
}


# ---- errors


def _unexpected(line: str, err: UnexpectedToken) -> tuple[int, str]:
    """(column, advice) for a word of the language in the wrong place."""
    token = err.token
    if token.type == "$END":
        return _unfinished(line)
    if token.type == "RPAR":
        empty = line[: (token.column or 1) - 1].rstrip().endswith("(")
        return _column(token), "write something between ( and ), or leave them out" if empty else _MISPLACED_CLOSE
    if token.type == "NEAR":
        return _column(token), "NEAR joins two: write (lamp NEAR/5 broken) AND (broken NEAR/5 again)"
    if token.type in ("NOT", "MINUS"):
        return _column(token), f"NEAR joins words, not NOT: write (lamp NEAR/5 broken) {_clip(token)}{' ' * (token.type == 'NOT')}chair"
    return _column(token), f"{_clip(token)} needs a word before it: lamp {_clip(token)} chair"


_MISPLACED_CLOSE = "there is no ( for this ), or a word is missing before it: write (lamp OR chair)"


def _unfinished(line: str) -> tuple[int, str]:
    tokens = list(_parser().lex(line))
    last = tokens[-1]
    if last.type in ("AND", "OR", "NOT", "NEAR", "MINUS"):
        return _column(last), f"a word is missing after {last}: write {last} chair"
    opened: list[Token] = []
    for token in tokens:
        if token.type == "LPAR":
            opened.append(token)
        elif token.type == "RPAR":
            opened.pop()
    return _column(opened[-1]), "this ( is not closed: write ) where the group ends"


def _column(token: Token) -> int:
    return token.column or 1


def _clip(token: str) -> str:
    return token if len(token) <= 30 else f"{token[:29]}…"


def _pointed(line: str, column: int, advice: str) -> str:
    """The advice, and the line around the column with a caret below; Chinese characters are two columns wide on a screen."""
    start = max(0, column - 41)
    shown = ("…" if start else "") + line[start : column + 30] + ("…" if column + 30 < len(line) else "")
    before = ("…" if start else "") + line[start : column - 1]
    width = sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in before)
    return f"column {column}: {advice}\n  {shown}\n  {' ' * width}^"
