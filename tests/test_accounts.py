"""Accounts on the command line, as it is typed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from houses import NOW
from sites import PASSWORD

from earshot.settings import Settings
from earshot.storage import Store
from earshot.web.sign_in import check_password

Type = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def earshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Type:
    monkeypatch.setenv("EARSHOT_DATABASE_URL", f"sqlite:///{tmp_path}/new.db")

    def typed(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "earshot", "account", *words]
        return subprocess.run(command, cwd=tmp_path, input=f"{PASSWORD}\n", capture_output=True, text=True, timeout=60)

    return typed


def test_an_account_is_made_switched_off_and_on_again(earshot: Type, tmp_path: Path) -> None:
    assert earshot("add", "Sam@lumifern.example").stdout == "account 1: sam@lumifern.example (staff)\n"
    store = Store(f"sqlite:///{tmp_path}/new.db")

    def may_sign_in() -> bool:
        found = check_password(store, Settings(), email="sam@lumifern.example", password=PASSWORD, address="here", now=NOW)
        return found is not None

    assert may_sign_in()
    off = earshot("off", "sam@lumifern.example")
    assert off.stdout == "account 1: sam@lumifern.example is off; cases that went back to their queues: 0\n"
    assert not may_sign_in()
    assert earshot("on", " SAM@lumifern.example").stdout == "account 1: sam@lumifern.example may sign in\n"
    assert may_sign_in()
    store.close()


@pytest.mark.parametrize("command", ["off", "on"])
def test_an_account_that_is_not_there_is_named(earshot: Type, command: str) -> None:
    refused = earshot(command, "nobody@lumifern.example")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "earshot: there is no account for 'nobody@lumifern.example'; the page of an admin lists all\n"
