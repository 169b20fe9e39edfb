"""Files of posts: JSON lines or CSV, plain or gzipped, read in constant memory; and the lines that `earshot score` takes.

A row that cannot be used is reported with its line and the reason, and the rest is read on. Only what makes every later row doubtful ends
the reading, with `BadInput`: the file cannot be opened, its header names no text, it is not in the encoding that was given.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from earshot.errors import BadInput
from earshot.mention import Mention
from listener.plain_text import MAX_TEXT
from listener.rows import GUESSES, RowReader, parse_score_line

__all__ = ["GUESSES", "BadRow", "Row", "parse_score_line", "read_archive"]

MAX_LINE = 4 * 2**20  #: bytes of a row; a longer one is skipped without being held in memory
_RATIO, _RATIO_FROM = 300, 64 * 2**20  #: a file that unpacks to more than 300 times its size, and to more than 64 MiB, is a bomb
_JSON_NAME = re.compile(r"\.(?:jsonl|ndjson|json)(?:\.gz)?$", re.IGNORECASE)
_NEAR = 100_000  #: ids among which a repeated one is noticed at least; rarer repeats are left to the store, which keeps one
_ENCODINGS_THAT_FIT = "if it is another encoding, name it (encoding latin-1, cp1252, gb18030 …) or convert it: iconv -f LATIN1 -t UTF-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """What is wrong with one row. `kept`: its mention came all the same, only shortened."""

    line: int  #: of the file, from 1, where the row begins
    reason: str
    kept: bool = False


Row = Mention | BadRow


def read_archive(
    source: str | Path | BinaryIO,
    *,
    now: datetime,
    columns: Mapping[str, str] | None = None,
    network: str = "file",
    encoding: str = "utf-8",
    on_progress: Callable[[int], None] | None = None,
) -> Iterator[Row]:
    """Read a file (JSON lines, CSV with a header row, either one gzipped), row by row.

    `columns` maps our fields (the keys of `GUESSES`) to the columns of a CSV; what it leaves out is guessed. `network` is where rows come
    from that do not say it. `now` dates rows without a date, no row is later, and a naive date counts as UTC. `on_progress` hears how many
    bytes of the file were read. Raises `BadInput` for what no row can answer for.
    """
    name = str(source) if isinstance(source, str | Path) else str(getattr(source, "name", "the input"))
    with ExitStack() as stack:
        try:
            raw = stack.enter_context(Path(source).open("rb")) if isinstance(source, str | Path) else source
        except OSError as err:
            raise BadInput(f"{name} cannot be opened: {err.strerror}") from err
        lines = _Lines(raw, name, encoding, on_progress)
        reader = RowReader(network, now)
        rows = _json_rows(lines, reader) if lines.looks_like_json() else _csv_rows(lines, reader, dict(columns or {}))
        yield from _once(rows)


def _once(rows: Iterable[tuple[int, Mention | str]]) -> Iterator[Row]:
    """Mentions as they are, reasons as `BadRow`; an id that came shortly before is reported and dropped."""
    older: set[tuple[str, str]] = set()
    recent: set[tuple[str, str]] = set()
    for line, row in rows:
        if isinstance(row, str):
            yield BadRow(line=line, reason=row)
            continue
        key = (row.network, row.native_id)
        if key in recent or key in older:
            yield BadRow(line=line, reason=f"id {row.native_id[:80]!r} stands in an earlier row already; the first one counts")
            continue
        recent.add(key)
        if len(recent) >= _NEAR:
            older, recent = recent, set()
        yield row
        if len(row.text) == MAX_TEXT:
            yield BadRow(line=line, reason=f"text is very long; its first {MAX_TEXT} characters are kept", kept=True)


class _Counted(io.RawIOBase):
    """The bytes of a file, counted as they are read."""

    def __init__(self, raw: BinaryIO, on_progress: Callable[[int], None] | None) -> None:
        self._raw = raw
        self._on_progress = on_progress
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._raw.read(len(buffer))
        buffer[: len(data)] = data
        self.count += len(data)
        if self._on_progress is not None:
            self._on_progress(self.count)
        return len(data)


class _Lines:
    """The lines of a file with their numbers, unpacked. A line is None where it was too long to keep."""

    def __init__(self, raw: BinaryIO, name: str, encoding: str, on_progress: Callable[[int], None] | None) -> None:
        self.name = name
        self.encoding = encoding
        self.number = 0  #: of the line that came last
        self.trouble = ""  #: why the file ended before its end
        self._counted = _Counted(raw, on_progress)
        self._unpacked = 0
        packed = io.BufferedReader(self._counted, 2**16)
        start = packed.peek(4)[:4]
        if start.startswith((b"PK\3\4", b"PAR1", b"\xfd7zX", b"BZh", b"\x28\xb5\x2f\xfd")):
            raise BadInput(f"{name} is packed or a workbook: save it as CSV or JSON lines, plain or gzipped")
        self._zipped = start.startswith(b"\x1f\x8b")
        self._stream: Any = io.BufferedReader(gzip.GzipFile(fileobj=packed), 2**16) if self._zipped else packed
        self._refuse_other_unicode()

    def _refuse_other_unicode(self) -> None:
        start = self._peek()
        if start.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise BadInput(f"{self.name} is UTF-16: convert it first, iconv -f UTF-16 -t UTF-8")
        if start.startswith(b"\x1f\x8b"):
            raise BadInput(f"{self.name} is gzipped twice: unpack it once")

    def looks_like_json(self) -> bool:
        """Whether JSON lines follow. Raises `BadInput` for one JSON array, which is another thing."""
        start = self._peek().removeprefix(b"\xef\xbb\xbf").lstrip()
        if re.match(rb"\[\s*[{\]]", start):
            raise BadInput(f"{self.name} is one JSON array: write one object a line, jq -c '.[]' does it")
        return start.startswith(b"{") or bool(_JSON_NAME.search(self.name))

    def _peek(self) -> bytes:
        return self._or_trouble(lambda: bytes(self._stream.peek(2**12))) or b""

    def __iter__(self) -> Iterator[bytes | None]:
        while not self.trouble:
            line = self._or_trouble(self._read)
            if line == b"" or self.trouble:
                return
            yield line

    def _or_trouble(self, read: Callable[[], bytes | None]) -> bytes | None:
        try:
            return read()
        except EOFError:
            self.trouble = "the gzipped data ends too early: the file was cut off"
        except (zlib.error, gzip.BadGzipFile) as err:
            self.trouble = f"the gzipped data is damaged ({err})"
        except OSError as err:
            self.trouble = f"the file cannot be read on ({err.strerror})"
        return None

    def _read(self) -> bytes | None:
        line: bytes = self._stream.readline(MAX_LINE + 1)
        self.number += bool(line)
        if self._zipped:
            self._watch_the_ratio(len(line))
        if self.number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if len(line) <= MAX_LINE:
            return line
        while line and not line.endswith(b"\n"):
            line = self._stream.readline(2**16)
            if self._zipped:
                self._watch_the_ratio(len(line))
        return None

    def _watch_the_ratio(self, more: int) -> None:
        self._unpacked += more
        if self._unpacked > _RATIO_FROM and self._unpacked > _RATIO * self._counted.count:
            raise gzip.BadGzipFile(f"it unpacks to more than {_RATIO} times its size")

    def text(self, line: bytes) -> str:
        """The line as text. Raises `BadInput` where it is not in the file's encoding."""
        try:
            return line.decode(self.encoding)
        except LookupError as err:
            raise BadInput(f"encoding {self.encoding!r} is not known; utf-8, latin-1, cp1252 and gb18030 are") from err
        except UnicodeError as err:
            at = f", byte {err.start + 1}" if isinstance(err, UnicodeDecodeError) else ""
            raise BadInput(f"{self.name}: line {self.number}{at} is not {self.encoding.upper()}; {_ENCODINGS_THAT_FIT}") from err

    def ending(self) -> Iterator[tuple[int, str]]:
        """What there is to say of a file that broke off."""
        if self.trouble:
            yield self.number + 1, f"{self.trouble}; the rows before this line are good"


