"""Bluesky: every new post of the network as its stream (Jetstream) brings it, without a key; answers with an app password.

The stream is replayed from a moment in time, read until now, and left; what has none of our words is forgotten at once. It names authors by
their id (DID) only, so who they are is asked of the public interface. Native ids are addresses such as `at://did:plc:…/app.bsky.feed.post/3k…`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from time import monotonic
from typing import Any

import orjson
import structlog

from earshot.errors import ConfigurationError, ReplyRefused, SourceConfused, SourceUnavailable
from earshot.mention import Author, Mention
from earshot.settings import SourceSettings, secret
from listener import json_api
from listener.json_api import UNREADABLE, JsonApi, Rejected, count, listed, moment
from listener.plain_text import clip
from listener.source import Gap, Looks, Page, Posted
from listener.stream import read_stream
from listener.wire import DEADLINE_SECONDS, clean

log = structlog.get_logger(__name__)

STREAM, ACCOUNTS, PROFILES, SITE = (
    "wss://jetstream2.us-east.bsky.network",
    "https://bsky.social",
    "https://public.api.bsky.app",
    "https://bsky.app",
)
#: read again on each poll: two servers of the stream differ by as much
OVERLAP = timedelta(seconds=5)
MOST_REMEMBERED = 500  #: posts that a cursor remembers, to find those of an author who leaves
READING_SECONDS = 10.0  #: of the stream, for one page
QUIET_SECONDS = 5.0
_MOST_EVENTS, _MOST_HEARD = 20_000, 100
_MOST_PROFILES = _MOST_SHOWN = 25  #: that one call takes
#: A moment so far ahead is no moment: it would keep us from hearing until then.
_NONSENSE = timedelta(days=1)
_POST = "app.bsky.feed.post"
_GONE = ("deactivated", "deleted", "suspended", "takendown")
_WORDS = re.compile(r'"([^"]+)"|(\S+)')
_DID = re.compile(r"did:[a-z]+:[\w.:%-]{1,200}")
_KEY = re.compile(r"[\w.~:-]{1,512}")
_URI = re.compile(rf"at://({_DID.pattern})/{re.escape(_POST)}/({_KEY.pattern})")
_LINK = re.compile(r"https?://[^\s<>\"]*[^\s<>\".,;:!?)\]']")
#: The digits of record keys, which are moments in microseconds and ten bits of chance.
_DIGITS = "234567abcdefghijklmnopqrstuvwxyz"
#: Bluesky's own sessions end after two hours, and it lets nobody begin many a day.
_SESSION_SECONDS = 3600.0
_EXPIRED, _NO_RECORD = "ExpiredToken", "RecordNotFound"

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cursor:
    """Everything until `read` was read, in microseconds since 1970. `behind`: more was waiting. `heard`: native ids, newest last."""

    read: int
    behind: bool = False
    begun: bool = False  #: an event stood at `read`; without it, that is where the first reading began
    heard: tuple[str, ...] = ()

    @classmethod
    def load(cls, cursor: str | None, *, settings: SourceSettings, now: datetime) -> _Cursor:
        if cursor is None:
            return cls(read=_microseconds(now - timedelta(hours=settings.first_look)))
        try:
            stored: Any = orjson.loads(cursor)
            heard = tuple(str(native_id) for native_id in stored["heard"])
            return cls(read=int(stored["read"]), behind=bool(stored["behind"]), begun=bool(stored["begun"]), heard=heard)
        except (ValueError, TypeError, KeyError) as err:
            raise SourceConfused(f"{settings.name}: the stored cursor is not one of ours; delete it to begin again") from err

    def dump(self) -> str:
        return orjson.dumps(asdict(self)).decode()

    @property
    def asks(self) -> int:
        """Where the stream is asked to begin: a little earlier, so that the event at `read` comes again, if it is still kept."""
        return self.read - _microseconds(OVERLAP)


@dataclass(slots=True, kw_only=True)
class _Reading:
    """What one visit to the stream brought."""

    newest: int
    first: int | None = None  #: when the first event of all happened
    events: int = 0
    more: bool = False

    @property
    def is_full(self) -> bool:
        return self.events >= _MOST_EVENTS


class BlueskySource:
    """`settings.query` holds words and "phrases", of which a post must have one. With `settings.account`, our handle there, posts that
    answer or name us are heard, too, and our own never are.

    `settings.url` is another stream (wss://host), or a server that does everything (https://host). The secret `app_password` is needed to
    answer only. Raises `ConfigurationError` for an empty query and naming the variable of a missing secret.
    """

    network = "bluesky"
    keys_from = "https://bsky.app/settings/app-passwords"
    looks = Looks(at_once=_MOST_SHOWN)

    def __init__(self, settings: SourceSettings, *, deadline: float = DEADLINE_SECONDS) -> None:
        json_api.require_account(settings)
        self._settings = settings
        self._name = settings.name
        self._words = [(phrase or word).casefold() for phrase, word in _WORDS.findall(settings.query)]
        if not self._words:
            raise ConfigurationError(f"source {settings.name!r} has no query; set query to words or phrases to look for on Bluesky")
        self._account = settings.account.strip("@ ").casefold()
        self._password = secret(self._name, "app_password").get_secret_value() if settings.replies else ""
        self._deadline = deadline
        self._stream, accounts, profiles, self._site = _addresses(settings)
        self._accounts = self._api(accounts, deadline)
        self._profiles = self._api(profiles, deadline)
        self._session, self._session_until = "", 0.0
        self._own_id = self._account if self._account.startswith("did:") else ""

    def fetch(self, cursor: str | None, *, now: datetime) -> Page:
        """What happened since the cursor, as far as ten seconds and a hundred posts that we want reach."""
        mark = _Cursor.load(cursor, settings=self._settings, now=now)
        us, reading = self._us(), _Reading(newest=mark.read)
        posts: dict[str, Event] = {}
        gone: dict[str, None] = {}
        for event in self._drain(mark, reading, now, posts):
            self._take(event, us, posts, gone, mark.heard)
        if reading.first is None and mark.begun:
            raise SourceUnavailable(f"{self._name}: the stream says nothing; will be tried again")
        mentions = self._mentions(posts)
        heard = [native_id for native_id in dict.fromkeys((*mark.heard, *(m.native_id for m in mentions))) if native_id not in gone]
        following = replace(
            mark,
            read=reading.newest,
            behind=reading.more,
            begun=mark.begun or reading.newest > mark.read,
            heard=tuple(heard[-MOST_REMEMBERED:]),
        )
        return Page(
            mentions=mentions,
            cursor=following.dump(),
            more=reading.more,
            deleted=tuple(gone),
            gap=_gap(mark, reading),
            spent=len(mentions),
        )

    def reply(self, parent_id: str, text: str, *, key: str) -> Posted:  # noqa: ARG002 - `_record_key` says why
        """The same answer below the same post is made once, however often this is called."""
        json_api.require_replies(self._settings)
        if not text.strip():
            raise ReplyRefused(f"{self._name}: there is nothing in this reply")
        with self._accounts.preparing():
            parent = self._parent(parent_id)
            us = self._us()
            self._sign_in()
        record = _record(text, parent, now=datetime.now(UTC))
        body = {"repo": us, "collection": _POST, "rkey": _record_key(parent_id, text), "record": record}
        with self._accounts.sending():
            return self._create(body)

    def find_reply(self, parent_id: str, text: str) -> Posted | None:
        json_api.require_replies(self._settings)
        _parts(parent_id, self._name)
        ask = {"repo": self._us(), "collection": _POST, "rkey": _record_key(parent_id, text)}
        try:
            with self._accounts.reading():
                found = self._accounts.get("/xrpc/com.atproto.repo.getRecord", ask)
                return self._posted(found["uri"])
        except Rejected as err:
            if _said(err.body, "error") == _NO_RECORD:
                return None
            raise

    def gone(self, native_ids: Sequence[str]) -> tuple[str, ...]:
        """Those of up to 25 native ids that the network shows nobody any more. Where it shows none at all, it is asked again before that is
        believed.
        """
        asked = [native_id for native_id in native_ids if _URI.fullmatch(native_id)][:_MOST_SHOWN]
        shown = self._shown(asked) or self._shown(asked) if asked else []
        there = {post["uri"] for post in shown}
        return tuple(native_id for native_id in asked if native_id not in there)

    def close(self) -> None:
        self._accounts.close()
        self._profiles.close()

    # the stream

    def _drain(self, mark: _Cursor, reading: _Reading, now: datetime, posts: Mapping[str, Event]) -> Iterator[Event]:
        """The events behind the cursor, until now, or until enough of them was read: never between two of the same moment."""
        until, nonsense = _microseconds(now), _microseconds(now + _NONSENSE)
        url = f"{self._stream}/subscribe?wantedCollections={_POST}&cursor={mark.asks}"
        for at, event in self._events(url):
            if at > nonsense:
                continue
            reading.first = at if reading.first is None else min(reading.first, at)
            if at > until:
                return
            if mark.behind and at <= mark.read:
                continue
            if (reading.is_full or len(posts) >= _MOST_HEARD) and at > reading.newest:
                reading.more = True
                return
            reading.newest, reading.events = max(reading.newest, at), reading.events + 1
            yield event
        reading.more = reading.newest > mark.read  # time is up, or silence: the next page will tell

    def _events(self, url: str) -> Iterator[tuple[int, Event]]:
        """Events with their moments. What is no JSON is left out, unless there is nothing else."""
        read = broken = 0
        wait = min(READING_SECONDS, self._deadline)
        messages = read_stream(
            url, name=self._name, only_public=not self._settings.allow_private, deadline=wait, quiet=min(QUIET_SECONDS, wait)
        )
        with closing(messages):  # type: ignore[type-var]  # a generator, which closes
            for message in messages:
                event = _decoded(message)
                if isinstance(event, dict) and isinstance(at := event.get("time_us"), int):
                    read += 1
                    yield at, event
                else:
                    broken += 1
                    log.warning("post_skipped", source=self._name, native_id="", why="not an event")
        if broken and not read:
            raise self._profiles.confused("a stream that we cannot read")

    def _take(self, event: Event, us: str, posts: dict[str, Event], gone: dict[str, None], heard: Sequence[str]) -> None:
        """Note what one event says: a post that we want, or posts that are gone."""
        try:
            author, kind = _did(event["did"]), event["kind"]
            if kind == "account":
                if event["account"]["active"] is False and event["account"].get("status") in _GONE:
                    theirs = [native_id for native_id in (*heard, *posts) if native_id.startswith(f"at://{author}/")]
                    gone.update(dict.fromkeys(theirs))
                    for native_id in theirs:
                        posts.pop(native_id, None)
            elif kind == "commit" and event["commit"]["collection"] == _POST:
                self._take_commit(_native_id(event), event, us, posts, gone)
        except (LookupError, TypeError, ValueError, AttributeError) as err:
            self._skip(event, type(err).__name__)

    def _take_commit(self, native_id: str, event: Event, us: str, posts: dict[str, Event], gone: dict[str, None]) -> None:
        commit = event["commit"]
        if commit["operation"] == "delete":
            posts.pop(native_id, None)
            gone[native_id] = None
        elif commit["operation"] in ("create", "update") and event["did"] != us and self._is_wanted(commit["record"], us):
            gone.pop(native_id, None)
            posts[native_id] = event

    def _is_wanted(self, record: Mapping[str, Any], us: str) -> bool:
        said = str(record["text"]).casefold()
        return any(word in said for word in self._words) or bool(us and _speaks_to(us, record))

    def _mentions(self, posts: Mapping[str, Event]) -> tuple[Mention, ...]:
        profiles = self._who(dict.fromkeys(event["did"] for event in posts.values()))
        mentions = []
        for native_id, event in posts.items():
            try:
                mentions.append(self._mention(native_id, event, profiles.get(event["did"], {})))
            except UNREADABLE as err:
                self._skip(event, type(err).__name__)
        return tuple(mentions)

    def _mention(self, native_id: str, event: Event, profile: Mapping[str, Any]) -> Mention:
        record = event["commit"]["record"]
        replied = record.get("reply")
        return Mention(
            network=self.network,
            native_id=native_id,
            author=_author(event["did"], profile, self._site),
            text=clip(_text(record)),
            url=self._page(native_id),
            posted_at=moment(record["createdAt"]),
            edited_at=_at(event["time_us"]) if event["commit"]["operation"] == "update" else None,
            thread_id=clean(replied["root"]["uri"]) if replied else native_id,
            parent_id=clean(replied["parent"]["uri"]) if replied else None,
            lang_hint=json_api.language(next(iter(record.get("langs") or ()), None)),
        )

    def _skip(self, event: object, why: str) -> None:
        try:
            native_id = _native_id(event) if isinstance(event, dict) else ""
        except (LookupError, TypeError, ValueError):
            native_id = ""
        log.warning("post_skipped", source=self._name, native_id=native_id[:100], why=why)

    # people and posts

    def _us(self) -> str:
        """Our own id, asked for once; "" for a source without an account."""
        if self._account and not self._own_id:
            try:
                with self._profiles.reading():
                    self._own_id = _did(self._profiles.get("/xrpc/com.atproto.identity.resolveHandle", {"handle": self._account})["did"])
            except Rejected as err:
                raise SourceConfused(f"{self._name}: Bluesky knows nobody called {self._account!r}; check account of the source") from err
        return self._own_id

    def _who(self, dids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """The profiles of these authors, by their ids; of those who are gone there is none."""
        asked = list(dids)
        profiles: dict[str, Mapping[str, Any]] = {}
        for start in range(0, len(asked), _MOST_PROFILES):
            with self._profiles.reading():
                answer = self._profiles.get("/xrpc/app.bsky.actor.getProfiles", {"actors": asked[start : start + _MOST_PROFILES]})
                found = [profile for profile in listed(answer, "profiles") if isinstance(profile, dict)]
            profiles.update({str(profile.get("did")): profile for profile in found})
        return profiles

    def _parent(self, parent_id: str) -> Mapping[str, Any]:
        """The post as the public interface shows it. Raises `ReplyRefused` where it does not."""
        _parts(parent_id, self._name)
        found = next((post for post in self._shown([parent_id]) if post["uri"] == parent_id), None)
        if found is None:
            raise ReplyRefused(f"{self._name}: the post is gone, so that it cannot be answered")
        return found

    def _shown(self, native_ids: Sequence[str]) -> list[Mapping[str, Any]]:
        """Those of these posts that the public interface shows."""
        with self._profiles.reading():
            answer = self._profiles.get("/xrpc/app.bsky.feed.getPosts", {"uris": native_ids})
            return [post for post in listed(answer, "posts") if isinstance(post["uri"], str)]

    def _sign_in(self) -> None:
        if self._session and monotonic() < self._session_until:
            return
        body = {"identifier": self._account, "password": self._password}
        self._session = clean(self._accounts.post("/xrpc/com.atproto.server.createSession", body)["accessJwt"])
        self._session_until = monotonic() + _SESSION_SECONDS

    def _create(self, body: Mapping[str, Any]) -> Posted:
        """Makes the record; never over another, for then the server refuses."""
        try:
            made = self._accounts.post("/xrpc/com.atproto.repo.createRecord", body, headers={"authorization": f"Bearer {self._session}"})
        except Rejected as err:
            if _said(err.body, "error") != _EXPIRED:
                raise
            self._session = ""
            raise SourceUnavailable(f"{self._name}: our session has ended; the reply is sent with a new one") from err
        return self._posted(made["uri"])

    def _posted(self, native_id: str) -> Posted:
        return Posted(native_id=native_id, url=self._page(native_id))

    def _page(self, native_id: str) -> str:
        did, key = _parts(native_id, self._name)
        return f"{self._site}/profile/{did}/post/{key}"

    def _api(self, url: str, deadline: float) -> JsonApi:
        return JsonApi(self._settings, title="Bluesky", url=url, key="app_password", headers={}, deadline=deadline)


def _addresses(settings: SourceSettings) -> tuple[str, str, str, str]:
    """(the stream, where our account is, who tells of profiles, the pages that people see)"""
    own = settings.url.rstrip("/")
    if not own:
        return STREAM, ACCOUNTS, PROFILES, SITE
    if own.startswith(("ws://", "wss://")):
        return own, ACCOUNTS, PROFILES, SITE
    return own.replace("http", "ws", 1), own, own, own


def _microseconds(time: datetime | timedelta) -> int:
    span = time if isinstance(time, timedelta) else time - datetime.fromtimestamp(0, UTC)
    return span // timedelta(microseconds=1)


def _at(microseconds: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=microseconds)


def _gap(mark: _Cursor, reading: _Reading) -> Gap | None:
    """The last event that we had read comes again, unless the stream keeps it no more."""
    if not mark.begun or reading.first is None or reading.first <= mark.read:
        return None
    return Gap(
        since=_at(mark.read), until=_at(reading.first), why="Bluesky's stream goes back a day or so; what was posted before was not given"
    )


def _decoded(message: bytes) -> Any:
    """What a message says; None for what is no JSON. Half a surrogate pair is let through, as text is cleaned later."""
    try:
        return orjson.loads(message)
    except ValueError:
        try:
            return json.loads(message)
        except ValueError:
            return None


def _did(value: object) -> str:
    if not isinstance(value, str) or not _DID.fullmatch(value):
        raise ValueError("not the id of an author")
    return value


def _native_id(event: Event) -> str:
    key = event["commit"]["rkey"]
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise ValueError("not the key of a post")
    return f"at://{_did(event['did'])}/{_POST}/{key}"


def _parts(native_id: str, name: str) -> tuple[str, str]:
    """(author, key). Raises `ReplyRefused` for what is no post of Bluesky."""
    found = _URI.fullmatch(native_id)
    if found is None:
        raise ReplyRefused(f"{name}: that is no post of Bluesky; answer it where it was heard")
    return found[1], found[2]


def _said(holder: object, name: str) -> str:
    said = holder.get(name) if isinstance(holder, dict) else None
    return clean(said) if isinstance(said, str) else ""


def _speaks_to(us: str, record: Mapping[str, Any]) -> bool:
    """Whether a post answers us, or names us."""
    replied = record.get("reply") or {}
    if any(str(replied[name]["uri"]).startswith(f"at://{us}/") for name in ("parent", "root") if name in replied):
        return True
    return any(feature.get("did") == us for facet in record.get("facets") or () for feature in facet["features"])


def _text(record: Mapping[str, Any]) -> str:
    """The post, with the true address wherever a link's text looks like one: link text can lie."""
    text = clean(record["text"])
    raw = text.encode()
    for start, end, target in sorted(_links(record), reverse=True):
        if 0 <= start < end <= len(raw) and "." in (shown := raw[start:end].decode("utf-8", "ignore")) and " " not in shown.strip():
            raw = raw[:start] + target.encode() + raw[end:]
    return raw.decode("utf-8", "replace")


def _links(record: Mapping[str, Any]) -> Iterator[tuple[int, int, str]]:
    """(first byte, byte behind the last, address). One that cannot be read is left as its text stands."""
    for facet in record.get("facets") or ():
        place = facet["index"]
        for feature in facet["features"]:
            if target := json_api.web_address(feature.get("uri")):
                yield int(place["byteStart"]), int(place["byteEnd"]), clean(target)


def _author(did: str, profile: Mapping[str, Any], site: str) -> Author:
    """Who wrote it; where no profile is shown, the id stands for the handle."""
    handle = _visible(_said(profile, "handle"))
    handle = did if handle in ("", "handle.invalid") else handle
    created = _said(profile, "createdAt")
    return Author(
        network=BlueskySource.network,
        native_id=did,
        handle=handle,
        name=_visible(_said(profile, "displayName"))[:200] or handle,
        bio=clip(_said(profile, "description")),
        url=f"{site}/profile/{did}",
        followers=count(profile.get("followersCount")),
        following=count(profile.get("followsCount")),
        posts=count(profile.get("postsCount")),
        created_at=_moment_or_none(created),
    )


def _visible(name: str) -> str:
    """A name without what nobody sees and what turns the direction of writing; spaces as one."""
    return " ".join("".join(" " if char.isspace() else char for char in name if unicodedata.category(char) not in ("Cc", "Cf")).split())


def _moment_or_none(value: str) -> datetime | None:
    try:
        return moment(value)
    except ValueError:
        return None


def _record(text: str, parent: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
    above = {"uri": clean(parent["uri"]), "cid": clean(parent["cid"])}
    replied = parent["record"].get("reply")
    root = {name: clean(replied["root"][name]) for name in ("uri", "cid")} if replied else above
    record = {"$type": _POST, "text": text, "createdAt": now.isoformat(timespec="milliseconds"), "reply": {"root": root, "parent": above}}
    return record | ({"facets": facets} if (facets := list(_facets(text))) else {})


def _facets(text: str) -> Iterator[dict[str, Any]]:
    """Where the links of a text stand, in bytes: without these they lead nowhere."""
    for link in _LINK.finditer(text):
        start = len(text[: link.start()].encode())
        yield {
            "index": {"byteStart": start, "byteEnd": start + len(link[0].encode())},
            "features": [{"$type": "app.bsky.richtext.facet#link", "uri": link[0]}],
        }


def _record_key(parent_id: str, text: str) -> str:
    """The key of our answer of these words to that post: always the same, so that it can be made once only, and found again.

    It is of the form that keys of posts have, a moment, here one within the hour and a quarter after that of the parent's. An outbox's
    own key would do for the first purpose, but whoever looks for a reply does not have it.
    """
    drawn = int.from_bytes(blake2b(f"{parent_id}\0{json_api.same_words(text)}".encode(), digest_size=8).digest(), "big")
    key = parent_id.rpartition("/")[2]
    is_moment = len(key) == 13 and set(key) <= set(_DIGITS)
    posted = sum(_DIGITS.index(digit) << 5 * place for place, digit in enumerate(reversed(key))) >> 10 if is_moment else 0
    number = ((posted + (drawn >> 32)) << 10 | drawn & 0x3FF) & (2**63 - 1)
    return "".join(_DIGITS[number >> 5 * place & 31] for place in reversed(range(13)))
