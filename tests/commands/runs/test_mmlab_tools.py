"""Tests of the tools for mmlab users, as they run them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.commands.data import browse_data
from cliqa.commands.runs import from_mmpretrain, print_config, vis_schedule
from cliqa.config.load import load_config
from cliqa.utils.errors import ConfigError

CONFIG = Path(__file__).resolve().parents[3] / "config"


def test_a_config_of_mmpretrain_becomes_one_of_cliqa(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "mine.py"
    name = "mmpretrain::resnet/resnet18_8xb16_cifar10.py"
    from_mmpretrain.main([name, "--out", str(out), "--experiences", "5"])
    text = capsys.readouterr().out
    assert f"{out}: {name} as a config of cliqa; built ImageClassifier (11,173,962 par" in text
    assert "  left out or changed: the learning rate is for batches of 128" in text
    assert f"next: cliqa train {out}" in text
    caplog.set_level("INFO")
    print_config.main([str(out), "--check"])
    assert "n_experiences=5" in capsys.readouterr().out
    assert "built ImageClassifier (11,173,962 parameters); SGD; Naive" in caplog.text
    scaled = load_config(out, ["auto_scale_lr.enable=True"])
    assert scaled["cl_strategy"]["optimizer"]["lr"] == pytest.approx(0.1 * 16 / 128)


def test_the_schedule_is_drawn_without_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rates.png"
    arguments = [str(CONFIG / "demo_naive.py"), "--samples", "100", "50", "--out", str(out)]
    vis_schedule.main([*arguments, "--cfg-options", "cl_strategy.optimizer.lr=0.25"])
    text = capsys.readouterr().out
    assert "steps in 2 experience(s), learning rate 0.25 at most" in text
    assert out.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ConfigError, match="--samples 0: must be at least 1"):
        vis_schedule.main([str(CONFIG / "demo_naive.py"), "--samples", "0"])


def test_data_are_browsed(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [f"scenario.dataset_root={tiny_data}", "scenario.datasets.0.root=c"]
    options += ["scenario.datasets.0.images=.", "scenario.datasets.0.score_range=(0,1)"]
    arguments = [str(CONFIG / "my_data.py"), "--out", str(tmp_path / "figures"), "--images", "2"]
    browse_data.main(
        [*arguments, "--splits", "test", "--datasets", "all", "--cfg-options", *options]
    )
    (line,) = capsys.readouterr().out.splitlines()
    figure = Path(line.partition(":")[0])
    assert figure.parent == tmp_path / "figures"
    assert figure.name.endswith("_test.png")
    assert figure.is_file()
    assert "2 of" in line
