"""A fair assignment: super-users bid for cases until none would rather have another.

The auction algorithm (Bertsekas, 1988) with several places per bidder. Each round, every super-user with room bids on the cases she
likes best at the current prices; the highest bid holds the case, and whoever is outbid bids again. The total lies within `step` per case
of the optimum. Prices only rise, so each bidder looks at a short list of her best cases and makes a new one only when a price outgrows it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from community_routing.match import Floats, Match

Ints = NDArray[np.int64]

STEP = 0.02  #: least raise of a bid; gains lie in 0..1.75
SHORT_LIST = 128
MOST_ROUNDS = 2_000  #: whatever holds then is a valid assignment, only a less good one


def assign(match: Match, *, step: float = STEP) -> Ints:
    """For each case the row of its super-user, or -1. Nobody gets more than she has room for, or what she may not have."""
    auction = _Auction(match, step)
    for _ in range(MOST_ROUNDS):
        if not auction.bid():
            break
    return auction.owner[: match.gain.shape[1]]


def total(match: Match, owner: Ints) -> float:
    """What an assignment is worth: gains less the cost of each one's load."""
    held = np.flatnonzero(owner >= 0)
    loads = np.bincount(owner[held], minlength=len(match.cost))
    cost = sum(float(match.cost[row, :load].sum()) for row, load in enumerate(loads))
    return float(match.gain[owner[held], held].sum()) - cost


class _Auction:
    def __init__(self, match: Match, step: float) -> None:
        self.cost, self.step = match.cost, np.float32(step)
        self.room = np.isfinite(match.cost).sum(axis=1)
        self.places = match.cost.shape[1]
        # Worthless cases fill up a short queue, so that every bidder sees one case more than she has places.
        self.gain = np.pad(match.gain, ((0, 0), (0, max(0, self.places + 1 - match.gain.shape[1]))))
        bidders, cases = self.gain.shape
        self.held = np.zeros(bidders, np.int64)
        self.price = np.zeros(cases, np.float32)
        self.owner = np.full(cases, -1, np.int64)
        self.width = min(max(SHORT_LIST, 2 * self.places + 2), cases)
        self.lists = np.zeros((bidders, self.width), np.int64)
        self.unseen = np.full(bidders, np.inf, np.float32)  #: no case outside her list is worth more to her than this
        self.stale = np.ones(bidders, bool)
        self.bidding = self.room > 0

    def bid(self) -> bool:
        """One round. False when nobody wants to bid any more."""
        rows = np.flatnonzero(self.bidding)
        if not rows.size:
            return False
        self._list_anew(rows[self.stale[rows]])
        order, net = self._best(rows)
        places = np.arange(self.places)
        cost = np.take_along_axis(self.cost[rows], np.minimum(self.held[rows, None] + places, self.places - 1), 1)
        wanted = (places < (self.room - self.held)[rows, None]) & (net[:, :-1] - cost > self.step)
        next_best = np.take_along_axis(net, wanted.sum(axis=1)[:, None], 1)
        unseen = self.unseen[rows, None]
        self.stale[rows] = (next_best < unseen)[:, 0] & (self.unseen[rows] > 0)
        wanted &= ~self.stale[rows, None] | (net[:, :-1] >= unseen)
        self.bidding[rows] = self.stale[rows] | wanted.any(axis=1)
        # Who lets a case go takes her next best instead, or saves the dearest of her places.
        dearest = np.take_along_axis(cost, np.maximum(wanted.sum(axis=1) - 1, 0)[:, None], 1)
        raised = np.maximum(net[:, :-1] - np.maximum(np.maximum(next_best, unseen), dearest), 0) + self.step
        who, place = np.nonzero(wanted)
        case = order[who, place]
        self._award(case, rows[who], self.price[case] + raised[who, place])
        self.bidding[rows] &= self.held[rows] < self.room[rows]
        return True

    def _best(self, rows: Ints) -> tuple[Ints, Floats]:
        """Her best cases and what they are worth to her at these prices, best first: one more than she has places."""
        cases = self.lists[rows]
        net = self.gain[rows[:, None], cases] - self.price[cases]
        net[self.owner[cases] == rows[:, None]] = -np.inf
        order = np.argsort(-net, axis=1)[:, : self.places + 1]
        return np.take_along_axis(cases, order, 1), np.take_along_axis(net, order, 1)

    def _list_anew(self, rows: Ints) -> None:
        if not rows.size:
            return
        net = self.gain[rows] - self.price
        self.lists[rows] = np.argpartition(-net, self.width - 1, axis=1)[:, : self.width]
        complete = self.width == len(self.price)
        self.unseen[rows] = -np.inf if complete else np.take_along_axis(net, self.lists[rows], 1).min(axis=1)
        self.stale[rows] = False

    def _award(self, case: Ints, bidder: Ints, bid: Floats) -> None:
        """Each case goes to its highest bid; on equal bids to the last row, always the same."""
        rising = np.argsort(bid, kind="stable")
        winner = np.full(len(self.price), -1, np.int64)
        winner[case[rising]] = rising
        won = np.flatnonzero(winner >= 0)
        best = winner[won]
        outbid = self.owner[won][self.owner[won] >= 0]
        np.subtract.at(self.held, outbid, 1)
        np.add.at(self.held, bidder[best], 1)
        self.bidding[outbid] = True
        self.owner[won], self.price[won] = bidder[best], bid[best]
