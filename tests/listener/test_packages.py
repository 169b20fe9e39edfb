"""A network in a package of its own: installed beside earshot, found by its entry point, read over HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from earshot.demo.networks.serving import serve_app
from listener import SOURCES, networks

EXAMPLE = Path(__file__).parent.parent.parent / "docs" / "how-to" / "noticeboard"


async def board(scope: Scope, receive: Receive, send: Send) -> None:
    after = int(Request(scope, receive).query_params["after"])
    posts = [{"number": n, "by": "ann", "text": f"lumifern {n}", "at": "2026-05-04T12:00:00+00:00"} for n in range(1, 131)]
    await JSONResponse({"posts": posts[after:][:100]})(scope, receive, send)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, installed into a folder as pip does it."""
    folder = tmp_path_factory.mktemp("installed")
    copied = folder / "noticeboard"
    copied.mkdir()
    for name in ("noticeboard.py", "pyproject.toml"):
        (copied / name).write_bytes((EXAMPLE / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--disable-pip-version-check", "--target", str(folder / "site"), str(copied)], check=True, capture_output=True)
    return folder / "site"


def earshot(site: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {
        "PYTHONPATH": str(site),
        "EARSHOT_DATABASE_URL": f"sqlite:///{folder}/e.db",
        "EARSHOT_CONFIG": str(folder / "e.toml"),
    }
    return subprocess.run([sys.executable, "-m", "earshot", *arguments], env=env, capture_output=True, text=True, timeout=120)


def test_an_installed_package_brings_its_network(installed: Path, tmp_path: Path) -> None:
    with serve_app(board) as served:
        source = f'[[sources]]\nname = "board"\nnetwork = "noticeboard"\nquery = "lumifern"\nurl = "{served.url}"\nallow_private = true\n'
        (tmp_path / "e.toml").write_text(source)
        said = earshot(installed, tmp_path, "listen", "--once")
    assert (said.returncode, "board: healthy" in said.stdout, "mentions: 130" in said.stdout) == (0, True, True), said.stderr
    assert "noticeboard" in earshot(installed, tmp_path, "sources").stdout


def test_a_package_that_cannot_be_loaded_is_named_and_disturbs_nobody(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "noticeboard.py").write_text("import a_module_that_nobody_has\n")
    (tmp_path / "e.toml").write_text(
        '[[sources]]\nname = "board"\nnetwork = "noticeboard"\n\n[[sources]]\nname = "hn"\nnetwork = "hackernews"\n'
    )
    site = Path(f"{tmp_path}{os.pathsep}{installed}")
    said = earshot(site, tmp_path, "sources")
    assert said.returncode == 0, said.stderr
    assert "cannot be loaded (No module named 'a_module_that_nobody_has')" in said.stdout
    assert "ok" in next(line for line in said.stdout.splitlines() if line.startswith("hn "))


def test_without_packages_there_are_our_networks() -> None:
    assert networks() == SOURCES
