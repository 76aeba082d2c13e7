from __future__ import annotations

from typing import Any

import pytest
import torch

from cliqa.models.build import build_model
from cliqa.models.hyperiqa.ms_hyperiqa import MSHyperIQA
from cliqa.utils.errors import ConfigError

SMALL: dict[str, Any] = {
    "backbone": {
        "type": "ResNet",
        "depth": 18,
        "base_channels": 4,
        "stem_channels": 4,
        "out_indices": (0, 1, 2, 3),
    },
    "pyramid_channels": 8,
    "attention_reduction": 2,
    "hyper_channels": 8,
    "target_sizes": (28, 14, 7),
    "local_channels": (2, 3, 4),
    "local_dims": 4,
}


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [({}, 27_633_967), ({"attention": False}, 27_633_967 - 24_870)],
)
def test_the_parameters_are_counted(arguments: dict[str, Any], parameters: int) -> None:
    with torch.device("meta"):
        model = MSHyperIQA(**arguments)
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_dropout_stands_behind_the_first_layer_of_the_target_net_alone() -> None:
    model: Any = build_model({"type": "MSHyperIQA", **SMALL})
    probabilities = [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)]
    assert sorted(probabilities) == [0.0, 0.5]
    assert (model.head.target_net.dropout.p, model.head.target_net.dropped) == (0.5, 1)
    images = torch.rand(2, 3, 48, 48)
    model.backbone.eval()
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))


def test_more_levels_than_maps_are_refused() -> None:
    with pytest.raises(ConfigError, match="levels=5, but the backbone gives 4 maps"):
        MSHyperIQA(**SMALL, levels=5)
