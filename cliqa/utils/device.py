"""From a device's name to a device that is there."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import torch

from cliqa.utils.errors import ConfigError


def resolve_device(name: str) -> torch.device:
    """Return the device called `name`.

    Args:
        name: ``"auto"`` (the first GPU, else the CPU), ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.

    Raises:
        ConfigError: The name is unknown, or the machine has no such GPU.
    """
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
    """Return what the processor calls itself; figures of speed hold for it alone."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        match = re.search(
            r"^model name\s*:\s*(.+)$", info.read_text(errors="replace"), re.MULTILINE
        )
        if match:
            return match.group(1).strip()
    return platform.processor() or platform.machine() or "unknown"
