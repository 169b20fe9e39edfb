"""A server that speaks the part of Bluesky's interfaces that listening and answering need.

GET /subscribe (the stream, as a list: `WebSockets` makes messages of it), and under /xrpc: com.atproto.identity.resolveHandle,
app.bsky.actor.getProfiles, app.bsky.feed.getPosts, com.atproto.server.createSession, com.atproto.repo.createRecord and getRecord.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from fake_networks.server_world import ServerWorld
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from earshot.demo.networks.world import Person, Post, Refused

COLLECTION = "app.bsky.feed.post"
LONGEST = 300
_DIGITS = "234567abcdefghijklmnopqrstuvwxyz"
#: The stream's own clock is behind those of authors, so that what stands there now lies before now.
_BEHIND = timedelta(seconds=1)


class BlueskyWorld(ServerWorld):
    """`log` is everything that happened, in the stream's words, each with a moment of its own."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.log: list[dict[str, Any]] = []
        self._writer = ""
        self._key: str | None = None
        super().__init__("bluesky", keys=["app_password"], name_post=lambda number, _: str(number), clock=clock)

    def post(self, network: str, author: str, text: str, *, at: datetime, **more: Any) -> str:
        with self.still():
            self._writer = (self.someone(network, author) or self.person(network, author)).native_id
            native_id = super().post(network, author, text, at=at, **more)
            self._happened(native_id, "create", at)
            return native_id

    def answer_at(self, key: str, author: str, text: str, *, reply_to: str) -> str:
        """An answer with a key that the one who writes it chose. Raises `Refused`."""
        with self.still():
            self._key = key
            try:
                return self.answer("bluesky", author, text, reply_to=reply_to, longest=LONGEST, once=False)
            finally:
                self._key = None

    def delete(self, network: str, native_id: str) -> None:
        super().delete(network, native_id)
        self._happened(native_id, "delete", self.now())

    def edit(self, network: str, native_id: str, text: str, *, at: datetime) -> None:
        super().edit(network, native_id, text, at=at)
        self._happened(native_id, "update", at)

    def forget_person(self, network: str, handle: str) -> None:
        super().forget_person(network, handle)
        self.account_is(handle, active=False, status="deleted")

    def account_is(self, handle: str, *, active: bool, status: str | None = None) -> None:
        """An account is gone, or back."""
        person = self.someone("bluesky", handle)
        assert person is not None
        account = {"active": active, "did": person.native_id, "seq": len(self.log), "time": _iso(self.now())}
        self._log(person.native_id, self.now(), {"kind": "account", "account": account | ({"status": status} if status else {})})

    def record(self, post: Post) -> dict[str, Any]:
        record: dict[str, Any] = {"$type": COLLECTION, "text": post.text, "createdAt": _iso(post.at), "langs": [post.lang]}
        if post.parent:
            record["reply"] = {
                "root": {"uri": post.thread, "cid": cid(post.thread)},
                "parent": {"uri": post.parent, "cid": cid(post.parent)},
            }
        return record

    def _happened(self, native_id: str, operation: str, at: datetime) -> None:
        post = self.find("bluesky", native_id)
        assert post is not None
        did, key = native_id.removeprefix("at://").split(f"/{COLLECTION}/")
        commit = {"rev": _key(len(self.log)), "operation": operation, "collection": COLLECTION, "rkey": key}
        said = {} if operation == "delete" else {"record": self.record(post), "cid": cid(native_id)}
        self._log(did, at, {"kind": "commit", "commit": commit | said})

    def _log(self, did: str, at: datetime, event: dict[str, Any]) -> None:
        newest = self.log[-1]["time_us"] if self.log else 0
        is_honest = at <= self.now() + timedelta(hours=1)
        heard = microseconds((at if is_honest else self.now()) - _BEHIND)
        self.log.append({"did": did, "time_us": max(newest + 1, heard), **event})

    def _next_id(self, network: str, at: datetime, *, is_comment: bool) -> str:
        number = int(super()._next_id(network, at, is_comment=is_comment))
        return f"at://{self._writer}/{COLLECTION}/{self._key or _key((microseconds(min(at, self.now())) << 10) + number)}"

    def _person_id(self, network: str, handle: str) -> str:  # noqa: ARG002 - one network
        return f"did:plc:{sha256(handle.lower().encode()).hexdigest()[:24]}"


def world(clock: Callable[[], datetime]) -> BlueskyWorld:
    return BlueskyWorld(clock)


def app(world: BlueskyWorld, *, keeps: int = 1_000_000) -> Bluesky:
    return Bluesky(world, keeps=keeps)


