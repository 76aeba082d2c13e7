"""Splits into train, val and test that depend on the seed and the names alone."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from cliqa.datasets.table import SPLITS
from cliqa.utils.errors import ConfigError, DatasetError

_SPELLINGS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


def normalise_split(name: str) -> str:
    """Return a split's name as ``train``, ``val`` or ``test``; an unknown one as it is.

    >>> normalise_split("Validation")
    'val'
    """
    return _SPELLINGS.get(name.strip().lower(), name)


def check_fractions(fractions: Sequence[float], where: str) -> tuple[float, float, float]:
    """Return the shares of train, val and test as three floats.

    Raises:
        ConfigError: They are not three shares of at least 0 that sum to 1.
    """
    try:
        train, val, test = (float(share) for share in fractions)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{where}: fractions must be three shares (train, val, test), got {fractions!r}."
        ) from error
    if min(train, val, test) < 0.0 or not math.isclose(train + val + test, 1.0, abs_tol=1e-6):
        raise ConfigError(
            f"{where}: fractions must be at least 0 and sum to 1, got {fractions!r}. "
            "For example (0.8, 0.1, 0.1)."
        )
    return train, val, test


def seeded_splits(
    units: Sequence[str], fractions: Sequence[float], seed: int, where: str
) -> tuple[str, ...]:
    """Return a split for each image, such that the images of one unit stay together.

    A unit's place is a hash of the seed and its name: the split is the same on every machine and
    for every order of the rows, and a unit more or less moves few of the others.

    Args:
        units: (N,) what must not be parted: each image's reference or prompt, or its own name.
        fractions: Shares of train, val and test, which sum to 1. A positive share gets one unit at
            least.
        seed: Another seed gives another split.
        where: The beginning of an error message.

    Returns:
        (N,) ``"train"``, ``"val"`` or ``"test"``.

    Raises:
        ConfigError: As `check_fractions`.
        DatasetError: There are fewer units than splits to fill.

    >>> seeded_splits(["a", "a", "b", "c"], (0.5, 0.0, 0.5), seed=0, where="toy")
    ('train', 'train', 'test', 'train')
    """
    shares = check_fractions(fractions, where)
    order = sorted(set(units), key=lambda unit: _place(seed, unit))
    counts = _counts(len(order), shares, where)
    split_of: dict[str, str] = {}
    start = 0
    for split, count in zip(SPLITS, counts, strict=True):
        split_of.update(dict.fromkeys(order[start : start + count], split))
        start += count
    return tuple(split_of[unit] for unit in units)


def _place(seed: int, unit: str) -> bytes:
    return hashlib.blake2b(f"{seed}\0{unit}".encode(), digest_size=8).digest()


def _counts(total: int, shares: Sequence[float], where: str) -> list[int]:
    """Return how many units each split gets: the rounded shares, but one for a positive share."""
    filled = sum(share > 0.0 for share in shares)
    if total < filled:
        raise DatasetError(
            f"{where}: {total} images or groups cannot fill {filled} splits. "
            "Add images, or set fractions=(1, 0, 0)."
        )
    ends = [round(sum(shares[: k + 1]) * total) for k in range(len(shares))]
    counts = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    for k, share in enumerate(shares):
        if share > 0.0 and counts[k] == 0:
            counts[counts.index(max(counts))] -= 1
            counts[k] = 1
    return counts


def carve_validation(
    splits: Sequence[str], units: Sequence[str], share: float, seed: int, where: str
) -> tuple[str, ...]:
    """Return splits in which a share of train has become val, unless there is a val already.

    Args:
        splits: (N,) each image's split.
        units: (N,) what must not be parted, as in `seeded_splits`.
        share: The share of train's units that become val.
        seed: Another seed gives another validation set.
        where: The beginning of an error message.

    Returns:
        (N,) the new splits.

    Raises:
        ConfigError: The share is not in 0..1.
        DatasetError: Train has too few images.
    """
    if not 0.0 <= share < 1.0:
        raise ConfigError(f"{where}: the validation share must be in 0..1, got {share!r}.")
    train = [unit for unit, split in zip(units, splits, strict=True) if split == "train"]
    if "val" in splits or not train or share == 0.0:
        return tuple(splits)
    parts = iter(seeded_splits(train, (1.0 - share, share, 0.0), seed, where))
    return tuple(next(parts) if split == "train" else split for split in splits)
