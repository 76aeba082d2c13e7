"""Batches of images: of one size, of many sizes, or of many crops an image.

Legend: B images, N crops an image, C H W, K outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import RandomSampler, default_collate

from cliqa.training.loop.parallel.shared_batch import joined
from cliqa.utils.errors import ConfigError, DatasetError, ModelError


class Loader(Protocol):
    """Batches of a data set in some order."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...


class RaggedImages(list[Tensor]):
    """Images of different sizes in one batch: a list of (C, H, W) or (N, C, H, W)."""

    def to(self, *args: Any, **kwargs: Any) -> RaggedImages:  # noqa: ANN401
        """Move every image, as `Tensor.to` does."""
        return RaggedImages(image.to(*args, **kwargs) for image in self)

    def pin_memory(self) -> RaggedImages:
        """Pin every image's memory (called by a DataLoader for CUDA)."""
        return RaggedImages(image.pin_memory() for image in self)


def collate_eval(samples: Sequence[Sequence[Any]]) -> list[Any]:
    """Stack samples of one size; keep images of different sizes as `RaggedImages`.

    Args:
        samples: B samples (image, target, ...).

    Returns:
        ``[images, targets, ...]`` with images (B, ...) or `RaggedImages`.
    """
    images = [sample[0] for sample in samples]
    rest = default_collate([tuple(sample[1:]) for sample in samples])
    same = all(image.shape == images[0].shape for image in images)
    return [torch.stack(images) if same else RaggedImages(images), *rest]


def collate_train(samples: Sequence[Sequence[Any]]) -> list[Any]:
    """Stack samples, which must all have one size.

    Raises:
        DatasetError: The images of the batch have different sizes.
    """
    shapes = {tuple(sample[0].shape) for sample in samples}
    if len(shapes) > 1:
        first, second = sorted(shapes)[:2]
        raise DatasetError(
            f"scenario.train_transform: images of one training batch have different sizes, e.g. "
            f"{first} and {second}. End it with a crop or a resize to one size, e.g. "
            "dict(type='RandomCrop', size=224)."
        )
    return list(default_collate([tuple(sample) for sample in samples]))


def apply_model(model: Callable[..., Tensor], images: Tensor | RaggedImages) -> Tensor:
    """Run a model over any kind of batch; crops of an image are averaged.

    Args:
        model: (B, C, H, W) -> (B,) or (B, K).
        images: (B, C, H, W), (B, N, C, H, W), or a ragged list of either.

    Returns:
        (B,) or (B, K).
    """
    if isinstance(images, RaggedImages):
        return torch.cat([apply_model(model, image[None]) for image in images])
    if images.dim() == 5:
        batch, crops = images.shape[:2]
        output = as_tensor(model(images.flatten(0, 1)))  # (B*N, ...)
        return output.view(batch, crops, *output.shape[1:]).mean(1)
    return model(images)


def model_output(model: Callable[..., Any], images: Tensor | RaggedImages) -> Tensor:
    """Return `apply_model` for a user's model, with its output checked.

    Raises:
        ModelError: Its output is not a tensor.
    """
    return as_tensor(apply_model(model, images))


def as_tensor(output: object) -> Tensor:
    """Return a model's output.

    Raises:
        ModelError: It is not a tensor.
    """
    if isinstance(output, Tensor):
        return output
    name, keys, one = type(output).__name__, "", ""
    if isinstance(output, Mapping):
        keys = f" with {', '.join(map(str, output))}"
        one = f": model(x)[{next(iter(output), 'scores')!r}]"
    elif isinstance(output, (tuple, list)):
        keys, one = f" of {len(output)}", ": model(x)[0]"
    article = "an" if name[:1] in "AEIOUaeiou" else "a"
    raise ModelError(
        f"the model returns {article} {name}{keys} for a batch; expected a tensor of scores "
        "(B,) or logits (B, K). Wrap it in a torch.nn.Module whose forward returns the right "
        f"tensor{one}."
    )


