"""X's filtered stream: one rule of ours, kept in step with the query, and one connection, which is all that X gives a key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import urlencode

import orjson
import structlog
import tweepy

from earshot.errors import SourceConfused, SourceRefused
from earshot.mention import Mention
from earshot.settings import SourceSettings
from listener.line import Line
from listener.source import Page
from listener.wire import Wire, equip

log = structlog.get_logger(__name__)

_API = "https://api.twitter.com"
_PATH = "/2/tweets/search/stream"

#: posts of an answer and what is said beside them -> mentions, without our own
Understand = Callable[[Sequence[Any], Mapping[str, Any]], Sequence[Mention]]


class XStream:
    """`rule` is the query; `fields` are those that a search asks for. Rules of other tags on the same key are left alone, and what only
    they bring is dropped. `reading` puts what goes wrong into our words.
    """

    def __init__(
        self,
        settings: SourceSettings,
        *,
        token: str,
        rule: str,
        fields: Mapping[str, str],
        understand: Understand,
        reading: Callable[[], AbstractContextManager[None]],
        deadline: float,
    ) -> None:
        self._name = settings.name
        self._tag = f"earshot:{settings.name}"
        self._rule = rule
        self._token = token
        self._understand = understand
        self._reading = reading
        self._deadline = deadline
        asked = urlencode({name.replace("_", ".", 1) if name != "expansions" else name: value for name, value in fields.items()})
        self._url = f"{settings.url.rstrip('/') or _API}{_PATH}?{asked}"
        self._rules = tweepy.StreamingClient(token, return_type=dict, wait_on_rate_limit=False)
        equip(self._rules.session, Wire(name=settings.name, to=settings.url, deadline=deadline))
        self._ours: frozenset[str] = frozenset()

    def open(self) -> Sequence[Line]:
        with self._reading():
            self._ours = frozenset(self._keep_rules_in_step())
        headers = {"authorization": f"Bearer {self._token}"}
        return (Line(self._url, headers=headers, ends=b"\n", name=self._name, only_public=False, deadline=self._deadline),)

    def read(self, messages: Sequence[bytes]) -> Page:
        mentions: list[Mention] = []
        read = spent = 0
        for message in messages:
            try:
                event = orjson.loads(message)
                read += 1
                if problems := event.get("errors"):
                    log.warning("stream_problem", source=self._name, why=[str(problem.get("title"))[:100] for problem in problems])
                elif "data" in event:
                    spent += 1
                    if self._is_ours(event):
                        mentions += self._understand([event["data"]], event.get("includes") or {})
            except (LookupError, TypeError, ValueError, AttributeError) as err:
                log.warning("post_skipped", source=self._name, native_id="", why=type(err).__name__)
        if messages and not read:
            raise SourceConfused(f"{self._name}: a stream that is not X's; check url of the source")
        return Page(mentions=tuple(mentions), cursor=None, spent=spent)

    def close(self) -> None:
        self._rules.session.close()

    def _is_ours(self, event: Mapping[str, Any]) -> bool:
        return any(str(rule["id"]) in self._ours for rule in event["matching_rules"])

    def _keep_rules_in_step(self) -> list[str]:
        """The ids of the rules that say what we look for; first ours is added, then those of ours that say something else go."""
        standing = self._standing()
        ours = [native_id for native_id, value, _ in standing if value == self._rule] or self._add()
        old = [native_id for native_id, value, tag in standing if tag == self._tag and value != self._rule]
        if old:
            self._rules.delete_rules(old)
            log.info("rules_deleted", source=self._name, count=len(old))
        return ours

    def _standing(self) -> list[tuple[str, str, str]]:
        """(id, value, tag) of all rules of our key."""
        body = self._rules.get_rules()
        rules = body.get("data") or []
        if not rules and not isinstance(body.get("meta"), dict):
            raise SourceConfused(f"{self._name}: an answer that tells no rules of a stream; check url of the source")
        return [(str(rule["id"]), str(rule["value"]), str(rule.get("tag"))) for rule in rules]

    def _add(self) -> list[str]:
        try:
            body = self._rules.add_rules(tweepy.StreamRule(self._rule, self._tag))
        except tweepy.BadRequest as err:
            raise self._not_understood(" ".join(err.api_messages) or str(err.response.reason)) from err
        if added := [str(rule["id"]) for rule in body.get("data") or ()]:
            return added
        problems = body.get("errors") or ()
        if same := [str(problem["id"]) for problem in problems if problem.get("title") == "DuplicateRule"]:
            return same
        raise self._not_understood(" ".join(str(said) for problem in problems for said in problem.get("details") or [problem.get("title")]))

    def _not_understood(self, why: str) -> SourceRefused:
        return SourceRefused(
            f"{self._name}: X does not take the query as a rule of its stream; correct it, or take stream = true away: {why[:200]}"
        )
