"""Points and badges. No streaks: nobody loses anything by taking a day off."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Deeds:
    """What a super-user has done so far."""

    answers: int = 0
    accepted: int = 0
    approvals: int = 0  #: drafts of others that she read and judged
    articles: int = 0
    topics: int = 0  #: topics with at least five accepted answers
    languages: int = 0  #: languages with at least one accepted answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Badge:
    name: str
    words: str  #: what it is for


def points(deeds: Deeds) -> int:
    """An answer is worth 1, an accepted one 10 more, a judged draft 2, an article 15."""
    return deeds.answers + 10 * deeds.accepted + 2 * deeds.approvals + 15 * deeds.articles


def badges(deeds: Deeds) -> tuple[Badge, ...]:
    """Everything earned, in the order of the table. A badge is never taken back."""
    table = (
        (deeds.accepted >= 1, Badge(name="first help", words="an answer of hers was accepted")),
        (deeds.accepted >= 25, Badge(name="good neighbour", words="25 accepted answers")),
        (deeds.accepted >= 100, Badge(name="pillar", words="100 accepted answers")),
        (deeds.topics >= 3, Badge(name="all-rounder", words="at home in three topics")),
        (deeds.languages >= 2, Badge(name="bridge", words="helped in two languages")),
        (deeds.approvals >= 20, Badge(name="second pair of eyes", words="judged 20 drafts of others")),
        (deeds.articles >= 1, Badge(name="author", words="wrote an article")),
    )
    return tuple(badge for earned, badge in table if earned)
