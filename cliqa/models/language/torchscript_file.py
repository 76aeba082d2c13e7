"""The tensors of a TorchScript archive, read without TorchScript, which would run its code.

An archive is a zip file: ``data.pkl`` is a pickle of the module's attributes, and the tensors'
bytes stand in ``data/0``, ``data/1`` ... Its classes are code of the archive (``__setstate__`` runs
when it is loaded), so here a module is nothing but a dict.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

OF_STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
"""The types of numbers, by the names that a pickle gives them."""

BUILDS_LISTS = ("build_intlist", "build_tensorlist", "build_doublelist", "build_boollist")


class _Module(dict[str, Any]):
    """A module of the archive: its attributes by name."""

    def __setstate__(self, state: Any) -> None:  # noqa: ANN401
        if isinstance(state, dict):
            self.update(state)


class _Reader(pickle.Unpickler):
    """A pickle of modules, tensors and plain types; nothing else can be named in it."""

    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(archive.open(f"{folder}/data.pkl"))
        self.archive, self.folder = archive, folder

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
        """Return what stands for a class or function of that name."""
        known: dict[tuple[str, str], Callable[..., Any]] = {
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
            ("collections", "OrderedDict"): OrderedDict,
            ("torch.jit._pickle", "restore_type_tag"): lambda value, _: value,
            **{("torch.jit._pickle", built): list for built in BUILDS_LISTS},
        }
        if module.startswith("__torch__"):
            return _Module
        if module == "torch" and name in OF_STORAGES:
            return OF_STORAGES[name]
        if (module, name) in known:
            return known[module, name]
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, pid: Any) -> Tensor:  # noqa: ANN401
        """Return a storage as a vector."""
        _, dtype, key, _, _ = pid
        member = self.archive.getinfo(f"{self.folder}/data/{key}")
        if member.compress_type != zipfile.ZIP_STORED:  # a bomb: torch compresses nothing
            raise pickle.UnpicklingError(f"its {member.filename} is compressed")
        data = bytearray(self.archive.read(member))
        return torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)


def _tensor(
    storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> Tensor:
    """Return a tensor over a storage; torch refuses what reaches beyond it."""
    return storage.as_strided(size, stride, offset)


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a TorchScript archive by their names, as its ``state_dict()`` would.

    Args:
        path: The archive.

    Raises:
        pickle.UnpicklingError: It holds something else than modules, tensors and plain types.
        Exception: The archive is damaged: what zipfile, pickle and torch raise.
    """
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        folder = pickles[0].rpartition("/")[0]
        return _tensors(_Reader(archive, folder).load(), "")


def _tensors(module: Any, prefix: str) -> dict[str, Tensor]:  # noqa: ANN401
    """Return the tensors of a module and of those in it."""
    found: dict[str, Tensor] = {}
    for name, value in module.items() if isinstance(module, _Module) else ():
        if isinstance(value, Tensor):
            found[prefix + name] = value
        else:
            found |= _tensors(value, f"{prefix}{name}.")
    return found
