"""What pretrained weights expect of images, against what the transforms do."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from cliqa.models.input_statistics import (
    InputStatistics,
    check_normalisation,
    statistics_of,
    with_statistics,
)

HALF = InputStatistics((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "timm's 'x'")
IMAGENET: dict[str, Any] = {
    "type": "Normalize",
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
}


def model(statistics: InputStatistics | None = HALF) -> nn.Module:
    backbone = nn.Conv2d(3, 3, 1)
    backbone.input_statistics = statistics  # type: ignore[assignment]
    return nn.Sequential(nn.ReLU(), backbone)


def warnings_of(caplog: pytest.LogCaptureFixture, steps: Any, owner: nn.Module) -> list[str]:
    caplog.clear()
    check_normalisation(owner, {"scenario.eval_transform": steps})
    return [record.getMessage() for record in caplog.records]


def test_another_mean_is_told_with_the_right_step(caplog: pytest.LogCaptureFixture) -> None:
    steps = [{"type": "ToTensor"}, IMAGENET]
    expected = (
        "scenario.eval_transform normalises the images with mean=[0.485, 0.456, 0.406], "
        "std=[0.229, 0.224, 0.225], but timm's 'x' expects dict(type='Normalize', mean=[0.5, 0.5, "
        "0.5], std=[0.5, 0.5, 0.5]). Set that, or the features are worse than they could be."
    )
    assert warnings_of(caplog, steps, model()) == [expected]
    nested = [{"type": "Compose", "transforms": steps}]
    assert warnings_of(caplog, nested, model()) == [expected]
    (message,) = warnings_of(caplog, [{"type": "ToTensor"}], model())
    assert message.startswith("scenario.eval_transform does not normalise the images, but timm's")


def test_the_right_one_and_roundings_are_silent(caplog: pytest.LogCaptureFixture) -> None:
    near = {"type": "torchvision.Normalize", "mean": (127 / 255,) * 3, "std": [128 / 255] * 3}
    for steps in ([near], None):
        assert warnings_of(caplog, steps, model()) == []
    for nothing in (model(None), nn.ReLU()):
        assert statistics_of(nothing) is None
        assert warnings_of(caplog, [IMAGENET], nothing) == []


def test_steps_with_the_weights_own_values() -> None:
    steps: list[dict[str, Any]] = [{"type": "ToTensor"}, IMAGENET]
    found = with_statistics(steps, HALF)
    assert found == [steps[0], {"type": "Normalize", "mean": [0.5] * 3, "std": [0.5] * 3}]
    assert with_statistics(steps, None) == steps
    assert IMAGENET["mean"][0] == 0.485
