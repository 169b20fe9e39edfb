"""`~` finds a name however it is misspelt, and no word that people mean."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from earshot.mention import Mention
from listener.query import compile_for, matches, near_misses, read, unsearchable
from listener.query.misspelling import MOST, misspellings
from listener.query.ordinary import is_ordinary

#: ordinary words that are a slip or two from a name
NEAR = {
    "verdanta": "verdant verdantly veranda",
    "spotify": "spotted spotty specify sporty",
    "google": "goggle goggles googly giggle gaggle ogle",
    "nestle": "nestles nestled nettle nestling needle wrestle",
    "philips": "phillips",
    "garmin": "garden garment gamin german",
    "fitbit": "fitted titbit fitful",
    "glowmere": "glower glowered glowworm",
    "amazon": "amazons amazing amazed",
    "logitech": "logistic logistics",
    "starbuck": "starboard startup",
}


def posts(*texts: str) -> list[Mention]:
    return [
        Mention(network="x", native_id=text, author=None, text=text, url="", posted_at=datetime(2026, 11, 1, tzinfo=UTC)) for text in texts
    ]


def found(query: str, texts: Sequence[str]) -> set[str]:
    return {text for text, its in zip(texts, matches({1: read(query)}, posts(*texts)), strict=True) if its}


@pytest.mark.parametrize("name", NEAR)
def test_no_ordinary_word_is_taken_for_a_name(name: str) -> None:
    assert found(f"~{name}", [name, *NEAR[name].split()]) == {name}


def test_of_all_ordinary_words_a_name_finds_none() -> None:
    from listener.query.ordinary import _ordinary

    text = " ".join(sorted(_ordinary()))
    assert len(_ordinary()) > 80_000
    assert found(" OR ".join(f"~{name}" for name in ("lumifern", "verdanta", "glowmere", "spotify", "vodafone")), [text]) == set()


def test_a_name_that_is_a_word_is_found_with_its_misspellings_and_without_its_neighbours() -> None:
    assert is_ordinary("canopy")
    texts = ["my canopy", "my cannopy", "my canpoy", "my canopies", "a canape"]
    assert found("~canopy", texts) == {"my canopy", "my cannopy", "my canpoy"}


def test_near_misses_show_ordinary_neighbours_all_the_same() -> None:
    assert [miss.why for miss in near_misses(read("lamps*  OR lumifern OR battery"), posts("the batteri", "the battery", "the battered"))]


@pytest.mark.parametrize("name", ["lumifern", "verdanta", "glowmere", "spotify"])
def test_the_likeliest_misspellings_are_such_and_match(name: str) -> None:
    likeliest = misspellings(name, MOST)
    assert len(likeliest) == MOST == len(set(likeliest))
    one_slip = [slip for slip in likeliest if "ph" not in slip or "ph" in name]
    assert found(f"~{name}", one_slip) == set(one_slip)
    assert not any(map(is_ordinary, likeliest))


def test_networks_are_asked_for_the_word_and_its_likeliest_misspellings() -> None:
    (search,) = compile_for(read("~lumifern"), "x")
    assert search.startswith("lumifern OR ")
    assert "lumifren" in search
    assert compile_for(read("~lumifern lamp"), "x")[0] == f"({search}) lamp"
    assert unsearchable(read("~lumifern"), "x") == ()
    assert len(compile_for(read("~lumifern"), "hackernews")) == 4
    assert compile_for(read("lamp NOT ~lumifern"), "x") == ["lamp"]
