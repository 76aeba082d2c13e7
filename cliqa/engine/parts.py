"""The objects that a config describes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cliqa.engine.loggers.build import build_loggers, close_loggers
from cliqa.engine.targets.kind import Targets
from cliqa.evaluation.metrics.prediction_collector import PredictionCollector
from cliqa.models.weights.start import StartReport


@dataclass(slots=True)
class Parts:
    """A benchmark, a model and a strategy, ready to be trained or evaluated.

    Args:
        config: The resolved config, as plain types.
        benchmark: The streams: a `QualityStream` or a `ClassStream`.
        model: The model, on its device.
        strategy: An Avalanche strategy with `StreamTemplate` mixed in.
        predictions: Collects what the strategy's evaluations predict.
        device: Where the model is.
        targets: What the samples are labelled with.
        start: What the weights that training starts from are, None for fresh ones.
    """

    config: dict[str, Any]
    benchmark: Any
    model: nn.Module
    strategy: Any
    predictions: PredictionCollector
    device: torch.device
    targets: Targets
    start: StartReport | None = None

    def attach_loggers(self, work_dir: str | Path) -> None:
        """Build the config's loggers, which write into `work_dir` from now on."""
        self.strategy.evaluator.loggers = build_loggers(self.config, work_dir)

    def close_loggers(self) -> None:
        """Let every logger write what it still holds."""
        close_loggers(self.strategy.evaluator.loggers)
