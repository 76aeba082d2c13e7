"""The tensors of a TorchScript archive, without TorchScript: none of its code is compiled or run.

``torch.jit.load`` runs what an archive says is to be run on loading, and TorchScript can write
files. An archive is a zip file: ``data.pkl`` holds the modules' attributes as a pickle, ``data/``
the numbers, and ``code/`` the classes, which list their parameters and buffers.
"""

from __future__ import annotations

import math
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from cliqa.utils.archive import ArchiveError, check_archive

_DTYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "ShortStorage": torch.int16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "BoolStorage": torch.bool,
}
_LISTS = ("build_intlist", "build_doublelist", "build_boollist", "build_tensorlist")
_NAMES = re.compile(
    r"^class (\w+)\(Module\):\n  __parameters__ = \[(.*?)\]\n  __buffers__ = \[(.*?)\]", re.M
)
_MODULES = 10_000
"""More than any model has; an archive can hold itself."""


def is_torchscript(path: Path) -> bool:
    """Return whether a file is a TorchScript archive."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    try:
        return any(name.endswith("/constants.pkl") for name in check_archive(path, 2**63))
    except ArchiveError:
        return False


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """Return the parameters and buffers of a TorchScript archive, by their names in the model.

    Raises:
        ArchiveError: It is damaged, or holds more than modules of tensors and plain values.
        OSError: It cannot be read.
    """
    sizes = check_archive(path, 2 * path.stat().st_size)  # PyTorch packs nothing
    with zipfile.ZipFile(path) as archive:
        try:
            root = next(name for name in sizes if name.endswith("/data.pkl"))[: -len("data.pkl")]
            if sizes.get(f"{root}byteorder") and archive.read(f"{root}byteorder") != b"little":
                raise ArchiveError("its numbers are stored with the highest byte first")
            with archive.open(f"{root}data.pkl") as file:
                model = _Unpickler(file, archive, root).load()
            return dict(_tensors(model, _class_names(archive, root)))
        except ArchiveError:
            raise
        except Exception as error:  # noqa: BLE001  damage surfaces in zipfile and pickle as anything
            raise ArchiveError(str(error) or type(error).__name__) from error


class _Module:
    """The attributes of a TorchScript module or object."""

    kind = ""

    def __setstate__(self, state: object) -> None:
        self.attributes = state if isinstance(state, dict) else {}


class _Unpickler(pickle.Unpickler):
    """Unpickles tensors and plain values; no callable with side effects can be found."""

    def __init__(self, file: IO[bytes], archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(file)
        self._archive, self._root = archive, root
        self._storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> object:
        """Return the replacement of a name; a closed list.

        Raises:
            ArchiveError: It is not on the list.
        """
        if module.split(".")[0] == "__torch__":
            return type("_Class", (_Module,), {"kind": f"{module}.{name}"})
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if module == "torch.jit._pickle" and name in _LISTS:
            return list
        if (module, name) == ("torch.jit._pickle", "restore_type_tag"):
            return lambda value, _: value  # without the name of its type
        raise ArchiveError(f"it holds {module}.{name}, and not only tensors and plain values")

    def persistent_load(self, pid: tuple[Any, ...]) -> Tensor:
        """Return a storage (N,)."""
        _, dtype, key, _, count = pid
        if key not in self._storages:
            data = bytearray(self._archive.read(f"{self._root}data/{key}"))
            if len(data) != count * dtype.itemsize:
                raise ArchiveError(f"{len(data)} bytes for {count} numbers of {dtype}")
            storage = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
            self._storages[key] = storage
        return self._storages[key]


def _rebuild(
    storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> Tensor:
    """Return a tensor of a storage.

    Raises:
        ArchiveError: It has more numbers than the storage.
    """
    if math.prod(size) > storage.numel():
        raise ArchiveError(f"a tensor of shape {size} of {storage.numel()} numbers")
    return storage.as_strided(size, stride, offset)


def _class_names(archive: zipfile.ZipFile, root: str) -> dict[str, set[str]]:
    """Return the names of the parameters and buffers of every class in an archive."""
    found = {}
    for name in archive.namelist():
        if name.startswith(f"{root}code/") and name.endswith(".py"):
            module = name[len(f"{root}code/") : -len(".py")].replace("/", ".")
            for kind, *lists in _NAMES.findall(archive.read(name).decode()):
                found[f"{module}.{kind}"] = set(re.findall(r'"(\w+)"', " ".join(lists)))
    return found


def _tensors(model: _Module, names: dict[str, set[str]]) -> Iterator[tuple[str, Tensor]]:
    """Yield the parameters and buffers of a model and of the modules within it."""
    waiting = [("", model)]
    for _ in range(_MODULES):
        if not waiting:
            return
        before, module = waiting.pop()
        for name, value in module.attributes.items():
            if isinstance(value, _Module):
                waiting.append((f"{before}{name}.", value))
            elif isinstance(value, Tensor) and name in names.get(module.kind, ()):
                yield f"{before}{name}", value
    raise ArchiveError(f"it has more than {_MODULES} modules")
