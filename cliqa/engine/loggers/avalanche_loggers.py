"""Avalanche's loggers by their names."""

from __future__ import annotations

import inspect

import avalanche.logging as avalanche_logging
from avalanche.logging import BaseLogger

from cliqa.registry import LOGGERS

LOGGERS.add_upstream(
    avalanche_logging,
    lambda _, value: (
        inspect.isclass(value) and issubclass(value, BaseLogger) and value is not BaseLogger
    ),
    "avalanche",
)
