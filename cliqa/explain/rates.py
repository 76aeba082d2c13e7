"""The learning rates of a config's optimizer over its steps and experiences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from torch.optim.lr_scheduler import ReduceLROnPlateau

from cliqa.engine.streams import build_benchmark
from cliqa.engine.trial.build import built_without_data, check_by_building
from cliqa.utils.errors import ConfigError
from cliqa.visualization.style import FAINT, MUTED, PAGE, color, new_figure, shortened, styled

MOST_STEPS = 2_000_000
"""Steps of the optimizer that are simulated in some twenty seconds."""

LEGEND = 8
"""With more curves than this, the legend names the first ones."""

NARROW = 0.05
"""Experiences of a smaller share of the steps are not named."""


@dataclass(frozen=True)
class Rates:
    """Learning rates by step of the optimizer.

    Attributes:
        names: The parameter groups.
        values: (steps, groups), the rate that each step is taken with.
        experiences: The names of the training steps of the stream.
        starts: The first step of the optimizer of each.
        epochs: Epochs of each.
    """

    names: list[str]
    values: np.ndarray
    experiences: list[str]
    starts: list[int]
    epochs: int


def learning_rates(config: dict[str, Any], samples: Sequence[int] | None = None) -> Rates:
    """Return the learning rates that a config trains with, by its own scheduler.

    Args:
        config: A config of a stream.
        samples: Training samples of each experience, where the data are not there; None reads them.

    Raises:
        ConfigError: The config is wrong or pretrains, the rates depend on the training, or there
            are too many steps.
        DatasetError: The data are not there.
    """
    if "pretrain" in config:
        raise ConfigError(
            "pretrain: a pretraining's rates fall along half a cosine, from lr_encoder and "
            "lr_projection to final_share of them."
        )
    checked, _ = check_by_building(config)
    strategy = built_without_data(checked).strategy
    if not getattr(strategy, "needs_optimizer", True):
        raise ConfigError(f"cl_strategy '{checked['cl_strategy']['type']}': has no learning rate.")
    if samples is None:
        stream = build_benchmark(checked["scenario"]).train_stream
    else:
        stream = [
            SimpleNamespace(dataset=range(n), name=f"exp. {k}")
            for k, n in enumerate(samples, start=1)
        ]
    steps = strategy.steps(stream)
    if any(len(strategy.chunks_of(step)) > 1 for step in steps):
        raise ConfigError(
            "scenario.online: a scheduler spans the chunks of each experience. To see its shape, "
            "leave scenario.online out; a run's own rates are in metrics.jsonl."
        )
    counts = [strategy.samples_of(steps, index) for index in range(len(steps))]
    labels = ["+".join(str(experience.name) for experience in step) for step in steps]
    batch = strategy.train_mb_size * strategy.options.accumulate
    return _simulate(strategy, labels, [max(1, math.ceil(n / batch)) for n in counts])


def _simulate(strategy: Any, labels: list[str], per_epoch: Sequence[int]) -> Rates:  # noqa: ANN401
    """Return the rates of every step, by stepping the strategy's own schedule."""
    epochs, schedule = strategy.train_epochs, strategy.schedule
    total = epochs * sum(per_epoch)
    if total > MOST_STEPS:
        raise ConfigError(
            f"the stream takes {total:,} steps of the optimizer, more than the {MOST_STEPS:,} that "
            "are drawn. Give fewer samples (--samples 1000 ...): the curve keeps its shape."
        )
    groups = strategy.optimizer.param_groups
    values = np.empty((total, len(groups)))
    starts, row = [], 0
    for steps in per_epoch:
        starts.append(row)
        schedule.start(strategy.optimizer, epochs, steps)
        if isinstance(schedule._scheduler, ReduceLROnPlateau):
            raise ConfigError(
                "cl_strategy.scheduler 'ReduceLROnPlateau': its rates depend on the training loss. "
                "A run's own are in metrics.jsonl and figures/history.png."
            )
        for _ in range(epochs):
            for _ in range(steps):
                values[row] = [group["lr"] for group in groups]
                row += 1
                strategy.optimizer.step()  # without gradients: torch wants one before a schedule's
                schedule.after_iteration()
            schedule.after_epoch(0.0)
    names = [str(group.get("name", "all parameters")) for group in groups]
    return Rates(names, values, labels, starts, epochs)


@styled
def draw_rates(rates: Rates) -> Figure:
    """Draw the learning rate of every parameter group, with a line where an experience starts."""
    figure = new_figure(PAGE, 2.6)
    axes = figure.subplots()
    curves: dict[bytes, list[int]] = {}
    for index in range(len(rates.names)):
        curves.setdefault(rates.values[:, index].tobytes(), []).append(index)
    for index, groups in enumerate(curves.values()):
        name = ", ".join(rates.names[group] for group in groups)
        label = shortened(name, 40) if index < LEGEND else None
        x, y = _drawn(rates.values[:, groups[0]])
        axes.plot(x, y, color=color(index), label=label, drawstyle="steps-post")
    total = len(rates.values)
    ends = [*rates.starts[1:], total]
    for index, (start, end) in enumerate(zip(rates.starts, ends, strict=True)):
        if index:
            axes.axvline(start, color=FAINT, zorder=0)
        if end - start < NARROW * total:
            continue
        name = shortened(rates.experiences[index], max(8, 90 // len(ends)))
        middle = (start + end) / 2
        axes.annotate(
            name, (middle, 1.02), xycoords=("data", "axes fraction"), ha="center", color=MUTED
        )
    axes.set_xlim(0, max(1, total))
    axes.set_ylim(0, 1.05 * float(rates.values.max(initial=1e-12)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes.set(xlabel=f"step of the optimizer ({rates.epochs} epochs an experience)")
    axes.set_ylabel("learning rate")
    axes.grid(axis="y")
    if len(curves) > 1:
        figure.legend(loc="outside lower center", ncols=3)
    return figure


def _drawn(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps and rates of a curve's points: those where its slope changes, and ends."""
    if len(values) < 3:
        return np.arange(len(values)), values
    bends = np.abs(np.diff(values, 2)) > 1e-12 * float(values.max(initial=0.0))
    kept = np.flatnonzero(np.r_[True, bends, True])
    return kept, values[kept]
