"""The demo's networks keep the true list, and speak as X and Reddit do."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from fake_networks.fixtures import NOW, FakeNetwork

from earshot.demo.networks import reddit, x
from earshot.demo.networks.search import QueryError, Seen, compile_query
from earshot.demo.networks.world import Post, World


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


def signed(network: FakeNetwork, handle: str) -> dict[str, str]:
    return {"authorization": f"Bearer {network.world.token(network.name, handle)}"}


def x_get(http: requests.Session, network: FakeNetwork, path: str, **params: Any) -> Any:
    key = network.world.secrets("x")["bearer_token"]
    return http.get(network.url + path, params=params, headers={"authorization": f"Bearer {key}"}, timeout=5).json()


def says(query: str, text: str, **post: Any) -> bool:
    given = {"network": "x", "native_id": "1", "author": "ann", "text": text, "at": NOW, "thread": "1"} | post
    return compile_query(query)(Seen(Post(**given), text, ""))


# the world


def test_the_same_calls_make_the_same_world() -> None:
    def build() -> tuple[list[str], str]:
        world = World(seed=7)
        first = world.post("x", "ann", "hello", at=NOW)
        world.post("x", "bob", "hi", at=NOW, reply_to=first)
        world.post("reddit", "ann", "hello", at=NOW, title="Hello")
        return [*world.ids("x"), *world.ids("reddit")], world.token("x", "ann")

    assert build() == build()


def test_ids_only_grow_even_when_time_stands_still_or_goes_back() -> None:
    world = World()
    for network in ("x", "reddit"):
        ids = [world.post(network, "ann", str(n), at=NOW - timedelta(hours=n % 3), title="t") for n in range(20)]
        assert world.ids(network) == ids
        assert len(set(ids)) == 20
    assert [int(i) for i in world.ids("x")] == sorted(int(i) for i in world.ids("x"))


def test_a_hundred_authors_may_post_at_once() -> None:
    world = World()
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: world.post("x", f"author{n % 10}", str(n), at=NOW), range(400)))
    assert sorted(made) == sorted(world.ids("x"))
    assert len(set(made)) == 400


def test_what_stands_under_our_account_is_counted() -> None:
    world = World()
    asked = world.post("x", "ann", "how?", at=NOW)
    kept, gone = (world.post("x", "lumifern", text, at=NOW, reply_to=asked) for text in ("so", "no"))
    world.delete("x", gone)
    assert [post.native_id for post in world.replies()] == [kept]
    assert gone in world.ids("x")


# people of the network act over HTTP


def test_an_author_posts_on_x_with_a_token_of_her_own(x_network: FakeNetwork, http: requests.Session) -> None:
    asked = x_network.post("a question", author="ann")
    ours = x_network.world.post("x", "lumifern", "Hold the ring.", at=NOW, reply_to=asked)
    body = {"text": "thanks, that worked", "reply": {"in_reply_to_tweet_id": ours}}
    answer = http.post(f"{x_network.url}/2/tweets", json=body, headers=signed(x_network, "ann"), timeout=5)
    assert answer.status_code == 201
    post = x_network.world.find("x", answer.json()["data"]["id"])
    assert post is not None
    assert (post.author, post.parent, post.thread, post.text) == ("ann", ours, asked, "thanks, that worked")
    assert http.delete(f"{x_network.url}/2/tweets/{post.native_id}", headers=signed(x_network, "bob"), timeout=5).status_code == 403
    assert http.delete(f"{x_network.url}/2/tweets/{post.native_id}", headers=signed(x_network, "ann"), timeout=5).json() == {
        "data": {"deleted": True}
    }


def test_an_author_comments_and_submits_on_reddit_with_a_token_of_his_own(reddit_network: FakeNetwork, http: requests.Session) -> None:
    asked = reddit_network.post("a question", author="ann")
    body = {"thing_id": asked, "text": "me too", "api_type": "json"}
    answer = http.post(f"{reddit_network.url}/api/comment", data=body, headers=signed(reddit_network, "bob"), timeout=5).json()
    made = answer["json"]["data"]["things"][0]["data"]
    assert (made["author"], made["parent_id"], made["body"]) == ("bob", asked, "me too")
    body = {"sr": "gadgets", "title": "Look", "text": "a lamp", "kind": "self"}
    answer = http.post(f"{reddit_network.url}/api/submit", data=body, headers=signed(reddit_network, "bob"), timeout=5).json()
    post = reddit_network.world.find("reddit", answer["json"]["data"]["name"])
    assert post is not None
    assert (post.place, post.title, post.author) == ("gadgets", "Look", "bob")


@pytest.mark.parametrize("header", ["", "Bearer nobody", "Basic abc", 'OAuth oauth_token="x"'])
def test_strangers_stay_outside(x_network: FakeNetwork, reddit_network: FakeNetwork, http: requests.Session, header: str) -> None:
    for url in (f"{x_network.url}/2/users/me", f"{reddit_network.url}/api/v1/me"):
        assert http.get(url, headers={"authorization": header}, timeout=5).status_code == 401


def test_our_application_without_an_account_may_not_post(x_network: FakeNetwork, http: requests.Session) -> None:
    key = x_network.world.secrets("x")["bearer_token"]
    answer = http.post(f"{x_network.url}/2/tweets", json={"text": "hi"}, headers={"authorization": f"Bearer {key}"}, timeout=5)
    assert (answer.status_code, answer.json()["title"]) == (403, "Unsupported Authentication")


def test_pages_that_people_see_are_inert(x_network: FakeNetwork, reddit_network: FakeNetwork, http: requests.Session) -> None:
    hostile = "<script>alert(1)</script>"
    for network in (x_network, reddit_network):
        posted = network.world.post(network.name, "ann", hostile, at=NOW, title=hostile)
        path = f"/ann/status/{posted}" if network is x_network else f"/r/lumifern/comments/{posted[3:]}/_/"
        page = http.get(network.url + path, timeout=5)
        assert page.status_code == 200
        assert "<script" not in page.text
        assert "&lt;script&gt;" in page.text


# X's words


def test_tweets_are_looked_up_in_pairs_of_data_and_errors(x_network: FakeNetwork, http: requests.Session) -> None:
    here = x_network.post("here")
    gone = x_network.post("gone")
    x_network.world.delete("x", gone)
    body = x_get(http, x_network, "/2/tweets", ids=f"{here},{gone}", expansions="author_id")
    assert [item["id"] for item in body["data"]] == [here]
    assert [error["resource_id"] for error in body["errors"]] == [gone]
    assert body["includes"]["users"][0]["username"] == "ann"
    assert "data" not in x_get(http, x_network, f"/2/tweets/{gone}")
    assert x_get(http, x_network, "/2/users/by/username/ann")["data"]["username"] == "ann"


def test_fields_come_only_when_asked_for(x_network: FakeNetwork, http: requests.Session) -> None:
    x_network.post("hello")
    bare = x_get(http, x_network, "/2/tweets/search/recent", query="lumifern")["data"][0]
    assert set(bare) == {"id", "text", "edit_history_tweet_ids"}


@pytest.mark.parametrize(("name", "value"), [("max_results", "5"), ("max_results", "many"), ("next_token", "?"), ("query", "(a")])
def test_a_bad_parameter_is_named(x_network: FakeNetwork, http: requests.Session, name: str, value: str) -> None:
    body = x_get(http, x_network, "/2/tweets/search/recent", **({"query": "lumifern"} | {name: value}))
    assert list(body["errors"][0]["parameters"]) == [name]


@pytest.mark.parametrize(
    ("query", "text", "found"),
    [
        ("lamp", "My LAMP!", True),
        ("lamp", "lampshade", False),
        ("fern lamp", "a lamp like a fern", True),
        ('"fern lamp"', "a lamp like a fern", False),
        ('"fern lamp"', "my Fern  Lamp", True),
        ("lamp OR hub", "the hub", True),
        ("lamp -hub", "lamp and hub", False),
        ("(lamp OR hub) red", "hub blinks red", True),
        ("(lamp OR hub) red", "hub blinks", False),
        ("@lumifern", "@Lumifern help", True),
        ("@lumifern", "lumifern help", False),
        ("from:ann", "anything", True),
        ("-from:ann", "anything", False),
        ("-is:retweet", "anything", True),
        ("lang:zh", "anything", False),
        ("流萤蕨", "我的流萤蕨灯坏了", True),
        ("-(lamp OR hub)", "strip", True),
    ],
)
def test_words_find_what_they_say(query: str, text: str, found: bool) -> None:
    assert says(query, text) is found


@pytest.mark.parametrize("query", ["", "(", "a OR", ")", "a )", "(" * 30 + "a" + ")" * 30])
def test_words_that_do_not_parse_are_refused(query: str) -> None:
    with pytest.raises(QueryError):
        compile_query(query)


# Reddit's words


def reddit_get(http: requests.Session, network: FakeNetwork, path: str, **params: Any) -> Any:
    return http.get(network.url + path, params=params, headers=signed(network, "ann"), timeout=5).json()


def test_below_a_post_that_is_gone_a_listing_goes_on_and_above_it_there_is_nothing(
    reddit_network: FakeNetwork, http: requests.Session
) -> None:
    posted = [reddit_network.post(f"number {n}") for n in range(6)]
    above = reddit_get(http, reddit_network, "/r/lumifern/new", before=posted[2], raw_json=1)
    assert [thing["data"]["name"] for thing in above["data"]["children"]] == posted[:2:-1]
    reddit_network.world.delete("reddit", posted[2])
    assert reddit_get(http, reddit_network, "/r/lumifern/new", before=posted[2])["data"]["children"] == []
    below = reddit_get(http, reddit_network, "/r/lumifern/new", after=posted[2])
    assert [thing["data"]["name"] for thing in below["data"]["children"]] == posted[1::-1]


def test_what_is_deleted_is_still_told_by_id_without_its_words(reddit_network: FakeNetwork, http: requests.Session) -> None:
    posted = reddit_network.post("secret")
    reddit_network.world.delete("reddit", posted)
    (thing,) = reddit_get(http, reddit_network, "/api/info", id=posted)["data"]["children"]
    assert (thing["data"]["author"], thing["data"]["selftext"]) == ("[deleted]", "[deleted]")
    assert "author_fullname" not in thing["data"]


def test_text_is_escaped_unless_asked_for_raw(reddit_network: FakeNetwork, http: requests.Session) -> None:
    posted = reddit_network.post("a < b")
    for raw, text in (({}, "lumifern: a &lt; b"), ({"raw_json": 1}, "lumifern: a < b")):
        (thing,) = reddit_get(http, reddit_network, "/api/info", id=posted, **raw)["data"]["children"]
        assert thing["data"]["selftext"] == text


def test_a_thread_is_a_submission_and_its_comments(reddit_network: FakeNetwork, http: requests.Session) -> None:
    root = reddit_network.post("a question")
    below = [reddit_network.world.post("reddit", "bob", str(n), at=NOW, reply_to=root) for n in range(3)]
    first, second = reddit_get(http, reddit_network, f"/comments/{root[3:]}")
    assert [thing["data"]["name"] for thing in first["data"]["children"]] == [root]
    assert {thing["data"]["name"] for thing in second["data"]["children"]} == set(below)


def test_an_edit_shows_and_likes_add_up(reddit_network: FakeNetwork, http: requests.Session) -> None:
    posted = reddit_network.post("first")
    reddit_network.world.edit("reddit", posted, "second", at=NOW + timedelta(minutes=1))
    reddit_network.world.like("reddit", posted, likes=4)
    (thing,) = reddit_get(http, reddit_network, "/api/info", id=posted)["data"]["children"]
    assert (thing["data"]["selftext"], thing["data"]["score"], bool(thing["data"]["edited"])) == ("second", 5, True)


# ports


def test_each_network_serves_on_a_port_of_its_own_and_lets_go_of_it(http: requests.Session) -> None:
    world = World(clock=lambda: datetime(2026, 5, 4, tzinfo=UTC))
    with x.serve(world) as on_x, reddit.serve(world) as on_reddit:
        assert on_x.port != on_reddit.port
        assert http.get(f"{on_x.url}/2/users/me", timeout=5).status_code == 401
    with pytest.raises(requests.ConnectionError):
        http.get(f"{on_x.url}/2/users/me", timeout=5)
