"""MATLAB's file format in plain Python: a damaged or hostile file is an error, whatever is in it.

scipy.io reads more kinds of variables, but some damaged files kill its process. Here every length
that a file declares is compared with the bytes that are there before anything is made of it. The
format is The MathWorks' "MAT-File Format" (versions 4 and 5; 5 is MATLAB's 5 to 7.2).
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

LARGEST = 2**28
"""Bytes that a file's variables may have together, unpacked; those of label files have a few."""

_MATRIX, _COMPRESSED = 14, 15
_CELL, _CHAR, _FIRST_NUMBER, _LAST_NUMBER, _OPAQUE = 1, 4, 6, 15, 17
_KINDS = {2: "a struct", 3: "an object", 5: "a sparse matrix", 16: "a function", 17: "an object"}
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8"}
_NUMBERS |= {12: "i8", 13: "u8"}
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_V4_NUMBERS = ("f8", "f4", "i4", "i2", "u2", "u1")
_COMPLEX = 0x800
_DEPTH = 8


@dataclass(frozen=True)
class OtherVariable:
    """A variable of a kind that is not read.

    Args:
        kind: What it is, for a message.
    """

    kind: str


class MatError(ValueError):
    """The bytes are no readable MATLAB file."""


def parse_mat(data: bytes) -> dict[str, Any]:
    """Return the variables of a MATLAB file (version 4, or 5 to 7.2).

    Args:
        data: The file's content.

    Returns:
        By name: numbers as they are stored, text as an array of strings (its rows), cells as an
        array of objects, each in MATLAB's shape; what is none of these is an `OtherVariable`.

    Raises:
        MatError: The file is damaged, or of another version.
    """
    if len(data) >= 4 and 0 in data[:4]:
        return _unique(_parse_v4(data))
    if len(data) < 128:
        raise MatError("it ends too early")
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    version = data[125 if order == "<" else 124] if order else 0
    if version == 2:
        raise MatError("version 7.3")
    if version != 1 or order is None:
        raise MatError("it has no MATLAB header")
    return _unique(_parse_v5(data, order))


def _unique(variables: Iterator[tuple[str, Any]]) -> dict[str, Any]:
    """Return variables by name."""
    found: dict[str, Any] = {}
    for name, value in variables:
        if name in found:
            raise MatError(f"the variable '{name}' is there twice")
        found[name] = value
    return found


def _parse_v5(data: bytes, order: str) -> Iterator[tuple[str, Any]]:
    """Yield the variables of a file of version 5."""
    place, room = 128, LARGEST
    while place < len(data):
        kind, content, place = _element(data, place, order)
        if kind == _COMPRESSED:
            content = _unpack(content, room)
            room -= len(content)
            kind, content, _ = _element(content, 0, order)
        if kind != _MATRIX:
            raise MatError(f"an element of type {kind} stands in place of a variable")
        name, value = _matrix(content, order, 0)
        if name:  # MATLAB's own notes have none
            yield name, value


def _unpack(packed: bytes, room: int) -> bytes:
    """Return what was compressed, if it is no larger than there is room."""
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(packed, room + 1)
    except zlib.error as error:
        raise MatError(f"a compressed variable is damaged: {error}") from error
    if len(content) > room:
        raise MatError(f"its variables have more than {LARGEST} bytes")
    if not unpacker.eof:
        raise MatError("a compressed variable ends too early")
    return content


def _element(data: bytes, place: int, order: str) -> tuple[int, bytes, int]:
    """Return the type and the content of the element at a place, and the place after it."""
    if place + 8 > len(data):
        raise MatError("it ends too early")
    (first,) = struct.unpack_from(f"{order}I", data, place)
    if first >> 16:  # type and length share four bytes, and the content follows in the other four
        kind, count, start = first & 0xFFFF, first >> 16, place + 4
        if count > 4:
            raise MatError(f"a small element of {count} bytes")
        return kind, data[start : start + count], place + 8
    (count,) = struct.unpack_from(f"{order}I", data, place + 4)
    start, end = place + 8, place + 8 + count
    if end > len(data):
        raise MatError("it ends too early")
    return first, data[start:end], end if first == _COMPRESSED else end + -count % 8


def _matrix(data: bytes, order: str, depth: int) -> tuple[str, Any]:
    """Return the name and the value of a variable, or of a cell."""
    if not data:
        return "", np.empty((0, 0))
    if depth > _DEPTH:
        raise MatError(f"cells within cells, more than {_DEPTH} deep")
    _, flags, place = _element(data, 0, order)
    if len(flags) != 8:
        raise MatError("a variable without flags")
    (bits,) = struct.unpack_from(f"{order}I", flags)
    kind = bits & 0xFF
    shape: tuple[int, ...] = (0,)
    if kind != _OPAQUE:
        _, lengths, place = _element(data, place, order)
        shape = _shape(lengths, order)
    _, name, place = _element(data, place, order)
    content = data[place:]
    if kind == _CELL:
        value: Any = _cells(content, shape, order, depth)
    elif kind == _CHAR:
        value = _text(content, shape, order)
    elif _FIRST_NUMBER <= kind <= _LAST_NUMBER and not bits & _COMPLEX:
        value = _numbers(content, shape, order)
    elif kind in _KINDS or bits & _COMPLEX:
        value = OtherVariable(_KINDS.get(kind, "complex numbers"))
    else:
        raise MatError(f"a variable of the unknown class {kind}")
    return name.decode("latin-1").strip("\0"), value


