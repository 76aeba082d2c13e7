"""Checkpoints of tensors and plain types, with checksums: loading one never runs code."""

from __future__ import annotations

import importlib
import pickle
import re
import struct
import zipfile
from pathlib import Path
from shlex import quote
from typing import Any

import torch

from cliqa.utils.archive import check_archive, seal_zip, zip_damage
from cliqa.utils.errors import CheckpointError, first_line
from cliqa.utils.io import atomic_open
from cliqa.utils.memory import tensors_in

DAMAGE = (
    *(RuntimeError, EOFError, ValueError, KeyError, OSError),
    *(IndexError, AssertionError, struct.error),
)
"""Errors of ``torch.load`` for damaged files."""

SAFETENSORS = ".safetensors"
"""The suffix of files that Hugging Face's hub has."""

FOLDER = "checkpoints"
"""The folder of a run's checkpoints."""

NAME = re.compile(r"last|exp_(\d+)(?:_epoch_(\d+))?")
"""Their names without the suffix: the last one, and those that are kept."""


def save_checkpoint(path: str | Path, state: object) -> None:
    """Write `state` atomically, with a checksum.

    ``torch.load(path, weights_only=True)`` can read the file too.
    """
    with atomic_open(path, "w+b") as file:
        torch.save(state, file)
        seal_zip(file)


def load_checkpoint(
    path: str | Path, map_location: str | torch.device = "cpu", alone: str | None = None
) -> dict[str, Any]:
    """Read a checkpoint with ``weights_only=True``, after checking its checksum; or safetensors.

    Args:
        path: The file.
        map_location: The device of its tensors.
        alone: The name that a file of a single tensor gives it; None refuses such a file.

    Returns:
        The state that was saved.

    Raises:
        CheckpointError: The file is missing, damaged, or holds more than tensors and plain types.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint file.")
    if path.suffix == SAFETENSORS:
        return _read_safetensors(path, map_location)
    try:
        damage = saved_damage(path)
        if damage:
            raise CheckpointError(f"{path}: damaged: {damage}.{_advice(path)}")
        state = torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: not a checkpoint of tensors and plain types only, so it is not loaded (it "
            "could run code). Save its state_dict() alone and load that."
        ) from error
    except DAMAGE as error:
        raise CheckpointError(
            f"{path}: damaged or not a PyTorch checkpoint ({first_line(error)}).{_advice(path)}"
        ) from error
    if alone is not None and isinstance(state, torch.Tensor):
        state = {alone: state}
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: holds a {type(state).__name__}, not a dict of tensors.")
    _check_tensors(state, path)
    return state


def _read_safetensors(path: Path, map_location: str | torch.device) -> dict[str, Any]:
    """Read a file of the format safetensors, which holds tensors alone.

    Raises:
        CheckpointError: The package safetensors is missing, or the file is damaged.
    """
    try:
        safetensors = importlib.import_module("safetensors.torch")
    except ImportError as error:
        raise CheckpointError(
            f"{path}: reading it needs the package safetensors ({error}). Install it with: "
            "pip install safetensors"
        ) from error
    try:
        tensors: dict[str, Any] = safetensors.load_file(path, device=str(map_location))
    except Exception as error:  # noqa: BLE001  its own error class is that of a compiled module
        raise CheckpointError(
            f"{path}: damaged or not in the format safetensors ({first_line(error)}). Copy it "
            "again from its source."
        ) from error
    return tensors


def saved_damage(path: Path) -> str | None:
    """Return how a file that PyTorch saved is damaged, None if it is not.

    Args:
        path: An existing file.

    Raises:
        ArchiveError: Its unpacked size is far too large: PyTorch does not compress.
        OSError: It cannot be read.
    """
    if zipfile.is_zipfile(path):
        check_archive(path, 2 * path.stat().st_size)
    return zip_damage(path)


def _check_tensors(state: dict[str, Any], path: Path) -> None:
    """Refuse sparse, quantized and expanded tensors.

    PyTorch does not check the indices of sparse ones, and an expanded one takes a few bytes in the
    file and any number in memory.
    """
    for tensor in tensors_in(state):
        if not is_stored(tensor):
            raise CheckpointError(
                f"{path}: holds a sparse, quantized or expanded tensor of shape "
                f"{tuple(tensor.shape)}. Save dense ones: tensor.to_dense().clone()."
            )


def is_stored(tensor: torch.Tensor) -> bool:
    """Return whether a tensor is dense and stores all its elements: views may declare any shape."""
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


def _advice(path: Path) -> str:
    """Return advice for a damaged file: another checkpoint of the run may be intact."""
    whole = newest_whole(path)
    if whole is not None:
        return (
            f" The newest intact checkpoint of this run: {whole}. Resume from it: --resume "
            f"{quote(str(whole))}"
        )
    if path.parent.name == FOLDER:
        return " No other checkpoint of this run is intact. Copy the file again, or train again."
    return " Copy it again from its source, or create it again."


def newest_whole(damaged: Path) -> Path | None:
    """Return the newest intact checkpoint of a run besides `damaged`, None if there is none.

    Args:
        damaged: A file in the run's folder of checkpoints.
    """
    if damaged.parent.name != FOLDER:
        return None
    others = [path for path in damaged.parent.glob("*.pth") if _progress(path)]
    for path in sorted(others, key=_progress, reverse=True):
        if path != damaged and zipfile.is_zipfile(path) and not zip_damage(path):
            return path
    return None


def _progress(path: Path) -> tuple[float, ...]:
    """Return (experience, epoch) of a checkpoint's name; () if it is not one."""
    found = NAME.fullmatch(path.stem)
    if found is None:
        return ()
    experience, epoch = found.groups()
    return float(experience or "inf"), float(epoch or "inf")
