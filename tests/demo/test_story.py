"""The story keeps what it promises: enough people, enough posts, hardly two alike, and labels that follow the guide."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from rapidfuzz import fuzz, process

from earshot.case import Tier
from earshot.demo.networks.search import Seen, compile_query
from earshot.demo.networks.world import Post
from earshot.demo.stage import QUERIES
from earshot.demo.story import DAYS, ENDS, HELD_BACK, Happening, Labels, Story, live_from, read_story, with_a_rush
from earshot.storage.accounts import Role
from earshot.web.drafts import counted

ALIKE = 85


@pytest.fixture(scope="module")
def story() -> Story:
    return read_story()


def test_there_are_enough_people_posts_and_articles(story: Story) -> None:
    assert len({h.text for h in story.written}) >= 800
    assert sum(h.lang == "zh" for h in story.written) >= 130
    assert len({(h.network, h.author) for h in story.written}) >= 300
    assert sum(i.role is Role.SUPER_USER for i in story.insiders) == 40
    assert len(story.articles) == 30
    assert len(story.happenings) >= 2_000


def test_hardly_any_two_written_posts_are_alike(story: Story) -> None:
    chinese = [_words(h) for h in story.written if h.lang == "zh"]
    others = [_words(h) for h in story.written if h.lang != "zh"]
    alike = _with_a_partner(chinese, fuzz.ratio) + _with_a_partner(others, fuzz.token_set_ratio)
    assert alike < 0.005 * len(story.written)


def _words(happening: Happening) -> str:
    return f"{happening.title or ''} {happening.text}".strip().lower()


def _with_a_partner(texts: Sequence[str], scorer: object) -> int:
    scores = process.cdist(texts, texts, scorer=scorer, score_cutoff=ALIKE)  # type: ignore[arg-type]
    return int(((scores >= ALIKE).sum(axis=1) > 1).sum())


def test_the_story_fills_two_weeks_and_keeps_enough_for_the_last_day(story: Story) -> None:
    assert all(timedelta(0) <= h.at < ENDS for h in story.happenings)
    assert {h.at.days for h in story.happenings} == set(range(DAYS))
    assert sum(h.at.days == DAYS - 1 for h in story.happenings) >= 60


def test_the_outage_floods(story: Story) -> None:
    by_day = [sum(h.at.days == day for h in story.happenings) for day in range(DAYS)]
    assert max(by_day) == by_day[8] > 3 * sorted(by_day)[-2]


def test_everybody_who_posts_is_known_and_nothing_is_answered_before_it_was_posted(story: Story) -> None:
    known = {(c.network, c.handle) for c in story.characters}
    assert {(h.network, h.author) for h in story.happenings} <= known
    at = {h.key: h.at for h in story.happenings}
    assert len(at) == len(story.happenings)
    assert all(at[earlier] < h.at for h in story.happenings for earlier in (h.reply_to, h.repost_of) if earlier)


def test_our_sources_ask_for_everything_that_is_posted_on_x(story: Story) -> None:
    matches = compile_query(QUERIES["x"])
    authors = {h.key: h.author for h in story.happenings}
    unheard = [h.key for h in story.happenings if h.network == "x" and not matches(_seen(h, authors))]
    assert unheard == []


def _seen(happening: Happening, authors: dict[str, str]) -> Seen:
    at = timedelta(0)
    post = Post(network="x", native_id="1", author=happening.author, text=happening.text, at=at, thread="1")  # type: ignore[arg-type]
    return Seen(post, happening.text, authors.get(happening.reply_to or "", ""))


def test_what_helpers_write_fits_where_it_goes(story: Story) -> None:
    on_x = [h for h in story.written if h.network == "x"]
    assert all(counted(text, "x") <= 280 for h in on_x for text in (h.answer, h.verdict) if text)
    assert all(counted(text, "x") <= 280 for texts in story.staff_answers.values() for text in texts)
    assert {lang for lang, _ in story.staff_answers} == {"en", "zh"}


def test_only_what_a_customer_can_know_has_a_customers_answer(story: Story) -> None:
    assert all(h.labels.needs == "common" for h in story.written if h.answer)
    assert all(h.answer for h in story.written if h.verdict)


@pytest.mark.parametrize(
    ("labels", "tier"),
    [
        (Labels(), Tier.NONE),
        (Labels(needs="common"), Tier.COMMUNITY),
        (Labels(needs="common", anger=2), Tier.TIER_1),
        (Labels(needs="account"), Tier.TIER_1),
        (Labels(needs="specialist", anger=2), Tier.TIER_2),
        (Labels(needs="common", intent="cancel"), Tier.TIER_1),
        (Labels(needs="none", risk="safety"), Tier.TIER_1),
        (Labels(needs="common", risk="privacy"), Tier.TIER_1),
    ],
)
def test_the_labels_say_who_should_answer(labels: Labels, tier: Tier) -> None:
    assert labels.tier is tier


def test_the_same_seed_grows_the_same_story(story: Story) -> None:
    assert read_story() == story
    assert read_story(seed=8).happenings != story.happenings


def test_the_visitor_comes_at_a_busy_hour_and_much_is_still_to_come(story: Story) -> None:
    rushed = with_a_rush(story)
    comes = live_from(rushed)
    assert sum(h.at >= comes for h in rushed.happenings) >= HELD_BACK
    assert sum(comes - timedelta(hours=3) <= h.at < comes for h in rushed.happenings) >= 50
    assert [h.key for h in rushed.happenings] == [h.key for h in story.happenings]
    assert [h.at for h in rushed.happenings] == sorted(h.at for h in rushed.happenings)
