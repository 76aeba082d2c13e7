from __future__ import annotations

import io

import pytest
from PIL import Image

from cliqa.transforms.image_header import Header, read_header


def encoded(kind: str, size: tuple[int, int] = (31, 17), **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "teal").save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("size", [(31, 17), (1, 300), (300, 1)])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True, "comment": b"\xff\xc0 in a comment", "dpi": (72, 72)}),
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"}),  # with a header of all that follows
    ],
)
def test_sizes_are_found(kind: str, options: dict[str, object], size: tuple[int, int]) -> None:
    assert read_header(encoded(kind, size, **options)) == Header(kind, *size)


def test_what_lies_between_the_segments_of_a_jpeg_is_skipped() -> None:
    data = encoded("JPEG")
    assert read_header(data[:20] + b"\0\0rubbish\xff\xff" + data[20:]) == Header("JPEG", 31, 17)
    assert read_header(data[:20] + b"\xff\xd0\xff\x01" + data[20:]) == Header("JPEG", 31, 17)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_short_file_has_none(kind: str) -> None:
    data = encoded(kind)
    found = [read_header(data[:end]) for end in range(len(data))]
    assert set(found) == {None, Header(kind, 31, 17)}
    assert found[:20] == [None] * 20


def test_other_formats_and_animations_have_none() -> None:
    assert read_header(encoded("GIF")) is None
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:])
    assert read_header(buffer.getvalue()) is None


def test_pixels_before_the_size_are_no_header() -> None:
    assert read_header(b"\xff\xd8\xff\xda" + encoded("JPEG")[2:]) is None
