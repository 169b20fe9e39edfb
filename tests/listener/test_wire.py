"""How our sources travel, where that is not already seen in `test_every_source.py`."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from fake_networks.faults import answers
from fake_networks.fixtures import NOW, FakeNetwork, read_all

from earshot.errors import SourceConfused, SourceRefused, SourceUnavailable
from listener import wire
from listener.wire import Wire, clean, retry_at, session, variable


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost, made afresh; the key never leaves the test's folder."""
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    made = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    subprocess.run(
        [*made.split(), "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert], check=True, capture_output=True
    )
    return key, cert


@pytest.fixture
def tls_port(paper: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    key, cert = paper
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with HTTPServer(("127.0.0.1", 0), Hello) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(cert))
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_certificate_of_another_host_is_refused_for_a_person_to_look(tls_port: int) -> None:
    with session(Wire(name="x")) as travels:
        assert travels.get(f"https://localhost:{tls_port}/").text == "hello"
        with pytest.raises(SourceRefused, match="certificate"):
            travels.get(f"https://127.0.0.1:{tls_port}/")


def test_a_redirect_takes_no_key_elsewhere(x_network: FakeNetwork, reddit_network: FakeNetwork) -> None:
    x_network.faults.on(x_network.reads, answers(307, headers={"location": f"{reddit_network.url}/2/tweets/search/recent"}))
    with pytest.raises(SourceConfused, match="x:"):
        x_network.source().fetch(None, now=NOW)
    assert reddit_network.faults.calls == []


def test_a_sign_in_that_grew_old_is_renewed_with_the_next_call(reddit_network: FakeNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    posted = reddit_network.post("hello")
    source = reddit_network.source()
    read_all(source)
    monkeypatch.setattr("listener.reddit._FRESH_SECONDS", 0.0)
    reddit_network.faults.on(reddit_network.reads, answers(401))
    with pytest.raises(SourceUnavailable, match="expired"):
        source.fetch(None, now=NOW)
    assert [mention.native_id for mention in read_all(source)[0]] == [posted]
    assert reddit_network.faults.count("/api/v1/access_token") == 2


def test_the_variable_of_a_secret_is_the_one_that_settings_read() -> None:
    assert variable("my-x", "bearer_token") == "EARSHOT_SECRET_MY_X_BEARER_TOKEN"


@pytest.mark.parametrize(("dirty", "text"), [("a\0b", "ab"), ("half \ud83d pair", "half ? pair"), ("灯 😀", "灯 😀")])
def test_text_is_cleaned_of_what_databases_refuse(dirty: str, text: str) -> None:
    assert clean(dirty) == text


@pytest.mark.parametrize("nothing", [None, 7, b"bytes", ["list"]])
def test_what_is_no_text_is_no_text(nothing: object) -> None:
    with pytest.raises(TypeError):
        clean(nothing)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254"])
def test_a_stranger_s_server_is_visited_on_the_public_internet_only(x_network: FakeNetwork, host: str) -> None:
    """Incident 17."""
    port = x_network.url.rpartition(":")[2]
    with session(Wire(name="x", only_public=True, deadline=2.0)) as travels, pytest.raises(SourceRefused, match="allow_private"):
        travels.get(f"http://{host}:{port}/")
    assert x_network.faults.calls == []


def test_one_private_address_among_public_ones_spoils_a_name(x_network: FakeNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    """Incident 17."""
    monkeypatch.setattr(wire, "resolve", lambda *_: ["1.1.1.1", "127.0.0.1"])
    with session(Wire(name="x", only_public=True)) as travels, pytest.raises(SourceRefused, match="allow_private"):
        travels.get(f"http://mixed.example:{x_network.url.rpartition(':')[2]}/")
    assert x_network.faults.calls == []


def test_a_name_is_resolved_once_and_the_checked_address_is_the_one_connected_to(
    x_network: FakeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Incident 17: a name that leads elsewhere by the second look (DNS rebinding). Here 127.0.0.1 stands for the public internet."""
    looks = iter([["127.0.0.1"], ["10.0.0.1"]])
    monkeypatch.setattr(wire, "resolve", lambda *_: next(looks))
    monkeypatch.setattr(wire, "is_public", lambda address: address == "127.0.0.1")
    with session(Wire(name="x", only_public=True)) as travels:
        travels.get(f"http://rebinding.example:{x_network.url.rpartition(':')[2]}/hello")
    assert x_network.faults.count("/hello") == 1
    assert next(looks) == ["10.0.0.1"]


def test_a_stranger_s_server_without_a_name_is_unavailable() -> None:
    with session(Wire(name="x", only_public=True)) as travels, pytest.raises(SourceUnavailable, match="cannot be reached"):
        travels.get("https://nobody.invalid/")


def test_a_window_may_end_after_seconds_or_at_a_date() -> None:
    now = datetime.now(UTC)
    then = now + timedelta(minutes=10)
    for value in ("600", str(round(then.timestamp())), then.isoformat(), f"{then.replace(tzinfo=None).isoformat()}Z"):
        until = retry_at({"x-ratelimit-reset": value})
        assert until is not None
        assert abs(until - then) < timedelta(seconds=5)
