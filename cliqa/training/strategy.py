"""`Strategy`: the attributes and methods that a plugin may use in its hooks.

A new method is one file with a class over `cliqa.training.plugins.base.ContinualPlugin`, and one
line: ``@PLUGINS.register_module()``. It takes five concepts: the hooks, this protocol, the loss
that a hook adds to, the model, and `saved`, the attributes that a checkpoint stores.

Hooks run in this order (Avalanche's)::

    before_training
      before_training_exp                    # once per experience
        before_training_epoch
          before_training_iteration
            before_forward, after_forward
            before_backward                  # add to strategy.loss here
            after_backward                   # gradients are ready; clipping comes later
            before_update, after_update      # the optimizer's step lies between them
          after_training_iteration
        after_training_epoch
      after_training_exp
    after_training

    before_eval
      before_eval_exp                        # once per data set
        before_eval_iteration
          before_eval_forward, after_eval_forward
        after_eval_iteration
      after_eval_exp
    after_eval

Legend: B samples of a batch, K outputs of the model, N samples of a data set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from cliqa.training.loop.batching import Loader, RaggedImages
    from cliqa.training.loop.options import TrainingOptions

Batch = Sequence[Any]
"""``[inputs (B, ...), targets (B,), ...]``, as a loader gives it. Third come ratings (B, 1 + K)
where the loss reads them (`cliqa.losses.ratings`)."""


class Samples(Protocol):
    """A data set of an experience: Avalanche's ``AvalancheDataset``."""

    targets: Sequence[float]
    """A class or a score for each sample, (N,)."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sequence[Any]: ...

    def train(self) -> Samples:
        """Return the same samples with the training transform."""

    def eval(self) -> Samples:
        """Return the same samples with the evaluation transform."""

    def subset(self, indices: Sequence[int]) -> Samples:
        """Return the samples at these indices."""


class Experience(Protocol):
    """One data set, or one group of classes, of the stream.

    Experiences of class streams also have ``classes_in_this_experience`` and
    ``classes_seen_so_far``.
    """

    dataset: Samples
    """Its own samples, without those of earlier experiences."""

    current_experience: int
    """Its index in the stream, from 0."""

    origin_stream: Sequence[Experience]
    """The stream that it belongs to: all experiences, later ones too."""


class Clock(Protocol):
    """Avalanche's counters, all from 0."""

    train_exp_counter: int
    """Experiences whose training has ended."""

    train_exp_epochs: int
    """Epochs of the current experience that have ended."""

    train_epoch_iterations: int
    """Batches of the current epoch that have ended."""

    train_iterations: int
    """Batches of the whole run that have ended."""


