"""What an author wrote anew when they edited a post. Everything here is a pure function of texts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein

from listener.near_copies import STATED

#: words that are compared one by one; of a larger change all of its words count as new
MOST_COMPARED = 2_000
#: of 100: how much two words share of which one is a slip of the pen for the other
_ALIKE = 60.0

_UNSPACED = "\u0800-\u0fff\u3000-\u9fff\U00010000-\U0010ffff"
#: each character of a script without spaces is a word
_WORD = re.compile(f"[{_UNSPACED}]|[^\\s{_UNSPACED}]+")
_SIGNS = re.compile(r"[\W_]+")


def added(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """For each (former text, text) the words that are new in it, as they are written there; "" where only slips of the pen were mended.

    Where a number or a negation went and nothing stands in its place, all of the text counts as new.
    """
    return [_added(former, text) for former, text in pairs]


def _added(former: str, text: str) -> str:
    spans = [match.span() for match in _WORD.finditer(text)]
    before, after = [_plain(word) for word in _WORD.findall(former)], [_plain(text[begin:end]) for begin, end in spans]
    first, last = _shared(before, after)
    gone, came = before[first : len(before) - last], after[first : len(after) - last]
    if max(len(gone), len(came)) > MOST_COMPARED:
        return text[spans[first][0] : spans[len(spans) - last - 1][1]] if came else text
    new = list[int]()
    for step in Levenshtein.opcodes(gone, came):
        left, places = gone[step.src_start : step.src_end], range(step.dest_start, step.dest_end)
        if not places and any(STATED.fullmatch(word) for word in left):
            return text
        if step.tag != "equal":
            new += _new(left, came, places)
    return " ".join(text[begin:end] for begin, end in _runs([spans[first + place] for place in new], text))


def _plain(word: str) -> str:
    return _SIGNS.sub("", word.casefold()) or word


def _shared(before: Sequence[str], after: Sequence[str]) -> tuple[int, int]:
    """How many words both begin with, and how many of the rest both end with."""
    most = min(len(before), len(after))
    first = next((n for n in range(most) if before[n] != after[n]), most)
    most -= first
    last = next((n for n in range(most) if before[-1 - n] != after[-1 - n]), most)
    return first, last


def _new(gone: Sequence[str], came: Sequence[str], places: range) -> list[int]:
    """Those of the places whose word is no other spelling of the one it stands for."""
    if len(gone) != len(places):
        return list(places)
    return [place for word, place in zip(gone, places, strict=True) if not _is_slip(word, came[place])]


def _is_slip(was: str, now: str) -> bool:
    return not STATED.fullmatch(was) and not STATED.fullmatch(now) and fuzz.ratio(was, now) >= _ALIKE


def _runs(spans: Sequence[tuple[int, int]], text: str) -> Iterator[tuple[int, int]]:
    """Words that stand side by side, together."""
    begin = end = 0
    for start, stop in spans:
        if begin < end and not text[end:start].strip():
            end = stop
            continue
        if begin < end:
            yield begin, end
        begin, end = start, stop
    if begin < end:
        yield begin, end
