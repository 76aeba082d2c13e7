from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cliqa.transforms import decode, pixels
from cliqa.transforms.decode import read_image, to_grey
from cliqa.utils.errors import ConfigError, DatasetError

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def expected() -> torch.Tensor:
    return torch.from_numpy(PIXELS).permute(2, 0, 1)


@pytest.mark.parametrize("backend", ["auto", "pil"])
@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_lossless_files_give_their_pixels(
    tmp_path: Path, suffix: str, backend: decode.Backend
) -> None:
    Image.fromarray(PIXELS).save(tmp_path / f"a.{suffix}")
    image = read_image(tmp_path / f"a.{suffix}", backend)
    assert image.dtype == torch.uint8
    assert torch.equal(image, expected())


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_both_backends_agree_on_jpeg(tmp_path: Path, mode: str) -> None:
    Image.fromarray(PIXELS).convert(mode).save(tmp_path / "a.jpg")
    image = read_image(str(tmp_path / "a.jpg"))
    assert image.shape == (3, 20, 30)
    assert torch.equal(image, read_image(tmp_path / "a.jpg", "pil"))


@pytest.mark.parametrize("mode", ["P", "1", "L", "LA", "RGBA"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    source = Image.fromarray(PIXELS).convert(mode)
    source.save(tmp_path / "a.png")
    wanted = torch.from_numpy(np.array(source.convert("RGB"))).permute(2, 0, 1)
    assert torch.equal(read_image(tmp_path / "a.png"), wanted)
    assert torch.equal(read_image(tmp_path / "a.png", "pil"), wanted)


@pytest.mark.parametrize("backend", ["auto", "pil"])
def test_sixteen_bits_are_rounded_not_clipped(tmp_path: Path, backend: decode.Backend) -> None:
    levels = np.array([[0, 128, 129, 257], [300, 32768, 65279, 65535]], dtype=np.uint16)
    Image.fromarray(levels).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png", backend)
    assert image.tolist() == [[[0, 0, 1, 1], [1, 128, 254, 255]]] * 3


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    image = read_image(tmp_path / "a.gif")
    assert image[:, 0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("backend", ["auto", "pil"])
def test_a_truncated_file_is_an_error_that_names_it(
    tmp_path: Path, backend: decode.Backend
) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg")
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        DatasetError, match=r"cut\.jpg: cannot be decoded \(.*(?i:truncated).*Copy or download"
    ):
        read_image(tmp_path / "cut.jpg", backend)


def test_no_image_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "page.jpg").write_text("<html>not found</html>")
    with pytest.raises(
        DatasetError, match=r"page\.jpg: cannot be decoded \(it holds no image that"
    ):
        read_image(tmp_path / "page.jpg")


def test_a_missing_or_empty_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"gone\.jpg: no such image file"):
        read_image(tmp_path / "gone.jpg")
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(DatasetError, match=r"empty\.jpg: the image file is empty"):
        read_image(tmp_path / "empty.jpg")
    with pytest.raises(DatasetError, match=r"cannot be read"):
        read_image(tmp_path)


@pytest.mark.parametrize("backend", ["auto", "pil"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000"])
def test_the_size_is_checked_before_anything_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, backend: decode.Backend
) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.img", kind)
    monkeypatch.setenv("CLIQA_MAX_IMAGE_PIXELS", "599")
    for module, name in ((decode, "decode_image"), (pixels, "to_rgb")):
        monkeypatch.setattr(module, name, lambda *_: pytest.fail("decoded"))
    with pytest.raises(DatasetError, match=r"a\.img: declares 30 x 20 pixels, more than the 599"):
        read_image(tmp_path / "a.img", backend)


def test_a_file_larger_than_any_image_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "a.bmp").open("wb") as file:
        file.truncate(2**33)  # a hole, which takes no room on the disk
    with pytest.raises(DatasetError, match=r"a\.bmp: 8589934592 bytes, more than an image of"):
        read_image(tmp_path / "a.bmp")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no such files here")
def test_a_pipe_is_no_image(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(DatasetError, match=r"a\.jpg: cannot be read \(it is not a regular file\)"):
        read_image(tmp_path / "a.jpg")


def test_only_the_first_frame_of_an_animation_is_decoded(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "green", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], loop=0)
    data = (tmp_path / "a.gif").read_bytes()
    second = data.index(b"\x21\xf9\x04", data.index(b"\x2c"))
    (tmp_path / "cut.gif").write_bytes(data[:second])  # of the others nothing is there
    for backend in ("auto", "pil"):
        whole, cut = (read_image(tmp_path / f"{name}.gif", backend) for name in ("a", "cut"))
        assert torch.equal(whole, cut)


