"""Versions of the policy, and what influence is measured against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite

from earshot.storage.database import Database
from earshot.storage.tables import AuthorRow, PolicyRow, PopulationRow, table

_POLICY, _POPULATION, _AUTHOR = table(PolicyRow), table(PopulationRow), table(AuthorRow)


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

    def populations(self) -> dict[str, list[float]]:
        """Quantile knots per network, as they were last measured."""
        with self._db.reading() as connection:
            return {row["network"]: row["knots"] for row in connection.execute(select(_POPULATION)).mappings()}

    def set_populations(self, knots: Mapping[str, Sequence[float]], *, now: datetime) -> None:
        insert = (sqlite if self._db.is_sqlite else postgresql).insert(_POPULATION)
        statement = insert.on_conflict_do_update(
            index_elements=["network"], set_={"knots": insert.excluded.knots, "at": insert.excluded.at}
        )
        rows = [{"network": network, "knots": list(values), "at": now} for network, values in sorted(knots.items())]
        if rows:
            with self._db.writing() as connection:
                connection.execute(statement, rows)

    def followers(self, *, limit: int = 100_000) -> dict[str, list[int]]:
        """Follower counts of the authors seen, per network: what a population is measured from."""
        statement = (
            select(_AUTHOR.c.network, _AUTHOR.c.followers).where(_AUTHOR.c.followers.is_not(None)).order_by(func.random()).limit(limit)
        )
        found: dict[str, list[int]] = {}
        with self._db.reading() as connection:
            for network, followers in connection.execute(statement):
                found.setdefault(network, []).append(followers)
        return found
