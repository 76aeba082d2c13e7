"""Processes that were not started for the same run on the same data are refused, all of them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from cliqa.engine.options import RunOptions
from cliqa.engine.processes.agreement import agree_on_data, agree_on_run
from cliqa.engine.work_dir.data_record import DataRecord, SplitRecord
from cliqa.utils.processes.group import rank
from tests.processes import in_processes

Config = dict[str, Any]


def said_by(count: int, work: Callable[[], None]) -> list[str]:
    """Return the error of each process, empty for none."""

    def tried() -> str:
        try:
            work()
        except Exception as error:  # noqa: BLE001
            return str(error)
        return ""

    return in_processes(count, tried)


def after(steps: int, epochs: int = 0) -> Any:  # noqa: ANN401
    """Return a checkpoint that stands there."""
    state = {"next_step": steps, "strategy": {"epochs_done": epochs}}
    return SimpleNamespace(state=state, mid_step=epochs > 0)


def test_equal_ones_agree(tiny_config: Config) -> None:
    def work() -> None:
        config = copy.deepcopy(tiny_config)
        config["num_workers"] = rank()  # which change no number
        agree_on_run(config, RunOptions(resume=f"/of/{rank()}"), after(1))
        agree_on_data(record_of(24))

    work()  # a single process
    assert said_by(2, work) == ["", ""]


def test_another_config_or_option_is_named(tiny_config: Config) -> None:
    def work() -> None:
        config = copy.deepcopy(tiny_config)
        config["cl_strategy"]["optimizer"]["lr"] *= 1 + (rank() == 2)
        agree_on_run(config, RunOptions(stop_after=1 + (rank() == 2)), None)

    message = (
        "process 2 was started for another run than process 0: cl_strategy.optimizer.lr, "
        "--stop-after differs. Give every machine the same config and the same options."
    )
    assert said_by(3, work) == [message] * 3


def test_another_checkpoint_is_named(tiny_config: Config) -> None:
    def work() -> None:
        source = None if rank() else after(1, 3)
        agree_on_run(tiny_config, RunOptions(resume="auto"), source)

    message = (
        "process 1 continues from another checkpoint than process 0: none, not one after 1 "
        "experiences and 3 epochs. Every machine must see the same work_dir."
    )
    assert said_by(2, work) == [message] * 2


def record_of(images: int) -> DataRecord:
    """Return a record of so many images."""
    rows = np.zeros(images)
    return DataRecord({"koniq": {"train": SplitRecord(images, f"digest of {images}", rows)}})


def test_other_data_are_named() -> None:
    message = (
        "koniq, train: process 1 has 23 images, and process 0 has 24 images; their names, labels "
        "or sizes differ. Every machine must see the same data."
    )
    assert said_by(2, lambda: agree_on_data(record_of(24 - rank()))) == [message] * 2
