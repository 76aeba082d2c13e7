"""A stream of data sets with class labels, learnt one after the other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, ClassVar

import torch
from avalanche.benchmarks import CLScenario
from avalanche.benchmarks.scenarios.generic_scenario import EagerCLStream
from avalanche.benchmarks.utils import (
    DataAttribute,
    TaskAwareSupervisedClassificationDataset,
    TransformGroups,
)
from avalanche.benchmarks.utils.flat_data import ConstantSequence
from torch import Tensor

from cliqa.benchmarks.experience import NamedExperience
from cliqa.benchmarks.stored import StoredImages, files_of
from cliqa.datasets.classes.class_dataset import ClassDataset
from cliqa.transforms.pixel_store.choose import Cache, Part, PixelCache
from cliqa.transforms.staged import StagedPipeline, as_staged
from cliqa.utils.errors import ConfigError, DatasetError
from cliqa.utils.logging import get_logger
from cliqa.utils.seed import generator

logger = get_logger(__name__)

Transform = Callable[[Tensor], Tensor]
SPLITS = ("train", "val", "test")


class ClassStream(CLScenario):
    """Train, validation and test streams over an ordered list of data sets with classes.

    Samples are (input, class, task label): the third is what Avalanche's own methods ask for, 0
    unless `task_labels` is set. Experiences have Avalanche's ``classes_in_this_experience``,
    ``previous_classes``, ``classes_seen_so_far`` and ``future_classes``.

    Args:
        train: One data set for each experience.
        test: One data set for each experience.
        names: The experiences' names in tables and file names.
        train_transform: Image (C, H, W) uint8 -> (C, h, w), for training; None for features.
        eval_transform: The same for evaluation.
        classes_of: The classes of every experience, where each has classes of its own: task-IL
            accuracy is then measured too. None where the experiences share all classes.
        ahead_only: Test a model only on experiences that it has not learnt yet, as the test data of
            the earlier ones are their training data.
        val_fraction: Share of each experience's training data to validate on, 0..1.
        seed: Of the draw of the validation data.
        task_labels: Give experience k the task label k, as Avalanche's own benchmarks do; models
            with several heads and Avalanche's task-aware methods need them.
        notes: On the data, for readers of the results.
        val: Validation data of each experience, instead of a share of its training data.
        cache: Where images are kept once they are decoded and resized; see `PixelCache`.
        scaled_decode: As `QualityStream`.

    Attributes:
        names: The experiences' names.
        class_names: The K classes.
        n_classes: K.
        channels: Of the images; None for features.
        sources: By name and split, the data behind the streams.
        overlaps: Notes on the data for readers of the results.
        pixel_cache: Where decoded images are kept.

    Raises:
        ConfigError: `val_fraction` leaves nothing to train on, or images have no transform.
        DatasetError: An experience has nothing to train on or to test on.
    """

    target_kind: ClassVar[str] = "classes"
    """The kind of label of the samples."""

    has_clear_measures: bool = False
    """Whether CLEAR's five measures are reported."""

    def __init__(
        self,
        train: Sequence[ClassDataset],
        test: Sequence[ClassDataset],
        names: Sequence[str],
        train_transform: Transform | None,
        eval_transform: Transform | None,
        *,
        classes_of: Sequence[Sequence[int]] | None = None,
        ahead_only: bool = False,
        val_fraction: float = 0.0,
        seed: int = 0,
        task_labels: bool = False,
        notes: Sequence[str] = (),
        val: Sequence[ClassDataset] | None = None,
        cache: Cache = "auto",
        scaled_decode: bool = False,
    ) -> None:
        self.names = list(names)
        self.class_names = train[0].class_names
        self.n_classes = len(self.class_names)
        self.classes_of = None if classes_of is None else [tuple(c) for c in classes_of]
        self.ahead_only = ahead_only
        self.task_labels = task_labels
        self.overlaps = list(notes)
        self.has_features = train[0].has_features
        self.channels = _channels(train[0])
        self.train_transform, self.eval_transform = train_transform, eval_transform
        self.scaled_decode = scaled_decode
        self._check_transforms()
        self.sources: dict[tuple[str, str], ClassDataset] = {}
        for index, name in enumerate(self.names):
            kept, validated = _without_validation(train[index], val_fraction, seed, name)
            validated = validated if val is None else val[index]
            self.sources[name, "train"], self.sources[name, "val"] = kept, validated
            self.sources[name, "test"] = test[index]
        self._check_samples()
        parts = [self._part(name, split, split == "train") for name, split in self.sources]
        self.pixel_cache = PixelCache(False if self.has_features else cache, parts)
        self._warnings = self._few_classes()
        for text in self._warnings:
            logger.warning("%s", text)
        streams = [
            self._stream(split)
            for split in SPLITS
            if all(len(self.sources[name, split]) for name in self.names)
        ]
        super().__init__(streams)
        for stream in streams:
            for experience in stream:  # asked for by Avalanche's confusion matrix
                experience.benchmark = self

    def _check_transforms(self) -> None:
        """Refuse images without a transform; drop the transforms of features, which take none."""
        for key in ("train_transform", "eval_transform"):
            if self.has_features:
                setattr(self, key, None)
            elif getattr(self, key) is None:
                raise ConfigError(
                    f"scenario.{key}: missing. Images need one, e.g. [dict(type='Resize', "
                    "size=224), dict(type='CenterCrop', size=224), dict(type='ToTensor')]."
                )

    def _check_samples(self) -> None:
        """Refuse an experience without samples to train on or to test on."""
        for (name, split), data in self.sources.items():
            if split != "val" and not len(data):
                raise DatasetError(
                    f"experience {name} has no {split} samples. Add some to the data, or choose "
                    "other classes or buckets, or fewer experiences."
                )

    @property
    def notes(self) -> list[str]:
        """Notes on the data for readers of the results."""
        return [*self.overlaps, *self._warnings]

    def _few_classes(self) -> list[str]:
        """Return which experiences have one class alone, as a sentence."""
        if self.n_classes == 1:
            return [
                f"all samples are of one class ('{self.class_names[0]}'): every accuracy is 1, "
                "whatever is learnt. Is scenario.dataset_root the folder above the classes' own?"
            ]
        alone = [n for n in self.names if len(set(self.sources[n, "train"].targets.tolist())) == 1]
        if not alone:
            return []
        more = f" and {len(alone) - 3} more" if len(alone) > 3 else ""
        advice = "add images of other classes"
        if self.classes_of is not None:
            advice = "set a smaller scenario.n_experiences"
        return [
            f"{', '.join(alone[:3])}{more}: only one class to train on. To learn to distinguish it "
            f"from others there, {advice}."
        ]

    def _stream(self, split: str) -> EagerCLStream[NamedExperience]:
        """Return one of the streams, its experiences with their classes."""
        classes = [set(self.sources[name, split].targets.tolist()) for name in self.names]
        everything = set().union(*classes)
        seen: set[int] = set()
        experiences = []
        for index, (name, own) in enumerate(zip(self.names, classes, strict=True)):
            experience = NamedExperience(name, self.dataset(name, split), index)
            experience.classes_in_this_experience = sorted(own)
            experience.previous_classes = sorted(seen)
            seen |= own
            experience.classes_seen_so_far = sorted(seen)
            experience.future_classes = sorted(everything - seen)
            if self.task_labels:
                task = self.task_of(name)
                experience.task_label, experience.task_labels = task, [task]
            experiences.append(experience)
        return EagerCLStream(split, experiences)

    def task_of(self, name: str) -> int:
        """Return the task label of an experience: its index, 0 without task labels."""
        return self.names.index(name) if self.task_labels else 0

    def dataset(self, name: str, split: str) -> TaskAwareSupervisedClassificationDataset:
        """Return an experience's split with its transforms, in evaluation mode unless train."""
        data = with_class_transforms(
            self.sources[name, split],
            self._staged(name, split, True),
            self._staged(name, split, False),
            self.task_of(name),
        )
        return data.train() if split == "train" else data

    def _staged(self, name: str, split: str, train: bool) -> StagedPipeline | None:
        """Return a split's transform of training or of evaluation; features have none."""
        if self.has_features:
            return None
        return self.pixel_cache.staged(self._part(name, split, train))

    def _part(self, name: str, split: str, train: bool) -> Part:
        """Return a split's images with the transform of training or of evaluation."""
        transform = self.train_transform if train else self.eval_transform
        files = files_of(self.sources[name, split])
        return Part(name, files, transform, self.scaled_decode)  # type: ignore[arg-type]

    def validation(self, index: int) -> TaskAwareSupervisedClassificationDataset | None:
        """Return the validation data of experience `index`, or None if it has none."""
        name = self.names[index]
        return self.dataset(name, "val") if len(self.sources[name, "val"]) else None

    def tested(self, learnt: Collection[int]) -> list[int]:
        """Return the experiences to test a model on, which has `learnt` some of them."""
        every = range(len(self.names))
        return [k for k in every if k not in learnt] if self.ahead_only else list(every)


