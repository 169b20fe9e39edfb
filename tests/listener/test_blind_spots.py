"""Words that no source looks for: found in places that are heard whole, with an honest range of what they would bring."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from earshot.settings import SourceSettings
from listener.blind_spots import BlindSpot, Post, Proposals, propose, search_terms, with_term
from listener.query import read

X = SourceSettings(name="x", network="x", query="lumifern OR 流萤蕨")
PLANTS = SourceSettings(name="plants", network="reddit", query="r/houseplants")
OWN = SourceSettings(name="own", network="reddit", query="r/lumifern")
OTHERS = (
    "my monstera has a new leaf",
    "which soil for cacti",
    "rain again, pots outside",
    "repotting day, wish me luck",
    "gnats everywhere",
)


def posts(*groups: tuple[str, int, str, bool]) -> list[Post]:
    """(text, how many, source, names a topic) …, each by another author."""
    each = [(text, source, topic) for text, n, source, topic in groups for _ in range(n)]
    return [Post(id=i, text=f"{text} no{i}", source=source, author=i, names_topic=topic) for i, (text, source, topic) in enumerate(each)]


def others(source: str = "plants", n: int = 20) -> Iterable[tuple[str, int, str, bool]]:
    return [(text, n, source, False) for text in OTHERS]


def found(proposals: Proposals) -> dict[str, BlindSpot]:
    return {spot.term: spot for spot in proposals.found}


def test_a_pair_that_people_use_without_the_brand_is_proposed_with_what_it_would_bring() -> None:
    heard = posts(
        *others(),
        ("the glow strip flickers", 10, "plants", True),
        ("my lumifern glow strip flickers", 10, "plants", True),
        ("lumifern glow strip died", 40, "x", True),
    )
    spot = found(propose(heard, [X, PLANTS], weeks=2))["glow strip"]
    assert (spot.without, spot.seen, spot.own_place, spot.is_broad) == (10, 20.0, False, False)
    # Half leave the brand out: for each post that was found one was missed, give or take what twenty posts allow.
    assert 5 < spot.low < 20 < spot.high < 60


def test_from_the_brands_own_place_the_range_begins_at_nothing() -> None:
    heard = posts(*others("own"), ("the glow strip flickers", 12, "own", True), ("lumifern glow strip died", 20, "x", True))
    spot = found(propose(heard, [X, OWN], weeks=1))["glow strip"]
    assert spot.own_place
    assert spot.low == 0
    assert spot.high == pytest.approx(20 * 9)


def test_words_that_queries_look_for_and_words_of_everybody_are_not_proposed() -> None:
    heard = posts(*others(), ("where is the lumifern glow strip", 10, "plants", True), ("where is the canopy", 10, "plants", True))
    assert set(found(propose(heard, [X, PLANTS], weeks=1))) == {"canopy"}


def test_chinese_runs_are_found_too() -> None:
    heard = posts(*others(), ("流光灯带一直闪", 12, "plants", True), ("流萤蕨的流光灯带坏了", 12, "x", True))
    assert any("流光" in term or "灯带" in term for term in found(propose(heard, [X, PLANTS], weeks=1)))


def test_one_author_makes_no_word_of_the_brand() -> None:
    heard = posts(*others(), ("the glow strip flickers", 10, "plants", True))
    by_one = [Post(id=p.id, text=p.text, source=p.source, author=1, names_topic=p.names_topic) for p in heard]
    assert propose(by_one, [X, PLANTS], weeks=1).found == ()


@pytest.mark.parametrize(
    ("sources", "why"),
    [([PLANTS], "No source searches for words"), ([X], "Every source searches for words"), ([X, PLANTS], "too few to tell")],
)
def test_where_nothing_can_be_told_it_says_why(sources: list[SourceSettings], why: str) -> None:
    heard = posts(("the glow strip flickers", 10, sources[-1].name, True))
    assert why in propose(heard, sources, weeks=1).why_none


@pytest.mark.parametrize("text", ["!" * 40_000, "glow strip " * 4_000, "流光" * 20_000, "\u202e" * 40_000, ""])
def test_any_text_is_taken(text: str) -> None:
    assert (
        propose([*posts(*others()), Post(id=999, text=text, source="x", author=None, names_topic=True)], [X, PLANTS], weeks=1).found == ()
    )


@pytest.mark.parametrize(
    ("network", "query", "terms"),
    [
        ("x", 'Lumifern OR "Fern Lamp" -giveaway -from:lumifern lang:en', {"lumifern", "fern lamp"}),
        ("x", "(#lumifern OR @lumifern) NOT jobs", {"lumifern"}),
        ("reddit", "r/lumifern+houseplants", set()),
        ("reddit", "r/smarthome lumifern", {"lumifern"}),
        ("feed", "https://feeds.example/lumifern", set()),
    ],
)
def test_a_query_is_read_for_the_words_that_it_looks_for(network: str, query: str, terms: set[str]) -> None:
    assert set(search_terms(SourceSettings(name="s", network=network, query=query))) == terms


def test_a_word_is_added_where_the_network_knows_or() -> None:
    assert with_term(X, "glow strip") == 'lumifern OR 流萤蕨 OR "glow strip"'
    assert with_term(SourceSettings(name="hn", network="hackernews", query="lumifern"), "canopy") is None


WANTED = SourceSettings(name="x", network="x", wanted="~lumifern (flickers OR died)")
STRIPS = (*others(), ("the glow strip flickers", 10, "plants", True), ("my lumifern strip died", 40, "x", True))


def test_a_query_in_our_own_language_is_what_its_source_listens_for() -> None:
    spots = found(propose(posts(*STRIPS), [WANTED, PLANTS], weeks=1))
    assert "strip" in spots
    assert not any("lumifern" in term for term in spots)


def test_what_a_saved_query_listens_for_is_no_blind_spot() -> None:
    saved = {"x": [read('"glow strip" OR canopy')]}
    assert found(propose(posts(*STRIPS), [WANTED, PLANTS], weeks=1, saved=saved)) == {}
    assert found(propose(posts(*STRIPS), [X, PLANTS], weeks=1, saved=saved)) == {}


def test_a_place_that_is_heard_whole_stays_so_with_a_saved_query_beside_it() -> None:
    saved = {"plants": [read("watering")]}
    assert "strip" in found(propose(posts(*STRIPS), [WANTED, PLANTS], weeks=1, saved=saved))


def test_one_more_word_for_a_query_of_ours_is_a_query_to_save() -> None:
    assert with_term(WANTED, "canopy") is None
