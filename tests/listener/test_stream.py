"""A stream that is visited for a while, from servers that do what servers may do."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest
from websockets.frames import Opcode
from websockets.server import ServerProtocol

from earshot.errors import SourceConfused, SourceRefused, SourceUnavailable
from listener import stream, wire
from listener.stream import read_stream

Talk = Callable[[socket.socket], None]


@contextmanager
def listening(talk: Talk, *, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server that talks so to whoever comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    line, _ = server.accept()
                    with suppress(OSError), tls.wrap_socket(line, server_side=True) if tls else line as talking:
                        talk(talking)

        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def saying(say: Callable[[ServerProtocol], None], *, stays: float = 0.0) -> Talk:
    def talk(line: socket.socket) -> None:
        protocol = ServerProtocol()
        protocol.receive_data(line.recv(2**16))
        (request,) = protocol.events_received()
        protocol.send_response(protocol.accept(request))  # type: ignore[arg-type]
        say(protocol)
        for data in protocol.data_to_send():
            line.sendall(data)
        line.settimeout(max(stays, 0.01))
        with suppress(TimeoutError):
            while line.recv(2**16):
                pass

    return talk


def read(port: int, *, host: str = "127.0.0.1", scheme: str = "ws", only_public: bool = False, quiet: float = 0.2) -> list[bytes]:
    url = f"{scheme}://{host}:{port}/subscribe"
    return list(read_stream(url, name="bluesky", only_public=only_public, deadline=1.0, quiet=quiet))


def words(said: Sequence[bytes]) -> Callable[[ServerProtocol], None]:
    return lambda protocol: [protocol.send_text(each) for each in said] and None


def test_messages_come_until_silence() -> None:
    with listening(saying(words([b"one", b"", "灯".encode()]), stays=2)) as port:
        assert read(port) == [b"one", b"", "灯".encode()]


def test_messages_come_until_the_server_ends_the_stream() -> None:
    def say(protocol: ServerProtocol) -> None:
        protocol.send_text(b"one")
        protocol.send_close(1001)

    with listening(saying(say)) as port:
        assert read(port, quiet=5) == [b"one"]


def test_a_message_in_pieces_is_one_and_a_ping_is_none() -> None:
    def say(protocol: ServerProtocol) -> None:
        protocol.send_text(b"on", fin=False)
        protocol.send_ping(b"there?")
        protocol.send_continuation(b"e", fin=True)

    with listening(saying(say, stays=2)) as port:
        assert read(port) == [b"one"]


def test_a_stream_that_breaks_off_gave_what_it_gave() -> None:
    def talk(line: socket.socket) -> None:
        saying(words([b"one"]))(line)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

    with listening(talk) as port:
        assert read(port, quiet=5) == [b"one"]


def test_a_server_that_never_rests_is_left_at_the_deadline() -> None:
    def talk(line: socket.socket) -> None:
        saying(words([b"one"]))(line)
        while True:
            line.sendall(b"\x81\x01a")
            time.sleep(0.02)

    begun = time.monotonic()
    with listening(talk) as port:
        assert len(read(port)) > 3
    assert time.monotonic() - begun < 30


def test_whoever_has_enough_leaves() -> None:
    with listening(saying(words([b"one"] * 100), stays=2)) as port:
        messages = read_stream(f"ws://127.0.0.1:{port}", name="bluesky", only_public=False, deadline=5.0, quiet=5.0)
        assert next(messages) == b"one"
        messages.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 429 Slow down\r\ncontent-length: 0\r\nretry-after: 60\r\n\r\n", SourceUnavailable),
        (b"HTTP/1.1 503 Later\r\ncontent-length: 0\r\n\r\n", SourceUnavailable),
        (b"HTTP/1.1 401 Who?\r\ncontent-length: 0\r\n\r\n", SourceRefused),
        (b"HTTP/1.1 404 Not here\r\ncontent-length: 0\r\n\r\n", SourceConfused),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", SourceConfused),
        (b"HTTP/1.1 101 Yes\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: wrong\r\n\r\n", SourceConfused),
        (b"220 mail.example ESMTP\r\n\r\n", SourceConfused),
        (b"HTTP/1.1 101 Swit", SourceUnavailable),
        (b"", SourceUnavailable),
    ],
)
def test_an_answer_that_begins_no_stream_is_said_in_our_words(answer: bytes, error: type[Exception]) -> None:
    def talk(line: socket.socket) -> None:
        line.recv(2**16)
        line.sendall(answer)

    with listening(talk) as port, pytest.raises(error, match="bluesky"):
        read(port)


def test_bytes_that_are_no_messages_confuse() -> None:
    def talk(line: socket.socket) -> None:
        saying(lambda _: None)(line)
        line.sendall(b"\xff" * 100)

    with listening(talk) as port, pytest.raises(SourceConfused, match="WebSocket"):
        read(port, quiet=5)


def test_a_message_beyond_the_limit_is_thrown_away_before_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MOST_BYTES", 2**20)

    def talk(line: socket.socket) -> None:
        saying(lambda _: None)(line)
        line.sendall(bytes([0x80 | Opcode.TEXT, 127]) + (2**40).to_bytes(8, "big"))
        time.sleep(0.5)

    with listening(talk) as port, pytest.raises(wire.TooMuch, match="1 MiB"):
        read(port, quiet=5)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254"])
def test_a_stranger_s_stream_is_visited_on_the_public_internet_only(host: str) -> None:
    came: list[object] = []
    with listening(came.append) as port, pytest.raises(SourceRefused, match="allow_private"):
        read(port, host=host, only_public=True)
    assert came == []


def test_a_stream_without_a_name_is_unavailable() -> None:
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        read(443, host="nobody.invalid", scheme="wss")


@pytest.mark.parametrize("url", ["https://stream.example", "ws://", "stream.example"])
def test_what_is_no_address_of_a_stream_is_said(url: str) -> None:
    with pytest.raises(SourceRefused, match="wss://host"):
        list(read_stream(url, name="bluesky", only_public=True, deadline=1.0, quiet=1.0))


def test_a_certificate_of_another_host_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    subprocess.run(
        [*made.split(), "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(cert))
    with listening(saying(words([b"one"]), stays=1), tls=context) as port:
        assert read(port, host="localhost", scheme="wss") == [b"one"]
        with pytest.raises(SourceRefused, match="certificate"):
            read(port, scheme="wss")
