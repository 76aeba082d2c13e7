"""Several checkpoints in one pass over their data."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cliqa.datasets import base
from cliqa.inference.candidate import Candidate, Request
from cliqa.inference.evaluate_many import open_checkpoint
from cliqa.inference.measure import measure
from cliqa.transforms.decode import read_image
from cliqa.transforms.protocol import parse_protocol

CPU = torch.device("cpu")


def open_run(path: Path, **options: Any) -> Candidate:
    return open_checkpoint(path, Request(**options), CPU)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Return how often each file has been decoded."""
    counts: Counter[str] = Counter()

    def read(path: str) -> Tensor:
        counts[path] += 1
        return read_image(path)

    monkeypatch.setattr(base, "read_image", read)
    return counts


def test_an_image_is_decoded_once_for_all_models_and_crops(
    tiny_run: Path, decoded: Counter[str]
) -> None:
    paths = [tiny_run / "checkpoints" / name for name in ("exp_0.pth", "exp_1.pth", "last.pth")]
    candidates = [open_run(path, protocol=parse_protocol("grid:2x2", 12)) for path in paths]
    candidates[2].views = open_run(paths[2], protocol=parse_protocol("random:4", 8)).views
    results = measure(candidates)
    assert set(decoded.values()) == {1}
    assert len(decoded) == 36
    for path, together in zip(paths[:2], results, strict=False):
        (alone,) = measure([open_run(path, protocol=parse_protocol("grid:2x2", 12))])
        assert together["datasets"] == alone["datasets"]


def test_a_score_is_the_mean_over_crops(tiny_run: Path, tiny_data: Path) -> None:
    path = tiny_run / "checkpoints" / "last.pth"
    candidate = open_run(path, protocol=parse_protocol("grid:2x3", 12), data_sets=["b"])
    (results,) = measure([candidate])
    model = candidate.strategy.model
    assert candidate.batch_size == 2  # 16 images of the run hold 12 crops
    for row in results["datasets"]["b"]["predictions"][:4]:
        image = read_image(tiny_data / "b" / row["image"]).float() / 255
        with torch.no_grad():
            scores = [
                float(model(image[None, :, top : top + 12, left : left + 12])[0])
                for top in (0, 4)
                for left in (0, 2, 4)
            ]
        assert row["prediction"] == pytest.approx(sum(scores) / 6, abs=1e-6)


@pytest.mark.parametrize("inference", ["oracle", "gate"])
def test_each_data_set_is_seen_by_the_view_of_its_place_in_the_stream(
    tiny_config: dict[str, Any], run_config: Callable[..., Path], inference: str
) -> None:
    tiny_config["cl_strategy"].pop("mem_size")
    parts = {"type": "TaskSpecificParts", "parts": ["norm", "head"], "inference": inference}
    tiny_config["cl_strategy"] |= {**parts, "train_epochs": 1}
    folder = run_config(tiny_config)
    matrix = json.loads((folder / "results.json").read_text())["matrix"]["plcc"]
    last = folder / "checkpoints" / "last.pth"
    for names in (["b"], ["c", "a"], []):
        (found,) = measure([open_run(last, data_sets=names)])
        for name, data in found["datasets"].items():
            assert data["metrics"]["plcc"] == matrix[-1]["abc".index(name)]


def test_models_of_other_data_share_nothing(
    tiny_run: Path, tiny_data: Path, decoded: Counter[str]
) -> None:
    last = tiny_run / "checkpoints" / "last.pth"
    one, two = open_run(last, data_sets=["a"]), open_run(last, data_sets=["a"], split="train")
    first, second = measure([one, two])
    assert first["datasets"]["a"]["metrics"]["n"] == 12
    assert second["datasets"]["a"]["metrics"]["n"] == 24
    assert len(decoded) == 36
    assert first["protocol"]["split"] == "test"
