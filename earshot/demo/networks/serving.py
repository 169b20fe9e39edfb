"""A web application on a local port, for as long as a `with` block lasts."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread

import uvicorn
from starlette.types import ASGIApp


@dataclass(frozen=True, slots=True)
class Served:
    url: str  #: without a slash at the end
    port: int


@contextmanager
def serve_app(app: ASGIApp, *, port: int = 0, host: str = "127.0.0.1") -> Iterator[Served]:
    """Serve `app` from a thread of its own; port 0 takes a free one. Raises `OSError` when the port is taken."""
    # Named as TCP, because only then asyncio sends small answers without waiting 40 ms for the other side.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128)
        config = uvicorn.Config(
            app, log_config=None, log_level="critical", access_log=False, lifespan="off", ws="none", http="h11", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = Thread(target=server.run, kwargs={"sockets": [listening]}, name="demo-network", daemon=True)
        thread.start()
        port = listening.getsockname()[1]
        try:
            yield Served(f"http://{host}:{port}", port)
        finally:
            server.should_exit = server.force_exit = True
            thread.join(10)
