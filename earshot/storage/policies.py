"""Versions of the policy. A version is never changed; a new one replaces it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from earshot.storage.database import Database
from earshot.storage.tables import PolicyRow, table

_POLICY = table(PolicyRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPolicy:
    version: str
    toml: str
    by: int | None
    at: datetime
    note: str


class Policies:
    def __init__(self, database: Database) -> None:
        self._db = database

    def current(self) -> StoredPolicy | None:
        """The newest version; None in a new database."""
        versions = self.versions(limit=1)
        return versions[0] if versions else None

    def versions(self, *, limit: int = 50) -> list[StoredPolicy]:
        with self._db.reading() as connection:
            rows = connection.execute(select(_POLICY).order_by(_POLICY.c.id.desc()).limit(limit)).mappings()
            return [StoredPolicy(version=r["version"], toml=r["toml"], by=r["by"], at=r["at"], note=r["note"]) for r in rows]

    def add(self, version: str, toml: str, *, now: datetime, by: int | None = None, note: str = "") -> bool:
        """Add a version; False when that version is stored already (two processes that start at once)."""
        insert = (sqlite if self._db.is_sqlite else postgresql).insert(_POLICY).on_conflict_do_nothing(index_elements=["version"])
        with self._db.writing() as connection:
            return connection.execute(insert.values(version=version, toml=toml, by=by, at=now, note=note)).rowcount == 1
