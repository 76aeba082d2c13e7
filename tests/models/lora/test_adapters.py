"""Adapters go into the layers that are meant, and come out again without a trace."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from cliqa.models.build import build_model
from cliqa.models.lora.adapters import (
    inject,
    lora_layers,
    lora_parameters,
    merge,
    target_layers,
    unmerge,
)
from cliqa.models.weights.start import start_from
from cliqa.utils.errors import ConfigError, ModelError


class Block(nn.Module):
    """A layer of a transformer, as most libraries write it."""

    def __init__(self) -> None:
        super().__init__()
        self.attn = nn.ModuleDict({"qkv": nn.Linear(8, 24), "proj": nn.Linear(8, 8)})
        self.ffn = nn.Linear(8, 8)


class Net(nn.Module):
    """Convolutions, a transformer's layer and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.deep = nn.Conv2d(8, 8, 3, groups=4)
        self.block = Block()
        self.head = nn.Linear(8, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        vectors = self.deep(self.norm(self.stem(images)).relu()).mean((2, 3))
        gate = self.block.attn["qkv"](vectors)[:, :8].sigmoid()
        return self.head(self.block.ffn(self.block.attn["proj"](vectors * gate)))[:, 0]


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net().eval()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(4, 3, 12, 12, generator=torch.Generator().manual_seed(1))


def learnt(model: nn.Module) -> nn.Module:
    """Return the model with adapters as if they had learnt something."""
    torch.manual_seed(2)
    for parameter in lora_parameters(model).values():
        nn.init.normal_(parameter, std=0.3)
    return model


CONVS = ["stem", "deep"]
ATTENTION = ["block.attn.qkv", "block.attn.proj"]


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ("all", [*CONVS, *ATTENTION, "block.ffn"]),
        ("conv", CONVS),
        ("linear", [*ATTENTION, "block.ffn"]),
        ("attention", ATTENTION),
        ("block", [*ATTENTION, "block.ffn"]),
        (["*.proj", "stem"], ["stem", "block.attn.proj"]),
        (["deep", "conv"], CONVS),
    ],
)
def test_targets(targets: Any, expected: list[str], net: Net) -> None:
    assert target_layers(net, targets, exclude=["head"]) == expected
    assert list(inject(net, targets, exclude=["head"])) == expected
    assert list(lora_layers(net)) == expected


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ("block.atn", r"'block\.atn' names no linear or conv.* of the Net.*mean 'block\.attn\.qkv"),
        ("norm", r"targets: 'norm' names no linear or convolutional layer of the Net, heads apart"),
        (["conv", "head"], r"targets: 'head' names no linear or convolutional layer"),
        ("atention", r"Did you mean 'attention'\?"),
    ],
)
def test_a_target_that_is_none_is_refused(targets: Any, message: str, net: Net) -> None:
    before = list(net.state_dict())
    with pytest.raises(ModelError, match=message):
        inject(net, targets, exclude=["head"])
    assert list(net.state_dict()) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rank": 0}, r"LoRA: rank must be an integer >= 1, got 0"),
        ({"rank": 2.5}, r"rank must be an integer >= 1, got 2\.5"),
        ({"alpha": 0}, r"LoRA: alpha must be a number > 0, got 0"),
        ({"alpha": "16"}, r"alpha must be a number > 0, got '16'"),
        ({"targets": []}, r"LoRA: targets is empty\. Name layers, or one of all, attention"),
    ],
)
def test_arguments(arguments: dict[str, Any], message: str, net: Net) -> None:
    with pytest.raises(ConfigError, match=message):
        inject(net, **arguments)


def test_attention_is_recognised_by_the_class_too() -> None:
    model = nn.ModuleDict({"mix": WindowAttention(), "pattern": nn.Sequential(nn.Linear(2, 2))})
    assert target_layers(model, "attention") == ["mix.project"]


class WindowAttention(nn.Module):
    """Attention by its class alone."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(2, 2)


def test_one_injection_is_enough(net: Net) -> None:
    inject(net)
    with pytest.raises(ModelError, match=r"has adapters already\. Call merge\(model\) before"):
        inject(net)


@pytest.mark.parametrize(("rs", "scale"), [(False, 4.0), (True, 8.0)])
def test_the_scale(rs: bool, scale: float, net: Net) -> None:
    layers = inject(net, "stem", rank=4, alpha=16.0, rs=rs)
    assert layers["stem"].scale == scale


def test_outputs_are_the_same_to_the_bit_at_first(net: Net, images: torch.Tensor) -> None:
    before = net(images)
    inject(net, accumulate=True)
    assert torch.equal(net(images), before)


def test_the_plain_names_stay(net: Net, tmp_path: Path, images: torch.Tensor) -> None:
    """A plain model's weights go into an adapted one."""
    plain = copy.deepcopy(net)
    torch.save(plain.state_dict(), tmp_path / "plain.pth")
    other = Net().eval()
    inject(other)
    assert set(plain.state_dict()) < set(other.state_dict())
    start_from(other, tmp_path / "plain.pth")
    assert torch.equal(other(images), plain(images))


