"""An mmlab user brings a config of mmpretrain, checks it, and trains on a base of mmpretrain's."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.forks import run_script

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
_base_ = [
    "{root}/config/_base_/datasets/generated_clear.py",
    "mmpretrain::_base_/models/mobilenet_v3/mobilenet_v3_small_050_imagenet.py",
    "{root}/config/_base_/schedules/sgd_15e.py",
    "{root}/config/_base_/default_runtime.py",
]
model = dict(backbone=dict(norm_cfg=dict(type="BN")), head=dict(num_classes=3))
scenario = dict(generate=dict(classes=3, buckets=2, images=8))
cl_strategy = dict(train_epochs=1, train_mb_size=8)
auto_scale_lr = dict(base_batch_size=64)
num_workers = 0
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a fresh folder with the user's config."""
    (tmp_path / "mine.py").write_text(CONFIG.format(root=ROOT))
    return tmp_path


def shell(folder: Path, script: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run an entry point as a user does in a folder."""
    return run_script(ROOT / script, *words, cwd=folder)


def test_mmengines_keys_are_answered_at_once(folder: Path) -> None:
    found = shell(
        folder, "train_config.py", "mine.py", "--cfg-options", "env_cfg.cudnn_benchmark=True"
    )
    assert found.returncode == 2
    assert found.stderr.splitlines() == [
        "error: --cfg-options env_cfg.cudnn_benchmark: is a key of mmengine, not of cliqa. "
        "Set cudnn_benchmark=True."
    ]


@pytest.mark.slow
def test_a_config_of_mmpretrain_is_converted(folder: Path) -> None:
    name = "mmpretrain::resnet/resnet18_8xb16_cifar10.py"
    found = shell(folder, "tools/from_mmpretrain.py", name, "--out", "config/cifar.py")
    assert found.returncode == 0, found.stderr
    assert "next: cliqa train config/cifar.py" in found.stdout
    assert "paramwise" not in (folder / "config" / "cifar.py").read_text()


@pytest.mark.slow
def test_a_base_of_mmpretrain_is_trained_with_scaled_rates(folder: Path) -> None:
    found = shell(folder, "train_config.py", "mine.py", "--auto-scale-lr")
    assert found.returncode == 0, found.stderr
    assert "learning rates x 0.125: batches of 8, auto_scale_lr.base_batch_size=64" in (
        found.stdout + found.stderr
    )
    run = folder / "work_dirs" / "mine"
    results = json.loads((run / "results.json").read_text())
    assert len(results["matrix"]["accuracy"]) == 2
    saved = (run / "config.py").read_text()
    assert "lr=0.00125" in saved  # a resume does not scale again
    assert "auto_scale_lr" not in saved
