from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from cliqa.models.mmpretrain_bridge import build_part
from cliqa.models.weights.names import best_match, match_by_order


def tensors(*names: str) -> dict[str, torch.Tensor]:
    return {name: torch.zeros(index + 1) for index, name in enumerate(names)}


@pytest.mark.parametrize(
    ("strip", "add", "words"),
    [
        ("", "", ""),
        ("module.", "", "renamed 'module.*' to '*'"),
        ("", "backbone.", "renamed '*' to 'backbone.*'"),
        ("module.encoder.", "backbone.body.", "renamed 'module.encoder.*' to 'backbone.body.*'"),
    ],
)
def test_prefixes_are_exchanged(strip: str, add: str, words: str) -> None:
    layers = ("conv.weight", "conv.bias", "norm.weight")
    file = tensors(*(strip + layer for layer in layers))
    model = tensors(*(add + layer for layer in layers)) | {"head.weight": torch.zeros(1)}
    names, found = best_match(file, model)
    assert names == {add + layer: strip + layer for layer in layers}
    assert found == words


def test_equal_names_win_even_if_a_shape_differs() -> None:
    file = {"a.x": torch.zeros(2), "a.y": torch.zeros(3)}
    model = {"a.x": torch.zeros(2), "a.y": torch.zeros(4)}
    assert best_match(file, model) == ({"a.x": "a.x", "a.y": "a.y"}, "")


def test_strangers_do_not_match() -> None:
    assert best_match(tensors("a.x"), tensors("b.y")) == ({}, "")


@pytest.mark.parametrize(
    ("arch", "config"),
    [
        ("mobilenet_v3_small", {"type": "MobileNetV3", "arch": "small"}),
        ("mobilenet_v2", {"type": "MobileNetV2"}),
        ("vgg11", {"type": "VGG", "depth": 11}),
    ],
)
def test_torchvisions_order_gives_the_same_features(arch: str, config: dict[str, str]) -> None:
    torch.manual_seed(0)
    source = torchvision.models.get_model(arch, weights=None).features.eval()
    for buffer in source.buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    model = nn.ModuleDict({"backbone": build_part(config, "model.backbone")}).eval()
    state = source.state_dict()
    matched = match_by_order(state, model)
    assert sorted(matched.values()) == sorted(state)
    model.load_state_dict({name: state[key] for name, key in matched.items()})
    images = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        outputs = model["backbone"](images)
        torch.testing.assert_close(outputs[-1], source(images), rtol=0, atol=0)


def test_another_shape_or_backbone_is_not_matched_by_order() -> None:
    small = build_part({"type": "MobileNetV3", "arch": "small_050"}, "model.backbone")
    file = torchvision.models.mobilenet_v3_small(weights=None).state_dict()
    assert match_by_order(file, small) == {}
    assert match_by_order(file, nn.Linear(2, 2)) == {}
