"""Attention maps and Grad-CAM, against models whose maps are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from cliqa.explain.attention import attention_layers, explain
from cliqa.inference.predict import Predictor
from cliqa.inference.scores import Score
from cliqa.transforms.pipeline import build_pipeline
from cliqa.utils.errors import ModelError

Explain = Callable[..., Any]


class SpatialAttention(nn.Module):
    """A map of attention: the red channel."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps[:, :1]


class CBAM(nn.Module):
    """Attention whose map is a convolution's sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Conv2d(3, 1, 1, bias=False)
        nn.init.constant_(self.place.weight, 2.0)

    def forward(self, maps: Tensor) -> Tensor:
        return maps * self.place(maps).sigmoid()


class ScaleWeights(nn.Module):
    """Weights of two scales."""

    def weights(self, maps: Sequence[Tensor]) -> Tensor:
        return torch.tensor([[0.25, 0.75]]).expand(len(maps[0]), 2)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        return maps[0] * self.weights(maps)[:, :1, None, None]


class Model(nn.Module):
    """Parts in a row, the second of which may weigh scales; the score is a weighted mean."""

    def __init__(self, *parts: nn.Module, weights: Sequence[float] = (1.0, -1.0, 0.0)) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.backbone = nn.Identity()
        self.head = nn.Linear(3, 1, bias=False)
        self.head.weight.data = torch.tensor([list(weights)])
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.backbone(images)
        for part in self.parts:
            if isinstance(part, SpatialAttention):
                maps = maps * part(maps)
            else:
                maps = part([maps, maps]) if isinstance(part, ScaleWeights) else part(maps)
        return self.head(maps.mean(dim=(2, 3)))[:, 0]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Return a photo whose left half is red and whose right half is green."""
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, :8, 0] = pixels[:, 8:, 1] = 255
    Image.fromarray(pixels).save(tmp_path / "image.png")
    return tmp_path / "image.png"


@pytest.fixture
def explained(image: Path) -> Explain:
    """Return a function that explains what a model says about the photo."""

    def run(model: nn.Module, layer: str | None = None, crop: int | None = None) -> Any:
        steps: list[dict[str, Any]] = [{"type": "CenterCrop", "size": crop}] if crop else []
        predictor: Any = SimpleNamespace(
            model=model.eval(),
            transform=build_pipeline([*steps, {"type": "ToTensor"}], "eval"),
            device=torch.device("cpu"),
            predict=lambda paths: iter([Score(paths[0], 0.5)]),
        )
        return explain(predictor, image, layer)

    return run


def test_spatial_attention_is_found_by_its_class(explained: Explain) -> None:
    model = Model(SpatialAttention(), CBAM())
    assert attention_layers(model) == ["parts.0", "parts.1.place"]
    found = explained(model)
    assert not found.gradient
    assert found.image.shape == (8, 16, 3)
    np.testing.assert_array_equal(found.maps["parts.0"][:, :8], 1)
    np.testing.assert_array_equal(found.maps["parts.0"][:, 8:], 0)
    # behind the first, red is 1 and green 0: sigmoid(2) and sigmoid(0)
    gate = found.maps["parts.1.place"]
    np.testing.assert_allclose(gate[:, [0, 15]], [[1 / (1 + np.exp(-2)), 0.5]] * 8, rtol=1e-6)


def test_a_model_without_attention_has_grad_cam_of_its_backbone(explained: Explain) -> None:
    """d score / d A_c is w_c / 128 at every place, so red raises the score and green lowers it."""
    found = explained(Model())
    assert found.gradient
    assert list(found.maps) == ["backbone"]
    values = found.maps["backbone"]
    np.testing.assert_allclose(values[:, :8], 1 / 128, rtol=1e-5)
    np.testing.assert_allclose(values[:, 8:], -1 / 128, rtol=1e-5)


def test_a_named_layer_with_several_channels_has_grad_cam(explained: Explain) -> None:
    found = explained(Model(SpatialAttention(), weights=(0.0, 1.0, 0.0)), "backbone")
    assert found.gradient
    # d / d green is red / 128, so its mean is 1 / 256; the same for red; one of them is 1 anywhere
    np.testing.assert_allclose(found.maps["backbone"], 1 / 256, rtol=1e-5)
    assert not explained(Model(SpatialAttention()), "parts.0").gradient


def test_what_no_crop_sees_is_nan(explained: Explain) -> None:
    values = explained(Model(SpatialAttention()), crop=8).maps["parts.0"]
    assert np.isnan(values[:, :4]).all()
    assert np.isnan(values[:, 12:]).all()
    np.testing.assert_array_equal(values[:, 4:8], 1)


def test_weights_of_scales_are_recorded(explained: Explain) -> None:
    model: Any = Model(ScaleWeights())
    model.head.weights = nn.ModuleList([nn.Identity()])  # no method, but it can be called
    found = explained(model)
    assert {name: values.tolist() for name, values in found.weights.items()} == {
        "parts.0": [0.25, 0.75]
    }


def test_hooks_are_taken_away(explained: Explain) -> None:
    model = Model(SpatialAttention())
    explained(model)
    assert not any(module._forward_hooks for module in model.modules())


def test_layers_that_give_no_map_are_named(explained: Explain) -> None:
    with pytest.raises(ModelError, match=r"--layer bakbone: .* Did you mean 'backbone'\?"):
        explained(Model(), "bakbone")
    with pytest.raises(ModelError, match="--layer head: gives no maps"):
        explained(Model(), "head")
    blind = Model()
    blind.forward = lambda images: blind.backbone(images).detach().mean(dim=(1, 2, 3))  # type: ignore[method-assign]
    with pytest.raises(ModelError, match="--layer backbone: the score has no gradient there"):
        explained(blind)
    flat = nn.Sequential(nn.Flatten(), nn.Linear(384, 1), nn.Flatten(0))
    with pytest.raises(ModelError, match="Sequential: no layer gives maps"):
        explained(flat)


def test_a_run_is_explained(tiny_run: Path, tiny_data: Path) -> None:
    path = tiny_data / "a" / "a00.png"
    predictor = Predictor(tiny_run, torch.device("cpu"))
    found = explain(predictor, path)
    assert list(found.maps) == ["backbone.layer2"]  # behind it, 16 pixels are one place
    assert found.maps["backbone.layer2"].shape == found.image.shape[:2]
    assert found.score == pytest.approx(next(predictor.predict([path])).score)
