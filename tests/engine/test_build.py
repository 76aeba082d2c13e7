"""What a config describes is what is built."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from avalanche.training.plugins import EvaluationPlugin, ReplayPlugin
from torch import nn

from cliqa.engine.build import (
    Parts,
    build,
    build_evaluator,
    build_model_and_strategy,
    build_optimizer,
)
from cliqa.evaluation.metrics.prediction_collector import PredictionCollector
from cliqa.evaluation.metrics.quality import QualityMetric
from cliqa.losses.scores import ScoreLoss
from cliqa.models.input_statistics import InputStatistics
from cliqa.training.plugins.regularization.l2 import L2
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.training.supervised.cumulative import Cumulative
from cliqa.training.supervised.naive import Naive
from cliqa.utils.checkpoint import save_checkpoint
from cliqa.utils.errors import ConfigError, DatasetError

Config = dict[str, Any]
CPU = torch.device("cpu")


def test_parts_are_those_of_the_config(tiny_config: Config) -> None:
    before = copy.deepcopy(tiny_config)
    tiny_config["num_workers"] = 2
    tiny_config["cl_strategy"].update(clip_grad_norm=0.5, reset_optimizer=True)
    given = copy.deepcopy(tiny_config)
    parts = build(tiny_config, CPU)
    assert tiny_config == given != before
    strategy = parts.strategy
    assert parts.benchmark.names == ["a", "b", "c"]
    assert parts.model is strategy.model
    assert (strategy.train_mb_size, strategy.eval_mb_size, strategy.train_epochs) == (8, 16, 2)
    assert (strategy.options.num_workers, strategy.options.clip_grad_norm) == (2, 0.5)
    assert strategy.options.reset_optimizer
    assert isinstance(strategy.optimizer, torch.optim.AdamW)
    assert strategy.optimizer.defaults["lr"] == 1e-3
    assert isinstance(strategy._criterion, ScoreLoss)
    assert isinstance(strategy._criterion.loss, nn.L1Loss)
    assert strategy.schedule.config == {"type": "CosineAnnealingLR"}
    assert parts.predictions in strategy.evaluator.metrics
    assert strategy.evaluator.loggers == []


def test_images_of_another_mean_than_the_weights_expect_are_told(
    tiny_config: Config, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    half = InputStatistics((0.9,) * 3, (0.5,) * 3, "timm's 'x'")
    monkeypatch.setattr(nn.Module, "input_statistics", half, raising=False)
    build(tiny_config, CPU)
    told = [r.getMessage() for r in caplog.records if "timm's 'x' expects" in r.getMessage()]
    assert [line.split()[0] for line in told] == [
        "scenario.train_transform",
        "scenario.eval_transform",
    ]


def test_a_plugin_as_the_type_is_naive_with_that_plugin_first(tiny_config: Config) -> None:
    tiny_config["cl_strategy"]["plugins"] = [{"type": "L2", "strength": 0.5}]
    _, strategy, *_ = build_model_and_strategy(tiny_config, CPU)
    assert type(strategy) is Naive
    replay, anchor = strategy.plugins[:2]
    assert isinstance(replay, Replay)
    assert replay.mem_size == 10
    assert isinstance(anchor, L2)
    assert anchor.strength == 0.5


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("Naive", {}, Naive),
        ("Cumulative", {}, Cumulative),
        ("avalanche.EWC", {"ewc_lambda": 2.0}, "EWC"),
        ("avalanche.Replay", {"mem_size": 5}, "Replay"),
    ],
)
def test_strategies_by_name(
    tiny_config: Config, name: str, arguments: Config, expected: type | str
) -> None:
    del tiny_config["cl_strategy"]["mem_size"]
    tiny_config["cl_strategy"].update(type=name, **arguments)
    _, strategy, *_ = build_model_and_strategy(tiny_config, CPU)
    assert expected in (type(strategy), type(strategy).__name__)
    if name == "avalanche.Replay":
        assert any(isinstance(plugin, ReplayPlugin) for plugin in strategy.plugins)


def test_the_seed_decides_over_the_first_weights(tiny_config: Config) -> None:
    def weights(seed: int) -> torch.Tensor:
        model, *_ = build_model_and_strategy({**tiny_config, "seed": seed}, CPU)
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    torch.manual_seed(1)
    first = weights(0)
    torch.manual_seed(2)
    assert torch.equal(weights(0), first)
    assert not torch.equal(weights(1), first)


def test_load_from_gives_the_weights(tiny_config: Config, tmp_path: Path) -> None:
    source, *_ = build_model_and_strategy({**tiny_config, "seed": 5}, CPU)
    save_checkpoint(tmp_path / "w.pth", source.state_dict())
    loaded, *_ = build_model_and_strategy(
        {**tiny_config, "load_from": str(tmp_path / "w.pth")}, CPU
    )
    for key, value in source.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value)


def test_frozen_weights_are_not_in_the_optimizer() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    model[0].requires_grad_(False)
    optimizer = build_optimizer({"type": "SGD", "lr": 0.1}, model)
    assert [id(p) for p in optimizer.param_groups[0]["params"]] == list(
        map(id, model[1].parameters())
    )


def test_the_collector_is_there_without_any_metric(
    tiny_config: Config, recwarn: pytest.WarningsRecorder
) -> None:
    collector = PredictionCollector()
    evaluator = build_evaluator({"metrics": None}, collector)
    assert isinstance(evaluator, EvaluationPlugin)
    assert evaluator.metrics == [collector]
    assert [type(m) for m in build_evaluator(tiny_config, collector).metrics] == [
        PredictionCollector,
        QualityMetric,
    ]
    assert not recwarn.list  # Avalanche's about missing loggers: they come later


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("optimizer", {"type": "AdamW", "lr": -1.0}, r"optimizer 'AdamW': Invalid learning rate"),
        ("loss", {"type": "PLCCLoss", "power": 1}, r"cl_strategy\.loss 'PLCCLoss': unexpected"),
        ("plugins", [{"type": "L2", "strength": -1}], r"L2: strength must be >= 0, got -1"),
    ],
)
def test_values_that_constructors_refuse_are_named(
    tiny_config: Config, key: str, value: Any, message: str
) -> None:
    tiny_config["cl_strategy"][key] = value
    with pytest.raises(ConfigError, match=message):
        build_model_and_strategy(tiny_config, CPU)


def test_names_are_checked_before_data_are_read(tiny_config: Config) -> None:
    tiny_config["scenario"]["dataset_root"] = "nowhere"
    with pytest.raises(DatasetError, match="nowhere"):
        build(tiny_config, CPU)
    tiny_config["metrics"] = [{"type": "quality_metric"}]
    with pytest.raises(ConfigError, match=r"Did you mean 'quality_metrics'\?"):
        build(tiny_config, CPU)


def test_load_from_tells_what_it_did(clear_config: Config, tmp_path: Path) -> None:
    source, *_ = build_model_and_strategy(clear_config, CPU)
    save_checkpoint(tmp_path / "w.pth", source.state_dict())
    path = str(tmp_path / "w.pth")
    clear_config["load_from"] = {"path": path, "drop": ["head"], "freeze": ["backbone"]}
    parts = build(clear_config, CPU)
    assert parts.start is not None
    facts = parts.start.to_dict()
    assert facts["dropped"] == ["head.fc.weight", "head.fc.bias"]
    assert facts["frozen"]["modules"] == ["backbone"]
    trained = {id(p) for group in parts.strategy.optimizer.param_groups for p in group["params"]}
    assert trained == {id(p) for p in parts.model.get_submodule("head").parameters()}
    parts.strategy.train_step(0, [parts.benchmark.train_stream[0]])
    for name, value in source.state_dict().items():  # batch statistics too
        if name.startswith("backbone"):
            assert torch.equal(parts.model.state_dict()[name], value), name


def test_an_optimizer_without_weights_is_refused_unless_none_is_needed() -> None:
    model = nn.Linear(2, 3).requires_grad_(False)
    section = {"type": "SGD", "lr": 0.1}
    with pytest.raises(ConfigError, match=r"every parameter is frozen"):
        build_optimizer(section, model)
    assert len(build_optimizer(section, model, needed=False).param_groups[0]["params"]) == 1


def test_metrics_that_look_at_the_run_get_its_folder(tiny_config: Config, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 2048)
    metrics = {"metrics": [{"type": "disk_usage_metrics", "stream": True}]}
    _, metric = build_evaluator(metrics, PredictionCollector(), tmp_path).metrics
    metric._metric.update()
    assert metric.result() == 2.0


@pytest.fixture
def parts(tiny_config: dict[str, Any]) -> Parts:
    tiny_config["scenario"]["datasets"] = tiny_config["scenario"]["datasets"][:1]
    tiny_config["loggers"] = [{"type": "CSVLogger"}, {"type": "ProgressBar"}]
    return build(tiny_config, torch.device("cpu"))


def test_loggers_write_into_the_work_dir_and_are_closed(parts: Parts, tmp_path: Path) -> None:
    parts.attach_loggers(tmp_path)
    parts.strategy.eval(parts.benchmark.test_stream)
    parts.close_loggers()
    assert "SRCC_Exp/eval_phase/test_stream/a" in (tmp_path / "metrics.csv").read_text()
    with pytest.raises(ValueError, match="closed file"):
        parts.strategy.evaluator.loggers[0].log_single_metric("x", 1.0, 0)


def test_loggers_without_an_end_are_left_alone(parts: Parts) -> None:
    parts.strategy.evaluator.loggers = [object()]
    parts.close_loggers()
