"""A mailbox, where it differs from what `test_every_source.py` sees: mails of strangers and machines, and servers that speak no HTTP.

The sentences of the shared suite about faults of HTTP stand here again, by the same names, for those of IMAP and SMTP.
"""

from __future__ import annotations

import logging
import ssl
import subprocess
import time
from contextlib import suppress
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest
import structlog
from fake_networks.fixtures import NOW, FakeNetwork, read_all
from fake_networks.mailbox import ACCOUNT, MailHouse, serve, world
from houses import open_case, route, staff

from earshot.case import ReplyState, Sending, Tier
from earshot.errors import ConfigurationError, ReplyRefused, ReplyUnknown, SourceConfused, SourceError, SourceRefused, SourceUnavailable
from earshot.mention import Mention
from earshot.outbox import send_all
from earshot.pipeline import Worker
from earshot.storage import Store
from earshot.storage.cases import WrittenAnswer
from listener import mail_wire
from listener.mail_reading import BROKEN, own_words, read_letter
from listener.source import Source

HEAD = "From: Ana <ana@people.example>\r\nTo: help@lumifern.example\r\nMessage-ID: <1@people.example>\r\n"


@pytest.fixture
def box(mailbox_network: FakeNetwork) -> FakeNetwork:
    return mailbox_network


@pytest.fixture
def house(box: FakeNetwork) -> MailHouse:
    house: MailHouse = box.app
    return house


def mail(text: str = "the lamp is dead", *, head: str = HEAD, more: str = "", subject: str = "Help") -> bytes:
    lines = f"{head}Subject: {subject}\r\nDate: Mon, 04 May 2026 11:50:00 +0000\r\n{more}"
    return f"{lines}Content-Type: text/plain; charset=utf-8\r\n\r\n{text}".encode()


def heard(box: FakeNetwork) -> list[Mention]:
    return read_all(box.source())[0]


def only(box: FakeNetwork, house: MailHouse, raw: bytes) -> Mention:
    house.deliver(raw)
    (mention,) = heard(box)
    return mention


# what a mail says


def test_a_mail_is_its_subject_and_its_words(box: FakeNetwork, house: MailHouse) -> None:
    mention = only(box, house, mail())
    assert mention.text == "Help\n\nthe lamp is dead"
    assert (mention.native_id, mention.thread_id, mention.parent_id) == ("1@people.example", "1@people.example", None)
    assert mention.author is not None
    assert (mention.author.native_id, mention.author.name) == ("ana@people.example", "Ana")
    assert mention.posted_at == NOW - timedelta(minutes=10)


@pytest.mark.parametrize(
    "raw",
    [
        mail(more="Content-Disposition: inline\r\n", text="the lamp is dead"),
        HEAD.encode() + b"Subject: Help\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<style>p{}</style><p>the lamp <b>is</b> dead</p>",
        HEAD.encode() + b"Subject: =?utf-8?q?He?= =?utf-8?q?lp?=\r\nContent-Transfer-Encoding: base64\r\n\r\ndGhlIGxhbXAgaXMgZGVhZA==",
        HEAD.encode()
        + b'Subject: Help\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: application/pdf\r\n\r\nJVBERi0\r\n'
        + b'--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename="log.txt"\r\n\r\nsecret log\r\n'
        + b"--b\r\nContent-Type: text/plain\r\n\r\nthe lamp is dead\r\n--b--\r\n",
        HEAD.encode() + b'Subject: Help\r\nContent-Type: multipart/alternative; boundary="b"\r\n\r\n--b\r\n\r\nthe lamp is dead',
    ],
    ids=["plain", "only html", "encoded", "attachments", "broken off"],
)
def test_the_words_are_found_whatever_a_mail_is_made_of(raw: bytes, box: FakeNetwork, house: MailHouse) -> None:
    assert only(box, house, raw).text == "Help\n\nthe lamp is dead"


