"""Offers: which super-user is asked about which case, why she, and until when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from community_routing.assign import assign
from community_routing.match import OpenCase, allowed, match
from community_routing.roster import SuperUser, free_posts, is_available
from earshot.case import Offer
from earshot.mention import require_aware

SHORTEST = timedelta(minutes=5)  #: nobody can read and decide in less
CASES_PER_PLACE = 4  #: of many more waiting cases than free hands, only the most pressing are weighed
LANGUAGES = {"en": "English", "zh": "Chinese", "de": "German", "es": "Spanish", "fr": "French", "ja": "Japanese", "pt": "Portuguese"}


def make_offers(cases: Sequence[OpenCase], roster: Sequence[SuperUser], *, now: datetime, minutes: float, seed: int = 0) -> list[Offer]:
    """At most one offer per case, most pressing case first; the same inputs make the same offers.

    An offer lasts `minutes`, or half the time that is left, so that somebody else can still keep the promise.
    """
    require_aware(now, "now")
    free = [each for each in roster if is_available(each, now=now)]
    cases = _most_pressing(cases, sum(free_posts(each, now=now) for each in free))
    if not cases:
        return []
    owner = assign(match(cases, free, now=now, seed=seed))
    open_now = {each.account: each.open_now for each in free}
    offers = []
    for column in np.flatnonzero(owner >= 0):
        case, super_user = cases[column], free[owner[column]]
        open_now[super_user.account] += 1
        offers.append(
            Offer(
                case_id=case.id,
                super_user=super_user.account,
                offered_at=now,
                expires_at=_expiry(case, now, timedelta(minutes=minutes)),
                reason=_why(case, super_user, open_now[super_user.account]),
            )
        )
    return offers


def beyond_the_roster(cases: Sequence[OpenCase], roster: Sequence[SuperUser]) -> list[OpenCase]:
    """The cases that nobody on the roster could take, however long they wait: these are for staff."""
    if not cases:
        return []
    present = [each for each in roster if each.open_posts and each.hours_per_week and not each.away]
    reached = np.any(allowed(cases, present), axis=0) if present else np.zeros(len(cases), bool)
    return [cases[column] for column in np.flatnonzero(~reached).tolist()]


def _most_pressing(cases: Sequence[OpenCase], places: int) -> list[OpenCase]:
    def pressing(case: OpenCase) -> tuple[float, float, int]:
        return -case.priority, case.due_at.timestamp() if case.due_at else float("inf"), case.id

    return sorted(cases, key=pressing)[: CASES_PER_PLACE * places]


def _expiry(case: OpenCase, now: datetime, lasts: timedelta) -> datetime:
    if case.due_at is not None and case.due_at > now:
        lasts = min(lasts, max(SHORTEST, (case.due_at - now) / 2))
    return now + lasts


def _why(case: OpenCase, super_user: SuperUser, nth: int) -> str:
    """ "knows hub, writes Chinese, 1 of 4 open" """
    proven = {skill.topic for skill in super_user.skills if skill.accepted}
    known = [topic for topic in case.topics if topic in proven or topic in super_user.topics]
    knows = f"knows {' and '.join(known[:2])}" if known else "may like to try"
    return f"{knows}, writes {LANGUAGES.get(case.lang, case.lang)}, {nth} of {super_user.open_posts} open"
