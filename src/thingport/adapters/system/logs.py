"""What is logged, and where it goes."""

import sys

import structlog


def configure_logs() -> None:
    """Send what is logged to standard error, a line an event, with its time in UTC.

    A traceback shows code and never the values in it, which may be secrets.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                exception_formatter=structlog.dev.plain_traceback,
            ),
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
