"""The data side of a strategy: loaders, replayed batches, and predictions over a data set."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from cliqa.benchmarks.experience import NamedExperience
from cliqa.losses.ratings import wanted_by
from cliqa.models.freezing import set_training
from cliqa.training.loop.batching import (
    Loader,
    MixedLoader,
    RaggedImages,
    apply_model,
    batch_places,
)
from cliqa.training.loop.loaders.chunk_order import ChunkOrder
from cliqa.training.loop.loaders.feature_loader import FeatureLoader, feature_tensors
from cliqa.training.loop.loaders.image_loader import make_loader
from cliqa.training.loop.loaders.patch_order import PatchOrder
from cliqa.training.loop.options import TrainingOptions
from cliqa.training.loop.parallel.exchange import Exchange
from cliqa.training.loop.parallel.shared_batch import SharedBatch, moved, own_samples
from cliqa.training.loop.precision import Precision
from cliqa.training.strategy import Batch, Samples, Strategy
from cliqa.utils.memory import InPieces
from cliqa.utils.progress import track
from cliqa.utils.seed import generator


def drawn_samples(total: int, count: int, seed: int, step: int) -> list[int]:
    """Return the indices of `count` out of `total` samples, drawn by seed and step."""
    random = generator(seed, "importance", step)
    return torch.randperm(total, generator=random)[:count].sort().values.tolist()


def ratings_in(batch: Batch) -> Tensor | None:
    """Return what raters said of a batch's images (B, 1 + K), where the samples have it."""
    third = batch[2] if len(batch) > 2 else None
    return third if isinstance(third, Tensor) and third.dim() == 2 else None


def tasks_of(experience: object) -> Collection[int]:
    """Return the task labels of an experience's samples; none where it has no tasks."""
    found: Collection[int] = getattr(experience, "task_labels", ())
    return found


def classes_of(experience: object) -> set[int]:
    """Return the classes of an experience's samples; none of scores."""
    targets: Sequence[Any] = getattr(getattr(experience, "dataset", None), "targets", ())
    if not len(targets) or torch.as_tensor(targets[0]).is_floating_point():
        return set()
    return {int(target) for target in targets}


if TYPE_CHECKING:
    Base = Strategy
else:  # at run time Avalanche's template has these attributes, and a protocol would hide them
    Base = object


