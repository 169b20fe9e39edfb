"""The pages behind a real server, until somebody stops it."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from datetime import datetime

import structlog
import uvicorn

from earshot.errors import ConfigurationError
from earshot.rooms import Rooms
from earshot.settings import Settings
from earshot.storage import Store
from earshot.web.app import create_app

log = structlog.get_logger()

#: seconds that open pages get to finish; live streams would never end by themselves
GOODBYE = 2
#: connections that may wait to be accepted
WAITING = 2048


def serve_until_stopped(store: Store, rooms: Rooms, settings: Settings, *, clock: Callable[[], datetime]) -> None:
    """Serve the pages on `settings.host` and `settings.port`. Raises `ConfigurationError` when that address cannot be had."""
    config = uvicorn.Config(
        create_app(store, rooms, settings, clock),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GOODBYE,
        # Only a proxy on this machine may say where a request came from.
        forwarded_allow_ips="127.0.0.1",
    )
    with _bound(settings) as listening:
        log.info("serving", address=settings.public_url or f"http://{settings.host}:{listening.getsockname()[1]}")
        uvicorn.Server(config).run(sockets=[listening])


def _bound(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
        # Before anybody is told: who comes before the pages are ready waits in line instead of being turned away.
        listening.listen(WAITING)
    except OSError as err:
        listening.close()
        why = "is taken" if err.errno == errno.EADDRINUSE else f"cannot be used ({err.strerror})"
        raise ConfigurationError(f"port {settings.port} of {settings.host} {why}: choose another with EARSHOT_PORT") from err
    return listening