class Strategy(Protocol):
    """The training loop as a plugin sees it: `StreamTemplate`, or `HostedLoop` over Avalanche's.

    The first group is always valid. The other groups say from which hook on.
    """

    model: nn.Module
    """The model: inputs (B, ...) -> scores (B,) or logits (B, K)."""

    optimizer: Optimizer
    """The optimizer over the model's parameters; its state may be changed or dropped."""

    device: torch.device
    """Where the model and the batches are."""

    plugins: Sequence[object]
    """All plugins in the order in which their hooks run, this one among them."""

    options: TrainingOptions
    """The run's options, such as `options.seed`. Draw random numbers by
    ``cliqa.utils.seed.generator(options.seed, "name", ...)``, so that a resumed run draws the
    same."""

    clock: Clock
    """Counters of experiences, epochs and batches."""

    train_epochs: int
    """Epochs of an experience."""

    train_mb_size: int
    """Samples of a training batch."""

    is_training: bool
    """Training, not evaluating."""

    step_index: int
    """Index of the training step in the stream: of the experience; 0 for joint training."""

    # ---------------------------------------- from before_training_exp or before_eval_exp on

    experience: Experience
    """The current experience; in an evaluation the one that is evaluated."""

    adapted_dataset: Samples
    """The samples of this step, in training mode; several experiences' in cumulative training."""

    dataloader: Loader
    """The batches of this step or evaluation. A plugin may replace it; see `mix_in`."""

    epochs_done: int
    """Epochs of this step that are finished; in `after_training_epoch` without the current one."""

    @property
    def arrived(self) -> Sequence[int] | None:
        """Indices of the chunk in `adapted_dataset` that this epoch trains on, of an online stream.

        None where methods are told when an experience starts and ends: always but with
        ``scenario.online.boundaries="hidden"``.
        """

    @property
    def resumes_mid_step(self) -> bool:
        """This step is resumed after one of its epochs (only in `before_training_exp`).

        The checkpoint then restores what the hook changes.
        """

    # ---------------------------------------- in an iteration, from before_*_iteration on

    mbatch: Batch
    """The batch on the device; a memory's samples follow the new ones."""

    mb_x: Tensor | RaggedImages
    """Inputs (B, ...): images (B, C, H, W), crops (B, N, C, H, W), or images of several sizes."""

    mb_y: Tensor
    """Targets (B,): classes (int64) or scores (float)."""

    mb_output: Tensor
    """From `after_forward` or `after_eval_forward` on: scores (B,) or logits (B, K). May be
    replaced."""

    loss: Tensor
    """From `before_backward` on: the loss, a scalar. Assign ``strategy.loss + mine``."""

    updated: bool
    """In `after_training_iteration`: this batch ended with an optimizer step (always, unless
    gradients are accumulated over batches)."""

    # ---------------------------------------- methods

    def forward(self) -> Tensor:
        """Return the model's output for the current batch, (B,) or (B, K)."""

    def output_of(self, batch: Batch, model: nn.Module | None = None) -> Tensor:
        """Return the output (B,) or (B, K) for any batch, or of another model such as a teacher."""

    def task_loss(self, outputs: Tensor, targets: Tensor, ratings: Tensor | None = None) -> Tensor:
        """Return the loss function of the run for outputs and targets, a scalar.

        `ratings` is what raters said of the samples, which some losses read: ``ratings_in(batch)``.
        """

    def loader(
        self,
        dataset: Samples,
        *,
        train: bool,
        batch_size: int | None = None,
        samples: int | None = None,
    ) -> Loader:
        """Return batches of any samples with the run's workers: shuffled if `train`."""

    def mix_in(self, memory: Samples, batch_size: int) -> None:
        """Append a batch from a memory to every training batch of this step.

        Call it in `before_training_exp`. The batch has `batch_size` samples; new ones come first.
        """

    def new_places(self) -> list[int]:
        """Return the indices of the batch's new samples in `adapted_dataset`; a memory's not."""

    def measured(self, data: Samples) -> Samples:
        """Return samples as methods measure them: with the evaluation transform."""

    def training_samples(self, count: int = 0) -> Iterator[tuple[Tensor | RaggedImages, Tensor]]:
        """Yield inputs (B, ...) and targets (B,) of the step's training samples, on the device.

        With evaluation transforms, unshuffled; `count` samples drawn by the run's seed, 0 for all.
        Of several processes each yields its share: add up what comes of it by
        `cliqa.utils.processes.shares.summed`.
        """

    def rows_of(self, function: Callable[[Any], Tensor], count: int = 0) -> Tensor:
        """Return what a function makes of the step's training samples, (N, ...) on the CPU.

        Args:
            function: Of inputs (B, ...) on the device; returns a row for each.
            count: As `training_samples`.
        """

    def whole(self, rows: Tensor, batch: Batch | None = None) -> Tensor:
        """Return what all processes make of a batch's inputs, from what this one makes of its own.

        A process of several has its share of the inputs alone, and the targets and outputs of all.

        Args:
            rows: A row for each of the inputs here, (b, ...).
            batch: The batch; None for the current one.

        Returns:
            (B, ...), a row for each target; in a single process `rows`.
        """

    def predict(self, dataset: Samples) -> tuple[np.ndarray, np.ndarray]:
        """Return outputs (N,) or (N, K) and targets (N,) of a data set in evaluation mode."""
