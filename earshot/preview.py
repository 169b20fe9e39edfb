"""`earshot listen --network …`: a look at what is said on a network, understood and printed. Nothing is kept, no database is needed."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from earshot.errors import BadInput
from earshot.mention import ScoredMention
from earshot.registry import load
from earshot.rooms import Rooms
from earshot.scheduler import open_source
from earshot.settings import SourceSettings
from escalation.policy import default_policy
from listener import networks
from listener.query import DIALECTS

MOST = 200  #: mentions that are shown unless more are asked for
FARTHEST = timedelta(days=30)

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_WIDTH = 280  #: characters of a post that are shown


def span(written: str) -> timedelta:
    """How long "90m", "12h", "1d" or "2w" is. Raises `BadInput` for anything else, and for more than thirty days."""
    found = re.fullmatch(r"(\d{1,4})([mhdw])", written.strip().lower())
    long = int(found[1]) * _UNITS[found[2]] if found else timedelta(0)
    if not timedelta(0) < long <= FARTHEST:
        raise BadInput(f"{written!r} is not a span of time that we look back: write 90m, 12h, 1d or 2w, at most {FARTHEST.days} days")
    return long


def source_of(network: str, query: str, *, since: str, url: str = "", allow_private: bool = False) -> SourceSettings:
    """A source for one look: `query` is in our own language, but for a network without a search. Its secrets are those of a source that
    is called like its network.

    Raises `ConfigurationError` for a network that nobody knows, `BadInput` as `span` does.
    """
    load(networks(), network, kind="network")
    asked = "wanted" if network in DIALECTS else "query"
    given = {"name": network, "network": network, asked: query, "url": url, "allow_private": allow_private}
    return SourceSettings.model_validate({**given, "first_look": span(since).total_seconds() / 3600})


def look(settings: SourceSettings, *, now: datetime, most: int = MOST) -> Iterator[ScoredMention]:
    """What stands on the network since `settings.first_look` hours ago, understood, in the order in which its pages give it.

    Raises `ConfigurationError` when a secret is missing, and whatever the source raises.
    """
    rooms, since = Rooms(policy=default_policy()), now - timedelta(hours=settings.first_look)
    source, cursor = open_source(settings), None
    try:
        while True:
            page = source.fetch(cursor, now=now)
            shown = [mention for mention in page.mentions if mention.posted_at >= since][:most]
            yield from rooms.score(shown)
            most, cursor = most - len(shown), page.cursor
            if not page.more or most <= 0:
                return
    finally:
        source.close()


def as_lines(scored: ScoredMention) -> str:
    """When, who, what we make of it, the words, and where it stands."""
    mention = scored.mention
    labels = {name: score.label for name in ("sentiment", "anger", "intent", "asks", "risk") if (score := scored.score(name))}
    said = [labels["sentiment"], labels["intent"], labels["anger"] if labels["anger"] != "calm" else ""]
    said += [
        "wants an answer" if labels["asks"] == "yes" else "",
        f"risk: {labels['risk']}" if labels["risk"] not in ("none", "unsure") else "",
    ]
    who = _plain(mention.author.handle) if mention.author else "somebody"
    text = _plain(mention.text)
    text = text if len(text) <= _WIDTH else text[: _WIDTH - 1].rstrip() + "…"
    told = ", ".join(dict.fromkeys(label for label in said if label))
    return f"{mention.posted_at:%Y-%m-%d %H:%M}  {who}  [{told}]\n  {text}\n  {_plain(mention.url)}\n"


def in_short(seen: Counter[str], settings: SourceSettings) -> str:
    """How much was seen, and how to go on."""
    total = seen.total()
    many = f"{total} {'post' if total == 1 else 'posts'}"
    moods = ", ".join(f"{seen[mood]} {mood}" for mood in ("negative", "neutral", "positive") if seen[mood])
    entry = [
        "[[sources]]",
        *(
            f"{name} = {_toml(getattr(settings, name))}"
            for name in ("name", "network", "query", "wanted", "url")
            if getattr(settings, name)
        ),
    ]
    advice = "Nothing was kept. To go on listening, put this into earshot.toml and start `earshot serve --work`:"
    return "\n".join([f"{many}{f' ({moods})' if moods else ''}. {advice}", "", *entry])


def _plain(text: str) -> str:
    """One line without anything that a terminal would obey."""
    return " ".join("".join(char if unicodedata.category(char)[0] != "C" else " " for char in text).split())


def _toml(text: str) -> str:
    """A TOML string; JSON's are a part of TOML's."""
    return json.dumps(text)
