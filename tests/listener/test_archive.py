"""Files of posts are read to the end: what is bad is named with its line, what is good is kept."""

import gzip
import io
import json
import tracemalloc
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.errors import BadInput
from earshot.mention import Mention
from listener.archive import BadRow, Row, parse_score_line, read_archive

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def read(data: str | bytes, **given: Any) -> list[Row]:
    return list(read_archive(io.BytesIO(data.encode() if isinstance(data, str) else data), now=NOW, **given))


def texts(rows: list[Row]) -> list[str]:
    return [row.text for row in rows if isinstance(row, Mention)]


def bad(rows: list[Row]) -> list[tuple[int, str]]:
    return [(row.line, row.reason) for row in rows if isinstance(row, BadRow)]


def line(**fields: Any) -> str:
    return json.dumps(fields, ensure_ascii=False) + "\n"


def test_a_json_line_carries_everything_a_mention_has() -> None:
    author = {"id": 7, "handle": "@ann", "name": "Ann", "bio": "Likes hubs", "followers": 12}
    counts = {"likes": 3, "reposts": 2, "replies": 1}
    places = {"url": "https://a.example/1", "thread_id": "t", "parent_id": 5, "repost_of": "9"}
    (mention,) = read(
        line(
            id=1,
            text="灯坏了",
            lang="zh-CN",
            network="x",
            company="Acme",
            posted_at="2026-05-03T10:00:00+02:00",
            author=author,
            **counts,
            **places,
        )
    )
    assert isinstance(mention, Mention)
    assert (mention.network, mention.native_id, mention.text, mention.lang_hint, mention.company) == ("x", "1", "灯坏了", "zh", "Acme")
    assert mention.posted_at == datetime(2026, 5, 3, 8, tzinfo=UTC)
    assert (mention.url, mention.thread_id, mention.parent_id, mention.repost_of) == ("https://a.example/1", "t", "5", "9")
    assert (mention.likes, mention.reposts, mention.replies) == (3, 2, 1)
    assert mention.author is not None
    assert (mention.author.network, mention.author.native_id, mention.author.handle, mention.author.followers) == ("x", "7", "ann", 12)


def test_what_a_row_leaves_out_is_left_open() -> None:
    (mention,) = read(line(id="a", text="hi"), network="archive")
    assert isinstance(mention, Mention)
    assert (mention.network, mention.author, mention.posted_at, mention.likes, mention.lang_hint) == ("archive", None, NOW, None, None)


@pytest.mark.parametrize(
    "date",
    ["2026-05-03T08:00:00Z", "2026-05-03 08:00:00", "2026-05-03T10:00+02:00", 1777795200, "1777795200", 1777795200000, 1777795200.0,
     "Sun, 03 May 2026 08:00:00 GMT", "Sun May 03 08:00:00 +0000 2026"],
)  # fmt: skip
def test_dates_are_read_in_the_usual_ways(date: object) -> None:
    (mention,) = read(line(id="a", text="hi", created_at=date))
    assert isinstance(mention, Mention)
    assert mention.posted_at == datetime(2026, 5, 3, 8, tzinfo=UTC)


def test_a_date_of_the_future_counts_as_now() -> None:
    (mention,) = read(line(id="a", text="hi", posted_at="2999-01-01"))
    assert isinstance(mention, Mention)
    assert mention.posted_at == NOW


BAD_LINES = {
    '{"id": "2", "text": ': "not JSON",
    "[1]": "not a JSON object",
    '{"text": "no id"}': "id is missing",
    '{"id": "5"}': "text is missing",
    '{"id": "6", "text": 5}': "text must be a string",
    '{"id": "7", "text": "x", "author": "ann"}': "author must be an object",
    '{"id": "8", "text": "x", "posted_at": "yesterday"}': "'yesterday' is not a date",
    '{"id": {"a": 1}, "text": "x"}': "id must be a string",
    '{"id": "9", "text": "\\ud800"}': "not JSON",
    line(id="x" * 300, text="x").strip(): "id is longer than 200 characters",
}


def test_bad_lines_are_named_and_the_others_kept() -> None:
    rows = read("\n".join([line(id="1", text="one").strip(), "", *BAD_LINES, '{"id": "10", "text": "ten"}']))
    assert texts(rows) == ["one", "ten"]
    assert [number for number, _ in bad(rows)] == list(range(3, 3 + len(BAD_LINES)))
    for (_, reason), words in zip(bad(rows), BAD_LINES.values(), strict=True):
        assert words in reason


def test_an_empty_text_is_a_text_and_an_empty_file_has_no_rows() -> None:
    assert texts(read(line(id="1", text=""))) == [""]
    assert read("") == []
    assert read("\n\n") == read(gzip.compress(b"")) == []


