"""A server's JSON interface: calls that fail in our words, and values that are what they claim to be.

For networks of many servers, each run by a stranger: only public addresses are visited unless the settings say that the server is our own.
"""

from __future__ import annotations

import html
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from requests import Response
from requests.exceptions import RequestException

from earshot import __version__
from earshot.errors import ConfigurationError, ReplyRefused, ReplyUnknown, SourceConfused, SourceRefused, SourceUnavailable
from earshot.settings import SourceSettings, secret
from listener.wire import DEADLINE_SECONDS, Denied, NoAnswer, Wire, session, variable

#: What a source passes as parameters or form: a value, or several under one name.
Fields = Mapping[str, str | Sequence[str]]
#: what reading a value of another shape than we know raises
UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, OverflowError)
_LINK = re.compile(r"https?://\S+|\w[\w-]*(?:\.\w[\w-]*)+\S*")
_LEADING_HANDLES = re.compile(r"^(?:@[\w.-]+(?:@[\w.-]+)?\s+)+")


class Rejected(SourceConfused):
    """An answer of 400 to 499 that is neither 401, 403 nor 429. `words` is what the server said, in one short line."""

    def __init__(self, message: str, *, status: int, words: str, body: Any) -> None:
        super().__init__(message)
        self.status = status
        self.words = words
        self.body = body

    @property
    def is_gone(self) -> bool:
        return self.status in (404, 410)


class JsonApi:
    """The API of one server. `title` is what people call the network; `key` names the secret to check when the server refuses us, if any.

    `get` raises `SourceUnavailable`, `SourceRefused`, `SourceConfused` and, as one of the latter, `Rejected`. `post` raises the same, and
    `NoAnswer` where nobody can tell; inside `sending` both become the errors that a reply promises.
    """

    def __init__(
        self,
        settings: SourceSettings,
        *,
        title: str,
        url: str,
        key: str,
        headers: Mapping[str, str],
        deadline: float = DEADLINE_SECONDS,
    ) -> None:
        self.name = settings.name
        self.url = url.rstrip("/")
        self.host = _host(self.url, settings)
        self._title = title
        self._key = variable(settings.name, key) if key else "url of the source"
        self._session = session(Wire(name=settings.name, deadline=deadline, only_public=not settings.allow_private))
        self._session.trust_env = False  # neither a proxy, which would resolve names unguarded, nor keys from a .netrc
        self._session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or True
        self._session.headers.update({"user-agent": f"earshot/{__version__}", "accept": "application/json"})
        self._session.headers.update({name: value.strip() for name, value in headers.items()})

    def get(self, path: str, params: Fields | None = None) -> Any:
        return self.read(self.ask(path, params))

    def ask(self, path: str, params: Fields | None = None) -> Response:
        """The answer itself, for what stands in its headers."""
        return self._call("GET", path, params=params)

    def post(self, path: str, body: Mapping[str, Any], *, headers: Mapping[str, str] | None = None) -> Any:
        return self.read(self._call("POST", path, json=body, headers=headers))

    def read(self, answer: Response) -> Any:
        try:
            return answer.json()
        except ValueError as err:
            raise self.confused("an answer that is not JSON") from err

    def confused(self, what: str) -> SourceConfused:
        return SourceConfused(f"{self.name}: {what}; check url of the source, is a {self._title} server there?")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """An answer of another shape than we know is `SourceConfused`."""
        try:
            yield
        except UNREADABLE as err:
            raise self.confused("an answer that we cannot read") from err

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """Calls before a reply is sent: whatever goes wrong, the reply was surely not made."""
        try:
            with self.reading():
                yield
        except Rejected as err:
            raise ReplyRefused(f"{self.name}: the post cannot be answered: {err.words}") from err
        except SourceConfused as err:
            raise SourceUnavailable(f"{self.name}: {self._title} cannot be read just now; will be tried again") from err

    @contextmanager
    def sending(self, *, forbidden: str = "") -> Iterator[None]:
        """The call that makes a reply. `forbidden` says what 403 means where it is about the reply and not about our key."""
        try:
            with self.reading():
                yield
        except SourceRefused as err:
            if forbidden and isinstance(err.__cause__, Denied) and err.__cause__.answer.status_code == 403:
                raise ReplyRefused(f"{self.name}: {self._title} does not take this reply: {forbidden}") from err
            raise
        except NoAnswer as err:
            raise ReplyUnknown(f"{self.name}: no answer to our reply; it may stand there") from err
        except Rejected as err:
            raise ReplyRefused(f"{self.name}: {self._title} does not take this reply: {err.words}") from err
        except SourceConfused as err:
            raise ReplyUnknown(f"{self.name}: an answer to our reply that we cannot read; it may stand there") from err

    def close(self) -> None:
        self._session.close()

    def _call(self, method: str, path: str, **given: Any) -> Response:
        try:
            answer = self._session.request(method, self.url + path, **given)
        except Denied as err:
            told = f"{err.answer.status_code}: {_told(err.answer)}"
            raise SourceRefused(f"{self.name}: {self._title} refuses us ({told}); check {self._key}") from err
        except RequestException as err:
            raise self.confused("an answer that leads elsewhere") from err
        if answer.status_code >= 400:
            words = _told(answer)
            raise Rejected(
                f"{self.name}: {self._title} does not understand us ({answer.status_code}: {words}); check url and query of the source",
                status=answer.status_code,
                words=words,
                body=_body(answer),
            )
        return answer


