"""Prompts beside a frozen transformer, against L2P's formula written with the blocks themselves."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cliqa.models.backbones.prompted.prompted_transformer import PromptedTransformer
from cliqa.utils.errors import ConfigError

ARCH = {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 32}
VIT: dict[str, Any] = {"type": "VisionTransformer", "arch": ARCH, "img_size": 16, "patch_size": 4}


def prompted(backbone: Any = VIT, **more: Any) -> PromptedTransformer:
    torch.manual_seed(0)
    return PromptedTransformer(backbone, **{"pool_size": 4, "length": 2, "top_k": 3, **more}).eval()


def images() -> Tensor:
    return torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_it_is_the_papers_formula() -> None:
    model = prompted()
    model.matches = []
    (found,) = model(images())
    vit: Any = model.body
    query = vit(images())[-1]  # (B, D), the class token without prompts
    cosines = F.cosine_similarity(query[:, None], model.keys[None], dim=2)
    expected, pulled = [], []
    for row, image in enumerate(images()):
        best = cosines[row].argsort(descending=True)[:3]
        pulled.append(cosines[row][best].sum())
        x, _ = vit.patch_embed(image[None])
        x = torch.cat([vit.cls_token, x], dim=1) + vit.pos_embed
        x = torch.cat([x, torch.cat([model.prompts[i] for i in best])[None]], dim=1)
        for block in vit.layers:
            x = block(x)
        expected.append(vit.ln1(x)[0, -6:].mean(0))
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(model.matches[0], torch.stack(pulled))


def test_the_transformer_is_frozen_and_prompts_and_keys_are_not() -> None:
    model = prompted()
    assert not model.train().body.training
    model.matches = []
    model(images())[0].square().sum().backward()
    model.matches[0].sum().backward()
    trained = {name for name, weight in model.named_parameters() if weight.grad is not None}
    assert (
        trained
        == {"keys", "prompts"}
        == {n for n, p in model.named_parameters() if p.requires_grad}
    )
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.body.modules())
    model.matches = None
    assert torch.equal(copy.deepcopy(model).eval()(images())[0], model.eval()(images())[0])


def test_other_libraries_transformers() -> None:
    pytest.importorskip("timm")
    args: dict[str, Any] = {"img_size": 16, "patch_size": 4}
    timm = prompted({"type": "TimmBackbone", "name": "test_vit", "model_args": args})
    assert timm(images())[0].shape == (5, 64)
    args |= {"global_pool": "avg"}
    with pytest.raises(ConfigError, match="'global_pool' is not an argument"):
        prompted({"type": "TimmBackbone", "name": "test_vit", "model_args": args})


@pytest.mark.parametrize(
    "backbone",
    [
        {"type": "SmallConvNet", "in_channels": 3},
        {**VIT, "out_type": "avg_featmap"},
        {"type": "TorchvisionBackbone", "arch": "resnet18", "nodes": ["layer1"]},
    ],
)
def test_what_is_no_transformer_with_a_vector_is_refused(backbone: Any) -> None:
    with pytest.raises(
        ConfigError, match=r"is no vision transformer that gives a vector\. Use Tim"
    ):
        prompted(backbone)


def test_numbers_are_checked() -> None:
    with pytest.raises(ConfigError, match="top_k=5 is above pool_size=4"):
        prompted(top_k=5)
    with pytest.raises(ConfigError, match="length must be an integer >= 1"):
        prompted(length=0)