class StreamData(Base):
    """Loaders and predictions over Avalanche's template; mixed in before the strategy's class.

    The methods for plugins are documented in `Strategy`.

    Attributes:
        options: Seed, workers, precision and other options.
        precision: Full or mixed precision of forward passes.
        exchange: What several processes exchange.
    """

    options = TrainingOptions()
    precision: Precision
    exchange = Exchange(0)

    # what else Avalanche's template has, and what is assigned here; named for the type checker
    model: nn.Module
    mbatch: Batch
    experience: Any
    loss_sum: Tensor
    loss_count: int
    retain_graph: bool
    train_epochs: int
    eval_mb_size: int
    train: Callable[..., Any]
    eval: Callable[..., Any]
    training_epoch: Callable[..., None]
    evaluator: Any
    _criterion: Callable[..., Tensor]
    _stop_training: bool
    _before_training_epoch: Callable[..., None]
    _after_training_epoch: Callable[..., None]

    def make_train_dataloader(self, num_workers: int = 0, **kwargs: object) -> None:
        """Make the loader of the current step (Avalanche's own for several tasks in one)."""
        if self._is_task_labelled_by_others():
            super().make_train_dataloader(num_workers=num_workers, **kwargs)  # type: ignore[misc]
            return
        chunks = self.chunks_of([self.experience])
        if len(chunks) < 2:
            self.dataloader = self.loader(
                self.adapted_dataset, train=True, keep_workers=self.train_epochs > 1
            )
            return
        self.dataloader = make_loader(
            self.adapted_dataset,
            self.train_mb_size,
            train=True,
            num_workers=self.options.num_workers,
            device=self.device,
            sampler=ChunkOrder(
                self.adapted_dataset, chunks, self.train_mb_size, lambda: self.chunk_index
            ),
        )

    # ---------------------------------------------------------------- chunks of an online stream

    passes = 0
    """Epochs over each chunk; 0 where the experience does not arrive in chunks."""

    def chunks_of(self, experiences: Sequence[Any]) -> Sequence[Sequence[int]]:
        """Return the chunks in which the samples of a step arrive; none for all at once."""
        arrival = getattr(experiences[0], "arrival", None) if len(experiences) == 1 else None
        return () if arrival is None else arrival.chunks

    @property
    def chunk_index(self) -> int:
        """The number of the chunk that is trained on, or was last."""
        last = len(self.chunks_of([self.experience])) - 1
        return max(0, min(self.epochs_done // max(1, self.passes), last))

    takes_chunks = False
    """A strategy that makes loaders of its own loads `new_samples` alone."""

    @staticmethod
    def chunk_mistakes(arguments: Mapping[str, Any], hidden: bool, mixed: bool) -> list[str]:
        """Return what of a strategy's arguments cannot be done in chunks, a line each.

        Args:
            arguments: By name.
            hidden: ``scenario.online.boundaries="hidden"``.
            mixed: ``scenario.online.blur`` is above 0.
        """
        return []

    def new_samples(self) -> Samples:
        """Return the samples that this epoch trains on: the current chunk's, or all of the step."""
        chunks = self.chunks_of([self.experience])
        if not self.passes or not chunks:
            return self.adapted_dataset
        return self.adapted_dataset.subset(chunks[self.chunk_index])

    @property
    def arrived(self) -> Sequence[int] | None:
        """Indices of the chunk that is trained on, where boundaries are hidden; see `Strategy`."""
        arrival = getattr(self.experience, "arrival", None) if self.passes else None
        return arrival.chunks[self.chunk_index] if arrival is not None and arrival.hidden else None

    def make_eval_dataloader(self, num_workers: int = 0, **kwargs: object) -> None:
        """Make the loader of an evaluation; images may have different sizes."""
        if self._is_task_labelled_by_others():
            super().make_eval_dataloader(num_workers=num_workers, **kwargs)  # type: ignore[misc]
            return
        self.dataloader = self.loader(self.adapted_dataset, train=False)

    def _is_task_labelled_by_others(self) -> bool:
        """Return whether another library's experience has samples of several tasks."""
        experience = self.experience
        return len(tasks_of(experience)) > 1 and not isinstance(experience, NamedExperience)

    def loader(
        self,
        dataset: Samples,
        *,
        train: bool,
        batch_size: int | None = None,
        samples: int | None = None,
        keep_workers: bool = False,
    ) -> Loader:
        """Return a loader with this run's workers; precomputed features are sliced from one tensor.

        The arguments are those of `make_loader`; the default of `batch_size` is this run's.
        """
        size = batch_size or (self.train_mb_size if train else self.eval_mb_size)
        tensors = feature_tensors(dataset)
        if tensors is not None:
            return FeatureLoader(tensors, size, train=train, device=self.device, samples=samples)
        workers = self.options.num_workers
        patches = getattr(self.experience, "patches", None) if train else None
        order = None
        if patches is not None:
            order = PatchOrder(dataset, patches.per_image, patches.pool, samples)
        return make_loader(
            dataset,
            size,
            train=train,
            num_workers=workers,
            device=self.device,
            samples=samples,
            sampler=order,
            keep_workers=keep_workers,
        )

    def mix_in(self, memory: Samples, batch_size: int) -> None:
        """Append a batch from a memory to every training batch; a small memory is repeated."""
        samples = batch_size * len(self.dataloader)
        loader = self.loader(memory, train=True, batch_size=batch_size, samples=samples)
        self.dataloader = MixedLoader(self.dataloader, loader)

    def new_places(self) -> list[int]:
        """Return the indices of the current batch's new samples in the adapted data set.

        Raises:
            ConfigError: The dataloader is not this package's.
        """
        return batch_places(self.dataloader, self.clock.train_epoch_iterations)

    def output_of(self, batch: Batch, model: nn.Module | None = None) -> Tensor:
        """Return the float32 output for any batch; another model's mode is not changed."""
        kept = self.mbatch, self.model
        self.mbatch = moved(batch, self.device)
        self.model = self.model if model is None else model
        try:
            return self.forward()
        finally:
            self.mbatch, self.model = kept

    def training_samples(self, count: int = 0) -> Iterator[tuple[Tensor | RaggedImages, Tensor]]:
        """Yield inputs and targets of the step's training samples, with evaluation transforms."""
        for batch in self._training_batches(count):
            inputs, targets = own_samples(batch)
            if len(targets):
                yield inputs.to(self.device), targets.to(self.device)

    def rows_of(self, function: Callable[[Any], Tensor], count: int = 0) -> Tensor:
        """Return a function's rows (N, ...) for the step's training samples, on the CPU."""
        found = []
        for batch in self._training_batches(count):
            with self.exchange.pass_over(self.model, batch):
                rows = function(batch[0].to(self.device))
            found.append(self.whole(rows, batch).cpu())
        return torch.cat(found)

    def _training_batches(self, count: int) -> Iterator[Batch]:
        """Yield the batches of `training_samples`."""
        data = self.measured(self.adapted_dataset)
        if 0 < count < len(data):
            drawn = drawn_samples(len(data), count, self.options.seed, self.step_index)
            data = data.subset(drawn)
        # training's batch size, which fits into the memory
        loader = self.loader(data, train=False, batch_size=self.train_mb_size)
        yield from track(loader, "pass over the training samples")

    def whole(self, rows: Tensor, batch: Batch | None = None) -> Tensor:
        """Return the rows (B, ...) of a batch, of this process's rows (b, ...)."""
        batch = self.mbatch if batch is None else batch
        return batch.whole(rows) if isinstance(batch, SharedBatch) else rows

    def measured(self, data: Samples) -> Samples:
        """Return samples with the evaluation transform."""
        return data.eval()

    def task_loss(self, outputs: Tensor, targets: Tensor, ratings: Tensor | None = None) -> Tensor:
        """Return the run's loss function of outputs, targets and, where it reads them, ratings."""
        if ratings is None or wanted_by(self._criterion) is None:
            return self._criterion(outputs, targets)
        return self._criterion(outputs, targets, ratings.to(outputs.device))

    @torch.no_grad()
    def predict(self, dataset: Samples) -> tuple[np.ndarray, np.ndarray]:
        """Return outputs and targets of a data set, without hooks, metrics or loggers."""
        was_training = self.model.training
        self.model.eval()
        say = InPieces(self.model)
        outputs, targets = [], []
        for batch in track(self.loader(dataset, train=False), "validate"):
            with self.precision.autocast():
                output = apply_model(say, batch[0].to(self.device))
            outputs.append(self.whole(output.float(), batch).cpu())
            targets.append(batch[1].cpu())
        set_training(self.model, was_training)
        return torch.cat(outputs).numpy(), torch.cat(targets).numpy()
