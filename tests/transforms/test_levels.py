"""Each mode of Pillow, as a file, against numpy's own arithmetic; both backends agree."""

from __future__ import annotations

import io
import logging
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
import torch
from PIL import Image

from cliqa.transforms import levels
from cliqa.transforms.decode import read_image
from cliqa.utils.errors import DatasetError

HEIGHT, WIDTH = 12, 16
RNG = np.random.default_rng(0)
DEEP = RNG.integers(0, 65536, (HEIGHT, WIDTH, 4)).astype(np.uint16)
DEEP[0, :4, 0] = (0, 128, 129, 65535)
EIGHT = RNG.integers(0, 256, (HEIGHT, WIDTH, 4), dtype=np.uint8)
UNIT = RNG.random((HEIGHT, WIDTH, 1)).astype(np.float32)


def tiff(
    pixels: np.ndarray,
    photometric: int,
    kind: int = 1,
    extra: int | None = None,
    apart: bool = False,
) -> bytes:
    """Return an uncompressed TIFF of pixels (H, W, C) in their own bits and byte order.

    Args:
        pixels: The pixels.
        photometric: 0 white is zero, 1 black is zero, 2 RGB, 5 CMYK.
        kind: 1 unsigned, 2 signed, 3 floating point.
        extra: What the band beyond the colours is: 0 nothing, 1 premultiplied alpha, 2 alpha.
        apart: Whether one band follows the other.
    """
    order = ">" if pixels.dtype.byteorder == ">" else "<"
    height, width, bands = pixels.shape
    body = (pixels.transpose(2, 0, 1) if apart else pixels).tobytes()
    tags = {256: [width], 257: [height], 258: [pixels.itemsize * 8] * bands, 259: [1]}
    tags |= {262: [photometric], 273: [0] * (bands if apart else 1), 277: [bands], 278: [height]}
    tags |= {279: [len(body) // len(tags[273])] * len(tags[273]), 284: [2 if apart else 1]}
    tags |= {338: [extra]} if extra is not None else {}
    tags |= {339: [kind] * bands}
    start = 14 + 12 * len(tags)
    room = sum(4 * len(values) for values in tags.values() if len(values) > 1)
    tags[273] = [start + room + tags[279][0] * k for k in range(len(tags[273]))]
    directory = later = b""
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}I", *values)
        if len(values) > 1:
            place = struct.pack(f"{order}I", start + len(later))
            packed, later = place, later + packed
        directory += struct.pack(f"{order}HHI", tag, 4, len(values)) + packed
    head = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(f"{order}IH", 8, len(tags))
    return head + directory + bytes(4) + later + body


def png(values: np.ndarray, colour: int) -> bytes:
    """Return a PNG of 16 bits; the colour is 0 grey, 2 RGB, 4 grey with alpha, 6 RGB with alpha."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def rounded(values: np.ndarray, white: float = 65535) -> np.ndarray:
    return np.floor(values.astype(np.float64) * 255 / white + 0.5).astype(np.uint8)


def by_pillow(mode: str, pixels: np.ndarray, via: str | None = None) -> np.ndarray:
    image = Image.frombytes(mode, (WIDTH, HEIGHT), np.ascontiguousarray(pixels).tobytes())
    return np.asarray((image.convert(via) if via else image).convert("RGB"))


def both(path: Path, data: bytes) -> torch.Tensor:
    """Return what both backends read of a file."""
    path.write_bytes(data)
    image = read_image(path)
    assert torch.equal(image, read_image(path, "pil"))
    return image


BIG, LITTLE = ">u2", "<u2"
PREMULTIPLIED = EIGHT.copy()
PREMULTIPLIED[..., :3] = np.minimum(EIGHT[..., :3], EIGHT[..., 3:])

SIXTEEN = {
    "png grey": (png(DEEP[..., :1], 0), rounded(DEEP[..., :1])),
    "png RGB": (png(DEEP[..., :3], 2), rounded(DEEP[..., :3])),
    "png grey and alpha": (png(DEEP[..., :2], 4), rounded(DEEP[..., :1])),
    "png RGB and alpha": (png(DEEP, 6), rounded(DEEP[..., :3])),
    "pgm": (b"P5 16 12 65535\n" + DEEP[..., 0].astype(">u2").tobytes(), rounded(DEEP[..., :1])),
    "pgm of 10 bits": (
        b"P5 16 12 1023\n" + (DEEP[..., 0] >> 6).astype(">u2").tobytes(),
        rounded(DEEP[..., :1] >> 6, 1023),
    ),
    "ppm": (b"P6 16 12 65535\n" + DEEP[..., :3].astype(">u2").tobytes(), rounded(DEEP[..., :3])),
    "jp2 grey": (saved(Image.fromarray(DEEP[..., 0]), "JPEG2000"), rounded(DEEP[..., :1])),
    "lzw grey": (
        saved(Image.fromarray(DEEP[..., 0]), "TIFF", compression="tiff_lzw"),
        rounded(DEEP[..., :1]),
    ),
    **{
        f"tiff {name}, {order}": (tiff(pixels.astype(order), photometric, extra=extra), expected)
        for order in (BIG, LITTLE)
        for name, pixels, photometric, extra, expected in (
            ("grey", DEEP[..., :1], 1, None, rounded(DEEP[..., :1])),
            ("RGB", DEEP[..., :3], 2, None, rounded(DEEP[..., :3])),
            ("RGBA", DEEP, 2, 2, rounded(DEEP[..., :3])),
            ("RGBX", DEEP, 2, 0, rounded(DEEP[..., :3])),
            ("CMYK", DEEP, 5, None, by_pillow("CMYK", rounded(DEEP))),
        )
    },
    "tiff, white is zero": (tiff(DEEP[..., :1].astype(LITTLE), 0), 255 - rounded(DEEP[..., :1])),
}


@pytest.mark.parametrize("name", SIXTEEN)
def test_sixteen_bits_are_rounded(tmp_path: Path, name: str) -> None:
    data, expected = SIXTEEN[name]
    image = both(tmp_path / "a", data)
    expected = np.broadcast_to(expected, (HEIGHT, WIDTH, 3))
    np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), expected)


def test_a_tiff_of_twelve_bits_reaches_white(tmp_path: Path) -> None:
    values = RNG.integers(0, 4096, (HEIGHT, WIDTH))
    values[0, :2] = 0, 4095
    packed = bytearray()
    for first, second in values.reshape(-1, 2).tolist():
        packed += bytes((first >> 4, (first & 15) << 4 | second >> 8, second & 255))
    data = tiff(np.frombuffer(bytes(packed), np.uint8).reshape(HEIGHT, -1, 1), 1)
    for tag, old, new in ((256, WIDTH * 3 // 2, WIDTH), (258, 8, 12)):
        before = struct.pack("<HHII", tag, 4, 1, old)
        assert before in data
        data = data.replace(before, struct.pack("<HHII", tag, 4, 1, new))
    image = both(tmp_path / "a.tif", data)
    np.testing.assert_array_equal(image[0].numpy(), rounded(values, 4095))


EIGHTS = {
    **{
        f"tiff {mode}": (saved(Image.fromarray(EIGHT[..., :3]).convert(mode), "TIFF"), None)
        for mode in ("1", "L", "P", "RGB", "CMYK", "YCbCr", "LAB", "LA", "RGBA", "RGBX")
    },
    "tiff PA": (saved(Image.fromarray(EIGHT[..., :3]).quantize(8).convert("PA"), "TIFF"), None),
    "tiff La": (
        tiff(PREMULTIPLIED[..., 2:], 1, extra=1),
        by_pillow("La", PREMULTIPLIED[..., 2:], "LA"),
    ),
    "tiff RGBa": (tiff(PREMULTIPLIED, 2, extra=1), by_pillow("RGBa", PREMULTIPLIED, "RGBA")),
    "bmp": (saved(Image.fromarray(EIGHT[..., :3]), "BMP"), EIGHT[..., :3]),
    "dib": (saved(Image.fromarray(EIGHT[..., :3]), "DIB"), EIGHT[..., :3]),
    "pbm": (saved(Image.fromarray(EIGHT[..., 0]).convert("1"), "PPM"), None),
    "webp": (saved(Image.fromarray(EIGHT[..., :3]), "WEBP", lossless=True), EIGHT[..., :3]),
}
LATER = ("tiff YCbCr", "tiff La")
"""What Pillow reads from version 13 on."""


@pytest.mark.parametrize("name", EIGHTS)
def test_eight_bits_are_as_pillow_converts_them(tmp_path: Path, name: str) -> None:
    data, expected = EIGHTS[name]
    if name in LATER and int(PIL.__version__.split(".")[0]) < 13:
        pytest.skip("Pillow reads it from version 13 on")
    if expected is None:
        expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    image = both(tmp_path / "a", data)
    np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("transform", [0, 2])
@pytest.mark.parametrize("marked", [True, False])
def test_jpegs_of_four_inks_are_the_same_in_both_backends(
    tmp_path: Path, transform: int, marked: bool
) -> None:
    pixels = Image.fromarray(EIGHT[..., :3]).resize((64, 48))
    data = bytearray(saved(pixels.convert("CMYK"), "JPEG", quality=95))
    place = data.index(b"Adobe")
    data[place + 11] = transform  # 0: CMYK, 2: YCCK
    data[place : place + 5] = b"Adobe" if marked else b"Other"
    image = both(tmp_path / "a.jpg", bytes(data))
    if transform == 0:
        original = np.asarray(pixels).transpose(2, 0, 1).astype(int)
        assert np.abs(image.numpy() - original).mean() < 6


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("values", "kind", "white"),
    [
        (UNIT, "f4", 1),
        (UNIT * 255, "f4", 255),
        (UNIT * 65535, "f4", 65535),
        (EIGHT[..., :1], "f4", 255),
        (EIGHT[..., :1], "i4", 255),
        (DEEP[..., :1], "i4", 65535),
        (DEEP[..., :1] // 4, "i2", 65535),
    ],
)
def test_white_is_the_least_that_no_value_exceeds(
    tmp_path: Path, order: str, values: np.ndarray, kind: str, white: int
) -> None:
    values = values.astype(order + kind)
    data = tiff(values, 1, kind=3 if kind == "f4" else 2)
    image = both(tmp_path / "a.tif", data)
    np.testing.assert_array_equal(image[:1].numpy(), rounded(values, white).transpose(2, 0, 1))


def test_a_white_that_was_taken_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(levels, "_LOGGED", set())
    with caplog.at_level(logging.WARNING):
        for name in ("a.tif", "b.tif"):
            both(tmp_path / name, tiff(UNIT, 1, kind=3))
        both(tmp_path / "c.tif", tiff(UNIT * 255, 1, kind=3))
        both(tmp_path / "d.tif", tiff(np.zeros_like(UNIT), 1, kind=3))  # black in every range
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "a.tif: its pixels are floating-point" in said[0]
    assert "1 was taken for white" in said[0]
    assert "255 was taken for white" in said[1]


def test_floats_that_count_from_white_are_turned(tmp_path: Path) -> None:
    image = both(tmp_path / "a.tif", tiff(UNIT, 0, kind=3))
    np.testing.assert_array_equal(image[0].numpy(), 255 - rounded(UNIT, 1)[..., 0])


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (np.nan, "f4", "a pixel is NaN or infinite"),
        (np.inf, "f4", "a pixel is NaN or infinite"),
        (-0.5, "f4", r"numbers from -0\.5 to 1, in none of the ranges 0\.\.1, .* PNG of 8 or 16"),
        (1e6, "f4", r"from 0 to 1e\+06, in none of the ranges"),
        (1.0, "f4", "are 0 and 1 in floating point: white may be 1, or 255"),
        (-3, "i4", "whole numbers from -3 to 1, in none of the ranges"),
        (70000, "i4", "whole numbers from 0 to 70000, in none of the ranges"),
    ],
)
def test_values_that_leave_white_open_are_refused(
    tmp_path: Path, value: float, kind: str, message: str
) -> None:
    values = np.zeros((HEIGHT, WIDTH, 1), dtype="<" + kind)
    values[0, :2, 0] = value, 1
    values[0, 1, 0] = min(1, max(value, 1)) if np.isfinite(value) else 0
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(values, 1, kind=3 if kind == "f4" else 2))
    with pytest.raises(DatasetError, match=rf"a\.tif: .*{message}"):
        read_image(path)


def test_bands_apart_of_sixteen_bits_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(DEEP[..., :3].astype(LITTLE), 2, apart=True))
    with pytest.raises(DatasetError, match="16 bits with its bands apart, which Pillow takes for"):
        read_image(path)
    eight = tiff(EIGHT[..., :3], 2, apart=True)
    np.testing.assert_array_equal(both(path, eight).numpy(), EIGHT[..., :3].transpose(2, 0, 1))
