from __future__ import annotations

import logging

import pytest
import torch

from cliqa.transforms.pipeline import build_pipeline


def test_a_landscape_becomes_a_portrait_without_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    steps = [{"type": "HyperIQAResize"}, {"type": "ToTensor"}]
    with caplog.at_level(logging.WARNING):
        pipeline = build_pipeline(steps, "scenario.eval_transform")
    assert not caplog.records
    image = torch.zeros(3, 96, 128, dtype=torch.uint8)
    image[:, :, 64:] = 255  # the right half
    found = pipeline(image)
    assert found.shape == (3, 512, 384)
    assert (found[:, :, :180] < 0.01).all()
    assert (found[:, :, 204:] > 0.99).all()
