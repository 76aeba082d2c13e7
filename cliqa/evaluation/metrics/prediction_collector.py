"""Collects the predictions of an evaluation, data set by data set, and those of training."""

from __future__ import annotations

import numpy as np
import torch
from avalanche.evaluation import PluginMetric
from avalanche.evaluation.metric_results import MetricValue
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor

Pair = tuple[np.ndarray, np.ndarray]
"""Predictions (N,) or (N, K) and targets (N,)."""


class PredictionCollector(PluginMetric[dict[str, Pair]]):
    """Keeps the predictions and targets of every data set of the last evaluation.

    It emits no value: correlations need a whole data set, so the caller reads them from `result`.
    What the model gave for the batches of the last training epoch is in `trained`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._outputs: list[Tensor] = []
        self._targets: list[Tensor] = []
        self._results: dict[str, Pair] = {}
        self._trained: list[tuple[Tensor, Tensor]] = []

    def reset(self) -> None:
        """Clear all values."""
        self._results = {}

    def result(self) -> dict[str, Pair]:
        """Return predictions and targets by data set name."""
        return self._results

    def trained(self) -> Pair | None:
        """Return the outputs (N,) of the last training epoch and the targets (N,), a memory's too.

        Of logits, the outputs are the likeliest classes. None where nothing was trained.
        """
        if not self._trained:
            return None
        outputs, targets = (torch.cat(parts).cpu() for parts in zip(*self._trained, strict=True))
        return outputs.float().numpy(), targets.numpy()

    def before_training_epoch(self, strategy: SupervisedTemplate) -> None:
        """Clear the outputs of the previous epoch."""
        self._trained = []

    def after_training_iteration(self, strategy: SupervisedTemplate) -> None:
        """Keep a batch, where it is: no GPU is waited for."""
        output, target = strategy.mb_output.detach(), strategy.mb_y.detach()
        output = output.argmax(1) if output.dim() == 2 else output
        if output.shape == target.shape:
            self._trained.append((output.clone(), target))

    def before_eval(self, strategy: SupervisedTemplate) -> None:
        """Clear the values of the previous evaluation."""
        self.reset()

    def before_eval_exp(self, strategy: SupervisedTemplate) -> None:
        """Start a data set."""
        self._outputs, self._targets = [], []

    def after_eval_iteration(self, strategy: SupervisedTemplate) -> None:
        """Keep a batch."""
        self._outputs.append(strategy.mb_output.detach().float().cpu())
        self._targets.append(strategy.mb_y.detach().cpu())

    def after_eval_exp(self, strategy: SupervisedTemplate) -> list[MetricValue] | None:
        """Finish a data set."""
        name = getattr(strategy.experience, "name", str(strategy.experience.current_experience))
        outputs, targets = torch.cat(self._outputs), torch.cat(self._targets)
        self._results[name] = (outputs.numpy(), targets.numpy())
        return None

    def __str__(self) -> str:
        """Return the metric's name."""
        return "Predictions"
