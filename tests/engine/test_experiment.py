"""What the loop over the stream asks of strategy and records, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cliqa.engine.build import Parts, build
from cliqa.engine.experiment import evaluate_stream, train_stream
from cliqa.evaluation.functional import srcc
from cliqa.visualization.history import load_metrics

Config = dict[str, Any]


class Records:
    """Keeps what a run is told."""

    def __init__(self, next_step: int = 0) -> None:
        self.next_step = next_step
        self.moved = False
        self.kept: list[bool] = []
        self.labels: list[str] = []
        self.events: list[tuple[Any, ...]] = []
        self.rows: list[dict[str, Any]] = []
        self.epochs = self.rows
        self.evaluations: list[dict[str, Any]] = []
        self.pairs: dict[tuple[int, str], tuple[np.ndarray, np.ndarray]] = {}

    def start(self, strategy: Any, benchmark: Any, labels: list[str], catch_up: Any) -> None:
        self.labels = labels

    def finish_epoch(
        self,
        strategy: Any,
        row: dict[str, Any],
        seconds: float,
        keep: bool = False,
        cpu_seconds: float = 0.0,
    ) -> None:
        assert seconds > 0
        assert cpu_seconds > 0
        self.kept.append(keep)
        self.events.append(("epoch", row["name"], row["epoch"]))
        self.rows.append(row)

    def record(self, step: int, name: str, prediction: np.ndarray, target: np.ndarray) -> None:
        self.events.append(("eval", step, name))
        self.pairs[step, name] = prediction, target

    def finish_step(self, strategy: Any, step: int, seconds: float, last: bool = False) -> None:
        assert seconds > 0
        self.events.append(("step", step))
        self.next_step = step + 1

    def finish(self, status: str = "finished") -> dict[str, Any]:
        return {"status": status}


def parts_of(config: Config) -> Parts:
    config["scenario"]["datasets"] = config["scenario"]["datasets"][:2]
    return build(config, torch.device("cpu"))


def test_every_step_is_trained_then_evaluated_then_finished(tiny_config: Config) -> None:
    records = Records()
    assert train_stream(parts_of(tiny_config), records) == {"status": "finished"}  # type: ignore[arg-type]
    assert records.labels == ["a", "b"]
    assert records.events == [
        *(("epoch", "a", 1), ("epoch", "a", 2)),
        *(("eval", 0, "a"), ("eval", 0, "b"), ("step", 0)),
        *(("epoch", "b", 1), ("epoch", "b", 2)),
        *(("eval", 1, "a"), ("eval", 1, "b"), ("step", 1)),
    ]
    for row in records.rows:
        assert row["kind"] == "epoch"
        assert row["loss"] > 0
        assert -1 <= row["val_srcc"] <= 1


def test_it_begins_where_the_run_says(tiny_config: Config) -> None:
    tiny_config["cl_strategy"]["train_epochs"] = 1
    records = Records(next_step=1)
    train_stream(parts_of(tiny_config), records)  # type: ignore[arg-type]
    assert records.events[0] == ("epoch", "b", 1)


def test_it_stops_after_so_many_steps_and_keeps_an_experiences_last_epoch(
    tiny_config: Config,
) -> None:
    tiny_config["cl_strategy"]["scheduler"] = None
    records = Records()
    assert train_stream(parts_of(tiny_config), records, 1) == {"status": "stopped"}  # type: ignore[arg-type]
    assert records.events[-1] == ("step", 0)
    assert records.kept == [False, True]
    tiny_config["cl_strategy"]["scheduler"] = {"type": "CosineLR"}  # spans the experience
    records = Records(next_step=1)
    assert train_stream(parts_of(tiny_config), records, 9) == {"status": "finished"}  # type: ignore[arg-type]
    assert records.kept == [False, False]


def test_the_validation_score_is_that_of_the_epochs_model(tiny_config: Config) -> None:
    tiny_config["cl_strategy"]["train_epochs"] = 1
    parts, records = parts_of(tiny_config), Records(next_step=1)
    train_stream(parts, records)  # type: ignore[arg-type]
    data = parts.benchmark.validation(1)
    assert data is not None
    assert records.rows[-1]["val_srcc"] == srcc(*parts.strategy.predict(data))


@pytest.mark.parametrize(("every", "measured"), [(0, []), (2, [2]), (3, [3])])
def test_validation_at_intervals(tiny_config: Config, every: int, measured: list[int]) -> None:
    tiny_config["cl_strategy"].update(validate_every=every, train_epochs=3)
    records = Records(next_step=1)
    train_stream(parts_of(tiny_config), records)  # type: ignore[arg-type]
    found = [row["epoch"] for row in records.rows if row["val_srcc"] is not None]
    assert found == measured


def test_without_a_validation_split_there_is_no_value(tiny_config: Config) -> None:
    tiny_config["cl_strategy"]["train_epochs"] = 1
    for section in tiny_config["scenario"]["datasets"]:
        section["fractions"] = (0.7, 0.0, 0.3)
    records = Records(next_step=1)
    train_stream(parts_of(tiny_config), records)  # type: ignore[arg-type]
    assert [row["val_srcc"] for row in records.rows] == [None]


def test_an_undefined_validation_score_is_none(tiny_config: Config) -> None:
    tiny_config["cl_strategy"].update(train_epochs=1, optimizer={"type": "SGD", "lr": 0.0})
    parts, records = parts_of(tiny_config), Records(next_step=1)
    for name, weight in parts.model.named_parameters():
        if name.startswith("head.") and name.endswith("weight"):
            weight.data.zero_()  # a constant prediction has no order
    train_stream(parts, records)  # type: ignore[arg-type]
    assert [row["val_srcc"] for row in records.rows] == [None]


def test_joint_training_is_one_step_of_all_names(tiny_config: Config) -> None:
    del tiny_config["cl_strategy"]["mem_size"]
    tiny_config["cl_strategy"].update(type="JointTraining", train_epochs=1)
    records = Records()
    train_stream(parts_of(tiny_config), records)  # type: ignore[arg-type]
    assert records.labels == ["a+b"]
    assert [event for event in records.events if event[0] == "step"] == [("step", 0)]


def test_evaluation_leaves_the_model_as_it_was(tiny_config: Config) -> None:
    parts, records = parts_of(tiny_config), Records()
    parts.model.train()
    before = {key: value.clone() for key, value in parts.model.state_dict().items()}
    evaluate_stream(parts, records, 5, {0})  # type: ignore[arg-type]
    assert list(records.pairs) == [(5, "a"), (5, "b")]
    prediction, target = records.pairs[5, "a"]
    assert prediction.shape == target.shape == (12,)
    after = parts.model.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in before)


def test_the_best_epoch_is_kept_and_recorded(tiny_config: Config) -> None:
    tiny_config["cl_strategy"].update(train_epochs=4, keep_best=True)
    tiny_config["cl_strategy"]["optimizer"]["lr"] = 0.05
    parts, records = parts_of(tiny_config), Records()
    train_stream(parts, records)  # type: ignore[arg-type]
    for name, index in (("a", 0), ("b", 1)):
        rows = [row for row in records.rows if row["name"] == name]
        scores = [row["val_srcc"] for row in rows]
        for epoch, row in enumerate(rows, start=1):
            assert row["best_epoch"] == 1 + scores.index(max(scores[:epoch]))
        data = parts.benchmark.validation(index)
        if name == "b":
            assert srcc(*parts.strategy.predict(data)) == max(scores)


def test_patience_counts_validated_epochs_alone(tiny_config: Config) -> None:
    tiny_config["cl_strategy"].update(
        train_epochs=9,
        validate_every=2,
        patience=2,
        min_delta=2.0,  # an SRCC cannot grow by more
    )
    records = Records(next_step=1)
    train_stream(parts_of(tiny_config), records)  # type: ignore[arg-type]
    assert [row["epoch"] for row in records.rows] == [1, 2, 3, 4, 5, 6]
    assert records.rows[0]["best_epoch"] is None


def test_all_options_together_resume_to_the_bit(
    tiny_config: Config, run_config: Callable[..., Path], assert_same: Callable[..., None]
) -> None:
    tiny_config["scenario"]["datasets"] = tiny_config["scenario"]["datasets"][:2]
    tiny_config["scenario"].update(patches_per_image=2, patch_pool=16)
    # no stage 4: torch's bfloat16 gradient of a strided convolution of 1 x 1 pixels is garbage
    stages = {"num_stages": 3, "strides": (1, 2, 2), "dilations": (1, 1, 1), "out_indices": (2,)}
    tiny_config["model"]["backbone"].update(stages)
    tiny_config["model"]["head"]["in_channels"] = 16
    rule = {"match": "backbone", "lr_mult": 0.1, "weight_decay": 0.0}
    tiny_config["cl_strategy"].update(
        train_epochs=3,
        accumulate=2,
        keep_best=True,
        patience=2,
        optimizer={"type": "AdamW", "lr": 1e-2, "paramwise": [rule]},
        scheduler={"type": "CosineLR", "warmup_epochs": 1, "by": "iteration"},
        plugins=[{"type": "EMA", "decay": 0.9}, {"type": "SI"}],
    )
    tiny_config.update(amp="bfloat16", checkpoint_config={"interval": 1})
    whole = run_config(tiny_config, "whole")
    expected = torch.load(whole / "checkpoints" / "last.pth", weights_only=True)["strategy"]
    for step, epoch in ((0, 1), (1, 2)):
        start = whole / "checkpoints" / f"exp_{step}_epoch_{epoch}.pth"
        again = run_config(tiny_config, f"again_{step}_{epoch}", resume=str(start))
        found = torch.load(again / "checkpoints" / "last.pth", weights_only=True)["strategy"]
        assert_same(found, expected)


def test_epochs_are_measured_on_both_splits(
    tiny_config: dict[str, Any], run_config: Callable[..., Path]
) -> None:
    tiny_config["scenario"]["datasets"] = tiny_config["scenario"]["datasets"][:2]
    tiny_config["cl_strategy"].update(type="Naive", train_epochs=1)
    del tiny_config["cl_strategy"]["mem_size"]
    last = tiny_config["scenario"]["datasets"][1]
    last["fractions"] = (0.7, 0.0, 0.3)
    rows = load_metrics(run_config(tiny_config))
    first, second = (row for row in rows if row["kind"] == "epoch")
    for name in ("train_srcc", "val_srcc", "val_plcc"):
        assert -1 <= first[name] <= 1
    assert second["val_srcc"] is None
    assert -1 <= second["train_srcc"] <= 1


def test_epochs_of_classes_are_measured_by_their_accuracy(
    split_config: dict[str, Any], run_config: Callable[..., Path]
) -> None:
    split_config["cl_strategy"]["train_epochs"] = 1
    rows = [row for row in load_metrics(run_config(split_config)) if row["kind"] == "epoch"]
    assert all(0 <= row["train_accuracy"] <= 1 for row in rows)
