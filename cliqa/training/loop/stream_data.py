"""The data side of a strategy: its loaders, its memory, and predictions over a data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cliqa.benchmarks.experience import NamedExperience
from cliqa.models.freezing import set_training
from cliqa.training.loop.batching import MixedLoader, apply_model, batch_places, make_loader
from cliqa.training.loop.feature_loader import FeatureLoader, feature_tensors
from cliqa.training.loop.options import TrainingOptions
from cliqa.training.loop.patch_order import PatchOrder
from cliqa.training.loop.precision import Precision
from cliqa.utils.memory import InPieces


class StreamData:
    """Loaders and predictions over Avalanche's template; mixed in before the strategy's class.

    Attributes:
        options: Seed, workers, precision and the like.
        precision: How forward passes are computed.
    """

    options = TrainingOptions()
    precision: Precision

    # what Avalanche's template has; named for the type checker
    model: nn.Module
    optimizer: Optimizer
    device: torch.device
    experience: Any
    adapted_dataset: Any
    dataloader: Any
    loss: Tensor
    mbatch: Any
    clock: Any
    mb_x: Any
    mb_y: Tensor
    retain_graph: bool
    train_epochs: int
    train_mb_size: int
    eval_mb_size: int
    train: Callable[..., Any]
    eval: Callable[..., Any]
    training_epoch: Callable[..., None]
    plugins: list[Any]
    evaluator: Any
    loss_sum: Tensor
    loss_count: int
    _stop_training: bool
    _before_training_epoch: Callable[..., None]
    _after_training_epoch: Callable[..., None]

    def make_train_dataloader(self, num_workers: int = 0, **kwargs: Any) -> None:  # noqa: ANN401
        """Make the loader of the current step (Avalanche's own for its task-labelled streams)."""
        if self._is_task_labelled_by_others():
            super().make_train_dataloader(num_workers=num_workers, **kwargs)  # type: ignore[misc]
            return
        self.dataloader = self.loader(self.adapted_dataset, train=True)

    def make_eval_dataloader(self, num_workers: int = 0, **kwargs: Any) -> None:  # noqa: ANN401
        """Make the loader of an evaluation; images may have different sizes."""
        if self._is_task_labelled_by_others():
            super().make_eval_dataloader(num_workers=num_workers, **kwargs)  # type: ignore[misc]
            return
        self.dataloader = self.loader(self.adapted_dataset, train=False)

    def _is_task_labelled_by_others(self) -> bool:
        """Tell whether the experience has task labels and is none of this package's streams."""
        experience = self.experience
        return hasattr(experience, "task_labels") and not isinstance(experience, NamedExperience)

    def loader(
        self,
        dataset: Any,  # noqa: ANN401
        *,
        train: bool,
        batch_size: int | None = None,
        samples: int | None = None,
    ) -> Any:  # noqa: ANN401
        """Return a loader with this run's workers; features come as slices of one tensor.

        Args:
            dataset: Samples (input, target, ...).
            train: As `make_loader`.
            batch_size: Samples a batch; None for this run's.
            samples: As `make_loader`.
        """
        size = batch_size or (self.train_mb_size if train else self.eval_mb_size)
        tensors = feature_tensors(dataset)
        if tensors is not None:
            return FeatureLoader(tensors, size, train=train, device=self.device, samples=samples)
        workers = self.options.num_workers
        patches = getattr(self.experience, "patches", None) if train else None
        order = None
        if patches is not None:
            shape = (patches.per_image, size, workers, patches.pool)
            order = PatchOrder(dataset, *shape, samples=samples)
        return make_loader(
            dataset,
            size,
            train=train,
            num_workers=workers,
            pin_memory=self.device.type == "cuda",
            samples=samples,
            sampler=order,
        )

    def mix_in(self, memory: Any, batch_size: int) -> None:  # noqa: ANN401
        """Let every training batch of this step be followed by a batch from a memory.

        Args:
            memory: Dataset of the remembered samples.
            batch_size: Samples of a memory batch; a small memory is gone through again and again.
        """
        samples = batch_size * len(self.dataloader)
        loader = self.loader(memory, train=True, batch_size=batch_size, samples=samples)
        self.dataloader = MixedLoader(self.dataloader, loader)

    def new_places(self) -> list[int]:
        """Return where the current training batch's new samples stand in the adapted data set.

        They come first in the batch; a memory's are behind them. For hooks between the start and
        the end of a training iteration.

        Raises:
            ConfigError: Somebody else's loader is in use.
        """
        return batch_places(self.dataloader, self.clock.train_epoch_iterations)

    def output_of(self, batch: Sequence[Any], model: nn.Module | None = None) -> Tensor:
        """Return the output for any batch, computed as a training step computes its own.

        Args:
            batch: [inputs (B, ...), targets (B,), ...] as a loader gives them.
            model: Another model than the one that is trained; its mode is left as it is.

        Returns:
            (B,) or (B, K), float32.
        """
        kept = self.mbatch, self.model
        self.mbatch = [part.to(self.device) for part in batch]
        self.model = self.model if model is None else model
        try:
            output: Tensor = self.forward()  # type: ignore[attr-defined]
            return output
        finally:
            self.mbatch, self.model = kept

    @torch.no_grad()
    def predict(self, dataset: Any) -> tuple[np.ndarray, np.ndarray]:  # noqa: ANN401
        """Return the model's outputs over a data set, without hooks, metrics or loggers.

        Args:
            dataset: Samples (image, target), already in evaluation mode.

        Returns:
            Outputs (N,) or (N, K) and targets (N,).
        """
        was_training = self.model.training
        self.model.eval()
        say = InPieces(self.model)
        outputs, targets = [], []
        for batch in self.loader(dataset, train=False):
            with self.precision.autocast():
                output = apply_model(say, batch[0].to(self.device))
            outputs.append(output.float().cpu())
            targets.append(batch[1])
        set_training(self.model, was_training)
        return torch.cat(outputs).numpy(), torch.cat(targets).numpy()
