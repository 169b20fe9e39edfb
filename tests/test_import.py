"""`earshot import`: every good row once, whatever happens on the way."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from command_line import CommandLine

from earshot.case import State, replay
from earshot.importing import import_archive
from earshot.settings import Settings
from earshot.storage import Store

TEXTS = (
    "how do I pair the hub with my phone?",
    "this is a disgrace, the third broken hub, I am furious!!!",
    "I love my new lamps, so pretty",
    "请问怎么把灯连接到网关？",
)


@pytest.fixture
def earshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(tmp_path, monkeypatch)


def rows(n: int, *, first: int = 0) -> list[bytes]:
    return [
        orjson.dumps(
            {
                "id": f"p{i}",
                "network": "x",
                "text": f"{TEXTS[i % 4]} ({i})",
                "author": {"id": f"a{i % 9}", "handle": f"a{i % 9}"},
                "posted_at": datetime(2026, 3, 1, i % 24, tzinfo=UTC).isoformat(),
            }
        )
        for i in range(first, first + n)
    ]


def what_is_stored(store: Store) -> tuple[set[str], int, int]:
    """Native ids that are known, how many cases there are, and how many mentions they count."""
    items = store.cases.queue(states=tuple(State), limit=10_000).items
    known = store.mentions.by_native_ids("x", [f"p{i}" for i in range(2000)])
    for item in items:
        case = store.cases.get(item.case.id)
        assert replay(store.cases.events(case.id)) == (case.state, case.tier, case.assignee)
    return set(known), len(items), sum(item.mentions for item in items)


def test_what_is_imported_is_routed_and_a_second_import_adds_nothing(earshot: CommandLine) -> None:
    file = earshot.file("posts.jsonl", b"\n".join(rows(60)))
    first = earshot("import", file)
    assert (first.status, first.err) == (0, "")
    assert first.out == "read 60, new 60, known 0, routed 60, bad lines 0\n"
    with earshot.store() as store:
        before = what_is_stored(store)
    assert earshot("import", file).out == "read 60, new 0, known 60, routed 0, bad lines 0\n"
    with earshot.store() as store:
        assert what_is_stored(store) == before
        assert store.mentions.counts()["understood"] == 60


def test_what_was_only_kept_is_routed_by_the_next_import(earshot: CommandLine) -> None:
    file = earshot.file("posts.jsonl", b"\n".join(rows(8)))
    assert "new 8, known 0, routed 0" in earshot("import", file, "--no-understand").out
    assert "new 0, known 8, routed 8" in earshot("import", file).out


def test_an_import_that_is_killed_and_begun_again_gives_the_same_set(earshot: CommandLine) -> None:
    n = 600
    file = earshot.file("posts.jsonl", b"\n".join(rows(n)))
    earshot.set(batch=10)
    kills = 0
    for at_least in (40, 200, 420):
        worker = subprocess.Popen([sys.executable, "-m", "earshot", "import", file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(earshot, at_least, worker)
        finally:
            kills += worker.poll() is None
            worker.kill()
            worker.wait()
    assert kills
    assert earshot("import", file).status == 0
    with earshot.store() as store:
        known, cases, counted = what_is_stored(store)
        assert store.mentions.counts() == {"heard": 0, "understood": n, "gone": 0, "quarantined": 0}
    assert known == {f"p{i}" for i in range(n)}

    (earshot.folder / "calm").mkdir()
    calm = CommandLine(earshot.folder / "calm", earshot.monkeypatch)
    calm("import", file)
    with calm.store() as store:
        assert what_is_stored(store) == (known, cases, counted)


def wait_for(earshot: CommandLine, at_least: int, worker: subprocess.Popen[bytes]) -> None:
    """Until so many mentions are stored, or the import has come to its end."""
    with earshot.store() as store:
        while worker.poll() is None and sum(store.mentions.counts().values()) < at_least:
            time.sleep(0.01)


def test_characters_that_databases_refuse_are_imported_without_them(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "odd.jsonl"
    lines = [rb'{"id": "p0", "text": "half \ud83d a pair"}', rb'{"id": "p1", "text": "a \u0000 nul"}', rb'{"id": "p2\u0000", "text": "id"}']
    file.write_bytes(b"\n".join([*lines, *rows(3, first=10)]))
    report = import_archive(Settings(), store, file, network="x", columns={}, encoding="utf-8", route=True, show=False)
    assert report.read + report.bad_count == 6
    assert store.mentions.counts()["understood"] == report.new == report.read
    assert report.new >= 5
