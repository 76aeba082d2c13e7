"""What one of Avalanche's benchmarks holds, as a stream of classes of this package."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch
from avalanche.benchmarks import CLScenario, OnlineCLExperience
from avalanche.benchmarks.utils import (
    AvalancheDataset,
    DataAttribute,
    TaskAwareSupervisedClassificationDataset,
)
from avalanche.benchmarks.utils.flat_data import ConstantSequence
from avalanche.benchmarks.utils.utils import concat_datasets
from torch import Tensor

from cliqa.benchmarks.class_stream import ClassStream
from cliqa.benchmarks.online import Arrival, chunks_of_sizes
from cliqa.datasets.classes.class_dataset import ClassDataset
from cliqa.utils.errors import ConfigError, DatasetError

MOST_NAMED = 3
"""An experience of more classes than this is named by its number."""


class AvalancheStream(ClassStream):
    """The train, validation and test experiences of one of Avalanche's benchmarks.

    Samples, targets, task labels and transforms are the benchmark's own. Class-IL accuracy is over
    all classes; where no two experiences share a class, task-IL accuracy is among an experience's
    own. Pieces of ``split_online_stream`` become the chunks of their experience. A single test
    experience for several training experiences is cut by their classes.

    Args:
        benchmark: The benchmark.
        where: What made it, for messages.

    Raises:
        ConfigError: It is no benchmark, its labels are not classes, an experience has several
            tasks, or its test data belong to no experience.
    """

    def __init__(self, benchmark: object, where: str) -> None:
        if not isinstance(benchmark, CLScenario):
            raise ConfigError(
                f"scenario: {where} returned a {type(benchmark).__name__}, not a benchmark of "
                "Avalanche's. Return nc_benchmark(...), benchmark_from_datasets(train=[...], "
                "test=[...]) or the like."
            )
        if getattr(benchmark, "target_kind", None) is not None:
            raise ConfigError(
                f"scenario: {where} returned a {type(benchmark).__name__}. Write above it: "
                f"{where.rpartition('.')[2]}.target_kind = '{benchmark.target_kind}'."
            )
        trained, chunks = _training(_stream(benchmark, "train", where))
        self._data = {"train": [_labelled(data, where) for data in trained]}
        for split, name in (("val", "val"), ("test", "test")):
            found = _stream(benchmark, name, where, needed=split == "test")
            self._data[split] = [_labelled(e.dataset, where) for e in found]
        classes = [sorted(set(_targets(data).tolist())) for data in self._data["train"]]
        disjoint = len(set().union(*classes)) == sum(map(len, classes))
        self._fit_tests(classes, disjoint, where)
        self._tasks = [_task(data, k) for k, data in enumerate(self._data["train"])]
        count = 1 + max(
            int(_targets(data).max()) for parts in self._data.values() for data in parts
        )
        names = [str(k) for k in range(count)]
        sources = {
            split: [AvalancheSamples(data, split, names) for data in parts]
            for split, parts in self._data.items()
        }
        labels = _names(classes if disjoint else [range(count)] * len(classes))
        super().__init__(
            sources["train"],
            sources["test"],
            labels,
            None,
            None,
            classes_of=classes if disjoint and len(classes) > 1 else None,
            val=sources["val"] or None,
            task_labels=len(set(self._tasks)) > 1,
        )
        first = _shape(self._data["train"][0], where)
        self.has_features = len(first) == 1
        self.channels = None if self.has_features else first[0]
        for experience, sizes in zip(self.streams["train"], chunks, strict=True):
            experience.arrival = sizes

    def _fit_tests(self, classes: Sequence[Sequence[int]], disjoint: bool, where: str) -> None:
        """Make the test and validation data those of the training experiences, one for one."""
        count = len(classes)
        tests, validations = self._data["test"], self._data["val"]
        if len(tests) == 1 and count > 1 and disjoint:
            targets = _targets(tests[0])
            own = [np.flatnonzero(np.isin(targets, group)).tolist() for group in classes]
            tests = self._data["test"] = [tests[0].subset(indices) for indices in own]
        if len(tests) != count:
            raise ConfigError(
                f"scenario: {where} has {len(tests)} test experience(s) for {count} training "
                "experiences, so that no test data belong to one of them. Make one for each; a "
                "single one is cut by classes where no class recurs, as with scenario='nc' of "
                "CORe50."
            )
        if validations and len(validations) != count:
            raise ConfigError(
                f"scenario: {where} has {len(validations)} validation experiences for {count} "
                "training experiences. Make one for each."
            )

    def _check_transforms(self) -> None:
        """Take the benchmark's own transforms."""

    def task_of(self, name: str) -> int:
        """Return the task label of an experience."""
        return self._tasks[self.names.index(name)]

    def dataset(self, name: str, split: str) -> AvalancheDataset:
        """Return an experience's split with the benchmark's transforms for training or testing."""
        data = self._data[split][self.names.index(name)]
        return data.train() if split == "train" else data.eval()


