from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cliqa.transforms import decode
from cliqa.transforms.decode import read_image
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


def test_a_huge_image_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.bmp")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DatasetError, match=r"a\.bmp: .*Downscale"):
        read_image(tmp_path / "a.bmp")


def test_an_unknown_backend_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"backend 'cv2' is unknown\. Use 'auto' or 'pil'"):
        read_image(tmp_path / "a.png", "cv2")  # type: ignore[arg-type]
