"""What only X's filtered stream has: rules, one connection for a key, and words at its end."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from fake_networks.faults import answers, says_first
from fake_networks.fixtures import NOW, FakeNetwork, read_all

from earshot.errors import SourceRefused
from listener import live
from listener.source import Source

STREAM, RULES = "/2/tweets/search/stream$", "/2/tweets/search/stream/rules"
OURS = "((lumifern) OR @lumifern) -from:lumifern"


@pytest.fixture(autouse=True)
def short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "STRETCH_SECONDS", 0.2)


def rules(network: FakeNetwork, **body: Any) -> list[dict[str, str]]:
    """The rules that stand, after what `body` asks for."""
    headers = {"authorization": f"Bearer {network.world.secrets('x')['bearer_token']}"}
    if body:
        requests.post(network.url + RULES, json=body, headers=headers, timeout=5).raise_for_status()
    found: list[dict[str, str]] = requests.get(network.url + RULES, headers=headers, timeout=5).json().get("data", [])
    return found


def hear(source: Source, cursor: str | None = None) -> tuple[list[str], str | None]:
    """What comes until the stream is silent."""
    mentions, cursor, _ = read_all(source, cursor)
    return [mention.text for mention in mentions], cursor


def test_the_query_becomes_one_rule_under_our_tag(x_network: FakeNetwork) -> None:
    hear(x_network.source(stream=True))
    assert [(rule["value"], rule["tag"]) for rule in rules(x_network)] == [(OURS, "earshot:x")]


def test_a_rule_that_stands_is_not_made_again_and_an_old_one_of_ours_goes(x_network: FakeNetwork) -> None:
    other = {"value": "somebody elses words", "tag": "other"}
    rules(x_network, add=[{"value": "what we looked for", "tag": "earshot:x"}, other])
    for _ in range(2):
        source = x_network.source(stream=True)
        hear(source)
        source.close()
    assert {(rule["value"], rule["tag"]) for rule in rules(x_network)} == {(OURS, "earshot:x"), ("somebody elses words", "other")}
    assert sum(call == ("POST", RULES) for call in x_network.faults.calls) == 3  # ours of this test, one added, one deleted


def test_a_rule_with_our_words_under_another_tag_serves_as_well(x_network: FakeNetwork) -> None:
    rules(x_network, add=[{"value": OURS, "tag": "made by hand"}])
    source = x_network.source(stream=True)
    _, cursor = hear(source)
    x_network.post("hello")
    assert hear(source, cursor)[0] == ["lumifern: hello"]
    assert len(rules(x_network)) == 1


def test_what_only_the_rules_of_others_bring_is_dropped_and_counted(x_network: FakeNetwork) -> None:
    rules(x_network, add=[{"value": "weather", "tag": "other"}])
    source = x_network.source(stream=True)
    _, cursor = hear(source)
    x_network.world.post("x", "ann", "fine weather", at=NOW)
    _, _, pages = read_all(source, cursor)
    assert [page.mentions for page in pages if page.mentions] == []
    assert sum(page.spent for page in pages) == 1


def test_rules_that_vanish_meanwhile_cost_no_post(x_network: FakeNetwork) -> None:
    source = x_network.source(stream=True, every=10)
    _, cursor = hear(source)
    rules(x_network, delete={"ids": [rule["id"] for rule in rules(x_network)]})
    x_network.post("nobody streams this")
    _, cursor = hear(source, cursor)
    mentions, _, _ = read_all(source, cursor, now=NOW.replace(second=11))
    assert [mention.text for mention in mentions] == ["lumifern: nobody streams this"]


def test_after_an_hour_the_line_is_opened_anew_and_the_rules_are_set_right(x_network: FakeNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    source = x_network.source(stream=True)
    _, cursor = hear(source)
    rules(x_network, delete={"ids": [rule["id"] for rule in rules(x_network)]})
    x_network.post("nobody streams this")
    monkeypatch.setattr(live, "LONGEST_LINE", 0.0)
    assert source.fetch(cursor, now=NOW).mentions
    assert [rule["value"] for rule in rules(x_network)] == [OURS]


@pytest.mark.parametrize("query", ["(lumifern", "lumifern " * 100])
def test_a_query_that_is_no_rule_is_refused_in_xs_words(x_network: FakeNetwork, query: str) -> None:
    x_network.faults.on("/search/recent", answers(200, body=b'{"meta": {"result_count": 0}}'), forever=True)
    with pytest.raises(SourceRefused, match=r"rule of its stream.*stream = true away: ."):
        hear(x_network.source(stream=True, query=query))


def test_too_many_rules_are_refused_in_xs_words(x_network: FakeNetwork) -> None:
    rules(x_network, add=[{"value": f"word{n}"} for n in range(25)])
    with pytest.raises(SourceRefused, match="RulesCapExceeded"):
        hear(x_network.source(stream=True))


def test_a_second_stream_of_one_key_waits_and_is_heard_by_polls(x_network: FakeNetwork) -> None:
    first = x_network.source(stream=True)
    hear(first)
    second = x_network.source(stream=True)
    x_network.post("heard by both")
    page = second.fetch(None, now=NOW)
    assert [mention.text for mention in page.mentions] == ["lumifern: heard by both"]
    assert "maximum allowed connection limit" in page.trouble
    assert not page.more
    assert page.again is not None
    assert 0 < page.again <= 60


def test_a_key_that_is_refused_says_which(x_network: FakeNetwork) -> None:
    x_network.faults.on(RULES, answers(401), forever=True)
    with pytest.raises(SourceRefused, match="EARSHOT_SECRET_X_BEARER_TOKEN"):
        hear(x_network.source(stream=True))


def test_what_x_says_before_it_hangs_up_is_logged_and_not_taken_for_a_post(
    x_network: FakeNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    told = b'{"errors": [{"title": "operational-disconnect", "disconnect_type": "UpstreamOperationalDisconnect"}]}\r\n'
    x_network.faults.on(STREAM, says_first(told))
    hear(x_network.source(stream=True))
    assert "operational-disconnect" in capsys.readouterr().out
