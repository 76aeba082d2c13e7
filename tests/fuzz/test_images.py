"""Image files of every format and mode, whole and damaged; see `conftest`."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from cliqa.transforms.decode import read_image
from tests.fuzz.conftest import Try, cases
from tests.fuzz.damage import damaged_bytes

FORMATS = {
    "JPEG": (".jpg", ("L", "RGB", "CMYK")),
    "PNG": (".png", ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I")),
    "WEBP": (".webp", ("RGB", "RGBA")),
    "BMP": (".bmp", ("1", "L", "P", "RGB")),
    "TIFF": (
        ".tif",
        ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"),
    ),
    "GIF": (".gif", ("L", "P", "RGB")),
    "PPM": (".ppm", ("1", "L", "RGB", "I;16", "I", "F")),
    "JPEG2000": (".jp2", ("L", "LA", "RGB", "RGBA", "I;16")),
    "AVIF": (".avif", ("RGB", "RGBA")),
}
KINDS = [(name, mode) for name, (_, modes) in FORMATS.items() for mode in modes]
NOT_READ = ("EPS", "ICNS", "PCX", "TGA", "SGI", "DDS", "IM", "SPIDER", "MSP", "ICO", "XBM")
SIZES = st.one_of(
    st.tuples(st.integers(1, 24), st.integers(1, 24)),
    st.sampled_from([(1, 1), (1, 700), (700, 1), (2, 3000), (3000, 1)]),
)


def image_of(mode: str, size: tuple[int, int], seed: int) -> Image.Image:
    """Return an image of random pixels."""
    random = np.random.default_rng(seed)
    width, height = size
    if mode == "F":
        return Image.fromarray(random.random((height, width), dtype=np.float32))
    if mode in ("I", "I;16"):
        kind = np.int32 if mode == "I" else np.uint16
        return Image.fromarray(random.integers(0, 65536, (height, width)).astype(kind))
    pixels = random.integers(0, 256, (height, width, 4), dtype=np.uint8)
    return Image.fromarray(pixels, "RGBA").convert("RGB").convert(mode)


def encoded(kind: str, mode: str, size: tuple[int, int], seed: int, **options: Any) -> bytes:
    """Return an image file's bytes."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image_of(mode, size, seed).save(buffer, kind, **options)
        except (OSError, ValueError, KeyError, SystemError):
            assume(False)  # this format does not hold this mode or size
    return buffer.getvalue()


def read(path: Path, backend: str = "auto") -> torch.Tensor:
    """Read an image; a warning of the libraries below is a failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = read_image(path, backend)  # type: ignore[arg-type]
    assert image.dtype == torch.uint8
    assert image.dim() == 3
    assert image.shape[0] == 3
    assert image.numel() > 0
    return image


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


@cases(short=50, long=600)
@given(kind=st.sampled_from(KINDS), size=SIZES, seed=st.integers(0, 99))
def test_whole_images(
    kind: tuple[str, str], size: tuple[int, int], seed: int, folder: Path, attempt: Try
) -> None:
    name, mode = kind
    path = folder / f"whole{FORMATS[name][0]}"
    path.write_bytes(encoded(name, mode, size, seed))
    image = attempt("image, whole", lambda: read(path))
    if image is None:
        assert mode in ("I", "F"), f"{name} in mode {mode} is refused"
        return
    assert image.shape[1:] == (size[1], size[0])
    other = read(path, "pil")
    assert (image.int() - other.int()).abs().max() <= 1, "the two decoders disagree"


@cases(short=70, long=1500)
@given(data=st.data())
def test_damaged_images(data: st.DataObject, folder: Path, attempt: Try) -> None:
    name, mode = data.draw(st.sampled_from(KINDS))
    size = data.draw(SIZES)
    valid = encoded(name, mode, size, 0)
    path = folder / f"damaged{FORMATS[name][0]}"
    path.write_bytes(
        data.draw(damaged_bytes(valid, junk=(b"\0", b"\xff" * 4, b"\xff\xd9", b"x" * 999)))
    )
    attempt("image, damaged", lambda: read(path))


@cases(short=20, long=200)
@given(exif=st.binary(max_size=80), size=SIZES, orientation=st.integers(-2, 12))
def test_exif(
    exif: bytes, size: tuple[int, int], orientation: int, folder: Path, attempt: Try
) -> None:
    tags = Image.Exif()
    tags[0x0112] = max(0, orientation)
    path = folder / "exif.jpg"
    for block in (b"Exif\0\0" + exif, tags.tobytes()):
        path.write_bytes(encoded("JPEG", "RGB", size, 1, exif=block))
        image = attempt("image, EXIF", lambda: read(path))
        assert image is not None
        assert image.shape[1:] == (size[1], size[0])


@cases(short=20, long=150)
@given(name=st.sampled_from(NOT_READ), suffix=st.sampled_from([".jpg", ".png", ".tif"]))
def test_other_formats_are_refused(name: str, suffix: str, folder: Path, attempt: Try) -> None:
    path = folder / f"other{suffix}"
    mode = {"XBM": "1", "MSP": "1", "SPIDER": "F"}.get(name, "RGB")
    path.write_bytes(encoded(name, mode, (16, 16), 2))
    assert attempt("image, other format", lambda: read(path)) is None


@cases(short=10, long=60)
@given(
    width=st.sampled_from([1, 20_000, 100_000, 2**31 - 1]),
    height=st.sampled_from([1, 20_000, 65_000, 2**31 - 1]),
)
def test_a_huge_size_in_the_header(width: int, height: int, folder: Path, attempt: Try) -> None:
    content = bytearray(encoded("PNG", "RGB", (4, 4), 3))
    content[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    path = folder / "huge.png"
    path.write_bytes(content)
    assert attempt("image, huge header", lambda: read(path)) is None
