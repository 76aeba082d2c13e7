"""A stream of image quality data sets, learnt one after the other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar, Literal

import torch
from avalanche.benchmarks import CLScenario
from avalanche.benchmarks.scenarios.generic_scenario import EagerCLStream
from avalanche.benchmarks.utils import AvalancheDataset

from cliqa.benchmarks.absent import AbsentDataset
from cliqa.benchmarks.attribute_split import split_data_sets
from cliqa.benchmarks.experience import NamedExperience, evaluated_names
from cliqa.benchmarks.overlap import without_overlap
from cliqa.benchmarks.patches import Patches
from cliqa.benchmarks.random_splits import check_split
from cliqa.benchmarks.samples import Transform, with_transforms
from cliqa.datasets.base import QualityDataset
from cliqa.datasets.labels.ratings import rating_rows
from cliqa.losses.ratings import Wanted
from cliqa.registry import SCENARIOS
from cliqa.transforms.pixel_store.choose import Cache, Part, PixelCache
from cliqa.utils.errors import ConfigError, DatasetError
from cliqa.utils.mistakes import Mistakes
from cliqa.utils.seed import generator

SPLITS: tuple[Literal["train", "val", "test"], ...] = ("train", "val", "test")

UNSEEN = "unseen"
"""The name of the stream of the data sets that are only evaluated."""


@SCENARIOS.register_module()
class QualityStream(CLScenario):
    """Train, validation and test streams over an ordered list of data sets.

    Experience k is data set k: samples are (image, score) with the score in 0..1, higher = better,
    as a float32 scalar. There are no task labels: the domain changes, the task does not. A data
    set without a split has no experience in that split's stream; the others keep their place k.

    Args:
        datasets: The data sets.
        train_transform: Image (3, H, W) uint8 -> (3, h, w), for training.
        eval_transform: Image (3, H, W) uint8 -> (3, h, w) or crops (N, 3, h, w), else.
        order: Names of the data sets in the order to learn them in; None for the order given.
        shared: Handling of images that are in several splits or data sets, of which a test or
            validation split is one: ``"remove"`` takes them out of training (and a test image out
            of validation), ``"keep"`` only reports them, ``"error"`` stops.
        patches_per_image: Training samples of every image in an epoch: it is read once, and the
            random steps of `train_transform` make so many patches of it, which lie in different
            batches (at most two in one, where there are images enough).
        patch_pool: Images that are in use at a time for that.
        cache: Where images are kept once they are decoded and resized, so that later epochs begin
            there: ``"ram"``, ``"disk"``, ``"auto"`` or False; see `PixelCache`. The pixels are
            the same.
        scaled_decode: Decode a JPEG at a half, a quarter or an eighth of its size where the first
            step, a resize, shrinks it at least as much. It is faster, and the pixels are others.
        max_train: Training images of each data set that are used, drawn without replacement; None
            for all. A smaller number is a part of any larger one's draw.
        max_train_seed: Seed of that draw.
        learnt_before: Positions in the stream at which it once ended, set by ``--extend`` where it
            matters: of images that a data set before such a position trains or validates on and one
            behind it tests on, the test images are taken out, as the model has seen them.
        splits: How many random splits a study runs (`cliqa.studies`); a run is of one of them.
        evaluate_only: Data sets that are tested on after every experience and never trained on:
            their test splits (``fractions=(0, 0, 1)`` makes all images of a data set one). They are
            the stream ``unseen_stream``, with the places after all experiences. `split_index` does
            not change them.
        evaluated_before: How many of these there were at each position of `learnt_before`, set by
            ``--extend`` too.
        split_by: Cut the data sets into experiences by an attribute of their images; see
            `split_data_sets`.
        groups: Values of that attribute that are learnt together.
        min_images: Images of the smallest such experience, to train on and to test on.
        folds: Or how many folds: each image is in one of their test splits.
        split_index: Which of them, from 0. It is added to the seed of every data set's drawn split,
            or is its fold.

    Attributes:
        names: The data sets' names in the order of the stream.
        unseen: The names of the data sets that are only evaluated.
        absent: By name, why a data set that was learnt before cannot be read any more.
        sources: By name and split, the data behind the streams.
        overlaps: The shared images, by pair of splits.
        pixel_cache: Where decoded images are kept.

    Raises:
        ConfigError: Two data sets share a name, `order` does not name each once, `shared` is
            unknown, images are shared and must not be, or nothing of `evaluate_only` is a test
            split.
    """

    target_kind: ClassVar[str] = "scores"
    """What the samples are labelled with."""

    def __init__(
        self,
        datasets: Sequence[QualityDataset],
        train_transform: Transform,
        eval_transform: Transform,
        order: Sequence[str] | None = None,
        shared: str = "remove",
        patches_per_image: int = 1,
        patch_pool: int = 256,
        max_train: int | None = None,
        max_train_seed: int = 0,
        learnt_before: Sequence[int] = (),
        splits: int | None = None,
        folds: int | None = None,
        split_index: int | None = None,
        evaluate_only: Sequence[QualityDataset] = (),
        evaluated_before: Sequence[int] = (),
        split_by: str | Mapping[str, str] | None = None,
        groups: Mapping[str, Sequence[str]] | None = None,
        min_images: int = 10,
        cache: Cache = "auto",
        scaled_decode: bool = False,
    ) -> None:
        check_split(splits, folds, split_index)
        patches = Patches(patches_per_image, patch_pool)
        if max_train is not None and (not isinstance(max_train, int) or max_train < 1):
            raise ConfigError(
                f"scenario.max_train: expected a number of images >= 1 or None, got {max_train!r}."
            )
        if shared not in ("remove", "keep", "error"):
            raise ConfigError(
                f"scenario.shared: expected 'remove', 'keep' or 'error', got {shared!r}."
            )
        datasets = split_data_sets(datasets, split_by, groups, min_images)
        ordered = _in_order(datasets, order)
        self.names = [dataset.name for dataset in ordered]
        self.unseen = _unseen_names(evaluate_only, self.names)
        every = [*ordered, *evaluate_only]
        self.absent = {d.name: d.reason for d in every if isinstance(d, AbsentDataset)}
        parts: dict[tuple[str, str], QualityDataset] = {
            (data.name, part): data.subset(part) for data in ordered for part in SPLITS
        }
        parts |= {(data.name, "test"): data.subset("test") for data in evaluate_only}
        stages = _stages(self.names, learnt_before) | _stages(self.unseen, evaluated_before)
        self.sources, self.overlaps = without_overlap(parts, shared, stages)
        if max_train is not None:
            for name in self.names:
                data = self.sources[name, "train"]
                self.sources[name, "train"] = _drawn(data, max_train, max_train_seed)
        self.train_transform = train_transform
        self.eval_transform = eval_transform
        self.patches = patches if patches_per_image > 1 else None
        self.scaled_decode = scaled_decode
        self.pixel_cache = self._pixel_cache(cache)
        self._ratings: Wanted | None = None
        streams = [*(self._stream(split) for split in SPLITS), self._unseen_stream()]
        super().__init__([stream for stream in streams if len(stream)])

    def _pixel_cache(self, mode: str | bool) -> PixelCache:
        """Return where the images of all splits are kept."""
        train = [self._part(name, "train", True) for name in self.names]
        rest = [self._part(name, split) for name, split in self.sources if split != "train"]
        return PixelCache(mode, [*train, *rest])

    def _part(self, name: str, split: str, train: bool = False) -> Part:
        """Return a split's images with the transform of training or of evaluation."""
        transform = self.train_transform if train else self.eval_transform
        return Part(name, self.sources[name, split].files, transform, self.scaled_decode)

    def _stream(self, split: str) -> EagerCLStream[NamedExperience]:
        """Return one of the streams: an experience of each data set that has the split.

        What is absent keeps its place in the train stream, where methods look samples up.
        """
        patches = self.patches if split == "train" else None
        kept = self.absent if split == "train" else ()
        experiences = {
            place: NamedExperience(name, self.dataset(name, split), place, patches, source)
            for place, name in enumerate(self.names)
            if len(source := self.sources[name, split]) or name in kept
        }
        stream = EagerCLStream(split, list(experiences.values()))
        for place, experience in experiences.items():
            experience.current_experience = place  # Avalanche numbers the existing ones
        return stream

    def _unseen_stream(self) -> EagerCLStream[NamedExperience]:
        """Return the stream of the data sets that are only evaluated."""
        there = [name for name in self.unseen if name not in self.absent]
        experiences = [NamedExperience(name, self.dataset(name, "test"), 0) for name in there]
        stream = EagerCLStream(UNSEEN, experiences)
        for experience in experiences:
            experience.current_experience = evaluated_names(self).index(experience.name)
        return stream

    @property
    def notes(self) -> list[str]:
        """Notes on the data for readers of the results."""
        own = [*((n, "train") for n in self.names), *((n, "test") for n in self.unseen)]
        warnings = [text for part in own for text in self.sources[part].score_warnings]
        return [*map(str, self.overlaps), *warnings]

    def rate(self, wanted: Wanted) -> None:
        """Add what a loss reads of raters to each training sample, as a third entry.

        Raises:
            DatasetError: With a line for each data set whose labels do not tell it.
        """
        self._ratings = wanted
        mistakes = Mistakes()
        for experience in self.streams.get("train", ()):
            with mistakes.noted():
                experience._dataset = self.dataset(experience.name, "train")
        mistakes.raise_as(DatasetError)

    def dataset(self, name: str, split: str) -> AvalancheDataset:
        """Return a data set's split with both transforms, in evaluation mode unless it is train."""
        train, own = split == "train", self.sources[name, split]
        pool = self.patches.pool if train and self.patches is not None else 0
        training = self.pixel_cache.staged(self._part(name, split, True), pool)
        evaluation = self.pixel_cache.staged(self._part(name, split))
        rows = None
        if train and self._ratings is not None and name not in self.absent:
            rows = rating_rows(own, self._ratings.levels, self._ratings.default_std)
        data = with_transforms(own, training, evaluation, rows)
        return data.train() if train else data

    def validation(self, index: int) -> AvalancheDataset | None:
        """Return the validation data of experience `index`, or None if it has none."""
        name = self.names[index]
        return self.dataset(name, "val") if len(self.sources[name, "val"]) else None

    def tested(self, learnt: Collection[int]) -> list[int]:
        """Return the data sets that a model may be tested on: all there are, whatever it learnt.

        They are places in the stream; those of data sets that are only evaluated come after it.
        """
        return [k for k, name in enumerate(evaluated_names(self)) if name not in self.absent]


