"""The conversation around a post: in reading order, from every network that shows it."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any, cast

import pytest
from fake_networks.faults import answers, breaks, drips_body, garbles, hangs, rewrites, unpacks_to
from fake_networks.fixtures import NOW, FakeNetwork, read_all

from earshot.errors import SourceConfused, SourceError, SourceRefused, SourceUnavailable
from earshot.mention import Mention
from earshot.registry import load
from listener import SHOW_THREADS, SOURCES, networks, shows_threads
from listener.source import Thread, Threads
from listener.threads import MOST_POSTS, in_reading_order


@pytest.fixture(params=sorted(SHOW_THREADS))
def network(request: pytest.FixtureRequest) -> FakeNetwork:
    found: FakeNetwork = request.getfixturevalue(f"{request.param}_network")
    return found


def around(network: FakeNetwork, native_id: str, **changes: Any) -> Thread:
    heard = {mention.native_id: mention for mention in read_all(network.source())[0]}
    network.faults.calls.clear()
    source = cast(Threads, network.source(**changes))
    return source.around(native_id, thread_id=heard[native_id].thread_id)


def ids(thread: Thread) -> list[str]:
    return [mention.native_id for mention in thread.mentions]


def conversation(network: FakeNetwork) -> list[str]:
    """root, its first answer with an answer of its own, and a second answer; ids in reading order."""
    root = network.post("a question")
    first = network.post("try this", author="bob", reply_to=root, at=NOW + timedelta(minutes=1))
    second = network.post("or that", author="cy", reply_to=root, at=NOW + timedelta(minutes=2))
    below = network.post("did not help", reply_to=first, at=NOW + timedelta(minutes=3))
    return [root, first, below, second]


# what is said which networks do, is so


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_the_networks_that_are_said_to_show_threads_do(name: str) -> None:
    assert hasattr(load(SOURCES, name, kind="source"), "around") == shows_threads(name)


def test_a_network_of_a_package_is_asked_whether_it_shows_threads() -> None:
    assert shows_threads("noticeboard")
    assert set(networks()) >= SHOW_THREADS


# what is shown


@pytest.mark.parametrize("from_which", range(4))
def test_the_whole_conversation_stands_in_reading_order_from_whichever_post(network: FakeNetwork, from_which: int) -> None:
    expected = conversation(network)
    network.post("something else")
    thread = around(network, expected[from_which])
    if network.name == "mastodon":  # shows what is above and below a post
        expected = {0: expected, 1: expected[:3], 2: expected[:3], 3: [expected[0], expected[3]]}[from_which]
    assert ids(thread) == expected


def test_our_own_posts_stand_in_it(network: FakeNetwork) -> None:
    root = network.post("a question")
    ours = network.post("an answer", author=network.world.account, reply_to=root)
    thread = around(network, root)
    assert ids(thread) == [root, ours]


def test_it_costs_two_or_three_calls(network: FakeNetwork) -> None:
    expected = conversation(network)
    around(network, expected[0])
    assert len([path for _, path in network.faults.calls if "access_token" not in path]) <= 2


def test_a_deleted_post_has_no_words(network: FakeNetwork) -> None:
    root, first, below, _ = conversation(network)
    heard = {mention.native_id: mention for mention in read_all(network.source())[0]}
    network.world.delete(network.name, first)
    thread = cast(Threads, network.source()).around(root, thread_id=heard[root].thread_id)
    words = {mention.native_id: mention.text for mention in thread.mentions}
    assert not words.get(first)
    if network.name != "mastodon":  # what hangs on a deleted post hangs on nothing there
        assert words[below]


def test_a_conversation_that_is_gone_says_so(network: FakeNetwork) -> None:
    (root,) = [network.post("regretted")]
    heard = {mention.native_id: mention for mention in read_all(network.source())[0]}
    network.world.delete(network.name, root)
    source = cast(Threads, network.source())
    if network.name == "reddit":  # a deleted submission still stands there, without words
        assert [mention.text for mention in source.around(root, thread_id=root).mentions] == [""]
    else:
        with pytest.raises(SourceConfused, match="any more"):
            source.around(root, thread_id=heard[root].thread_id)


def test_the_id_of_another_network_is_refused_in_words(network: FakeNetwork) -> None:
    for native_id in ("../../admin", "t5_abc", "7@elsewhere.example", "", "１２"):
        with pytest.raises(SourceConfused, match=network.name):
            cast(Threads, network.source()).around(native_id, thread_id=None)


def test_what_we_cannot_read_is_left_out(network: FakeNetwork) -> None:
    root, *_, second = conversation(network)

    def spoil(body: Any) -> Any:
        def walk(node: Any) -> None:
            if isinstance(node, dict):
                if any(isinstance(value, str) and "or that" in value for value in node.values()):
                    for time in ("created_at", "created_utc", "published"):
                        node.pop(time, None)
                for value in node.values():
                    walk(value)
            elif isinstance(node, list):
                for value in node:
                    walk(value)

        walk(body)
        return body

    heard = {mention.native_id: mention for mention in read_all(network.source())[0]}
    where = {"lemmy": "/comment/list", "mastodon": "/context", "reddit": "/comments/", "x": "/search/recent"}[network.name]
    network.faults.on(where, rewrites(spoil))
    thread = cast(Threads, network.source()).around(root, thread_id=heard[root].thread_id)
    assert root in ids(thread)
    assert second not in ids(thread)


@pytest.mark.parametrize(
    "fault",
    [answers(401), answers(403), answers(404), answers(429), answers(500), breaks(), hangs(), drips_body(), garbles(), unpacks_to(2**26)],
    ids=["401", "403", "404", "429", "500", "breaks", "hangs", "drips", "garbles", "bomb"],
)
def test_whatever_goes_wrong_is_said_in_words(network: FakeNetwork, fault: Any) -> None:
    root = network.post("a question")
    heard = {mention.native_id: mention for mention in read_all(network.source())[0]}
    source = cast(Threads, network.source(deadline=0.7))
    network.faults.on("/", fault, forever=True)
    with pytest.raises((SourceUnavailable, SourceRefused, SourceConfused)) as caught:
        source.around(root, thread_id=heard[root].thread_id)
    assert network.name in str(caught.value)
    assert isinstance(caught.value, SourceError)


def test_a_long_thread_of_reddit_ends_and_shows_the_comment_in_question(reddit_network: FakeNetwork) -> None:
    root = reddit_network.post("a question")
    for n in range(300):
        last = reddit_network.post(f"number {n}", reply_to=root, at=NOW + timedelta(seconds=n))
    thread = around(reddit_network, last)
    assert len(thread.mentions) == MOST_POSTS
    assert {root, last} <= set(ids(thread))
    assert "200 posts at most" in thread.left_out
    assert thread.spent == 2


def test_reads_of_x_are_counted_by_post(x_network: FakeNetwork) -> None:
    expected = conversation(x_network)
    assert around(x_network, expected[1]).spent == len(expected) + 2


def test_posts_to_a_few_are_left_out_on_mastodon(mastodon_network: FakeNetwork) -> None:
    root, first, _, _ = conversation(mastodon_network)
    mastodon_network.app.changes[first] = {"visibility": "private"}
    thread = around(mastodon_network, root)
    assert first not in ids(thread)
    assert "not public" in thread.left_out


# the order


def said(native_id: str, parent_id: str | None = None, *, minute: int = 0) -> Mention:
    at = NOW + timedelta(minutes=minute)
    return Mention(network="x", native_id=native_id, author=None, text="", url="", posted_at=at, parent_id=parent_id)


@pytest.mark.parametrize("seed", range(5))
def test_every_post_stands_once_and_below_what_it_answers(seed: int) -> None:
    draw = random.Random(seed)
    posts = [said(str(n), str(draw.randrange(-3, n)) if n else None, minute=draw.randrange(100)) for n in range(150)]
    draw.shuffle(posts)
    ordered = [post.native_id for post in in_reading_order([*posts, *posts[:20]], around="7")]
    assert sorted(ordered) == sorted(post.native_id for post in posts)
    parents = {post.native_id: post.parent_id for post in posts}
    assert all(ordered.index(parent) < ordered.index(child) for child, parent in parents.items() if parent in parents)


def test_posts_that_answer_each_other_or_themselves_are_shown_all_the_same() -> None:
    posts = [said("1", "2"), said("2", "1"), said("3", "3"), said("4")]
    assert {post.native_id for post in in_reading_order(posts, around="1")} == {"1", "2", "3", "4"}


def test_a_thread_that_goes_down_without_end_is_cut_and_breaks_nothing() -> None:
    ordered = in_reading_order([said(str(n), str(n - 1) if n else None) for n in range(20_000)], around="19000")
    assert len(ordered) == MOST_POSTS
    assert "19000" in {post.native_id for post in ordered}