def _shape(lengths: bytes, order: str) -> tuple[int, ...]:
    """Return a variable's shape."""
    if len(lengths) % 4 or not 8 <= len(lengths) <= 128:
        raise MatError("a variable without a shape")
    shape = struct.unpack(f"{order}{len(lengths) // 4}i", lengths)
    if min(shape) < 0:
        raise MatError(f"a variable of shape {shape}")
    return shape


def _numbers(data: bytes, shape: tuple[int, ...], order: str) -> np.ndarray:
    """Return numbers as they are stored."""
    kind, content, _ = _element(data, 0, order)
    if kind not in _NUMBERS:
        raise MatError(f"numbers of the unknown type {kind}")
    return _array(content, np.dtype(order + _NUMBERS[kind]), shape)


def _array(content: bytes, dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray:
    """Return numbers in MATLAB's shape, column by column, in this machine's byte order."""
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise MatError(f"{len(content)} bytes for {dtype.name} of shape {shape}")
    values = np.frombuffer(content, dtype).reshape(shape, order="F")
    return values.astype(dtype.newbyteorder("="))


def _text(data: bytes, shape: tuple[int, ...], order: str) -> np.ndarray:
    """Return text as an array of its rows."""
    count = math.prod(shape)
    if not count:
        return np.empty(0, dtype=np.str_)
    kind, content, _ = _element(data, 0, order)
    if kind not in _TEXTS:
        raise MatError(f"text of the unknown type {kind}")
    codec = _TEXTS[kind]
    if codec.startswith("utf-") and codec != "utf-8":
        codec += "-le" if order == "<" else "-be"
    try:
        text = content.decode(codec)
    except UnicodeDecodeError as error:
        raise MatError(f"text that is not {error.encoding}") from error
    return _rows(text, shape)


def _rows(text: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return the rows of text that lies column by column."""
    if len(text) != math.prod(shape):
        raise MatError(f"{len(text)} characters for text of shape {shape}")
    width = shape[-1]
    count = len(text) // width
    rows = [text[row::count] for row in range(count)]
    return np.array(rows, dtype=np.str_).reshape(shape[:-1], order="F")


def _cells(data: bytes, shape: tuple[int, ...], order: str, depth: int) -> np.ndarray:
    """Return cells as an array of objects."""
    count, place = math.prod(shape), 0
    if count > len(data) // 8:  # a cell has eight bytes at least
        raise MatError(f"{len(data)} bytes for cells of shape {shape}")
    cells = np.empty(count, dtype=object)
    for index in range(count):
        kind, content, place = _element(data, place, order)
        if kind != _MATRIX:
            raise MatError(f"an element of type {kind} stands in place of a cell")
        cells[index] = _matrix(content, order, depth + 1)[1]
    return cells.reshape(shape, order="F")


def _parse_v4(data: bytes) -> Iterator[tuple[str, Any]]:
    """Yield the variables of a file of version 4."""
    place = 0
    while place < len(data):
        if place + 20 > len(data):
            raise MatError("it ends too early")
        order = "<" if 0 <= struct.unpack_from("<i", data, place)[0] < 5000 else ">"
        code, rows, columns, imaginary, length = struct.unpack_from(f"{order}5i", data, place)
        machine, kind, form = code // 1000, code // 10 % 100, code % 10
        if machine != (order == ">") or kind >= len(_V4_NUMBERS) or form > 2:
            raise MatError("it has no MATLAB header")
        if min(rows, columns) < 0 or not 0 < length <= 128:
            raise MatError("a variable without a shape or a name")
        dtype = np.dtype(order + _V4_NUMBERS[kind])
        start = place + 20 + length
        place = start + rows * columns * dtype.itemsize * (2 if imaginary and form != 2 else 1)
        if place > len(data):
            raise MatError("it ends too early")
        name = data[start - length : start].decode("latin-1").strip("\0")
        yield name, _v4_value(data[start:place], dtype, (rows, columns), form, bool(imaginary))


def _v4_value(
    content: bytes, dtype: np.dtype[Any], shape: tuple[int, int], form: int, imaginary: bool
) -> Any:  # noqa: ANN401
    """Return the value of a variable of version 4."""
    if form == 2 or imaginary:
        return OtherVariable("a sparse matrix" if form == 2 else "complex numbers")
    values = _array(content, dtype, shape)
    if form == 0:
        return values
    if not values.size:
        return np.empty(0, dtype=np.str_)
    if not ((values >= 0) & (values < 256)).all():
        raise MatError("text that is not latin-1")
    return _rows("".join(map(chr, values.astype(int).ravel(order="F"))), shape)
