from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image

from cliqa.transforms.degradations.base import DEGRADATIONS
from cliqa.transforms.degradations.ladders import family_names, find_family, rungs
from cliqa.transforms.degradations.synthetic import SyntheticDegradation
from cliqa.transforms.pipeline import build_pipeline
from cliqa.utils.errors import ConfigError, DatasetError

FAMILIES = [name for name in DEGRADATIONS.names() if "standard" in find_family(name).ladders]
LADDERS = [(name, table) for name in family_names("wide") for table in find_family(name).ladders]
each = pytest.mark.parametrize("family", FAMILIES)


def errors_of(levels: list[Tensor], image: Tensor) -> list[float]:
    """Return the mean squared error of every level against the image."""
    return [float((level.double() - image.double()).square().mean()) for level in levels]


def rises(errors: list[float]) -> bool:
    return all(first < second for first, second in itertools.pairwise(errors))


@pytest.mark.parametrize(("family", "table"), LADDERS)
def test_the_error_rises_from_level_to_level(family: str, table: str, picture: Tensor) -> None:
    levels = SyntheticDegradation(family, table=table, pristine=True, seed=0)(picture)
    errors = errors_of(levels, picture)
    assert errors[0] == 0
    assert rises(errors), errors


@pytest.mark.parametrize("family", ["blur", "jpeg", "pixelate", "quantise", "saturation"])
def test_the_error_rises_over_more_levels_and_in_floats(family: str, picture: Tensor) -> None:
    image = picture.float() / 255
    count = 4 if family == "pixelate" else 6
    errors = errors_of(SyntheticDegradation(family, num_levels=count, seed=1)(image), image)
    assert len(errors) == count
    assert rises([0.0, *errors]), errors


def test_brightness_does_not_rise(painted: Tensor) -> None:
    image = painted.float() / 255
    levels = SyntheticDegradation("brightness")(image)
    factors = [0.7, 0.5, 0.3, 1.3, 1.5]
    for level, factor in zip(levels, factors, strict=True):
        assert torch.equal(level, (image * factor).clamp(0, 1))
    assert not rises(errors_of(levels, image))


@pytest.mark.parametrize(
    ("family", "dtype"),
    [*((name, torch.float64) for name in FAMILIES)]
    + [("blur", kind) for kind in (torch.uint8, torch.float16, torch.float32)],
)
def test_the_kind_of_the_image_is_kept_and_the_image_too(
    family: str, dtype: torch.dtype, painted: Tensor
) -> None:
    image = painted[:, :40, :33]
    image = image.clone() if dtype == torch.uint8 else (image.double() / 255).to(dtype)
    before = image.clone()
    for level in SyntheticDegradation(family, seed=0, pristine=True)(image):
        assert level.dtype == dtype
        assert level.shape == image.shape
        level.zero_()
        assert torch.equal(image, before)


@pytest.mark.parametrize("family", ["blur", "jpeg", "noise"])
def test_a_pillow_image_gives_pillow_images_of_the_same_pixels(
    family: str, painted: Tensor
) -> None:
    degrade = SyntheticDegradation(family, seed=3)
    pictures = degrade(to_pil_image(painted))
    assert all(isinstance(picture, Image.Image) for picture in pictures)
    for picture, level in zip(pictures, degrade(painted), strict=True):
        assert torch.equal(pil_to_tensor(picture), level)


@pytest.mark.parametrize(("mode", "kept"), [("L", "L"), ("RGBA", "RGB"), ("P", "RGB")])
def test_pillow_images_of_any_mode_are_rgb_or_grey(mode: str, kept: str, painted: Tensor) -> None:
    picture = to_pil_image(painted).convert(mode)
    levels = SyntheticDegradation("blur", pristine=True)(picture)
    assert [level.mode for level in levels] == [kept] * 6
    assert levels[0].tobytes() == picture.convert(kept).tobytes()
    assert picture.mode == mode


def test_an_array_is_refused_with_a_way_out(painted: Tensor) -> None:
    with pytest.raises(DatasetError, match=r"Pillow image, got ndarray\. PIL\.Image\.fromarray"):
        SyntheticDegradation("blur", pristine=True)(painted.numpy())


