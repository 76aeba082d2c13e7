from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io

from cliqa.datasets.labels.matlab import as_numbers, as_strings, check_lengths, read_mat
from cliqa.utils.errors import DatasetError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    cells = np.empty((1, 2), dtype=object)
    cells[0] = ["a.bmp", "b.bmp"]
    scipy.io.savemat(tmp_path / "a.mat", {"mos": np.array([[1.0, 2.5]]), "names": cells})
    return tmp_path / "a.mat"


def test_variables_come_back_flat(path: Path) -> None:
    content = read_mat(path, ["mos", "names"])
    np.testing.assert_array_equal(as_numbers(path, "mos", content["mos"]), [1.0, 2.5])
    assert as_strings(path, "names", content["names"]) == ["a.bmp", "b.bmp"]


def test_a_missing_variable_is_named(path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no variable 'name'\. Did you mean 'names'\?"):
        read_mat(path, ["name"])


def test_variables_of_another_kind_are_named(path: Path) -> None:
    content = read_mat(path, ["mos", "names"])
    with pytest.raises(DatasetError, match="'names' holds object and no numbers"):
        as_numbers(path, "names", content["names"])
    with pytest.raises(DatasetError, match="row 1: 'mos' holds no text"):
        as_strings(path, "mos", content["mos"])


def test_different_lengths_are_named(path: Path) -> None:
    check_lengths(path, a=[1], b=np.ones(1))
    with pytest.raises(DatasetError, match=r"lengths differ \(a 1, b 2\)"):
        check_lengths(path, a=[1], b=np.ones(2))


@pytest.mark.parametrize("content", [b"no mat file at all", b"MATLAB 7.3 MAT-file" + b" " * 200])
def test_what_is_no_matlab_file_is_named(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="no readable MATLAB file"):
        read_mat(path, ["mos"])


def test_hdf5_matlab_files_get_advice(path: Path) -> None:
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n" + b"\0" * 64
    path.write_bytes(header)
    with pytest.raises(DatasetError, match=r"save\(\.\.\., '-v7'\)"):
        read_mat(path, ["mos"])


def test_a_truncated_file_is_named(path: Path) -> None:
    data = path.read_bytes()
    for end in range(130, len(data) - 24, 11):
        path.write_bytes(data[:end])
        with pytest.raises(DatasetError, match=r"no readable MATLAB file|no variable"):
            read_mat(path, ["mos", "names"])


def test_damage_in_a_compressed_file_is_named(path: Path) -> None:
    scipy.io.savemat(path, {"mos": np.arange(9.0)}, do_compression=True)
    data = path.read_bytes()
    for place in range(140, len(data), 5):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        with pytest.raises(DatasetError, match="no readable MATLAB file"):
            read_mat(path, ["mos"])
