"""A notice board: posts as JSON, oldest first, numbered from 1."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from earshot.errors import BadInput, ConfigurationError, ReplyRefused, SourceConfused, SourceRefused
from earshot.mention import Author, Mention
from earshot.settings import SourceSettings
from listener.fetch import GuardedClient
from listener.plain_text import clip
from listener.source import Page, Posted

PAGE = 100


class NoticeboardSource:
    """`settings.url` is the board, `settings.query` a word that a post must hold. The cursor is the number of the last post read."""

    network = "noticeboard"
    keys_from = ""  # it needs none

    def __init__(self, settings: SourceSettings) -> None:
        if not settings.url:
            raise ConfigurationError(f"source {settings.name!r} needs url: the address of the notice board")
        self._url = settings.url.rstrip("/")
        self._word = settings.query.casefold()
        self._client = GuardedClient(allow_private=settings.allow_private)

    def fetch(self, cursor: str | None, *, now: datetime) -> Page:
        try:
            answer = self._client.get(f"{self._url}/posts", now=now, params={"after": cursor or "0"})
            posts: list[dict[str, Any]] = orjson.loads(answer.body)["posts"]
            heard = tuple(self._mention(post) for post in posts if self._word in post["text"].casefold())
            last = str(posts[-1]["number"]) if posts else cursor
        except BadInput as err:
            raise SourceRefused(str(err)) from err
        except (ValueError, LookupError, TypeError, AttributeError) as err:
            raise SourceConfused("the notice board answered with something that is no list of posts") from err
        return Page(mentions=heard, cursor=last, more=len(posts) == PAGE, spent=len(posts))

    def reply(self, parent_id: str, text: str, *, key: str) -> Posted:  # noqa: ARG002 - the promise's shape
        raise ReplyRefused("a notice board takes no replies")

    def find_reply(self, parent_id: str, text: str) -> Posted | None:  # noqa: ARG002
        return None

    def close(self) -> None:
        """Nothing stays open between calls."""

    def _mention(self, post: dict[str, Any]) -> Mention:
        author = Author(network=self.network, native_id=str(post["by"]), handle=str(post["by"]))
        return Mention(
            network=self.network,
            native_id=str(post["number"]),
            author=author,
            text=clip(post["text"]),
            url=f"{self._url}/posts/{post['number']}",
            posted_at=datetime.fromisoformat(post["at"]),
            thread_id=str(post["number"]),
        )
