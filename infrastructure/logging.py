"""Logging: structlog once, for people or for machines; the standard library's loggers are folded in."""

import logging
import sys
from typing import Literal

import structlog

from infrastructure.masking import Mask, mask_patterns

MAX_FIELD = 16_384


def configure(log_format: Literal["auto", "console", "json"], level: str, mask: Mask = mask_patterns) -> None:
    """Send every log line to standard error, masked: coloured for a terminal, JSON lines otherwise."""
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.processors.format_exc_info,
        _shorten,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if console else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            # Masked last and as text: whoever wrote the line, and wherever in it a secret stands.
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                renderer,
                lambda _, __, line: mask(str(line)),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "celery", "celery.task", "celery.redirected"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    # One canonical line a request is ours; the clients' own chatter is not news.
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
    # A line a message of Celery tells less than the one a claim; messages carry nothing.
    for name in ("celery.worker.strategy", "celery.app.trace", "elastic_transport"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _shorten(_: object, __: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """No field of a line grows without bound, whatever a sender put into it."""
    for name, value in line.items():
        if isinstance(value, str) and len(value) > MAX_FIELD:
            line[name] = value[:MAX_FIELD] + "…"
    return line
