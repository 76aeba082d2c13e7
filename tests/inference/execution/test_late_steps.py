"""8-bit crops that are normalised in batches: the values are equal to the last bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from cliqa.inference.execution.late_steps import LateSteps
from cliqa.training.loop.batching import RaggedImages, collate_eval
from cliqa.transforms.protocol import EvaluationProtocol, build_views, parse_protocol

NORMALIZE = {"type": "Normalize", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
PLAIN = EvaluationProtocol()


def images(*sizes: tuple[int, int]) -> list[Tensor]:
    """Return random 8-bit images, in the decoder's memory layout."""
    draw = torch.Generator().manual_seed(0)
    return [
        torch.randint(0, 256, (*size, 3), dtype=torch.uint8, generator=draw).permute(2, 0, 1)
        for size in sizes
    ]


@pytest.mark.parametrize(
    "steps",
    [
        [{"type": "ToTensor"}, NORMALIZE],
        [{"type": "Resize", "size": 20}, {"type": "CenterCrop", "size": 16}, {"type": "ToTensor"}],
        [{"type": "ToTensor"}, {"type": "Resize", "size": 20}, NORMALIZE],
        [{"type": "Resize", "size": 20}],
        [],
    ],
)
@pytest.mark.parametrize("crops", [None, "grid:2x3", "random:4"])
@pytest.mark.parametrize("sizes", [[(24, 32)] * 3, [(24, 32), (10, 40), (32, 24)], [(9, 11)]])
def test_every_value_is_that_of_the_whole_preprocessing(
    steps: list[dict[str, Any]], crops: str | None, sizes: list[tuple[int, int]]
) -> None:
    protocol = PLAIN if crops is None else parse_protocol(crops, 12)
    views = build_views(steps, protocol, "x")
    late = LateSteps(views)
    shown = images(*sizes)
    found = late.finish(late.batch([late(one, str(k)) for k, one in enumerate(shown)]))
    (wanted,) = collate_eval([(views(one, str(k)),) for k, one in enumerate(shown)])
    assert type(found) is type(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == torch.float32
        assert torch.equal(one, other)


def test_images_wait_in_8_bits_and_stay_unchanged() -> None:
    late = LateSteps(
        build_views([{"type": "ToTensor"}, NORMALIZE], parse_protocol("grid:2x2", 8), "x")
    )
    (image,) = images((16, 16))
    before = image.clone()
    crops = late(image, "a")
    assert (crops.dtype, crops.shape) == (torch.uint8, (4, 3, 8, 8))
    batch = late.batch([crops])
    kept = batch.clone() if isinstance(batch, Tensor) else None
    late.finish(batch)
    assert torch.equal(image, before)
    assert kept is not None
    assert torch.equal(batch, kept)  # type: ignore[arg-type]


def test_grey_images_become_as_many_channels_as_before() -> None:
    views = build_views([{"type": "ToTensor"}, NORMALIZE], PLAIN, "x")
    grey = images((8, 8))[0][:1]
    late = LateSteps(views)
    assert torch.equal(late.finish(late(grey, "a")), views(grey, "a"))  # type: ignore[arg-type]


def test_features_and_lists_pass() -> None:
    late = LateSteps(build_views(None, PLAIN, "x"))
    features = torch.rand(5)
    assert late(features, "a") is features
    assert isinstance(late.batch([torch.rand(3), torch.rand(4)]), RaggedImages)
