"""Forgetting an author on request, and the proof that nothing of them is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from earshot.errors import BadInput, StorageError
from earshot.storage import Store
from earshot.storage.erasing import Erased
from earshot.storage.forgetting import Known, Passage
from earshot.storage.traces import Traces, ascii_lower, in_json, pieces

if TYPE_CHECKING:
    from ahocorasick import Automaton

#: more pieces of one author's texts are not looked for; they are taken from all over them
MOST_PIECES = 50_000
#: so much of a file is looked through at a time; the next part begins a little before the end of this one
_CHUNK, _OVERLAP = 4 << 20, 4 << 10
#: so many rows at once
_ROWS = 100
#: so many places are named
_NAMED = 20
#: where words of posts stand
_POSTS = (("mention", "text"), ("mention_version", "text"))

#: (how much is done, of how much) of what is under way
Shown = Callable[[str, int, int], None]


class Named(Struct, frozen=True, kw_only=True):
    """Whom a person means: one of handle and native id is given."""

    network: str
    handle: str = ""
    native_id: str = ""

    def __str__(self) -> str:
        return f"{self.network}:{self.handle}" if self.handle else f"{self.network}:id:{self.native_id}"


def parse_author(text: str) -> Named:
    """Read `network:handle` or `network:id:NATIVE_ID`. Raises `BadInput` saying how it is written."""
    network, _, name = text.partition(":")
    is_id = name.startswith("id:")
    name = name.removeprefix("id:") if is_id else name.strip().removeprefix("@").removeprefix("u/")
    if not network or not name or not name.isprintable():
        raise BadInput(f"{text[:80]!r} names no author: write network:handle as x:ana, or network:id:NATIVE_ID as x:id:12345")
    return Named(network=network, native_id=name) if is_id else Named(network=network, handle=name)


def find(store: Store, named: Named) -> Known | None:
    """Who that is; None where they were forgotten before. Raises `BadInput` when nobody is called so, or several are."""
    found = store.forgetting.find(named.network, handle=named.handle, native_id=named.native_id)
    if len(found) > 1:
        choice = ", ".join(f"{named.network}:id:{known.author.native_id}" for known in found[:_NAMED])
        raise BadInput(f"{len(found)} authors go by {named}; say which: {choice}")
    if found:
        return found[0]
    if store.forgetting.forgotten_at(named.network, named.handle or named.native_id) is None:
        networks = ", ".join(store.forgetting.networks()) or "none yet"
        raise BadInput(f"we know no author {named}; networks of authors that we know: {networks}")
    return None


def forget(store: Store, known: Known, *, now: datetime, never_again: bool, progress: Shown) -> tuple[Erased, Proof]:
    """Erase them, write the files anew, and look through all that is left.

    Raises `StorageError` when the files could not be written anew: by then they are erased, and the same command goes on from there.
    """
    progress("erasing", 0, 0)
    erased = store.forgetting.erase(known.id, now=now, never_again=never_again)
    _compact(store, progress)
    return erased, prove(store, erased.names, erased.texts, network=erased.author.network, progress=progress)


def look_again(store: Store, named: Named, *, now: datetime, never_again: bool, progress: Shown) -> Proof:
    """Of somebody who was forgotten before: finish what a kill left undone, and look again, for the name that was given.

    Raises `BadInput` when they are never to be heard again, and only the handle was given: it may be somebody else's by now.
    """
    if never_again:
        if not named.native_id:
            raise BadInput(f"{named} was forgotten before: to never hear them again, write their native id, as {named.network}:id:12345")
        store.forgetting.never_hear(named.network, named.native_id, now=now)
    _compact(store, progress)
    names = {"native id": named.native_id} if named.native_id else {"handle": named.handle}
    return prove(store, names, (), network=named.network, progress=progress)


def _compact(store: Store, progress: Shown) -> None:
    progress("writing the database anew", 0, 0)
    try:
        store.forgetting.compact()
    except StorageError as err:
        words = "they are erased, but the files could not be written anew and may still hold it: free what is in the way, run this again"
        raise type(err)(f"{words} ({err})") from err


# ---- the proof


@dataclass(slots=True)
class Proof:
    """What was looked for and through, and where something was found."""

    looked_for: tuple[str, ...]
    too_plain: tuple[str, ...]  #: kinds of names that are words or numbers like others
    pieces: int  #: of their texts that were looked for …
    pieces_in_all: int  #: … of so many
    tables: int
    columns: int
    rows: int = 0
    files: dict[str, int] = field(default_factory=dict)  #: name -> bytes
    found: list[str] = field(default_factory=list)  #: where, and what
    said_by_others: int = 0  #: pieces that stand in posts of other authors too
    elsewhere: Counter[str] = field(default_factory=Counter)  #: network -> places where somebody goes by one of their names there


def prove(store: Store, names: Mapping[str, str], texts: Sequence[str], *, network: str, progress: Shown) -> Proof:
    """Look through every column that can hold words, and through the bytes of the files.

    Words that stand in a post of somebody else are theirs as well, and whom a name means on another network is not known: both are told,
    and are nothing that was left of this author.
    """
    wanted = pieces(texts)
    search = _Search(Traces(names), wanted[:: max(1, -(-len(wanted) // MOST_PIECES))])
    columns = store.forgetting.columns()
    proof = Proof(
        looked_for=search.looked_for,
        too_plain=tuple(kind for kind in names if kind not in search.traces.kinds),
        pieces=len(search.pieces),
        pieces_in_all=len(wanted),
        tables=len(columns),
        columns=sum(map(len, columns.values())),
    )
    live = _look_through_tables(store, search, proof, network=network, progress=progress)
    for file in store.forgetting.files():
        _look_through_file(file, search, proof, live, progress=progress)
    return proof


class _Hits(Struct, frozen=True):
    """What one look found."""

    written: frozenset[str] = frozenset()  #: a name, perhaps within a longer word
    names: frozenset[str] = frozenset()  #: kinds of names that stand there
    pieces: frozenset[int] = frozenset()

    def __or__(self, other: _Hits) -> _Hits:
        return _Hits(self.written | other.written, self.names | other.names, self.pieces | other.pieces)


class _Search:
    """Names and pieces of texts, looked for all at once."""

    def __init__(self, traces: Traces, wanted: Sequence[str]) -> None:
        self.traces, self.pieces = traces, wanted
        self.looked_for = tuple(kind if kind in traces.telling else f"{kind} (as @… and in addresses)" for kind in traces.kinds)
        self._meant: dict[str, tuple[list[str], list[int]]] = {}  #: bytes, as Latin-1 -> the names and the pieces that are written so
        for form in {form for forms in traces.written.values() for form in forms}:
            self._meaning(form)[0].append(form)
        for number, piece in enumerate(wanted):
            for form in {case for text in (piece, in_json(piece)) for case in (text.lower(), ascii_lower(text))}:
                self._meaning(form)[1].append(number)
        self._automaton = self._build()

    def _meaning(self, form: str) -> tuple[list[str], list[int]]:
        return self._meant.setdefault(form.encode().decode("latin-1"), ([], []))

    def _build(self) -> Automaton | None:
        from ahocorasick import Automaton

        automaton = Automaton()
        for form, meant in self._meant.items():
            automaton.add_word(form, meant)
        automaton.make_automaton()
        return automaton if self._meant else None

    def look(self, content: bytes) -> _Hits:
        """`content` in lower case."""
        if self._automaton is None:
            return _Hits()
        written, said = set[str](), set[int]()
        for _, (names, numbers) in self._automaton.iter(content.decode("latin-1")):
            written.update(names)
            said.update(numbers)
        return _Hits(frozenset(written), frozenset(self.traces.found_in(content) if written else ()), frozenset(said))


def _look_through_tables(store: Store, search: _Search, proof: Proof, *, network: str, progress: Shown) -> _Hits:
    """Note what is found; returns all that stands in the tables, whosever it is: the files hold it rightly."""
    live, said_by_others = _Hits(), frozenset[int]()
    said: list[tuple[str, frozenset[int]]] = []
    in_all, passages = store.forgetting.size(), store.forgetting.passages()
    while batch := list(islice(passages, _ROWS)):
        proof.rows += len(batch)
        progress("looking through the tables", proof.rows, in_all)
        for passage, column, hits in _look_at(batch, search):
            where = f"{passage.table}.{column} of row {passage.row}"
            live |= hits
            if hits.names and passage.network not in (None, network):
                proof.elsewhere[str(passage.network)] += 1
            else:
                proof.found += [f"{where}: their {kind}" for kind in sorted(hits.names)]
            if (passage.table, column) in _POSTS:
                said_by_others |= hits.pieces
            elif hits.pieces:
                said.append((where, hits.pieces))
    proof.said_by_others = len(said_by_others)
    proof.found += [f"{where}: words of theirs" for where, numbers in said if numbers - said_by_others]
    return live


def _look_at(batch: Sequence[Passage], search: _Search) -> Iterator[tuple[Passage, str, _Hits]]:
    """What stands where: most rows hold nothing, and are looked at all at once."""
    if search.look(_content(value for passage in batch for value in passage.words.values())) == _Hits():
        return
    for passage in batch:
        if search.look(_content(passage.words.values())) == _Hits():
            continue
        for column, value in passage.words.items():
            if (hits := search.look(_content([value]))) != _Hits():
                yield passage, column, hits


def _content(values: Iterable[str | bytes]) -> bytes:
    """Values in lower case, apart from one another."""
    texts, others = list[str](), list[bytes]()
    for value in values:
        if isinstance(value, str):
            texts.append(value)
        else:
            others.append(value.lower())
    return b"\0".join(("\0".join(texts).lower().encode(), *others))


def _look_through_file(file: Path, search: _Search, proof: Proof, live: _Hits, *, progress: Shown) -> None:
    size, hits, done = file.stat().st_size, _Hits(), 0
    with file.open("rb") as opened:
        before = b""
        while part := opened.read(_CHUNK):
            hits |= search.look((before + part).lower())
            before, done = part[-_OVERLAP:], done + len(part)
            progress(f"looking through {file.name}", done, size)
    proof.files[file.name] = size
    # Within a file one value follows the other without a border, so that a telling name counts wherever it stands.
    telling = {kind for kind in search.traces.telling if hits.written - live.written & set(search.traces.written[kind])}
    proof.found += [f"{file.name}: their {kind}" for kind in sorted((hits.names | telling) - live.names)]
    if left := len(hits.pieces - live.pieces):
        proof.found.append(f"{file.name}: words of theirs, {left} pieces")


# ---- on the terminal


def erased_report(erased: Erased, *, title: str) -> str:
    lines = [title, "  author: 1", *(f"  {what}: {n:,}" for what, n in erased.counts.items())]
    if erased.on_its_way:
        lines.append(f"{erased.on_its_way} of the replies were being posted at this moment: look whether they stand on the network")
    if erased.standing:
        lines += ["Replies of ours that stand on the network, to be deleted there by hand:", *erased.standing[:_NAMED]]
        lines += [f"… and {len(erased.standing) - _NAMED} more"] if len(erased.standing) > _NAMED else []
    return "\n".join(lines)


def proof_report(proof: Proof) -> str:
    pieces = f"{proof.pieces:,} pieces of their texts" + (f" of {proof.pieces_in_all:,}" if proof.pieces < proof.pieces_in_all else "")
    files = "".join(f", {name} ({size:,} bytes)" for name, size in proof.files.items())
    lines = [
        f"looked for: {', '.join((*proof.looked_for, pieces))}",
        f"looked through: {proof.columns} columns of {proof.rows:,} rows in {proof.tables} tables{files}",
    ]
    if proof.too_plain:
        lines.append(f"erased, and too plain to be looked for: {', '.join(proof.too_plain)}")
    if proof.said_by_others:
        lines.append(f"said by other authors too, and theirs: {proof.said_by_others:,} of the pieces")
    lines += [f"on {network} somebody goes by one of these names, in {n:,} places" for network, n in sorted(proof.elsewhere.items())]
    if not proof.found:
        return "\n".join((*lines, "nothing found"))
    lines += ["FOUND, for a person to look at:", *proof.found[:_NAMED]]
    lines += [f"… and {len(proof.found) - _NAMED:,} more"] if len(proof.found) > _NAMED else []
    return "\n".join(lines)


@contextmanager
def progress_bar(*, show: bool) -> Iterator[Shown]:
    """What is under way and how far it is, where there is a terminal to show it on."""
    if not show:
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, size: bar.update(task, description=what, completed=done, total=size or None)
