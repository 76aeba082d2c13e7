"""From a config's ``loggers`` list to loggers that write into a work_dir."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cliqa.engine.loggers.guard import guarded
from cliqa.registry import LOGGERS, build_component, check_component, parameters_of

PROVIDED = ("work_dir",)
"""What the engine gives to the loggers that take it."""


def build_loggers(config: dict[str, Any], work_dir: str | Path) -> list[Any]:
    """Return a config's loggers, in its order; none of them can stop a run (`guarded`)."""
    built = []
    for index, section in enumerate(config.get("loggers") or []):
        where = f"loggers[{index}]"
        parameters, _ = parameters_of(check_component(LOGGERS, section, where, PROVIDED))
        folder = {"work_dir": str(work_dir)} if "work_dir" in parameters else {}
        built.append(guarded(build_component(LOGGERS, section, where, **folder)))
    return built


def close_loggers(loggers: Sequence[Any]) -> None:
    """Close the loggers that have a file or a connection, which writes their remaining values."""
    for logger in loggers:
        if callable(close := getattr(logger, "close", None)):
            close()
