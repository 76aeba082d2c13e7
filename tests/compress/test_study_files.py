"""The speed of several files, measured in turns, and where a run's files lie."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cliqa.compress.study_files import MOST_PASSES, Speed, file_of, measure_speeds
from cliqa.utils.errors import ArtifactError


class Clock:
    """A clock that models move on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[str] = []

    def model(self, name: str, seconds: float) -> Any:
        def run(images: np.ndarray) -> None:
            self.now += seconds * len(images)
            self.calls.append(name)

        return run


def test_models_take_turns_and_speed_is_images_over_time() -> None:
    cpu = Clock()
    models = {"a": cpu.model("a", 0.002), "b": cpu.model("b", 0.008)}
    batch = np.zeros((4, 1, 2, 2))
    found = measure_speeds(models, batch, 2, clocks=(lambda: cpu.now, lambda: 2 * cpu.now))
    # an image takes 2 and 8 ms, and the wall's clock runs twice as fast
    assert np.allclose(found["a"], [Speed(500, 250)] * 2)
    assert np.allclose(found["b"], [Speed(125, 62.5)] * 2)
    # a pass of four takes 8 and 32 ms: four and one fill a turn of 30 ms
    assert "".join(cpu.calls) == "aabb" + "aaaab" * 2


def test_a_coarse_clock_divides_by_nothing() -> None:
    calls: list[int] = []
    found = measure_speeds(
        {"a": lambda _: calls.append(1)}, np.zeros((1, 1)), 1, clocks=(lambda: 0.0, lambda: 0.0)
    )
    assert len(calls) == 2 + MOST_PASSES
    assert np.isfinite(found["a"][0]).all()


def test_a_file_that_is_missing_is_told(tmp_path: Path) -> None:
    run: Any = SimpleNamespace(folder=tmp_path)
    with pytest.raises(ArtifactError, match=r"onnxruntime-int8\.onnx: missing\. .*deployments\.md"):
        file_of(run, "int8")
    path = tmp_path / "deploy" / "onnxruntime-int8.onnx"
    path.parent.mkdir()
    path.touch()
    assert file_of(run, "int8") == path
