"""Column types that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Dialect, Text
from sqlalchemy.types import TypeDecorator

from earshot.mention import require_aware

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_JSON = msgspec.json.Encoder()


def stored_time(moment: datetime | None) -> int | None:
    """A moment as it is stored: whole microseconds since 1970. A naive one raises `ValueError`."""
    if moment is None:
        return None
    require_aware(moment, "a stored time")
    return (moment - _EPOCH) // _MICROSECOND


def stored_json(value: Any) -> str | None:
    """Lists, tuples and dicts as they are stored: JSON text. A score becomes a list; names of fields would double the size of a row."""
    return None if value is None else _JSON.encode(value).decode()


class UtcTime(TypeDecorator[datetime]):
    """An aware moment as whole microseconds since 1970: it sorts, it never loses its zone, and SQLite need not parse text."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        return stored_time(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class Json(TypeDecorator[Any]):
    """Lists and dicts as JSON text; tuples come back as lists."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        return stored_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        return None if value is None else msgspec.json.decode(value)
