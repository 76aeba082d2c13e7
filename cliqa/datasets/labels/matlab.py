"""MATLAB files as plain arrays and lists."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cliqa.datasets.labels.label_file import read_bytes
from cliqa.datasets.labels.mat_file import MatError, read_variables
from cliqa.registry import closest
from cliqa.utils.errors import DatasetError


def read_mat(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return variables of a ``.mat`` file (versions up to 7.2), flattened to (N,).

    Raises:
        DatasetError: The file cannot be read, or a variable is missing or of a kind that is not.
    """
    try:
        found, known = read_variables(read_bytes(path), names)
    except MatError as error:
        raise DatasetError(
            f"{path}: no readable MATLAB file ({error}). Download it again; a file of version 7.3 "
            "must be saved anew with save(..., '-v7')."
        ) from error
    for name in names:
        if name not in known:
            raise DatasetError(
                f"{path}: no variable '{name}'.{closest(name, known)} It has {', '.join(known)}."
            )
    return found


def as_numbers(path: Path, name: str, values: np.ndarray) -> np.ndarray:
    """Return a variable as float64 (N,).

    Raises:
        DatasetError: It holds no numbers.
    """
    if values.dtype.kind not in "biuf":
        raise DatasetError(
            f"{path}: '{name}' holds {values.dtype} and no numbers. Use the official file."
        )
    return values.astype(np.float64)


def as_strings(path: Path, name: str, values: np.ndarray) -> list[str]:
    """Return a cell array of strings as a list.

    Raises:
        DatasetError: A cell holds something else.
    """
    for row, value in enumerate(values, start=1):
        if not isinstance(value, str):
            raise DatasetError(f"{path}, row {row}: '{name}' holds no text. Use the official file.")
    return [str(value).strip() for value in values]


def check_lengths(path: Path, **variables: Sequence[object] | np.ndarray) -> None:
    """Check that variables describe the same rows.

    Raises:
        DatasetError: Their lengths differ.
    """
    lengths = {name: len(values) for name, values in variables.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise DatasetError(
            f"{path}: lengths differ ({listed}). The files are not of one release; download all."
        )
