"""Reddit, through praw: new submissions and comments of subreddits, or Reddit's own search, for hearing; our own account for answering.

Reddit pushes nothing: what praw calls a stream asks for the newest hundred again and again, sleeps inside its generator, and remembers
ids in memory, so that a burst of more than a hundred, a late post, or a restart loses posts (praw #1043). With `stream = true` our own
listings are read at the pace of praw's streams instead, down to what was read before, with the cursor in the database.

Secrets: `client_id` and `client_secret` of a script application; to answer also `password` of our account, or a `refresh_token`.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, Literal

import orjson
import praw
import prawcore
import structlog
from msgspec import structs
from praw.exceptions import PRAWException
from requests import Response, Session
from requests.exceptions import RequestException

from earshot import __version__
from earshot.errors import ConfigurationError, ReplyRefused, ReplyUnknown, SourceConfused, SourceRefused, SourceUnavailable
from earshot.mention import Author, Mention
from earshot.settings import SourceSettings, secret
from listener.plain_text import clip
from listener.source import Gap, Looks, Page, Posted, Thread
from listener.threads import MOST_POSTS, in_reading_order
from listener.wire import DEADLINE_SECONDS, Denied, NoAnswer, Wire, clean, session, variable

log = structlog.get_logger(__name__)

_PAGE = 100
#: Reddit's listings end here, whatever lies below.
_LONGEST_LISTING = 1000
#: Listings are not strictly in order; so many posts that we have read already mean that all below are read, too.
_ENOUGH_KNOWN = 10
#: Posts show up late; only what is older than this counts as read.
_OVERLAP_SECONDS = 60.0
#: seconds between two rounds of a stream: after news, and at most, doubled from round to round without any
SHORTEST_PAUSE, LONGEST_PAUSE = 2.0, 16.0
#: A token this fresh that is refused was not refused for its age.
_FRESH_SECONDS = 3600.0
#: comments above the one in question
_ABOVE = 8
_GONE = ("[deleted]", "[removed]")
_FULLNAME = re.compile(r"t[13]_[0-9a-z]+", re.ASCII)
_PLACE = re.compile(r"(?<!\S)/?r/([A-Za-z0-9_+]+)")
_WORDS = re.compile(r'"([^"]+)"|([^\s()"]+)')
_WAIT = re.compile(r"(\d+) (millisecond|second|minute|hour)")

Kind = Literal["submissions", "comments"]
_NEXT: Mapping[Kind, Kind] = {"submissions": "comments", "comments": "submissions"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """Where reading one listing stands, in seconds since 1970. It runs from new to old: `done` moves when it was read down to there."""

    done: float | None = None  #: everything posted until here is read
    newest: float | None = None  #: the newest post of the present run
    after: str | None = None  #: the post below which the next page begins
    count: int = 0  #: posts seen in the present run
    again: bool = False  #: the run broke off, and this is the second try

    def is_known(self, created: float) -> bool:
        return self.done is not None and created <= self.done - _OVERLAP_SECONDS

    def onward(self, times: list[float], after: str, count: int) -> _Reading:
        return replace(self, newest=max((*times, self.newest or 0.0)), after=after, count=self.count + count)

    def ended(self, times: list[float], now: datetime) -> _Reading:
        """A post from the future must not hide what comes before it, so `done` never passes `now`."""
        newest = max((*times, self.newest or 0.0))
        return _Reading(done=max(min(newest, now.timestamp()), self.done or 0.0) or None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cursor:
    turn: Kind = "submissions"
    submissions: _Reading = field(default_factory=_Reading)
    comments: _Reading = field(default_factory=_Reading)
    pause: float = SHORTEST_PAUSE  #: of a stream, before its next round

    @classmethod
    def load(cls, cursor: str | None) -> _Cursor:
        try:
            stored: Any = orjson.loads(cursor) if cursor else {"turn": "submissions", "submissions": {}, "comments": {}}
            return cls(
                turn=stored["turn"],
                submissions=_Reading(**stored["submissions"]),
                comments=_Reading(**stored["comments"]),
                pause=float(stored.get("pause", SHORTEST_PAUSE)),
            )
        except (ValueError, TypeError, KeyError) as err:
            raise SourceConfused("reddit: the stored cursor is not one of ours; delete it to begin again") from err

    def dump(self) -> str:
        return orjson.dumps(asdict(self)).decode()

    @property
    def reading(self) -> _Reading:
        return self.submissions if self.turn == "submissions" else self.comments

    def paced(self, times: Sequence[float]) -> _Cursor:
        """After a page with posts of these times: news come in bursts."""
        has_news = any(time > (self.reading.done or 0.0) for time in times)
        return replace(self, pause=SHORTEST_PAUSE) if has_news else self

    def at(self, reading: _Reading) -> _Cursor:
        return replace(self, submissions=reading) if self.turn == "submissions" else replace(self, comments=reading)


#: the one program that Reddit itself runs
_AUTOMODERATOR = "AutoModerator"


class _Requestor(prawcore.Requestor):
    """Lets the errors of our wire through as they are; prawcore would wrap them, and repeat the call."""

    def __init__(self, *, session: Session, **kwargs: Any) -> None:
        super().__init__(session=session, **kwargs)
        self._session = session

    def request(self, *args: Any, timeout: float | None = None, **kwargs: Any) -> Response:  # noqa: ARG002 - the wire has its own
        return self._session.request(*args, **kwargs)


class RedditSource:
    """Reads and answers on Reddit.

    `settings.query` names subreddits as "r/lumifern+houseplants" and, if wanted, words to look for. Subreddits alone: everything new in
    them. Both: submissions that Reddit's search finds there, and comments with one of the words in them or in their thread's title.
    Words alone: submissions that the search finds anywhere (Reddit does not search comments).
    """

    network = "reddit"
    keys_from = "https://www.reddit.com/prefs/apps"
    looks = Looks(at_once=_PAGE, per_call=1)
    most_around = 2
    streams = True

    def __init__(self, settings: SourceSettings, *, deadline: float = DEADLINE_SECONDS) -> None:
        if settings.replies and not settings.account:
            raise ConfigurationError(
                f"source {settings.name!r} answers, so it needs account = our name there: it signs in, and its posts never come back"
            )
        self._name = settings.name
        self._is_stream = settings.stream
        self._account = settings.account.removeprefix("u/")
        self._may_reply = settings.replies
        self._first_look = timedelta(hours=settings.first_look)
        self._places = "+".join(_PLACE.findall(settings.query))
        self._search = " ".join(_PLACE.sub("", settings.query).split())
        if not self._places and not self._search:
            raise ConfigurationError(f"source {settings.name!r} has no query; set query to subreddits (r/…), words, or both")
        self._words = [
            w.lower() for pair in _WORDS.findall(self._search) if (w := pair[0] or pair[1]) not in ("OR", "AND", "NOT") and w[0] != "-"
        ]
        self._site = settings.url.rstrip("/") or "https://www.reddit.com"
        self._session = session(Wire(name=settings.name, deadline=deadline))
        self._keys = self._read_keys(settings)
        self._own_address = settings.url.rstrip("/")
        self._reddit: praw.Reddit | None = None
        self._signed_in = 0.0

    def fetch(self, cursor: str | None, *, now: datetime) -> Page:
        state = _Cursor.load(cursor or self.back_to(now - self._first_look))
        path, params = self._listing(state.turn)
        params |= {"limit": _PAGE} | ({"after": state.reading.after, "count": state.reading.count} if state.reading.after else {})
        with self._trouble():
            things, after = _things(self._get(path, params), self._name)
            return self._page(state, things, after, now)

    def back_to(self, since: datetime) -> str:
        read = _Reading(done=since.timestamp())
        return _Cursor(submissions=read, comments=read).dump()

    def reply(self, parent_id: str, text: str, *, key: str) -> Posted:  # noqa: ARG002 - Reddit has no idempotency key
        self._require_replies()
        self._sign_in()
        try:
            return self._posted(self._client().request(method="POST", path="api/comment", data={"thing_id": parent_id, "text": text}))
        except Denied as err:
            if err.answer.status_code == 401:
                raise self._refused(err) from err
            raise ReplyRefused(f"{self._name}: Reddit does not let us answer there (403): locked, or our account is banned") from err
        except NoAnswer as err:
            raise ReplyUnknown(f"{self._name}: no answer to our reply; it may stand there") from err
        except (PRAWException, prawcore.BadRequest, prawcore.NotFound) as err:
            raise ReplyRefused(f"{self._name}: Reddit does not take this reply: {type(err).__name__}") from err
        except (SourceConfused, RequestException, prawcore.PrawcoreException, LookupError, TypeError, AttributeError) as err:
            raise ReplyUnknown(f"{self._name}: an answer to our reply that we cannot read; it may stand there") from err

    def find_reply(self, parent_id: str, text: str) -> Posted | None:
        self._require_replies()
        wanted = _plain(text)
        with self._trouble():
            things, _ = _things(self._get(f"user/{self._account}/comments", {"limit": _PAGE, "sort": "new"}), self._name)
            for thing in things:
                data = thing["data"]
                if data["parent_id"] == parent_id and _plain(data["body"]) == wanted:
                    return self._at(data)
        return None

    def gone(self, native_ids: Sequence[str]) -> tuple[str, ...]:
        """Those of up to 100 submissions and comments that Reddit shows as deleted or removed, or not at all. Where it shows none of them,
        it is asked again before that is believed.
        """
        asked = [native_id for native_id in native_ids if _FULLNAME.fullmatch(native_id)]
        with self._trouble():
            shown = self._shown(asked) or self._shown(asked) if asked else []
            there = {data["name"] for data in shown if not _is_gone(data) and not data.get("removed_by_category")}
        return tuple(native_id for native_id in asked if native_id not in there)

    def around(self, native_id: str, *, thread_id: str | None) -> Thread:
        """The submission and up to 200 comments; where the comment itself is not among them, those around it."""
        root = thread_id or native_id
        if not _FULLNAME.fullmatch(root) or not root.startswith("t3_") or not _FULLNAME.fullmatch(native_id):
            raise SourceConfused(f"{self._name}: that is no post of Reddit")
        with self._trouble():
            found, is_whole = self._conversation(root)
            spent = 1
            if native_id not in {data.get("name") for data in found}:
                around, _ = self._conversation(root, comment=native_id[3:], context=_ABOVE)
                found, is_whole, spent = [*found, *around], False, 2
        mentions = [mention for data in found if (mention := self._shown_in_thread(data)) is not None]
        left_out = "" if is_whole else f"Reddit has more: {MOST_POSTS} posts at most are shown"
        return Thread(mentions=in_reading_order(mentions, around=native_id), left_out=left_out, spent=spent)

    def close(self) -> None:
        self._session.close()

    # reading

    def _conversation(self, root: str, **focus: str | int) -> tuple[list[Any], bool]:
        """(submission and comments as they stand below each other, whether that is all)"""
        try:
            body = self._get(f"comments/{root[3:]}", {"limit": MOST_POSTS, "sort": "old"} | focus)
        except prawcore.NotFound as err:
            raise SourceConfused(f"{self._name}: Reddit shows nothing of this thread any more") from err
        found: list[Any] = []
        is_whole = True
        waiting = [thing for listing in body for thing in _things(listing, self._name)[0]]
        while waiting:
            thing = waiting.pop()
            if thing["kind"] == "more":
                is_whole = False
                continue
            found.append(thing["data"])
            replies = thing["data"].get("replies")
            waiting += _things(replies, self._name)[0] if replies else []
        return found, is_whole

    def _shown_in_thread(self, data: Mapping[str, Any]) -> Mention | None:
        try:
            mention = self._mention(data)
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError, OSError) as err:
            log.warning("post_skipped", source=self._name, native_id=str(data.get("name"))[:40], why=type(err).__name__)
            return None
        return structs.replace(mention, text="") if _is_gone(data) or data.get("removed_by_category") else mention

    def _shown(self, native_ids: Sequence[str]) -> list[Any]:
        """praw's own `info` takes an answer that is no listing for an empty one."""
        things, _ = _things(self._get("api/info", {"id": ",".join(native_ids)}), self._name)
        return [thing["data"] for thing in things]

    def _listing(self, kind: Kind) -> tuple[str, dict[str, Any]]:
        if kind == "comments":
            return f"r/{self._places}/comments", {}
        if not self._search:
            return f"r/{self._places}/new", {}
        params = {"q": self._search, "sort": "new", "type": "link", "t": "all"}
        return (f"r/{self._places}/search", params | {"restrict_sr": "1"}) if self._places else ("search", params)

    def _page(self, state: _Cursor, things: list[Any], after: str | None, now: datetime) -> Page:
        mentions, deleted, times = [], [], []
        for thing in things:
            try:
                data = thing["data"]
                times.append(float(data["created_utc"]))
                if _is_gone(data):
                    deleted.append(str(data["name"]))
                elif self._is_heard(data):
                    mentions.append(self._mention(data))
            except (LookupError, TypeError, ValueError, AttributeError, OverflowError, OSError) as err:
                name = thing["data"].get("name") if isinstance(thing, dict) and isinstance(thing.get("data"), dict) else None
                log.warning("post_skipped", source=self._name, native_id=str(name)[:40], why=type(err).__name__)
        reading, gap = self._advance(state.reading, times, after, len(things), now)
        more = reading.after is not None or reading.again
        cursor = state.paced(times).at(reading)
        if not more and self._places:
            cursor = replace(cursor, turn=_NEXT[state.turn])
            more = state.turn == "submissions"
        again = None
        if self._is_stream:
            again, cursor = cursor.pause, cursor if more else replace(cursor, pause=min(cursor.pause * 2, LONGEST_PAUSE))
        return Page(mentions=tuple(mentions), cursor=cursor.dump(), more=more, deleted=tuple(deleted), gap=gap, spent=1, again=again)

    def _advance(self, reading: _Reading, times: list[float], after: str | None, count: int, now: datetime) -> tuple[_Reading, Gap | None]:
        """The reading after a page, and what Reddit withheld when it ended before anything that we know."""
        if sum(map(reading.is_known, times)) >= _ENOUGH_KNOWN:
            return reading.ended(times, now), None
        if after is not None:
            return reading.onward(times, after, count), None
        broke_off = count == 0 and reading.after is not None
        if broke_off and not reading.again:
            log.info("run_restarted", source=self._name, after=reading.after)
            return _Reading(done=reading.done, again=True), None
        is_cut = reading.count + count >= _LONGEST_LISTING * 0.9
        gap = None
        if reading.done is not None and (is_cut or broke_off) and not any(map(reading.is_known, times)):
            since, oldest = _moment(reading.done), _moment(min(times, default=reading.newest or reading.done))
            gap = Gap(since=since, until=max(oldest, since), why="Reddit lists the newest 1,000 only")
        return reading.ended(times, now), gap

    def _is_heard(self, data: Mapping[str, Any]) -> bool:
        if self._account and str(data["author"]).lower() == self._account.lower():
            return False
        if not self._words or "body" not in data:
            return True
        text = f"{data['body']} {data.get('link_title') or ''}".lower()
        return any(word in text for word in self._words)

    def _mention(self, data: Mapping[str, Any]) -> Mention:
        native_id = clean(data["name"])
        is_comment = native_id.startswith("t1_")
        body = clean(data["body"] if is_comment else data.get("selftext") or "")
        return Mention(
            network=self.network,
            native_id=native_id,
            author=self._author(data),
            text=clip(body if is_comment else "\n\n".join(part for part in (clean(data["title"]), body) if part)),
            url=self._site + clean(data["permalink"]),
            posted_at=_moment(data["created_utc"]),
            edited_at=_edited_at(data.get("edited")),
            thread_id=clean(data["link_id"]) if is_comment else native_id,
            parent_id=clean(data["parent_id"]) if is_comment else None,
            repost_of=data.get("crosspost_parent"),
            likes=_count(data.get("score")),
            reposts=_count(data.get("num_crossposts")),
            replies=_count(data.get("num_comments")),
        )

    def _author(self, data: Mapping[str, Any]) -> Author | None:
        native_id, handle = data.get("author_fullname"), data.get("author")
        if not native_id or not handle or handle in _GONE:
            return None
        return Author(
            network=self.network,
            native_id=clean(native_id),
            handle=clean(handle)[:200],
            name=clean(handle)[:200],
            url=f"{self._site}/user/{clean(handle)[:200]}",
            is_bot=handle == _AUTOMODERATOR,
        )

    # answering

    def _posted(self, body: Any) -> Posted:
        errors = body["json"].get("errors") or ()
        for kind, message, *_ in errors:
            if kind == "RATELIMIT":
                raise SourceUnavailable(f"{self._name}: Reddit asks us to pause before the next reply", retry_at=_after_pause(message))
        if errors:
            raise ReplyRefused(f"{self._name}: Reddit does not take this reply: {' '.join(str(part) for part in errors[0])[:200]}")
        return self._at(body["json"]["data"]["things"][0]["data"])

    def _at(self, data: Mapping[str, Any]) -> Posted:
        return Posted(native_id=clean(data["name"]), url=self._site + clean(data.get("permalink") or ""))

    def _require_replies(self) -> None:
        if not self._may_reply:
            raise ReplyRefused(f"source {self._name!r} does not answer; set replies = true for it and give it the secrets of our account")

    # the connection

    def _read_keys(self, settings: SourceSettings) -> dict[str, str | None]:
        keys: dict[str, str | None] = {name: secret(settings.name, name).get_secret_value() for name in ("client_id", "client_secret")}
        keys |= {"refresh_token": None, "username": None, "password": None}
        if not settings.replies:
            return keys
        try:
            return keys | {"refresh_token": secret(settings.name, "refresh_token").get_secret_value()}
        except ConfigurationError:  # the usual way, unless the account has a second factor
            return keys | {"username": self._account, "password": secret(settings.name, "password").get_secret_value()}

    def _client(self) -> praw.Reddit:
        if self._reddit is None:
            addresses = {"oauth_url": self._own_address, "reddit_url": self._own_address} if self._own_address else {}
            self._signed_in = monotonic()
            self._reddit = praw.Reddit(
                "DEFAULT",
                requestor_class=_Requestor,
                requestor_kwargs={"session": self._session},
                user_agent=f"python:earshot:{__version__}" + (f" (by /u/{self._account})" if self._account else ""),
                redirect_uri=None,
                check_for_updates=False,
                check_for_async=False,
                ratelimit_seconds=-1,
                **self._keys,
                **addresses,
            )
        return self._reddit

    def _sign_in(self) -> None:
        """Where that is due; apart from the reply, so that a failure here is not taken for a reply that may stand there."""
        try:
            with self._trouble():
                self._client().auth.scopes()
        except SourceConfused as err:
            raise SourceUnavailable(f"{self._name}: Reddit's answer to our sign-in cannot be read; will be tried again") from err

    def _get(self, path: str, params: dict[str, Any]) -> Any:
        return self._client().request(method="GET", path=path, params=params)

    @contextmanager
    def _trouble(self) -> Iterator[None]:
        """What goes wrong besides a reply itself, in our words."""
        try:
            yield
        except Denied as err:
            raise self._refused(err) from err
        except prawcore.OAuthException as err:
            raise SourceRefused(f"{self._name}: Reddit does not sign us in ({err.error}); {self._advice()}") from err
        except (prawcore.NotFound, prawcore.Redirect) as err:
            raise SourceRefused(f"{self._name}: Reddit knows nothing there; check the subreddits in query") from err
        except (RequestException, prawcore.PrawcoreException, PRAWException, LookupError, TypeError, AttributeError, ValueError) as err:
            raise SourceConfused(f"{self._name}: an answer that is not Reddit's; check url of the source") from err

    def _refused(self, err: Denied) -> SourceUnavailable | SourceRefused:
        if err.answer.status_code == 403:
            return SourceRefused(
                f"{self._name}: Reddit does not let us read there (403): is a subreddit of the query private, or our account banned?"
            )
        if "/api/v1/access_token" in (err.answer.url or ""):
            check = f"{variable(self._name, 'client_id')} and {variable(self._name, 'client_secret')}"
            return SourceRefused(f"{self._name}: Reddit does not know our application (401); check {check}")
        age, self._reddit = monotonic() - self._signed_in, None
        if age > _FRESH_SECONDS:
            return SourceUnavailable(f"{self._name}: our sign-in has expired; signing in again with the next call")
        return SourceRefused(f"{self._name}: Reddit refuses our sign-in (401); {self._advice()}")

    def _advice(self) -> str:
        if self._keys["refresh_token"]:
            return f"make a new token and set {variable(self._name, 'refresh_token')}"
        if self._keys["password"]:
            return f"check {variable(self._name, 'password')} and account, which must be a developer of the application"
        return f"check {variable(self._name, 'client_id')} and {variable(self._name, 'client_secret')}"


def _things(body: Any, name: str) -> tuple[list[Any], str | None]:
    """The things of a listing and what comes after; raises `SourceConfused` for anything else."""
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, dict) or not isinstance(data.get("children"), list):
        raise SourceConfused(f"{name}: an answer that is no listing; check url of the source")
    return data["children"], data.get("after")


def _is_gone(data: Mapping[str, Any]) -> bool:
    return data.get("body", data.get("selftext")) in _GONE


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", html.unescape(text)).split())


def _edited_at(edited: object) -> datetime | None:
    """False for a post that nobody changed, True for some old ones of which Reddit forgot when."""
    return None if isinstance(edited, bool) or not isinstance(edited, int | float) else _moment(edited)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _count(number: object) -> int | None:
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _after_pause(message: object) -> datetime | None:
    """When a "take a break for 5 minutes" is over; None when it says nothing of the kind."""
    match = _WAIT.search(str(message))
    if match is None:
        return None
    return datetime.now(UTC) + timedelta(**{f"{match[2]}s": min(int(match[1]), 1000)}) + timedelta(seconds=1)
