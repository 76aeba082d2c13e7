"""Loggers that show a whole run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cliqa.engine import build as build_module
from cliqa.engine.loggers.build import build_loggers
from cliqa.engine.loggers.guard import guarded
from cliqa.engine.loggers.run_logger import Audience, Facts, RunLogger, earlier_facts
from cliqa.engine.train import train

Config = dict[str, Any]


class Recorder(RunLogger):
    """Keeps all that it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.earlier: list[Facts] = []
        self.curves: dict[tuple[str, str], list[tuple[int, float]]] = {}
        self.tables: dict[str, tuple[Sequence[str], Sequence[Sequence[Any]]]] = {}
        self.images: list[str] = []
        self.config: Mapping[str, Any] = {}
        self.closed = 0

    def log_run(self, config: Mapping[str, Any], work_dir: Path, earlier: Facts) -> Facts:
        self.config = config
        self.earlier.append(earlier)
        return {"id": earlier.get("id", f"id of {work_dir.name}"), "link": "https://x.test/run"}

    def log_values(self, values: Mapping[str, float], axis: str, place: int) -> None:
        for name, value in values.items():
            self.curves.setdefault((axis, name), []).append((place, value))

    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self.tables[name] = columns, rows

    def log_image(self, name: str, file: Path) -> None:
        assert file.is_file()
        self.images.append(name)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def with_recorder(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Recorder]:
    """Return a function that adds a recorder to the loggers of the next runs."""

    def add(recorder: Recorder) -> Recorder:
        def made(config: Config, work_dir: Path) -> list[Any]:
            return [*build_loggers(config, work_dir), guarded(recorder)]

        monkeypatch.setattr(build_module, "build_loggers", made)
        return recorder

    return add


def run(config: Config, folder: Path, **options: Any) -> dict[str, Any]:
    return train(config, config_file="config/x.py", work_dir=folder, device="cpu", **options)


def test_a_run_is_told_to_its_end_and_is_not_changed(
    tiny_config: Config, tiny_run: Path, tmp_path: Path, with_recorder: Callable[..., Recorder]
) -> None:
    tiny_config["cl_strategy"]["train_epochs"] = 1
    tiny_config["progress_seconds"] = 1
    tiny_config["loggers"] = [{"type": "ProgressBar"}, {"type": "TensorboardLogger"}]
    told = with_recorder(Recorder())
    results = run(tiny_config, tmp_path)

    states = [
        torch.load(folder / "checkpoints" / "last.pth", weights_only=True)["strategy"]["model"]
        for folder in (tiny_run, tmp_path)
    ]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])

    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    epochs = [row for row in rows if row["kind"] == "epoch"]
    losses = [(k + 1, row["loss"]) for k, row in enumerate(epochs)]
    rates = [(k + 1, row["lr"]) for k, row in enumerate(epochs)]
    assert told.curves["epoch", "train/loss"] == losses
    assert told.curves["epoch", "train/lr"] == rates
    assert told.curves["epoch", "val/srcc/b"] == [(2, epochs[1]["val_srcc"])]
    for measure in ("srcc", "plcc"):
        final = [(t + 1, row[0]) for t, row in enumerate(results["matrix"][measure])]
        assert told.curves["experience", f"test/{measure}/a"] == final
    columns, matrix = told.tables["matrix/srcc"]
    assert list(columns) == ["", "a", "b", "c"]
    assert matrix[2] == ["after c", *results["matrix"]["srcc"][2]]
    assert ["msrcc", results["summary"]["msrcc"]] in told.tables["summary"][1]
    assert "figures/score_matrix" in told.images
    assert told.config["cl_strategy"]["type"] == "Replay"
    assert told.closed == 1
    kept = json.loads((tmp_path / "run.json").read_text())["loggers"]
    assert kept["Recorder"] == {"id": f"id of {tmp_path.name}", "link": "https://x.test/run"}
    assert kept["TensorboardLogger"]["link"] == f"tensorboard --logdir {tmp_path / 'tensorboard'}"
    check_tensorboard(tmp_path, results)


def check_tensorboard(folder: Path, results: dict[str, Any]) -> None:
    """The events hold the same."""
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    assert {"train/loss", "train/lr", "val/srcc/c", "test/srcc/a"} <= set(tags["scalars"])
    final = [event.value for event in events.Scalars("test/srcc/a")]
    assert final == pytest.approx([row[0] for row in results["matrix"]["srcc"]])
    assert {"figures/score_matrix", "figures/history"} <= set(tags["images"])
    texts = {tag.removesuffix("/text_summary") for tag in tags["tensors"]}
    assert {"config", "matrix/srcc", "summary"} <= texts


def test_a_resumed_run_is_told_what_it_was(
    tiny_config: Config, tmp_path: Path, with_recorder: Callable[..., Recorder]
) -> None:
    tiny_config["scenario"]["datasets"] = tiny_config["scenario"]["datasets"][:1]
    tiny_config["cl_strategy"]["train_epochs"] = 1
    told = with_recorder(Recorder())
    run(tiny_config, tmp_path / "run")
    run(tiny_config, tmp_path / "run", resume="auto")
    run(tiny_config, tmp_path / "other")
    first = {"id": "id of run", "link": "https://x.test/run"}
    assert told.earlier == [{}, first, {}]
    assert len(told.curves["epoch", "train/loss"]) == 2  # nothing was trained in the second


def test_what_a_service_does_is_not_the_run_s_end(
    tiny_config: Config,
    tmp_path: Path,
    with_recorder: Callable[..., Recorder],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: Any) -> Any:
        raise RuntimeError("503 Service Unavailable")

    for name in ("log_run", "log_values", "log_table", "log_image", "close"):
        monkeypatch.setattr(Recorder, name, refuse)
    with_recorder(Recorder())
    tiny_config["scenario"]["datasets"] = tiny_config["scenario"]["datasets"][:1]
    tiny_config["cl_strategy"]["train_epochs"] = 1
    assert run(tiny_config, tmp_path)["status"] == "finished"
    lost = [r.getMessage() for r in caplog.records if "cannot write" in r.getMessage()]
    assert lost == [
        "Recorder: cannot write (RuntimeError: 503 Service Unavailable); the run continues "
        "without it"
    ]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"loggers": 3}', '{"loggers": {"A": 3}}', "\0"])
def test_a_damaged_record_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(text)
    assert earlier_facts(tmp_path) == {}


def test_what_is_no_number_is_no_point() -> None:
    told = Recorder()
    row = {"name": "a", "loss": 0.5, "val_srcc": None, "lr": float("nan"), "best_epoch": 2}
    Audience([told, object()]).epoch(row, 3)
    assert told.curves == {("epoch", "train/loss"): [(3, 0.5)]}
    told.log_single_metric("metric", 2, 7)
    told.log_single_metric("figure", "text", 7)
    assert told.curves["iteration", "metric"] == [(7, 2)]
