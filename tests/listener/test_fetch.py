"""Whatever address a stranger gives us, fetching it harms nobody."""

import gzip
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from earshot.demo.networks.serving import Served, serve_app
from earshot.errors import BadInput, SourceConfused, SourceRefused, SourceUnavailable
from listener.fetch import GuardedClient, is_public

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
PRIVATE = """127.0.0.1 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 255.255.255.255
    ::1 :: fe80::1 fd00:ec2::254 ::ffff:127.0.0.1 ::ffff:10.0.0.1 2002:7f00:1:: 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe ff02::1"""
Talk = Callable[[socket.socket], None]


@contextmanager
def listening(talk: Talk, *, tls: ssl.SSLContext | None = None) -> Iterator[tuple[int, list[bytes]]]:
    """A bare server: `talk` plays the answer on every connection. Gives the port and the requests that came."""
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as door:

        def answer() -> None:
            with suppress(OSError):
                while True:
                    line, _ = door.accept()
                    with suppress(OSError), tls.wrap_socket(line, server_side=True) if tls else line as talking:
                        requests.append(talking.recv(65536))
                        talk(talking)

        thread = Thread(target=answer, daemon=True)
        thread.start()
        try:
            yield door.getsockname()[1], requests
        finally:
            door.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def hello(line: socket.socket) -> None:
    line.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")


def at_home(**given: object) -> GuardedClient:
    return GuardedClient(allow_private=True, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("address", PRIVATE.split())
def test_addresses_of_our_own_house_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "0", "[::1]", "[::ffff:127.0.0.1]"),
        *("169.254.169.254", "2852039166", "[::ffff:a9fe:a9fe]"),
    ],
)
def test_a_private_address_in_any_spelling_gets_no_connection(host: str) -> None:
    """Incident 17; the last three are where clouds keep their keys."""
    with listening(hello) as (port, requests):
        with pytest.raises((BadInput, SourceUnavailable)):
            GuardedClient().get(f"http://{host}:{port}/", now=NOW)
        assert requests == []


def test_one_private_address_among_public_ones_spoils_a_name() -> None:
    """Incident 17."""
    client = GuardedClient(resolve=lambda *_: ["1.1.1.1", "127.0.0.1"])
    with pytest.raises(BadInput, match=r"feed\.example.*private.*allow_private"):
        client.get("http://feed.example/", now=NOW)


def test_a_name_is_resolved_once_and_the_checked_address_is_the_one_connected_to() -> None:
    """Incident 17: a name that leads elsewhere by the second look (DNS rebinding)."""
    answers = iter([["127.0.0.1"], ["192.0.2.1"]])
    with listening(hello) as (port, requests):
        fetched = at_home(resolve=lambda *_: next(answers)).get(f"http://rebinding.example:{port}/feed?a=b", now=NOW)
    assert fetched.body == b"hello"
    assert requests[0].startswith(b"GET /feed?a=b HTTP/1.1\r\n")
    assert f"host: rebinding.example:{port}".encode() in requests[0].lower()
    assert next(answers) == ["192.0.2.1"]


def test_a_redirect_to_a_private_address_gets_no_connection() -> None:
    """Incident 17, even where the host that was asked for is a trusted one of our own house: it vouches for nobody else."""
    with listening(hello) as (inner, requests):
        for target in (f"http://localhost:{inner}/", f"http://[::ffff:7f00:1]:{inner}/", "file:///etc/passwd", "gopher://127.0.0.1/"):

            def move(line: socket.socket, target: str = target) -> None:
                line.sendall(f"HTTP/1.1 302 Found\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n".encode())

            with listening(move) as (outer, visits), pytest.raises(BadInput):
                at_home().get(f"http://127.0.0.1:{outer}/", now=NOW)
            assert len(visits) == 1
        assert requests == []


def test_only_web_addresses_are_visited() -> None:
    for address in ("file:///etc/passwd", "ftp://example.org/", "javascript:alert(1)", "//example.org", "http://", "http://[::1", ""):
        with pytest.raises(BadInput):
            at_home().get(address, now=NOW)


