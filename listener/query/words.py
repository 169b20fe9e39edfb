"""How texts and queries are written before they are compared: words in small letters, parted by single spaces.

Width and ligatures are folded (NFKC), marks such as ™ and invisible characters vanish, punctuation parts words. Scripts that are written
without spaces (Chinese, Japanese, Thai …) and emoji stay together as they stand, and a space parts them from words beside them:
"我的Lumifern坏了！" becomes " 我的 lumifern 坏了 ". A word is then found as " lumifern ", Chinese as it is, and nothing else need be known
about where words end. Links are left out: what they say is not what the author says.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import groupby
from typing import NamedTuple

#: scripts without spaces: Thai and Lao, Burmese, Khmer, kana, Han; emoji
SPACELESS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3041-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001f3fa\U0001f400-\U0001faff"
)
TAIL = "\x1f"  #: parts the words of a text from its hashtags and handles

_SHORT = 1_000  #: characters of a text in which marks may be stacked: sorting them costs the square of their number

_IS_SPACELESS = re.compile(f"[{SPACELESS}]")
#: zero-width and direction marks, joiners and shades of emoji, and signs that NFKC would make letters of
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
    "\U0001f3fb-\U0001f3ff\U000e0000-\U000e01ef©®™℠]"
)
_LINK = re.compile(rf"(?:https?://|\bwww\.)[^\s<>\"{SPACELESS}]*", re.IGNORECASE)
_ASCII_WORDS = "".join(chr(point) if chr(point).isalnum() or chr(point) == "_" else " " for point in range(128))


class _Patterns(NamedTuple):
    run: re.Pattern[str]  #: a word, or characters of a spaceless script
    token: re.Pattern[str]  #: a word, or one such character
    tag: re.Pattern[str]  #: "#tag" or "@handle"
    stacked: re.Pattern[str]  #: more marks on a letter than any language has


@cache
def _patterns() -> _Patterns:
    spaceless = re.compile(f"[{SPACELESS}]")
    marks = [point for point in range(0x300, 0x1F000) if unicodedata.category(chr(point))[0] == "M" and not spaceless.match(chr(point))]
    mark = _class(marks)
    word = rf"[^\W{SPACELESS}]+(?:[{mark}]+[^\W{SPACELESS}]*)*"
    return _Patterns(
        run=re.compile(f"[{SPACELESS}]+|{word}"),
        token=re.compile(f"[{SPACELESS}]|{word}"),
        tag=re.compile(rf"(?<![^\W{SPACELESS}])[#@][\w{mark}]+"),
        stacked=re.compile(f"([{mark}]{{4}})[{mark}]+"),
    )


def _class(points: list[int]) -> str:
    """The inside of a character class, with neighbours as ranges."""
    spans = [[point for _, point in group] for _, group in groupby(enumerate(points), lambda pair: pair[1] - pair[0])]
    return "".join(f"{chr(span[0])}-{chr(span[-1])}" for span in spans)


def in_words(text: str, *, cased: bool = False) -> str:
    """The text as words with a space around each; behind `TAIL` its hashtags and handles. `cased` keeps capitals. Holds no line break."""
    if "://" in text or "www." in text:
        text = _LINK.sub(" ", text)
    folded = fold(text, cased=cased)
    said = f" {_parted(folded)} "
    if "#" not in folded and "@" not in folded:
        return said
    return f"{said}{TAIL} {' '.join(_patterns().tag.findall(folded))} "


def fold(text: str, *, cased: bool = False) -> str:
    """Width, ligatures and, unless `cased`, capitals folded; what is not seen left out."""
    if text.isascii():
        return text if cased else text.lower()
    text = _UNSEEN.sub("", text)
    if len(text) > _SHORT:
        text = _patterns().stacked.sub(r"\1", text)
    text = unicodedata.normalize("NFKC", text)
    return text if cased else unicodedata.normalize("NFKC", text.casefold())


def words_of(text: str, *, cased: bool = False) -> str:
    """What a term of a query looks for: its words, parted by single spaces; empty where there are none. Only `#tag` and `@handle` keep
    their sign.
    """
    folded = fold(text, cased=cased)
    return folded if _patterns().tag.fullmatch(folded) else _parted(folded)


def _parted(folded: str) -> str:
    if folded.isascii():
        return " ".join(folded.translate(_ASCII_WORDS).split())
    return " ".join(_patterns().run.findall(folded))


def links_in_words(text: str, address: str) -> str:
    """The words of the post's own address and of the links in it, each with a space around."""
    return " ".join(f" {_parted(fold(link))} {TAIL}" for link in (address, *_LINK.findall(text)))


def pattern(said: str, *, opens: bool = False) -> str:
    """What stands in a text in words where it says `said`."""
    return f"{'' if is_spaceless(said[0]) else ' '}{said}{'' if opens or is_spaceless(said[-1]) else ' '}"


def runs_of(said: str) -> list[str]:
    """The words, and runs of characters without spaces, of a term or a text in words."""
    return said.split(TAIL)[0].split()


def token_starts(form: str) -> list[int]:
    """Where each word, and each character of a spaceless script, begins in a text in words."""
    return [token.start() for token in _patterns().token.finditer(form.partition(TAIL)[0])]


def is_spaceless(char: str) -> bool:
    return _IS_SPACELESS.match(char) is not None
