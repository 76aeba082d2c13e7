"""Avalanche's metrics by name, and which of them say nothing about scores."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import avalanche.evaluation.metrics as avalanche_metrics
import pytest
from avalanche.training.plugins import EvaluationPlugin

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.evaluation.metrics.avalanche_metrics import OF_CLASSES
from cliqa.evaluation.metrics.quality import quality_metrics
from cliqa.registry import METRICS, build_component

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
