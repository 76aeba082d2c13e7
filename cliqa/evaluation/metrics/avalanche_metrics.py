"""Avalanche's metrics by their names, those corrected that fail or change the training."""

from __future__ import annotations

import inspect

import avalanche.evaluation.metrics as avalanche_metrics
import torch
from avalanche.evaluation.metrics.mac import MACPluginMetric
from avalanche.evaluation.metrics.topk_acc import TopkAccuracy, TopkAccuracyPluginMetric
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor

from cliqa.registry import METRICS

METRICS.add_upstream(
    avalanche_metrics,
    lambda name, value: inspect.isfunction(value) and name.endswith("_metrics"),
    "avalanche",
)

OF_CLASSES = frozenset(
    {
        "accuracy_matrix_metrics",
        "accuracy_metrics",
        "amca_metrics",
        "bwt_metrics",
        "class_accuracy_metrics",
        "confusion_matrix_metrics",
        "forgetting_metrics",
        "forward_transfer_metrics",
        "images_samples_metrics",
        "labels_repartition_metrics",
        "mean_scores_metrics",
        "topk_acc_metrics",
        "trained_experience_metrics",
    }
)
"""Metrics that need class or task labels: over scores they silently give 0, or crash."""

NEED_A_SCRIPT = {
    "forward_transfer_metrics": "compares with an evaluation of the whole stream before any "
    "training, which runs do not make. In a script of your own, with eval_every=0, call "
    "strategy.eval(benchmark.test_stream) before the first strategy.train(...)"
}
"""Metrics that a run cannot give, and what to do instead."""


def _task(strategy: SupervisedTemplate) -> int | Tensor:
    """Return the task of the experience, 0 where it has none, or of every sample."""
    tasks = getattr(strategy.experience, "task_labels", None) or [0]
    task: int | Tensor = tasks[0] if len(tasks) == 1 else strategy.mb_task_id
    return task


def _update(metric: TopkAccuracyPluginMetric, strategy: SupervisedTemplate) -> None:
    """Count a batch. Avalanche 0.6 fails where an experience has no task labels."""
    metric._metric.update(strategy.mb_output, strategy.mb_y, _task(strategy))


def _of_task(metric: TopkAccuracyPluginMetric, strategy: SupervisedTemplate | None) -> int | None:
    """Return the task that a top-k accuracy is of, None for all."""
    task = 0 if strategy is None else _task(strategy)
    return task if isinstance(task, int) and strategy is not None else None


def _reset(metric: TopkAccuracyPluginMetric, strategy: SupervisedTemplate | None = None) -> None:
    """Clear the values: of a stream, or of the experience's task."""
    metric._metric.reset(None if metric._reset_at == "stream" else _of_task(metric, strategy))


def _result(
    metric: TopkAccuracyPluginMetric, strategy: SupervisedTemplate | None = None
) -> dict[int, float]:
    """Return the accuracies by task: of a stream, or of the experience's task."""
    task = None if metric._emit_at == "stream" else _of_task(metric, strategy)
    found: dict[int, float] = (
        metric._metric.result() if task is None else metric._metric.result_task_label(task)
    )
    return found


def top_k_accuracy(logits: Tensor, classes: Tensor, top_k: int) -> Tensor:
    """Return the share of samples whose class is among the `top_k` largest logits, a scalar.

    With no more classes than `top_k` it is 1; torchmetrics refuses that.

    Args:
        logits: (B, K), or (K,) of one sample.
        classes: (B,), or () of one sample.
        top_k: k, > 0.

    >>> top_k_accuracy(torch.tensor([[1.0, 3.0, 2.0], [1.0, 3.0, 2.0]]), torch.tensor([2, 0]), 2)
    tensor(0.5000)
    """
    rows = logits.reshape(-1, logits.shape[-1])
    best = rows.topk(min(top_k, rows.shape[1]), dim=1).indices
    return (best == classes.reshape(-1, 1)).any(dim=1).float().mean()


@torch.no_grad()
def _count(metric: MACPluginMetric, strategy: SupervisedTemplate) -> None:
    """Count the multiplications for one image or crop, in evaluation mode.

    Avalanche 0.6 runs the image in training mode: it fails in batch normalisation, or changes its
    statistics.
    """
    sample = strategy.mb_x[0]
    modes = {module: module.training for module in strategy.model.modules()}
    strategy.model.eval()
    try:
        metric._mac.update(strategy.model, sample[:1] if sample.dim() == 4 else sample[None])
    finally:
        for module, mode in modes.items():
            module.training = mode


MACPluginMetric.update = _count
TopkAccuracyPluginMetric.update = _update
TopkAccuracyPluginMetric.reset = _reset
TopkAccuracyPluginMetric.result = _result
TopkAccuracy._compute_topk_acc = lambda self, pred, gt, top_k: top_k_accuracy(pred, gt, top_k)
