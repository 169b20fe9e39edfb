"""A site for each test; the rooms behind it are opened once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from houses import sqlite_store
from sites import Site

from earshot.case import Sending
from earshot.rooms import Rooms
from earshot.settings import Settings
from escalation.policy import default_policy


@pytest.fixture(scope="session")
def open_rooms() -> Rooms:
    """Opened once: the models take a second to load."""
    sending = Sending(sources=frozenset({"x", "reddit"}), after=timedelta(seconds=10), spacing=timedelta(0))
    return Rooms(policy=default_policy(), sending=sending)


@pytest.fixture
def site(tmp_path: Path, open_rooms: Rooms) -> Iterator[Site]:
    with sqlite_store(tmp_path) as store:
        yield Site(store=store, rooms=open_rooms, settings=Settings(secret_key="s" * 40, sign_in_tries=5))