class AvalancheSamples(ClassDataset):
    """A data set of Avalanche's: its inputs through the evaluation transform, and its classes.

    Args:
        data: The data set.
        split: Its split, which names the samples.
        class_names: The K classes.
    """

    def __init__(self, data: AvalancheDataset, split: str, class_names: Sequence[str]) -> None:
        keys = [f"{split}/{index}" for index in range(len(data))]
        super().__init__(_Inputs(data), _targets(data), class_names, keys)  # type: ignore[arg-type]


class _Inputs(Sequence[Tensor]):
    """The inputs of a data set of Avalanche's, read when one is asked for."""

    def __init__(self, data: AvalancheDataset) -> None:
        self._data = data.eval()

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, index: int) -> Tensor:  # type: ignore[override]  # no slices
        found: Tensor = self._data[index][0]
        return found

    def select(self, indices: Sequence[int]) -> _Inputs:
        """Return a view of some of the inputs."""
        return _Inputs(self._data.subset(indices))


def _stream(benchmark: CLScenario, name: str, where: str, needed: bool = True) -> list[Any]:
    """Return the experiences of a stream, which Avalanche may call by a longer name."""
    streams = benchmark.streams
    found = streams.get(name) or next((s for n, s in streams.items() if n.startswith(name)), None)
    experiences = [] if found is None else list(found)
    if needed and not experiences:
        raise ConfigError(
            f"scenario: {where} has no {name} stream, but {', '.join(streams) or 'none'}."
        )
    return experiences


def _training(
    experiences: Sequence[Any],
) -> tuple[list[AvalancheDataset], list[Arrival | None]]:
    """Return the data sets of the training experiences, and the chunks in which they arrive."""
    if not any(isinstance(e, OnlineCLExperience) for e in experiences):
        return [e.dataset for e in experiences], [None] * len(experiences)
    origins = [getattr(e, "origin_experience", None) for e in experiences]
    if any(origin is None for origin in origins):
        raise ConfigError(
            "scenario: pieces of an online stream belong to no experience, as those of "
            "split_continuous_linear_decay_stream. Use split_online_stream, or the key "
            "scenario.online over the whole experiences."
        )
    trained: list[AvalancheDataset] = []
    arrivals: list[Arrival | None] = []
    for _, group in groupby(experiences, key=lambda e: id(e.origin_experience)):
        pieces = list(group)
        trained.append(concat_datasets([piece.dataset for piece in pieces]))
        chunks = chunks_of_sizes([len(piece.dataset) for piece in pieces])
        arrivals.append(Arrival(chunks, hidden=not pieces[0].access_task_boundaries))
    return trained, arrivals


def _labelled(data: AvalancheDataset, where: str) -> AvalancheDataset:
    """Return a data set of classes whose samples have a task label as their third part."""
    if not hasattr(data, "targets"):
        raise ConfigError(
            f"scenario: {where}: its data sets have no targets. Make them by "
            "as_classification_dataset(...), or give each a DataAttribute(classes, 'targets')."
        )
    if torch.as_tensor(data.targets[0]).is_floating_point():
        raise ConfigError(
            f"scenario: {where}: its targets are scores, and a benchmark of Avalanche's may have "
            "classes here. For scores use scenario=dict(type='QualityStream', datasets=[...])."
        )
    if hasattr(data, "targets_task_labels"):
        return data
    task = DataAttribute(ConstantSequence(0, len(data)), "targets_task_labels", use_in_getitem=True)
    classes = DataAttribute(_targets(data).tolist(), "targets")
    return TaskAwareSupervisedClassificationDataset([data], data_attributes=[classes, task])


def _targets(data: AvalancheDataset) -> np.ndarray:
    """Return the classes (N,) of a data set."""
    return np.asarray([int(target) for target in data.targets], np.int64)


def _task(data: AvalancheDataset, index: int) -> int:
    """Return the task label of an experience's samples."""
    labels = data.targets_task_labels
    found = {int(labels[0])} if isinstance(labels, ConstantSequence) else set(map(int, labels))
    if len(found) > 1:
        raise ConfigError(
            f"scenario: training experience {index} has the tasks {sorted(found)}. Make one "
            "experience of each task."
        )
    return found.pop()


def _shape(data: AvalancheDataset, where: str) -> tuple[int, ...]:
    """Return the shape of an input of a data set."""
    value = data.train()[0][0]
    if not isinstance(value, Tensor):
        raise DatasetError(
            f"scenario: {where}: its samples are of the type {type(value).__name__}, not tensors. "
            "Set scenario.train_transform and scenario.eval_transform, e.g. "
            "[dict(type='ToTensor')]."
        )
    return tuple(value.shape)


def _names(groups: Sequence[Sequence[int]]) -> list[str]:
    """Return the experiences' names: their classes, or a number where those are many or shared.

    >>> _names([[0, 1], [2, 3]])
    ['0+1', '2+3']
    """
    shared = len(groups) > 1 and list(groups[0]) == list(groups[1])
    if not shared and max(map(len, groups)) <= MOST_NAMED:
        return ["+".join(map(str, group)) for group in groups]
    return [f"step-{index}" for index in range(1, len(groups) + 1)]
