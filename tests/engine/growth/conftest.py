"""Runs that grow, and what must be equal about two runs."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cliqa.engine import train as engine_train
from cliqa.engine.train import train

Config = dict[str, Any]


@pytest.fixture(autouse=True)
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no figures: they take most of the time."""
    monkeypatch.setattr(engine_train, "draw_run", lambda _: [])


@pytest.fixture
def work() -> Callable[..., dict[str, Any]]:
    """Return a function that trains a config in a folder."""

    def run(config: Config, folder: Path, **options: Any) -> dict[str, Any]:
        return train(config, config_file="tiny.py", work_dir=folder, device="cpu", **options)

    return run


@pytest.fixture
def of_sets(tiny_config: Config) -> Callable[..., Config]:
    """Return a function that makes a config over the first so many data sets, of one epoch."""

    def make(count: int, **strategy: Any) -> Config:
        config = copy.deepcopy(tiny_config)
        config["scenario"]["datasets"] = config["scenario"]["datasets"][:count]
        own = config["cl_strategy"]
        if strategy.get("type", "Replay") != "Replay" or "plugins" in strategy:
            del own["mem_size"]
            own["type"] = "Naive"
        config["cl_strategy"] = {**own, "train_epochs": 1, **strategy}
        return {**config, "loggers": [], "metrics": [], "evaluation": {"bootstrap": 0}}

    return make


@pytest.fixture(scope="session")
def _kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for runs that several tests begin with."""
    return tmp_path_factory.mktemp("grown")


@pytest.fixture
def two(
    _kept: Path, of_sets: Callable[..., Config], work: Callable[..., Any], tmp_path: Path
) -> Path:
    """Return a test's own copy of a finished run with replay over a and b."""
    if not (_kept / "two").exists():
        work(of_sets(2), _kept / "two")
    shutil.copytree(_kept / "two", tmp_path / "two")
    return tmp_path / "two"


@pytest.fixture
def three(_kept: Path, of_sets: Callable[..., Config], work: Callable[..., Any]) -> Path:
    """Return a finished run with replay over a, b and c: only read it."""
    if not (_kept / "three").exists():
        work(of_sets(3), _kept / "three")
    return _kept / "three"


@pytest.fixture
def assert_equal_runs(assert_same: Callable[[Any, Any], None]) -> Callable[..., None]:
    """Return a function that asserts that two runs have ended in the same bits.

    `but` is an array of stored predictions that may differ.
    """

    def check(one: Path, other: Path, but: str = "") -> None:
        first, second = (
            torch.load(folder / "checkpoints" / "last.pth", weights_only=True)
            for folder in (one, other)
        )
        for state in (first, second):  # what it has cost is the one thing that may differ
            del state["costs"]
        for key in first:
            assert_same((key, second[key]), (key, first[key]))
        for name in ("metrics.jsonl", "matrix.csv"):
            assert (one / name).read_bytes() == (other / name).read_bytes()
        results = [json.loads((folder / "results.json").read_text()) for folder in (one, other)]
        for content in results:
            del content["seconds"], content["memory"]["peak"]
        assert results[0] == results[1]
        assert results[0]["status"] == "finished"
        for folder in ("checkpoints", "predictions"):
            names = [sorted(p.name for p in (root / folder).iterdir()) for root in (one, other)]
            assert names[0] == names[1]
        for path in (one / "predictions").iterdir():
            with np.load(path) as here, np.load(other / "predictions" / path.name) as there:
                assert list(here) == list(there)
                kept = [key for key in here if key.rpartition("/")[2] != but]
                assert all(np.array_equal(here[key], there[key]) for key in kept)

    return check