def test_an_error_names_the_address_without_its_secrets() -> None:
    with pytest.raises(SourceUnavailable) as caught:
        at_home(deadline=2).get("http://ann:canary@127.0.0.1:9/feed?key=canary", now=NOW)
    assert "127.0.0.1:9/feed" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_bomb_is_stopped_at_the_limit() -> None:
    """10 KB that unpack to ten thousand times as much, and twice packed the same."""
    once = gzip.compress(b"\0" * 2**26)
    for body, encoding in ((once, "gzip"), (gzip.compress(once), "gzip, gzip")):

        def burst(line: socket.socket, body: bytes = body, encoding: str = encoding) -> None:
            line.sendall(f"HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)

        with listening(burst) as (port, _), pytest.raises(SourceConfused):
            at_home(max_bytes=2**20).get(f"http://127.0.0.1:{port}/", now=NOW)


def test_a_document_larger_than_the_limit_is_refused_in_words() -> None:
    def flood(line: socket.socket) -> None:
        line.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            line.sendall(b"x" * 65536)

    with listening(flood) as (port, _), pytest.raises(SourceConfused, match="larger than 1 MiB"):
        at_home(max_bytes=2**20).get(f"http://127.0.0.1:{port}/", now=NOW)


@pytest.mark.parametrize("opening", [b"", b"HTTP/1.1 200 OK\r\nx: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_byte_now_and_then_does_not_outlive_the_deadline(opening: bytes) -> None:
    def drip(line: socket.socket) -> None:
        line.sendall(opening)
        for _ in range(200):
            line.sendall(b"H" if opening else b" ")
            time.sleep(0.05)

    with listening(drip) as (port, _), pytest.raises((SourceUnavailable, SourceConfused)) as caught:
        at_home(deadline=0.4).get(f"http://127.0.0.1:{port}/", now=NOW)
    if opening:
        assert "0.4 s" in str(caught.value)


def test_what_is_not_http_is_said_to_be_so() -> None:
    with listening(lambda line: line.sendall(b"220 mail.example ESMTP\r\n")) as (port, _), pytest.raises(SourceConfused, match="not HTTP"):
        at_home().get(f"http://127.0.0.1:{port}/", now=NOW)


def test_a_body_that_breaks_off_is_not_taken_for_the_whole() -> None:
    def half(line: socket.socket) -> None:
        line.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this")

    with listening(half) as (port, _), pytest.raises((SourceConfused, SourceUnavailable)):
        at_home().get(f"http://127.0.0.1:{port}/", now=NOW)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    async def status(request: Request) -> Response:
        return PlainTextResponse("no", status_code=int(request.path_params["code"]), headers=dict(request.query_params))

    async def headers(request: Request) -> Response:
        return PlainTextResponse("\n".join(f"{name}: {value}" for name, value in request.headers.items()))

    async def move(request: Request) -> Response:
        return RedirectResponse(request.query_params["to"])

    async def packed(request: Request) -> Response:
        return Response(gzip.compress("grüße".encode()), headers={"content-encoding": "gzip"})

    routes = [Route("/status/{code}", status), Route("/headers", headers), Route("/move", move), Route("/packed", packed)]
    with serve_app(Starlette(routes=routes)) as one:
        yield one


def test_a_packed_document_comes_unpacked(served: Served) -> None:
    assert at_home().get(f"{served.url}/packed", now=NOW).body.decode() == "grüße"


def test_credentials_stay_with_the_host_they_were_meant_for(served: Served) -> None:
    secrets = {"Authorization": "canary", "X-Api-Key": "canary", "Cookie": "canary=1", "If-None-Match": '"tag"'}
    home = at_home().get(f"{served.url}/move", params={"to": "/headers"}, headers=secrets, now=NOW)
    assert home.body.count(b"canary") == 3
    with listening(hello) as (port, requests):
        asked = f"{served.url}/move".replace("//", "//ann:canary@")
        at_home().get(asked, params={"to": f"http://127.0.0.1:{port}/"}, headers=secrets, now=NOW)
    assert b"canary" not in requests[0]
    assert b'if-none-match: "tag"' in requests[0]


def test_a_ring_of_redirects_ends() -> None:
    def again(line: socket.socket) -> None:
        line.sendall(b"HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n")

    with listening(again) as (port, requests), pytest.raises(SourceConfused, match="redirects more than 5 times"):
        at_home().get(f"http://127.0.0.1:{port}/", now=NOW)
    assert len(requests) == 6


@pytest.mark.parametrize(
    ("code", "error"),
    [(400, SourceConfused), (401, SourceRefused), (403, SourceRefused), (404, SourceConfused), (410, SourceRefused),
     (408, SourceUnavailable), (429, SourceUnavailable), (500, SourceUnavailable), (503, SourceUnavailable)],
)  # fmt: skip
def test_every_refusal_has_its_error(served: Served, code: int, error: type[Exception]) -> None:
    with pytest.raises(error, match=str(code)):
        at_home().get(f"{served.url}/status/{code}", now=NOW)


@pytest.mark.parametrize(
    ("header", "wait"),
    [("120", 120), ("Mon, 04 May 2026 12:05:00 GMT", 300), ("Mon, 04 May 2020 12:05:00 GMT", 0), ("9" * 400, 86400), ("soon", None)],
)
def test_a_network_that_names_its_hour_is_heard(served: Served, header: str, wait: int | None) -> None:
    with pytest.raises(SourceUnavailable) as caught:
        at_home().get(f"{served.url}/status/429", params={"retry-after": header}, now=NOW)
    assert caught.value.retry_at == (None if wait is None else NOW + timedelta(seconds=wait))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for right.example, made afresh; the key never leaves the test's folder."""
    folder = tmp_path_factory.mktemp("tls")
    key, paper = folder / "key.pem", folder / "paper.pem"
    made = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=right.example"
    names = ["-addext", "subjectAltName=DNS:right.example", "-keyout", key, "-out", paper]
    subprocess.run([*made.split(), *names], check=True, capture_output=True)
    return key, paper


def test_a_certificate_must_be_the_named_hosts_own(certificate: tuple[Path, Path]) -> None:
    key, paper = certificate
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(paper, key)
    client = at_home(resolve=lambda *_: ["127.0.0.1"], tls=ssl.create_default_context(cafile=str(paper)))
    with listening(hello, tls=server) as (port, _):
        assert client.get(f"https://right.example:{port}/", now=NOW).body == b"hello"
        with pytest.raises(SourceRefused, match="certificate"):
            client.get(f"https://wrong.example:{port}/", now=NOW)
        with pytest.raises(SourceRefused, match="certificate"):
            at_home(resolve=lambda *_: ["127.0.0.1"]).get(f"https://right.example:{port}/", now=NOW)
