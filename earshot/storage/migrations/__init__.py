"""Alembic, run in-process: no alembic.ini, the program knows its own scripts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from earshot.storage.database import Database

if TYPE_CHECKING:
    from alembic.config import Config

_HERE = Path(__file__).parent


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's settings for this package; `env.py` takes the connection from `attributes`."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def newest() -> str:
    """The revision that this program wants: the number that begins the name of the last migration."""
    return max(path.stem.partition("_")[0] for path in (_HERE / "versions").glob("[0-9]*.py"))


def is_current(database: Database) -> bool:
    """Whether there is nothing to do. Cheap: workers ask at each start, and need neither Alembic nor the write lock for it."""
    with database.reading() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return False
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == newest()


def upgrade(database: Database) -> None:
    """Run the missing migrations in one transaction, so that a kill half-way leaves the old schema whole."""
    if is_current(database):
        return
    from alembic import command

    with database.writing() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(7223551)"))
        command.upgrade(configuration(connection), "head")
