"""`earshot forget`, as it is typed, and its proof: over real files, with real residue."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from command_line import CommandLine, Said
from houses import NOW, SENDING, keep, open_case, post, sqlite_store, staff
from sites import Site
from sqlalchemy import text

from earshot.errors import BadInput
from earshot.forgetting import Proof, find, forget, look_again, parse_author, proof_report, prove
from earshot.mention import Author, Mention
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
    assert said.out.splitlines()[:3] == ["x:lampfan_77, to be erased:", "       1 author", "       1 posts"]
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


def test_a_command_that_is_killed_at_any_moment_erases_all_or_nothing_and_is_taken_up_again(earshot: CommandLine) -> None:
    with earshot.store() as store:
        keep(store, *(by_ana(f"7{n:06}", f"{WORDS} for the {n}th time") for n in range(3_000)))
    command = [sys.executable, "-m", "earshot", "forget", "x:lampfan_77", "--yes"]
    for delay in (0.2, 0.5, 0.8, 1.1, 1.4):
        running = subprocess.Popen(command, cwd=earshot.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        running.send_signal(signal.SIGKILL)
        running.wait()
        with earshot.store() as store:
            known = store.forgetting.find("x", handle="lampfan_77")
            with store.database.reading() as connection:
                left = connection.execute(text("SELECT count(*) FROM mention WHERE text LIKE '%zircon%'")).scalar_one()
        assert left == (3_001 if known else 0)
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


# ---- the proof, on both databases


def test_nothing_is_found_after_forgetting_and_everything_before(store: Store) -> None:
    settled_world(store)
    before = prove_ana(store)
    assert {"author.handle of row 1: their handle", "author.name of row 1: their display name"} <= set(before.found)
    assert forget_ana(store).found == []
    after = prove_ana(store)
    assert (after.found, after.rows > 10, len(after.columns) > 20) == ([], True, True)
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