@each
def test_a_batch_keeps_its_shape_and_its_order(family: str, painted: Tensor) -> None:
    batch = torch.stack([painted, painted.flip(2)])
    degrade = SyntheticDegradation(family, seed=0)
    levels = degrade(batch)
    assert [tuple(level.shape) for level in levels] == [(2, 3, 96, 96)] * 5
    if family in ("noise", "speckle", "impulse"):  # each image has noise of its own
        assert not torch.equal(levels[0][0].int() - batch[0], levels[0][1].int() - batch[1])
    else:
        assert torch.equal(levels[2][1], degrade(batch[1])[2])


@pytest.mark.parametrize("family", ["jpeg", "noise", "speckle", "impulse", "motion_blur"])
def test_equal_seeds_give_equal_levels(family: str, painted: Tensor) -> None:
    first = SyntheticDegradation(family, seed=5)(painted)
    again = SyntheticDegradation(family, seed=5)
    assert all(torch.equal(*pair) for pair in zip(first, again(painted), strict=True))
    assert torch.equal(first[3], again.degrade(painted, level=3, seed=5))
    for make in (torch.manual_seed, torch.Generator().manual_seed):
        drawn = [SyntheticDegradation(family)(painted, make(1)) for _ in range(2)]
        assert all(torch.equal(*pair) for pair in zip(*drawn, strict=True))


@pytest.mark.parametrize("family", ["noise", "speckle", "impulse", "motion_blur"])
def test_another_draw_gives_another_image(family: str, painted: Tensor) -> None:
    degrade = SyntheticDegradation(family)
    assert not torch.equal(degrade(painted)[4], degrade(painted)[4])


def test_levels_are_rounded_and_not_truncated() -> None:
    grey = torch.full((3, 200, 200), 128, dtype=torch.uint8)
    noisy = SyntheticDegradation("noise", seed=0)(grey)[1].double()
    assert noisy.mean().item() == pytest.approx(128, abs=0.1)  # truncation gives 127.5
    assert noisy.std().item() == pytest.approx(10, rel=0.02)


def test_it_is_a_step_of_a_pipeline(painted: Tensor) -> None:
    step = {"type": "SyntheticDegradation", "family": "blur"}
    tensor: dict[str, Any] = {"type": "ToTensor"}
    one = build_pipeline([{**step, "level": 2}, tensor], "t", quality=False)(painted)
    every = build_pipeline([step, tensor], "t", quality=False)(painted)
    assert every.shape == (5, 3, 96, 96)
    assert torch.equal(every[2], one)
    with pytest.raises(ConfigError, match=r"t\[2\] 'SyntheticDegradation'.*before 'Normalize'"):
        build_pipeline(
            [tensor, {"type": "Normalize", "mean": [0.5] * 3, "std": [0.5] * 3}, step], "t"
        )


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.full((3, 8, 8), -0.1), r"pixels in 0\.\.1, but the image has -0\.1\.\.-0\.1"),
        (torch.full((3, 8, 8), 2.6), r"0\.\.1, but the image has 2\.6\.\.2\.6.*before 'Normalize'"),
        (torch.full((3, 8, 8), float("nan")), r"the image has nan\.\.nan"),
        (torch.zeros(8, 8), r"\(C, H, W\) or \(N, C, H, W\), got shape \(8, 8\)"),
        (torch.zeros(3, 0, 8), r"got shape \(3, 0, 8\)"),
        (torch.zeros(3, 8, 8, dtype=torch.int32), r"got torch\.int32.*'ToTensor'"),
    ],
)
def test_what_is_no_image_is_refused(image: Tensor, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        SyntheticDegradation("blur")(image)


@pytest.mark.parametrize("level", [-1, 5])
def test_a_level_beyond_the_ladder_is_refused(level: int, painted: Tensor) -> None:
    message = rf"degradation 'blur': level must be in 0\.\.4, got {level}"
    with pytest.raises(ConfigError, match=message):
        SyntheticDegradation("blur", level=level)
    with pytest.raises(ConfigError, match=message):
        SyntheticDegradation("blur").degrade(painted, level)


def test_the_arguments_are_shown() -> None:
    shown = repr(SyntheticDegradation("jpeg", num_levels=3))
    assert shown == "SyntheticDegradation('jpeg', num_levels=3, table='standard')"
    assert SyntheticDegradation("jpeg", num_levels=3).strengths == rungs("jpeg", 3)
