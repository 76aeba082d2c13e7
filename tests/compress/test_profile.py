"""Models of runs and of configs, ready to be measured."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from cliqa.compress.profile import SIZE, load_subject, parse_size, profile_subject
from cliqa.config.load import load_config
from cliqa.models.build import build_model
from cliqa.utils.errors import CheckpointError, ConfigError, ModelError

CONFIG = Path(__file__).resolve().parents[2] / "config"
CPU = torch.device("cpu")


def test_a_run_with_its_file(tiny_run: Path) -> None:
    subject = load_subject(tiny_run, CPU)
    assert subject.name == "tiny"
    assert subject.file_bytes == (tiny_run / "checkpoints" / "last.pth").stat().st_size
    assert (subject.channels, subject.size, subject.crops) == (3, SIZE, 1)  # ToTensor alone
    assert isinstance(subject.model, nn.Module)
    assert not subject.model.training
    of_file = load_subject(tiny_run / "checkpoints" / "exp_0.pth", CPU)
    assert of_file.name == "exp_0.pth"


def test_a_config_with_its_preprocessing() -> None:
    subject = load_subject(CONFIG / "demo.py", CPU)
    assert (subject.name, subject.file_bytes) == ("demo", None)
    assert (subject.size, subject.crops) == ((96, 96), 1)
    built = build_model(load_config(CONFIG / "demo.py")["model"])
    assert isinstance(subject.model, nn.Module)
    assert [p.shape for p in subject.model.parameters()] == [p.shape for p in built.parameters()]
    crops = load_subject(CONFIG / "iqa_naive.py", CPU)
    assert (crops.size, crops.crops) == ((224, 224), 4)


def test_grey_images_have_one_channel() -> None:
    subject = load_subject(CONFIG / "fmnist_naive.py", CPU)
    assert subject.channels == 1
    assert subject.batch(2, (28, 28), CPU).shape == (2, 1, 28, 28)
    with pytest.raises(ModelError, match="fmnist_naive: fails at batch 1, 224 x 224 pixels"):
        profile_subject(subject, [1], [], CPU, warmup=0, repeats=1)


def test_every_size_with_every_batch(tiny_run: Path) -> None:
    subject = load_subject(tiny_run, CPU)
    rows = profile_subject(subject, [1, 3], [(64, 64), (64, 128)], CPU, warmup=0, repeats=2)
    found = [(row.batch, row.height, row.width) for row in rows]
    assert found == [(1, 64, 64), (3, 64, 64), (1, 64, 128), (3, 64, 128)]
    macs = [row.gmacs for row in rows]
    assert macs[0] == macs[1]  # of one image
    assert macs[2] == pytest.approx(2 * (macs[0] or 0), rel=0.01)  # twice the pixels


def test_what_cannot_be_measured_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="work_dir without a checkpoint"):
        load_subject(tmp_path, CPU)
    with pytest.raises(ModelError, match=r"clear_features_naive\.py: its model takes the features"):
        load_subject(CONFIG / "clear_features_naive.py", CPU)


@pytest.mark.parametrize("text", ["", "0", "axb", "1x2x3", "-4", "224x"])
def test_sizes_are_checked(text: str) -> None:
    with pytest.raises(ConfigError, match=f"--sizes {text}: write 224, or height x width"):
        parse_size(text)