def test_nul_characters_are_dropped() -> None:
    author = {"handle": "a\0", "name": "\0", "bio": "b\0"}
    rows = read(line(id="1\0", text="a\0b", author=author) + '{"id": "2", "text": "a\0b"}\n')
    assert texts(rows) == ["ab"]
    assert "\0" not in repr(rows[0])
    assert bad(rows)[0][0] == 2


def test_a_post_of_a_megabyte_is_kept_shortened_and_said_to_be() -> None:
    for data in (line(id="1", text="x" * 10**6), "id,text\n1," + "x" * 10**6 + "\n"):
        mention, note = read(data)
        assert isinstance(mention, Mention)
        assert isinstance(note, BadRow)
        assert len(mention.text) == 40_000
        assert note.kept
        assert "40000 characters" in note.reason


def test_ten_thousand_emoji_and_scripts_in_names_are_only_text() -> None:
    rows = read(line(id="1", text="😡" * 10_000, author={"handle": "<script>", "name": "<b>" * 10**6, "followers": 10**15}))
    (mention,) = rows
    assert isinstance(mention, Mention)
    assert mention.text == "😡" * 10_000
    assert mention.author is not None
    assert (mention.author.handle, len(mention.author.name), mention.author.followers) == ("<script>", 200, 2**31 - 1)


def test_an_address_that_runs_a_program_is_left_behind() -> None:
    (mention,) = read(line(id="1", text="x", url="javascript:alert(1)"))
    assert isinstance(mention, Mention)
    assert mention.url == ""


def test_an_id_that_comes_again_is_reported() -> None:
    rows = read(line(id="1", text="one") + line(id=1, text="one again") + line(id="1", text="elsewhere", network="x"))
    assert texts(rows) == ["one", "elsewhere"]
    assert bad(rows)[0][0] == 2
    assert "'1'" in bad(rows)[0][1]


def test_a_line_without_end_is_skipped_without_being_held() -> None:
    data = line(id="1", text="one").encode() + b'{"id": "2", "text": "' + b"x" * 40_000_000 + b'"}\n' + line(id="3", text="three").encode()
    stream = io.BytesIO(data)
    tracemalloc.start()
    rows = list(read_archive(stream, now=NOW))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert texts(rows) == ["one", "three"]
    assert bad(rows) == [(2, "longer than 4 MiB; skipped")]
    assert peak < 20_000_000


def test_a_csv_is_read_by_the_usual_names() -> None:
    data = 'id,source,company,lang,text,author,followers,date\nt1,reviews,Acme,en,"Hello, ""hub""\nbroken",ann,5,2026-05-03\n'
    data += "t2,reviews,,zh,灯坏了,,,\n"
    first, second = read(data)
    assert isinstance(first, Mention)
    assert isinstance(second, Mention)
    assert (first.native_id, first.text, first.company, first.lang_hint) == ("t1", 'Hello, "hub"\nbroken', "Acme", "en")
    assert first.author is not None
    assert (first.author.handle, first.author.followers) == ("ann", 5)
    assert (second.text, second.company, second.author, second.posted_at) == ("灯坏了", None, None, NOW)


def test_a_mapping_names_columns_that_nobody_would_guess() -> None:
    data = "Nummer;Beitrag;text\n1;Das Licht ist aus;other\n"
    assert texts(read(data, columns={"id": "Nummer", "text": "Beitrag"})) == ["Das Licht ist aus"]


def test_a_mapping_that_does_not_fit_says_what_there_is() -> None:
    with pytest.raises(BadInput, match=r"no column 'body'; its columns are id, words"):
        read("id,words\n1,x\n", columns={"text": "body"})
    with pytest.raises(BadInput, match=r"no field 'txt'; fields are id, text"):
        read("id,words\n1,x\n", columns={"txt": "words"})
    with pytest.raises(BadInput, match=r"which column holds the text.*id, words"):
        read("id,words\n1,x\n")


def test_the_usual_marks_between_columns_are_known() -> None:
    for mark in ",;\t|":
        assert texts(read(f"\ufeffid{mark}text\r\n1{mark}one\r\n2{mark}two\r\n")) == ["one", "two"]


def test_bad_rows_of_a_csv_are_named_and_the_others_kept() -> None:
    rows = read('id,text\n1,one\n2\n3,three,more\n,no id\n"5"x,five\n6,six\n')
    assert texts(rows) == ["one", "six"]
    assert [number for number, _ in bad(rows)] == [3, 4, 5, 6]


def test_a_quote_that_is_never_closed_costs_one_row() -> None:
    rows = read('id,text\n1,one\n2,"two\n' + "".join(f"{n},number {n}\n" for n in range(3, 200)))
    assert texts(rows) == ["one", *(f"number {n}" for n in range(3, 200))]
    assert [number for number, _ in bad(rows)] == [3]


