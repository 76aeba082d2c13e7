"""Few-shot training sets: a few images of each class and bucket, drawn from the training split."""

from __future__ import annotations

import json
import logging
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from cliqa.config.suggest import listed
from cliqa.datasets.clear.filelists import Listing, read_indices
from cliqa.datasets.clear.files import written_by
from cliqa.datasets.clear.layout import TRAINING
from cliqa.datasets.clear.trees import Tree, open_tree
from cliqa.utils.errors import ConfigError, DatasetError
from cliqa.utils.io import write_text

logger = logging.getLogger(__name__)


def fewshot_folder(root: Path, shot: int, seed: int, bucket: str) -> Path:
    """Return the folder of a bucket's few-shot lists."""
    return root / TRAINING / f"{shot}_shot" / f"split_{seed}" / bucket


def read_fewshot(tree: Tree, bucket: str, shot: int, seed: int, train: Sequence[int]) -> list[int]:
    """Return the indices of a bucket's few-shot images in the whole.

    `train` are the indices of the training split's images.

    Raises:
        DatasetError: The list is missing or wrong, or has images of the test split.
    """
    path = fewshot_folder(tree.root, shot, seed, bucket) / "train_indices.json"
    advice = written_by("fewshot", tree.root, f"--shot {shot} --seed {seed}")
    if tree.layout == "new":
        indices = read_indices(path, len(train), f"bucket {bucket} of train", advice)
        return [train[index] for index in indices]
    whole = tree.whole(bucket)
    indices = read_indices(path, len(whole), f"{TRAINING}/filelists/{bucket}/all.txt", advice)
    outside = sorted(set(indices) - set(train))
    if outside:
        raise DatasetError(
            f"{path}: index {outside[0]} ({whole.images[outside[0]]}) is not in the training "
            f"split of seed {seed}: the test images would not be disjoint. {advice}"
        )
    return indices


def describe_shots(
    listing: Listing, class_names: Sequence[str], shot: int, bucket: str
) -> list[str]:
    """Return notes on classes of a bucket that have fewer or more images than `shot`.

    >>> describe_shots(Listing(("a.jpg",), (1,), ("",)), ["car", "bus"], 1, "3")
    ['bucket 3: fewer than 1 images of car (0)']
    """
    counts = Counter(listing.targets)
    named = [(counts[target], name) for target, name in enumerate(class_names)]
    fewer = [f"{name} ({count})" for count, name in named if count < shot]
    more = [f"{name} ({count})" for count, name in named if count > shot]
    return [
        f"bucket {bucket}: {what} than {shot} images of {listed(odd, 5)}"
        for what, odd in (("fewer", fewer), ("more", more))
        if odd
    ]


def draw_shots(
    targets: Sequence[int], candidates: Sequence[int], shot: int, seed: int
) -> list[int]:
    """Return the sorted indices of `shot` candidates of each class; a smaller class gives all.

    With the same seed, fewer shots are a subset of more shots.

    >>> draw_shots([0, 0, 0, 1, 1], [0, 1, 2, 4], shot=1, seed=0)
    [2, 4]
    """
    order = sorted(candidates)
    random.Random(seed).shuffle(order)
    taken: Counter[int] = Counter()
    drawn = []
    for place in order:
        if taken[targets[place]] < shot:
            taken[targets[place]] += 1
            drawn.append(place)
    return sorted(drawn)


def get_fewshot_indices(root: str | Path, shot: int = 5, seed: int = 0) -> list[str]:
    """Write the few-shot training lists of every bucket.

    The images are drawn from the training split of the same seed, so the test images of the i.i.d.
    protocol do not change; they are listed in files beside. Each list is written as indices and as
    lines of a path and a class. A second run writes the same files.

    Args:
        root: The data set's folder.
        shot: Images of each class and bucket.
        seed: Seed of the draw, and in the old layout of the split.

    Returns:
        A note for each bucket with classes that have fewer images than `shot`; all of those were
        taken.

    Raises:
        ConfigError: `shot` or `seed` is out of range.
        DatasetError: The data set is wrong, or has no split of this seed.
    """
    for name, value, least in (("shot", shot, 1), ("seed", seed, 0)):
        if type(value) is not int or value < least:
            raise ConfigError(f"{name} must be a whole number >= {least}, got {value!r}.")
    tree = open_tree(root)
    files: dict[Path, str] = {}
    notes: list[str] = []
    for bucket in tree.buckets:
        whole = tree.whole(bucket)
        train, test = tree.split(bucket, seed)
        drawn = draw_shots(whole.targets, train, shot, seed)
        folder = fewshot_folder(tree.root, shot, seed, bucket)
        first = train[0] if tree.layout == "new" else 0  # there, indices count within the part
        files[folder / "train_indices.json"] = json.dumps([place - first for place in drawn])
        files[folder / "train.txt"] = whole.select(drawn).lines()
        files[folder / "test_indices.json"] = json.dumps(test)
        files[folder / "test.txt"] = whole.select(test).lines()
        notes += describe_shots(whole.select(drawn), tree.class_names, shot, bucket)
    for path, text in files.items():
        write_text(path, text)
    for note in notes:
        logger.warning("%s: %s; all were taken.", tree.root, note)
    return notes
