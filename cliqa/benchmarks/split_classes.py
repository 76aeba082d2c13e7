"""Class-incremental streams: the classes of one data set, a few at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from cliqa.benchmarks.class_stream import ClassStream, Transform
from cliqa.datasets.classes.cifar import read_cifar10, read_cifar100
from cliqa.datasets.classes.class_dataset import ClassDataset
from cliqa.datasets.classes.fashion_mnist import read_fashion_mnist
from cliqa.datasets.classes.image_folder import read_image_folder
from cliqa.registry import SCENARIOS
from cliqa.transforms.pixel_store.choose import Cache
from cliqa.utils.errors import ConfigError
from cliqa.utils.seed import generator

MOST_NAMED = 3
"""An experience of more classes than this is named by its number."""


class SplitClasses(ClassStream):
    """The classes of a data set in disjoint groups, one group for each experience.

    Class-IL and task-IL accuracy are both measured. Labels stay those of the data set, so one head
    over all classes is trained.

    Args:
        data: Training and test data.
        train_transform: Image (C, H, W) uint8 -> (C, h, w), for training.
        eval_transform: The same for evaluation.
        n_experiences: Number of groups; where the classes cannot be divided equally, the first
            groups get one more.
        fixed_class_order: Every class once, in the order to learn them in; None for 0, 1, 2, ...
        seed: Shuffle the classes by this seed instead.
        task_labels: Give experience k the task label k.
        val_fraction: Share of each experience's training data to validate on.
        cache: As `ClassStream`.
        scaled_decode: As `ClassStream`.

    Raises:
        ConfigError: There are fewer classes than experiences, the order does not name every class
            once, or an order and a seed are both given.
    """

    def __init__(
        self,
        data: tuple[ClassDataset, ClassDataset],
        /,
        train_transform: Transform,
        eval_transform: Transform,
        n_experiences: int,
        fixed_class_order: Sequence[int] | None = None,
        seed: int | None = None,
        task_labels: bool = False,
        val_fraction: float = 0.0,
        cache: Cache = "auto",
        scaled_decode: bool = False,
    ) -> None:
        train, test = data
        order = class_order(len(train.class_names), fixed_class_order, seed)
        groups = group_classes(order, n_experiences)
        self.classes_order = order
        self.n_classes_per_exp = [len(group) for group in groups]
        super().__init__(
            [_of_classes(train, group) for group in groups],
            [_of_classes(test, group) for group in groups],
            _names(groups),
            train_transform,
            eval_transform,
            classes_of=groups,
            val_fraction=val_fraction,
            task_labels=task_labels,
            cache=cache,
            scaled_decode=scaled_decode,
        )


def class_order(classes: int, fixed: Sequence[int] | None, seed: int | None) -> list[int]:
    """Return the classes in their order of learning: `fixed`, shuffled by a seed, or 0, 1, 2, ...

    Raises:
        ConfigError: `fixed` does not name every class once, or both are given.

    >>> class_order(4, None, None), class_order(4, [3, 1, 0, 2], None)
    ([0, 1, 2, 3], [3, 1, 0, 2])
    """
    if fixed is not None and seed is not None:
        raise ConfigError(
            "scenario: fixed_class_order and seed both set the order of the classes. Give one."
        )
    if fixed is not None:
        if sorted(fixed) != list(range(classes)):
            raise ConfigError(
                f"scenario.fixed_class_order: must name each of the classes 0..{classes - 1} "
                f"exactly once, got {list(fixed)}."
            )
        return [int(c) for c in fixed]
    if seed is None:
        return list(range(classes))
    return torch.randperm(classes, generator=generator(seed, "class order")).tolist()


def group_classes(order: Sequence[int], n_experiences: int) -> list[tuple[int, ...]]:
    """Return the classes in groups of sizes that differ by one at most, the larger ones first.

    Raises:
        ConfigError: There is no such number of groups.

    >>> group_classes(range(5), 2)
    [(0, 1, 2), (3, 4)]
    """
    most = len(order)
    if isinstance(n_experiences, bool) or not isinstance(n_experiences, int):
        raise ConfigError(f"scenario.n_experiences: expected an integer, got {n_experiences!r}.")
    if not 1 <= n_experiences <= most:
        raise ConfigError(
            f"scenario.n_experiences={n_experiences}: {most} classes make 1 to {most} experiences."
        )
    groups = np.array_split(np.asarray(order), n_experiences)
    return [tuple(int(c) for c in group) for group in groups]


def _of_classes(data: ClassDataset, classes: Sequence[int]) -> ClassDataset:
    """Return the samples of some classes, in the data set's order."""
    return data.select(np.flatnonzero(np.isin(data.targets, classes)))


