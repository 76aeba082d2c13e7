"""Prefixes in the attention of three libraries, against softmax(q [p; k]) [p; v]."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from cliqa.models.backbones.prompted.frozen_transformer import TransformerLayers, layers_of
from cliqa.models.backbones.prompted.prefix_attention import attend, check_blocks, prefixed
from cliqa.models.mmpretrain_bridge import build_part
from cliqa.utils.errors import ConfigError

TIMM: dict[str, Any] = {
    "type": "TimmBackbone",
    "name": "test_vit",
    "model_args": {"img_size": 16, "patch_size": 4, "qk_norm": True},
}


def direct(attention: Any, weights: Tensor, bias: Tensor, prefix: Tensor, x: Tensor) -> Tensor:
    """Return what enters the output projection, image by image and head by head."""
    width, heads = x.shape[2], attention.num_heads
    size = width // heads
    norms = getattr(attention, "q_norm", nn.Identity()), getattr(attention, "k_norm", nn.Identity())
    images = []
    for tokens, (first_keys, first_values) in zip(x, prefix, strict=True):
        query, key, value = (tokens @ weights.T + bias).split(width, dim=1)
        parts = []
        for start in range(0, width, size):
            part = slice(start, start + size)
            keys = torch.cat([first_keys[:, part], norms[1](key[:, part])])
            values = torch.cat([first_values[:, part], value[:, part]])
            scores = norms[0](query[:, part]) @ keys.T / size**0.5
            parts.append(scores.softmax(1) @ values)
        images.append(torch.cat(parts, dim=1))
    return torch.stack(images)


def test_timms_attention() -> None:
    pytest.importorskip("timm")
    torch.manual_seed(0)
    timm: Any = build_part(TIMM, "backbone")
    own = timm.body.blocks[0].attn.eval()
    x, prefix = torch.randn(3, 5, 64), torch.randn(3, 2, 4, 64)
    expected = own.proj(direct(own, own.qkv.weight, own.qkv.bias, prefix, x))
    torch.testing.assert_close(attend(own, prefix, x), expected, rtol=1e-5, atol=1e-5)


def test_mmpretrains_attention(small_vit: dict[str, Any]) -> None:
    torch.manual_seed(0)
    vit: Any = build_part(small_vit, "backbone")
    own = vit.layers[0].attn.eval()
    own.gamma1 = nn.Linear(16, 16)  # in place of LayerScale: applied after the projection
    x, prefix = torch.randn(3, 5, 16), torch.randn(3, 2, 4, 16)
    mixed = direct(own, own.qkv.weight, own.qkv.bias, prefix, x)
    expected = own.gamma1(own.proj(mixed))
    torch.testing.assert_close(attend(own, prefix, x), expected, rtol=1e-5, atol=1e-5)


def test_torchs_attention() -> None:
    torch.manual_seed(0)
    own = nn.MultiheadAttention(16, 4, batch_first=True).eval()
    nn.init.normal_(own.in_proj_bias)
    x, prefix = torch.randn(3, 5, 16), torch.randn(3, 2, 4, 16)
    expected = own.out_proj(direct(own, own.in_proj_weight, own.in_proj_bias, prefix, x))
    found, none = attend(own, prefix, x, x, x, need_weights=False)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert none is None
    empty = torch.empty(3, 2, 0, 16)
    torch.testing.assert_close(attend(own, empty, x)[0], own(x, x, x)[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("library", ["timm", "torchvision", "mmpretrain"])
def test_a_transformer_is_left_as_it_was(
    library: str, small_vit: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if library == "timm":
        pytest.importorskip("timm")
    torch.manual_seed(0)
    config = {
        "timm": TIMM,
        "torchvision": {"type": "TorchvisionBackbone", "arch": "vit_b_16", "nodes": ["encoder"]},
        "mmpretrain": small_vit,
    }[library]
    small = torchvision.models.VisionTransformer(16, 4, 2, 2, 16, 32)  # for one of 86 million
    monkeypatch.setattr("torchvision.models.get_model", lambda *_, **__: small)
    model: Any = build_part(config, "backbone")
    model.eval()  # mmpretrain's returns None
    layers = layers_of(model, "Owner")
    images = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        plain = model(images)[-1]
        with prefixed(layers, {1: torch.randn(2, 2, 3, layers.width)}):
            changed = model(images)[-1]
        with prefixed(layers, {1: torch.randn(2, 2, 0, layers.width)}):
            none = model(images)[-1]
        with pytest.raises(RuntimeError, match="stopped"), prefixed(layers, {0: plain}):
            raise RuntimeError("stopped")
        assert torch.equal(model(images)[-1], plain)
        assert torch.equal(copy.deepcopy(model)(images)[-1], plain)
    assert not torch.allclose(changed, plain, atol=1e-4)
    torch.testing.assert_close(none, plain, rtol=1e-4, atol=1e-4)


def layers_with(attention: nn.Module) -> TransformerLayers:
    """Return the layers of a transformer of one block with this attention."""
    block: Any = SimpleNamespace(attn=attention)
    return TransformerLayers([block], "attn", nn.Identity(), 16, True, nn.Identity())


def test_what_takes_no_prefix_is_refused() -> None:
    check_blocks(
        layers_with(nn.MultiheadAttention(16, 2, batch_first=True)), "Owner", "blocks", [0]
    )
    others = (
        nn.Linear(16, 48),
        nn.MultiheadAttention(16, 2),
        nn.MultiheadAttention(16, 2, batch_first=True, add_bias_kv=True),
        nn.MultiheadAttention(16, 2, batch_first=True, kdim=8),
    )
    for other in others:
        with pytest.raises(ConfigError, match=r"Owner: block 0 attends by 'torch\.nn\..*'Prompted"):
            check_blocks(layers_with(other), "Owner", "blocks", [0])
    timm = pytest.importorskip("timm")
    gated = timm.layers.attention.Attention(16, 2, gated=True)
    beit = timm.models.beit.Attention(16, 2)  # with other biases of the same names
    for other, name in ((gated, "layers.attention"), (beit, "models.beit")):
        with pytest.raises(ConfigError, match=f"block 0 attends by 'timm.{name}.Attention'"):
            check_blocks(layers_with(other), "Owner", "blocks", [0])


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ((0, 1), "Owner: blocks has block 1, and the transformer has the blocks 0 to 0"),
        ((0, 0), "Owner: blocks must be different integers, got"),
        (("a",), "Owner: blocks must be an integer >= 0, got 'a'"),
        ((-1,), "Owner: blocks must be an integer >= 0, got -1"),
    ],
)
def test_other_blocks_are_refused(chosen: Any, message: str) -> None:
    layers = layers_with(nn.MultiheadAttention(16, 2, batch_first=True))
    with pytest.raises(ConfigError, match=message):
        check_blocks(layers, "Owner", "blocks", chosen)
