"""The super-users: what each chose, what each did, and who is free now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo

from earshot.errors import BadInput
from earshot.mention import require_aware

LEVELS = range(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """What became of her answers on one topic."""

    topic: str
    answered: int = 0
    accepted: int = 0  #: the author or a manager said that it helped

    def __post_init__(self) -> None:
        if not 0 <= self.accepted <= self.answered:
            raise BadInput(f"skill in {self.topic!r}: accepted ({self.accepted}) must lie between 0 and answered ({self.answered})")


@dataclass(frozen=True, slots=True, kw_only=True)
class SuperUser:
    """A trusted customer who answers. Limits, languages, topics and quiet hours are her own choice."""

    account: int
    name: str
    languages: tuple[str, ...]  #: ISO 639-1
    topics: tuple[str, ...] = ()  #: that she says she knows
    networks: tuple[str, ...] = ()  #: where she answers; empty: everywhere
    trust: int = 0  #: 0..4
    open_now: int = 0  #: cases she has been offered or owns
    open_posts: int = 4  #: most cases at one time
    hours_used: float = 0.0  #: this week
    hours_per_week: float = 10.0
    quiet: tuple[time, time] | None = None  #: local time; may run over midnight
    zone: str = "UTC"  #: IANA name
    offered_at: datetime | None = None  #: last time she was asked
    skills: tuple[Skill, ...] = ()
    away: bool = False

    def __post_init__(self) -> None:
        if self.trust not in LEVELS:
            raise BadInput(f"trust level of account {self.account} must be one of 0..4, not {self.trust}")
        if min(self.open_now, self.open_posts, self.hours_used, self.hours_per_week) < 0:
            raise BadInput(f"counts and limits of account {self.account} must not be negative")
        if self.offered_at is not None:
            require_aware(self.offered_at, "SuperUser.offered_at")
        zone(self.zone)


@lru_cache(maxsize=256)
def zone(name: str) -> ZoneInfo:
    """Raises `BadInput` for a name that is no time zone."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as err:
        raise BadInput(f"there is no time zone {name!r}; choose an IANA name such as Europe/Berlin") from err


def is_quiet(super_user: SuperUser, *, now: datetime) -> bool:
    """Does `now` fall into her quiet hours, on her own clock?"""
    if super_user.quiet is None:
        return False
    begins, ends = super_user.quiet
    clock = now.astimezone(zone(super_user.zone)).time()
    return begins <= clock < ends if begins <= ends else clock >= begins or clock < ends


def free_posts(super_user: SuperUser, *, now: datetime) -> int:
    """How many more cases she can be offered now; 0 when she is away, at rest, or has done her hours."""
    if super_user.away or super_user.hours_used >= super_user.hours_per_week or is_quiet(super_user, now=now):
        return 0
    return max(0, super_user.open_posts - super_user.open_now)


def is_available(super_user: SuperUser, *, now: datetime) -> bool:
    return free_posts(super_user, now=now) > 0
