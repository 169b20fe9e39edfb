"""Near copies against a window of stored posts: look-ups a second, recall of planted copies and precision.

    python benchmarks/near_copies.py [--window N] [--lookups N] [--seed S] [--json FILE]

The window lies in a real SQLite file, as the pipeline keeps it. Among the posts looked up one in five is a copy of a post of the window:
edited, cut, with other hashtags, with emoji, or with a link and a handle added. Beside it, in the same run and on the same posts: MinHash
with locality-sensitive hashing (datasketch) over the whole window, and comparison with every post (rapidfuzz) for as many posts as there is
patience for. CPU seconds of one core count.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import string
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command line does, before NumPy is there

import orjson
from throughput import raw_lines

from earshot import pipeline
from earshot.mention import Mention
from earshot.scheduler import ease_collector
from earshot.storage import Store
from earshot.storage.originals import Waiting
from listener.near_copies import confirm, copy_keys, normalised

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
BATCH = 2_000
LATER = 10**12  #: ids from here on are those of posts that are looked up
SHARE = 0.2  #: of the posts looked up that are copies
COMPARED = 40  #: posts that are compared with every post of the window
_PERMUTATIONS, _ALIKE = 64, 0.6  #: of MinHash; three words in a row count
_TAGS = ("#smarthome", "#fail", "#help", "#lights", "#monday", "#deal")
_EMOJI = "😀😡🙏💡🎉🤦"


@dataclass(frozen=True, slots=True)
class LookUp:
    text: str
    original: int | None  #: place in the window


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one way of looking found."""

    per_second: float
    recall: float
    precision: float
    looked_up: int
    prepared_seconds: float = 0.0


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--window", type=int, default=1_000_000)
    ask.add_argument("--lookups", type=int, default=20_000)
    ask.add_argument("--seed", type=int, default=1)
    ask.add_argument("--json", type=Path, help="also write the figures here")
    given = ask.parse_args()
    window = [orjson.loads(line)["text"] for line in islice(raw_lines(given.seed), given.window)]
    fresh = (orjson.loads(line)["text"] for line in raw_lines(given.seed + 1))
    wanted = looked_up(window, fresh, given.lookups, random.Random(given.seed))
    figures = {
        "earshot": ours(window, wanted),
        "MinHash, datasketch": min_hash(window, wanted),
        f"every post compared, {COMPARED} only": every_post(window, wanted[:COMPARED]),
    }
    print(f"{given.window:,} posts in the window, {given.lookups:,} looked up, of which {SHARE:.0%} are copies; seed {given.seed}\n")
    print(f"{'':32}{'look-ups/s':>12}{'recall':>9}{'precision':>11}{'prepared in':>13}")
    for name, found in figures.items():
        print(f"{name:32}{found.per_second:12,.1f}{found.recall:9.3f}{found.precision:11.3f}{found.prepared_seconds:11.1f} s")
    if given.json:
        given.json.write_text(json.dumps({name: asdict(found) for name, found in figures.items()}, indent=2) + "\n", encoding="utf-8")


# ---- posts and their copies


def looked_up(window: Sequence[str], fresh: Iterator[str], n: int, chance: random.Random) -> list[LookUp]:
    """New posts, and among them copies of posts that are long enough for an edit not to change what they say."""
    long = [place for place, text in enumerate(window) if len(text.split()) >= 12 and text.isascii()]
    made = []
    for number in range(n):
        if number % round(1 / SHARE):
            made.append(LookUp(next(fresh), None))
        else:
            place = chance.choice(long)
            made.append(LookUp(chance.choice(COPYISTS)(window[place], chance), place))
    return made


def edited(text: str, chance: random.Random) -> str:
    """One slip of the finger in a longer word."""
    words = text.split()
    place = chance.choice([n for n, word in enumerate(words) if len(word) > 4 and word.isalpha()] or [0])
    letter = chance.randrange(1, max(2, len(words[place]) - 1))
    words[place] = words[place][:letter] + chance.choice(string.ascii_lowercase) + words[place][letter + 1 :]
    return " ".join(words)


def cut(text: str, chance: random.Random) -> str:
    words = text.split()
    return " ".join(words[: max(8, int(len(words) * chance.uniform(0.6, 0.9)))]) + "…"


def tagged(text: str, chance: random.Random) -> str:
    return f"{text} {' '.join(chance.sample(_TAGS, 3))}"


def with_emoji(text: str, chance: random.Random) -> str:
    words = text.split()
    words.insert(chance.randrange(len(words)), chance.choice(_EMOJI))
    return " ".join(words) + chance.choice(_EMOJI) * 2


def reposted(text: str, chance: random.Random) -> str:
    return f"RT @someone{chance.randrange(1000)}: {text} https://short.example/{chance.randrange(10**6)}"