def token_of(settings: SourceSettings, name: str, *, needed: bool) -> str:
    """A secret of a source; "" where nobody set it and the source can do without. Raises `ConfigurationError` where it is needed."""
    wanted = variable(settings.name, name)
    is_set = bool({wanted, f"{wanted}_FILE"} & set(os.environ))
    return secret(settings.name, name).get_secret_value() if needed or is_set else ""


def require_account(settings: SourceSettings) -> None:
    """Raises `ConfigurationError` for a source that answers without knowing its own name."""
    if settings.replies and not settings.account.strip("@ "):
        raise ConfigurationError(f"source {settings.name!r} answers, so it needs account = our name there: else our answers come back")


def require_replies(settings: SourceSettings) -> None:
    """Raises `ReplyRefused` for a source that may not answer."""
    if not settings.replies:
        raise ReplyRefused(f"source {settings.name!r} does not answer; set replies = true for it and give it the secrets of our account")


def listed(body: Any, *path: str) -> list[Any]:
    """The list under `path`. Raises `TypeError` or `KeyError` when there is none."""
    for name in path:
        body = body[name]
    if not isinstance(body, list):
        raise TypeError(f"list expected, not {type(body).__name__}")
    return body


def count(number: object) -> int | None:
    return number if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**31 else None


def identifier(value: object) -> str:
    """An id, as a number or as text. Raises `TypeError` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | str) or not 0 < len(str(value)) <= 100:
        raise TypeError(f"id expected, not {type(value).__name__}")
    return str(value)


def moment(value: object) -> datetime:
    """A time in ISO 8601; without a zone it is taken for UTC. Raises `TypeError` and `ValueError`."""
    if not isinstance(value, str):
        raise TypeError(f"time expected, not {type(value).__name__}")
    read = datetime.fromisoformat(value)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def language(code: object) -> str | None:
    short = code.partition("-")[0].lower() if isinstance(code, str) else ""
    return short if len(short) == 2 and short.isascii() and short.isalpha() else None


def web_address(value: object) -> str:
    return value if isinstance(value, str) and value.startswith(("https://", "http://")) and len(value) <= 2_000 else ""


def host_of(address: object) -> str:
    """The host that an address (or a `tag:` URI) names, in lower case; "" where it names none."""
    if not isinstance(address, str):
        return ""
    if address.startswith("tag:"):
        return re.split("[,:]", address[4:], maxsplit=1)[0].lower()
    try:
        return (urlsplit(address).hostname or "").lower()
    except ValueError:
        return ""


def same_words(text: str) -> str:
    """`text` as servers leave it: without the handles in front, links as one word, spaces as one."""
    text = _LINK.sub("link", _LEADING_HANDLES.sub("", unicodedata.normalize("NFC", html.unescape(text)).lstrip()))
    return " ".join(text.split())


def _host(url: str, settings: SourceSettings) -> str:
    host = host_of(url) if url.startswith(("https://", "http://")) else ""
    if not host:
        raise ConfigurationError(
            f"source {settings.name!r} needs the address of a server: set url, such as https://{settings.network}.example"
        )
    return host


def _body(answer: Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _told(answer: Response) -> str:
    """What the server says is wrong, in one short line."""
    body = _body(answer)
    said = body if isinstance(body, dict) else {}
    words = next((said[name] for name in ("error_message", "errors", "error", "message") if said.get(name)), answer.reason)
    words = words.get("message", answer.reason) if isinstance(words, dict) else words
    return " ".join(str(" ".join(map(str, words)) if isinstance(words, list) else words).split())[:200]
