"""A post as an encoder reads it. Encoders are taught on the words that people say, so unlike `classifiers.text`, which makes posts
alike, this spells out: links go, handles become ``@user``, ``#TakeMyMoney`` becomes ``Take My Money``, an emoji its name.

Whoever fine-tunes an encoder prepares its lessons here, too: it then serves what it was taught.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable

#: characters; the few dozen tokens that an encoder reads end long before
LONGEST = 2_000

_LINK = re.compile(r"(?:https?://|www\.)\S+")
_HANDLE = re.compile(r"@\w+")
_HASHTAG = re.compile(r"#(\w+)")
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_RUN = re.compile(r"(\w)\1{3,}")
_EMOJI = re.compile("[\u2600-\u27bf\u2b50\U0001f000-\U0001faff]")
_UNSAID = re.compile("[\ufe0f\ud800-\udfff]")  #: how to draw an emoji, and halves of pairs, which no tokeniser takes
_FILLER = re.compile(r" sign\b|\bface with ")


def prepare(texts: Iterable[str]) -> list[str]:
    """Each text, prepared; in the same order. Neither what is read of it nor what comes of it is longer than `LONGEST`."""
    return [_prepare(text[:LONGEST])[:LONGEST] for text in texts]


def _prepare(text: str) -> str:
    text = _UNSAID.sub("", html.unescape(text))
    text = _HANDLE.sub("@user", _LINK.sub("", text))
    text = _HASHTAG.sub(lambda tag: _CAPITAL.sub(" ", tag[1]), text)
    return _EMOJI.sub(_name, _RUN.sub(r"\1\1\1", text))


def _name(emoji: re.Match[str]) -> str:
    return f" {_FILLER.sub('', unicodedata.name(emoji[0], '').lower())} "
