"""The truth that the demo's networks tell: who is there, what they posted, and what stands under our own account.

One `World` serves all networks at once. It is in memory, safe to use from several threads, and the same calls give the same ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2s
from threading import RLock

NETWORKS = ("x", "reddit")
_SNOWFLAKE_EPOCH_MS = 1_288_834_974_657
_REDDIT_FIRST = int("1a000000", 36)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody with an account on one network."""

    network: str
    native_id: str
    handle: str
    name: str
    bio: str
    followers: int
    following: int
    verified: bool
    created_at: datetime
    token: str  #: what this person signs in with, over HTTP
    gone: bool = False  #: deleted the account


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One post. On Reddit `title` marks a submission, everything else is a comment."""

    network: str
    native_id: str
    author: str  #: handle
    text: str
    at: datetime
    thread: str  #: native id of the post that began the conversation
    parent: str | None = None
    title: str | None = None
    place: str = ""  #: the subreddit
    lang: str = "en"
    repost_of: str | None = None
    likes: int = 0
    reposts: int = 0
    edited_at: datetime | None = None
    deleted: bool = False
    via_http: bool = False  #: made by a call to the server, not by the story


@dataclass(slots=True)
class _Network:
    people: dict[str, Person] = field(default_factory=dict)
    posts: dict[str, Post] = field(default_factory=dict)
    newest: int = 0


class Refused(Exception):
    """The network will not take this post. `why` is one of: gone, duplicate, empty, too long."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def _now() -> datetime:
    return datetime.now(UTC)


