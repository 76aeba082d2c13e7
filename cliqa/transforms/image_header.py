"""An image's format and size from the file's first bytes, without decoding."""

from __future__ import annotations

from typing import NamedTuple

_FRAME_HEADERS = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""JPEG's markers of a frame, which hold the image's size."""
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})
"""JPEG's markers without a length."""


class Header(NamedTuple):
    """An image's format and size.

    Args:
        kind: ``"JPEG"``, ``"PNG"`` or ``"WEBP"``.
        width: Pixels.
        height: Pixels.
    """

    kind: str
    width: int
    height: int


def read_header(data: bytes) -> Header | None:
    """Return the header of a JPEG, PNG or still WebP file, else None: damaged ones included.

    >>> read_header(b"GIF89a")
    """
    size = None
    if data[:3] == b"\xff\xd8\xff":
        kind, size = "JPEG", _jpeg_size(data)
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        kind, size = "PNG", _png_size(data)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        kind, size = "WEBP", _webp_size(data)
    return None if size is None else Header(kind, *size)


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return the size in the first frame header, found as libjpeg finds it."""
    place = 2
    while True:
        place = data.find(0xFF, place)  # what lies between two segments is skipped
        while place >= 0 and data[place : place + 1] == b"\xff":
            place += 1
        if place < 0 or place + 8 > len(data):
            return None
        marker = data[place]
        place += 1
        if marker in _FRAME_HEADERS:  # length (2), bits (1), height (2), width (2)
            return _big(data, place + 5, 2), _big(data, place + 3, 2)
        if marker in (0xD9, 0xDA):  # the image's end, or its pixels, before its size
            return None
        if marker and marker not in _BARE:
            place += max(2, _big(data, place, 2))


def _png_size(data: bytes) -> tuple[int, int] | None:
    """Return the size in the first chunk."""
    if data[12:16] != b"IHDR" or len(data) < 24:
        return None
    return _big(data, 16, 4), _big(data, 20, 4)


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """Return the size of the canvas; None for an animation."""
    chunk = data[12:16]
    if chunk == b"VP8X" and len(data) >= 30 and not data[20] & 2:
        return 1 + _little(data, 24, 3), 1 + _little(data, 27, 3)
    if chunk == b"VP8 " and data[23:26] == b"\x9d\x01\x2a" and len(data) >= 30:
        return _little(data, 26, 2) & 0x3FFF, _little(data, 28, 2) & 0x3FFF
    if chunk == b"VP8L" and data[20:21] == b"\x2f" and len(data) >= 25:
        bits = _little(data, 21, 4)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return None


def _big(data: bytes, place: int, count: int) -> int:
    return int.from_bytes(data[place : place + count], "big")


def _little(data: bytes, place: int, count: int) -> int:
    return int.from_bytes(data[place : place + count], "little")