def test_a_row_that_never_ends_is_given_up_and_the_reading_ends() -> None:
    rows = read("id,text\n1,one\n" + 'x","\n' * 750_000)
    assert texts(rows)[0] == "one"
    assert any("quote" in reason for _, reason in bad(rows))


def test_a_latin_1_file_is_named_with_line_byte_and_remedy() -> None:
    data = "id,text\n1,plain\n2,schön\n".encode("latin-1")
    with pytest.raises(BadInput, match=r"line 3, byte 6 is not UTF-8.*latin-1.*iconv"):
        read(data)
    with pytest.raises(BadInput, match=r"line 2, byte \d+ is not UTF-8"):
        read((line(id="1", text="plain") + line(id="2", text="schön")).encode("latin-1"))
    assert texts(read(data, encoding="latin-1")) == ["plain", "schön"]
    assert texts(read(line(id="2", text="schön").encode("latin-1"), encoding="latin-1")) == ["schön"]
    with pytest.raises(BadInput, match="'klingon' is not known"):
        read(data, encoding="klingon")


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"PK\3\4rest", "workbook"), ("id,text".encode("utf-16"), "UTF-16"), (b'[\n{"id": 1}]', "JSON array"), (b"[]", "JSON array"),
     (gzip.compress(gzip.compress(b"id,text", mtime=0), mtime=0), "gzipped twice"), (b"x" * 5_000_000, "longer than 4 MiB")],
)  # fmt: skip
def test_files_of_another_kind_are_refused_in_words(data: bytes, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        read(data)


def test_gzipped_files_are_read_alike() -> None:
    assert texts(read(gzip.compress(line(id="1", text="one").encode()))) == ["one"]
    assert texts(read(gzip.compress(b"id,text\n1,one\n"))) == ["one"]


def test_a_gzipped_file_that_was_cut_off_gives_what_came_before() -> None:
    lines = "".join(line(id=str(n), text=f"number {n} {hash(str(n))}") for n in range(20_000))
    packed = gzip.compress(lines.encode())
    for cut in (packed[: len(packed) // 2], packed[:-4], packed[:1000] + b"\xff" * 500 + packed[1500:]):
        rows = read(cut)
        kept = texts(rows)
        number, reason = bad(rows)[-1]
        assert number >= len(kept)
        assert "cut off" in reason or "damaged" in reason
    assert read(packed[:5])[0] == BadRow(
        line=1, reason="the gzipped data ends too early: the file was cut off; the rows before this line are good"
    )


def test_a_bomb_is_stopped_and_what_came_before_is_kept() -> None:
    bomb = gzip.compress(line(id="1", text="one").encode() + b" " * 200_000_000)
    rows = read(bomb)
    assert texts(rows) == ["one"]
    assert "300 times its size" in bad(rows)[-1][1]


def test_progress_is_told_in_bytes_of_the_file() -> None:
    packed = gzip.compress("".join(line(id=str(n), text=str(hash(str(n)))) for n in range(50_000)).encode())
    told: list[int] = []
    read(packed, on_progress=told.append)
    assert told == sorted(told)
    assert told[-1] == len(packed)
    assert len(told) > 3


def test_a_file_is_opened_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "posts.jsonl"
    path.write_text("not json\n" + line(id="1", text="one"), encoding="utf-8")
    rows = list(read_archive(path, now=NOW))
    assert texts(rows) == ["one"]
    assert bad(rows)[0][0] == 1
    with pytest.raises(BadInput, match=r"missing\.csv cannot be opened: No such file"):
        list(read_archive(tmp_path / "missing.csv", now=NOW))
    with pytest.raises(BadInput, match="cannot be opened: Is a directory"):
        list(read_archive(str(tmp_path), now=NOW))


def test_a_line_to_score_is_read_like_a_row() -> None:
    mention = parse_score_line(line(id=1, text="hi", lang="en", company="Acme", author={"handle": "ann", "followers": 3}).encode(), 1)
    assert (mention.native_id, mention.text, mention.network, mention.company, mention.posted_at.year) == ("1", "hi", "file", "Acme", 1970)
    assert mention.author is not None
    assert mention.author.followers == 3


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"{", b"null", b"\xff", b'{"id": 1}', b'{"text": "x"}', b'{"id": true, "text": "x"}', b'{"id": 1.5, "text": "x"}']
)
def test_a_bad_line_to_score_is_named(data: bytes) -> None:
    with pytest.raises(BadInput, match=r"^line 12: "):
        parse_score_line(data, 12)


@given(st.binary(max_size=300) | st.text(alphabet='{}[]",:\n\\ aid1text0', max_size=300).map(str.encode))
def test_any_bytes_give_rows_or_words(data: bytes) -> None:
    with suppress(BadInput):
        assert all(isinstance(row, Mention | BadRow) for row in read(data))
