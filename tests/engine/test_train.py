"""A run from config to results, its restarts and its refusals."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from cliqa.config.load import load_config
from cliqa.engine import experiment
from cliqa.engine import train as engine_train
from cliqa.engine.interrupts import Interrupted
from cliqa.engine.train import train
from cliqa.evaluation.records.predictions import load_predictions
from cliqa.inference.evaluate import evaluate
from cliqa.training.loop import steps
from cliqa.training.loop.precision import Computation
from cliqa.utils import io as cliqa_io
from cliqa.utils.errors import (
    ArtifactError,
    CheckpointError,
    ConfigError,
    DatasetError,
    MachineError,
)
from cliqa.utils.locks import folder_lock

Config = dict[str, Any]


def run(config: Config, folder: Path, figures: bool = False, **options: Any) -> dict[str, Any]:
    """Train, and draw no figures unless they are asked for: they take most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        if not figures:
            patch.setattr(engine_train, "draw_run", lambda _: [])
        return train(config, config_file="config/tiny.py", work_dir=folder, device="cpu", **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Config], Path]:
    """Return a function that trains a config once a module and returns the work_dir."""
    root = tmp_path_factory.mktemp("runs")

    def make(config: Config) -> Path:
        folder = root / config["cl_strategy"]["type"]
        if not folder.exists():
            run(config, folder, figures=True)
        return folder

    return make


def test_work_dir_holds_what_is_promised(
    finished: Callable[[Config], Path], tiny_config: Config
) -> None:
    folder = finished(tiny_config)
    for name in ("run.json", "train.log", "metrics.log", "metrics.csv", "matrix.csv"):
        assert (folder / name).stat().st_size > 0
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == [
        "best.pth",
        "exp_0.pth",
        "exp_1.pth",
        "exp_2.pth",
        "last.pth",
    ]
    assert (folder / "last_checkpoint").read_text().strip() == "exp_2.pth"
    assert len(list((folder / "predictions").iterdir())) == 3
    assert list((folder / "figures").glob("*.png"))
    facts = json.loads((folder / "run.json").read_text())
    assert facts["seed"] == 0
    assert facts["device"] == "cpu"
    assert facts["packages"]["torch"] == torch.__version__.split("+")[0] or facts["packages"]
    loaded = load_config(folder / "config.py")
    for section in ("scenario", "model", "cl_strategy", "seed"):
        assert loaded[section] == tiny_config[section]


def test_results_are_scipy_on_the_stored_predictions(
    finished: Callable[[Config], Path], tiny_config: Config
) -> None:
    folder = finished(tiny_config)
    results = json.loads((folder / "results.json").read_text())
    assert results["status"] == "finished"
    assert results["experiences"] == results["datasets"] == ["a", "b", "c"]
    for t in range(3):
        for k, name in enumerate("abc"):
            stored = load_predictions(folder, t, name)
            prediction, target = stored.prediction, stored.target
            assert np.allclose(stored.raw, target)
            assert stored.image[0].startswith(name)
            srcc = stats.spearmanr(prediction, target).statistic
            assert results["matrix"]["srcc"][t][k] == pytest.approx(srcc, abs=1e-12)
            plcc = stats.pearsonr(prediction, target).statistic
            assert results["matrix"]["plcc"][t][k] == pytest.approx(plcc, abs=1e-9)
    final = results["matrix"]["srcc"][2]
    assert results["summary"]["msrcc"] == pytest.approx(np.mean(final))


