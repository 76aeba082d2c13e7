"""What was trained with rounding is what an eight-bit file computes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cliqa.deploy.onnx.graph import onnx_forward
from cliqa.deploy.onnx.integers.quantization import quantize_int8
from cliqa.models.fake_quantization import add_rounding, observe, remove_rounding

Pictures = Callable[..., list[Tensor]]


def plain_scorer() -> nn.Module:
    """Return a chain whose first layers have one wide channel that nearly nothing reads."""
    torch.manual_seed(0)
    layers: list[Any] = []
    for inputs in (3, 16, 16):
        layers += [nn.Conv2d(inputs, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model.append(nn.Linear(16, 1)).append(nn.Flatten(0))
    with torch.no_grad():
        for norm, conv in ((layers[1], layers[3]), (layers[4], layers[6])):
            norm.weight[0] = 150.0
            conv.weight[:, 0] *= 1e-3
    return model.eval()


def deployed(model: nn.Module, write: Any, folder: Path, batches: list[Tensor]) -> Any:
    """Return a model in eight bits, as a function."""
    quantize_int8(write(model), folder / "small.onnx", batches)
    return onnx_forward(folder / "small.onnx", 1)


def distance(a: Tensor, b: Tensor) -> float:
    return float((a - b).pow(2).mean().sqrt())


def test_rounding_in_training_foretells_the_file(
    write_model: Any, tmp_path: Path, pictures: Pictures
) -> None:
    model, batches = plain_scorer(), pictures()
    small = deployed(copy.deepcopy(model), write_model, tmp_path, batches)
    images = pictures(1, seed=9, count=32)[0]
    with torch.no_grad():
        exact = model(images)
        add_rounding(model, exclude=["11"])
        observe(model, True)
        model(torch.cat(batches))
        observe(model, False)
        rounded = model(images)
    harm = distance(small(images), exact)
    assert harm > 0.15 * float(exact.std())  # eight bits hurt this model
    assert distance(small(images), rounded) < 0.4 * harm


def test_a_model_trained_with_rounding_loses_less(
    write_model: Any, tmp_path: Path, pictures: Pictures
) -> None:
    teacher, batches = plain_scorer(), pictures(8)
    trained = copy.deepcopy(teacher)
    add_rounding(trained, exclude=["11"])
    optimizer = torch.optim.Adam(trained.parameters(), lr=1e-3)
    observe(trained, True)
    for _ in range(12):
        for batch in batches:
            loss = (trained(batch) - teacher(batch).detach()).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    observe(trained, False)
    images = pictures(1, seed=9, count=64)[0]
    with torch.no_grad():
        exact, measured = teacher(images), trained(images)
    remove_rounding(trained)
    aware = deployed(trained, write_model, tmp_path, batches)(images)
    after = deployed(teacher, write_model, tmp_path, batches)(images)
    assert distance(aware, exact) < 0.6 * distance(after, exact)
    # what was measured in training is what is deployed, nearer than float is to its own file
    assert distance(aware, measured) < 0.6 * distance(after, exact)
