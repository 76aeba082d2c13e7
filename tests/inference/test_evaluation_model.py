"""What an evaluation is asked for, and what a checkpoint brings along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.inference.evaluation_model import experiences_learnt, open_evaluation
from cliqa.inference.evaluation_request import EvalRequest
from cliqa.transforms.protocol import parse_protocol
from cliqa.utils.errors import ConfigError


def test_crops_count_as_images_of_a_batch(tiny_run: Path) -> None:
    path = tiny_run / "checkpoints" / "last.pth"
    for crops, given, size in ((None, None, 16), ("grid:2x2", None, 4), ("random:25", None, 1)):
        request = EvalRequest(protocol=parse_protocol(crops), batch_size=given, data_sets=["a"])
        assert open_evaluation(path, request, torch.device("cpu")).batch_size == size
    request = EvalRequest(protocol=parse_protocol("random:25"), batch_size=3, data_sets=["a"])
    assert open_evaluation(path, request, torch.device("cpu")).batch_size == 3


@pytest.mark.parametrize(
    ("kind", "step", "learnt"), [("Naive", 2, 2), ("JointTraining", 1, 3), ("JointTraining", 0, 0)]
)
def test_joint_training_learns_all_at_once(kind: str, step: int, learnt: int) -> None:
    state: dict[str, Any] = {"names": ["a", "b", "c"], "next_step": step}
    assert experiences_learnt({**state, "config": {"cl_strategy": {"type": kind}}}) == learnt


def test_numbers_out_of_range_are_named() -> None:
    with pytest.raises(ConfigError, match=r"--batch-size 0: must be at least 1"):
        EvalRequest(batch_size=0)
    with pytest.raises(
        ConfigError, match=r"--num-workers: expected an integer from 0 to \d+ .*, got -1"
    ):
        EvalRequest(num_workers=-1)
