"""What the shipped Split-Fashion-MNIST configs reach on 600 images to learn and 300 to test.

The real images are cut from the sample data beside the project; those with digits always run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cliqa.config.load import load_config
from cliqa.demo_data.fashion import FashionData
from cliqa.engine.train import train

CONFIGS = Path(__file__).resolve().parents[1] / "config"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def real(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("real") / "data"
    FashionData(sprite=str(shared_data / "fashion-mnist-sprite.png")).write(root)
    return root


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("digits") / "data"
    FashionData(train=300, test=150).write(root)
    return root


def run(name: str, root: Path, work_dir: Path, seed: int, *options: str) -> dict[str, Any]:
    """Train one of the shipped configs, without figures, and return its results."""
    overrides = [f"scenario.dataset_root={root}", "loggers=[]", "metrics=[]", *options]
    config = load_config(CONFIGS / f"{name}.py", overrides)
    folder = work_dir / f"{name}-{seed}-{len(options)}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cliqa.engine.train.draw_run", lambda _: [])
        train(config, config_file=f"{name}.py", work_dir=folder, device="cpu", seed=seed)
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def diagonal(results: dict[str, Any], measure: str) -> np.ndarray:
    """Return the accuracy on each experience right after it was learnt."""
    return np.diag(np.array(results["matrix"][measure], dtype=float))


def accuracy(results: dict[str, Any]) -> float:
    return float(results["summary"]["average_accuracy"])


@pytest.mark.exhaustive  # `test_on_digits` is the same with painted ones
def test_on_real_images(real: Path, tmp_path: Path) -> None:
    large = run("fmnist_replay", real, tmp_path, 0)
    dark = run("fmnist_der", real, tmp_path, 0)
    joint = run("fmnist_joint", real, tmp_path, 0)
    assert accuracy(large) > 0.55
    assert accuracy(dark) > 0.55
    assert accuracy(joint) > 0.68
    for results in (large, dark):  # a dead network would have exactly .1 and .5
        assert diagonal(results, "accuracy").min() > 0.8
        assert diagonal(results, "accuracy_task_il").min() > 0.8
        assert results["summary"]["average_accuracy_task_il"] > 0.9


@pytest.mark.parametrize(("batch", "epochs"), [(8, 4), (32, 15)])  # as many steps
def test_ewc_holds_the_tasks_at_any_batch_size(
    batch: int, epochs: int, real: Path, tmp_path: Path
) -> None:
    options = (f"cl_strategy.train_mb_size={batch}", f"cl_strategy.train_epochs={epochs}")
    held = run("fmnist_ewc", real, tmp_path, 0, *options)
    assert held["summary"]["average_accuracy_task_il"] > 0.91  # .94 .. .97; naive: .78 .. .92


def test_on_digits(digits: Path, tmp_path: Path) -> None:
    less = ("cl_strategy.train_mb_size=16", "cl_strategy.train_epochs=8")
    naive = run("fmnist_naive", digits, tmp_path, 0, *less)
    replay = run("fmnist_replay", digits, tmp_path, 0, *less)
    joint = run("fmnist_joint", digits, tmp_path, 0, *less)
    assert accuracy(naive) < 0.3 < 0.55 < accuracy(replay)
    assert accuracy(joint) > 0.75
    for results in (naive, replay):
        assert diagonal(results, "accuracy").min() > 0.75
        assert diagonal(results, "accuracy_task_il").min() > 0.8
    assert naive["summary"]["forgetting"] > 0.8