def test_what_has_gone_into_the_weights_computes_the_same(net: Net, images: torch.Tensor) -> None:
    names, base = list(net.state_dict()), copy.deepcopy(net.state_dict())
    before = net(images)
    inject(net, accumulate=True, exclude=["head"])
    learnt(net)
    after = net(images)
    assert not torch.allclose(after, before)
    state = copy.deepcopy(net.state_dict())
    taken = merge(net)
    assert list(net.state_dict()) == names
    assert [type(m) for m in net.modules()] == [type(m) for m in Net().modules()]
    assert torch.equal(net(images), after)
    fresh = Net().eval()
    fresh.load_state_dict(net.state_dict())
    assert torch.equal(fresh(images), after)
    unmerge(net, taken)
    assert torch.equal(net(images), after)
    restored = net.state_dict()
    assert restored.keys() == state.keys()
    assert all(torch.equal(restored[key], value) for key, value in state.items())
    assert all(torch.equal(restored[key], value) for key, value in base.items())


def test_what_does_not_fit_is_not_put_back(net: Net) -> None:
    inject(net, "conv")
    taken = merge(net)
    with pytest.raises(ModelError, match=r"unmerge: the Linear has no layer 'stem'"):
        unmerge(nn.Linear(2, 2), taken)
    inject(net, "conv")
    with pytest.raises(ModelError, match=r"unmerge: 'stem' has an adapter\. Call merge\(model\)"):
        unmerge(net, taken)


def test_copies(net: Net, images: torch.Tensor) -> None:
    inject(net)
    learnt(net)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(twin(images), net(images))
        merge(twin)
        assert not lora_layers(twin)
    assert lora_layers(net)


def test_the_adapters_values_are_counted(net: Net) -> None:
    inject(net, ["stem", "block.ffn"], rank=2)
    parameters = lora_parameters(net)
    assert list(parameters) == [
        f"{name}.lora_{part}" for name in ("stem", "block.ffn") for part in "AB"
    ]
    size = sum(p.numel() for p in parameters.values())
    assert size == 2 * (3 * 9 + 8) + 2 * (8 + 8)


def test_the_same_seed_gives_the_same_adapters() -> None:
    first, second, other = Net(), Net(), Net()
    inject(first)
    torch.rand(3)
    inject(second)
    inject(other, seed=1)
    rows = [lora_parameters(net)["stem.lora_A"] for net in (first, second, other)]
    assert torch.equal(rows[0], rows[1])
    assert not torch.equal(rows[0], rows[2])


@pytest.mark.parametrize("arch", ["swin_t", "vit_b_16"])
def test_code_that_takes_weights_without_calling_layers_is_adapted_too(arch: str) -> None:
    """torchvision's attention does."""
    torch.manual_seed(0)
    whole = torchvision.models.get_model(arch, weights=None)
    if arch == "swin_t":
        part: Any = whole.features[1][0]
        inputs = torch.randn(1, 14, 14, 96)
    else:
        part = whole.encoder.layers.encoder_layer_0
        inputs = torch.randn(1, 5, 768)
    part.eval()
    before = part(inputs)
    assert len(inject(part, "attention")) == (2 if arch == "swin_t" else 1)
    assert torch.equal(part(inputs), before)
    learnt(part)
    part(inputs).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in lora_parameters(part).values())


@pytest.mark.parametrize("arch", ["resnet18", "mobilenet_v3_small"])
def test_whole_models_stay_themselves(arch: str) -> None:
    model = build_model({"type": "LightweightModel", "backbone": arch}).eval()
    names = list(model.state_dict())
    images = torch.randn(2, 3, 32, 32)
    before = model(images)
    inject(model, exclude=["head"])
    assert torch.equal(model(images), before)
    learnt(model)
    after = model(images)
    merge(model)
    assert list(model.state_dict()) == names
    assert torch.equal(model(images), after)
