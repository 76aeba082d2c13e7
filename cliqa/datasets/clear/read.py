"""Read CLEAR: a training and a test set for each bucket of time, under either protocol."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from cliqa.config.suggest import closest, listed
from cliqa.datasets.classes.class_dataset import ClassDataset, ImageFiles
from cliqa.datasets.clear.features import check_feature_type
from cliqa.datasets.clear.fewshot import describe_shots, read_fewshot
from cliqa.datasets.clear.filelists import Listing
from cliqa.datasets.clear.files import written_by
from cliqa.datasets.clear.layout import DATA_NAMES, choose_buckets
from cliqa.datasets.clear.trees import Tree, open_tree
from cliqa.datasets.image_files import match_images
from cliqa.utils.errors import ConfigError, DatasetError

logger = logging.getLogger(__name__)

PROTOCOLS = ("streaming", "iid")
SEEDS = (0, 1, 2, 3, 4)
"""The seeds of the published splits of the old layout."""


@dataclass(frozen=True)
class ClearSplits:
    """CLEAR's training and test sets, one of each for every bucket.

    Attributes:
        layout: ``"old"`` or ``"new"``.
        buckets: The buckets' names, in the order of time.
        class_names: The K classes.
        train: The training sets.
        test: The test sets; under the streaming protocol those of `train`.
        notes: Notes on the data for readers of the results.
    """

    layout: str
    buckets: tuple[str, ...]
    class_names: tuple[str, ...]
    train: tuple[ClassDataset, ...]
    test: tuple[ClassDataset, ...]
    notes: tuple[str, ...]


def read_clear(
    root: str | Path,
    *,
    data_name: str = "clear10",
    evaluation_protocol: str = "streaming",
    seed: int | None = None,
    shot: int | None = None,
    feature_type: str | None = None,
    buckets: Sequence[int | str] | None = None,
) -> ClearSplits:
    """Read CLEAR in either layout; the options are those of `cliqa.benchmarks.clear.CLEAR`.

    Returns:
        The data sets. A sample's key is its image's path relative to `root`.

    Raises:
        ConfigError: An option is wrong, or does not fit another one.
        DatasetError: A file is missing or wrong.
    """
    _check_options(data_name, evaluation_protocol, seed, shot)
    tree = open_tree(root)
    if evaluation_protocol == "iid" and tree.layout == "old" and seed not in SEEDS:
        raise ConfigError(
            f"scenario.seed={seed}: the i.i.d. protocol needs the seed of a split, 0..4."
        )
    if feature_type is not None:
        check_feature_type(tree.root, tree.layout, feature_type)
    chosen = choose_buckets(tree.buckets, buckets)
    notes = list(tree.notes)
    splits: dict[str, tuple[list[int], list[int]]] = {}  # indices for training and for test
    for bucket in chosen if evaluation_protocol == "iid" else ():
        train, test = tree.split(bucket, seed, by_index=feature_type is not None)
        if shot is not None and seed is not None:
            train = read_fewshot(tree, bucket, shot, seed, train)
            drawn = tree.whole(bucket).select(train)
            notes += describe_shots(drawn, tree.class_names, shot, bucket)
        splits[bucket] = train, test
    whole = (
        _image_sets(tree, chosen)
        if feature_type is None
        else _feature_sets(tree, chosen, feature_type)
    )
    if seed is not None and tree.layout == "new":
        use = "the few-shot images" if shot is not None else "nothing"
        notes.append(f"seed {seed} selects no split (this layout has one), but {use}")
    notes += _describe_shared({bucket: tree.whole(bucket) for bucket in chosen})
    for note in notes:
        logger.info("%s: %s.", tree.root, note)
    train_sets, test_sets = (
        tuple(
            whole[bucket].select(splits[bucket][k]) if splits else whole[bucket]
            for bucket in chosen
        )
        for k in (0, 1)
    )
    return ClearSplits(tree.layout, chosen, tree.class_names, train_sets, test_sets, tuple(notes))


def _check_options(data_name: str, protocol: str, seed: int | None, shot: int | None) -> None:
    """Check the options that need no data."""
    if data_name not in DATA_NAMES:
        raise ConfigError(
            f"scenario.data_name: unknown data set '{data_name}'. It is one of "
            f"{', '.join(DATA_NAMES)}.{closest(str(data_name), DATA_NAMES)}"
        )
    if protocol not in PROTOCOLS:
        raise ConfigError(
            f"scenario.evaluation_protocol: unknown protocol '{protocol}'. Set 'streaming' or "
            f"'iid'.{closest(str(protocol), PROTOCOLS)}"
        )
    for name, value, least in (("seed", seed, 0), ("shot", shot, 1)):
        if value is None:
            continue
        if type(value) is not int or value < least:
            raise ConfigError(
                f"scenario.{name} must be a whole number >= {least} or None, got {value!r}."
            )
        if protocol == "streaming":
            raise ConfigError(
                f"scenario.{name}={value}: the streaming protocol splits no bucket. Set "
                f"scenario.{name}=None, or evaluation_protocol='iid'."
            )
    if shot is not None and seed is None:
        raise ConfigError(
            f"scenario.shot={shot}: few-shot images are drawn with a seed. Set scenario.seed=0."
        )


def _image_sets(tree: Tree, buckets: Sequence[str]) -> dict[str, ClassDataset]:
    """Return all images of each bucket; raise a DatasetError if files are missing."""
    listings = {bucket: tree.whole(bucket) for bucket in buckets}
    images = [image for listing in listings.values() for image in listing.images]
    places = [place for listing in listings.values() for place in listing.places]
    found = match_images(tree.root, images)
    lost = [f"{images[k]} ({places[k]})" for k, path in enumerate(found) if path is None]
    if lost:
        raise DatasetError(
            f"{tree.root}: {len(lost)} of {len(images)} images are missing: {listed(lost, 5)}. "
            "Unpack the data set again, or correct the lists."
        )
    paths = iter(found)
    sets = {}
    for bucket, listing in listings.items():
        own = [f"{tree.root}/{next(paths)}" for _ in listing.images]
        files = ImageFiles(own, listing.places)
        sets[bucket] = ClassDataset(files, listing.targets, tree.class_names, listing.images)
    return sets


def _feature_sets(tree: Tree, buckets: Sequence[str], name: str) -> dict[str, ClassDataset]:
    """Return all features of each bucket, which must be of one length."""
    sets = {}
    widths: dict[int, str] = {}
    for bucket in buckets:
        features: Tensor = tree.features(bucket, name)  # (N, D)
        widths.setdefault(features.shape[1], bucket)
        listing = tree.whole(bucket)
        sets[bucket] = ClassDataset(features, listing.targets, tree.class_names, listing.images)
    if len(widths) > 1:
        found = " and ".join(f"{width} (bucket {bucket})" for width, bucket in widths.items())
        raise DatasetError(
            f"{tree.root}: the features '{name}' differ in their length: {found}. "
            f"{written_by('features', tree.root, f'--name {name} --overwrite')}"
        )
    return sets


def _describe_shared(listings: dict[str, Listing]) -> list[str]:
    """Return notes on image ids that are in several buckets or classes."""
    seen: dict[str, tuple[str, int]] = {}
    times: dict[str, str] = {}
    classes: dict[str, str] = {}
    for bucket, listing in listings.items():
        for image, target in zip(listing.images, listing.targets, strict=True):
            image_id = image.rpartition("/")[2].rpartition(".")[0]
            first, other = seen.setdefault(image_id, (bucket, target))
            if first != bucket:
                times.setdefault(image_id, f"{image_id} in buckets {first} and {bucket}")
            elif other != target:
                classes.setdefault(image_id, f"{image_id} in bucket {bucket}")
    return [
        f"{len(found)} image ids are in several {what}, e.g. {next(iter(found.values()))}"
        for what, found in (("buckets", times), ("classes", classes))
        if found
    ]
