"""Devices and worker processes: which device a name means, and how many processes may load images.

Importing this module does not import torch.
"""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import TYPE_CHECKING

from cliqa.utils.errors import ConfigError

if TYPE_CHECKING:
    import torch

WORKERS_PER_CPU = 8
MIN_WORKER_LIMIT = 64

AUTO_WORKERS = "auto"
"""A config's ``num_workers`` that asks for as many as are worth it."""


def resolve_device(name: str) -> torch.device:
    """Return the device called `name`.

    Args:
        name: ``"auto"`` (the first GPU, else the CPU), ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.

    Raises:
        ConfigError: The name is unknown, or the machine has no such GPU.
    """
    import torch  # noqa: PLC0415  takes seconds

    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    match = re.fullmatch(r"cuda(?::(\d+))?", name)
    if match is None:
        raise ConfigError(f"--device {name}: unknown device. Use auto, cpu, cuda or cuda:N.")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    index = int(match.group(1) or 0)
    if index >= count:
        have = f"{count} GPU(s), cuda:0 to cuda:{count - 1}" if count else "no GPU for PyTorch"
        raise ConfigError(f"--device {name}: this machine has {have}. Use --device auto or cpu.")
    return torch.device("cuda", index)


def processor_name() -> str:
    """Return the name of the processor, for reports of measured speed."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        match = re.search(
            r"^model name\s*:\s*(.+)$", info.read_text(errors="replace"), re.MULTILINE
        )
        if match:
            return match.group(1).strip()
    return platform.processor() or platform.machine() or "unknown"


def most_workers() -> int:
    """Return the largest number of worker processes: 8 for each CPU, at least 64.

    Each takes some hundred megabytes; far more would exhaust the memory before the first image.
    """
    return max(MIN_WORKER_LIMIT, WORKERS_PER_CPU * (os.cpu_count() or 1))


def workers_mistake(value: object) -> str | None:
    """Return the expected value if a number of worker processes cannot be used, else None."""
    most = most_workers()
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most:
        return None
    return f"an integer from 0 to {most} (this machine has {os.cpu_count()} CPUs)"


def config_workers_mistake(value: object) -> str | None:
    """Return the expected value if a config's ``num_workers`` cannot be used, else None."""
    mistake = None if value == AUTO_WORKERS else workers_mistake(value)
    return mistake and f"'{AUTO_WORKERS}' or {mistake}"


def check_workers(value: object, where: str) -> None:
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