def with_class_transforms(
    data: ClassDataset,
    train_transform: Transform | None,
    eval_transform: Transform | None,
    task_label: int = 0,
) -> TaskAwareSupervisedClassificationDataset:
    """Return Avalanche's view of a data set with classes, in evaluation mode.

    The task label is the third part of every sample; features take no transforms.
    """
    source: Any = data if data.has_features else StoredImages(data)
    train, evaluate = (
        None if transform is None else as_staged(transform)
        for transform in (train_transform, eval_transform)
    )
    groups = TransformGroups(
        {"train": (train, None), "eval": (evaluate, None)}, current_group="eval"
    )
    attributes = [
        DataAttribute(data.targets.tolist(), "targets"),
        DataAttribute(
            ConstantSequence(task_label, len(data)), "targets_task_labels", use_in_getitem=True
        ),
    ]
    made = TaskAwareSupervisedClassificationDataset(
        [source], data_attributes=attributes, transform_groups=groups
    )
    # explicit, as Avalanche 0.6 ignores the current group and starts in training mode
    return made.eval()


def _channels(data: ClassDataset) -> int | None:
    """Return how many channels the images have; image files are read as three."""
    if data.has_features:
        return None
    return int(data.inputs.shape[1]) if isinstance(data.inputs, Tensor) else 3


def _without_validation(
    data: ClassDataset, fraction: float, seed: int, name: str
) -> tuple[ClassDataset, ClassDataset]:
    """Return what remains to train on, and the validation data."""
    if not 0 <= fraction < 1:
        raise ConfigError(f"scenario.val_fraction: expected a share 0..1, got {fraction!r}.")
    count = round(fraction * len(data))
    if fraction and not 0 < count < len(data):
        raise ConfigError(
            f"scenario.val_fraction={fraction}: of the {len(data)} training samples of {name} that "
            f"is {count} to validate on. Choose another share."
        )
    order = torch.randperm(len(data), generator=generator(seed, "validation", name)).tolist()
    validated, kept = sorted(order[:count]), sorted(order[count:])
    return (data.select(kept), data.select(validated)) if count else (data, data.select([]))