@pytest.mark.parametrize(
    ("charset", "data", "text"),
    [
        ("gb2312", "灯坏了".encode("gb18030"), "灯坏了"),
        ("iso-8859-1", "défaut".encode("latin-1"), "défaut"),
        ("utf-8", b"caf\xe9", "caf\ufffd"),
        ("no-such-charset", "灯坏了".encode(), "灯坏了"),
        ("idna", b"xn--" + b"a" * 2000, "xn--" + "a" * 2000),
        ("unicode_escape", b"\\x", "\\x"),
        ("utf-8", b"a\0b", "ab"),
    ],
)
def test_any_charset_is_read_as_far_as_it_can_be(charset: str, data: bytes, text: str, box: FakeNetwork, house: MailHouse) -> None:
    raw = HEAD.encode() + f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n".encode() + data
    assert only(box, house, raw).text == text


HISTORIES = {
    "english": "It works now, thank you.\n\nOn Mon, 4 May 2026 at 10:00, Lumifern wrote:\n> Hold the ring.\n> Then wait.",
    "german": "It works now, thank you.\n\nAm 04.05.2026 um 10:00 schrieb Lumifern:\n> Hold the ring.",
    "chinese": "It works now, thank you.\n\n在 2026年5月4日，Lumifern 写道：\n> Hold the ring.",
    "two lines": "It works now, thank you.\n\nOn Mon, 4 May 2026, Lumifern Support\n<help@lumifern.example> wrote:\n\nHold the ring.",
    "outlook": "It works now, thank you.\n\nFrom: Lumifern\nSent: Monday\nTo: Ana\nSubject: Re: Help\n\nHold the ring.",
    "rule": "It works now, thank you.\n\n-----Original Message-----\nHold the ring.",
    "signature": "It works now, thank you.\n-- \nAna Example\n+49 30 123456",
    "below": "On Mon, Lumifern wrote:\n> Hold the ring.\n\nIt works now, thank you.",
    "telephone": "It works now, thank you.\n\nSent from my iPhone",
}


@pytest.mark.parametrize("name", HISTORIES)
def test_quoted_history_and_signatures_are_not_the_author_s_words(name: str) -> None:
    assert own_words(HISTORIES[name]) == "It works now, thank you."


@pytest.mark.parametrize("text", ["> all of it is quoted", "On the wall it says: help", "From: here to there", "I wrote: no\nOn and on"])
def test_words_that_only_look_like_history_stay(text: str) -> None:
    assert own_words(text) == text


