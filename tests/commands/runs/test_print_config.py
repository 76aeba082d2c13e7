"""Tests of tools/print_config.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cliqa.commands.runs.print_config import main
from cliqa.config.load import load_config
from cliqa.utils.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]
CONFIG = """
steps = [dict(type="ToTensor")]
scenario = dict(
    type="QualityStream",
    datasets=[dict(type="EVA", root="eva")],
    train_transform=steps,
    eval_transform=steps,
)
model = dict(backbone=dict(type="ResNet", depth=18))
cl_strategy = dict(type="Naive", optimizer=dict(type="SGD", lr=0.1), loss=dict(type="L1Loss"))
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return a small config's path."""
    path = tmp_path / "small.py"
    path.write_text(CONFIG)
    return path


def test_the_output_is_an_equal_config(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["cl_strategy.optimizer.lr=1e-3", "seed=3"]
    main([str(config), "--cfg-options", *options])
    (tmp_path / "printed.py").write_text(capsys.readouterr().out)
    assert load_config(tmp_path / "printed.py") == load_config(config, options)


def test_names_are_looked_up_on_request_only(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(config), "--cfg-options", "cl_strategy.optimizer.type=SDG"]
    main(arguments)
    assert "type='SDG'" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="Did you mean 'SGD'"):
        main([*arguments, "--check"])
    assert capsys.readouterr().out == ""
    main([str(config), "--check"])
    assert "type='SGD'" in capsys.readouterr().out


def test_arguments_are_checked_and_shown_as_they_are_used(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = "cl_strategy.reset_optimizer"
    main([str(config), "--check", "--cfg-options", f"{key}=yes"])
    assert "reset_optimizer=True" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="reset_optimizer: expected true or false, got 'maybe'"):
        main([str(config), "--check", "--cfg-options", f"{key}=maybe"])


@pytest.mark.parametrize(
    ("arguments", "status", "out", "err"),
    [
        ([], 0, "scenario = dict(", ""),
        (["--cfg-options", "sed=1"], 2, "", "error: --cfg-options sed: unknown section. Did you"),
        (["--help"], 0, "usage: print_config.py", ""),
        (["--unknown"], 2, "", "unrecognized arguments: --unknown"),
    ],
)
def test_as_a_user_runs_it(
    config: Path, arguments: list[str], status: int, out: str, err: str
) -> None:
    run = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "print_config.py"), str(config), *arguments],
        capture_output=True,
        text=True,
        cwd=config.parent,
        check=False,
    )
    assert run.returncode == status
    assert run.stdout.startswith(out)
    assert err in run.stderr
    assert "Traceback" not in run.stderr