def test_history_has_a_row_an_epoch_and_an_evaluation(
    finished: Callable[[Config], Path], tiny_config: Config
) -> None:
    lines = (finished(tiny_config) / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    epochs = [row for row in rows if row["kind"] == "epoch"]
    assert [(row["name"], row["epoch"]) for row in epochs] == [
        (name, epoch) for name in "abc" for epoch in (1, 2)
    ]
    assert [row["lr"] for row in epochs[:2]] == pytest.approx([1e-3, 5e-4])
    assert len([row for row in rows if row["kind"] == "eval"]) == 9


def test_evaluating_again_gives_the_same_numbers(
    finished: Callable[[Config], Path], tiny_config: Config
) -> None:
    folder = finished(tiny_config)
    results = json.loads((folder / "results.json").read_text())
    for t in range(3):
        checkpoint = folder / "checkpoints" / f"exp_{t}.pth"
        again = evaluate(tiny_config, config_file="tiny.py", checkpoint=checkpoint, device="cpu")
        for k, name in enumerate("abc"):
            data = again["datasets"][name]
            for measure in ("srcc", "plcc", "krcc", "rmse"):
                assert data["metrics"][measure] == results["matrix"][measure][t][k]
            found = [row["prediction"] for row in data["predictions"]]
            expected = load_predictions(folder, t, name).prediction.astype(np.float32)
            assert np.array_equal(np.asarray(found, dtype=np.float32), expected)


def test_a_second_run_moves_the_first_aside(tiny_config: Config, tmp_path: Path) -> None:
    tiny_config["cl_strategy"]["train_epochs"] = 1
    tiny_config["scenario"]["datasets"] = tiny_config["scenario"]["datasets"][:1]
    run(tiny_config, tmp_path / "run")
    first = (tmp_path / "run" / "results.json").read_text()
    run(tiny_config, tmp_path / "run")
    assert (tmp_path / "run.1" / "results.json").read_text() == first
    assert (tmp_path / "run" / "results.json").exists()


def test_resuming_from_another_folder_overwrites_nothing(
    tiny_config: Config, tmp_path: Path
) -> None:
    tiny_config["cl_strategy"]["train_epochs"] = 1
    tiny_config["scenario"]["datasets"] = tiny_config["scenario"]["datasets"][:1]
    run(tiny_config, tmp_path / "one")
    run(tiny_config, tmp_path / "two")
    results = (tmp_path / "two" / "results.json").read_text()
    run(tiny_config, tmp_path / "two", resume=str(tmp_path / "one" / "checkpoints" / "exp_0.pth"))
    assert (tmp_path / "two.1" / "results.json").read_text() == results
    assert (tmp_path / "two" / "results.json").exists()


def test_resuming_a_finished_run_changes_nothing(
    finished: Callable[[Config], Path], tiny_config: Config
) -> None:
    folder = finished(tiny_config)
    before = {name: (folder / name).read_bytes() for name in ("results.json", "metrics.jsonl")}
    results = run(tiny_config, folder, resume="auto")
    assert results["status"] == "finished"
    assert before == {name: (folder / name).read_bytes() for name in before}


def test_resume_from_a_kept_checkpoint_repeats_the_rest(
    finished: Callable[[Config], Path], tiny_config: Config, tmp_path: Path
) -> None:
    folder = finished(tiny_config)
    checkpoint = folder / "checkpoints" / "exp_1.pth"
    for name in ("predictions",):  # the stability index needs the earlier predictions
        (tmp_path / "run" / name).mkdir(parents=True)
        for path in (folder / name).glob("after_[01]*"):
            (tmp_path / "run" / name / path.name).write_bytes(path.read_bytes())
    run(tiny_config, tmp_path / "run", resume=str(checkpoint))
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == (
        folder / "metrics.jsonl"
    ).read_bytes()


def test_another_config_is_refused_with_the_differing_keys(
    finished: Callable[[Config], Path], tiny_config: Config
) -> None:
    folder = finished(tiny_config)
    tiny_config["cl_strategy"]["optimizer"] = {"type": "SGD", "lr": 0.1}
    tiny_config["seed"] = 3
    with pytest.raises(CheckpointError, match=r"cl_strategy\.optimizer\.lr.*seed") as caught:
        run(tiny_config, folder, resume="auto")
    assert "another config" in str(caught.value)


def test_other_loggers_and_paths_do_not_matter(
    finished: Callable[[Config], Path], tiny_config: Config
) -> None:
    folder = finished(tiny_config)
    changed = {**tiny_config, "loggers": [], "num_workers": 1, "checkpoint_config": {"interval": 1}}
    assert run(changed, folder, resume="auto")["status"] == "finished"


def test_joint_training_has_one_row(tiny_config: Config, tmp_path: Path) -> None:
    del tiny_config["cl_strategy"]["mem_size"]
    tiny_config["cl_strategy"]["type"] = "JointTraining"
    results = run(tiny_config, tmp_path / "run")
    assert len(results["matrix"]["srcc"]) == 1
    assert results["joint"] is True
    assert results["summary"]["bwt"] is None
    assert results["summary"]["msrcc"] == pytest.approx(np.mean(results["matrix"]["srcc"][0]))


def test_interval_keeps_checkpoints_inside_experiences(tiny_config: Config, tmp_path: Path) -> None:
    tiny_config["checkpoint_config"] = {"interval": 2}
    tiny_config["cl_strategy"]["train_epochs"] = 3
    tiny_config["scenario"]["datasets"] = tiny_config["scenario"]["datasets"][:1]
    run(tiny_config, tmp_path)
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["best.pth", "exp_0.pth", "exp_0_epoch_2.pth", "last.pth"]


def test_keep_limits_them(tiny_config: Config, tmp_path: Path) -> None:
    tiny_config["checkpoint_config"] = {"interval": 1, "keep": 2}
    tiny_config["cl_strategy"]["train_epochs"] = 4
    tiny_config["scenario"]["datasets"] = tiny_config["scenario"]["datasets"][:1]
    run(tiny_config, tmp_path)
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["best.pth", "exp_0.pth", "exp_0_epoch_3.pth", "exp_0_epoch_4.pth", "last.pth"]


def test_a_signal_stops_and_resume_resumes(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = experiment._report
    tiny_config["cl_strategy"]["train_epochs"] = 1
    tiny_config["scenario"]["datasets"] = tiny_config["scenario"]["datasets"][:2]
    count = [0]

    def send(*arguments: Any) -> None:
        count[0] += 1
        if count[0] == 2:
            threading.Timer(0.0, os.kill, (os.getpid(), signal.SIGTERM)).start()
        report(*arguments)

    monkeypatch.setattr(experiment, "_report", send)
    with pytest.raises(Interrupted):
        run(tiny_config, tmp_path)
    assert json.loads((tmp_path / "results.json").read_text())["status"] == "interrupted"
    assert "--resume" in (tmp_path / "train.log").read_text()
    assert run(tiny_config, tmp_path, resume="auto")["status"] == "finished"


def test_two_processes_cannot_share_a_folder(tiny_config: Config, tmp_path: Path) -> None:
    message = r"another process is training in it.*--work-dir"
    with folder_lock(tmp_path), pytest.raises(ArtifactError, match=message):
        run(tiny_config, tmp_path)


def test_an_upstream_strategy_runs_and_starts_again(
    tiny_config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    section = tiny_config["cl_strategy"]
    del section["mem_size"]
    tiny_config["scenario"]["datasets"] = tiny_config["scenario"]["datasets"][:2]
    section.update(
        type="avalanche.EWC", ewc_lambda=1.0, mode="online", decay_factor=0.9, train_epochs=1
    )
    whole = run(tiny_config, tmp_path / "whole")
    start = tmp_path / "whole" / "checkpoints" / "exp_0.pth"
    again = run(tiny_config, tmp_path / "again", resume=str(start))
    assert torch.load(start, weights_only=True)["next_step"] == 1
    assert "no checkpoint can hold the state of EWC and EWCPlugin" in caplog.text
    assert again["matrix"] == whole["matrix"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"scenario": {"dataset_root": "nowhere"}}, DatasetError, "nowhere"),
        ({"model": {"type": "QualityModle"}}, ConfigError, "Did you mean 'QualityModel'"),
        ({"load_from": "missing.pth"}, CheckpointError, "missing.pth: no such checkpoint"),
        ({"metrics": [{"type": "accuracy_metrics"}]}, ConfigError, "quality_metrics"),
    ],
)
def test_a_mistake_leaves_no_folder_behind(
    tiny_config: Config,
    tmp_path: Path,
    change: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    for key, value in change.items():
        merged = {**tiny_config[key], **value} if isinstance(value, dict) else value
        tiny_config[key] = merged
    with pytest.raises(error, match=message):
        run(tiny_config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_all_mistakes_are_reported_at_once(tiny_config: Config, tmp_path: Path) -> None:
    tiny_config["cl_strategy"]["optimizer"] = {"type": "SGDD"}
    tiny_config["cl_strategy"]["mem_sice"] = 3
    tiny_config["loggers"] = [{"type": "TextLoger"}]
    with pytest.raises(ConfigError) as caught:
        run(tiny_config, tmp_path / "run")
    text = str(caught.value)
    assert "cl_strategy.optimizer: unknown optimizer 'SGDD'" in text
    assert "unexpected argument 'mem_sice'. Did you mean 'mem_size'?" in text
    assert "loggers[0]: unknown logger 'TextLoger'. Did you mean 'TextLogger'?" in text


def test_words_are_written_as_what_they_mean_and_resume_with_it(
    tiny_config: Config, tmp_path: Path
) -> None:
    tiny_config["cl_strategy"].update(train_epochs=1, reset_optimizer="yes")
    tiny_config["scenario"]["datasets"] = tiny_config["scenario"]["datasets"][:1]
    tiny_config["scenario"]["datasets"][0]["higher_is_better"] = "yes"
    run(tiny_config, tmp_path / "run")
    written = load_config(tmp_path / "run" / "config.py")
    assert written["cl_strategy"]["reset_optimizer"] is True
    assert written["scenario"]["datasets"][0]["higher_is_better"] is True
    tiny_config["cl_strategy"]["reset_optimizer"] = True
    tiny_config["scenario"]["datasets"][0]["higher_is_better"] = True
    run(tiny_config, tmp_path / "run", resume="auto")
    tiny_config["cl_strategy"]["reset_optimizer"] = "no"
    with pytest.raises(CheckpointError, match=r"cl_strategy\.reset_optimizer"):
        run(tiny_config, tmp_path / "run", resume="auto")


@pytest.fixture
def small_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let memory suffice for batches of four."""
    apply_model = steps.apply_model

    def apply(model: Any, images: Any) -> Any:
        if len(images) > 4:
            raise torch.OutOfMemoryError(
                "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of ..."
            )
        return apply_model(model, images)

    monkeypatch.setattr(steps, "apply_model", apply)


@pytest.mark.usefixtures("small_gpu")
def test_memory_that_does_not_suffice_says_what_to_lower(
    tiny_config: Config, tmp_path: Path
) -> None:
    section = tiny_config["cl_strategy"]
    section.update(train_epochs=1, eval_mb_size=4)
    tiny_config["scenario"]["datasets"] = tiny_config["scenario"]["datasets"][:2]
    del section["mem_size"]
    section["type"] = "Naive"
    with pytest.raises(MachineError) as caught:
        run(tiny_config, tmp_path)
    assert str(caught.value) == (
        "out of memory (CUDA out of memory. Tried to allocate 2.00 GiB) while training on 8 "
        "samples of 3 x 12 x 12. Lower cl_strategy.train_mb_size (8) or the sizes in "
        "scenario.train_transform, or set amp=True."
    )
    section.update(train_mb_size=4, eval_mb_size=16)
    with pytest.raises(
        MachineError,
        match=r"while evaluating 1\d samples of 3 x 16 x 16\. Lower "
        r"cl_strategy\.eval_mb_size \(16\) or the sizes in scenario\.eval_tr",
    ):
        run(tiny_config, tmp_path)
    section["eval_mb_size"] = 4
    assert run(tiny_config, tmp_path)["status"] == "finished"


@pytest.mark.parametrize("share", [0.2, 0.7])
def test_a_disk_that_was_full_loses_nothing(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    tiny_config["cl_strategy"]["train_epochs"] = 1
    tiny_config["scenario"]["datasets"] = tiny_config["scenario"]["datasets"][:2]
    written = [0]
    raw = cliqa_io._Raw.write

    def count(self: Any, content: Any) -> int:
        done = raw(self, content)
        written[0] += done
        return done

    with monkeypatch.context() as patch:
        patch.setattr(cliqa_io._Raw, "write", count)
        whole = run(tiny_config, tmp_path / "whole")
    room = int(share * written[0])

    def write(self: Any, content: Any) -> int:
        nonlocal room
        if len(content) > room:
            room = 0
            self.failure = OSError(28, "No space left on device")
            raise self.failure
        room -= len(content)
        return raw(self, content)

    folder = tmp_path / "full"
    with monkeypatch.context() as patch:
        patch.setattr(cliqa_io._Raw, "write", write)
        with pytest.raises(OSError, match="No space left") as caught:
            run(tiny_config, folder)
    assert Path(caught.value.filename).is_relative_to(folder)
    assert not list(folder.rglob(".*.tmp"))
    found = run(tiny_config, folder, resume="auto")
    assert found["matrix"] == whole["matrix"]
    last = [torch.load(tmp_path / name / "checkpoints" / "last.pth") for name in ("whole", "full")]
    weights = [state["strategy"]["model"] for state in last]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def own_file(config: Config, folder: Path, count: int, factor: float = 1.0) -> None:
    """Let a config learn the first `count` images of its first data set alone, from a file."""
    (section, *_) = config["scenario"]["datasets"]
    source = Path(config["scenario"]["dataset_root"]) / section["name"] / "scores.csv"
    header, *rows = source.read_text().splitlines()
    scaled = [f"{name},{factor * float(score)}" for name, score in (r.split(",") for r in rows)]
    (folder / "own.csv").write_text("\n".join([header, *scaled[:count]]))
    section["labels"] = str(folder / "own.csv")
    section.pop("fractions", None)
    config["scenario"]["datasets"] = [section]
    config["cl_strategy"]["train_epochs"] = 1


@pytest.mark.parametrize(("count", "tested"), [(20, 2), (10, 1)])
def test_a_handful_of_photographs_ends_with_results(
    tiny_config: Config, tmp_path: Path, count: int, tested: int
) -> None:
    own_file(tiny_config, tmp_path, count)
    results = run(tiny_config, tmp_path / "run", figures=True)
    assert results["status"] == "finished"
    assert results["images"] == [tested]
    for measure in ("srcc", "krcc", "plcc"):
        value = results["matrix"][measure][0][0]
        assert value is None if tested == 1 else value in (None, *map(pytest.approx, (1.0, -1.0)))
    assert any("one image in the split" in w for w in results["warnings"]) == (tested == 1)


def test_scores_on_another_scale_are_warned_about_in_the_results(
    tiny_config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own_file(tiny_config, tmp_path, 40, factor=4)
    tiny_config["scenario"]["datasets"][0]["score_range"] = (0, 100)
    results = run(tiny_config, tmp_path / "run")
    (told,) = [w for w in results["warnings"] if "of the declared range 0..100" in w]
    assert "Set score_range=(0, 5)" in told
    assert told in caplog.text


def test_a_missing_split_leaves_no_folder_behind(tiny_config: Config, tmp_path: Path) -> None:
    own_file(tiny_config, tmp_path, 20)
    tiny_config["scenario"]["datasets"][0]["fractions"] = (0.9, 0.1, 0)
    with pytest.raises(ConfigError, match="a has no test split"):
        run(tiny_config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_measured_precision_is_told_and_kept_by_a_resumed_run(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, other = Computation("bfloat16", channels_last=True), Computation()
    tiny_config["amp"] = "auto"
    monkeypatch.setattr(steps, "fastest_step", lambda *_: (chosen, {chosen: 0.1, other: 0.2}))
    results = run(tiny_config, tmp_path, stop_after=1)
    assert "amp='auto': computed in bfloat16, channels last" in results["warnings"]
    monkeypatch.setattr(steps, "fastest_step", lambda *_: (other, {chosen: 0.2, other: 0.1}))
    again = run(tiny_config, tmp_path, resume="auto", stop_after=2)
    assert "amp='auto': computed in bfloat16, channels last" in again["warnings"]
    assert not any("float32" in line for line in again["warnings"])
    assert "amp='auto': computed in bfloat16" in (tmp_path / "train.log").read_text()
