"""Images that are in more than one split of a stream, and their removal from training."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

from cliqa.datasets.base import QualityDataset
from cliqa.datasets.sharing import find_shared
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

Split = tuple[str, str]
"""A data set's name and "train", "val" or "test"."""

RANK = {"train": 0, "val": 1, "test": 2}
"""An image that two splits share stays in the one of the higher rank."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """The images that two splits share.

    Args:
        first: One split.
        second: The other one.
        images: Images of the split that they are taken out of, else of the first, that both hold.
        removed_from: The split that they are taken out of, or None.
    """

    first: Split
    second: Split
    images: int
    removed_from: Split | None

    def __str__(self) -> str:
        """Return the finding as a sentence."""
        names = f"{'/'.join(self.first)} and {'/'.join(self.second)}"
        taken = f"; removed from {'/'.join(self.removed_from)}" if self.removed_from else ""
        return f"{names} share {self.images} image{'s' * (self.images != 1)}{taken}"


def without_overlap(
    splits: Mapping[Split, QualityDataset],
    shared: str,
    stages: Mapping[str, int] | None = None,
) -> tuple[dict[Split, QualityDataset], list[Overlap]]:
    """Find the images that splits share and take them out of the lower split.

    EVA's images, for example, are all AVA images, and hundreds of them are AVA test images: a model
    trained on EVA would be tested on AVA with images that it has seen.

    Args:
        splits: The splits of all data sets of a stream.
        shared: ``"remove"``, ``"keep"`` or ``"error"``.
        stages: By data set, the stage of a stream that grew; None: all of one. An image that an
            earlier stage has trained on is taken out of a later one's test split instead.

    Returns:
        The splits without the shared images, and what was found.

    Raises:
        ConfigError: Images are shared by training and test or validation data, and `shared` is
            ``"error"``; or nothing would remain of a training split.
    """
    names = [split for split, data in splits.items() if len(data)]
    stage = stages or {}
    found: dict[tuple[Split, Split], set[int]] = defaultdict(set)
    taken: dict[tuple[Split, Split], Split] = {}
    drop: dict[Split, set[int]] = defaultdict(set)
    for image in find_shared([splits[n] for n in names]):
        indices = {names[position]: held for position, held in image.by_dataset().items()}
        for pair in combinations(indices, 2):
            low, high = sorted(pair, key=lambda split: RANK[split[1]])
            loser = low
            if _leaks(low, high):
                learnt = stage.get(low[0], 0) < stage.get(high[0], 0)
                loser = taken[low, high] = high if learnt else low
                drop[loser].update(indices[loser])
            found[low, high].update(indices[loser])
    overlaps = [
        Overlap(*both, len(images), taken.get(both) if shared == "remove" else None)
        for both, images in found.items()
    ]
    for overlap in overlaps:
        logger.warning("%s.", overlap)
    if shared == "error" and drop:
        leak = next(o for o in overlaps if _leaks(o.first, o.second))
        raise ConfigError(
            f"scenario: {leak}, and scenario.shared='error'. Use 'remove' to train without them."
        )
    if shared != "remove":
        return dict(splits), overlaps
    return {n: _without(n, data, drop.get(n, set())) for n, data in splits.items()}, overlaps


def _leaks(low: Split, high: Split) -> bool:
    """Return whether shared images bias a measurement on `high`."""
    return RANK[low[1]] < RANK[high[1]]


def _without(split: Split, data: QualityDataset, indices: set[int]) -> QualityDataset:
    """Return a data set without some of its samples."""
    if not indices:
        return data
    kept = [i for i in range(len(data)) if i not in indices]
    if not kept and split[1] == "test":
        raise ConfigError(
            f"scenario: all {len(data)} images of {'/'.join(split)} were trained on earlier in the "
            "run, so nothing remains to test on. Give it other test images."
        )
    if not kept and split[1] == "train":
        raise ConfigError(
            f"scenario: all {len(data)} images of {'/'.join(split)} are also in a test or "
            "validation split, so nothing remains to train on. Is one file used for both?"
        )
    return data.select(kept)