def _json_rows(lines: _Lines, reader: RowReader) -> Iterator[tuple[int, Mention | str]]:
    is_utf8 = lines.encoding.lower().replace("_", "-") in ("utf-8", "utf8")
    for line in lines:
        if line is None:
            yield lines.number, f"{_too_long()}; skipped"
        elif not line.isspace():
            try:
                yield lines.number, reader.from_json(line if is_utf8 else lines.text(line))
            except ValueError as err:
                lines.text(line)
                yield lines.number, str(err)
    yield from lines.ending()


def _csv_rows(lines: _Lines, reader: RowReader, columns: dict[str, str]) -> Iterator[tuple[int, Mention | str]]:
    header = next((line for line in lines if line is None or line.strip()), b"")
    if header is None:
        raise BadInput(f"{lines.name}: its first line is {_too_long()}; a CSV starts with the names of its columns")
    if not header:
        yield from lines.ending()
        return
    first = lines.text(header)
    delimiter = max(",;\t|", key=first.count)
    names = [name.strip() for name in next(csv.reader([first], delimiter=delimiter))]
    places = _places(lines.name, names, columns)
    for number, cells in _records(lines, delimiter):
        if isinstance(cells, str):
            yield number, cells
        elif len(cells) != len(names):
            yield number, f"{len(cells)} columns where the header has {len(names)}: a quote or a {delimiter!r} too many or too few"
        else:
            try:
                yield number, reader.from_fields({field: cells[place] for field, place in places.items()})
            except ValueError as err:
                yield number, str(err)
    yield from lines.ending()


