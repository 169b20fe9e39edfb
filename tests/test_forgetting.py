"""`earshot forget`, as it is typed, and its proof: over real files, with real residue."""

from __future__ import annotations

import os
import pty
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from command_line import CommandLine, Said
from houses import LEASE, NOW, SENDING, keep, open_case, post, routed, sqlite_store, staff
from sites import Site

from classifiers.model import shipped
from earshot.case import State, replay
from earshot.errors import BadInput, DatabaseBusy
from earshot.forgetting import Proof, find, forget, look_again, parse_author, proof_report, prove
from earshot.learning import learn_now, learn_tonight
from earshot.mention import Author, Mention, Score
from earshot.pipeline import settle, take_in
from earshot.rooms import Rooms
from earshot.settings import Settings
from earshot.storage import Store
from earshot.storage.accounts import Role
from earshot.storage.articles import Article
from earshot.storage.tables import AnswerRow, MentionRow, table
from earshot.storage.traces import Traces, is_telling, pieces
from escalation.policy import default_policy

WORDS = 'my zircon lantern squeaks whenever the cat walks by\nand "nobody" knows why, not even the vet'
ANA = Author(network="x", native_id="90210123456", handle="lampfan_77", name="Ana Lindqvist", bio="collects lanterns made of green glass")


STARTS = (
    "my lamp got",
    "the blue lamp was",
    "that hub is",
    "my new bulb got",
    "the garden set was",
    "a present got",
    "our kit was",
    "it is",
)
ENDS = ("today", "last night", "on monday", "before lunch", "an hour ago", "twice this week", "out of nowhere", "again, what now")


def quiet(*_: object) -> None:
    pass


def by_ana(native_id: str, words: str = WORDS, *, thread: str | None = None) -> Mention:
    url = f"https://x.example/lampfan_77/{native_id}"
    return Mention(network="x", native_id=native_id, author=ANA, text=words, url=url, posted_at=NOW, thread_id=thread)


def settled_world(store: Store) -> None:
    """Ana has a case with an answer; Ben has one too, and speaks of her."""
    sam = staff(store)
    for mention in (by_ana("901", thread="t"), post("2", "what @LampFan_77 said, and lampfan_77x too", by="ben", thread="t")):
        case_id = open_case(store, mention)
        store.moves.answer(case_id, by=sam.id, text="Dear you", now=NOW, needs_approval=False, sending=SENDING)


def forget_ana(store: Store, *, never_again: bool = False) -> Proof:
    known = find(store, parse_author("x:lampfan_77"))
    assert known is not None
    return forget(store, known, now=NOW + timedelta(hours=1), never_again=never_again, progress=quiet)[1]


def prove_ana(store: Store) -> Proof:
    names = {"handle": ANA.handle, "native id": ANA.native_id, "display name": ANA.name}
    return prove(store, names, [WORDS, ANA.bio], network="x", progress=quiet)


@pytest.fixture
def earshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    typed = CommandLine(tmp_path, monkeypatch)
    with typed.store() as store:
        settled_world(store)
    return typed


def files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob("earshot.db*")))


# ---- who is meant


@pytest.mark.parametrize(
    ("typed", "network", "handle", "native_id"),
    [
        ("x:ana", "x", "ana", ""),
        ("x:@ana", "x", "ana", ""),
        ("reddit:u/ana", "reddit", "ana", ""),
        ("x:id:12:34", "x", "", "12:34"),
        ("mastodon:ana@a.example", "mastodon", "ana@a.example", ""),
        ("stackexchange:Ana O'Neil", "stackexchange", "Ana O'Neil", ""),
        ("x:100%_🦊", "x", "100%_🦊", ""),
    ],
)
def test_an_author_is_named_by_network_and_handle_or_native_id(typed: str, network: str, handle: str, native_id: str) -> None:
    named = parse_author(typed)
    assert (named.network, named.handle, named.native_id) == (network, handle, native_id)


@pytest.mark.parametrize("typed", ["", "ana", ":ana", "x:", "x:id:", "x:@", "x:a\nb", "x:\udcff"])
def test_what_names_nobody_is_refused_with_how_it_is_written(typed: str) -> None:
    with pytest.raises(BadInput, match="network:handle"):
        parse_author(typed)


def test_several_of_one_handle_are_listed_by_native_id(store: Store) -> None:
    for native_id in ("1", "2"):
        author = Author(network="x", native_id=native_id, handle="ana")
        keep(store, Mention(network="x", native_id=native_id, author=author, text="hi", url="", posted_at=NOW))
    with pytest.raises(BadInput, match=r"2 authors go by x:ana; say which: x:id:1, x:id:2"):
        find(store, parse_author("x:ana"))


