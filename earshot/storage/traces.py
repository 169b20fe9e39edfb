"""How an author shows in words that others wrote: what gives them away, how it is found, and how it is masked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

MASK = "@…"

#: names that are longer are nobody's; they are looked for piece by piece, like texts
LONGEST_NAME = 200
#: a piece of a text is a run of so many words …
WORDS = 5
#: … and of so many bytes, so that five short words of everybody's are no proof of anything; a text of fewer words is one piece
SHORTEST_PIECE = 16
LONGEST_PIECE = 200

#: Chinese, Japanese and Korean are written without spaces: each character counts as a word
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(f"[{_UNSPACED}]|[^\\W{_UNSPACED}]+")

#: plain ASCII borders: "@ana你好" names ana
_LEFT = r"(?<![0-9A-Za-z_])"
_RIGHT = r"(?![0-9A-Za-z_]|-[0-9A-Za-z_]|@[0-9A-Za-z_])"
_PROFILE = r"https?://[^\s/]+/(?:@|u/|user/|users/|profile/|user\?id=)?"


def is_telling(name: str) -> bool:
    """Whether a name alone, in the middle of other words, can only be this author: it holds a digit or a sign, or is a full name.

    "ana", "winter" and "小明" are words of everybody's; "ana_77" and "Ana Lindqvist" are not.
    """
    if not 6 <= len(name) <= LONGEST_NAME:
        return False
    if name.isdigit():
        return len(name) >= 10
    return bool(re.search(r"[\d_@:/.-]", name)) or (len(name.split()) > 1 and len(name) >= 10)


class Traces:
    """Where an author's names stand in a text. `names`: kind ("handle", "native id", "display name") -> name.

    A handle is found as @handle, u/handle and in the address of a profile; whatever `is_telling`, alone as well.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        patterns = {kind: found for kind, name in names.items() if (found := _patterns(kind, name))}
        self.kinds = tuple(patterns)
        #: kind -> how it may be written, in lower case; every trace holds one of these
        self.written = {kind: _forms(names[kind]) for kind in patterns}
        #: the kinds that are looked for alone
        self.telling = frozenset(kind for kind in patterns if is_telling(names[kind]))
        self._in_words = [re.compile("|".join(found), re.IGNORECASE | re.ASCII) for found in patterns.values()]
        self._in_bytes = {kind: re.compile("|".join(found).encode(), re.IGNORECASE) for kind, found in patterns.items()}

    def mask(self, text: str) -> str:
        for pattern in self._in_words:
            text = pattern.sub(MASK, text)
        return text

    def found_in(self, content: bytes) -> set[str]:
        """The kinds of names that stand in `content`, which is UTF-8 or holds it."""
        return {kind for kind, pattern in self._in_bytes.items() if pattern.search(content)}


def _patterns(kind: str, name: str) -> list[str]:
    if not name.strip() or len(name) > LONGEST_NAME:
        return []
    written = f"(?:{'|'.join(map(re.escape, _forms(name)))})"
    alone = [f"{_LEFT}{written}{_RIGHT}"] if is_telling(name) else []
    if kind != "handle":
        return alone
    return [f"{_PROFILE}{written}{_RIGHT}", f"(?<![0-9A-Za-z_@])@{written}{_RIGHT}", f"{_LEFT}/?u/{written}{_RIGHT}", *alone]


def _forms(name: str) -> list[str]:
    """A name as texts, JSON and other hands write it. Letters beyond ASCII have their case told here, the others are compared without."""
    written = dict.fromkeys(form for case in (name, name.lower(), name.upper()) for form in (case, in_json(case)))
    return list(dict.fromkeys(ascii_lower(form) for form in written))


def in_json(text: str) -> str:
    """As a string within JSON, without its quotes."""
    return msgspec.json.encode(text).decode()[1:-1]


def ascii_lower(text: str) -> str:
    return text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


def pieces(texts: Iterable[str]) -> list[str]:
    """What is distinctive of texts: their runs of five words, side by side, each once."""
    return list(dict.fromkeys(piece for text in texts for piece in _pieces(text)))


def _pieces(text: str) -> Iterator[str]:
    spans = [match.span() for match in _WORD.finditer(text)]
    if len(spans) < WORDS:
        whole = text.strip()
        if len(whole.encode()) >= SHORTEST_PIECE:
            yield _cut(whole)
        return
    first = 0
    while first < len(spans):
        begin = spans[first][0]
        last = first + WORDS - 1
        while last < len(spans) and len(text[begin : spans[last][1]].encode()) < SHORTEST_PIECE:
            last += 1
        if last >= len(spans):
            break
        yield _cut(text[begin : spans[last][1]])
        first = last + 1
    if first < len(spans):  # what is left is too short: the last words of all
        tail = text[spans[max(0, len(spans) - 2 * WORDS)][0] : spans[-1][1]]
        if len(tail.encode()) >= SHORTEST_PIECE:
            yield _cut(tail)


def _cut(piece: str) -> str:
    return piece.encode()[:LONGEST_PIECE].decode(errors="ignore")