def _places(name: str, header: list[str], columns: dict[str, str]) -> dict[str, int]:
    """Our field -> its place in a row. Raises `BadInput` when `columns` does not fit the header, or id and text are not found."""
    shown = ", ".join(header)[:500]
    if strange := sorted(set(columns) - set(GUESSES)):
        raise BadInput(f"there is no field {strange[0]!r}; fields are {', '.join(GUESSES)}")
    if absent := sorted(set(columns.values()) - set(header)):
        raise BadInput(f"{name} has no column {absent[0]!r}; its columns are {shown}")
    lower = [column.lower() for column in header]
    places = {field: header.index(column) for field, column in columns.items()}
    for field, guesses in GUESSES.items():
        found = next((lower.index(guess) for guess in guesses if guess in lower), None)
        if field not in places and found is not None and found not in places.values():
            places[field] = found
    for field in ("id", "text"):
        if field not in places:
            raise BadInput(f"{name}: which column holds the {field}? Name it ({field}=…); its columns are {shown}")
    return places


def _records(lines: _Lines, delimiter: str) -> Iterator[tuple[int, list[str] | str]]:
    """Rows of a CSV with the line each begins on; a string is the reason why there is no row.

    A quote that is never closed would swallow what follows: such a row is given up, and its later lines are read again as rows of their
    own, as long as no more is read twice than was read once.
    """
    csv.field_size_limit(MAX_LINE)
    feed = _Feed(lines)
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        feed.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except _TooLong:
            yield feed.first, f"{_too_long()}; skipped"
        except csv.Error as err:
            yield feed.first, f"not CSV: {err}; look at its quotes"
            feed.again()
            reader = csv.reader(feed, delimiter=delimiter, strict=True)
        else:
            if cells:
                yield feed.first, cells


class _TooLong(ValueError):
    pass


class _Feed:
    """Hands lines to the CSV reader and remembers those of the row it is at."""

    def __init__(self, lines: _Lines) -> None:
        self._lines = lines
        self._source = iter(lines)
        self._row: list[tuple[int, str]] = []
        self._back: list[tuple[int, str]] = []
        self._size = self._read = self._reread = 0
        self.first = 0

    def begin(self) -> None:
        self._row, self._size, self.first = [], 0, self._lines.number + 1

    def again(self) -> None:
        """Read all lines of the row but its first once more."""
        later = self._row[1:]
        size = sum(len(line) for _, line in later)
        if self._reread + size <= self._read + 2 * MAX_LINE:
            self._reread += size
            self._back += reversed(later)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        number, line = self._back.pop() if self._back else self._fresh()
        if not self._row:
            self.first = number
        self._row.append((number, line))
        self._size += len(line)
        if self._size > MAX_LINE:
            raise csv.Error(f"a row of more than {MAX_LINE >> 20} MiB: a quote is not closed")
        return line

    def _fresh(self) -> tuple[int, str]:
        line = next(self._source)
        if line is None:
            self.first = self.first if self._row else self._lines.number
            raise _TooLong
        self._read += len(line)
        return self._lines.number, self._lines.text(line)


def _too_long() -> str:
    return f"longer than {MAX_LINE >> 20} MiB"
