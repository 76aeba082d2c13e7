"""Avalanche's metrics by name, and which of them say nothing about scores."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import avalanche.evaluation.metrics as avalanche_metrics
import pytest
import torch
from avalanche.training.plugins import EvaluationPlugin
from torch import nn
from torchmetrics.functional import accuracy

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.engine.build import build
from cliqa.engine.check import check_config
from cliqa.evaluation.metrics.avalanche_metrics import NEED_A_SCRIPT, OF_CLASSES, top_k_accuracy
from cliqa.evaluation.metrics.quality import quality_metrics
from cliqa.registry import METRICS, build_component, parameters_of
from cliqa.utils.errors import ConfigError

OF_ANYTHING = {
    "loss_metrics": "Loss_Stream/eval_phase/test_stream",
    "timing_metrics": "Time_Stream/eval_phase/test_stream",
    "cpu_usage_metrics": "CPUUsage_Stream/eval_phase/test_stream",
    "disk_usage_metrics": "DiskUsage_Stream/eval_phase/test_stream",
    "ram_usage_metrics": "MaxRAMUsage_Stream/eval_phase/test_stream",
}
"""Metrics that need no labels, and what each of them emits over a stream."""


def test_names() -> None:
    assert METRICS.get("quality_metrics") is quality_metrics
    for name in (*OF_ANYTHING, *OF_CLASSES - {"trained_experience_metrics"}):
        assert METRICS.get(f"avalanche.{name}") is getattr(avalanche_metrics, name)
        if name != "disk_usage_metrics":  # ours comes first
            assert METRICS.get(name) is METRICS.get(f"avalanche.{name}")


def test_every_metric_is_known_to_be_of_classes_or_not() -> None:
    # MAC runs a model on a single image, gpu_usage needs a GPU
    others = {*OF_ANYTHING, "quality_metrics", "MAC_metrics", "gpu_usage_metrics"}
    assert set(METRICS.names()) - others <= OF_CLASSES


@pytest.mark.parametrize("name", OF_ANYTHING)
def test_what_needs_no_labels_emits_a_number(
    name: str, make_strategy: Callable[..., Any], tiny_stream: QualityStream, tmp_path: Any
) -> None:
    section: dict[str, Any] = {"type": name, "stream": True}
    if name == "disk_usage_metrics":
        section["paths_to_monitor"] = str(tmp_path)
    metrics = build_component(METRICS, section, "metrics[0]")
    strategy = make_strategy(epochs=1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No loggers specified")
        evaluator = EvaluationPlugin(metrics, loggers=[])
    strategy.plugins[strategy.plugins.index(strategy.evaluator)] = evaluator
    strategy.evaluator = evaluator
    values = strategy.eval(tiny_stream.test_stream)
    assert isinstance(values[OF_ANYTHING[name]], (int, float))


def with_everything(config: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """Return a config with metrics that emit at every place they can, trained for one epoch."""
    places = ("minibatch", "epoch", "epoch_running", "experience", "trained_experience", "stream")
    config["metrics"] = [
        {"type": n} | {k: True for k in places if k in parameters_of(METRICS.get(n))[0]}  # type: ignore[arg-type]
        for n in sorted(names)
    ]
    config["cl_strategy"]["train_epochs"] = 1
    return config


def values_of(config: dict[str, Any]) -> dict[str, Any]:
    """Train and evaluate, and return the last value of every metric."""
    parts = build(config, torch.device("cpu"))
    parts.strategy.train_step(0, parts.strategy.steps(parts.benchmark.train_stream)[0])
    found: dict[str, Any] = parts.strategy.eval(parts.benchmark.test_stream)
    return found


def test_over_classes_every_metric_runs_or_says_what_it_needs(split_config: dict[str, Any]) -> None:
    split_config["scenario"]["n_experiences"] = 2
    refused = {*NEED_A_SCRIPT, "quality_metrics"}
    names = set(METRICS.names()) - refused - {"gpu_usage_metrics"}
    values = values_of(with_everything(split_config, names))
    assert 0 < values["Topk_3_Acc_Stream/eval_phase/test_stream/Task000"] < 1
    assert values["MAC_Exp/eval_phase/test_stream/Exp001"] > 0
    for name in refused:
        with pytest.raises(ConfigError, match=rf"metrics\[0\] '{name}'.*(Use|In a script)"):
            check_config(with_everything(split_config, {name}))


def test_over_scores_every_metric_runs_or_says_what_it_needs(tiny_config: dict[str, Any]) -> None:
    names = set(METRICS.names()) - OF_CLASSES - {"gpu_usage_metrics"}
    values = values_of(with_everything(tiny_config, names))
    assert values["MAC_Exp/eval_phase/test_stream/Exp002"] > 0
    for name in OF_CLASSES & set(METRICS.names()):
        with pytest.raises(ConfigError, match=r"stream has scores. Use dict\(type='quality_met"):
            check_config(with_everything(tiny_config, {name}))


@pytest.mark.parametrize("k", [1, 2, 4])
def test_top_k_accuracy_is_torchmetrics(k: int) -> None:
    torch.manual_seed(0)
    logits, classes = torch.randn(50, 5), torch.randint(0, 5, (50,))
    expected = accuracy(logits, classes, task="multiclass", num_classes=5, top_k=k)
    assert float(top_k_accuracy(logits, classes, k)) == pytest.approx(float(expected))
    assert float(top_k_accuracy(logits[0], logits[0].argmin(), 7)) == 1.0


def test_counting_multiplications_leaves_the_model_as_it_is(
    make_strategy: Callable[..., Any], watch: Callable[..., None]
) -> None:
    strategy = make_strategy()
    watch(strategy, METRICS.get("MAC_metrics")(minibatch=True))  # type: ignore[misc]
    strategy.mbatch = [torch.rand(2, 3, 3, 3), torch.rand(2)]
    strategy.model.train()
    strategy.model.body[1].eval()
    before = {name: value.clone() for name, value in strategy.model.state_dict().items()}
    [metric] = strategy.evaluator.metrics
    metric.update(strategy)
    assert metric.result() == 8 * 3 * 3 + 8  # as Avalanche counts: without input channels
    assert all(value.equal(before[name]) for name, value in strategy.model.state_dict().items())
    assert strategy.model.training
    assert not strategy.model.body[1].training
    assert isinstance(strategy.model.body[5], nn.Dropout)
    assert strategy.model.body[5].training
