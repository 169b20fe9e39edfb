"""Alembic, run in-process: no alembic.ini, the program knows its own scripts."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from earshot.storage.database import Database

_HERE = Path(__file__).parent


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's settings for this package; `env.py` takes the connection from `attributes`."""
    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def newest() -> str:
    """The revision that this program wants."""
    return str(ScriptDirectory.from_config(configuration()).get_current_head())


def upgrade(database: Database) -> None:
    """Run the missing migrations in one transaction, so that a kill half-way leaves the old schema whole."""
    with database.writing() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(7223551)"))
        command.upgrade(configuration(connection), "head")
