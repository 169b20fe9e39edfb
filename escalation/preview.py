"""What another policy would have decided, before it is saved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from earshot.case import Route
from earshot.mention import ScoredMention
from escalation.policy import Policy
from escalation.triage import triage


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A mention that would go elsewhere."""

    network: str
    native_id: str
    before: Route
    after: Route


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What would have changed, out of how many, and how often each way."""

    mentions: int
    changes: tuple[Change, ...]
    ways: tuple[tuple[str, int], ...]  #: ("community -> tier 1 (review)", 12), most frequent first


def preview(batch: Sequence[ScoredMention], old: Policy, new: Policy, *, now: datetime) -> Preview:
    """Decide the batch under both policies and keep the mentions whose tier or outcome differs."""
    pairs = zip(batch, triage(batch, old, now=now), triage(batch, new, now=now), strict=True)
    changes = tuple(
        Change(network=scored.mention.network, native_id=scored.mention.native_id, before=before, after=after)
        for scored, before, after in pairs
        if (before.tier, before.outcome) != (after.tier, after.outcome)
    )
    ways = Counter(f"{_words(change.before)} -> {_words(change.after)}" for change in changes)
    return Preview(mentions=len(batch), changes=changes, ways=tuple(ways.most_common()))


def _words(route: Route) -> str:
    return f"{route.tier.replace('_', ' ')} ({route.outcome})"
