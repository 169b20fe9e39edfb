"""When an answer is due: minutes of working time, counted from the moment somebody could first have seen the post.

Working hours are laid out day by day in their own time zone and compared in UTC, so that clock changes neither skip nor repeat a
promise: of two posts, the earlier one is never due later.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from earshot.case import Tier
from earshot.errors import ConfigurationError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST = timedelta(days=90)
LOOK_AHEAD = timedelta(weeks=53)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"m": 1, "min": 1, "h": 60, "d": 24 * 60}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """When staff of one tier, for one language, are at work. `tier` or `lang` None: any."""

    tier: Tier | None = None
    lang: str | None = None
    zone: str = "UTC"  #: IANA name
    days: frozenset[int] = frozenset(range(7))  #: 0 is Monday
    opens: time = time(0)
    closes: time = time(0)  #: midnight: the end of the day

    def __hash__(self) -> int:  # asked for each due time, and a tier takes long
        return hash((self.lang, self.zone, self.opens, self.closes))

    def __post_init__(self) -> None:
        if not self.days or not self.days <= set(range(7)):
            raise ConfigurationError(f"hours need at least one day out of {', '.join(DAYS)}")
        if self.closes != time(0) and self.closes <= self.opens:
            raise ConfigurationError(f"hours close at {self.closes:%H:%M}, which is not after they open at {self.opens:%H:%M}")


def hours_for(table: Sequence[Hours], tier: Tier, lang: str) -> Hours | None:
    """The first row that fits; None: around the clock."""
    return next((row for row in table if row.tier in (None, tier) and row.lang in (None, lang)), None)


def started(posted_at: datetime, seen_at: datetime) -> datetime:
    """When the promise begins: the earlier of posted and seen, so that a post from the future does not wait for its hour.

    Posts that claim to be older than networks are count from 1970, where every time zone still has room.
    """
    return posted_at if EPOCH <= posted_at <= seen_at else max(min(posted_at, seen_at), EPOCH)


def fits(within: timedelta, hours: Hours | None) -> bool:
    """Can `within` be worked off in a year of these hours?"""
    if hours is None:
        return True
    opens, closes = (
        timedelta(hours=hours.opens.hour, minutes=hours.opens.minute),
        timedelta(hours=hours.closes.hour, minutes=hours.closes.minute),
    )
    return within <= 50 * len(hours.days) * ((closes or timedelta(days=1)) - opens)


def due(start: datetime, within: timedelta, hours: Hours | None) -> datetime:
    """`start` plus `within` of working time, in UTC. `start` is aware; never before `start`."""
    if hours is None:
        return start.astimezone(UTC) + within
    left, day = within, start.astimezone(_zone(hours.zone)).date()
    for _ in range(LOOK_AHEAD.days):
        opens, closes = _window(hours, day)
        begin = max(opens, start)
        if closes > begin:
            if left <= closes - begin:
                return begin + left
            left -= closes - begin
        day += timedelta(days=1)
    raise ConfigurationError(f"{within} do not fit into working hours of {hours.zone}; give a shorter time or longer hours")


@lru_cache(maxsize=4096)
def _window(hours: Hours, day: date) -> tuple[datetime, datetime]:
    """Opening and closing of one local day, in UTC; twice the same moment on a day off."""
    zone = _zone(hours.zone)
    opens = datetime.combine(day, hours.opens, zone).astimezone(UTC)
    if day.weekday() not in hours.days:
        return opens, opens
    last = day + timedelta(days=1) if hours.closes == time(0) else day
    return opens, datetime.combine(last, hours.closes, zone).astimezone(UTC)


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as err:
        raise ConfigurationError(f"there is no time zone {name!r}; write an IANA name such as Europe/Berlin") from err


def parse_hours(row: dict[str, object]) -> Hours:
    """One `[[hours]]` row: tier, lang, zone, days ("mon-fri", "sat, sun"), opens and closes ("09:00"). Raises `ConfigurationError`."""
    unknown = sorted(set(row) - {"tier", "lang", "zone", "days", "opens", "closes"})
    if unknown:
        raise ConfigurationError(f"hours: {', '.join(unknown)} is unknown; possible: tier, lang, zone, days, opens, closes")
    text = {key: str(value).strip() for key, value in row.items()}
    zone = text.get("zone", "UTC")
    _zone(zone)
    return Hours(
        tier=parse_tier(text["tier"]) if "tier" in text else None,
        lang=text.get("lang"),
        zone=zone,
        days=_days(text.get("days", "mon-sun")),
        opens=_clock(text.get("opens", "00:00")),
        closes=_clock(text.get("closes", "24:00")),
    )


def parse_tier(text: str) -> Tier:
    """Raises `ConfigurationError`, which lists the tiers."""
    try:
        return Tier(text)
    except ValueError as err:
        raise ConfigurationError(f"there is no tier {text!r}; possible: {', '.join(Tier)}") from err


def parse_duration(value: object) -> timedelta:
    """Minutes as a number, or "45m", "2h", "1d". Raises `ConfigurationError`."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?) *(m|min|h|d)?", str(value).strip())
    if isinstance(value, bool) or found is None:
        raise ConfigurationError(f'{value!r} is no length of time; write minutes (90) or "45m", "2h", "1d"')
    length = timedelta(minutes=float(found[1]) * _UNITS[found[2] or "m"])
    if not timedelta(0) < length <= LONGEST:
        raise ConfigurationError(f"{value!r} must be longer than nothing and at most {LONGEST.days} days")
    return length


def _days(text: str) -> frozenset[int]:
    days: set[int] = set()
    for part in text.lower().replace(" ", "").split(","):
        first, _, last = part.partition("-")
        try:
            begin, end = DAYS.index(first), DAYS.index(last or first)
        except ValueError as err:
            raise ConfigurationError(f'hours: days {text!r} cannot be read; write "mon-fri" or "sat, sun"') from err
        days.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    return frozenset(days)


def _clock(text: str) -> time:
    try:
        return time(0) if text == "24:00" else datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 - a time of day, in the row's zone
    except ValueError as err:
        raise ConfigurationError(f"hours: {text!r} is no time of day; write 09:00") from err