COPYISTS: Sequence[Callable[[str, random.Random], str]] = (edited, cut, tagged, with_emoji, reposted)


# ---- three ways of looking


def ours(window: Sequence[str], wanted: Sequence[LookUp]) -> Found:
    """As the pipeline does it: keys, one query for a batch, and a comparison of those that share a key."""
    ease_collector()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{folder}/window.db")
        store.upgrade()
        begun = time.process_time()
        for first in range(0, len(window), BATCH):
            pipeline.keep(store, [_mention(first + n, text) for n, text in enumerate(window[first : first + BATCH])], source="w", now=NOW)
        prepared = time.process_time() - begun
        ids = store.mentions.by_native_ids("x", [str(one.original) for one in wanted if one.original is not None])
        begun, said = time.process_time(), []
        for first in range(0, len(wanted), BATCH):
            said += _originals(store, [one.text for one in wanted[first : first + BATCH]])
        seconds = time.process_time() - begun
        store.close()
    true = [None if one.original is None else ids[str(one.original)] for one in wanted]
    return _judged(true, said, seconds, prepared)


def _originals(store: Store, texts: Sequence[str]) -> list[int | None]:
    """Of each text the oldest stored mention that it repeats."""
    waiting = [
        Waiting(id=LATER + n, mention=_mention(LATER + n, text), author_id=None, seen_at=NOW, tries=0) for n, text in enumerate(texts)
    ]
    keys = dict(zip((w.id for w in waiting), copy_keys(texts), strict=True))
    earlier = store.mentions.earlier(waiting, keys).originals
    pairs = [(w, original) for w in waiting for original in earlier.get(w.id, ()) if original.id < LATER]
    found: dict[int, int] = {}
    for (w, original), is_copy in zip(pairs, confirm([(w.mention.text, original.text) for w, original in pairs]), strict=True):
        if is_copy:
            found.setdefault(w.id, original.id)
    return [found.get(w.id) for w in waiting]


def _mention(number: int, text: str) -> Mention:
    return Mention(network="x", native_id=str(number), author=None, text=text, url="", posted_at=NOW, thread_id=str(number))


def min_hash(window: Sequence[str], wanted: Sequence[LookUp]) -> Found:
    """What the field uses: signatures of shingles, and bands of them as keys; the nearest of those that share one."""
    from datasketch import MinHash, MinHashLSH

    def signatures(texts: Sequence[str]) -> Iterator[MinHash]:
        return MinHash.generator([_shingles(text) for text in texts], num_perm=_PERMUTATIONS)

    begun = time.process_time()
    index = MinHashLSH(threshold=_ALIKE, num_perm=_PERMUTATIONS)
    kept: dict[int, MinHash] = {}
    for first in range(0, len(window), BATCH):
        for place, signature in enumerate(signatures(window[first : first + BATCH]), start=first):
            index.insert(place, signature)
            kept[place] = signature
    prepared = time.process_time() - begun
    begun, said = time.process_time(), []
    for first in range(0, len(wanted), BATCH):
        for signature in signatures([one.text for one in wanted[first : first + BATCH]]):
            near = [(signature.jaccard(kept[place]), -place) for place in index.query(signature)]
            said.append(-max(near)[1] if near and max(near)[0] >= _ALIKE else None)
    return _judged([one.original for one in wanted], said, time.process_time() - begun, prepared)


def _shingles(text: str) -> list[bytes]:
    words = normalised([text])[0].split()
    return [" ".join(words[n : n + 3]).encode() for n in range(max(1, len(words) - 2))]


def every_post(window: Sequence[str], wanted: Sequence[LookUp]) -> Found:
    """The most alike of all posts, if it is nine tenths alike."""
    from rapidfuzz import fuzz, process

    begun = time.process_time()
    said = [(found[2] if (found := process.extractOne(one.text, window, scorer=fuzz.ratio, score_cutoff=90)) else None) for one in wanted]
    return _judged([one.original for one in wanted], said, time.process_time() - begun, 0.0)


def _judged(true: Sequence[int | None], said: Sequence[int | None], seconds: float, prepared: float) -> Found:
    """A copy counts as found where its very original is named; anything named for another post is wrong."""
    hits = sum(t is not None and t == s for t, s in zip(true, said, strict=True))
    copies, named = sum(t is not None for t in true), sum(s is not None for s in said)
    return Found(
        per_second=round(len(true) / max(seconds, 1e-9), 1),
        recall=round(hits / max(copies, 1), 4),
        precision=round(hits / max(named, 1), 4),
        looked_up=len(true),
        prepared_seconds=round(prepared, 1),
    )


if __name__ == "__main__":
    main()
