"""The two things a network tells about a voice: how many it can reach, and what its posts draw.

Both are raw numbers, comparable only within one network; `weigh` turns them into percentiles. `nan` means that the network does not tell,
which is not the same as 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from earshot.mention import Mention

Floats = NDArray[np.float64]

#: What a reaction is worth: a repost carries the post on, a reply takes effort, a like is a nod.
LIKE, REPLY, REPOST = 1.0, 1.5, 2.0
#: More than there are people: whatever a network tells beyond it is a mistake or a joke.
MOST = 10**11
#: Reactions grow more slowly than the audience: about with this power of it.
AUDIENCE_POWER = 0.4


def reach(mentions: Sequence[Mention]) -> Floats:
    """log(1 + followers), `nan` where unknown; a negative count (Reddit's karma can be one) reaches nobody."""
    followers = [math.nan if m.author is None or m.author.followers is None else _count(m.author.followers) for m in mentions]
    reached: Floats = np.log1p(np.array(followers, float))
    return reached


def resonance(mentions: Sequence[Mention], reach_of: Floats) -> Floats:
    """log(1 + reactions) beyond what an audience of that size draws anyway; `nan` where no reaction is counted or the reach is unknown.

    `reach_of`: as `reach` gives it, with unknown reach filled in by the caller if it can.
    """
    drawn: Floats = np.log1p(np.array([_reactions(m) for m in mentions], float)) - AUDIENCE_POWER * reach_of
    return drawn


def _reactions(mention: Mention) -> float:
    likes, replies, reposts = mention.likes, mention.replies, mention.reposts
    if likes is None and replies is None and reposts is None:
        return math.nan
    return LIKE * _count(likes or 0) + REPLY * _count(replies or 0) + REPOST * _count(reposts or 0)


def _count(told: int) -> int:
    return min(max(0, told), MOST)
