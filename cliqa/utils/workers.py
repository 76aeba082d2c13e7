"""How many processes may load images."""

from __future__ import annotations

import os
from typing import Any

from cliqa.utils.errors import ConfigError

A_CPU = 8
LEAST = 64


def most_workers() -> int:
    """Return the largest number of worker processes: 8 for each of the machine's CPUs, at least 64.

    Each takes some hundred megabytes; far more would stop the machine before the first image.
    """
    return max(LEAST, A_CPU * (os.cpu_count() or 1))


def workers_mistake(value: Any) -> str | None:  # noqa: ANN401
    """Return what was expected where a number of worker processes cannot be used, else None."""
    most = most_workers()
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most:
        return None
    return f"an integer from 0 to {most} (this machine has {os.cpu_count()} CPUs)"


def check_workers(value: Any, where: str) -> None:  # noqa: ANN401
    """Refuse a number of worker processes that cannot be used.

    Args:
        value: The number; 0 loads in the process itself.
        where: The key or option, for the message.

    Raises:
        ConfigError: It is negative, no integer, or more than the machine can run.
    """
    expected = workers_mistake(value)
    if expected:
        raise ConfigError(f"{where}: expected {expected}, got {value!r}.")