@pytest.mark.parametrize("run", ["> ", "On ", "From: x\n", "--", "_", "On x wrote:\n", "-- \n", "\n", "\r", "<a ", "=?utf-8?q?", "写道："])
def test_forty_thousand_hostile_characters_are_read_in_one_pass(run: str) -> None:
    """Incident 21: patterns that look back grow with the square of a run."""
    began = time.process_time()
    own_words(run * (40_000 // len(run)))
    long = time.process_time() - began
    assert long < 2.0, "some milliseconds are expected, minutes would be the fault"


@pytest.mark.parametrize("of_a_part", ["a;", "a=b;", 'x="' + ";" * 99], ids=["names", "values", "quotes"])
def test_a_header_of_many_parameters_is_read_in_one_pass(of_a_part: str) -> None:
    raw = HEAD + 'Content-Type: text/plain; x="' + of_a_part * (200_000 // len(of_a_part)) + "\r\n\r\nmy lamp hums"
    began = time.process_time()
    assert read_letter(raw.encode()).text == "my lamp hums"
    assert time.process_time() - began < 2.0, "some milliseconds are expected, minutes would be the fault"


def test_a_header_of_a_megabyte_harms_nobody(box: FakeNetwork, house: MailHouse) -> None:
    """Incident 22."""
    house.deliver(HEAD.encode() + b"Subject: " + b"x" * 2**20 + b"\r\n\r\nwords")
    house.deliver(f"From: {'a' * 2**20}@people.example\r\n\r\nwords")
    house.deliver(mail("after it", head=HEAD.replace("<1@", "<2@")))
    texts = [mention.text for mention in heard(box)]
    assert len(texts[0]) <= 500
    assert texts[-1] == "Help\n\nafter it"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\0",
        b"\r\n\r\n",
        b"From: \xff\xfe\r\n\r\n\xff",
        b"Content-Type: multipart/mixed; boundary=" + b"\r\n--b" * 9000,
        b"From:" * 5000,
    ],
)
def test_a_mail_that_is_none_holds_up_no_other(raw: bytes, box: FakeNetwork, house: MailHouse) -> None:
    house.deliver(raw)
    house.deliver(mail())
    assert "1@people.example" in [mention.native_id for mention in heard(box)]


def test_parts_within_parts_end() -> None:
    deep = b"".join(b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(3_000))
    with suppress(*BROKEN):
        read_letter(deep + b"\r\nwords")


def test_a_mail_without_an_id_is_known_by_its_whole_and_comes_once(box: FakeNetwork, house: MailHouse) -> None:
    bare = mail(head="From: ana@people.example\r\n")
    for raw in (bare, bare, mail(head="From: ana@people.example\r\nMessage-ID: <../../etc \x07 passwd>\r\n")):
        house.deliver(raw)
    ids = [mention.native_id for mention in heard(box)]
    assert len(ids) == 2
    assert all(native_id.startswith("hash/") for native_id in ids)


def test_a_date_that_no_mail_can_have_is_replaced_by_that_of_its_arrival(box: FakeNetwork, house: MailHouse) -> None:
    for number, date in enumerate(("Mon, 04 May 2099 11:50:00 +0000", "Thu, 01 Jan 1970 00:00:00 +0000", "yesterday", "")):
        house.deliver(f"{HEAD.replace('<1@', f'<{number}@')}Date: {date}\r\n\r\nwords")
    assert {mention.posted_at for mention in heard(box)} == {NOW}


def test_a_subject_that_only_says_what_is_answered_is_left_out(box: FakeNetwork, house: MailHouse) -> None:
    assert only(box, house, mail(more="In-Reply-To: <0@people.example>\r\n", subject="Re: Help")).text == "the lamp is dead"


# who it is from


MACHINES = [
    "Auto-Submitted: auto-replied\r\n",
    "Auto-Submitted: auto-generated; type=x\r\n",
    "Precedence: bulk\r\n",
    "Precedence: auto_reply\r\n",
    "List-Id: <news.example>\r\n",
    "List-Unsubscribe: <mailto:x@y.example>\r\n",
    "Return-Path: <>\r\n",
    "X-Autoreply: yes\r\n",
]


@pytest.mark.parametrize("more", MACHINES)
def test_machines_are_not_heard_so_that_two_never_answer_each_other(more: str, box: FakeNetwork, house: MailHouse) -> None:
    """Incident 31: an absence note that is answered is answered by another."""
    house.deliver(mail(more=more))
    for sender in ("MAILER-DAEMON@mail.example", "no-reply@shop.example", "bounce+17@list.example"):
        house.deliver(mail(head=f"From: {sender}\r\n"))
    house.deliver(mail("I am a person", head=HEAD.replace("<1@", "<2@"), more="Auto-Submitted: no\r\n"))
    assert [mention.native_id for mention in heard(box)] == ["2@people.example"]


def test_our_own_address_never_comes_back_whoever_wrote_it(box: FakeNetwork, house: MailHouse) -> None:
    """Incident 30."""
    house.deliver(mail(head=f"From: Us <{ACCOUNT.upper()}>\r\n"))
    assert heard(box) == []


@pytest.mark.parametrize(
    "head",
    [
        "From: Ana <ana@people.example>\r\nFrom: Boss <boss@lumifern.example>\r\n",
        "From: ana@people.example, boss@lumifern.example\r\n",
        "From: undisclosed\r\n",
        "From: <ana@people.example\\r\\nBcc: all@people.example>\r\n",
        "",
    ],
)
def test_a_mail_without_one_clear_sender_has_no_author_and_gets_no_answer(head: str, box: FakeNetwork, house: MailHouse) -> None:
    """Incident 9."""
    mention = only(box, house, mail(head=f"{head}Message-ID: <1@people.example>\r\n"))
    assert mention.author is None
    with pytest.raises(ReplyRefused, match="not proven"):
        box.source().reply(mention.native_id, "Hello", key="1")
    assert house.envelopes == []


def test_a_mail_that_our_server_found_to_be_forged_is_heard_under_nobody_s_name(box: FakeNetwork, house: MailHouse) -> None:
    """Incident 9: author and origin disagree. The words count, the name does not, and no answer goes to whom it abuses."""
    ours = "Authentication-Results: mx.lumifern.example; dkim=none;\r\n dmarc=FAIL (p=REJECT) header.from=people.example\r\n"
    mention = only(box, house, ours.encode() + mail(more="Authentication-Results: evil.example; dmarc=pass\r\n"))
    assert (mention.author, mention.text) == (None, "Help\n\nthe lamp is dead")
    with pytest.raises(ReplyRefused):
        box.source().reply(mention.native_id, "Hello", key="1")


def test_what_a_stranger_says_of_a_mail_s_origin_counts_for_nothing(box: FakeNetwork, house: MailHouse) -> None:
    ours = "Authentication-Results: mx.lumifern.example; dmarc=pass\r\n"
    assert only(box, house, ours.encode() + mail(more="Authentication-Results: evil.example; dmarc=fail\r\n")).author is not None


def test_a_claimed_domain_of_ours_grants_nothing(box: FakeNetwork, house: MailHouse) -> None:
    """Incident 10: whoever writes as boss@ours is an author like any other."""
    author = only(box, house, mail(head=HEAD.replace("ana@people.example", "boss@lumifern.example"))).author
    assert author is not None
    assert (author.verified, author.followers, author.native_id) == (False, None, "boss@lumifern.example")


def test_the_same_mail_fifty_times_is_one_mention(box: FakeNetwork, house: MailHouse) -> None:
    """Incident 29; and a later mail that copies the id of another does not take its place."""
    for _ in range(49):
        house.deliver(mail())
    house.deliver(mail("forged", head=HEAD.replace("ana@", "eve@")))
    (mention,) = heard(box)
    assert mention.text == "Help\n\nthe lamp is dead"


# where reading stands


def test_a_folder_that_was_numbered_anew_is_read_again_and_what_may_be_lost_is_said(box: FakeNetwork, house: MailHouse) -> None:
    first = box.post("before")
    source = box.source(first_look=24)
    _, cursor, _ = read_all(source)
    house.validity += 1
    again, cursor, pages = read_all(source, cursor, now=NOW + timedelta(hours=1))
    assert [mention.native_id for mention in again] == [first]
    assert pages[0].gap is None
    house.validity += 1
    _, _, pages = read_all(source, cursor, now=NOW + timedelta(days=9))
    assert pages[0].gap is not None
    assert (pages[0].gap.since, pages[0].gap.until) == (NOW + timedelta(hours=1), NOW + timedelta(days=8))


def test_a_new_source_reads_back_as_far_as_it_is_told_and_later_nothing_older(box: FakeNetwork) -> None:
    posted = [box.post(f"number {n}", at=NOW - timedelta(hours=n)) for n in reversed(range(60))]
    source = box.source(first_look=10)
    mentions, cursor, _ = read_all(source)
    assert [mention.native_id for mention in mentions] == posted[-11:]
    assert read_all(source, cursor)[0] == []


def test_posts_that_one_answer_withholds_come_with_the_next_poll(box: FakeNetwork, house: MailHouse) -> None:
    posted = [box.post(f"number {n}") for n in range(5)]
    house.withheld = {2, 3}
    source = box.source()
    first, cursor, _ = read_all(source)
    house.withheld = set()
    second, cursor, _ = read_all(source, cursor)
    assert [mention.native_id for mention in (*first, *second)] == [posted[0], posted[3], posted[4], posted[1], posted[2]]
    assert read_all(source, cursor)[0] == []


def test_a_mail_that_was_deleted_meanwhile_is_asked_for_once_more_only(box: FakeNetwork, house: MailHouse) -> None:
    for n in range(3):
        box.post(f"number {n}")
    house.withheld = {2}
    source = box.source()
    cursor = None
    for _ in range(3):
        _, cursor, _ = read_all(source, cursor)
    house.calls.clear()
    read_all(source, cursor)
    assert "FETCH" not in house.calls


def test_reading_marks_nothing_as_read(box: FakeNetwork, house: MailHouse) -> None:
    box.post("hello")
    heard(box)
    assert "EXAMINE" in house.calls
    assert not {"SELECT", "STORE", "EXPUNGE"} & set(house.calls)


# a network in trouble


@pytest.mark.parametrize("command", ["CONNECT", "LOGIN", "EXAMINE", "SEARCH", "FETCH"])
@pytest.mark.parametrize("fault", ["hang", "drip", "drop"])
def test_a_network_that_gives_no_whole_answer_in_time_is_unavailable(fault: str, command: str, box: FakeNetwork, house: MailHouse) -> None:
    """Incident 19: one deadline for a whole visit, however the bytes drip."""
    box.post("hello")
    house.goes_wrong(command, fault)
    with pytest.raises(SourceUnavailable, match="mailbox"):
        box.source(deadline=0.4).fetch(None, now=NOW)
    assert len(heard(box)) == 1


@pytest.mark.parametrize("command", ["EXAMINE", "SEARCH", "FETCH"])
def test_an_answer_that_is_none_of_the_network_confuses_and_moves_no_cursor(command: str, box: FakeNetwork, house: MailHouse) -> None:
    box.post("hello")
    for fault in ("garble", "BAD what", "no"):
        house.goes_wrong(command, fault)
        with pytest.raises((SourceConfused, SourceRefused)):
            box.source().fetch(None, now=NOW)
    assert len(heard(box)) == 1


def test_an_answer_that_is_too_much_is_thrown_away(box: FakeNetwork, house: MailHouse) -> None:
    box.post("hello")
    house.goes_wrong("FETCH", "bomb")
    with pytest.raises(SourceConfused, match="32 MiB"):
        box.source().fetch(None, now=NOW)


def test_a_wrong_key_says_what_to_check(box: FakeNetwork, house: MailHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(box.main_secret, "canary-wrong-key")
    with pytest.raises(SourceRefused, match=box.main_secret) as caught:
        box.source().fetch(None, now=NOW)
    assert "canary" not in str(caught.value)
    assert house.calls.count("LOGIN") == 1


@pytest.mark.parametrize("command", ["LOGIN", "EXAMINE"])
@pytest.mark.parametrize("words", ["[UNAVAILABLE] try later", "[ALERT] Too many simultaneous connections."])
def test_a_mailbox_that_is_busy_is_opened_later(command: str, words: str, box: FakeNetwork, house: MailHouse) -> None:
    house.goes_wrong(command, f"NO {words}")
    with pytest.raises(SourceUnavailable):
        box.source().fetch(None, now=NOW)


def test_a_server_that_is_not_there_is_unavailable(box: FakeNetwork) -> None:
    with pytest.raises(SourceUnavailable, match="mailbox"):
        box.source(url="imap://127.0.0.1:9 smtp://127.0.0.1:9").fetch(None, now=NOW)


def test_a_folder_that_is_not_there_is_named(box: FakeNetwork) -> None:
    with pytest.raises(SourceRefused, match=r"Nowhere.*query"):
        box.source(query="Nowhere").fetch(None, now=NOW)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "169.254.169.254"])
