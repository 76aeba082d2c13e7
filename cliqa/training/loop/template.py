"""The training loop of every strategy: Avalanche's, made repeatable and resumable.

Every epoch seeds its random numbers from the run's seed and its position in the stream. A run that
is stopped and resumed repeats the unfinished epoch and ends with bit-identical results.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from avalanche.benchmarks import CLExperience
from avalanche.training.supervised import Naive
from avalanche.training.templates import SupervisedTemplate

from cliqa.models.freezing import set_training
from cliqa.training.loop.avalanche_loop import RunSettings
from cliqa.training.loop.batching import is_one_value, one_value_error
from cliqa.training.loop.compiled import CompiledPasses
from cliqa.training.loop.options import TrainingOptions
from cliqa.training.loop.parallel.check import check_processes
from cliqa.training.loop.parallel.exchange import Exchange
from cliqa.training.loop.parameter_groups import ParameterGroups
from cliqa.training.loop.precision import Precision
from cliqa.training.loop.resuming import Resumable
from cliqa.training.loop.schedule import Schedule
from cliqa.training.loop.selection import BestEpoch
from cliqa.training.plugins.base import ContinualPlugin, prepare_all
from cliqa.training.state import restore_plugins
from cliqa.utils.errors import CliqaError, ConfigError
from cliqa.utils.processes.group import from_main
from cliqa.utils.seed import script_seed, seed_everything


class TrainingError(CliqaError):
    """The loss is no longer a finite number."""


class StreamTemplate(Resumable):
    """What this package adds to Avalanche's template; mixed in before the strategy's class.

    Attributes:
        schedule: The learning-rate schedule of each experience.
        groups: Sorts parameters into the optimizer's groups; None for a single one.
        step_index: Index of the training step in the stream: of the experience; joint training has
            a single step.
        epochs_done: Finished epochs of this step.
        selection: The best epoch of this step by its validation measure.
        last_lr: The first parameter group's learning rate in the last epoch.
        loss_sum: Sum of the losses of this epoch's samples, a tensor; over `loss_count` samples.
        on_epoch: Called after every epoch with its mean loss.
        needs_optimizer: The strategy trains by gradients.
        distributed: How the strategy works in several processes, in words; empty where it does not.
        state_is_in_plugins: The strategy has no state of its own: a checkpoint needs the model, the
            optimizer and the plugins only.
    """

    distributed: ClassVar[str] = ""
    state_is_in_plugins = True
    needs_optimizer = True

    def configure(
        self,
        options: TrainingOptions,
        schedule: Schedule,
        on_epoch: Callable[[float], None] | None = None,
        groups: ParameterGroups | None = None,
    ) -> None:
        """Set what Avalanche's constructors have no argument for."""
        self.options = options
        self.schedule = schedule if self.needs_optimizer else Schedule(None)
        self.groups = groups
        self.on_epoch = on_epoch
        self.precision = Precision(self.device, options.amp)
        self.precision.arrange(self.model)
        kind = self.device.type
        self.compiled = CompiledPasses(self.model, kind) if options.compile else None
        self.exchange = Exchange(options.seed, options.sync_batch_norm)
        self.step_index = 0
        self.epochs_done = 0
        self.last_lr = float(self.optimizer.param_groups[0]["lr"])
        self._pending: dict[str, Any] | None = None
        self.selection = BestEpoch(options.keep_best, options.patience, options.min_delta)
        self._reset_loss()
        self.check_accumulation()
        self.selection.check(self)
        check_processes(self)
        for plugin in self.plugins:
            if isinstance(plugin, ContinualPlugin):
                plugin.check(self.plugins)

    # ---------------------------------------------------------------- a script of one's own

    def train(
        self,
        experiences: CLExperience | Iterable[CLExperience],
        eval_streams: Sequence[Any] | None = None,
        num_workers: int | None = None,
        **others: object,
    ) -> dict[str, Any]:
        """Train on one experience or several, as Avalanche's method does.

        Args:
            experiences: Each is a step; `steps` may join them.
            eval_streams: What ``eval_every`` evaluates; None for the experience that is trained.
            num_workers: Worker processes that load samples, from now on.
            others: Avalanche's other arguments for loaders; ours have none.

        Returns:
            The last value of every metric.

        Raises:
            ConfigError: There are other arguments.
        """
        if others:
            raise ConfigError(
                f"{type(self).__name__}.train: {', '.join(others)} cannot be set, as batches are "
                "loaded in an order that repeats. It takes num_workers."
            )
        self._complete()
        if num_workers is not None:
            self.options = replace(self.options, num_workers=num_workers)
        chosen = list(experiences) if isinstance(experiences, Iterable) else [experiences]
        watched = None if eval_streams is None else list(eval_streams)
        for step in self.steps(chosen):
            self.run_step(self.clock.train_exp_counter, step, watched)
        metrics: dict[str, Any] = self.evaluator.get_last_metrics()
        return metrics

    def eval(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401
        """Evaluate, as Avalanche's method does, and return the last value of every metric."""
        self._complete()
        metrics: dict[str, Any] = super().eval(*args, **kwargs)
        return metrics

    def _complete(self) -> None:
        """Prepare the model, and set defaults, where `configure` was not called."""
        if not hasattr(self, "selection"):
            prepare_all(self.model, self.plugins)
            found = [p.seed for p in self.plugins if isinstance(p, RunSettings)]
            seed = found[0] if found else script_seed()
            self.configure(TrainingOptions(seed=seed), Schedule(None))

    # ---------------------------------------------------------------- the stream
    def steps(self, stream: Sequence[CLExperience]) -> list[list[CLExperience]]:
        """Return the experiences of each training step: one at a time by default."""
        return [[experience] for experience in stream]

    def samples_of(self, steps: Sequence[Sequence[CLExperience]], index: int) -> int:
        """Return how many new samples an epoch of a step trains on.

        Args:
            steps: All steps of the stream.
            index: The step's index among them.
        """
        chunks = self.chunks_of(steps[index])
        if chunks:
            return len(chunks[0])
        patches = getattr(steps[index][-1], "patches", None)
        count = sum(len(experience.dataset) for experience in steps[index])
        return count * (patches.per_image if patches is not None else 1)

    def epochs_of(self, experiences: Sequence[CLExperience]) -> int:
        """Return the epochs of a step: over each of its chunks, one after the other."""
        return int(self.train_epochs) * max(1, len(self.chunks_of(experiences)))

    def train_step(
        self,
        index: int,
        experiences: list[CLExperience],
        validation: Sequence[CLExperience] = (),
    ) -> None:
        """Train one step of the stream, from its start or from a restored state.

        Args:
            index: The step's index in the stream.
            experiences: The experiences to train on.
            validation: The experiences that ``eval_every`` evaluates.
        """
        self.run_step(index, experiences, [list(validation)] if validation else [])

    def run_step(
        self, index: int, experiences: list[CLExperience], watched: list[Any] | None
    ) -> None:
        """Train one step; `watched` are the streams that ``eval_every`` evaluates, as Avalanche's.

        Raises:
            ConfigError: A batch normalisation has one value a channel, or processes differ.
        """
        self.step_index = index
        self.epochs_done = 0
        self.selection.start()
        epochs = self.train_epochs
        self.passes = epochs if self.chunks_of(experiences) else 0
        self.train_epochs = self.epochs_of(experiences)
        chosen = experiences if len(experiences) > 1 else experiences[0]
        try:
            super().train(chosen, eval_streams=watched, num_workers=self.options.num_workers)
        except ValueError as error:
            if not is_one_value(error):
                raise
            names = "+".join(str(getattr(e, "name", e.current_experience)) for e in experiences)
            count = self.samples_of([experiences], 0)
            raise one_value_error(names, count, self.train_mb_size) from error
        finally:
            self.train_epochs, self.passes = epochs, 0
        self.exchange.compare(self.state_dict, f"after step {index + 1} of the stream")

    def _before_training(self, **kwargs: object) -> None:
        seed_everything(self.options.seed, "step", self.step_index, "start")
        if self._pending is not None:  # hooks at the start read the restored model and plugins
            self.model.load_state_dict(self._pending["model"])
            restore_plugins(self, self._pending["plugins"])
        super()._before_training(**kwargs)  # type: ignore[misc]

    def _train_exp(
        self,
        experience: CLExperience,
        eval_streams: object = None,
        **kwargs: object,
    ) -> None:
        self._start()
        self.exchange.start(self.model)
        if self.precision.measures:
            self.choose_precision(self.adapted_dataset[0][0])
        for epoch in range(self.epochs_done, self.train_epochs):
            if self.selection.stopped:
                break
            seed_everything(self.options.seed, "step", self.step_index, "epoch", epoch)
            self._reset_loss()
            self.precision.arrange(self.model)  # methods may have made weights anew
            set_training(self.model, True)  # Avalanche's own call thaws frozen statistics
            self._before_training_epoch(**kwargs)
            if self._stop_training:
                self._stop_training = False
                break
            self.training_epoch(**kwargs)
            self._after_training_epoch(**kwargs)
            self.exchange.agree(self.model)
            self._finish_epoch()
        self.selection.finish(self)
        seed_everything(self.options.seed, "step", self.step_index, "end")

    def _finish_epoch(self) -> None:
        """Step the schedule, check the loss, and report the epoch."""
        loss = from_main(float(self.loss_sum) / max(1, self.loss_count))
        self.epochs_done += 1
        self.last_lr = float(self.optimizer.param_groups[0]["lr"])
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss became {loss} in epoch {self.epochs_done} of step "
                f"{self.step_index + 1}. "
                "Lower the learning rate (cl_strategy.optimizer.lr), or clip the gradients "
                "(cl_strategy.clip_grad_norm=1.0)."
            )
        self.schedule.after_epoch(loss)
        if self.on_epoch is not None:
            self.on_epoch(loss)

    def _after_training_iteration(self, **kwargs: object) -> None:
        count = len(self.mb_y)
        self.loss_sum = self.loss_sum + self.loss.detach().sum() * count
        self.loss_count += count
        if self.updated:
            self.schedule.after_iteration()
        super()._after_training_iteration(**kwargs)  # type: ignore[misc]

    def _reset_loss(self) -> None:
        self.loss_sum = torch.zeros((), device=self.device)
        self.loss_count = 0

    def make_optimizer(self, reset_optimizer_state: bool = False, **kwargs: object) -> None:
        """Give the optimizer the model's current parameters, in groups where there are rules.

        Avalanche infers the group of a new parameter from its neighbours, and fails where those are
        in different groups.
        """
        if self.groups is None:
            super().make_optimizer(reset_optimizer_state=reset_optimizer_state, **kwargs)  # type: ignore[misc]
            return
        self.groups.regroup(self.optimizer, self.model)
        self.optimized_param_id = dict(self.model.named_parameters())
        if reset_optimizer_state:
            self.optimizer.state.clear()


def with_stream_template(strategy: type[SupervisedTemplate]) -> type[SupervisedTemplate]:
    """Return a strategy class with `StreamTemplate` mixed in, if it has not got it already."""
    if issubclass(strategy, StreamTemplate):
        return strategy
    # Avalanche's strategies keep state in attributes that we know nothing of; its Naive has none.
    attributes = {"__doc__": strategy.__doc__, "state_is_in_plugins": strategy is Naive}
    return type(strategy.__name__, (StreamTemplate, strategy), attributes)


class Template(StreamTemplate, SupervisedTemplate):
    """The base of our own strategies."""
