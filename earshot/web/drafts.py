"""What is checked of an answer before it may stand in public."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from earshot.errors import BadInput
from earshot.web import words

if TYPE_CHECKING:
    from earshot.rooms import Rooms

#: on Mastodon 500, and the name of whom we answer stands in front
LONGEST = {"x": 280, "bluesky": 300, "mastodon": 460, "reddit": 10_000}
LONGEST_ELSEWHERE = 5_000
_LINK = re.compile(r"https?://\S+")
_MASK = re.compile(r"[<\[]([a-z][a-z _-]{1,30})[>\]]")


def check_draft(text: str, network: str, rooms: Rooms) -> str:
    """The draft, stripped and without what nobody sees. Raises `BadInput` naming what keeps it from being public."""
    text = words.plain(text).strip()
    if not text:
        raise BadInput("the answer is empty: write something first")
    most = LONGEST.get(network, LONGEST_ELSEWHERE)
    if (length := counted(text, network)) > most:
        excess, where = words.many(length - most, "character"), words.NETWORKS.get(network, network)
        raise BadInput(f"the answer is {excess} too long for {where}, which takes {most}")
    masked = rooms.mask(text)
    if masked != text:
        kinds = sorted(set(_MASK.findall(masked)) - set(_MASK.findall(text))) or ["personal data"]
        raise BadInput(
            f"the answer shows personal data ({', '.join(kinds)}), and everybody can read it: take it out, or ask for a private message"
        )
    return text


def counted(text: str, network: str) -> int:
    """The length as the network counts it: X takes any link for 23 and most scripts beyond Latin for two a character."""
    if network != "x":
        return len(text)
    shortened = _LINK.sub("x" * 23, text)
    return sum(1 if c <= "\u10ff" or "\u2000" <= c <= "\u201f" or "\u2032" <= c <= "\u2037" else 2 for c in shortened)