def _stages(names: Sequence[str], before: Sequence[int]) -> dict[str, int]:
    """Return the stage of a stream that grew in which each data set came, from 0."""
    return {name: sum(k >= p for p in before) for k, name in enumerate(names)}


def _unseen_names(evaluate_only: Sequence[QualityDataset], learnt: Sequence[str]) -> list[str]:
    """Return the names of the data sets that are only evaluated, each of which has a test split."""
    names: list[str] = []
    for data in evaluate_only:
        if data.name in (*learnt, *names):
            raise ConfigError(
                f"scenario.evaluate_only: another data set is called '{data.name}' already. What "
                "is learnt is evaluated anyway; give a further one a name of its own: "
                "dict(type=..., name='...')."
            )
        if not len(data.subset("test")) and not isinstance(data, AbsentDataset):
            raise ConfigError(
                f"scenario.evaluate_only: {data.name} has no test split. To test on all of its "
                "images, set fractions=(0, 0, 1) (and split_column=None)."
            )
        names.append(data.name)
    return names


def _drawn(data: QualityDataset, count: int, seed: int) -> QualityDataset:
    """Return `count` images of a data set in their order, or all where there are fewer."""
    order = torch.randperm(len(data), generator=generator(seed, "max_train", data.name))
    return data.select(sorted(order[:count].tolist()))


def _in_order(
    datasets: Sequence[QualityDataset], order: Sequence[str] | None
) -> list[QualityDataset]:
    """Return the data sets in the requested order."""
    by_name = {dataset.name: dataset for dataset in datasets}
    if not datasets:
        raise ConfigError("scenario.datasets: empty. Name at least one data set.")
    if len(by_name) < len(datasets):
        names = [dataset.name for dataset in datasets]
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(
            f"scenario.datasets: two data sets are called '{twice}'. Give one of them another "
            "name: dict(type=..., name='...')."
        )
    if order is None:
        return list(datasets)
    if sorted(order) != sorted(by_name):
        raise ConfigError(
            f"scenario.order: {list(order)} must name each of {list(by_name)} exactly once."
        )
    return [by_name[name] for name in order]
