"""Logs: an event name and ids, one line each; never the text of a post, never a handle, never a secret."""

from __future__ import annotations

import logging
import sys

import structlog

from earshot.settings import Settings


def configure(settings: Settings) -> None:
    """Write log lines to standard error, as text for people or as JSON for machines."""
    renderer = (
        structlog.processors.JSONRenderer() if settings.log_format == "json" else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    # Tracebacks without local variables: those hold people's words.
    error = structlog.processors.dict_tracebacks if settings.log_format == "json" else structlog.processors.format_exc_info
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True), error, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    # A round that takes longer than its interval is no news: the next look comes.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
