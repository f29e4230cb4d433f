"""JSON logs: one line a fact, with `action` and the ids of job, attempt and request."""

import logging
import sys

import structlog

from headrace_model.errors import InvalidInput

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure(level: str) -> None:
    """Write this process's logs to standard error, one JSON object a line.

    Raises `InvalidInput` for an unknown level.
    """
    if level not in _LEVELS:
        raise InvalidInput(f"the log level {level!r} is not one of {', '.join(_LEVELS)}")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    # What libraries log, in the same stream; aiohttp's access log would repeat our own lines.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")


def logger(service: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of one service."""
    bound: structlog.typing.FilteringBoundLogger = structlog.get_logger(service=service)
    return bound
