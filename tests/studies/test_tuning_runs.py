"""Tunings over real runs: on validation data alone, and refused where there are none."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.api.validation import validated
from cliqa.config.load import dump_config
from cliqa.engine.streams import build_benchmark
from cliqa.engine.train import train
from cliqa.studies import tuning_runs
from cliqa.studies.backends.commands import TRAIN
from cliqa.studies.planned_run import PlannedRun
from cliqa.studies.search_space import read_space
from cliqa.studies.tuning import Tuning, run_tuning
from cliqa.studies.tuning_runs import check_validation, tune
from cliqa.utils.errors import ConfigError

pytest.importorskip("optuna")


@pytest.fixture
def tuning(tmp_path: Path, tiny_config: dict[str, Any]) -> Tuning:
    """Return a tuning of one trial of one epoch, on validation data of ten images."""
    del tiny_config["cl_strategy"]["mem_size"]
    tiny_config["cl_strategy"].update(type="L2", strength=10.0, train_epochs=1)
    for section in tiny_config["scenario"]["datasets"]:
        section["fractions"] = (0.5, 0.25, 0.25)
    dump_config(tiny_config, tmp_path / "tiny_l2.py")
    space = read_space(["cl_strategy.strength=log(1e-2, 1e4)"])
    return Tuning(tmp_path / "tiny_l2.py", tmp_path / "out", space, trials=1)


def train_here() -> Callable[[Sequence[PlannedRun], int], dict[Path, str]]:
    """Return a function that trains runs in this process."""

    def work(runs: Sequence[PlannedRun], experience: int) -> dict[Path, str]:
        for run in runs:
            train(
                dict(run.config),
                config_file=run.file,
                work_dir=run.folder,
                device="cpu",
                seed=run.replicate.seed,
                resume="auto",
                stop_after=experience,
            )
        return {}

    return work


def reached(tuning: Tuning) -> list[dict[str, float]]:
    """Return what the first trial reaches after each experience, as it is recorded to prune."""
    tuning = replace(tuning, prune=True)
    trials: list[Any] = []
    cpu = torch.device("cpu")
    run_tuning(
        tuning,
        trials,
        train_here(),
        lambda run, learnt: validated(run.folder, learnt, cpu),
        lambda _: None,
    )
    found: list[dict[str, float]] = trials[0].steps(0)
    return found


def with_other_labels(tuning: Tuning, folder: Path, split: str) -> Tuning:
    """Return the tuning over a copy of the data in which the labels of a split are reversed."""
    scenario = tuning.settings["scenario"]
    source = Path(scenario["dataset_root"])
    benchmark = build_benchmark(dict(scenario))
    shutil.copytree(source, folder)
    for name in benchmark.names:
        chosen = {Path(image).name for image in benchmark.sources[name, split].table.images}
        head, *rows = (source / name / "scores.csv").read_text().splitlines()
        pairs = [row.split(",") for row in rows]
        lines = [f"{i},{1 - float(s):.4f}" if i in chosen else f"{i},{s}" for i, s in pairs]
        (folder / name / "scores.csv").write_text("\n".join([head, *lines]) + "\n")
        assert chosen
    options = (f"scenario.dataset_root='{folder.as_posix()}'",)
    return replace(tuning, options=options, out=folder / "out")


def test_the_objective_sees_no_test_label(tuning: Tuning, tmp_path: Path) -> None:
    plain = reached(tuning)
    assert [list(step) for step in plain] == [["a"], ["a", "b"]]  # the third is unknown
    assert reached(with_other_labels(tuning, tmp_path / "test", "test")) == plain
    other = reached(with_other_labels(tuning, tmp_path / "val", "val"))
    for before, after in zip(plain, other, strict=True):
        assert after == pytest.approx({name: -value for name, value in before.items()})


def test_a_stream_without_validation_data_is_refused(tuning: Tuning) -> None:
    check_validation(tuning)
    options = ("scenario.datasets.1.fractions=[0.7, 0, 0.3]",)
    with pytest.raises(ConfigError, match=r"tiny_l2\.py: b has no validation data, and test data"):
        check_validation(replace(tuning, options=options))


def test_one_data_set_at_least_stays_unknown(tuning: Tuning) -> None:
    with pytest.raises(ConfigError, match=r"--experiences 3: the stream has 3 data sets"):
        check_validation(replace(tuning, experiences=3))


def test_without_optuna_nothing_is_begun(tuning: Tuning, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, extra: str) -> Any:
        raise ConfigError(f'{name} cannot be imported. pip install -e ".[{extra}]"')

    monkeypatch.setattr(tuning_runs, "library", missing)
    with pytest.raises(ConfigError, match=r'optuna cannot be imported.*"\.\[tune\]"'):
        tune(tuning, TRAIN, lambda *_: {})
    assert not tuning.out.exists()
