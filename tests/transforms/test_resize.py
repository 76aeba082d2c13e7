from __future__ import annotations

import logging
from typing import Any

import pytest
import torch

from cliqa.transforms.pipeline import build_pipeline
from cliqa.transforms.resize import AdaptiveResize, ResizePad, enlarge


def image(height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize(
    ("size", "wanted"),
    [((20, 30), (40, 60)), ((30, 20), (60, 40)), ((40, 10), (160, 40)), ((39, 500), (40, 513))],
)
def test_enlarge_keeps_the_aspect_and_fits_one_edge(
    size: tuple[int, int], wanted: tuple[int, int]
) -> None:
    enlarged = enlarge(image(*size), 40, 40)
    assert enlarged.shape == (3, *wanted)
    assert enlarged.dtype == torch.uint8


def test_enlarge_leaves_a_large_image_alone() -> None:
    large = image(50, 40)
    assert enlarge(large, 40, 40) is large


def test_adaptive_resize_shrinks_but_never_enlarges() -> None:
    step = AdaptiveResize(size=40)
    assert step(image(80, 120)).shape == (3, 40, 60)
    small = image(40, 20)
    assert step(small) is small
    assert repr(step) == "AdaptiveResize(size=40)"


def test_resize_pad_shows_the_whole_image_between_repeated_borders() -> None:
    source = image(20, 40)
    padded = ResizePad(size=40)(source)
    assert padded.shape == (3, 40, 40)
    assert torch.equal(padded[:, 10:30], source)
    assert torch.equal(padded[:, :10], source[:, :1].expand(3, 10, 40))


@pytest.mark.parametrize("shape", [(30, 17), (17, 30), (500, 3)])
def test_resize_pad_always_gives_the_square(shape: tuple[int, int]) -> None:
    assert ResizePad(size=25)(image(*shape)).shape == (3, 25, 25)


def test_resize_pad_paints_the_same_grey_on_levels_and_fractions() -> None:
    step = ResizePad(size=40, padding="constant", fill=0.2)
    levels = image(20, 40)
    assert step(levels)[0, 0, 0] == 51
    torch.testing.assert_close(step(levels / 255)[0, 0, 0], torch.tensor(0.2))
    assert repr(step) == "ResizePad(size=40, padding='constant', fill=0.2)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "size must be a whole number of pixels, got 0"),
        ({"size": (2, 3)}, r"size must be a whole number of pixels, got \(2, 3\)"),
        ({"size": 8, "padding": "zeros"}, "padding must be 'edge' or 'constant', got 'zeros'"),
        ({"size": 8, "fill": 128}, "fill must lie in 0..1, got 128"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ResizePad(**arguments)


def test_adaptive_resize_refuses_a_size_of_nothing() -> None:
    with pytest.raises(ValueError, match="size must be a whole number of pixels, got -1"):
        AdaptiveResize(-1)


def test_a_landscape_becomes_a_portrait_without_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    steps = [{"type": "HyperIQAResize"}, {"type": "ToTensor"}]
    with caplog.at_level(logging.WARNING):
        pipeline = build_pipeline(steps, "scenario.eval_transform")
    assert not caplog.records
    halves = torch.zeros(3, 96, 128, dtype=torch.uint8)
    halves[:, :, 64:] = 255  # the right half
    found = pipeline(halves)
    assert found.shape == (3, 512, 384)
    assert (found[:, :, :180] < 0.01).all()
    assert (found[:, :, 204:] > 0.99).all()
