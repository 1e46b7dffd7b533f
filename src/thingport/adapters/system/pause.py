"""Waiting."""

import time
from datetime import timedelta


def pause(duration: timedelta) -> None:
    """Wait for some time."""
    time.sleep(duration.total_seconds())