# ---- the words of the command


def test_nobody_of_that_name_is_an_error_that_says_which_networks_there_are(earshot: CommandLine) -> None:
    said = earshot("forget", "reddit:nobody", "--yes")
    assert (said.status, said.out) == (2, "")
    assert said.err == "earshot: we know no author reddit:nobody; networks of authors that we know: x\n"


def test_a_show_counts_and_changes_nothing(earshot: CommandLine) -> None:
    with earshot.store() as store:
        before = [(p.table, p.row, p.words) for p in store.forgetting.passages()]
    said = earshot("forget", "x:lampfan_77", "--show")
    assert said.status == 0
    assert said.out.splitlines()[:3] == ["x:lampfan_77, to be erased:", "  author: 1", "  posts: 1"]
    with earshot.store() as store:
        assert [(p.table, p.row, p.words) for p in store.forgetting.passages()] == before


def test_where_nobody_can_be_asked_nothing_is_erased_without_a_yes(earshot: CommandLine) -> None:
    said = earshot("forget", "x:lampfan_77")
    assert said.status == 2
    assert said.err == "earshot: nobody can be asked here: add --yes to erase this, or --show to see it only\n"
    with earshot.store() as store:
        assert find(store, parse_author("x:lampfan_77")) is not None


def told(said: Said) -> dict[str, str]:
    """What the last lines say: title -> the rest."""
    return dict(line.split(": ", 1) for line in said.out.splitlines() if ": " in line)


def test_they_are_erased_down_to_the_bytes_and_the_report_says_so(earshot: CommandLine) -> None:
    assert b"zircon lantern" in files(earshot.folder)
    said = earshot("forget", "x:lampfan_77", "--yes")
    assert (said.status, said.err) == (0, "")
    assert "nothing found" in said.out.splitlines()
    assert said.out.splitlines()[-1] == "Backups that were made before now still hold all of it."
    assert told(said)["looked for"] == "handle, native id, display name, 6 pieces of their texts"
    assert "earshot.db (" in told(said)["looked through"]
    held = files(earshot.folder).lower()
    for words in (b"zircon", b"lindqvist", b"90210123456", b"green glass", b"@lampfan_77"):
        assert words not in held
    assert b"lampfan_77x too" in held


def test_a_second_time_there_is_nothing_to_erase_and_that_is_no_error(earshot: CommandLine) -> None:
    earshot("forget", "x:lampfan_77", "--yes")
    for name in ("x:lampfan_77", "x:id:90210123456"):
        again = earshot("forget", name)
        assert again.status == 0
        assert again.out.splitlines()[0] == f"{name} was forgotten before: there is nothing to erase"
        assert "nothing found" in again.out
    assert earshot("forget", "x:lampfan_77", "--show").out == "x:lampfan_77 was forgotten before: there is nothing to erase\n"


def test_never_again_may_be_said_afterwards_by_native_id(earshot: CommandLine) -> None:
    earshot("forget", "x:lampfan_77", "--yes")
    assert earshot("forget", "x:lampfan_77", "--and-never-again").status == 2
    assert earshot("forget", "x:id:90210123456", "--and-never-again").status == 0
    with earshot.store() as store:
        assert keep(store, by_ana("999")) == 0


def test_words_that_stand_in_an_article_are_left_to_a_person_and_fail_the_proof(earshot: CommandLine) -> None:
    with earshot.store() as store:
        body = "A customer wrote: my zircon lantern squeaks whenever the cat walks by."
        store.articles.put([Article(slug="squeaks", title="It squeaks", lang="en", topic="lamps", body=body)], now=NOW)
    said = earshot("forget", "x:lampfan_77", "--yes")
    assert said.status == 1
    assert "article.body of row 1: words of theirs" in said.out.splitlines()
    assert "nothing found" not in said.out
    with earshot.store() as store:
        assert [article.body for article in store.articles.all()] == [body]


#: earshot, which kills itself at the first statement that begins so
KILLED_AT = """
import os, signal, sys
from sqlalchemy import Engine, event
from earshot.cli import main

begin = sys.argv.pop(1)

@event.listens_for(Engine, "before_cursor_execute")
def kill(connection, cursor, statement, *rest):
    if statement.startswith(begin):
        os.kill(os.getpid(), signal.SIGKILL)

main()
"""


