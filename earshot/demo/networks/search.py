"""The words people search with on X: `a b`, `a OR b`, parentheses, `-not`, "a phrase", @, # and operators like from: and lang:."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from earshot.demo.networks.world import Post

_TOKEN = re.compile(r'-?"[^"]*"|-?\(|\)|[^\s()]+')
#: a word ends where the script changes: in "#lumifern崩了" and "Lumifern的" the name is found
_WORD = re.compile(r"[@#]?(?:(?![\u2e80-\u9fff])\w)+")
_DEEPEST = 20

Matches = Callable[["Seen"], bool]


class QueryError(ValueError):
    pass


@dataclass(frozen=True, slots=True)
class Seen:
    """A post as the search sees it: `text` as it is shown, `to` the handle it replies to."""

    post: Post
    text: str
    to: str

    def says(self, words: str) -> bool:
        """Whole words, whatever the case; Chinese has no spaces, there any part counts."""
        text, words = self.text.lower(), words.lower()
        if any(ord(character) > 0x2E80 for character in words):
            return words in text
        wanted = _WORD.findall(words)
        if len(wanted) == 1:
            bare = {word.lstrip("#@") for word in _WORD.findall(text)} | set(_WORD.findall(text))
            return wanted[0] in bare
        return " ".join(wanted) in " ".join(_WORD.findall(text))


def compile_query(query: str) -> Matches:
    """Raises `QueryError` for words that do not parse."""
    tokens = _TOKEN.findall(query)
    if not tokens:
        raise QueryError("empty query")
    matches, rest = _either(tokens, 0)
    if rest:
        raise QueryError(f"no viable alternative at {rest[0]!r}")
    return matches


def _either(tokens: list[str], depth: int) -> tuple[Matches, list[str]]:
    if depth > _DEEPEST:
        raise QueryError("too many parentheses")
    first, tokens = _all(tokens, depth)
    options = [first]
    while tokens and tokens[0] == "OR":
        following, tokens = _all(tokens[1:], depth)
        options.append(following)
    return (lambda seen: any(option(seen) for option in options)), tokens


def _all(tokens: list[str], depth: int) -> tuple[Matches, list[str]]:
    terms: list[Matches] = []
    while tokens and tokens[0] not in ("OR", ")"):
        term, tokens = _term(tokens, depth)
        terms.append(term)
    if not terms:
        raise QueryError("something is missing beside OR or inside parentheses")
    return (lambda seen: all(term(seen) for term in terms)), tokens


def _term(tokens: list[str], depth: int) -> tuple[Matches, list[str]]:
    head, tokens = tokens[0], tokens[1:]
    negated = head.startswith("-") and len(head) > 1
    head = head[1:] if negated else head
    if head == "(":
        inner, tokens = _either(tokens, depth + 1)
        if not tokens or tokens[0] != ")":
            raise QueryError("missing )")
        tokens = tokens[1:]
    else:
        inner = _single(head)
    return ((lambda seen: not inner(seen)) if negated else inner), tokens


def _single(word: str) -> Matches:
    operator, colon, value = word.partition(":")
    if colon and operator in _OPERATORS:
        return _OPERATORS[operator](value.lower().lstrip("@"))
    return lambda seen: seen.says(word.strip('"'))


_OPERATORS: dict[str, Callable[[str], Matches]] = {
    "from": lambda value: lambda seen: seen.post.author.lower() == value,
    "to": lambda value: lambda seen: seen.to.lower() == value,
    "conversation_id": lambda value: lambda seen: seen.post.thread == value,
    "lang": lambda value: lambda seen: seen.post.lang == value,
    "is": lambda value: lambda seen: {"retweet": seen.post.repost_of, "reply": seen.post.parent}.get(value) is not None,
}
