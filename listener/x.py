"""X, through tweepy: recent search for hearing, and the filtered stream beside it, if wanted; our own account for answering.

Secrets: `bearer_token` to read; to answer also `consumer_key`, `consumer_secret`, `access_token` and `access_token_secret` of our account
(OAuth 1.0a, because those do not expire).
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import Any

import orjson
import structlog
import tweepy
from requests.exceptions import RequestException

from earshot.errors import ConfigurationError, ReplyRefused, ReplyUnknown, SourceConfused, SourceError, SourceRefused
from earshot.mention import Author, Mention
from earshot.settings import SourceSettings, secret
from listener.live import Live, poll_cursor
from listener.plain_text import clip
from listener.source import Gap, Looks, Page, Posted, Thread
from listener.threads import in_reading_order
from listener.wire import DEADLINE_SECONDS, Denied, NoAnswer, Wire, clean, equip, variable

log = structlog.get_logger(__name__)

_PAGE = 100
_SNOWFLAKE_EPOCH_MS = 1_288_834_974_657
#: Search shows some posts late; each poll reads the last moments once more.
_OVERLAP = timedelta(seconds=30)
#: What recent search remembers.
_RECENT = timedelta(days=7)
_FIELDS = {
    "expansions": "author_id,referenced_tweets.id,referenced_tweets.id.author_id",
    "tweet_fields": "author_id,conversation_id,created_at,entities,lang,note_tweet,public_metrics,referenced_tweets",
    "user_fields": "created_at,description,name,public_metrics,username,verified",
}
_USER_SECRETS = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
#: Problems of our application, not of the one reply: a person must look before anything else is tried.
_OUR_FAULT = ("oauth1-permissions", "client-forbidden", "usage-capped", "unsupported-authentication")
#: Problems of a post that the public cannot see: deleted; protected or suspended.
_HIDDEN = ("resource-not-found", "not-authorized-for-resource")
_OLD_LANGUAGE_CODES = {"in": "id", "iw": "he", "ji": "yi"}
#: Bare domains too: X makes links of them.
_LINK = re.compile(r"https?://\S+|\w[\w-]*(?:\.\w[\w-]*)+\S*")
_LEADING_HANDLES = re.compile(r"^(?:@\w+\s+)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """Where reading stands. Search runs from new to old, so `since` moves only when a window has been read down to it."""

    since: int | None = None  #: every post up to this id has been read
    newest: int | None = None  #: the window being read: from here …
    oldest: int | None = None  #: … down to here so far
    token: str | None = None  #: the page that comes next
    day: str = ""  #: UTC; when the overlap was last read

    @classmethod
    def load(cls, cursor: str | None) -> _Window:
        try:
            return cls(**orjson.loads(cursor)) if cursor else cls()
        except (ValueError, TypeError) as err:
            raise SourceConfused("x: the stored cursor is not one of ours; delete it to begin again") from err

    def dump(self) -> str:
        return orjson.dumps(asdict(self)).decode()

    def follow(self, ids: list[int], token: str | None, *, day: str) -> _Window:
        newest = max((*ids, self.newest or 0)) or None
        if token is None:
            return _Window(since=max(newest or 0, self.since or 0) or None, day=day)
        return replace(self, newest=newest, oldest=min(ids, default=self.oldest), token=token)

    def cost(self, ids: list[int], *, day: str) -> int:
        """Reads that X counts: a post that is read again on the same day (UTC) is counted once."""
        return len(ids) if day != self.day else sum(id_ > (self.since or 0) for id_ in ids)

    def without(self, refused: set[str]) -> _Window | None:
        """The nearest window that asks without what X refused; None when nothing is left to leave out."""
        if self.token and refused & {"next_token", "pagination_token"}:
            return replace(self, token=None)
        if self.oldest and "until_id" in refused:
            return _Window(since=self.since)
        if self.since and "since_id" in refused:
            return _Window()
        return None

    def params(self) -> dict[str, Any]:
        since = None if self.since is None else max(self.since - _ids_in(_OVERLAP), 1)
        until = self.oldest + 1 if self.oldest and not self.token else None
        return {"since_id": since, "until_id": until, "next_token": self.token}


class XSource:
    """Reads and answers on X. `settings.query` is in X's own search words.

    With `settings.account`, posts that speak to our account are found too (an author's "thanks" names us, not the brand), and our own
    never are. Raises `ConfigurationError` naming the variable when a secret is missing.
    """

    network = "x"
    keys_from = "https://developer.x.com"
    looks = Looks(at_once=_PAGE, per_post=1)
    least_reads = 10  #: X gives no smaller page
    most_around = _PAGE + 2
    streams = True

    def __init__(self, settings: SourceSettings, *, deadline: float = DEADLINE_SECONDS) -> None:
        if settings.replies and not settings.account:
            raise ConfigurationError(
                f"source {settings.name!r} answers, so it needs account = our handle: else our answers come back as mentions"
            )
        self._name = settings.name
        self._account = settings.account.lstrip("@")
        self._query = _query(settings)
        self._site = settings.url.rstrip("/") or "https://x.com"
        keys = {"bearer_token": secret(settings.name, "bearer_token").get_secret_value()}
        if settings.replies:
            keys |= {name: secret(settings.name, name).get_secret_value() for name in _USER_SECRETS}
        self._may_reply = settings.replies
        self._first_look = timedelta(hours=settings.first_look)
        self._client = tweepy.Client(**keys, return_type=dict, wait_on_rate_limit=False)
        equip(self._client.session, Wire(name=settings.name, to=settings.url, deadline=deadline))
        self._live = self._make_live(settings, keys["bearer_token"], deadline) if settings.stream else None

    def fetch(self, cursor: str | None, *, now: datetime) -> Page:
        return self._page_within(cursor, now=now, reads=None)

    def fetch_within(self, cursor: str | None, *, now: datetime, reads: int) -> Page:
        return self._page_within(cursor, now=now, reads=reads)

    def _page_within(self, cursor: str | None, *, now: datetime, reads: int | None) -> Page:
        if self._live:
            return self._live.fetch(cursor, now=now, reads=reads)
        return self._search(poll_cursor(cursor), now=now, reads=reads)

    def _search(self, cursor: str | None, *, now: datetime, reads: int | None) -> Page:
        window = _Window.load(cursor or self.back_to(now - self._first_look))
        size = min(max(reads or _PAGE, self.least_reads), _PAGE)
        with self._reading("bearer_token"):
            try:
                body = self._client.search_recent_tweets(self._query, max_results=size, **window.params(), **_FIELDS)
            except tweepy.BadRequest as err:
                return self._ask_differently(window, err, now)
            return self._page(window, body, day=f"{now:%Y-%m-%d}")

    def back_to(self, since: datetime) -> str:
        return _Window(since=_id_at(since)).dump()

    def reply(self, parent_id: str, text: str, *, key: str) -> Posted:  # noqa: ARG002 - X has no idempotency key
        self._require_replies()
        try:
            body = self._client.create_tweet(text=text, in_reply_to_tweet_id=parent_id, user_auth=True)
            return self._posted(str(body["data"]["id"]))
        except Denied as err:
            return self._denied(err, parent_id, text)
        except NoAnswer as err:
            raise ReplyUnknown(f"{self._name}: no answer to our reply; it may stand there") from err
        except (tweepy.BadRequest, tweepy.NotFound) as err:
            raise ReplyRefused(f"{self._name}: X does not take this reply: {_told(err.response)}") from err
        except (SourceConfused, RequestException, tweepy.TweepyException, LookupError, TypeError, AttributeError) as err:
            raise ReplyUnknown(f"{self._name}: an answer to our reply that we cannot read; it may stand there") from err

    def find_reply(self, parent_id: str, text: str) -> Posted | None:
        self._require_replies()
        with self._reading(*_USER_SECRETS):
            mine = self._client.get_users_tweets(
                self._own_id, max_results=_PAGE, tweet_fields="entities,note_tweet,referenced_tweets", user_auth=True
            )
            wanted = _plain(text)
            for item in _items(mine, self._name):
                if _refers(item).get("replied_to") == parent_id and _plain(_text(item)) == wanted:
                    return self._posted(str(item["id"]))
        return None

    def gone(self, native_ids: Sequence[str]) -> tuple[str, ...]:
        """Those of up to 100 posts that X says are deleted, or that only some may see: protected, or their author suspended."""
        asked = [native_id for native_id in native_ids if native_id.isascii() and native_id.isdigit()]
        if not asked:
            return ()
        with self._reading("bearer_token"):
            try:
                body = self._client.get_tweets(asked)
            except (tweepy.BadRequest, tweepy.NotFound) as err:
                raise SourceConfused(f"{self._name}: X does not let us look after posts: {_told(err.response)}") from err
            hidden = {str(error.get("resource_id") or error.get("value")) for error in body.get("errors") or () if _is_hidden(error)}
            there = {str(item["id"]) for item in body.get("data") or ()}
        if not (hidden | there) & set(asked):
            raise SourceConfused(f"{self._name}: an answer that says nothing of the posts we asked for; check url of the source")
        return tuple(native_id for native_id in asked if native_id in hidden and native_id not in there)

    def around(self, native_id: str, *, thread_id: str | None) -> Thread:
        """The post that began it, the post itself, and what answers them: the newest hundred of the last seven days."""
        root = thread_id or native_id
        if not (root.isascii() and root.isdigit()):
            raise SourceConfused(f"{self._name}: that is no post of X")
        with self._reading("bearer_token"):
            named = self._client.get_tweets(list(dict.fromkeys((root, native_id))), **_FIELDS)
            found = self._client.search_recent_tweets(f"conversation_id:{root}", max_results=_PAGE, **_FIELDS)
            items = [named.get("data") or [], _items(found, self._name)]
            mentions = [
                m for body, each in zip((named, found), items, strict=True) for m in self._mentions(each, body.get("includes") or {})
            ]
        if not mentions:
            raise SourceConfused(f"{self._name}: X shows nothing of this conversation any more")
        return Thread(
            mentions=in_reading_order(mentions, around=native_id),
            left_out="X shows answers of the last seven days, the newest hundred at most",
            spent=sum(map(len, items)),
        )

    def close(self) -> None:
        self._client.session.close()
        if self._live:
            self._live.close()

    # reading

    def _make_live(self, settings: SourceSettings, token: str, deadline: float) -> Live:
        from listener.x_stream import XStream

        stream = XStream(
            settings,
            token=token,
            rule=self._query,
            fields=_FIELDS,
            understand=self._not_ours,
            reading=partial(self._reading, "bearer_token"),
            deadline=deadline,
        )
        return Live(settings, poll=self._search, stream=stream, deadline=deadline)

    def _page(self, window: _Window, body: Any, *, day: str) -> Page:
        items = _items(body, self._name)
        if body.get("errors"):
            log.warning("partial_page", source=self._name, errors=len(body["errors"]))
        mentions = self._mentions(items, body.get("includes") or {})
        token = (body.get("meta") or {}).get("next_token")
        ids = [int(mention.native_id) for mention in mentions]
        spent = window.cost(ids, day=day) + len(items) - len(ids)
        heard = tuple(m for m in mentions if not self._is_own(m))
        return Page(mentions=heard, cursor=window.follow(ids, token, day=day).dump(), more=token is not None, spent=spent)

    def _not_ours(self, items: Sequence[Any], includes: Mapping[str, Any]) -> list[Mention]:
        return [mention for mention in self._mentions(items, includes) if not self._is_own(mention)]

    def _mentions(self, items: Sequence[Any], includes: Mapping[str, Any]) -> list[Mention]:
        """What can be read of these posts; `includes` says who wrote them, and what they refer to."""
        people = {str(person.get("id")): person for person in includes.get("users", ()) if isinstance(person, dict)}
        others = {str(post.get("id")): post for post in includes.get("tweets", ()) if isinstance(post, dict)}
        mentions = []
        for item in items:
            try:
                mentions.append(self._mention(item, people, others))
            except (LookupError, TypeError, ValueError, AttributeError) as err:
                native_id = item.get("id") if isinstance(item, dict) else None
                log.warning("post_skipped", source=self._name, native_id=str(native_id)[:40], why=type(err).__name__)
        return mentions

    def _ask_differently(self, window: _Window, err: tweepy.BadRequest, now: datetime) -> Page:
        """X refused a part of the question. A token may have expired, and ids older than a week are not searched: say so, and go on."""
        refused = {name for error in err.api_errors if isinstance(error, dict) for name in error.get("parameters") or ()}
        other = window.without(refused)
        if other is None:
            raise SourceRefused(f"{self._name}: X does not understand the query; correct it: {_told(err.response)}") from err
        log.info("window_restarted", source=self._name, without=sorted(refused))
        gap = None
        if window.since is not None and other.since is None:
            gap = Gap(
                since=_posted_at(window.since), until=max(now - _RECENT, _posted_at(window.since)), why="X searches seven days back only"
            )
        return Page(mentions=(), cursor=other.dump(), more=True, gap=gap)

    def _mention(self, item: Mapping[str, Any], people: Mapping[str, Any], others: Mapping[str, Any]) -> Mention:
        native_id = str(int(item["id"]))
        author = self._author(str(item["author_id"]), people)
        refers, metrics = _refers(item), item.get("public_metrics") or {}
        original = refers.get("retweeted")
        return Mention(
            network=self.network,
            native_id=native_id,
            author=author,
            text=clip(_text(others.get(original, item) if original else item)),
            url=f"{self._site}/{author.handle}/status/{native_id}",
            posted_at=datetime.fromisoformat(item["created_at"]),
            thread_id=_text_or_none(item.get("conversation_id")),
            parent_id=refers.get("replied_to"),
            repost_of=original,
            lang_hint=_language(item.get("lang")),
            likes=_count(metrics.get("like_count")),
            reposts=_count(metrics.get("retweet_count")),
            replies=_count(metrics.get("reply_count")),
        )

    def _author(self, native_id: str, people: Mapping[str, Any]) -> Author:
        person = people.get(native_id) or {}
        metrics = person.get("public_metrics") or {}
        handle = clean(person.get("username") or native_id)[:200]
        return Author(
            network=self.network,
            native_id=native_id,
            handle=handle,
            name=clean(person.get("name") or "")[:200],
            bio=clip(html.unescape(clean(person.get("description") or ""))),
            url=f"{self._site}/{handle}",
            followers=_count(metrics.get("followers_count")),
            following=_count(metrics.get("following_count")),
            posts=_count(metrics.get("tweet_count")),
            verified=person.get("verified") is True,
            created_at=datetime.fromisoformat(person["created_at"]) if person.get("created_at") else None,
        )

    def _is_own(self, mention: Mention) -> bool:
        return mention.author is not None and bool(self._account) and mention.author.handle.lower() == self._account.lower()

    # answering

    @cached_property
    def _own_id(self) -> str:
        me = self._client.get_me(user_auth=True)
        return str(me["data"]["id"])

    def _denied(self, err: Denied, parent_id: str, text: str) -> Posted:
        told = _told(err.answer)
        if err.answer.status_code == 401 or any(problem in err.answer.text for problem in _OUR_FAULT):
            raise self._refused(err, _USER_SECRETS) from err
        if "duplicate" in told.lower() and (posted := self._standing(parent_id, text)):
            return posted
        raise ReplyRefused(f"{self._name}: X does not take this reply: {told}") from err

    def _standing(self, parent_id: str, text: str) -> Posted | None:
        try:
            return self.find_reply(parent_id, text)
        except SourceError as err:
            raise ReplyUnknown(f"{self._name}: the same words are posted already, perhaps as this reply") from err

    def _posted(self, native_id: str) -> Posted:
        return Posted(native_id=native_id, url=f"{self._site}/{self._account}/status/{native_id}")

    def _require_replies(self) -> None:
        if not self._may_reply:
            raise ReplyRefused(f"source {self._name!r} does not answer; set replies = true for it and give it the secrets of our account")

    # trouble

    @contextmanager
    def _reading(self, *secrets: str) -> Iterator[None]:
        """What goes wrong while we read, in our words."""
        try:
            yield
        except Denied as err:
            raise self._refused(err, secrets) from err
        except (RequestException, tweepy.TweepyException, LookupError, TypeError, AttributeError, ValueError) as err:
            raise SourceConfused(f"{self._name}: an answer that is not X's; check url of the source") from err

    def _refused(self, err: Denied, secrets: tuple[str, ...]) -> SourceRefused:
        check = ", ".join(variable(self._name, name) for name in secrets)
        return SourceRefused(f"{self._name}: X refuses our key ({err.answer.status_code}: {_told(err.answer)}); check {check}")


def _query(settings: SourceSettings) -> str:
    account = settings.account.lstrip("@")
    query = settings.query.strip() or (f"@{account}" if account else "")
    if not query:
        raise ConfigurationError(f"source {settings.name!r} has no query; set query to the words to look for on X")
    return f"(({query}) OR @{account}) -from:{account}" if account else query


def _items(body: Any, name: str) -> list[Any]:
    """The posts of an answer; raises `SourceConfused` where there is neither a list nor a count that says there is none."""
    if isinstance(body, dict):
        items = body.get("data", [])
        if isinstance(items, list) and (items or isinstance(body.get("meta"), dict)):
            return items
    raise SourceConfused(f"{name}: an answer without posts and without a count; check url of the source")


def _is_hidden(error: Any) -> bool:
    """A list of posts is answered with what can be shown, and one such error for each of the others."""
    is_of_a_post = error.get("resource_type", "tweet") in ("tweet", "post") and error.get("parameter", "ids") == "ids"
    return is_of_a_post and str(error.get("type", "")).endswith(_HIDDEN)


def _refers(item: Any) -> dict[str, str]:
    return {str(other["type"]): str(other["id"]) for other in item.get("referenced_tweets") or ()}


def _text(item: Mapping[str, Any]) -> str:
    """The whole text, with links as they were written, unescaped once."""
    long = item.get("note_tweet") or {}
    text = html.unescape(clean(long.get("text") or item["text"]))
    for link in ((long or item).get("entities") or {}).get("urls") or ():
        short, whole = link.get("url"), link.get("expanded_url")
        if short and isinstance(whole, str):
            text = text.replace(short, clean(whole))
    return text


def _plain(text: str) -> str:
    """For comparing what we sent with what X shows: it puts handles in front and shortens links."""
    text = _LINK.sub("link", unicodedata.normalize("NFC", html.unescape(text)))
    return " ".join(_LEADING_HANDLES.sub("", text).split())


def _language(code: object) -> str | None:
    if not isinstance(code, str) or not re.fullmatch(r"[a-z]{2}(-\w+)?", code):
        return None
    return _OLD_LANGUAGE_CODES.get(code[:2], code[:2])


def _text_or_none(value: object) -> str | None:
    return clean(value) if isinstance(value, str) else None


def _count(number: object) -> int | None:
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _told(answer: Any) -> str:
    """What X says is wrong, in one short line."""
    try:
        body = answer.json()
        said = " ".join(
            [*(str(e.get("message", "")) for e in body.get("errors") or ()), str(body.get("detail") or body.get("title") or "")]
        )
    except (ValueError, AttributeError, TypeError):
        said = str(answer.reason)
    return " ".join(said.split())[:200]


def _ids_in(span: timedelta) -> int:
    return int(span.total_seconds() * 1000) << 22


def _id_at(moment: datetime) -> int:
    return max(int(moment.timestamp() * 1000) - _SNOWFLAKE_EPOCH_MS, 1) << 22


def _posted_at(native_id: int) -> datetime:
    return datetime.fromtimestamp(((native_id >> 22) + _SNOWFLAKE_EPOCH_MS) / 1000, UTC)
