"""Avalanche's metrics by their names."""

from __future__ import annotations

import inspect

import avalanche.evaluation.metrics as avalanche_metrics

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
