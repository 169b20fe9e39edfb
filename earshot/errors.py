"""Every error we expect, as one tree. Catch the branch you can handle; all messages say what to do.

EarshotError
├── ConfigurationError          a setting is missing or wrong; names the setting and the remedy
│   └── UnknownName             a registry has no such entry; lists the known ones
├── BadInput                    a file, line or form that a person gave; names it, and what to change
├── SourceError                 a network, while we read or reply
│   ├── SourceUnavailable       no answer, 5xx, 429; carries `retry_at`; will be tried again
│   ├── SourceRefused           401/403: stop and tell a person
│   └── SourceConfused          the network answered with something we cannot read
├── ReplyError                  posting an answer
│   ├── ReplyRefused            final: the network will not take this reply
│   └── ReplyUnknown            it may or may not stand there; look before resending
├── ModelError                  a weights file that is missing, foreign or tampered with
├── StorageError                the database
│   ├── DatabaseBusy            locked for longer than we wait
│   ├── DatabaseFull            no space left
│   └── DatabaseBehind          the schema is older or newer than the program
├── Conflict                    somebody else was quicker: the case moved meanwhile
└── NotAllowed                  this account may not do that
"""

from __future__ import annotations

from datetime import datetime


class EarshotError(Exception):
    """Anything we expect to go wrong."""


class ConfigurationError(EarshotError):
    pass


class UnknownName(ConfigurationError):
    pass


class BadInput(EarshotError):
    pass


class SourceError(EarshotError):
    pass


class SourceUnavailable(SourceError):
    """`retry_at`: the first moment at which the network allows another call; None: back off on your own."""

    def __init__(self, message: str, *, retry_at: datetime | None = None) -> None:
        super().__init__(message)
        self.retry_at = retry_at


class SourceRefused(SourceError):
    pass


class SourceConfused(SourceError):
    pass


class ReplyError(EarshotError):
    pass


class ReplyRefused(ReplyError):
    pass


class ReplyUnknown(ReplyError):
    pass


class ModelError(EarshotError):
    pass


class StorageError(EarshotError):
    pass


class DatabaseBusy(StorageError):
    pass


class DatabaseFull(StorageError):
    pass


class DatabaseBehind(StorageError):
    pass


class Conflict(EarshotError):
    pass


class NotAllowed(EarshotError):
    pass