class KnownOrder(RandomSampler):
    """A `RandomSampler` that records the order of the current epoch.

    Attributes:
        order: The indices of the samples in the current epoch.
    """

    order: Sequence[int] = ()

    def __iter__(self) -> Iterator[int]:
        self.order = list(super().__iter__())
        yield from self.order


def batch_places(loader: Loader, batch: int) -> list[int]:
    """Return the indices of a batch's samples in a training loader's data set.

    Args:
        loader: The loader that is iterated over; of a `MixedLoader`, the loader of new samples.
        batch: The batch's number in the epoch, from 0.

    Returns:
        B indices in the batch's order, without a memory's.

    Raises:
        ConfigError: The loader is not this package's.
    """
    while isinstance(loader, MixedLoader):
        loader = loader.new
    sampler = getattr(loader, "sampler", None)
    if not isinstance(sampler, KnownOrder):
        raise ConfigError(
            f"cl_strategy.plugins: the training loader is a {type(loader).__name__} of Avalanche's "
            "or of another plugin's, but a plugin must know which samples a batch holds. Use this "
            "package's 'Replay' instead of Avalanche's, experiences of one task each, and in a "
            "script no arguments for loaders but num_workers."
        )
    size: int = loader.batch_size  # type: ignore[attr-defined]
    return list(sampler.order[batch * size : (batch + 1) * size])


def smallest_batch(samples: int, batch_size: int) -> int:
    """Return the size of an epoch's smallest training batch, as `make_loader` makes them.

    Args:
        samples: Samples of an epoch.
        batch_size: Samples of a batch.

    >>> [smallest_batch(n, 8) for n in (1, 7, 16, 17, 18)]
    [1, 7, 8, 8, 2]
    """
    left = samples % batch_size
    if samples <= batch_size:
        return samples
    return left if left > 1 else batch_size


def batches_of(samples: int, batch_size: int) -> int:
    """Return how many training batches an epoch has, as `make_loader` makes them.

    >>> [batches_of(n, 8) for n in (1, 7, 16, 17, 18)]
    [1, 1, 2, 2, 3]
    """
    full, left = divmod(samples, batch_size)
    return full + (left > 1 or not full)


class MixedLoader:
    """Batches of new data, each joined with a batch from a memory.

    Args:
        new: Loader of the new data; it gives the number of batches.
        memory: Loader of the memory, with at least as many batches.
    """

    def __init__(self, new: Loader, memory: Loader) -> None:
        self.new = new
        self.memory = memory

    def __len__(self) -> int:
        return len(self.new)

    def __iter__(self) -> Iterator[list[Any]]:
        for batch, remembered in zip(self.new, self.memory, strict=False):
            yield joined([batch, remembered])


_TORCH = "Expected more than 1 value per channel when training"


def is_one_value(error: Exception) -> bool:
    """Return whether an error is batch normalisation's over a single value."""
    return isinstance(error, ValueError) and str(error).startswith(_TORCH)


def one_value_error(what: str, samples: int, batch_size: int) -> ConfigError:
    """Return the error for a training batch of one sample whose maps are one pixel.

    Args:
        what: What is trained on: the names of data sets.
        samples: Samples of an epoch.
        batch_size: ``train_mb_size``.
    """
    why = "batch normalisation has one value a channel to learn from"
    if samples < 2:
        return ConfigError(
            f"{what}: one sample to train on, and {why}. Add samples to the training split."
        )
    if batch_size < 2:
        return ConfigError(
            f"cl_strategy.train_mb_size={batch_size}: with one sample a batch, {why}. Set "
            "cl_strategy.train_mb_size=2 or more (cl_strategy.accumulate makes no difference)."
        )
    return ConfigError(
        f"{what}: a batch of one sample, and {why}. Set another cl_strategy.train_mb_size than "
        f"{batch_size}; a plugin that draws batches of its own must draw two samples or more."
    )
