"""Small models, and the same as ONNX files."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.models.build import build_model
from cliqa.models.heads.hyper import TargetNet

Config = dict[str, Any]
Build = Callable[..., nn.Module]


class SmallScorer(nn.Module):
    """Two convolutions with normalisation, a residual, and a linear or a cosine head."""

    def __init__(self, cosine: bool = False) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU())
        self.block = nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1), nn.BatchNorm2d(16))
        self.head = nn.Linear(16, 8 if cosine else 1)
        self.direction = nn.Parameter(torch.randn(8)) if cosine else None

    def forward(self, images: Tensor) -> Tensor:
        """Return scores (B,) of images (B, 3, H, W)."""
        maps = self.stem(images)
        features = (maps + self.block(maps)).relu().mean(dim=(2, 3))
        outputs = self.head(features)
        if self.direction is None:
            return outputs[:, 0]
        return nn.functional.normalize(outputs) @ nn.functional.normalize(self.direction, dim=0)


class GeneratedScorer(nn.Module):
    """A network whose last two layers have weights made for each image."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.first, self.second = nn.Linear(8, 4 * 8), nn.Linear(8, 4)

    def forward(self, images: Tensor) -> Tensor:
        """Return scores (B,) of images (B, 3, H, W)."""
        features = self.body(images).flatten(1)
        one, two = self.first(features).view(-1, 4, 8), self.second(features).view(-1, 1, 4)
        zero = features[:, :1] * 0
        return TargetNet()(features, [one, two], [zero.expand(-1, 4), zero])


def make_model(kind: str) -> nn.Module:
    """Return a model in evaluation mode, always the same."""
    torch.manual_seed(0)
    model = GeneratedScorer() if kind == "generated" else SmallScorer(kind == "cosine")
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
            module.running_mean.uniform_(-0.2, 0.2)  # type: ignore[union-attr]
    return model.eval()


def write_onnx(model: nn.Module, path: Path, size: int = 16, metadata: bool = True) -> Path:
    """Write a plain ONNX file with a free number of images."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (torch.zeros(2, 3, size, size),),
            str(path),
            dynamo=False,
            input_names=["images"],
            output_names=["output"],
            dynamic_axes={"images": {0: "batch"}, "output": {0: "batch"}},
        )
    if metadata:
        content = onnx.load(str(path))
        note = json.dumps({"format": 1, "names": ["a"], "precision": "fp32"})
        onnx.helper.set_model_props(content, {"cliqa": note, "other": "kept"})
        onnx.save(content, str(path))
    return path


@pytest.fixture
def write_model(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes any model as an ONNX file."""

    def write(model: nn.Module, name: str = "model.onnx", **options: object) -> Path:
        return write_onnx(model.eval(), tmp_path / name, **options)  # type: ignore[arg-type]

    return write


@pytest.fixture(scope="session")
def onnx_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with linear.onnx, cosine.onnx and generated.onnx; only read it."""
    folder = tmp_path_factory.mktemp("onnx")
    for kind in ("linear", "cosine", "generated"):
        write_onnx(make_model(kind), folder / f"{kind}.onnx")
    return folder


@pytest.fixture
def scorer() -> nn.Module:
    """Return the model of linear.onnx."""
    return make_model("linear")


@pytest.fixture
def pictures() -> Callable[..., list[Tensor]]:
    """Return a function that gives batches of smooth random images, normalised."""

    def make(batches: int = 3, size: int = 16, count: int = 8, seed: int = 0) -> list[Tensor]:
        random = torch.Generator().manual_seed(seed)
        coarse = torch.randn(batches * count, 3, 4, 4, generator=random)
        images = nn.functional.interpolate(coarse, size, mode="bilinear")
        contrast = 0.3 + torch.rand(len(images), 1, 1, 1, generator=random)
        noise = 0.5 * torch.randn(images.shape, generator=random)
        return list((images * contrast + noise).split(count))

    return make


def images_of(*shape: int, seed: int = 7) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def build_lively() -> Build:
    """Return a function that builds a model with random, not zero, layers and real statistics."""

    def build(config: Config, channels: int = 3, size: int = 32) -> nn.Module:
        torch.manual_seed(0)
        model = build_model(config)
        norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = None  # the mean over all batches
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() > 1 and not parameter.any():
                    nn.init.normal_(parameter, std=0.1)
            for seed in range(3) if norms else ():
                model.train()(images_of(8, channels, size, size, seed=seed))
        return model.eval()

    return build


@pytest.fixture
def tiny_net() -> nn.Module:
    """Return a small network of scores in evaluation mode."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(8, 1), nn.Flatten(0)).eval()
