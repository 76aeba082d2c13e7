"""Whether two runs left the same: all that does not tell the time, to the bit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

TIMES = frozenset(
    ("seconds", "costs", "peak", "cpu_ms", "faster", "best", "front", "verdict")
    + ("train_seconds", "eval_seconds", "time_ratio", "columns", "notes")
)
"""Keys of json files and checkpoints that tell times, or what follows from times."""

SUM = "sha256|checksum|digest"
"""Keys of sums over a file that holds times."""

SUMS = (".sha256", ".checksum")
"""Endings of files that hold such a sum."""

LOGS = ("run.json", "train.log", "metrics.log", "metrics.csv")
"""Files that tell how a run went: a resumed one went another way."""


def differences(whole: Path, torn: Path) -> list[str]:
    """Return what differs between a run that was not stopped and one that was.

    Figures are compared by name; what is hidden, and folders of runs that were moved aside, must
    not be there at all.
    """
    here, there = (_files(folder) for folder in (whole, torn))
    found = [f"{name}: only without kills" for name in sorted(here.keys() - there.keys())]
    found += [f"{name}: only with kills" for name in sorted(there.keys() - here.keys())]
    for name in sorted(here.keys() & there.keys()):
        found += [f"{name}: {what}" for what in _in_file(here[name], there[name])]
    found += [f"{path.name}: moved aside" for path in torn.parent.glob(f"{torn.name}.[0-9]*")]
    return found


def _files(folder: Path) -> dict[str, Path]:
    """Return a run's files by their names below its folder, but for the locks."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): path
        for path in files
        if not (path.name.startswith(".") and path.name.endswith("lock"))
    }


def _in_file(one: Path, other: Path) -> Iterator[str]:
    """Yield what differs in a file."""
    told = one.suffix in (".png", ".log", ".md", ".csv") and one.name != "matrix.csv"
    if told or one.name in LOGS:
        return
    if one.suffix == ".npz":
        with np.load(one) as first, np.load(other) as second:
            yield from _in_value(dict(first), dict(second))
    elif one.suffix == ".pth":
        yield from _in_value(*(torch.load(path, weights_only=True) for path in (one, other)))
    elif one.suffix == ".json":
        yield from _in_value(*(json.loads(path.read_text("utf-8")) for path in (one, other)))
    elif one.suffix == ".onnx":
        import onnx  # noqa: PLC0415  it is not always installed

        models = [onnx.load(path) for path in (one, other)]
        yield from _in_value(_about(models[0]), _about(models[1]))
        graphs = [model.graph.SerializeToString() for model in models]
        yield from ["its graph"] if graphs[0] != graphs[1] else []
    elif one.suffix not in SUMS and one.read_bytes() != other.read_bytes():
        yield "its bytes"


def _about(model: Any) -> dict[str, Any]:
    """Return what an ONNX file says about itself."""
    return {entry.key: _plain(entry.value) for entry in model.metadata_props}


def _plain(text: str) -> Any:
    """Return what a text holds as JSON, or the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _in_value(one: Any, other: Any, where: str = "") -> Iterator[str]:
    """Yield the places in which two nested values differ."""
    parts, others = _parts(one), _parts(other)
    if parts is None or others is None:
        if not _same(one, other):
            yield f"{where} is {other!r}, not {one!r}" if isinstance(one, str) else where or "it"
    elif list(parts) != list(others):
        yield f"{where or 'it'} has other keys or another length"
    else:
        for key in parts:
            if key not in TIMES and not re.search(SUM, str(key)):
                yield from _in_value(parts[key], others[key], f"{where}.{key}".strip("."))


def _parts(value: Any) -> Mapping[Any, Any] | None:
    """Return what a value is made of, by key or place; None for one that is whole."""
    if isinstance(value, Mapping):
        return value
    return dict(enumerate(value)) if isinstance(value, (list, tuple)) else None


def _same(one: Any, other: Any) -> bool:
    """Return whether two arrays, tensors or plain values are the same bits."""
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        if one.dtype != other.dtype or one.shape != other.shape:
            return False
        bits = [tensor.contiguous().view(-1).view(torch.uint8) for tensor in (one, other)]
        return torch.equal(*bits)
    if isinstance(one, np.ndarray):
        same_kind = one.dtype == other.dtype and one.shape == other.shape
        return bool(same_kind and one.tobytes() == other.tobytes())
    return bool(one == other or (one != one and other != other))  # noqa: PLR0124  NaN is itself