class World:
    """People and posts of all networks.

    `account` is our own handle, on each network. `clock` gives the time of posts that arrive over HTTP; a story that runs faster than life
    passes its own clock, so that what it posts and what people answer stay in order.
    """

    def __init__(
        self,
        *,
        account: str = "lumifern",
        place: str = "lumifern",
        seed: int = 1,
        clock: Callable[[], datetime] = _now,
        networks: Sequence[str] = NETWORKS,
    ) -> None:
        self.account = account
        self.place = place
        self.now = clock
        self._seed = seed
        self._lock = RLock()
        self._networks = {name: _Network() for name in networks}
        for name in networks:
            self.person(name, account, name=account.title(), followers=20_000, verified=True)

    @contextmanager
    def still(self) -> Iterator[None]:
        """Nothing changes inside."""
        with self._lock:
            yield

    # people

    def person(
        self,
        network: str,
        handle: str,
        *,
        name: str = "",
        bio: str = "",
        followers: int = 0,
        following: int = 0,
        verified: bool = False,
        created_at: datetime | None = None,
    ) -> Person:
        """Let somebody in, or change what is known of them. Handles are one whatever their case."""
        with self._lock:
            people = self._networks[network].people
            known = people.get(handle.lower())
            person = Person(
                network=network,
                native_id=known.native_id if known else self._person_id(network, handle),
                handle=handle,
                name=name or handle,
                bio=bio,
                followers=followers,
                following=following,
                verified=verified,
                created_at=created_at or datetime(2019, 5, 4, tzinfo=UTC),
                token=self._secret(network, "token", handle.lower()),
            )
            people[handle.lower()] = person
            return person

    def someone(self, network: str, handle: str) -> Person | None:
        with self._lock:
            return self._networks[network].people.get(handle.lower())

    def token(self, network: str, handle: str) -> str:
        """What `handle` signs in with. Somebody new is let in first."""
        return (self.someone(network, handle) or self.person(network, handle)).token

    def bearer(self, network: str, token: str) -> Person | None:
        """Who holds this token."""
        with self._lock:
            return next((p for p in self._networks[network].people.values() if p.token == token and not p.gone), None)

    def forget_person(self, network: str, handle: str) -> None:
        """The author deletes the account; on Reddit the posts stay, without a name."""
        with self._lock:
            people = self._networks[network].people
            people[handle.lower()] = replace(people[handle.lower()], gone=True)

    # posts

    def post(
        self,
        network: str,
        author: str,
        text: str,
        *,
        at: datetime,
        title: str | None = None,
        reply_to: str | None = None,
        place: str | None = None,
        lang: str | None = None,
        repost_of: str | None = None,
        likes: int = 0,
        reposts: int = 0,
        via_http: bool = False,
    ) -> str:
        """Make a post that is visible from now on; gives its native id ("t3_…" and "t1_…" on Reddit). Ids only ever grow.

        Raises `KeyError` when `reply_to` or `repost_of` never was.
        """
        with self._lock:
            here = self._networks[network]
            if self.someone(network, author) is None:
                self.person(network, author)
            parent = here.posts[reply_to] if reply_to else None
            if repost_of:
                original = here.posts[repost_of]
                here.posts[repost_of] = replace(original, reposts=original.reposts + 1)
            native_id = self._next_id(network, at, is_comment=parent is not None)
            here.posts[native_id] = Post(
                network=network,
                native_id=native_id,
                author=author,
                text=text,
                at=at,
                thread=parent.thread if parent else native_id,
                parent=reply_to,
                title=title,
                place=place or (parent.place if parent else self.place),
                lang=lang or _guess(text),
                repost_of=repost_of,
                likes=likes,
                reposts=reposts,
                via_http=via_http,
            )
            return native_id

    def answer(
        self, network: str, author: str, text: str, *, reply_to: str | None, longest: int, once: bool, title: str | None = None
    ) -> str:
        """A post that arrived over HTTP, under the rules of the network. Raises `Refused`."""
        with self._lock:
            here = self._networks[network]
            if not text.strip() and not title:
                raise Refused("empty")
            if weight(text) > longest:
                raise Refused("too long")
            if reply_to is not None and (reply_to not in here.posts or here.posts[reply_to].deleted):
                raise Refused("gone")
            if once and any(p.author == author and p.text == text and not p.deleted for p in here.posts.values()):
                raise Refused("duplicate")
            return self.post(network, author, text, at=self.now(), reply_to=reply_to, title=title, via_http=True)

    def delete(self, network: str, native_id: str) -> None:
        self._change(network, native_id, deleted=True)

    def edit(self, network: str, native_id: str, text: str, *, at: datetime) -> None:
        self._change(network, native_id, text=text, edited_at=at)

    def like(self, network: str, native_id: str, *, likes: int = 1, reposts: int = 0) -> None:
        """Add to what the post has drawn so far."""
        with self._lock:
            post = self._networks[network].posts[native_id]
            self._change(network, native_id, likes=post.likes + likes, reposts=post.reposts + reposts)

    def find(self, network: str, native_id: str) -> Post | None:
        with self._lock:
            return self._networks[network].posts.get(native_id)

    def posts(self, network: str, *, deleted: bool = False) -> list[Post]:
        """Newest first; deleted ones only on request."""
        with self._lock:
            return [p for p in reversed(self._networks[network].posts.values()) if deleted or not p.deleted]

    def ids(self, network: str) -> list[str]:
        """The true list: every native id that was ever posted, oldest first, our own and deleted ones too."""
        with self._lock:
            return list(self._networks[network].posts)

    def replies(self, network: str | None = None) -> list[Post]:
        """What stands under our own account, oldest first: the place to count doubles."""
        with self._lock:
            names = tuple(self._networks) if network is None else (network,)
            return [p for name in names for p in self._networks[name].posts.values() if p.author == self.account and not p.deleted]

    def children(self, network: str) -> Mapping[str, int]:
        """How many replies each post has."""
        counts: dict[str, int] = {}
        with self._lock:
            for post in self._networks[network].posts.values():
                if post.parent and not post.deleted:
                    counts[post.parent] = counts.get(post.parent, 0) + 1
        return counts

    # keys

    def secrets(self, network: str) -> dict[str, str]:
        """The keys of our own application and account, by the names that the source asks for."""
        names = {
            "x": ("bearer_token", "consumer_key", "consumer_secret", "access_token_secret"),
            "reddit": ("client_id", "client_secret", "password", "refresh_token"),
        }[network]
        keys = {name: self._secret(network, name) for name in names}
        return keys | ({"access_token": self.token("x", self.account)} if network == "x" else {})

    def environ(self, network: str, source: str | None = None) -> dict[str, str]:
        """`secrets` as the environment variables of a source called `source`."""
        prefix = f"EARSHOT_SECRET_{source or network}_".upper().replace("-", "_")
        return {prefix + name.upper(): value for name, value in self.secrets(network).items()}

    # inside

    def _change(self, network: str, native_id: str, **changes: object) -> None:
        with self._lock:
            posts = self._networks[network].posts
            posts[native_id] = replace(posts[native_id], **changes)  # type: ignore[arg-type]

    def _next_id(self, network: str, at: datetime, *, is_comment: bool) -> str:
        here = self._networks[network]
        if network == "x":
            here.newest = max(here.newest + 1, snowflake(at))
            return str(here.newest)
        here.newest = max(here.newest + 1, _REDDIT_FIRST)
        return ("t1_" if is_comment else "t3_") + base36(here.newest)

    def _person_id(self, network: str, handle: str) -> str:
        number = int.from_bytes(self._hash(network, "person", handle.lower())[:6], "big")
        return str(10**9 + number) if network == "x" else f"t2_{base36(number)}"

    def _secret(self, *parts: str) -> str:
        return self._hash(*parts).hex()[:32]

    def _hash(self, *parts: str) -> bytes:
        return blake2s("\0".join((str(self._seed), *parts)).encode()).digest()


def snowflake(at: datetime) -> int:
    """The smallest of X's ids for a post of that moment."""
    return max(int(at.timestamp() * 1000) - _SNOWFLAKE_EPOCH_MS, 1) << 22


def base36(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = _DIGITS[rest] + digits
    return digits or "0"


def weight(text: str) -> int:
    """Length as X counts it: what is wider than Latin counts twice."""
    return sum(1 if ord(character) < 0x1100 else 2 for character in text)


def _guess(text: str) -> str:
    return "zh" if any("\u4e00" <= character <= "\u9fff" for character in text) else "en"


#: How far X's recent search looks back.
RECENT = timedelta(days=7)
