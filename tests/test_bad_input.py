"""Hostile and broken input, through the real commands and the real store: a clear message each, and nothing lost."""

from __future__ import annotations

import functools
import html.parser
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from command_line import CommandLine
from fake_networks.faults import Faults, answers, hangs
from fake_networks.fixtures import FakeNetwork
from houses import LEASE, NOW, Disk, post, sqlite_store, staff
from sites import Site

import listener.feed
from earshot import pipeline
from earshot.case import State, replay
from earshot.demo.networks.serving import serve_app
from earshot.errors import DatabaseBusy, DatabaseFull
from earshot.importing import import_archive
from earshot.pipeline import Worker
from earshot.rooms import Rooms
from earshot.scheduler import House, utc_now
from earshot.settings import Settings, SourceSettings
from earshot.storage import Store
from earshot.storage.sources import SourceState
from escalation.policy import default_policy
from listener.feed import FeedSource

EASY = "how do I pair the hub with my phone?"
SCRIPT = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'


@pytest.fixture
def earshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(tmp_path, monkeypatch)


def line(native_id: str, text: str = EASY, **more: Any) -> bytes:
    return orjson.dumps({"id": native_id, "text": text, "network": "x", **more})


BROKEN = b"\n".join([line("1"), b'{"id": "2", "text": ', b"[1, 2]", b"\xff\xfe\x00", b"", line("3"), b'{"id": "4"}', line("5")])


# ---- files


def test_bad_lines_of_jsonl_are_named_and_the_good_ones_imported(earshot: CommandLine) -> None:
    said = earshot("import", earshot.file("broken.jsonl", BROKEN.replace(b"\xff\xfe\x00", b"no JSON")))
    assert said.status == 1
    assert [words.partition(":")[0] for words in said.err.splitlines()] == ["line 2", "line 3", "line 4", "line 7"]
    assert said.out == "read 3, new 3, known 0, routed 3, bad lines 4\n"


def test_a_file_that_stops_being_text_is_named_and_what_came_before_is_imported(earshot: CommandLine) -> None:
    said = earshot("import", earshot.file("broken.jsonl", BROKEN))
    assert (said.status, said.err.count("\n"), "line 4" in said.err) == (2, 1, True)
    with earshot.store() as store:
        assert set(store.mentions.by_native_ids("x", ["1", "3", "5"])) == {"1"}
        assert store.mentions.counts()["understood"] == 1


def test_bad_lines_are_named_and_the_good_ones_scored(earshot: CommandLine) -> None:
    said = earshot("score", stdin=BROKEN)
    assert said.status == 1
    assert [words.partition(":")[0] for words in said.err.splitlines()] == ["line 2", "line 3", "line 4", "line 7"]
    assert [orjson.loads(scored)["id"] for scored in said.out.splitlines()] == ["1", "3", "5"]


def test_a_latin_1_csv_is_refused_with_the_remedy_and_read_with_it(earshot: CommandLine) -> None:
    rows = "id,text\n1,hello\n2,wie verbinde ich das für die Küche?\n"
    file = earshot.file("posts.csv", rows.encode("latin-1"))
    said = earshot("import", file)
    assert (said.status, said.err.count("\n")) == (2, 1)
    assert "posts.csv" in said.err
    assert "latin-1" in said.err
    assert earshot("import", file, "--encoding", "latin-1").status == 0
    with earshot.store() as store:
        assert sum(store.mentions.counts().values()) == 2
        texts = [scored.mention.text for scored in store.mentions.understood()]
    assert "wie verbinde ich das für die Küche?" in texts


def test_a_file_that_is_not_there_is_named(earshot: CommandLine) -> None:
    for command in ("import", "score"):
        said = earshot(command, "nowhere.jsonl")
        assert (said.status, "nowhere.jsonl" in said.err, "Traceback" in said.err) == (2, True, False)


def test_a_post_of_a_megabyte_is_shortened_and_routed(earshot: CommandLine) -> None:
    said = earshot("import", earshot.file("long.jsonl", line("1", "why " * 250_000 + "?")))
    assert (said.status, "line 1" in said.err) == (0, True)
    assert said.out == "read 1, new 1, known 0, routed 1, bad lines 0\n"
    assert earshot("score", stdin=line("1", "!" * 1_000_000)).status == 0


@pytest.mark.parametrize("text", ["😡" * 10_000, "👩‍👩‍👧‍👦" * 3_000, "‮" * 10_000, "#" * 10_000, "a" * 10_000, "@x " * 5_000])
def test_runs_of_ten_thousand_are_scored_like_any_text(earshot: CommandLine, text: str) -> None:
    said = earshot("score", stdin=line("1", text))
    assert (said.status, said.err) == (0, "")
    assert earshot("import", earshot.file("runs.jsonl", line("1", text))).status == 0