def _names(groups: Sequence[Sequence[int]]) -> list[str]:
    """Return the experiences' names: their classes, or a number where those are many.

    >>> _names([(0, 1), (2, 3)])
    ['0+1', '2+3']
    """
    if max(map(len, groups)) <= MOST_NAMED:
        return ["+".join(map(str, group)) for group in groups]
    return [f"step-{index}" for index in range(1, len(groups) + 1)]


class PublishedSplit(SplitClasses):
    """The classes of a published data set in disjoint groups.

    Args:
        dataset_root: Folder of the official files, as torchvision lays them out.
        train_transform: As `SplitClasses`.
        eval_transform: As `SplitClasses`.
        n_experiences: Number of groups of classes; None for the data set's usual number.
        download: Fetch the files first if they are missing.
        common: The other arguments of `SplitClasses`.

    Raises:
        ConfigError: As `SplitClasses`.
        DatasetError: The files are missing or damaged.
    """

    usual_experiences: ClassVar[int] = 5
    side: ClassVar[int] = 32
    """Height and width of the images, in pixels."""

    def __init__(
        self,
        dataset_root: str | Path,
        train_transform: Transform,
        eval_transform: Transform,
        n_experiences: int | None = None,
        *,
        download: bool = False,
        **common: Any,  # noqa: ANN401
    ) -> None:
        data = self.read(dataset_root, download)
        count = self.usual_experiences if n_experiences is None else n_experiences
        super().__init__(data, train_transform, eval_transform, count, **common)

    @staticmethod
    def read(root: str | Path, download: bool) -> tuple[ClassDataset, ClassDataset]:
        """Return the data set's training and test data."""
        raise NotImplementedError


@SCENARIOS.register_module()
class SplitFashionMNIST(PublishedSplit):
    """Fashion-MNIST (Xiao et al., 2017): by default five experiences of two classes.

    Images are (1, 28, 28); ``dict(type='RGB')`` in a transform makes three channels of one. The
    arguments are those of `PublishedSplit`.
    """

    side = 28
    read = staticmethod(read_fashion_mnist)


@SCENARIOS.register_module()
class SplitCIFAR10(PublishedSplit):
    """CIFAR-10 (Krizhevsky, 2009): by default five experiences of two classes.

    The arguments are those of `PublishedSplit`.
    """

    read = staticmethod(read_cifar10)


@SCENARIOS.register_module()
class SplitCIFAR100(PublishedSplit):
    """CIFAR-100 (Krizhevsky, 2009): by default ten experiences of ten classes.

    The arguments are those of `PublishedSplit`.
    """

    usual_experiences = 10
    read = staticmethod(read_cifar100)


@SCENARIOS.register_module()
class SplitFolder(SplitClasses):
    """Your own labelled images: ``ROOT/<class>/`` or ``ROOT/train/<class>/`` and ``ROOT/test/...``.

    Args:
        dataset_root: The folder.
        train_transform: As `SplitClasses`.
        eval_transform: As `SplitClasses`.
        n_experiences: Number of groups of classes.
        test_fraction: Share of every class to test on, where the folder has no ``test``.
        split_seed: Of that draw.
        common: The other arguments of `SplitClasses`.

    Raises:
        ConfigError: As `SplitClasses`.
        DatasetError: The folder holds no labelled images.
    """

    def __init__(
        self,
        dataset_root: str | Path,
        train_transform: Transform,
        eval_transform: Transform,
        n_experiences: int = 5,
        *,
        test_fraction: float = 0.2,
        split_seed: int = 0,
        **common: Any,  # noqa: ANN401
    ) -> None:
        data = read_image_folder(dataset_root, test_fraction, split_seed)
        super().__init__(data, train_transform, eval_transform, n_experiences, **common)
