"""A mailbox on an IMAP server that we did not write (pymap): our own in `fake_networks` might share our misunderstandings."""

from __future__ import annotations

import imaplib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from fake_networks.fixtures import read_all

from earshot.errors import SourceConfused, SourceRefused
from earshot.settings import SourceSettings
from listener.mailbox import MailboxSource

ACCOUNT, PASSWORD = "demo@lumifern.example", "demo-password"
#: with passwords that take no second to check
START = """
from pysasl.hashing import BuiltinHash
BuiltinHash.__init__.__kwdefaults__["rounds"] = 1
from pymap.main import main
main()
"""
NOW = datetime.now(UTC) + timedelta(minutes=1)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = [
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--no-tls",
        "dict",
        "--demo-data",
        "--demo-user",
        ACCOUNT,
        "--demo-password",
        PASSWORD,
    ]
    server = subprocess.Popen([sys.executable, "-c", START, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield port
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture
def source(port: int, monkeypatch: pytest.MonkeyPatch) -> MailboxSource:
    monkeypatch.setenv("EARSHOT_SECRET_MAILBOX_PASSWORD", PASSWORD)
    return open_box(port)


def open_box(port: int, **given: object) -> MailboxSource:
    url = f"imap://127.0.0.1:{port} smtp://127.0.0.1:9"
    settings = {
        "name": "mailbox",
        "network": "mailbox",
        "url": url,
        "account": ACCOUNT,
        "allow_private": True,
        "replies": True,
        "first_look": 1,
    }
    return MailboxSource(SourceSettings(**(settings | given)))


def deliver(port: int, count: int) -> list[str]:
    """So many mails come in; gives their ids."""
    ids = [f"{number}-{time.time_ns()}@people.example" for number in range(count)]
    with imaplib.IMAP4("127.0.0.1", port) as client:
        client.login(ACCOUNT, PASSWORD)
        for number, native_id in enumerate(ids):
            mail = f"From: Ana <ana@people.example>\r\nMessage-ID: <{native_id}>\r\nSubject: Help\r\n\r\nmail {number}\r\n"
            client.append("INBOX", "", "", mail.encode())
    return ids


def test_what_comes_in_is_heard_once_page_by_page(source: MailboxSource, port: int) -> None:
    _, cursor, _ = read_all(source, now=NOW)
    posted = deliver(port, 60)
    heard, cursor, pages = read_all(source, cursor, now=NOW)
    assert [mention.native_id for mention in heard] == posted
    assert (heard[7].text, len(pages)) == ("Help\n\nmail 7", 2)
    assert read_all(source, cursor, now=NOW)[0] == []


def test_a_reply_is_found_among_the_sent_mail_and_only_there(source: MailboxSource, port: int) -> None:
    (asked,) = deliver(port, 1)
    with source._wire.imap() as imap:
        source._open(imap, "INBOX")
        parent = source._parent(imap, asked)
    with pytest.raises(SourceConfused, match=r"sent mail \(Sent\)"):
        source.find_reply(asked, "Hello")
    source._keep_copy(source._answer(parent, "Hello"))
    posted = source.find_reply(asked, " Hello\n")
    assert posted is not None
    source._keep_copy(source._answer(parent, "Hello"))
    with source._wire.imap() as imap:
        source._open(imap, "Sent")
        assert len(source._numbers_of(imap, posted.native_id)) == 1


def test_a_wrong_password_and_a_wrong_folder_are_named(source: MailboxSource, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceRefused, match="Nowhere"):
        open_box(port, query="Nowhere").fetch(None, now=NOW)
    monkeypatch.setenv("EARSHOT_SECRET_MAILBOX_PASSWORD", "wrong")
    with pytest.raises(SourceRefused, match="EARSHOT_SECRET_MAILBOX_PASSWORD"):
        open_box(port).fetch(None, now=NOW)
