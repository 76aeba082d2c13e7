"""SRCC, PLCC, KRCC and RMSE of every data set, for Avalanche's loggers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from avalanche.evaluation.metric_results import MetricValue
from avalanche.training.templates import SupervisedTemplate

from cliqa.evaluation.functional import krcc, plcc, rmse, srcc
from cliqa.evaluation.metrics.prediction_collector import PredictionCollector
from cliqa.registry import METRICS
from cliqa.utils.errors import ConfigError

MEASURES: dict[str, Callable[[np.ndarray, np.ndarray], float | None]] = {
    "srcc": srcc,
    "plcc": plcc,
    "krcc": krcc,
    "rmse": rmse,
}


class QualityMetric(PredictionCollector):
    """Emits ``SRCC_Exp/eval_phase/test_stream/eva`` and the mean over the data sets of a stream.

    A measure that is not defined (for example of a constant prediction) is not emitted. The mean is
    over data sets: their scores share no scale, so pooling them would measure the scale.

    Args:
        measures: Names out of srcc, plcc, krcc, rmse.

    Raises:
        ConfigError: A measure is unknown.
    """

    def __init__(self, measures: Sequence[str] = ("srcc", "plcc")) -> None:
        super().__init__()
        unknown = [name for name in measures if name not in MEASURES]
        if unknown:
            raise ConfigError(
                f"quality_metrics: unknown measure '{unknown[0]}'. Known: {', '.join(MEASURES)}."
            )
        self.measures = tuple(measures)
        self._values: dict[str, list[float]] = {}

    def reset(self) -> None:
        """Clear all values."""
        super().reset()
        self._values = {name: [] for name in self.measures}

    def after_eval_exp(self, strategy: SupervisedTemplate) -> list[MetricValue]:
        """Emit the data set's values."""
        super().after_eval_exp(strategy)
        dataset, (prediction, target) = list(self.result().items())[-1]
        stream = strategy.experience.origin_stream.name
        emitted = []
        for name in self.measures:
            value = MEASURES[name](prediction, target) if np.isfinite(prediction).all() else None
            if value is not None:
                self._values[name].append(value)
                label = f"{name.upper()}_Exp/eval_phase/{stream}_stream/{dataset}"
                emitted.append(MetricValue(self, label, value, _now(strategy)))
        return emitted

    def after_eval(self, strategy: SupervisedTemplate) -> list[MetricValue]:
        """Emit the means over the data sets."""
        stream = next(iter(strategy.current_eval_stream)).origin_stream.name
        return [
            MetricValue(
                self,
                f"{name.upper()}_Mean/eval_phase/{stream}_stream",
                float(np.mean(values)),
                _now(strategy),
            )
            for name, values in self._values.items()
            if values
        ]

    def __str__(self) -> str:
        """Return the metric's name."""
        return "Quality"


def _now(strategy: SupervisedTemplate) -> int:
    """Return the training iterations so far: the x axis of every curve."""
    return int(strategy.clock.train_iterations)


@METRICS.register_module()
def quality_metrics(measures: Sequence[str] = ("srcc", "plcc")) -> list[QualityMetric]:
    """Return the metrics of image quality for a config's ``metrics`` list.

    Args:
        measures: Names out of srcc, plcc, krcc, rmse.
    """
    return [QualityMetric(measures)]
