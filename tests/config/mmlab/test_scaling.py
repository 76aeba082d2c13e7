"""Tests of cliqa.config.mmlab.scaling: auto_scale_lr."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cliqa.config.load import load_config
from cliqa.config.mmlab.scaling import scale_rates
from cliqa.utils.errors import ConfigError

CONFIG = Path(__file__).resolve().parents[3] / "config"


def config(**strategy: Any) -> dict[str, Any]:
    """Return a config with a batch of 64 and SGD."""
    rules = [{"match": "head", "lr": 0.4}, {"match": "neck", "lr_mult": 2}]
    optimizer = {"type": "SGD", "lr": 0.1, "paramwise": rules}
    return {
        "cl_strategy": {"train_mb_size": 64, "optimizer": optimizer, **strategy},
        "auto_scale_lr": {"base_batch_size": 256, "enable": True},
    }


def test_rates_follow_the_global_batch() -> None:
    given = config(accumulate=8)
    found = scale_rates(given, "x.py")
    assert "auto_scale_lr" not in found
    optimizer = found["cl_strategy"]["optimizer"]
    assert optimizer["lr"] == pytest.approx(0.2)  # 64 x 8 samples a step are twice 256
    assert optimizer["paramwise"][0]["lr"] == pytest.approx(0.8)
    assert optimizer["paramwise"][1] == {"match": "neck", "lr_mult": 2}
    assert given == config(accumulate=8)


def test_without_enable_it_is_off_as_in_mmengine(caplog: pytest.LogCaptureFixture) -> None:
    given = {**config(), "auto_scale_lr": {"base_batch_size": 256}}
    assert scale_rates(given, "x.py") == {"cl_strategy": given["cl_strategy"]}
    assert "x.py: auto_scale_lr is off, as in mmengine. Add enable=True." in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"auto_scale_lr": {"enable": True}}, "no base_batch_size"),
        ({"cl_strategy": {"optimizer": {"lr": 1.0}}}, "needs cl_strategy.train_mb_size"),
        ({"cl_strategy": {"train_mb_size": 3}}, "needs a number cl_strategy.optimizer.lr"),
    ],
)
def test_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"x.py: auto_scale_lr.*{message}"):
        scale_rates({**config(), **change}, "x.py")


def test_on_the_command_line_and_after_the_other_options() -> None:
    options = ["auto_scale_lr.base_batch_size=64", "auto_scale_lr.enable=yes"]
    options += ["cl_strategy.train_mb_size=16", "cl_strategy.optimizer.lr=0.1"]
    found = load_config(CONFIG / "demo_naive.py", options)
    assert found["cl_strategy"]["optimizer"]["lr"] == pytest.approx(0.025)


def test_a_pretraining() -> None:
    options = ["auto_scale_lr.base_batch_size=8", "auto_scale_lr.enable=True"]
    found = load_config(CONFIG / "qualiclip_demo.py", options)["pretrain"]
    assert found["lr_encoder"] == pytest.approx(0.5e-3)  # its batches are of 4
    assert found["lr_projection"] == pytest.approx(0.5e-3)
