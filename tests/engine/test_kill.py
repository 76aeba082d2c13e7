"""A run that is killed again and again ends with the bits of one that was not."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cliqa.engine import train as engine_train
from cliqa.engine.train import train

KILLS = int(os.environ.get("CLIQA_KILLS", "2"))
"""How often the run is killed; raise it for a longer trial."""


def work(config: dict[str, Any], folder: Path) -> None:
    """Go on with the run in a process of its own."""
    torch.set_num_threads(1)
    train(config, config_file="tiny.py", work_dir=folder, device="cpu", resume="auto")


def kill_at_random(config: dict[str, Any], folder: Path, kills: int, longest: float) -> int:
    """Start the run and kill it, so many times; then let it finish. Return the kills that hit.

    The first one comes right after the first epoch, so that it hits on any machine; the others come
    at random moments.
    """
    context = multiprocessing.get_context("fork")
    moments = random.Random(0)
    hits = 0
    for attempt in range(kills + 1):
        child = context.Process(target=work, args=(config, folder))
        child.start()
        if attempt == kills:
            child.join()
            assert child.exitcode == 0
            return hits
        while attempt == 0 and child.is_alive() and not (folder / "metrics.jsonl").exists():
            time.sleep(0.005)
        time.sleep(moments.uniform(0.05, longest) if attempt else 0.0)
        if child.is_alive() and child.pid is not None:
            os.kill(child.pid, signal.SIGKILL)
        child.join()
        hits += child.exitcode == -signal.SIGKILL
    return hits


@pytest.mark.slow
@pytest.mark.parametrize(
    ("num_workers", "kills"),
    [
        (0, KILLS),
        pytest.param(1, (KILLS + 1) // 2, marks=pytest.mark.exhaustive),
    ],
)
def test_killed_and_resumed_is_bit_identical(
    num_workers: int,
    kills: int,
    tiny_config: dict[str, Any],
    tmp_path: Path,
    assert_same: Callable[[Any, Any], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_train, "draw_run", lambda _: [])  # of no matter here, and slow
    config = {**tiny_config, "num_workers": num_workers}
    config["scenario"]["datasets"] = config["scenario"]["datasets"][:2]
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    for _ in range(min(kills, 2)):  # the first imports what the second's time is without
        started = time.monotonic()
        train(config, config_file="tiny.py", work_dir=whole, device="cpu")
    longest = time.monotonic() - started
    hits = kill_at_random(config, torn, kills, 0.8 * longest)
    assert hits >= 1

    names = sorted(path.relative_to(whole) for path in (whole / "checkpoints").iterdir())
    assert names == sorted(path.relative_to(torn) for path in (torn / "checkpoints").iterdir())
    for name in names:
        first = torch.load(whole / name, weights_only=True)
        second = torch.load(torn / name, weights_only=True)
        for state in (first, second):  # what it has cost is the one thing that may differ
            del state["costs"]
        assert_same(second, first)
    assert (torn / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    assert (torn / "matrix.csv").read_bytes() == (whole / "matrix.csv").read_bytes()
    results = [json.loads((folder / "results.json").read_text()) for folder in (whole, torn)]
    for content in results:
        del content["seconds"], content["memory"]["peak"]
    assert results[0] == results[1]
    assert results[0]["status"] == "finished"
    for path in sorted((whole / "predictions").iterdir()):
        with np.load(path) as one, np.load(torn / "predictions" / path.name) as other:
            for key in one:
                assert np.array_equal(one[key], other[key])
    assert not list(torn.rglob("*.tmp"))