class Bluesky(Starlette):
    """`keeps`: events that the stream can replay. `changes`: what a record says otherwise, by native id. `sessions`: good tokens."""

    def __init__(self, world: BlueskyWorld, *, keeps: int) -> None:
        self.world = world
        self.keeps = keeps
        self.changes: dict[str, dict[str, Any]] = {}
        self.profiles: dict[str, dict[str, Any]] = {}  #: what a profile says otherwise, by handle
        self.sessions: set[str] = set()
        self.records: list[dict[str, Any]] = []  #: what was made over HTTP, as it was sent
        xrpc = {
            "com.atproto.identity.resolveHandle": self.resolve_handle,
            "app.bsky.actor.getProfiles": self.get_profiles,
            "app.bsky.feed.getPosts": self.get_posts,
            "com.atproto.repo.getRecord": self.get_record,
        }
        writes = {"com.atproto.server.createSession": self.create_session, "com.atproto.repo.createRecord": self.create_record}
        super().__init__(
            routes=[
                Route("/subscribe", self.subscribe),
                *(Route(f"/xrpc/{name}", handler) for name, handler in xrpc.items()),
                *(Route(f"/xrpc/{name}", handler, methods=["POST"]) for name, handler in writes.items()),
            ]
        )

    async def subscribe(self, request: Request) -> Response:
        ask = request.query_params
        assert ask.getlist("wantedCollections") == [COLLECTION]
        with self.world.still():
            return JSONResponse([self._changed(e) for e in self.world.log[-self.keeps :] if e["time_us"] >= int(ask["cursor"])])

    async def resolve_handle(self, request: Request) -> Response:
        person = self.world.someone("bluesky", request.query_params["handle"])
        return _error("InvalidRequest", "Unable to resolve handle") if person is None else JSONResponse({"did": person.native_id})

    async def get_profiles(self, request: Request) -> Response:
        wanted = request.query_params.getlist("actors")
        if len(wanted) > 25:
            return _error("InvalidRequest", "actors must not have more than 25 elements")
        with self.world.still():
            people = {person.native_id: person for post in self.world.posts("bluesky") if (person := self._person(post.author))}
        found = [people[did] for did in wanted if did in people and not people[did].gone]
        return JSONResponse({"profiles": [self._profile(person) for person in found]})

    async def get_posts(self, request: Request) -> Response:
        found = [self.world.find("bluesky", uri) for uri in request.query_params.getlist("uris")]
        shown = [
            {"uri": post.native_id, "cid": cid(post.native_id), "record": self.world.record(post), "author": {"handle": post.author}}
            for post in found
            if post and not post.deleted
        ]
        return JSONResponse({"posts": shown})

    async def create_session(self, request: Request) -> Response:
        body = await request.json()
        person = self.world.someone("bluesky", body["identifier"])
        if person is None or body["password"] != person.token:
            return JSONResponse({"error": "AuthenticationRequired", "message": "Invalid identifier or password"}, 401)
        token = f"session{len(self.sessions)}-{person.native_id}"
        self.sessions.add(token)
        return JSONResponse({"accessJwt": token, "refreshJwt": "canary", "did": person.native_id, "handle": person.handle})

    async def create_record(self, request: Request) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.sessions:
            return _error("ExpiredToken", "Token has expired")
        body = await request.json()
        record, did = body["record"], token.partition("-")[2]
        assert (body["repo"], body["collection"], record["$type"]) == (did, COLLECTION, COLLECTION)
        with self.world.still():
            uri = f"at://{did}/{COLLECTION}/{body['rkey']}"
            there = self.world.find("bluesky", uri)
            if there is not None and not there.deleted:
                return JSONResponse({"error": "InternalServerError", "message": "Internal Server Error"}, 500)
            try:
                self.world.answer_at(body["rkey"], self.world.account, record["text"], reply_to=record["reply"]["parent"]["uri"])
            except Refused as err:
                return _error("InvalidRequest", f"Invalid record: text {err.why}")
        self.records.append(record)
        return JSONResponse({"uri": uri, "cid": cid(uri)})

    async def get_record(self, request: Request) -> Response:
        ask = request.query_params
        uri = f"at://{ask['repo']}/{ask['collection']}/{ask['rkey']}"
        post = self.world.find("bluesky", uri)
        if post is None or post.deleted:
            return _error("RecordNotFound", f"Could not locate record: {uri}")
        return JSONResponse({"uri": uri, "cid": cid(uri), "value": self.world.record(post)})

    def _person(self, handle: str) -> Person | None:
        return self.world.someone("bluesky", handle)

    def _profile(self, person: Person) -> dict[str, Any]:
        profile = {
            "did": person.native_id,
            "handle": person.handle,
            "displayName": person.name,
            "description": person.bio,
            "followersCount": person.followers,
            "followsCount": person.following,
            "postsCount": 7,
            "createdAt": _iso(person.created_at),
            "indexedAt": _iso(person.created_at),
            "labels": [],
        }
        return profile | self.profiles.get(person.handle, {})

    def _changed(self, event: dict[str, Any]) -> dict[str, Any]:
        if event["kind"] != "commit" or "record" not in event["commit"]:
            return event
        commit = event["commit"]
        changes = self.changes.get(f"at://{event['did']}/{COLLECTION}/{commit['rkey']}", {})
        return event | {"commit": commit | {"record": commit["record"] | changes}}


def live(now: datetime) -> dict[str, Any]:
    """What somebody does a moment later: the network never rests."""
    did = "did:plc:somebodyelse"
    identity = {"did": did, "handle": "somebody.else", "seq": 1, "time": _iso(now)}
    return {"did": did, "time_us": microseconds(now), "kind": "identity", "identity": identity}


def cid(uri: str) -> str:
    return f"bafyrei{sha256(uri.encode()).hexdigest()[:52]}"


def microseconds(at: datetime) -> int:
    return (at - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)


def _key(number: int) -> str:
    return "".join(_DIGITS[number >> 5 * place & 31] for place in reversed(range(13)))


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _error(name: str, words: str) -> Response:
    return JSONResponse({"error": name, "message": words}, 400)
