"""A webhook: mentions that another system brings, signed; answers that go back to it, signed.

The scheme is that of Standard Webhooks (https://www.standardwebhooks.com): HMAC-SHA256 over `webhook-id`, `webhook-timestamp` and
the body, good for five minutes. A mention has the fields of a line of `earshot import`. Ids are the sender's own, so each carries the name
of the source, and nobody can speak for another network or another sender.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import orjson
from msgspec.structs import replace
from requests import Response
from requests.exceptions import RequestException, TooManyRedirects
from standardwebhooks import Webhook, WebhookVerificationError
from standardwebhooks.webhooks import EmptyWebhookSecretError

from earshot.errors import (
    BadInput,
    ConfigurationError,
    ReplyRefused,
    ReplyUnknown,
    SourceConfused,
    SourceRefused,
)
from earshot.mention import Author, Mention
from earshot.settings import SourceSettings, secret
from listener import json_api
from listener.json_api import UNREADABLE
from listener.rows import RowReader
from listener.source import Page, Posted
from listener.wire import DEADLINE_SECONDS, Denied, NoAnswer, Wire, session, variable

#: mentions of one delivery
MOST_MENTIONS = 1_000
_LONGEST = 20_000  #: characters of an answer
_SHORTEST_KEY = 24  #: bytes of a secret, base64 makes 32 characters of them
_ROWS = msgspec.json.Decoder(list[msgspec.Raw])


class WebhookSource:
    """`settings.name` is part of the address that the other system calls. With `replies`, answers go to `settings.url`.

    Secret: `signing`, for both ways. Raises `ConfigurationError` naming its variable where it is missing or too short, and for answers
    without an address.
    """

    network = "webhook"
    keys_from = "yourself: docs/how-to/receive-by-webhook.md has a line that makes one"

    def __init__(self, settings: SourceSettings, *, deadline: float = DEADLINE_SECONDS) -> None:
        self._settings = settings
        self._name = settings.name
        self._account = settings.account.strip("@ ").casefold()
        self._signer = _signer(settings)
        if settings.replies and not settings.url.startswith(("https://", "http://")):
            raise ConfigurationError(
                f"source {settings.name!r} answers, so it needs url = where answers are sent to, such as https://host/path"
            )
        self._session = session(Wire(name=settings.name, deadline=deadline, only_public=not settings.allow_private))
        self._session.trust_env = False

    def receive(self, headers: Mapping[str, str], body: bytes, *, now: datetime) -> tuple[Mention, ...]:
        """The mentions of one delivery: an object, or a list of them. Nothing of it is looked at before its signature is.

        Raises `SourceRefused` for what is not signed, wrongly, or more than five minutes ago; `BadInput` naming the field that is wrong.
        """
        try:
            self._signer.verify(body, dict(headers), json_parse=False)
        except (WebhookVerificationError, ValueError) as err:  # the library lets through what a broken header raises
            raise SourceRefused(
                f"{self._name}: not signed with {variable(self._name, 'signing')}, or more than five minutes ago by our clock"
            ) from err
        reader, at = RowReader(self.network, now), datetime.fromtimestamp(float(headers["webhook-timestamp"]), UTC)
        mentions = (self._mention(reader, row, place, at) for place, row in enumerate(_rows(body)))
        return tuple(mention for mention in mentions if not self._is_own(mention))

    def fetch(self, cursor: str | None, *, now: datetime) -> Page:  # noqa: ARG002 - nothing is to be had by asking
        return Page(mentions=(), cursor=cursor)

    def reply(self, parent_id: str, text: str, *, key: str) -> Posted:
        """Send an answer, under an id by which the other system knows one that comes again."""
        json_api.require_replies(self._settings)
        if not text.strip() or len(text) > _LONGEST:
            raise ReplyRefused(f"{self._name}: an answer has 1 to {_LONGEST:,} characters")
        now = datetime.now(UTC)
        data = {"reply_to": parent_id.removeprefix(f"{self._name}/"), "text": text}
        body = orjson.dumps({"type": "reply.created", "timestamp": now.isoformat(), "data": data})
        answer = self._post(body, self._signed(f"reply-{key}", now, body))
        if not 200 <= answer.status_code < 300:
            raise ReplyRefused(f"{self._name}: the system at url does not take this reply ({answer.status_code})")
        return self._posted(answer, key)

    def find_reply(self, parent_id: str, text: str) -> Posted | None:  # noqa: ARG002 - there is nothing to ask
        """None: whoever receives our answers takes each `webhook-id` once, so what may have arrived can be sent again."""
        json_api.require_replies(self._settings)
        return None

    def close(self) -> None:
        self._session.close()

    # ---- in

    def _mention(self, reader: RowReader, row: bytes | msgspec.Raw, place: int, at: datetime) -> Mention:
        """What was signed last says how a mention reads now: a delivery that is played again changes nothing back."""
        try:
            return replace(self._ours(reader.from_json(bytes(row))), edited_at=at)
        except ValueError as err:
            raise BadInput(f"mention {place}: {err}") from err

    def _ours(self, mention: Mention) -> Mention:
        """Under the name of this source, whatever network the row claims."""
        author = mention.author
        return replace(
            mention,
            network=self.network,
            native_id=self._named(mention.native_id),
            author=None if author is None else replace(author, network=self.network, native_id=self._named(author.native_id)),
            thread_id=self._named_or_none(mention.thread_id),
            parent_id=self._named_or_none(mention.parent_id),
            repost_of=self._named_or_none(mention.repost_of),
        )

    def _named(self, native_id: str) -> str:
        return f"{self._name}/{native_id}"

    def _named_or_none(self, native_id: str | None) -> str | None:
        return None if native_id is None else self._named(native_id)

    def _is_own(self, mention: Mention) -> bool:
        author: Author | None = mention.author
        return bool(self._account) and author is not None and author.handle.casefold() == self._account

    # ---- out

    def _signed(self, id_: str, now: datetime, body: bytes) -> dict[str, str]:
        return {
            "content-type": "application/json",
            "webhook-id": id_,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(id_, now, body.decode()),
        }

    def _post(self, body: bytes, headers: Mapping[str, str]) -> Response:
        try:
            return self._session.post(self._settings.url, data=body, headers=headers)
        except NoAnswer as err:
            raise ReplyUnknown(f"{self._name}: no answer to our reply; it may have arrived") from err
        except Denied as err:
            raise SourceRefused(f"{self._name}: the system at url refuses our signature; check {variable(self._name, 'signing')}") from err
        except SourceConfused as err:
            raise ReplyUnknown(f"{self._name}: an answer to our reply that we do not read; it may have arrived") from err
        except TooManyRedirects as err:
            status = "a redirect" if err.response is None else err.response.status_code
            raise ReplyRefused(
                f"{self._name}: url leads elsewhere ({status}), where no answer is sent; set it to the last address"
            ) from err
        except RequestException as err:
            raise SourceRefused(f"{self._name}: url of the source is no address; write it as https://host/path") from err

    def _posted(self, answer: Response, key: str) -> Posted:
        """By the id and the address that the other system gives it, if it does."""
        try:
            told: Any = orjson.loads(answer.content)
            return Posted(native_id=self._named(json_api.identifier(told["id"])), url=json_api.web_address(told.get("url")))
        except UNREADABLE:
            return Posted(native_id=self._named(f"reply-{key}"), url="")


def _rows(body: bytes) -> Sequence[bytes | msgspec.Raw]:
    if not body.lstrip().startswith(b"["):
        return [body]
    try:
        rows = _ROWS.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as err:
        raise BadInput(f"the body is not JSON: {err}") from err
    if len(rows) > MOST_MENTIONS:
        raise BadInput(f"the body has {len(rows):,} mentions: send at most {MOST_MENTIONS:,} at once")
    return rows


def _signer(settings: SourceSettings) -> Webhook:
    try:
        key = secret(settings.name, "signing").get_secret_value().strip()
        signer = Webhook(key)
        is_strong = len(key.removeprefix("whsec_")) * 3 // 4 >= _SHORTEST_KEY
    except (ValueError, EmptyWebhookSecretError) as err:
        raise ConfigurationError(_WEAK.format(name=variable(settings.name, "signing"))) from err
    if not is_strong:
        raise ConfigurationError(_WEAK.format(name=variable(settings.name, "signing")))
    return signer


_WEAK = "{name} is no signing key: set it to 24 random bytes or more in base64, as docs/how-to/receive-by-webhook.md makes them"
