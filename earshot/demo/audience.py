"""The people on the networks: they post what the story says, read what we answer, and say what came of it.

What the story knows beforehand is put on the networks as it is. What people say to us they post over HTTP, each with a token of her own.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, partial
from random import Random
from typing import Any

import httpx2

from earshot.demo.agenda import Agenda
from earshot.demo.networks.world import Post
from earshot.demo.stage import ACCOUNT, Stage
from earshot.demo.story import Happening, Labels
from earshot.errors import EarshotError

#: who reads on for the others; anybody may
_READER = "someone_reading"


@dataclass(frozen=True, slots=True, kw_only=True)
class OurReply:
    """A reply of ours as people see it."""

    network: str
    native_id: str
    parent: str
    text: str


class Audience:
    def __init__(self, stage: Stage, agenda: Agenda, rng: Random) -> None:
        self.stage = stage
        self.agenda = agenda
        self.rng = rng
        self._http = httpx2.Client(verify=False, timeout=30)  # plain HTTP on this machine
        self._ids: dict[str, str] = {}
        self._posted: dict[tuple[str, str], Happening] = {}
        self._by_url: dict[str, Happening] = {}
        self._read: dict[str, str] = {}

    def close(self) -> None:
        self._http.close()

    def post(self, happening: Happening, *, at: datetime) -> None:
        world, network = self.stage.world, happening.network
        native_id = world.post(
            network, happening.author, happening.text, at=at, title=happening.title, lang=happening.lang,
            reply_to=self._ids[happening.reply_to] if happening.reply_to else None,
            repost_of=self._ids[happening.repost_of] if happening.repost_of else None,
            likes=happening.likes, reposts=happening.reposts,
        )  # fmt: skip
        self._ids[happening.key] = native_id
        self._note(native_id, happening)

    def behind(self, url: str) -> Happening | None:
        """What the story knows of the post at that address."""
        return self._by_url.get(url)

    def listen(self) -> None:
        """Read what we answered since the last look; whoever has something to say about it says so after a while."""
        for reply in (*self._new_on_x(), *self._new_on_reddit()):
            asked = self._posted.get((reply.network, reply.parent))
            if asked is not None and asked.verdict and asked.answer and asked.answer in reply.text:
                self._posted[reply.network, reply.parent] = replace(asked, verdict=None)
                self.agenda.after(self.rng.uniform(10, 150), partial(self._say, asked, asked.verdict, reply))

    def _say(self, asked: Happening, verdict: str, reply: OurReply) -> None:
        native_id = (self._say_on_x if reply.network == "x" else self._say_on_reddit)(asked, verdict, reply.native_id)
        # Whoever comes back without success has tried what customers know.
        labels = Labels() if asked.helped else Labels(intent="problem", needs="specialist", anger=asked.labels.anger)
        self._note(native_id, replace(asked, text=verdict, answer=None, verdict=None, labels=labels))

    def _note(self, native_id: str, happening: Happening) -> None:
        post = self.stage.world.find(happening.network, native_id)
        if post is not None:
            self._posted[happening.network, native_id] = happening
            self._by_url[self.stage.networks[happening.network] + _path(post)] = happening

    # X

    def _new_on_x(self) -> Iterator[OurReply]:
        params = {"max_results": 100, "tweet.fields": "referenced_tweets"}
        if "x" in self._read:
            params["since_id"] = self._read["x"]
        for tweet in reversed(self._call("x", "GET", f"/2/users/{self._our_id}/tweets", params=params).get("data", [])):
            self._read["x"] = tweet["id"]
            for other in tweet.get("referenced_tweets", ()):
                yield OurReply(network="x", native_id=tweet["id"], parent=other["id"], text=html.unescape(tweet["text"]))

    @cached_property
    def _our_id(self) -> str:
        return str(self._call("x", "GET", f"/2/users/by/username/{ACCOUNT}")["data"]["id"])

    def _say_on_x(self, who: Happening, text: str, to: str) -> str:
        body = {"text": text, "reply": {"in_reply_to_tweet_id": to}}
        return str(self._call("x", "POST", "/2/tweets", by=who.author, json=body)["data"]["id"])

    # Reddit

    def _new_on_reddit(self) -> Iterator[OurReply]:
        listed = self._call("reddit", "GET", f"/user/{ACCOUNT}/comments", params={"limit": 100, "raw_json": 1})["data"]["children"]
        comments = [thing["data"] for thing in listed]
        new = [c for c in comments if int(c["id"], 36) > int(self._read.get("reddit", "0"), 36)]
        for comment in reversed(new):
            self._read["reddit"] = comment["id"]
            yield OurReply(network="reddit", native_id=comment["name"], parent=comment["parent_id"], text=comment["body"])

    def _say_on_reddit(self, who: Happening, text: str, to: str) -> str:
        body = self._call("reddit", "POST", "/api/comment", by=who.author, data={"thing_id": to, "text": text})
        return str(body["json"]["data"]["things"][0]["data"]["name"])

    def _call(self, network: str, method: str, path: str, *, by: str = _READER, **given: Any) -> Any:
        token = self.stage.world.token(network, by)
        headers = {"authorization": f"Bearer {token}"}
        response = self._http.request(method, self.stage.networks[network] + path, headers=headers, **given)
        if response.status_code >= 400:
            raise EarshotError(f"the demo's {network} answered {response.status_code} to {method} {path}")
        return response.json()


def _path(post: Post) -> str:
    """Where people find the post, on its network."""
    if post.network == "x":
        return f"/{post.author}/status/{post.native_id}"
    tail = f"{post.native_id[3:]}/" if post.parent else ""
    return f"/r/{post.place}/comments/{post.thread[3:]}/_/{tail}"
