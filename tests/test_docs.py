"""The documents say what the code does: what can be walked is walked, and must be written down."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic_core import PydanticUndefined

import earshot
from classifiers import CLASSIFIERS
from classifiers.training_data import LESSONS, LICENCES, NOT_TO_LEARN_FROM
from earshot.case import MOVES, Move, State
from earshot.cli import app
from earshot.errors import ConfigurationError
from earshot.registry import load
from earshot.scoring import QUESTIONS
from earshot.settings import Settings, SourceSettings
from earshot.storage.accounts import Role
from earshot.web.site import EVERYONE, SITE, Address
from escalation.conditions import parse_condition
from escalation.policy import default_policy
from listener import SOURCES
from listener.archive import parse_score_line

ROOT = Path(__file__).parent.parent
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
#: files that the how-to pages invent
EXAMPLES = {
    "listener/noticeboard.py",
    "classifiers/politeness.py",
    "earshot/web/pages/gaps.py",
    "earshot/web/templates/gaps.html",
}


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def blocks(text: str, kind: str) -> list[str]:
    return re.findall(rf"^ *```{kind}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)


def rows(text: str) -> dict[str, list[str]]:
    """Table rows by their first cell, without its backticks."""
    cells = ([cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("| "))
    return {row[0].strip("`"): [cell.strip("| ") for cell in row[1:]] for row in cells}


def section(text: str, title: str) -> str:
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"no section ## {title}"
    return found[1]


# what can be set, read and asked


def _default(value: object) -> str:
    if value is PydanticUndefined:
        return "required"
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    if value == "":
        return "empty"
    if value is None or value == ():
        return "none"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize("model", [Settings, SourceSettings])
def test_every_setting_stands_in_the_table_with_its_default_and_its_sentence(model: Any) -> None:
    table = rows(read("docs/settings.md"))
    for name, field in model.model_fields.items():
        kind, default, sentence = table[name]
        assert kind, name
        assert default.strip("`") == _default(field.default), name
        assert sentence.rstrip(".").lower() == field.description.rstrip(".").lower(), name


def test_every_test_that_shows_an_incident_cannot_happen_here_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", read("docs/incidents.md"))
    assert len(named) > 30
    missing = [f"{path}::{name}" for path, name in named if f"\ndef {name}(" not in read(path)]
    assert missing == []


@pytest.mark.parametrize("network", SOURCES)
def test_every_network_says_what_it_needs_and_gives_an_example_that_can_be_read(network: str) -> None:
    text = section(read("docs/networks.md"), f"`{network}`")
    for word in ("Hears", "Answers", "Needs", "Limits", "Costs", "Duties"):
        assert f"- **{word}**" in text
    (example,) = blocks(text, "toml")
    (source,) = (SourceSettings(**entry) for entry in tomllib.loads(example)["sources"])
    assert source.network == network


@pytest.mark.parametrize("network", SOURCES)
def test_every_secret_that_a_source_asks_for_is_documented(network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = section(read("docs/networks.md"), f"`{network}`")
    prefix = f"EARSHOT_SECRET_{network.upper()}_"
    for name in [name for name in os.environ if name.startswith(prefix)]:
        monkeypatch.delenv(name)
    (example,) = (entry for block in blocks(text, "toml") for entry in tomllib.loads(block)["sources"])
    places = {name: example[name] for name in ("query", "url", "account") if name in example}
    given = {"url": "https://server.example", "account": "brand", "replies": True} | places
    settings = SourceSettings(name=network, network=network, **given)
    for _ in range(20):
        try:
            load(SOURCES, network, kind="network")(settings).close()
            return
        except ConfigurationError as err:
            (variable,) = set(re.findall(rf"{prefix}(\w+?)(?:_FILE)?\b", str(err)))
            assert f"`{variable}`" in text
            monkeypatch.setenv(prefix + variable, "x" * 32)
    pytest.fail("the source asks for ever more secrets")


def test_every_question_says_its_labels_and_the_range_of_its_value() -> None:
    from classifiers.model import shipped

    table = rows(read("docs/questions.md"))
    assert set(CLASSIFIERS) | {"influence"} <= set(table)
    for name in CLASSIFIERS:
        labels, value, span = table[name]
        assert value, name
        assert re.fullmatch(r"-?\d to \d|0 and up", span), name
        if name in shipped().heads and name != "language":
            assert set(shipped().heads[name].labels) == set(re.findall(r"`([^`]+)`", labels))


def test_every_set_that_teaches_is_named_with_its_licence() -> None:
    text = read("docs/data-and-licences.md")
    table = rows(text)
    for lesson in LESSONS:
        signals, licence = table[lesson.data_set]
        assert set(lesson.teaches) <= set(signals.split(", ")), lesson.data_set
        assert licence.startswith(LICENCES[lesson.data_set].split(",")[0]), lesson.data_set
    for source in NOT_TO_LEARN_FROM:
        assert f"`{source}`" in text


def test_every_condition_that_the_page_of_the_policy_shows_can_be_read() -> None:
    text = read("docs/policy.md")
    thresholds = {threshold.name: threshold.value for threshold in default_policy().thresholds}
    shown = section(text, "Conditions")
    ruled = [rule for block in blocks(text, "toml") for rule in tomllib.loads(block)["rules"]]
    conditions = [*re.findall(r"`([^`]+ [^`]+)`", shown), *(condition for rule in ruled for condition in rule["when"])]
    assert len(conditions) > 8
    for condition in conditions:
        parse_condition(condition, thresholds)


# pages and commands


def _who(address: Address) -> str:
    if address.who is None:
        return "whoever signs it" if address.is_signed else "anybody"
    who = "everybody who is signed in" if address.who == EVERYONE else ", ".join(role for role in Role if role in address.who)
    return f"trusted {who}" if address.is_for_trusted else who


def test_every_address_stands_in_the_table_with_who_may_enter_and_none_besides() -> None:
    table = rows(read("docs/addresses.md"))
    written = {name: row for name, row in table.items() if name.startswith(("GET ", "POST "))}
    assert written == {f"{address.method} {address.path}": [_who(address), address.what] for address in SITE}


def _commands() -> dict[str, Any]:
    """ "earshot report influence" -> its command."""

    def walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
        if hasattr(command, "commands"):
            for name, below in command.commands.items():
                yield from walk(f"{path} {name}", below)
        else:
            yield path, command

    return dict(walk("earshot", typer.main.get_command(app)))


COMMANDS = _commands()


def _options(command: Any) -> list[str]:
    return [word for parameter in command.params for word in (*parameter.opts, *parameter.secondary_opts) if word.startswith("--")]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_section_with_every_option(name: str) -> None:
    text = section(read("docs/command-line.md"), name)
    for option in _options(COMMANDS[name]):
        assert option == "--help" or f"`{option}`" in text, option


def _typed() -> Iterator[tuple[str, list[str]]]:
    """Every command line of ours that a document tells people to type, as words."""
    for path in DOCS:
        text = path.read_text(encoding="utf-8")
        lines = [line for block in blocks(text, "sh") for line in block.splitlines()] + re.findall(r"`((?:earshot|scripts/)[^`\n]*)`", text)
        for line in lines:
            for part in re.split(r" [;|&]+ |;|\|", line.partition("  #")[0]):
                words = shlex.split(part, comments=True)
                if words and re.match(r"earshot$|scripts/|\.ci/|benchmarks/", words[0]):
                    yield path.name, words


def test_every_command_that_a_document_names_exists_with_its_options() -> None:
    typed = list(_typed())
    assert len(typed) > 30
    for page, words in typed:
        if words[0] != "earshot":
            assert os.access(ROOT / words[0], os.X_OK), f"{page}: {words[0]}"
            continue
        plain = [word for word in words if not word.startswith("-")]
        name = next((name for n in (3, 2) if (name := " ".join(plain[:n])) in COMMANDS), None)
        if name is None:
            assert words[1:] in ([], ["--help"], ["--version"], ["COMMAND", "--help"]), f"{page}: {' '.join(words)}"
            continue
        unknown = {word.partition("=")[0] for word in words if word.startswith("--")} - set(_options(COMMANDS[name])) - {"--help"}
        assert not unknown, f"{page}: {name} has no {unknown}"


def test_the_example_of_the_score_contract_is_a_line_that_is_taken_and_a_line_that_comes_out() -> None:
    given, written = blocks(section(read("docs/command-line.md"), "earshot score"), "json")
    mention = parse_score_line(given.encode(), 1)
    assert (mention.native_id, mention.network, mention.lang_hint) == ("1", "x", "en")
    out = ast.literal_eval(written)
    assert set(out) == {"id", "scores", "route"}
    assert tuple(out["scores"]) == QUESTIONS
    assert set(out["route"]) == {"tier", "outcome", "reason"}


# the documents among themselves


def test_every_link_between_documents_leads_somewhere() -> None:
    for path in DOCS:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8")):
            if not target.startswith(("https://", "http://", "mailto:")):
                assert (path.parent / target).exists(), f"{path.relative_to(ROOT)}: {target}"


def test_every_file_that_a_document_names_is_there() -> None:
    ours = r"\.ci|scripts|docs|tests|benchmarks|notebooks|requirements|earshot|listener|classifiers|influence|escalation|community_routing"
    name = re.compile(rf"`((?:{ours})/[\w./-]*)`")
    for path in DOCS:
        for found in set(name.findall(path.read_text(encoding="utf-8"))) - EXAMPLES:
            assert (ROOT / found).exists(), f"{path.relative_to(ROOT)}: {found}"


def test_every_example_in_toml_or_python_can_be_read() -> None:
    for path in DOCS:
        text = path.read_text(encoding="utf-8")
        for block in blocks(text, "toml"):
            tomllib.loads(re.sub(r"(?m)^   ", "", block) if block.startswith("   ") else block)
        for block in blocks(text, "python"):
            ast.parse(f"{{{block}}}" if block.startswith('    "') else f"({block})" if block.startswith("    Address") else block)


def test_the_life_of_a_case_in_the_architecture_is_the_table_of_moves() -> None:
    (diagram,) = blocks(read("ARCHITECTURE.md"), "mermaid")
    arrows = re.findall(r"(\w+) --> (\w+): (\w+)", diagram)
    for before, then, move in arrows:
        assert MOVES[State(before), Move(move)] is State(then), f"{before} {move}"
    assert {state for before, then, _ in arrows for state in (before, then)} == {state.value for state in State}


def test_every_decision_has_its_parts_and_stands_in_the_list() -> None:
    listed = read("docs/decisions/README.md")
    pages = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text(encoding="utf-8")
        title = text.splitlines()[0].removeprefix("# ")
        assert f"[{title}]({page.name})" in listed
        for part in ("Context", "Consequences", "Alternatives", "The check that holds it"):
            assert section(text, part).strip(), f"{page.name}: {part}"
        quoted = section(text, "Decision").strip()
        assert quoted.startswith("> "), page.name
        assert "\n" not in quoted, f"{page.name}: the decision is one line"


def test_every_figure_has_a_promise_a_command_and_a_verdict() -> None:
    promises = [line for line in section("## All\n" + read("docs/figures.md"), "All").splitlines() if line.startswith("| ")][1:]
    assert len(promises) > 10
    for line in promises:
        assert len(line.strip("| ").split(" | ")) == 5, line


def test_no_word_of_the_glossary_has_two_meanings() -> None:
    words = [line.split(" | ")[0].strip("| ") for line in read("docs/glossary.md").splitlines() if line.startswith("| ")]
    each = [word.strip() for entry in words for word in entry.split(",")]
    assert len(each) == len(set(each))


def test_the_changelog_speaks_of_this_version_or_of_what_comes() -> None:
    titles = re.findall(r"^## \[([^\]]+)\]", read("CHANGELOG.md"), re.MULTILINE)
    assert {"Unreleased", earshot.__version__} & set(titles)


@pytest.mark.parametrize("template", sorted((ROOT / "earshot" / "web" / "templates").glob("*.html")), ids=lambda path: path.name)
def test_pages_say_who_is_meant_instead_of_user(template: Path) -> None:
    said = re.sub(r"{[{%#].*?[}%#]}", " ", template.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert not re.search(r"(?<!super-)\buser\b", said, re.IGNORECASE)


# what does not belong into the repository


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a checkout")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def _texts(tracked: list[Path]) -> Iterator[tuple[str, str]]:
    for path in tracked:
        if path != Path(__file__) and path.suffix not in (".safetensors", ".png"):
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def test_no_file_records_where_packages_were_downloaded_from(tracked: list[Path]) -> None:
    assert not {path.name for path in tracked} & {"uv.lock", "poetry.lock", "pdm.lock", "package-lock.json", "yarn.lock", "Pipfile.lock"}
    for name, text in _texts(tracked):
        assert not re.search(r"https?://\S+/simple\b|--(?:extra-)?index-url", text), name


def test_no_file_names_a_place_on_somebodys_machine(tracked: list[Path]) -> None:
    for name, text in _texts(tracked):
        found = re.search(r"(?<![\w.:/}*])/(?:home|Users|root|work|mnt|opt)/\w+", text)
        assert not found, f"{name}: {found}"
