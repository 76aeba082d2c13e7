from __future__ import annotations

import pytest
import torch

from cliqa.models.necks.scale_attention import ScaleAttention
from cliqa.utils.errors import ConfigError


def maps() -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return [torch.rand(3, c, 7, 7, generator=random) for c in (4, 8, 16)]


@pytest.mark.parametrize(
    ("channels", "parameters"),
    [((96, 192, 384, 768), 197_892), ((128, 256, 512, 1024), 263_428)],
)
def test_the_parameters_are_counted(channels: tuple[int, ...], parameters: int) -> None:
    assert sum(p.numel() for p in ScaleAttention(channels).parameters()) == parameters


def test_weights_sum_to_one_and_begin_nearly_equal() -> None:
    torch.manual_seed(0)
    weights = ScaleAttention((4, 8, 16)).eval().weights(maps())
    torch.testing.assert_close(weights.sum(1), torch.ones(3))
    torch.testing.assert_close(weights, torch.full((3, 3), 1 / 3), atol=0.01, rtol=0)


def test_each_scale_is_multiplied_by_its_weight() -> None:
    attention = ScaleAttention((4, 8, 16)).eval()
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.normal_()
    weights = attention.weights(maps())
    assert weights.std() > 0.05
    for level, (found, own) in enumerate(zip(attention(maps()), maps(), strict=True)):
        for image in range(3):
            torch.testing.assert_close(found[image], own[image] * weights[image, level])


def test_no_width_is_refused() -> None:
    with pytest.raises(ConfigError, match="ScaleAttention: hidden must be above 0"):
        ScaleAttention((4, 8), hidden=0)