def test_a_private_server_gets_no_connection_unless_it_is_declared(host: str, box: FakeNetwork, house: MailHouse) -> None:
    """Incident 17."""
    port = box.url.split()[0].rpartition(":")[2]
    with pytest.raises(SourceRefused, match="allow_private"):
        box.source(url=f"imap://{host}:{port} smtp://{host}:{port}", allow_private=False).fetch(None, now=NOW)
    assert house.calls == []


def test_one_private_address_among_public_ones_spoils_a_name(box: FakeNetwork, house: MailHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Incident 17."""
    monkeypatch.setattr(mail_wire, "resolve", lambda *_: ["1.1.1.1", "127.0.0.1"])
    with pytest.raises(SourceRefused, match="allow_private"):
        box.source(url=box.url.replace("localhost", "mixed.example"), allow_private=False).fetch(None, now=NOW)
    assert house.calls == []


@pytest.mark.parametrize(
    "url", ["", "imap.example.com", "https://imap.example.com", "imaps://", "imaps://a.example", "imap://a:99999 smtp://b"]
)
def test_an_address_that_names_no_servers_is_refused_in_words(url: str, box: FakeNetwork) -> None:
    with pytest.raises(ConfigurationError, match="set url"):
        box.source(url=url)


def test_a_mailbox_that_only_listens_needs_no_server_to_send(box: FakeNetwork) -> None:
    box.post("hello")
    assert read_all(box.source(url=box.url.split()[0], replies=False))[0]


# under TLS


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost with its key in one file, made afresh."""
    folder = tmp_path_factory.mktemp("mail-tls")
    made = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    files = ["-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    subprocess.run([*made.split(), *files], check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes((folder / "key.pem").read_bytes() + (folder / "cert.pem").read_bytes())
    return both


@pytest.fixture
def context(paper: Path, box: FakeNetwork) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(paper)
    return context


@pytest.fixture
def tls_house(box: FakeNetwork) -> MailHouse:
    house = MailHouse(world(lambda: NOW))
    house.world.post("mailbox", "ann", "hello", at=NOW)
    return house


@pytest.mark.parametrize("begins", [True, False], ids=["imaps", "starttls"])
def test_a_server_is_read_under_tls_when_its_certificate_is_good(
    begins: bool, tls_house: MailHouse, context: ssl.SSLContext, paper: Path, box: FakeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(paper))
    tls_house.tls = None if begins else context
    with serve(tls_house, tls=context if begins else None) as url:
        assert len(read_all(box.source(url=url))[0]) == 1
    assert "STARTTLS" in tls_house.calls or begins


@pytest.mark.parametrize("begins", [True, False], ids=["imaps", "starttls"])
def test_a_certificate_of_another_is_refused_before_a_password_is_sent(
    begins: bool, tls_house: MailHouse, context: ssl.SSLContext, paper: Path, box: FakeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Incident 27."""
    tls_house.tls = None if begins else context
    with serve(tls_house, tls=context if begins else None) as url:
        with pytest.raises(SourceRefused, match="certificate"):
            box.source(url=url).fetch(None, now=NOW)
        monkeypatch.setenv("SSL_CERT_FILE", str(paper))
        with pytest.raises(SourceRefused, match="certificate"):
            box.source(url=url.replace("localhost", "127.0.0.1")).fetch(None, now=NOW)
    assert "LOGIN" not in tls_house.calls


def test_a_hang_under_tls_ends_at_the_deadline(
    tls_house: MailHouse, context: ssl.SSLContext, paper: Path, box: FakeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(paper))
    tls_house.goes_wrong("SEARCH", "drip")
    with serve(tls_house, tls=context) as url, pytest.raises(SourceUnavailable, match=r"0\.5 s"):
        box.source(url=url, deadline=0.5).fetch(None, now=NOW)


# answering


ANSWER = "Hold the ring for 12 seconds.\n.\n..then wait, see https://lumifern.example/help?a=1&b=2 灯"


@pytest.fixture
def source(box: FakeNetwork) -> Source:
    return box.source(deadline=5.0)


def test_a_reply_goes_to_the_author_in_the_same_conversation(source: Source, house: MailHouse) -> None:
    house.deliver(mail(more="References: <0@people.example>\r\nReply-To: eve@evil.example\r\n", subject="=?utf-8?b?54Gv?=\r\n  broken"))
    posted = source.reply("1@people.example", ANSWER, key="1")
    ((sender, to, raw),) = house.envelopes
    message = message_from_bytes(raw, policy=policy.default)
    assert (sender, to) == (ACCOUNT, ["ana@people.example"])
    assert (message["From"], message["To"], message["Subject"]) == (ACCOUNT, "ana@people.example", "Re: 灯 broken")
    assert message["In-Reply-To"] == "<1@people.example>"
    assert message["References"] == "<0@people.example> <1@people.example>"
    assert message["Message-ID"] == f"<{posted.native_id}>"
    assert message.get_content().replace("\r\n", "\n").strip() == ANSWER


@pytest.mark.parametrize(
    "name", ["=?utf-8?q?Eve=0D=0ABcc:_all@people.example?=", '"Eve\r\n Bcc: all@people.example"', "Eve\rBcc: all@people.example\r"]
)
def test_a_name_that_smuggles_in_a_header_reaches_no_mail_of_ours(name: str, source: Source, house: MailHouse) -> None:
    """Incident 4: CR and LF in an author's name, and a Bcc after it."""
    smuggled = "=?utf-8?q?Help=0D=0ABcc:_all@people.example?="
    house.deliver(mail(head=f"From: {name} <eve@people.example>\r\nMessage-ID: <1@people.example>\r\n", subject=smuggled))
    for mention in source.fetch(None, now=NOW).mentions:
        assert mention.author is None or not {"\r", "\n"} & set(mention.author.name)
    try:
        source.reply("1@people.example", "Hello", key="1")
    except ReplyRefused:
        return
    ((_, to, raw),) = house.envelopes
    message = message_from_bytes(raw, policy=policy.default)
    assert to == ["eve@people.example"]
    assert "Bcc" not in message
    assert message["To"] == "eve@people.example"


def test_a_reply_is_kept_among_the_sent_mail_and_found_there(source: Source, house: MailHouse, box: FakeNetwork) -> None:
    asked, other = box.post("how?"), box.post("and the strip?")
    posted = source.reply(asked, ANSWER, key="1")
    assert len(house.sent) == 1
    assert source.find_reply(asked, f"  {ANSWER}\n") == posted
    for parent, text in ((other, ANSWER), (asked, "something else")):
        with pytest.raises(SourceConfused, match="does not prove"):
            source.find_reply(parent, text)


def test_a_server_that_keeps_sent_mail_itself_gets_no_second_copy(source: Source, house: MailHouse, box: FakeNetwork) -> None:
    house.keeps_sent = True
    source.reply(box.post("how?"), ANSWER, key="1")
    assert len(house.sent) == 1


@pytest.mark.parametrize("fault", ["no", "drop"])
def test_a_reply_stands_though_its_copy_could_not_be_kept(fault: str, source: Source, house: MailHouse, box: FakeNetwork) -> None:
    house.goes_wrong("APPEND", fault)
    with structlog.testing.capture_logs() as lines:
        source.reply(box.post("how?"), ANSWER, key="1")
    assert len(house.world.replies("mailbox")) == 1
    assert [line["event"] for line in lines] == ["copy_not_kept"]


@pytest.mark.parametrize("fault", ["drop", "hang"])
def test_a_reply_whose_answer_is_lost_is_unknown_and_stands_once(fault: str, house: MailHouse, box: FakeNetwork) -> None:
    """Incident 28. Where the server keeps sent mail itself it is found there; elsewhere a person must look, and nothing is sent again."""
    asked = box.post("how?")
    source = box.source(deadline=0.6)
    house.goes_wrong("DATA", fault)
    with pytest.raises(ReplyUnknown):
        source.reply(asked, ANSWER, key="1")
    assert len(house.world.replies("mailbox")) == 1
    with pytest.raises(SourceConfused):
        source.find_reply(asked, ANSWER)
    house.sent.append(house.envelopes[0][2])
    posted = source.find_reply(asked, ANSWER)
    assert posted is not None
    assert posted.native_id == house.world.replies("mailbox")[0].native_id


@pytest.mark.parametrize("fault", ["before drop", "before hang"])
def test_a_reply_that_never_arrived_is_unknown_until_we_look(fault: str, house: MailHouse, box: FakeNetwork) -> None:
    asked = box.post("how?")
    house.goes_wrong("DATA", fault)
    with pytest.raises(ReplyUnknown):
        box.source(deadline=0.6).reply(asked, ANSWER, key="1")
    assert house.world.replies("mailbox") == []


@pytest.mark.parametrize(("command", "fault"), [("MAIL", "drop"), ("RCPT", "hang"), ("RCPT", "451 later"), ("DATA", "452 full")])
def test_a_reply_that_was_surely_not_made_may_be_tried_again(command: str, fault: str, house: MailHouse, box: FakeNetwork) -> None:
    asked = box.post("how?")
    source = box.source(deadline=1.0)
    house.goes_wrong(command, fault)
    with pytest.raises(SourceUnavailable):
        source.reply(asked, ANSWER, key="1")
    assert house.world.replies("mailbox") == []
    source.reply(asked, ANSWER, key="1")
    assert len(house.world.replies("mailbox")) == 1


@pytest.mark.parametrize(("command", "fault"), [("RCPT", "550 nobody here"), ("MAIL", "553 not yours"), ("DATA", "554 spam")])
def test_a_reply_that_the_server_refuses_is_refused_for_good(
    command: str, fault: str, source: Source, house: MailHouse, box: FakeNetwork
) -> None:
    asked = box.post("how?")
    house.goes_wrong(command, fault)
    with pytest.raises(ReplyRefused, match=fault[:3]):
        source.reply(asked, ANSWER, key="1")
    assert house.world.replies("mailbox") == []


def test_a_reply_with_a_refused_key_asks_for_a_person(source: Source, house: MailHouse, box: FakeNetwork) -> None:
    asked = box.post("how?")
    house.goes_wrong("LOGIN", "NO [AUTHENTICATIONFAILED] no")
    with pytest.raises(SourceRefused, match=box.main_secret):
        source.reply(asked, ANSWER, key="1")


def test_the_id_of_a_mail_that_two_people_claim_gets_no_answer(source: Source, house: MailHouse) -> None:
    """Incident 9: else who copies the id of another's mail could be sent the answer."""
    house.deliver(mail())
    house.deliver(mail("me too", head=HEAD.replace("ana@", "eve@")))
    with pytest.raises(ReplyRefused, match="not proven"):
        source.reply("1@people.example", "Hello", key="1")


def test_neither_keys_nor_posts_reach_the_log(source: Source, house: MailHouse, box: FakeNetwork, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    asked = box.post("a very private question")
    read_all(source)
    source.reply(asked, "a very private answer", key="1")
    logged = " ".join(record.getMessage() for record in caplog.records if record.name != "mail.log")  # that is the server's own
    for canary in ("very private", *house.world.environ("mailbox").values()):
        assert canary not in logged


@pytest.mark.parametrize("command", ["CONNECT", "LOGIN", "EXAMINE", "SEARCH", "FETCH", "LIST", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("fault", ["drop", "garble", "no", "BAD", "500 what"])
def test_a_source_fails_only_in_the_ways_it_promises(fault: str, command: str, house: MailHouse, box: FakeNetwork) -> None:
    asked = box.post("a question")
    source = box.source(deadline=1.0)
    house.goes_wrong(command, fault)
    with suppress(SourceError):
        source.fetch(None, now=NOW)
    house.goes_wrong(command, fault)
    with suppress(SourceUnavailable, SourceRefused, ReplyRefused, ReplyUnknown):
        source.reply(asked, "An answer", key="1")
    house.goes_wrong(command, fault)
    with suppress(SourceError):
        source.find_reply(asked, "An answer")


# the whole way out


def send_until_settled(store: Store, source: Source, case_id: int) -> WrittenAnswer:
    now = NOW
    for _ in range(40):
        send_all(store, {"mailbox": source}, worker=Worker(name="w"), now=now)
        now += timedelta(minutes=20)
    page = store.cases.page(case_id)
    assert page is not None
    return page.answers[-1]


@pytest.mark.parametrize(
    ("fault", "keeps_sent", "state"),
    [
        ("", False, ReplyState.SENT),
        ("drop", True, ReplyState.SENT),
        ("drop", False, ReplyState.NEEDS_PERSON),
        ("452 full", False, ReplyState.SENT),
        ("554 spam", False, ReplyState.REJECTED),
    ],
)
def test_an_answer_leaves_once_or_a_person_decides(
    fault: str, keeps_sent: bool, state: ReplyState, store: Store, house: MailHouse, box: FakeNetwork
) -> None:
    """Incident 28, from the outbox on."""
    house.keeps_sent = keeps_sent
    source = box.source()
    asked = box.post("how do I pair it?")
    (mention,), _, _ = read_all(source)
    case_id = open_case(store, mention, route(Tier.TIER_1), now=NOW, source="mailbox")
    sending = Sending(sources=frozenset({"mailbox"}), after=timedelta(0), spacing=timedelta(0))
    store.moves.answer(case_id, by=staff(store).id, text=ANSWER, now=NOW, needs_approval=False, sending=sending)
    house.goes_wrong("DATA", *[fault] if fault else [])
    assert send_until_settled(store, source, case_id).reply_state is state
    standing = [] if state is ReplyState.REJECTED else [asked]
    assert [reply.parent for reply in house.world.replies("mailbox")] == standing
