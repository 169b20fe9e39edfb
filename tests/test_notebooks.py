"""Notebooks ask questions of a database; each is run on a small one, made of real parts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import nbformat
import pytest
from houses import NOW, sqlite_store
from nbclient import NotebookClient

from earshot.errors import ConfigurationError
from earshot.importing import import_archive
from earshot.settings import Settings

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
BRAND = """
name = "Lumifern"
names = ["lumifern"]

[[topics]]
key = "lamps"
name = "Lamps"
words = ["lamp", "台灯"]

[[topics]]
key = "hub"
name = "Hub"
words = ["hub", "网关"]
"""
SAID = (
    "Lumifern, how do I pair the lamp with the hub?",
    "I love my new Lumifern lamp, best thing I bought this year!",
    "The hub broke again. Lumifern, this is awful and I am tired of it.",
    "流萤蕨的台灯怎么复位？",
    "Does the lamp work without the hub?",
    "Lumifern shipped my lamp today.",
)


def _code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[str]:
    """Thirty posts of twelve authors on two networks and five days, understood and routed."""
    brand, posts = tmp_path / "brand.toml", tmp_path / "posts.jsonl"
    brand.write_text(BRAND, encoding="utf-8")
    rows = [
        {
            "id": str(number),
            "text": f"{SAID[number % len(SAID)]} {number}",
            "network": ("x", "reddit")[number % 2],
            "posted_at": (NOW - timedelta(days=number % 5)).isoformat(),
            "author": {"handle": f"author{number % 12}", "followers": 7 ** (number % 6)},
            "likes": number,
        }
        for number in range(30)
    ]
    posts.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with sqlite_store(tmp_path) as store:
        url = f"sqlite:///{tmp_path / 'earshot.db'}"
        settings = Settings(database_url=url, brand=brand)
        report = import_archive(settings, store, posts, network="x", columns={}, encoding="utf-8", route=True, show=False)
        assert report.routed == len(rows)
        yield url


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_answers_each_of_its_questions_with_a_picture(
    path: Path, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARSHOT_DATABASE_URL", database)
    notebook = nbformat.read(path, as_version=4)
    questions = [cell for cell in notebook.cells if cell.cell_type == "markdown" and cell.source.startswith("## ")]
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in _code(notebook) for output in cell.outputs]
    assert [output for output in outputs if output.output_type == "stream" and output.name == "stderr"] == []
    assert sum("image/svg+xml" in output.get("data", {}) for output in outputs) == len(questions) >= 3


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    for cell in _code(nbformat.read(path, as_version=4)):
        assert cell.outputs == []
        assert cell.execution_count is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_without_a_database_says_what_to_do(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EARSHOT_DATABASE_URL", raising=False)
    first = _code(nbformat.read(path, as_version=4))[0]
    with pytest.raises(ConfigurationError, match="set EARSHOT_DATABASE_URL"):
        exec(compile(first.source, path.name, "exec"), {})
