"""The rules of the house that a machine can hold."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import classifiers
import earshot
import listener
from earshot.errors import ConfigurationError, UnknownName
from earshot.registry import load
from earshot.settings import Settings, load_settings, secret

ROOT = Path(__file__).parent.parent
PACKAGES = ("listener", "classifiers", "influence", "escalation", "community_routing", "earshot")


@pytest.mark.parametrize("name", PACKAGES)
def test_each_top_level_name_is_ours(name: str) -> None:
    found = importlib.import_module(name).__file__
    assert found is not None
    assert Path(found).parent.parent == ROOT


@pytest.mark.parametrize(("registry", "kind"), [(listener.SOURCES, "network"), (classifiers.CLASSIFIERS, "classifier")])
def test_every_registered_name_can_be_loaded(registry: dict[str, str], kind: str) -> None:
    for key in registry:
        assert callable(load(registry, key, kind=kind))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match=r"known: .*reddit.*x"):
        load(listener.SOURCES, "myspace", kind="network")


def _imported_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


HEAVY = {"sklearn", "spacy", "pandas", "numpy", "scipy", "sqlalchemy", "fastapi", "tweepy", "praw", "rich", "pydantic", "rapidfuzz"}


def test_help_loads_nothing_heavy() -> None:
    assert _imported_by("import earshot.cli") & HEAVY == set()


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_by_itself_loads_nothing_heavy(name: str) -> None:
    assert _imported_by(f"import {name}") & (HEAVY) == set()


def test_understanding_needs_no_training_library() -> None:
    assert _imported_by("from classifiers.panel import Panel; Panel()") & {"sklearn", "spacy", "pandas"} == set()


def test_help_names_every_command() -> None:
    out = subprocess.run([sys.executable, "-m", "earshot", "--help"], check=True, capture_output=True, text=True).stdout
    for command in ("demo", "serve", "work", "listen", "import", "score", "learn", "report", "account", "db", "settings"):
        assert f"  {command} " in out


def test_every_setting_says_what_it_is_for_and_is_documented() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert f"`{name}`" in page, f"docs/settings.md says nothing of {name}"


def test_every_source_and_classifier_is_documented() -> None:
    networks = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
    questions = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
    for name in listener.SOURCES:
        assert f"`{name}`" in networks, f"docs/networks.md says nothing of {name}"
    for name in classifiers.CLASSIFIERS:
        assert f"`{name}`" in questions, f"docs/questions.md says nothing of {name}"


def test_a_wrong_setting_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARSHOT_PORT", "ninety")
    with pytest.raises(ConfigurationError, match=r"port: .*integer"):
        load_settings()


def test_settings_come_from_the_environment_before_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "earshot.toml"
    file.write_text('port = 1111\nbatch = 7\n[[sources]]\nname = "x"\nnetwork = "x"\nquery = "lumifern"\n', encoding="utf-8")
    monkeypatch.setenv("EARSHOT_CONFIG", str(file))
    monkeypatch.setenv("EARSHOT_PORT", "2222")
    settings = load_settings()
    assert (settings.port, settings.batch, settings.sources[0].query) == (2222, 7, "lumifern")


def test_a_missing_secret_names_its_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="EARSHOT_SECRET_MY_X_BEARER_TOKEN"):
        secret("my-x", "bearer_token", environ={})
    kept = tmp_path / "token"
    kept.write_text("s3cret\n", encoding="utf-8")
    assert secret("my-x", "bearer_token", environ={"EARSHOT_SECRET_MY_X_BEARER_TOKEN_FILE": str(kept)}).get_secret_value() == "s3cret"


def test_secrets_are_not_printed() -> None:
    assert "hunter2" not in str(load_settings(secret_key="hunter2"))


def test_the_version_is_told() -> None:
    out = subprocess.run([sys.executable, "-m", "earshot", "--version"], check=True, capture_output=True, text=True).stdout
    assert out == f"earshot {earshot.__version__}\n"
