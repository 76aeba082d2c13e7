"""Tests of cliqa.explain.gate_views."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from cliqa.explain.gate_views import gate_views
from cliqa.inference.predict import Predictor


def test_the_views_are_weighted_to_the_score(gated_run: Path, tiny_data: Path) -> None:
    predictor = Predictor(gated_run, torch.device("cpu"))
    paths = sorted((tiny_data / "b").glob("*.png"))[:5]
    found = gate_views(predictor, paths)
    assert found is not None
    assert found.names == ["a", "b"]
    assert found.weights.shape == found.outputs.shape == (5, 2)
    scores = [row.score for row in predictor.predict(paths)]
    assert np.allclose((found.weights * found.outputs).sum(1), np.array(scores), atol=1e-5)


def test_there_are_none_without_a_gate(tiny_run: Path, tiny_data: Path) -> None:
    predictor = Predictor(tiny_run, torch.device("cpu"))
    assert gate_views(predictor, sorted((tiny_data / "b").glob("*.png"))[:1]) is None
