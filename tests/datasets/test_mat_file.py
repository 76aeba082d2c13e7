"""MATLAB's format, compared with scipy.io on files that scipy writes."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from typing import Any

import numpy as np
import pytest
import scipy.io

from cliqa.datasets import mat_file
from cliqa.datasets.mat_file import MatError, OtherVariable, parse_mat

RNG = np.random.default_rng(0)
CELLS = np.empty((3, 2), dtype=object)
for place in range(6):
    CELLS.flat[place] = f"é{place}.bmp" if place % 2 else f"image{place}.bmp"
NESTED = np.empty((1, 1), dtype=object)
NESTED[0, 0] = CELLS
VARIABLES: dict[str, Any] = {
    "matrix": RNG.random((3, 4)),
    "whole": np.arange(6).reshape(2, 3),
    "small": np.arange(6, dtype=np.uint8),
    "tensor": RNG.random((2, 3, 4)),
    "single": np.float32(2.5),
    "truth": np.array([True, False]),
    "nothing": np.zeros((0, 0)),
    "text": "hello",
    "rows": np.array(["ab", "cdé"]),
    "cells": CELLS,
    "nested": NESTED,
}
KINDS = {"struct": {"a": 1}, "complex": np.array([1 + 2j])}


def written(variables: dict[str, Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, variables, **options)
    return buffer.getvalue()


def same(found: Any, expected: Any) -> bool:
    found, expected = np.asarray(found), np.asarray(expected)
    if not found.size or found.dtype == object:
        pairs = zip(found.ravel(), expected.ravel(), strict=True)
        return found.size == expected.size and all(same(a, b) for a, b in pairs)
    return found.shape == expected.shape and np.array_equal(found, expected)


@pytest.mark.parametrize("packed", [True, False])
def test_variables_are_those_that_scipy_reads(packed: bool) -> None:
    data = written({**VARIABLES, **KINDS}, do_compression=packed)
    found, expected = parse_mat(data), scipy.io.loadmat(io.BytesIO(data))
    assert set(found) == {*VARIABLES, *KINDS}
    assert [name for name in VARIABLES if not same(found[name], expected[name])] == []
    assert found["struct"] == OtherVariable("a struct")
    assert found["complex"] == OtherVariable("complex numbers")


def test_version_4_is_read() -> None:
    names = ("matrix", "whole", "small", "single", "text", "nothing")
    data = written({name: VARIABLES[name] for name in names}, format="4")
    found, expected = parse_mat(data), scipy.io.loadmat(io.BytesIO(data))
    assert [name for name in names if not same(found[name], expected[name])] == []


def variable(order: str, name: bytes, values: np.ndarray, shape: tuple[int, ...]) -> bytes:
    """Return a variable of doubles as the format has it, in either byte order."""

    def element(kind: int, content: bytes) -> bytes:
        return struct.pack(f"{order}II", kind, len(content)) + content + bytes(-len(content) % 8)

    body = element(6, struct.pack(f"{order}II", 6, 0))
    body += element(5, struct.pack(f"{order}{len(shape)}i", *shape)) + element(1, name)
    return element(14, body + element(9, values.astype(f"{order}f8").tobytes()))


def file(order: str, *variables: bytes) -> bytes:
    version = b"\0\x01IM" if order == "<" else b"\x01\0MI"
    return b"MATLAB 5.0 MAT-file".ljust(124) + version + b"".join(variables)


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_are_read(order: str) -> None:
    values = np.arange(6.0)
    found = parse_mat(file(order, variable(order, b"mos", values, (2, 3))))
    np.testing.assert_array_equal(found["mos"], [[0, 2, 4], [1, 3, 5]])


def test_declared_sizes_are_compared_with_what_is_there() -> None:
    values = np.arange(6.0)
    for shape in ((2, 4), (2**30, 2**30), (-1, -6), (6,)):
        with pytest.raises(MatError, match="shape"):
            parse_mat(file("<", variable("<", b"mos", values, shape)))
    with pytest.raises(MatError, match="'mos' is there twice"):
        parse_mat(file("<", *[variable("<", b"mos", values, (6, 1))] * 2))


def test_a_variable_that_swells_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mat_file, "LARGEST", 10_000)
    data = written({"mos": np.zeros(2000)}, do_compression=True)
    assert len(data) < 500
    with pytest.raises(MatError, match="more than 10000 bytes"):
        parse_mat(data)


def test_cells_within_cells_end() -> None:
    cell: Any = np.array([[1.0]])
    for _ in range(12):
        outer = np.empty((1, 1), dtype=object)
        outer[0, 0] = cell
        cell = outer
    with pytest.raises(MatError, match="more than 8 deep"):
        parse_mat(written({"deep": cell}))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"MATLAB", "ends too early"),
        (b"no MATLAB file at all".ljust(200), "no MATLAB header"),
        (b"MATLAB 7.3".ljust(124) + b"\0\x02IM" + bytes(8), r"version 7\.3"),
        (b"\0\0\0\0" + bytes(8), "ends too early"),
        (b"\0\0\xff\0" + bytes(16), "no MATLAB header"),
        (file("<", struct.pack("<II", 9, 0)), "an element of type 9 stands in place of a variable"),
        (file("<", struct.pack("<II", 15, 4) + b"abcd"), "a compressed variable is damaged"),
        (file("<", struct.pack("<II", 15, 9) + zlib.compress(b"")[:9]), "ends too early"),
    ],
)
def test_what_is_wrong_is_told(data: bytes, message: str) -> None:
    with pytest.raises(MatError, match=message):
        parse_mat(data)


def test_damage_is_an_error_and_nothing_else() -> None:
    seeds = [
        written(VARIABLES),
        written(VARIABLES, do_compression=True),
        written({"matrix": VARIABLES["matrix"], "text": "hello"}, format="4"),
    ]
    rng = np.random.default_rng(0)
    counts = {"read": 0, "refused": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in range(3000):
            data = bytearray(seeds[number % 3])
            for place in rng.integers(0, len(data), rng.integers(1, 8)):
                data[place] = (0, 255, int(rng.integers(256)))[int(rng.integers(3))]
            if number % 4 == 0:
                del data[rng.integers(1, len(data)) :]
            try:
                parse_mat(bytes(data))
                counts["read"] += 1
            except MatError:
                counts["refused"] += 1
    assert counts["refused"] > 300
