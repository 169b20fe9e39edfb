"""Let an encoder teach: `python -m classifiers.teach DATA_DIR --encoder FOLDER --out FILE.npz`.

The encoder reads the pool of texts that may teach without labels. What is kept are its logits, which heads they belong to, which files
were read, and a hash of the texts; never a text. `read_taught` gives them back beside the texts, which it takes from the data directory
again, and refuses when these are not the same. Parts lie beside the file until all is read: what was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from msgspec import DecodeError, Struct, json
from numpy.typing import NDArray

from classifiers.accurate import CARD, Columns, Encoder, load
from classifiers.commands import carried_out, positive, say
from classifiers.encoder_data import READINGS, Pool, hash_of, licences, to_read
from classifiers.training_data import Shelf
from earshot.errors import BadInput

FORMAT = "earshot-taught-1"
REMEDY = 'pip install "earshot[accurate]"'
_AT_ONCE = 512  #: texts; so many are lost at most when it is stopped
_LOWEST = -30.0  #: a logarithm that says never
_UNREADABLE = (OSError, EOFError, ValueError, AttributeError, TypeError, BadZipFile, zlib.error)  #: what NumPy says of a file that is cut

Halves = NDArray[np.float16]


class About(Struct, frozen=True, kw_only=True):
    """What the file says of itself."""

    format: str
    encoder: str  #: SHA-256 of its heads.json, which holds those of its files
    heads: tuple[Columns, ...]  #: which columns of the logits belong to which question
    languages: tuple[str, ...]
    counts: Mapping[str, int]  #: set -> how many of its texts, in the order in which they were read
    licences: Mapping[str, str]
    manifest: Mapping[str, str]  #: file -> SHA-256
    texts: int
    texts_sha256: str


@dataclass(frozen=True, slots=True)
class Taught:
    """Texts, and what an encoder said of each."""

    texts: Sequence[str]
    logits: Halves  #: (texts, columns)
    about: About


def teach(shelf: Shelf, folder: Path, out: Path, *, most: int | None = None, at_once: int = _AT_ONCE) -> About:
    """Let the encoder in `folder` read, `most` texts at most, and write `out`; a stop costs `at_once` texts.

    Raises `BadInput`, `ModelError`, `ConfigurationError`.
    """
    encoder = load(folder)
    pool = to_read(shelf, languages=encoder.card.languages, most=most)
    if not pool.texts:
        raise BadInput(f"data directory {shelf.folder}: no text in {', '.join(encoder.card.languages)} may be read; give another encoder")
    say(f"{len(pool.texts)} texts to read")
    about = _about(encoder, pool, shelf)
    logits = np.concatenate(_parts(encoder, about, _pieces(pool.texts, at_once), _parts_folder(out)))
    _write(out, logits=logits, about=np.frombuffer(json.encode(about), np.uint8))
    shutil.rmtree(_parts_folder(out))
    return about


def read_taught(file: Path, shelf: Shelf) -> Taught:
    """The logits of `file` with the texts they belong to, from the data directory. Raises `BadInput` when the two do not fit."""
    try:
        stored = _read(file)
        logits, about = stored["logits"], json.decode(stored["about"].tobytes(), type=About)
    except (*_UNREADABLE, KeyError, DecodeError) as err:
        raise BadInput(f"lessons {file}: cannot be read ({err}); write them with python -m classifiers.teach") from err
    if about.format != FORMAT or logits.shape != (about.texts, max(head.last for head in about.heads)):
        raise BadInput(f"lessons {file}: of another format or cut ({about.format}, {logits.shape}); write them again")
    pool = to_read(shelf, languages=about.languages, most=about.texts)
    if pool.sha256 != about.texts_sha256:
        changed = sorted(name for name, digest in about.manifest.items() if shelf.manifest.get(name) != digest)
        why = f"changed: {', '.join(changed)}" if changed else "the choice of texts changed"
        raise BadInput(f"lessons {file}: belong to other texts than those in {shelf.folder} ({why}); write them again")
    return Taught(pool.texts, logits, about)


def _about(encoder: Encoder, pool: Pool, shelf: Shelf) -> About:
    known = licences(READINGS)
    return About(
        format=FORMAT,
        encoder=hashlib.sha256((encoder.path / CARD).read_bytes()).hexdigest(),
        heads=encoder.card.heads,
        languages=encoder.card.languages,
        counts=pool.counts,
        licences={data_set: known[data_set] for data_set in pool.counts},
        manifest=dict(sorted(shelf.manifest.items())),
        texts=len(pool.texts),
        texts_sha256=pool.sha256,
    )


def _pieces(texts: Sequence[str], at_once: int) -> list[Sequence[str]]:
    return [texts[first : first + at_once] for first in range(0, len(texts), at_once)]


def _parts(encoder: Encoder, about: About, pieces: Sequence[Sequence[str]], folder: Path) -> list[Halves]:
    """(texts, columns) of each piece; those that an earlier run has read are taken from `folder`."""
    from rich.console import Console
    from rich.progress import track

    folder.mkdir(parents=True, exist_ok=True)
    return [_part(encoder, about.encoder, piece, folder) for piece in track(pieces, description="reading", console=Console(stderr=True))]


def _part(encoder: Encoder, sealed: str, texts: Sequence[str], folder: Path) -> Halves:
    file = folder / f"{sealed[:16]}-{hash_of(texts)[:32]}.npz"
    if not file.exists():
        _write(file, logits=_logits(encoder, texts))
    try:
        return np.asarray(_read(file)["logits"], np.float16)
    except (*_UNREADABLE, KeyError) as err:
        raise BadInput(f"part {file}: cannot be read ({err}); remove it, and the same command reads its texts again") from err


def _logits(encoder: Encoder, texts: Sequence[str]) -> Halves:
    """(texts, columns) the logarithms of its probabilities: logits up to a constant in each head."""
    answers = encoder.probabilities(texts)
    logits = np.zeros((len(texts), max(head.last for head in encoder.card.heads)), np.float16)
    for head in encoder.card.heads:
        logits[:, head.first : head.last] = np.maximum(np.log(np.maximum(answers[head.question], 1e-30)), _LOWEST)
    return logits


def _parts_folder(out: Path) -> Path:
    return out.with_name(f"{out.name}.parts")


def _read(file: Path) -> dict[str, NDArray[Any]]:
    """Raises one of `_UNREADABLE`."""
    with np.load(BytesIO(file.read_bytes()), allow_pickle=False) as stored:
        return dict(stored)


def _write(file: Path, **arrays: Any) -> None:
    """All or nothing: who is stopped here leaves no half file."""
    half = file.with_name(f".{file.name}.half.npz")
    np.savez_compressed(half, **arrays)
    half.replace(file)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m classifiers.teach",
        description="Let an encoder read texts that may teach, and keep what it thinks of them. Stopped, the same command goes on.",
        epilog=f"Needs the extra accurate: {REMEDY}.",
    )
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--encoder", type=Path, required=True, help="folder with the ONNX file, tokenizer.json and heads.json")
    parser.add_argument("--out", type=Path, required=True, help="file for the logits, *.npz; it holds no text")
    parser.add_argument("--texts", type=positive, help="read so many texts at most (default: all)")
    given = parser.parse_args(arguments)

    def work() -> str:
        about = teach(Shelf(given.data_dir), given.encoder, given.out, most=given.texts)
        return f"{about.texts} texts read, written to {given.out}"

    try:
        return carried_out(work)
    except KeyboardInterrupt:
        say(f"stopped; the same command goes on from {_parts_folder(given.out)}")
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
