from __future__ import annotations

import struct
import sys
import threading
import types
import warnings
import zlib
from pathlib import Path

import pytest
from PIL import Image

from cliqa.transforms import image_file
from cliqa.transforms.image_file import (
    IMAGE_SUFFIXES,
    LIMIT,
    check_size,
    image_formats,
    max_pixels,
    open_image,
)
from cliqa.utils.errors import ConfigError, DatasetError


def chunk(name: bytes, content: bytes) -> bytes:
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png(width: int, height: int, *more: bytes) -> bytes:
    """Return a PNG that declares a size, with further chunks and next to no pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + pixels + chunk(b"IEND", b"")


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Give Pillow's own limit back after the test."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    monkeypatch.delenv(LIMIT, raising=False)
    return monkeypatch


def test_formats_that_start_programs_are_not_read() -> None:
    formats = image_formats()
    assert {"JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "JPEG2000"} <= set(formats)
    assert not {"EPS", "PSD", "ICNS", "FITS", "WMF", "HDF5", "MPEG"} & set(formats)


@pytest.mark.parametrize("kind", ["EPS", "ICO", "TGA", "PCX", "SGI"])
def test_another_format_is_refused_whatever_its_name(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (16, 16)).save(path, kind)
    with (
        pytest.raises(DatasetError, match=r"a\.jpg: cannot be decoded \(it holds no image that"),
        open_image(path),
    ):
        pass


def test_suffixes_are_those_of_the_formats() -> None:
    registered = Image.registered_extensions()
    plain = [suffix for suffix in IMAGE_SUFFIXES if suffix not in (".heic", ".heif")]
    assert {registered[suffix] for suffix in plain} <= {*image_formats(), "MPO"}
    assert {".jfif", ".jpe", ".avif", ".jp2", ".pgm", ".mpo"} <= set(plain)


def test_heif_is_read_where_its_library_is_there(limit: pytest.MonkeyPatch) -> None:
    library = types.ModuleType("pillow_heif")
    library.register_heif_opener = lambda: Image.OPEN.setdefault(  # type: ignore[attr-defined]
        "HEIF", Image.OPEN["BMP"]
    )
    limit.setitem(sys.modules, "pillow_heif", library)
    limit.setattr(Image, "OPEN", dict(Image.OPEN))
    assert "HEIF" in image_formats.__wrapped__()
    limit.setitem(sys.modules, "pillow_heif", None)
    limit.delitem(Image.OPEN, "HEIF")
    assert "HEIF" not in image_formats.__wrapped__()


def test_the_limit_is_pillows_and_can_be_set(limit: pytest.MonkeyPatch) -> None:
    assert max_pixels() == 2 * (Image.MAX_IMAGE_PIXELS or 0) == 178_956_970
    limit.setenv(LIMIT, "600")
    assert max_pixels() == 600
    check_size(30, 20, "a.png")
    message = rf"a\.png: declares 31 x 20 pixels, more than the 600 .* {LIMIT}=620\."
    with pytest.raises(DatasetError, match=message):
        check_size(31, 20, "a.png")
    limit.delenv(LIMIT)
    limit.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert max_pixels() is None


def test_a_higher_limit_lets_pillow_read_larger_images(
    tmp_path: Path, limit: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.bmp")
    limit.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DatasetError, match="Downscale"), open_image(tmp_path / "a.bmp"):
        pass
    limit.setenv(LIMIT, "1200")  # as the message says
    with open_image(tmp_path / "a.bmp") as image:
        assert image.convert("RGB").size == (40, 30)


@pytest.mark.parametrize("value", ["", "many", "-5", "0", "1e9"])
def test_a_limit_that_is_no_number_is_refused(limit: pytest.MonkeyPatch, value: str) -> None:
    limit.setenv(LIMIT, value)
    with pytest.raises(ConfigError, match=rf"{LIMIT} must be a whole number of at least 1"):
        max_pixels()


def test_an_image_without_pixels_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"a\.jpg: cannot be decoded \(it declares 0 x 4"):
        check_size(0, 4, "a.jpg")


def test_compressed_texts_and_profiles_do_not_swell(tmp_path: Path) -> None:
    bomb = zlib.compress(bytes(2**23))
    for number, part in enumerate(
        [chunk(b"zTXt", b"a\0\0" + bomb), chunk(b"iCCP", b"a\0\0" + bomb)]
    ):
        path = tmp_path / f"{number}.png"
        path.write_bytes(png(8, 8, part))
        with (
            pytest.raises(DatasetError, match=r"png: cannot be decoded \(Decompressed data too"),
            open_image(path),
        ):
            pass


def test_what_pillow_warns_about_is_not_shown(tmp_path: Path, limit: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.bmp")
    limit.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with open_image(tmp_path / "a.bmp") as image:
            assert image.size == (40, 30)
        with pytest.raises(UserWarning, match="shown"):
            warnings.warn("shown", UserWarning, stacklevel=1)


def test_warnings_come_back_once_every_thread_is_out() -> None:
    quiet, inside, leave = image_file._Quiet(), threading.Event(), threading.Event()

    def stay() -> None:
        with quiet:
            inside.set()
            leave.wait(10)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        thread = threading.Thread(target=stay)
        thread.start()
        inside.wait(10)
        with quiet:
            warnings.warn("silent", UserWarning, stacklevel=1)
        leave.set()
        thread.join()
        assert list(warnings.filters) == before


def test_whatever_pillow_raises_is_one_line(tmp_path: Path) -> None:
    Image.new("RGB", (4, 3)).save(tmp_path / "a.bmp")
    for error in (struct.error("odd\nbytes"), ZeroDivisionError(), MemoryError(), KeyError("x")):
        with (
            pytest.raises(DatasetError, match=r"a\.bmp: cannot be decoded \([^\n]+\)\. Copy"),
            open_image(tmp_path / "a.bmp"),
        ):
            raise error
    with pytest.raises(DatasetError, match=r"no\.bmp: no such"), open_image(tmp_path / "no.bmp"):
        pass


def test_no_place_opens_images_of_any_format() -> None:
    """Every ``Image.open`` of the package says which formats it reads."""
    root = Path(image_file.__file__).resolve().parents[1]
    calls = [
        f"{path.relative_to(root)}: {line.strip()}"
        for path in root.rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if "Image.open(" in line and path.name != "card.py"  # which tells others how to do it
    ]
    assert calls
    assert [call for call in calls if "formats=" not in call] == []