@pytest.mark.parametrize(
    ("statement", "is_erased"),
    [
        ("UPDATE reply", False),
        ("DELETE FROM author", False),
        ('INSERT INTO "forgotten"', False),
        ("VACUUM", True),
        ("PRAGMA wal_checkpoint", True),
    ],
)
def test_a_command_that_is_killed_has_erased_all_or_nothing_and_is_taken_up_again(
    earshot: CommandLine, statement: str, is_erased: bool
) -> None:
    command = [sys.executable, "-c", KILLED_AT, statement, "forget", "x:lampfan_77", "--yes"]
    killed = subprocess.run(command, cwd=earshot.folder, capture_output=True, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    with earshot.store() as store:
        known = store.forgetting.find("x", handle="lampfan_77")
        assert store.mentions.texts("x", ["901"]) == ({} if is_erased else {"901": WORDS})
        assert (known == []) is is_erased
    assert earshot("forget", "x:lampfan_77", "--yes").status == 0
    assert b"zircon" not in files(earshot.folder)


def test_while_somebody_else_reads_the_database_it_says_what_may_be_left_and_can_be_run_again(earshot: CommandLine) -> None:
    earshot.set(busy_seconds=0.2)
    with closing(sqlite3.connect(earshot.folder / "earshot.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM mention").fetchall()
        said = earshot("forget", "x:lampfan_77", "--yes")
        assert said.status == 2
        assert said.err.startswith("earshot: they are erased, but the files could not be written anew")
    again = earshot("forget", "x:lampfan_77", "--yes")
    assert (again.status, "nothing found" in again.out) == (0, True)
    assert b"zircon" not in files(earshot.folder)


def asked(folder: Path, answer: bytes) -> tuple[int, str]:
    """The command on a terminal, and what a person answers there."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "earshot", "forget", "x:lampfan_77"]
    with subprocess.Popen(command, cwd=folder, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as running:
        os.write(ours, answer)
        said, _ = running.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    return running.returncode, said.decode()


def test_on_a_terminal_it_counts_first_and_erases_only_after_a_yes(earshot: CommandLine) -> None:
    status, said = asked(earshot.folder, b"n\n")
    assert (status, "x:lampfan_77, to be erased:" in said, "erased:\n  author: 1\n  posts: 1" in said) == (1, True, True)
    with earshot.store() as store:
        assert find(store, parse_author("x:lampfan_77")) is not None
    status, said = asked(earshot.folder, b"y\n")
    assert (status, "nothing found" in said) == (0, True)


@pytest.mark.postgres
def test_on_postgresql_the_command_is_the_same_and_looks_through_every_table(
    earshot: CommandLine, postgres_store: Store, postgres_url: str
) -> None:
    settled_world(postgres_store)
    earshot.set(database_url=postgres_url)
    said = earshot("forget", "x:lampfan_77", "--yes")
    assert (said.status, "nothing found" in said.out.splitlines()) == (0, True)
    assert ".db" not in said.out
    assert earshot("forget", "x:lampfan_77").status == 0


# ---- while others work


def until(stop: threading.Event, work: Callable[[int], object]) -> None:
    turn = 0
    while not stop.is_set():
        with suppress(DatabaseBusy):  # of two that wait for each other, one begins again
            work(turn := turn + 1)


def test_posts_that_come_in_while_an_author_is_forgotten_do_not_outlive_it(store: Store) -> None:
    settled_world(store)
    stop = threading.Event()

    def hear(turn: int) -> None:
        keep(store, by_ana(f"8{turn:06}", f"{WORDS} {turn}", thread=f"t{turn % 3}"), post(f"9{turn:06}", by="ben", thread=f"t{turn % 3}"))

    def understand(_: int) -> None:
        waiting = store.mentions.claim(7, worker="w", now=NOW, lease=LEASE)
        store.mentions.write_routed([routed(w) for w in waiting], settle=settle, worker="w", now=NOW)

    with ThreadPoolExecutor(2) as workers:
        running = [workers.submit(until, stop, work) for work in (hear, understand)]
        time.sleep(0.5)
        while store.forgetting.find("x", handle="lampfan_77"):
            with suppress(DatabaseBusy):
                forget_ana(store, never_again=True)
        time.sleep(0.3)
        stop.set()
    for worker in running:
        worker.result()
    assert prove_ana(store).found == []
    assert store.forgetting.find("x", handle="lampfan_77") == []
    for item in store.cases.queue(states=tuple(State), limit=1000).items:
        assert replay(store.cases.events(item.case.id)) == (item.case.state, item.case.tier, item.case.assignee)


def test_their_words_are_in_no_learnt_weights(tmp_path: Path) -> None:
    """Incident 25 of others: an erased author's words in a model."""
    rooms, texts = Rooms(policy=default_policy()), [f"{start} zibbed {end}" for start in STARTS for end in ENDS]

    def answers() -> list[Score]:
        return [score for scored in rooms.score([post(str(n), words) for n, words in enumerate(texts)]) for score in scored.scores]

    with sqlite_store(tmp_path) as store:
        manager = staff(store, "Manu")
        take_in(store, rooms, [by_ana(f"5{n:06}", words) for n, words in enumerate(texts)], source="x", now=NOW)
        before = answers()
        for mention in store.mentions.by_native_ids("x", [f"5{n:06}" for n in range(len(texts))]).values():
            store.labels.keep(mention, {"needs": "account"}, by=manager.id, now=NOW)
        learn_now(store, rooms, now=NOW + timedelta(minutes=1))
        change = store.learnt.install(b"learnt from the zibbed", base=shipped().sha256, labels=1, judged=[], now=NOW + timedelta(minutes=2))
        assert store.learnt.current() == {shipped().sha256: change}
        forget_ana(store)
        rooms.take_up(store)
        assert answers() == before
        assert store.learnt.listed() == []
        assert store.labels.taught() == []
        assert learn_tonight(store, rooms, now=NOW + timedelta(days=1)) == 0
        assert b"zibbed" not in files(tmp_path)


# ---- the proof, on both databases


def test_nothing_is_found_after_forgetting_and_everything_before(store: Store) -> None:
    settled_world(store)
    before = prove_ana(store)
    assert {"author.handle of row 1: their handle", "author.name of row 1: their display name"} <= set(before.found)
    assert forget_ana(store).found == []
    after = prove_ana(store)
    assert (after.found, after.rows > 10, after.columns > 90) == ([], True, True)
    assert "nothing found" in proof_report(after)


@pytest.mark.parametrize("left", ["lampfan_77", "LAMPFAN_77", "Ana Lindqvist", "90210123456", WORDS, WORDS.upper()])
def test_whatever_is_left_in_a_column_is_found(store: Store, left: str) -> None:
    settled_world(store)
    forget_ana(store)
    with store.database.writing() as connection:
        connection.execute(table(AnswerRow).update().values(note=f"({left})"))
    assert [where.partition(" of row")[0] for where in prove_ana(store).found] == ["answer.note"] * 2
    with store.database.writing() as connection:
        connection.execute(table(AnswerRow).update().values(note=""))
        connection.execute(table(MentionRow).update().where(table(MentionRow).c.id == 2).values(scores=[[left, "", 0, 1, ""]]))
    assert [where.partition(" of row")[0] for where in prove_ana(store).found] == ["mention.scores"]


def test_a_name_that_is_a_number_like_others_is_erased_and_said_not_to_be_looked_for(store: Store) -> None:
    author = Author(network="x", native_id="77", handle="ana")
    keep(store, Mention(network="x", native_id="1", author=author, text=WORDS, url="", posted_at=NOW), post("2", "77 lamps", by="ben"))
    known = find(store, parse_author("x:ana"))
    assert known is not None
    erased, proof = forget(store, known, now=NOW, never_again=False, progress=quiet)
    assert erased.counts == {"posts": 1}
    assert (proof.found, proof.too_plain) == ([], ("native id",))
    assert "erased, and too plain to be looked for: native id" in proof_report(proof)


def test_words_that_others_say_too_are_theirs(store: Store) -> None:
    settled_world(store)
    keep(store, post("3", "listen: my zircon lantern squeaks whenever the cat walks by", by="cleo"))
    proof = forget_ana(store)
    assert (proof.found, proof.said_by_others) == ([], 1)


def test_somebody_of_the_same_name_on_another_network_is_told_and_not_touched(store: Store) -> None:
    settled_world(store)
    twin = Author(network="reddit", native_id="5", handle="lampfan_77")
    keep(store, Mention(network="reddit", native_id="5", author=twin, text="u/lampfan_77 here", url="", posted_at=NOW))
    proof = forget_ana(store)
    assert (proof.found, proof.elsewhere) == ([], {"reddit": 2})
    assert "on reddit somebody goes by one of these names, in 2 places" in proof_report(proof)
    assert store.mentions.texts("reddit", ["5"]) == {"5": "u/lampfan_77 here"}


def test_freed_pages_that_hold_their_words_are_found_and_writing_the_file_anew_clears_them(tmp_path: Path, earshot: CommandLine) -> None:
    with closing(sqlite3.connect(tmp_path / "earshot.db")) as careless:
        careless.execute("PRAGMA secure_delete = OFF")
        careless.execute("CREATE TABLE scratch (words TEXT)")
        careless.executemany("INSERT INTO scratch VALUES (?)", [(f"{WORDS} by lampfan_77 {n}",) for n in range(500)])
        careless.commit()
        careless.execute("DROP TABLE scratch")
        careless.commit()
    with earshot.store() as store:
        known = find(store, parse_author("x:lampfan_77"))
        assert known is not None
        erased = store.forgetting.erase(known.id, now=NOW)
        careless_proof = prove(store, erased.names, erased.texts, network="x", progress=quiet)
        assert any(where == "earshot.db: their handle" for where in careless_proof.found)
        assert any(where.startswith("earshot.db: words of theirs") for where in careless_proof.found)
        proof = look_again(store, parse_author("x:lampfan_77"), now=NOW, never_again=False, progress=quiet)
        assert proof.found == []
        assert prove(store, erased.names, erased.texts, network="x", progress=quiet).found == []


def test_the_pages_of_a_case_open_when_its_author_was_forgotten(tmp_path: Path) -> None:
    with sqlite_store(tmp_path) as store:
        site = Site(store=store, rooms=Rooms(policy=default_policy()), settings=Settings(secret_key="s" * 40))
        settled_world(store)
        forget_ana(store)
        with site.signed_in(site.account(Role.MANAGER)) as browser:
            for address in ("/queue", "/cases/1", "/cases/2", "/authors"):
                page = browser.get(address)
                assert page.status_code == 200
                assert "@LampFan_77" not in page.text
                assert "zircon" not in page.text


# ---- what gives somebody away


@pytest.mark.parametrize(
    "name", ["lampfan_77", "Ana Lindqvist", "ana.lind", "https://a.example/ana", "90210123456", "李小明 先生的大台灯店"]
)
def test_a_name_that_nobody_else_would_write_is_looked_for_alone(name: str) -> None:
    assert is_telling(name)


@pytest.mark.parametrize("name", ["ana", "winter", "小明", "12345678", "Ana Li", "a_1", "", " ", "x" * 300, "Ana Long " * 50])
def test_a_name_that_is_a_word_like_others_is_not(name: str) -> None:
    assert not is_telling(name)


@pytest.mark.parametrize(
    ("said", "masked"),
    [
        ("@ana你好", "@…你好"),
        ("你好@ana", "你好@…"),
        ("@ANA's lamp. (@ana)", "@…'s lamp. (@…)"),
        ("@ana@other.example and ana@ana.example", "@ana@other.example and ana@ana.example"),
        ("see /u/ana, u/ana; uu/ana", "see @…, @…; uu/ana"),
        ("https://a.example/@ana https://news.example/user?id=ana", "@… @…"),
        ("banana ana Ana", "banana ana Ana"),
        ("@ana\n@ana", "@…\n@…"),
    ],
)
def test_a_plain_handle_is_masked_where_it_is_a_handle(said: str, masked: str) -> None:
    assert Traces({"handle": "ana"}).mask(said) == masked


@pytest.mark.parametrize("handle", ["", " ", "x" * 1_000_000])
def test_a_name_that_is_none_masks_nothing(handle: str) -> None:
    assert Traces({"handle": handle}).mask("@ and u/ and nothing") == "@ and u/ and nothing"


def test_masking_hostile_runs_takes_time_in_step_with_their_length() -> None:
    traces = Traces({"handle": "ana"})
    for run in ("http://" * 40_000, "@" * 200_000, "https://a/u/" * 20_000, "/u/" * 60_000, "@an" * 60_000):
        assert traces.mask(run) == run


def test_pieces_are_runs_of_five_words_side_by_side_and_cover_the_end() -> None:
    assert pieces(["one two three four five six seven eight nine ten eleven"]) == [
        "one two three four five",
        "six seven eight nine ten",
        "two three four five six seven eight nine ten eleven",
    ]


def test_pieces_of_texts_without_spaces_and_of_short_ones() -> None:
    assert pieces(["我的灯坏了怎么办呀谢谢你们"]) == ["我的灯坏了怎", "么办呀谢谢你", "坏了怎么办呀谢谢你们"]
    assert pieces(["thanks!", "", "   ", "😀"]) == []
    assert pieces(["incomprehensibilities", "incomprehensibilities"]) == ["incomprehensibilities"]


def test_pieces_of_a_megabyte_are_short() -> None:
    found = pieces(["x" * 1_000_000, "a b c d " * 100_000])
    assert max(len(piece.encode()) for piece in found) <= 200
