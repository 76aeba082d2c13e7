from __future__ import annotations

from typing import Any

import pytest
import torch
from torchvision.ops import StochasticDepth

from cliqa.models.build import build_model
from cliqa.models.hyperiqa.swin_hyperiqa import SwinHyperIQA, set_drop_path
from cliqa.utils.errors import ConfigError

SMALL: dict[str, Any] = {
    "backbone": {
        "type": "ResNet",
        "depth": 18,
        "base_channels": 4,
        "stem_channels": 4,
        "out_indices": (0, 1, 2, 3),
    },
    "hidden": (16,),
    "hyper_channels": 8,
    "target_sizes": (28, 14, 14, 7, 7),
    "local_channels": (2, 3, 4),
    "local_dims": 4,
}


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        ({"size": "tiny"}, 29_521_479),
        ({"size": "small"}, 50_839_383),
        ({"size": "base"}, 89_111_941),
        ({"size": "tiny", "attention": False}, 29_521_479 - 197_892),
        (
            {"size": "tiny", "attention": False, "multi_scale": False},
            29_521_479 - 197_892 - 897_904 + 553_840,
        ),
        ({"size": "base", "attention": False}, 89_111_941 - 263_428),
    ],
)
def test_the_parameters_are_counted(arguments: dict[str, Any], parameters: int) -> None:
    with torch.device("meta"):
        model = SwinHyperIQA(**arguments)
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.parametrize(
    ("size", "dropout", "drop_path"),
    [("tiny", 0.3, 0.2), ("small", 0.35, 0.25), ("base", 0.4, 0.3)],
)
def test_each_size_has_its_dropouts(size: str, dropout: float, drop_path: float) -> None:
    with torch.device("meta"):
        model: Any = SwinHyperIQA(size)
    assert model.head.dropout.p == model.head.target_net.dropout.p == dropout
    assert model.head.target_net.dropped == 3
    rates = [m.p for m in model.modules() if isinstance(m, StochasticDepth)]
    assert len(rates) == (12 if size == "tiny" else 24)
    torch.testing.assert_close(
        torch.tensor(rates), torch.linspace(0, drop_path, len(rates)), atol=1e-6, rtol=0
    )


def test_dropouts_can_be_set() -> None:
    with torch.device("meta"):
        model: Any = SwinHyperIQA(dropout=0.1, drop_path=0.0, attention_dropout=0.2)
    assert model.head.dropout.p == 0.1
    assert model.neck.fusion.attention.net[2].p == 0.2
    assert all(m.p == 0 for m in model.modules() if isinstance(m, StochasticDepth))


def test_a_small_one_is_built_from_a_config() -> None:
    model = build_model({"type": "SwinHyperIQA", **SMALL}).eval()
    assert model(torch.rand(1, 3, 64, 64)).shape == (1,)


def test_the_transformer_sees_any_size() -> None:
    model = SwinHyperIQA(hyper_channels=8, target_sizes=(56, 14, 7), hidden=(16,)).eval()
    with torch.no_grad():
        for size in ((64, 64), (72, 100)):
            assert torch.isfinite(model(torch.rand(1, 3, *size))).all()


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"unknown size 'tny'\. Did you mean 'tiny'\?"):
        SwinHyperIQA("tny")
    with pytest.raises(ConfigError, match="attention=True weighs scales"):
        SwinHyperIQA(**SMALL, multi_scale=False)
    with pytest.raises(ConfigError, match=r"drop_path is of the Swin .* leave drop_path out"):
        SwinHyperIQA(**SMALL, drop_path=0.1)
    with pytest.raises(ConfigError, match=r"drop_path must be at least 0 and below 1, got 1\.5"):
        set_drop_path(torch.nn.Linear(1, 1), 1.5)