def test_an_mpo_is_read_as_the_jpeg_that_it_begins_with(tmp_path: Path) -> None:
    first, second = (Image.new("RGB", (16, 16), colour) for colour in ("red", "blue"))
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second])
    image = read_image(tmp_path / "a.jpg")
    assert torch.equal(image, read_image(tmp_path / "a.jpg", "pil"))
    assert image[0].min() > 200


@pytest.mark.parametrize("size", [(1, 4000), (4000, 1), (1, 1)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"])
def test_thin_images_are_read(tmp_path: Path, size: tuple[int, int], kind: str) -> None:
    Image.new("RGB", size, "white").save(tmp_path / "a.img", kind)
    for backend in ("auto", "pil"):
        image = read_image(tmp_path / "a.img", backend)
        assert image.shape == (3, size[1], size[0])
        assert image.min() > 250


def test_damage_is_one_line_of_the_data_set(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    refused = []
    for kind in ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "JPEG2000"):
        Image.fromarray(PIXELS).save(tmp_path / "whole", kind)
        whole = (tmp_path / "whole").read_bytes()
        for _ in range(12):
            data = bytearray(whole)
            for place in rng.integers(0, min(len(data), 300), 3):
                data[place] = rng.integers(256)
            (tmp_path / "a.img").write_bytes(data[: rng.integers(1, 2 * len(data))])
            try:
                assert read_image(tmp_path / "a.img").dtype == torch.uint8
            except DatasetError as error:
                refused.append(str(error))
    assert len(refused) > 20
    assert [text for text in refused if "\n" in text or "a.img" not in text] == []


def test_a_huge_image_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.bmp")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DatasetError, match=r"a\.bmp: .*Downscale"):
        read_image(tmp_path / "a.bmp")


def test_an_unknown_backend_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"backend 'cv2' is unknown\. Use 'auto' or 'pil'"):
        read_image(tmp_path / "a.png", "cv2")  # type: ignore[arg-type]


def test_grey_is_pillows_and_keeps_grey_levels() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    wanted = np.asarray(Image.fromarray(colours).convert("L"))
    assert np.array_equal(to_grey(torch.from_numpy(colours).permute(2, 0, 1))[0].numpy(), wanted)
    levels = torch.arange(256, dtype=torch.uint8).view(1, 16, 16)
    assert torch.equal(to_grey(levels.expand(2, 3, 16, 16)), levels.expand(2, 1, 16, 16))


@pytest.mark.parametrize(
    ("edge", "shape"), [(10, (3, 10, 15)), (11, (3, 20, 30)), (39, (3, 40, 60)), (41, (3, 80, 120))]
)
def test_a_jpeg_is_decoded_smaller_where_that_suffices(
    tmp_path: Path, edge: int, shape: tuple[int, ...]
) -> None:
    path = tmp_path / "a.jpg"
    x = np.linspace(0, 255, 120).astype(np.uint8)
    pixels = np.broadcast_to(x[None, :, None], (80, 120, 3))
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, quality=95)
    image = read_image(path, shorter_edge=edge)
    assert image.shape == shape
    assert image.dtype == torch.uint8
    means = image.float().mean((0, 1))
    factor = 120 // shape[2]
    expected = read_image(path).float().mean((0, 1)).view(-1, factor).mean(1)
    assert (means - expected).abs().max() < 3


def test_other_formats_and_kinds_are_decoded_whole(tmp_path: Path) -> None:
    for name, mode in (("a.png", "RGB"), ("b.jpg", "CMYK")):
        path = tmp_path / name
        Image.new(mode, (64, 48)).save(path)
        assert read_image(path, shorter_edge=8).shape == (3, 48, 64)
    grey = tmp_path / "c.jpg"
    Image.new("L", (64, 48), 9).save(grey)
    assert read_image(grey, shorter_edge=8).shape == (3, 12, 16)


def test_a_damaged_jpeg_is_refused_at_any_size(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.effect_noise((64, 48), 50).save(path)
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(DatasetError, match=r"a\.jpg: cannot be decoded"):
        read_image(path, shorter_edge=8)
