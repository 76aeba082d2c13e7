"""What a run says at its start."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from cliqa.engine.build import build
from cliqa.engine.loggers.opening import describe_run


def opening(config: dict[str, Any]) -> list[str]:
    parts = build(config, torch.device("cpu"))
    lines = describe_run(parts.config, parts.strategy, parts.benchmark, parts.device)
    assert max(map(len, lines)) <= 80
    return lines


def test_data_model_method_and_machine(tiny_config: dict[str, Any]) -> None:
    tiny_config["amp"] = "bfloat16"
    tiny_config["cl_strategy"]["plugins"] = [{"type": "EMA"}]
    lines = opening(tiny_config)
    assert lines[0] == "data     a  train 24, val 4, test 12: 3 steps x 2 epochs"
    assert lines[2].startswith("         c  train 24")
    assert lines[3].startswith("images   kept in memory: about ")
    assert lines[4].startswith("model    QualityModel over ResNet 18: ")
    assert lines[4].endswith(" parameters, 100 % trainable")
    assert lines[5] == "method   Replay + EMA; AdamW, lr 0.001, batches of 8; seed 0"
    machine = " ".join(line.strip() for line in lines[6:-1])
    assert machine.startswith("machine  CPU (")
    assert "1 thread; mixed bfloat16, channels last; images are read in this process" in machine
    assert " of weights; " in lines[-1]
    assert lines[-1].endswith(" GiB in use")


def test_several_processes_are_told(
    tiny_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cliqa.engine.loggers.opening.size", lambda: 2)
    (line,) = [line for line in opening(tiny_config) if line.startswith("machine")]
    assert line.startswith("machine  2 processes, the first on CPU (")


def test_what_is_frozen_is_told(tiny_config: dict[str, Any]) -> None:
    tiny_config["model"]["backbone"]["frozen_stages"] = 4
    (line,) = [line for line in opening(tiny_config) if line.startswith("model")]
    share = float(line.split()[-3])
    assert 0 < share < 100


def test_joint_training_has_one_step(tiny_config: dict[str, Any]) -> None:
    section = {k: v for k, v in tiny_config["cl_strategy"].items() if k != "mem_size"}
    tiny_config["cl_strategy"] = {**section, "type": "JointTraining", "accumulate": 2}
    lines = opening(tiny_config)
    assert lines[0] == "data     a  train 24, val 4, test 12"
    assert lines[3] == "         all at once: 5 steps x 2 epochs"


@pytest.mark.parametrize("count", [10, 11, 25])
def test_a_long_stream_is_short(tiny_config: dict[str, Any], count: int) -> None:
    first = tiny_config["scenario"]["datasets"][0]
    names = [f"campaign_number_{k:02d}_of_a_long_series" for k in range(count)]
    tiny_config["scenario"]["datasets"] = [{**first, "name": name} for name in names]
    tiny_config["scenario"]["shared"] = "keep"
    lines = [line for line in opening(tiny_config) if "steps x" in line or "more" in line]
    assert len(lines) == min(count, 11)
    if count > 10:
        assert lines[9].strip() == f"... and {count - 10} more like these"
