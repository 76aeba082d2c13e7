"""The records of a run: what is written when, and what may be resumed."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from cliqa.config.load import load_config
from cliqa.engine.interrupts import Interrupted
from cliqa.engine.run import FORMAT, Run
from cliqa.evaluation.records.predictions import load_predictions
from cliqa.utils.checkpoint import load_checkpoint, save_checkpoint
from cliqa.utils.errors import ArtifactError, CheckpointError
from cliqa.utils.locks import folder_lock

Config = dict[str, Any]
NAMES = ["a", "b"]


class Strategy:
    """What a run asks of a strategy."""

    plugins: tuple[Any, ...] = ()
    state_is_in_plugins = True
    device = torch.device("cpu")

    def __init__(self) -> None:
        self.weight = torch.zeros(2)
        self.model = torch.nn.Linear(3, 2)
        self.model.bias.requires_grad_(False)

    def state_dict(self) -> dict[str, Any]:
        return {"model": {"weight": self.weight.clone()}, "plugins": {}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.weight = state["model"]["weight"]


class Forgetful(Strategy):
    """Keeps more than a checkpoint holds."""

    state_is_in_plugins = False


def benchmark(names: list[str] = NAMES) -> Any:
    source = SimpleNamespace(
        paths=[Path(f"{k}.png") for k in range(6)], raw_scores=np.linspace(1, 5, 6)
    )
    return SimpleNamespace(names=names, sources={(name, "test"): source for name in names})


def evaluate(run: Run, step: int) -> None:
    target = np.linspace(0, 1, 6)
    for k, name in enumerate(run.names):
        noise = np.random.default_rng(10 * step + k).normal(0, 0.3, 6)
        run.record(step, name, target + noise, target)


def row(experience: int, epoch: int) -> dict[str, Any]:
    return {"kind": "epoch", "experience": experience, "epoch": epoch, "loss": 0.5}


def train(run: Run, strategy: Strategy, steps: int = 2, epochs: int = 2) -> None:
    """Go through the rest of a stream as `train_stream` does."""
    run.start(strategy, benchmark(), NAMES)
    for step in range(run.next_step, steps):
        for epoch in range(1, epochs + 1):
            strategy.weight += 1
            run.finish_epoch(strategy, row(step, epoch), 0.5, cpu_seconds=0.25)
        evaluate(run, step)
        run.finish_step(strategy, step, 0.25)


@pytest.fixture
def config(tiny_config: Config) -> Config:
    return tiny_config


def test_a_run_writes_what_it_was_told(config: Config, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with Run(folder, config, config_file="config/x.py", bootstrap=20) as run:
        run.begin("cpu", ["a and b share 3 images."])
        train(run, Strategy())
        results = run.finish()
    assert results == json.loads((folder / "results.json").read_text())
    assert (results["status"], results["seed"], results["config"]) == ("finished", 0, "config/x.py")
    assert results["seconds"] == {
        "train": [1.0, 1.0],
        "eval": [0.25, 0.25],
        "train_cpu": [0.5, 0.5],
    }
    assert results["memory"]["kept"] == [8, 8]  # two float32
    assert results["parameters"] == {"all": [8, 8], "trained": [6, 6]}
    assert "a and b share 3 images." in results["warnings"]
    stored = load_predictions(folder, 1, "b")
    expected = stats.spearmanr(stored.prediction, stored.target).statistic
    assert results["matrix"]["srcc"][1][1] == pytest.approx(expected)
    assert list(stored.image) == [f"{k}.png" for k in range(6)]
    assert stored.raw == pytest.approx(np.linspace(1, 5, 6))
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [r["kind"] for r in rows] == ["epoch", "epoch", "eval", "eval"] * 2
    assert load_config(folder / "config.py")["model"] == config["model"]
    facts = json.loads((folder / "run.json").read_text())
    assert (facts["device"], facts["seed"], facts["config"]) == ("cpu", 0, "config/x.py")
    assert (folder / "matrix.csv").read_text().count("\n") >= 3


def test_checkpoints_hold_the_state_at_their_name(config: Config, tmp_path: Path) -> None:
    config["checkpoint_config"] = {"interval": 1, "keep": 1}
    with Run(tmp_path, config, bootstrap=0) as run:
        train(run, Strategy())
    folder = tmp_path / "checkpoints"
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["exp_0.pth", "exp_1.pth", "exp_1_epoch_2.pth", "last.pth"]
    for name, weight, step in (
        ("exp_0.pth", 2.0, 1),
        ("exp_1.pth", 4.0, 2),
        ("exp_1_epoch_2.pth", 4.0, 1),
        ("last.pth", 4.0, 2),
    ):
        state = load_checkpoint(folder / name)
        assert state["strategy"]["model"]["weight"].tolist() == [weight] * 2
        assert (state["next_step"], state["format"]) == (step, FORMAT)
    assert (tmp_path / "last_checkpoint").read_text() == "exp_1.pth\n"


def train_validated(run: Run, strategy: Strategy, values: list[list[float | None]]) -> None:
    """Go through a stream whose epochs have these validation measures, one list an experience."""
    run.start(strategy, benchmark(), NAMES)
    for step in range(run.next_step, len(values)):
        done = sum(one["experience"] == step for one in run.epochs)
        for epoch, value in enumerate(values[step][done:], start=done + 1):
            strategy.weight += 1
            run.finish_epoch(strategy, {**row(step, epoch), "val_srcc": value}, 0.5)
        evaluate(run, step)
        run.finish_step(strategy, step, 0.25)


def best_of(folder: Path) -> tuple[float, int]:
    """Return the weight of the best checkpoint and the steps that had ended then."""
    state = load_checkpoint(folder / "checkpoints" / "best.pth")
    return float(state["strategy"]["model"]["weight"][0]), state["next_step"]


@pytest.mark.parametrize(
    ("values", "keep", "expected"),
    [
        ([[0.5, 0.7, 0.6]], False, (2, 0)),
        ([[0.5, 0.7, 0.7]], False, (2, 0)),  # of equals the first
        ([[0.5, 0.6, 0.7]], False, (3, 1)),  # the last epoch: the state at the experience's end
        ([[0.5, 0.7, 0.6]], True, (3, 1)),  # whose weights are those of the best epoch
        ([[0.9, 0.8], [0.1, 0.2, None]], False, (4, 1)),  # of the experience learnt last
        ([[0.8, 0.9], [None, None]], False, (2, 1)),
    ],
)
def test_the_best_epoch_has_a_name(
    config: Config,
    tmp_path: Path,
    values: list[list[float | None]],
    keep: bool,
    expected: tuple[float, int],
) -> None:
    config["cl_strategy"]["keep_best"] = keep
    with Run(tmp_path, config, bootstrap=0) as run:
        train_validated(run, Strategy(), values)
    assert best_of(tmp_path) == expected


def test_a_kill_between_the_two_loses_no_best_epoch(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values: list[list[float | None]] = [[0.5, 0.7, 0.6]]
    with monkeypatch.context() as patch:
        patch.setattr(Run, "_is_best", lambda _: False)
        with Run(tmp_path, config, bootstrap=0) as run:
            train_validated(run, Strategy(), [])
            for epoch, value in enumerate(values[0][:2], start=1):
                run.finish_epoch(Strategy(), {**row(0, epoch), "val_srcc": value}, 0.5)
    with Run(tmp_path, config, "auto", bootstrap=0) as run:
        strategy = Strategy()
        train_validated(run, strategy, values)
    assert best_of(tmp_path) == (0, 0)


def test_without_validation_there_is_no_best_epoch(config: Config, tmp_path: Path) -> None:
    with Run(tmp_path, config, bootstrap=0) as run:
        train(run, Strategy())
    assert not (tmp_path / "checkpoints" / "best.pth").exists()


def test_a_resumed_run_continues_after_the_last_step(config: Config, tmp_path: Path) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    with Run(whole, config, bootstrap=0) as run:
        train(run, Strategy())
        run.finish()
    with Run(torn, config, bootstrap=0) as run:
        train(run, Strategy(), steps=1)
    strategy = Strategy()
    with Run(torn, config, "auto", bootstrap=0) as run:
        train(run, strategy)
        run.finish()
    assert strategy.weight.tolist() == [4.0, 4.0]
    for name in ("metrics.jsonl", "matrix.csv"):
        assert (torn / name).read_text() == (whole / name).read_text()
    results = [json.loads((folder / "results.json").read_text()) for folder in (torn, whole)]
    for content in results:  # the process's peak grows with whatever ran before
        del content["seconds"], content["memory"]["peak"]
    assert results[0] == results[1]


@pytest.mark.parametrize("steps", [1, 2])
def test_a_run_from_another_folders_checkpoint_can_be_resumed_at_once(
    steps: int, config: Config, tmp_path: Path
) -> None:
    """Even if it is killed before its first epoch, or has nothing left to train."""
    with Run(tmp_path / "old", config, bootstrap=0) as run:
        train(run, Strategy())
    kept = tmp_path / "old" / "checkpoints" / f"exp_{steps - 1}.pth"
    with Run(tmp_path / "new", config, str(kept), bootstrap=0) as run:
        run.start(Strategy(), benchmark(), NAMES)
    assert load_checkpoint(tmp_path / "new" / "checkpoints" / "last.pth")["next_step"] == steps
    with Run(tmp_path / "new", config, "auto", bootstrap=0) as run:
        run.start(Strategy(), benchmark(), NAMES)
        assert run.next_step == steps
        run.finish()
    assert json.loads((tmp_path / "new" / "results.json").read_text())["status"] == "finished"


def test_a_strategy_whose_state_is_not_kept_starts_again(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Run(tmp_path, config, bootstrap=0) as run:
        train(run, Forgetful(), steps=1)
    with Run(tmp_path, config, "auto", bootstrap=0) as run:
        run.start(Forgetful(), benchmark(), NAMES)
        assert run.next_step == 0
        assert run.epochs == []
    assert "no checkpoint can hold the state of Forgetful: a resumed run starts" in caplog.text


def stop_after_one_step(config: Config, folder: Path, error: BaseException) -> None:
    """Train a step, then let an error end the run."""
    with Run(folder, config, bootstrap=0) as run:
        train(run, Strategy(), steps=1)
        raise error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("x"), "failed"),
        (KeyboardInterrupt(), "interrupted"),
        (Interrupted(signal.SIGTERM), "interrupted"),
    ],
)
def test_the_status_tells_how_it_ended(
    config: Config, tmp_path: Path, error: BaseException, status: str
) -> None:
    with pytest.raises(type(error)):
        stop_after_one_step(config, tmp_path, error)
    assert json.loads((tmp_path / "results.json").read_text())["status"] == status
    with folder_lock(tmp_path) as free:
        assert free


def test_what_fails_before_the_first_evaluation_leaves_no_results(
    config: Config, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="x"), Run(tmp_path, config):
        raise ValueError("x")
    assert not (tmp_path / "results.json").exists()
    assert not (tmp_path / "metrics.jsonl").exists()


def test_an_earlier_run_is_moved_aside_unless_it_resumes(config: Config, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for resume in (None, "auto", None):
        with Run(folder, config, resume, bootstrap=0) as run:
            train(run, Strategy(), steps=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "run.1"]


def test_a_folder_in_use_is_refused_before_anything_is_moved(
    config: Config, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    with Run(folder, config, bootstrap=0) as run:
        train(run, Strategy(), steps=1)
        with pytest.raises(ArtifactError, match="another process"), Run(folder, config):
            pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_resuming_where_nothing_is_begins_anew(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "cliqa")
    with Run(tmp_path, config, "auto") as run:
        run.start(Strategy(), benchmark(), NAMES)
    assert run.next_step == 0
    assert "has no checkpoint yet: the run starts from scratch" in caplog.text
    with pytest.raises(CheckpointError, match=r"--resume nothing\.pth: no such checkpoint"):
        Run(tmp_path, config, "nothing.pth")


@pytest.fixture
def saved(config: Config, tmp_path: Path) -> Path:
    """Return the folder of a run that has ended after one step."""
    with Run(tmp_path / "run", config, bootstrap=0) as run:
        train(run, Strategy(), steps=1)
    return tmp_path / "run"


def test_where_the_data_lie_and_how_they_are_shown_may_change(config: Config, saved: Path) -> None:
    config["scenario"]["dataset_root"] = "elsewhere"
    config.update(loggers=[], metrics=[], num_workers=4, work_dir="x", evaluation=None)
    with Run(saved, config, "auto", bootstrap=0) as run:
        run.start(Strategy(), benchmark(), NAMES)
        assert run.next_step == 1


def test_keys_that_decide_may_not(config: Config, saved: Path) -> None:
    config["cl_strategy"]["train_mb_size"] = 4
    config["amp"] = True
    message = r"these keys differ: amp, cl_strategy\.train_mb_size\. Use .*config\.py"
    with pytest.raises(CheckpointError, match=message):
        Run(saved, config, "auto")
    config["model"] = {f"key{k}": k for k in range(9)}
    with pytest.raises(CheckpointError, match=r", \.\.\.\. Use the config"):
        Run(saved, config, "auto")


def test_other_data_sets_are_refused(config: Config, saved: Path) -> None:
    with (
        pytest.raises(CheckpointError, match=r"made over the data sets \['a', 'b'\], not \['a'\]"),
        Run(saved, config, "auto", bootstrap=0) as run,
    ):
        run.start(Strategy(), benchmark(["a"]), ["a"])


@pytest.mark.parametrize("state", [{"weight": torch.zeros(1)}, {"format": FORMAT + 1}])
def test_other_files_are_refused(config: Config, tmp_path: Path, state: dict[str, Any]) -> None:
    save_checkpoint(tmp_path / "x.pth", state)
    with pytest.raises(CheckpointError, match=r"not a checkpoint of a run.*load_from=.*x\.pth"):
        Run(tmp_path / "run", config, str(tmp_path / "x.pth"))
    assert not (tmp_path / "run").exists()