# ---- pages


class Scripts(html.parser.HTMLParser):
    """What in a page could run."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [f"<{tag}>"] if tag == "script" and not dict(attrs).get("src") else []
        self.found += [name for name, value in attrs if name.startswith("on") or (value or "").lower().startswith("javascript:")]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with sqlite_store(tmp_path) as store:
        yield Site(store=store, rooms=Rooms(policy=default_policy()), settings=Settings(secret_key="s" * 40))


def test_a_script_in_a_name_is_stored_as_it_is_and_does_nothing_on_a_page(site: Site, tmp_path: Path) -> None:
    author = {"id": "a1", "handle": "mallory", "name": SCRIPT, "bio": SCRIPT, "url": "javascript:alert(3)"}
    file = tmp_path / "posts.jsonl"
    file.write_bytes(line("1", f"{EASY} {SCRIPT}", author=author, url="javascript:alert(4)"))
    import_archive(site.settings, site.store, file, network="x", columns={}, encoding="utf-8", route=True, show=False)
    [item] = site.store.cases.queue(states=tuple(State)).items
    assert item.name == SCRIPT
    with site.signed_in(site.boss) as browser:
        for address in ("/queue", f"/cases/{item.case.id}", "/authors"):
            page = browser.get(address)
            assert page.status_code == 200
            assert "alert(1)" in page.text  # it is there to be read …
            assert Scripts(page.text).found == []  # … and only that


# ---- networks


async def _nobody(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("every call is answered by a fault")


def test_a_feed_that_hangs_is_given_up_at_its_deadline_and_the_others_go_on(
    store: Store, x_network: FakeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener.feed, "FeedSource", functools.partial(FeedSource, deadline=0.3))
    faults = Faults(_nobody)
    faults.on("/", hangs(), forever=True)
    x_network.post(EASY)
    with serve_app(faults) as served:
        feed = SourceSettings(name="news", network="feed", query=f"{served.url}/feed.xml", allow_private=True)
        x = SourceSettings(name="x", network="x", query="lumifern", url=x_network.url)
        house = House(Settings(sources=(feed, x)), store, Rooms(policy=default_policy()), clock=lambda: NOW + timedelta(days=63))
        house.step()
        house.close()
    states = {status.name: (status.state, status.reason) for status in store.sources.statuses()}
    assert states["x"] == (SourceState.HEALTHY, "")
    assert states["news"][0] is SourceState.THROTTLED
    assert "did not answer within 0.3 s" in states["news"][1]
    assert store.mentions.counts()["understood"] == 1


def test_a_wrong_key_is_named_with_its_variable(earshot: CommandLine, x_network: FakeNetwork) -> None:
    earshot.file("earshot.toml", f'[[sources]]\nname = "x"\nnetwork = "x"\nquery = "lumifern"\nurl = "{x_network.url}"\n')
    earshot.monkeypatch.setenv("EARSHOT_SECRET_X_BEARER_TOKEN", "wrong")
    said = earshot("listen", "--once")
    assert (said.status, said.out.splitlines()[0].startswith("x: broken")) == (0, True)
    assert "EARSHOT_SECRET_X_BEARER_TOKEN" in said.out
    assert "wrong" not in said.out + said.err


def test_a_missing_key_is_named_with_its_variable_and_the_others_go_on(earshot: CommandLine, x_network: FakeNetwork) -> None:
    source = f'network = "x"\nquery = "lumifern"\nurl = "{x_network.url}"\n'
    earshot.file("earshot.toml", f'[[sources]]\nname = "other"\n{source}[[sources]]\nname = "x"\n{source}')
    x_network.post(EASY, at=utc_now())
    said = earshot("listen", "--once")
    assert "other: broken" in said.out
    assert "EARSHOT_SECRET_OTHER_BEARER_TOKEN" in said.out
    assert said.out.splitlines()[1:] == ["x: healthy", "mentions: 1"]


def test_a_network_that_refuses_everything_stops_nothing_else(earshot: CommandLine, x_network: FakeNetwork) -> None:
    x_network.faults.on("/", answers(403), forever=True)
    earshot.file("earshot.toml", f'[[sources]]\nname = "x"\nnetwork = "x"\nquery = "lumifern"\nurl = "{x_network.url}"\n')
    said = earshot("listen", "--once")
    assert (said.status, "x: broken" in said.out, "mentions: 0" in said.out) == (0, True, True)


# ---- databases


def test_a_locked_database_is_said_to_be_and_nothing_is_lost(earshot: CommandLine) -> None:
    file = earshot.file("posts.jsonl", b"\n".join(line(str(i), f"{EASY} ({i})") for i in range(30)))
    earshot.set(busy_seconds=0.2)
    other = sqlite3.connect(earshot.folder / "earshot.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        said = earshot("import", file)
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("earshot: the database was locked for longer than busy_seconds")
    assert said.err.count("\n") == 1
    assert earshot("import", file).out == "read 30, new 30, known 0, routed 30, bad lines 0\n"


def test_a_new_database_that_is_locked_is_said_to_be(earshot: CommandLine) -> None:
    path = earshot.folder / "new.db"
    earshot.set(busy_seconds=0.2, database_url=f"sqlite:///{path}")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        said = earshot("db", "upgrade")
    finally:
        other.close()
    assert said.status == 2
    assert said.err.startswith("earshot: the database was locked")


def test_a_poll_that_meets_a_locked_database_keeps_its_cursor(tmp_path: Path, x_network: FakeNetwork) -> None:
    x_network.post(EASY)
    settings = SourceSettings(name="x", network="x", query="lumifern", url=x_network.url)
    source, worker = x_network.source(), Worker(name="w", lease=LEASE)
    with sqlite_store(tmp_path):
        pass
    store = Store(f"sqlite:///{tmp_path}/earshot.db", busy_seconds=0.2)
    store.sources.declare([("x", "x")])
    other = sqlite3.connect(tmp_path / "earshot.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(DatabaseBusy):
        pipeline.hear(store, settings, source, worker=worker, now=NOW)
    other.execute("ROLLBACK")
    other.close()
    assert pipeline.hear(store, settings, source, worker=worker, now=NOW) == 1
    store.close()


def test_a_full_disk_is_said_to_be_leaves_nothing_half_written_and_work_resumes(tmp_path: Path) -> None:
    file = tmp_path / "posts.jsonl"
    file.write_bytes(b"\n".join(line(str(i), f"{EASY} number {i} {'and so on ' * 20}", author={"id": f"a{i % 20}"}) for i in range(500)))
    settings = Settings(batch=50)
    with sqlite_store(tmp_path) as store:
        disk = Disk(store)
        disk.fill()
        disk.pages += 40
        with pytest.raises(DatabaseFull, match="nothing was written"):
            import_archive(settings, store, file, network="x", columns={}, encoding="utf-8", route=True, show=False)
        assert 0 < sum(store.mentions.counts().values()) < 500
        assert_whole(store)
        sam_is_refused(store)

        disk.free()
        store.release_claims(lambda _: True)  # the import ended: a worker that starts gives back what it had claimed
        lease = timedelta(seconds=settings.lease_seconds)  # what the import held becomes free
        house = House(settings, store, Rooms(policy=default_policy()), clock=lambda: utc_now() + lease)
        while house.understand():  # a worker that goes on where the import stopped
            pass
        assert store.mentions.counts()["heard"] == 0
        import_archive(settings, store, file, network="x", columns={}, encoding="utf-8", route=True, show=False)
        assert store.mentions.counts() == {"heard": 0, "understood": 500, "gone": 0, "quarantined": 0}
        assert_whole(store)
        house.close()


def sam_is_refused(store: Store) -> None:
    """A person who works meanwhile hears the same; what he sees he can still read."""
    assert store.cases.queue().total >= 0
    with pytest.raises(DatabaseFull):
        fill_up(store)


def fill_up(store: Store) -> None:
    for n in range(5000):
        staff(store, f"Sam{n}")


def assert_whole(store: Store) -> None:
    """Every understood mention that needs a case is in one, and every case is as its log says."""
    for item in store.cases.queue(states=tuple(State), limit=1000).items:
        case = store.cases.get(item.case.id)
        page = store.cases.page(item.case.id)
        assert page is not None
        assert item.mentions == sum(found.in_case for found in page.posts)
        assert replay(store.cases.events(case.id)) == (case.state, case.tier, case.assignee)


def test_a_worker_whose_round_met_a_full_disk_takes_the_same_mentions_again_at_once(tmp_path: Path) -> None:
    rooms = Rooms(policy=default_policy())
    worker = Worker(name="w", lease=LEASE)
    with sqlite_store(tmp_path) as store:
        mentions = [post(str(i), f"{EASY} number {i} {'and so on ' * 50}", by=f"a{i}") for i in range(200)]
        pipeline.keep(store, mentions, source="x", now=NOW)
        disk = Disk(store)
        disk.fill()
        with pytest.raises(DatabaseFull):
            pipeline.understand(store, rooms, worker=worker, now=NOW)
        assert store.mentions.counts()["heard"] == 200
        disk.free()
        assert pipeline.understand(store, rooms, worker=worker, now=NOW) == 200
