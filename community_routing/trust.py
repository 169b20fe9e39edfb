"""Trust levels 0..4: what each may do. Earned by measured quality over the last answers, and lost again.

Quality is the lower end of Wilson's interval (Wilson, 1927), so that three lucky answers do not weigh like fifty good ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from earshot.errors import BadInput

WINDOW = 50  #: how many of her last answers count
Z = 1.2816  #: one-sided 90 %


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """What a level may do, and what keeps her there."""

    name: str
    answers: int  #: judged answers that it takes, within the last 50
    quality: float  #: quality that it takes to rise to it
    keeps: float  #: below this quality it is lost again; lower than `quality`, so that nobody flickers
    needs_approval: bool
    may_approve: bool


LEVELS: tuple[Level, ...] = (
    Level(name="newcomer", answers=0, quality=0.0, keeps=0.0, needs_approval=True, may_approve=False),
    Level(name="helper", answers=5, quality=0.45, keeps=0.35, needs_approval=True, may_approve=False),
    Level(name="regular", answers=12, quality=0.60, keeps=0.50, needs_approval=False, may_approve=False),
    Level(name="mentor", answers=25, quality=0.72, keeps=0.62, needs_approval=False, may_approve=True),
    Level(name="guide", answers=40, quality=0.80, keeps=0.70, needs_approval=False, may_approve=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Her last answers, at most 50: how many were judged, accepted by the author, found helpful, agreed with by reviewers.

    `helpful` and `agreed` count out of `rated` and `reviewed`: not every answer is rated or reviewed.
    """

    judged: int = 0
    accepted: int = 0
    rated: int = 0
    helpful: int = 0
    reviewed: int = 0
    agreed: int = 0

    def __post_init__(self) -> None:
        for part, whole in ((self.accepted, self.judged), (self.helpful, self.rated), (self.agreed, self.reviewed)):
            if not 0 <= part <= whole <= WINDOW:
                raise BadInput(f"a record counts the last {WINDOW} answers, and no part exceeds its whole: {self}")


def needs_approval(level: int) -> bool:
    """Must somebody approve what she writes before it is posted?"""
    return _level(level).needs_approval


def may_approve(level: int) -> bool:
    """May she approve what others write?"""
    return _level(level).may_approve


def quality(record: Record) -> float:
    """0..1: what we can be 90 % sure of, over everything that was said about her answers."""
    return lower_bound(record.accepted + record.helpful + record.agreed, record.judged + record.rated + record.reviewed)


def lower_bound(right: int, out_of: int, *, z: float = Z) -> float:
    """Lower end of Wilson's interval for a share; 0 without evidence."""
    if out_of == 0:
        return 0.0
    share, unsure = right / out_of, z * z / out_of
    spread = z * math.sqrt(share * (1 - share) / out_of + unsure / (4 * out_of))
    return max(0.0, (share + unsure / 2 - spread) / (1 + unsure))


def level_after(level: int, record: Record) -> int:
    """Her level after her last answers: one step up when earned, one step down when lost, else the same."""
    now, sure = _level(level), quality(record)
    if sure < now.keeps:
        return level - 1
    above = LEVELS[level + 1] if level + 1 < len(LEVELS) else None
    if above is not None and record.judged >= above.answers and sure >= above.quality:
        return level + 1
    return level


def _level(level: int) -> Level:
    if not 0 <= level < len(LEVELS):
        raise BadInput(f"there is no trust level {level}; possible: 0..{len(LEVELS) - 1}")
    return LEVELS[level]
