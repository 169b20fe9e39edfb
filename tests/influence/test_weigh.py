"""How far a voice carries: a percentile that means what it says, and unknown is not zero."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earshot.mention import Author, Mention
from influence.weigh import Population, default_population, explain, weigh

AT = datetime(2026, 11, 3, tzinfo=UTC)


def a_mention(
    followers: int | None = None, likes: int | None = None, *, network: str = "x", number: int = 1, reposts: int | None = None
) -> Mention:
    author = Author(network=network, native_id=str(number), handle="h", followers=followers)
    return Mention(network=network, native_id=str(number), author=author, text="…", url="", posted_at=AT, likes=likes, reposts=reposts)


def influence(mention: Mention) -> float:
    return weigh([mention], default_population())[0].value


def test_more_followers_carry_farther() -> None:
    values = [score.value for score in weigh([a_mention(10**power) for power in range(8)], default_population())]
    assert values == sorted(values)
    assert values[0] < 0.2
    assert values[-1] > 0.99


def test_of_two_equal_audiences_the_livelier_carries_farther() -> None:
    assert influence(a_mention(500, 300)) > influence(a_mention(500, 3)) > influence(a_mention(500, 0))
    assert influence(a_mention(500, 0, reposts=50)) > influence(a_mention(500, 50))


def test_the_same_count_weighs_by_its_network() -> None:
    assert influence(a_mention(1000, network="mastodon")) > influence(a_mention(1000, network="reddit"))


def test_unknown_is_not_zero_and_says_so() -> None:
    [score] = weigh([a_mention()], default_population())
    assert (score.label, score.value, score.confidence) == ("unknown", 0.5, 0.0)
    nobody = Mention(network="file", native_id="1", author=None, text="", url="", posted_at=AT)
    assert weigh([nobody], default_population())[0].confidence == 0


def test_the_more_a_network_tells_the_surer() -> None:
    sure = [score.confidence for score in weigh([a_mention(), a_mention(None, 5), a_mention(5), a_mention(5, 5)], default_population())]
    assert sure == sorted(sure)
    assert len(set(sure)) == 4


@pytest.mark.parametrize(("followers", "label"), [(10**7, "top 0.1 %"), (30, "lower half"), (3_000, "top 10 %")])
def test_the_label_is_what_a_person_reads(followers: int, label: str) -> None:
    assert weigh([a_mention(followers)], default_population())[0].label == label


@given(
    st.lists(st.tuples(st.none() | st.integers(), st.none() | st.integers(), st.text(min_size=1, max_size=3))),
)
def test_whatever_a_network_tells_the_score_is_a_percentile(rows: list[tuple[int | None, int | None, str]]) -> None:
    mentions = [a_mention(followers, likes, network=network) for followers, likes, network in rows]
    scores = weigh(mentions, default_population())
    assert len(scores) == len(mentions)
    assert all(0 <= score.value <= 1 for score in scores)


def test_a_number_beyond_all_people_is_no_crash() -> None:
    assert influence(a_mention(10**400, 10**400)) > 0.9


def test_a_refreshed_population_makes_top_5_percent_mean_5_percent() -> None:
    draw = random.Random(7)
    mentions = [a_mention(int(draw.lognormvariate(9, 1)), int(draw.lognormvariate(3, 1)), number=number) for number in range(4000)]
    values = [score.value for score in weigh(mentions, Population.of(mentions))]
    for share in (0.5, 0.25, 0.05, 0.01):
        assert sum(value >= 1 - share for value in values) / len(values) == pytest.approx(share, rel=0.35, abs=0.005)


def test_a_network_with_few_authors_keeps_the_shipped_population() -> None:
    assert Population.of([a_mention(5, 5)] * 5000).reach == default_population().reach


def test_where_most_draw_no_reaction_that_is_the_middle_of_the_crowd() -> None:
    mentions = [a_mention(100, 0 if number % 10 else 5, number=number) for number in range(1000)]
    quiet = explain(mentions[1], Population.of(mentions))[1]
    assert quiet.percentile == pytest.approx(0.45, abs=0.03)


def test_each_factor_is_explained_in_words() -> None:
    reach, resonance = explain(a_mention(12_000, 30), default_population())
    assert reach.words == "12,000 followers: top 5 %"
    assert resonance.words.startswith("30 likes: ")
    reach, resonance = explain(a_mention(network="hackernews"), default_population())
    assert (reach.percentile, resonance.percentile) == (None, None)
    assert reach.words == "hackernews does not tell how many the author reaches"
