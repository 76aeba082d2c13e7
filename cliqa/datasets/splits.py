"""Splits into train, val and test that depend on the seed and the names alone."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cliqa.datasets.labels.table import SPLITS, ScoreTable
from cliqa.utils.errors import ConfigError, DatasetError

logger = logging.getLogger(__name__)

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

_CODES = {"0": "train", "1": "val", "2": "test"}


def is_split_word(cell: str) -> bool:
    """Return whether a cell names a split in one of the usual words or codes.

    >>> is_split_word("Training"), is_split_word("2.0"), is_split_word("set5")
    (True, True, False)
    """
    return _word(cell) in _SPELLINGS or _word(cell) in _CODES


def with_known_splits(
    table: ScoreTable, names: Mapping[str, Any] | None = None, option: str = ""
) -> ScoreTable:
    """Return a table with its splits as ``train``, ``val`` and ``test``, as a file may call them.

    The codes 0, 1 and 2 (train, val and test, as in pyiqa's tables) are understood where 2 occurs:
    of 0 and 1 alone nobody can tell whether 1 is val or test.

    Args:
        table: Its splits are the file's own words.
        names: The file's words for ``train``, ``val`` and ``test``, one or a list of each; None
            for the usual words.
        option: The data set's option for `names`, for the messages; empty where it has none.

    Raises:
        ConfigError: `names` does not name splits, or gives two of them one word.
        DatasetError: A word is unknown; the message names its row.
    """
    if table.splits is None:
        return table
    words = {cell: _word(cell) for cell in dict.fromkeys(table.splits)}
    advice = f"Write {', '.join(SPLITS)}"
    if option:
        advice += f", or set {option}=dict(train='...', val='...', test='...')"
    meaning = _meaning(names, option) if names is not None else _SPELLINGS
    if names is None and set(words.values()) <= set(_CODES):
        if "2" not in words.values():
            also = f", or set {option}=dict(train=0, val=1) or dict(train=0, test=1)"
            raise DatasetError(
                f"{table.where(0)}: the splits are coded as {' and '.join(sorted(words.values()))} "
                f"alone: is 1 val or test? Write {', '.join(SPLITS)}{also if option else ''}."
            )
        logger.info("%s: the splits 0, 1, 2 are read as train, val, test.", table.source)
        meaning = _CODES
    for index, cell in enumerate(table.splits):
        if words[cell] not in meaning:
            raise DatasetError(f"{table.where(index)}: unknown split '{cell}'. {advice}.")
    return replace(table, splits=tuple(meaning[words[cell]] for cell in table.splits))


def _meaning(names: Mapping[str, Any], option: str) -> dict[str, str]:
    """Return what each of a file's words means."""
    if not isinstance(names, Mapping) or not names or not set(names) <= set(SPLITS):
        raise ConfigError(
            f"{option} must be dict(train='...', val='...', test='...') or a part of it, "
            f"got {names!r}."
        )
    words = [
        (_word(str(word)), split)
        for split, own in names.items()
        for word in (own if isinstance(own, (list, tuple)) else [own])
    ]
    meaning = dict(words)
    if len(meaning) < len(words):
        raise ConfigError(f"{option} gives two splits one name: {dict(names)!r}.")
    return meaning


def _word(cell: str) -> str:
    """Return a cell without what does not matter: case, blanks, the ``.0`` of a whole number."""
    word = cell.strip().lower()
    return word[:-2] if word.endswith(".0") and word[:-2].isdigit() else word


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
    units: Sequence[str],
    fractions: Sequence[float],
    seed: int,
    where: str,
    fold: Sequence[int] | None = None,
) -> tuple[str, ...]:
    """Return a split for each image, such that the images of one unit stay together.

    A unit's place is a hash of the seed and its name: the split is the same on every machine and
    for every order of the rows, and a unit more or less moves few of the others.

    Args:
        units: (N,) units that stay together: each image's reference or prompt, or its own name.
        fractions: Shares of train, val and test, which sum to 1. A positive share gets one unit at
            least.
        seed: Another seed gives another split.
        where: The beginning of an error message.
        fold: (k, K): the test split is the k-th of K parts of all units; train and val share the
            others.

    Returns:
        (N,) ``"train"``, ``"val"`` or ``"test"``.

    Raises:
        ConfigError: As `check_fractions`.
        DatasetError: There are fewer units than splits or folds to fill.

    >>> seeded_splits(["a", "a", "b", "c"], (0.5, 0.0, 0.5), seed=0, where="toy")
    ('train', 'train', 'test', 'train')
    """
    shares = check_fractions(fractions, where)
    order = sorted(set(units), key=lambda unit: _place(seed, unit))
    if fold is None:
        counts = _counts(len(order), shares, where)
    else:
        order, counts = _with_fold(order, shares, fold, where)
    split_of: dict[str, str] = {}
    start = 0
    for split, count in zip(SPLITS, counts, strict=True):
        split_of.update(dict.fromkeys(order[start : start + count], split))
        start += count
    return tuple(split_of[unit] for unit in units)


def _with_fold(
    order: Sequence[str], shares: Sequence[float], fold: Sequence[int], where: str
) -> tuple[list[str], list[int]]:
    """Return units with those of a fold at their end, and how many each split gets."""
    index, folds = fold
    if len(order) < folds:
        raise DatasetError(
            f"{where}: {len(order)} images or groups cannot fill {folds} folds. "
            "Add images, or lower scenario.folds."
        )
    first, last = (round(k * len(order) / folds) for k in (index, index + 1))
    rest = [*order[last:], *order[:first]]
    train, val, _ = shares
    if not train + val:
        raise ConfigError(f"{where}: fractions={tuple(shares)} leaves nothing to train on.")
    counts = _counts(len(rest), (train / (train + val), val / (train + val), 0.0), where)
    counts[2] = last - first
    return [*rest, *order[first:last]], counts


def _place(seed: int, unit: str) -> bytes:
    return hashlib.blake2b(f"{seed}\0{unit}".encode(), digest_size=8).digest()


def _counts(total: int, shares: Sequence[float], where: str) -> list[int]:
    """Return how many units each split gets: the rounded shares, but one for a positive share."""
    filled = sum(share > 0.0 for share in shares)
    if total < filled:
        named = " and ".join(name for name, share in zip(SPLITS, shares, strict=True) if share)
        without = shares[1] > 0.0 and total == filled - 1
        also = ", or set fractions=(0.8, 0, 0.2) to do without val" if without else ""
        raise DatasetError(
            f"{where}: {total} image{'s' * (total != 1)} or groups cannot fill {filled} splits "
            f"({named}). Add images{also}."
        )
    ends = [round(sum(shares[: k + 1]) * total) for k in range(len(shares))]
    counts = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    for k, share in enumerate(shares):
        if share > 0.0 and counts[k] == 0:
            counts[counts.index(max(counts))] -= 1
            counts[k] = 1
    return counts


def carve_validation(
    splits: Sequence[str],
    units: Sequence[str],
    share: float,
    seed: int,
    where: str,
    without: str = "",
) -> tuple[str, ...]:
    """Return splits in which a share of train has become val, unless there is a val already.

    Args:
        splits: (N,) each image's split.
        units: (N,) units that stay together, as in `seeded_splits`.
        share: The share of train's units that become val, drawn by `seed`.
        seed: As in `seeded_splits`.
        where: The beginning of an error message.
        without: The option, with its value, that needs no val; for the message.

    Raises:
        ConfigError: The share is not in 0..1.
        DatasetError: Train has too few images.
    """
    if not 0.0 <= share < 1.0:
        raise ConfigError(f"{where}: the validation share must be in 0..1, got {share!r}.")
    train = [unit for unit, split in zip(units, splits, strict=True) if split == "train"]
    if "val" in splits or not train or share == 0.0:
        return tuple(splits)
    if len(set(train)) < 2:
        also = f", or set {without} to do without one" if without else ""
        raise DatasetError(
            f"{where}: one image or group to train on cannot be shared with a validation split. "
            f"Add images{also}."
        )
    parts = iter(seeded_splits(train, (1.0 - share, share, 0.0), seed, where))
    return tuple(next(parts) if split == "train" else split for split in splits)


def with_validation(
    table: ScoreTable, fractions: Sequence[float], seed: int, name: str
) -> ScoreTable:
    """Return a table in which a share ``val / (train + val)`` of train is val, if it has none.

    A table without splits is returned as it is.

    Args:
        table: Its splits are called train, val and test.
        fractions: Shares of train, val and test.
        seed: As in `seeded_splits`.
        name: The data set's name, for messages.

    Raises:
        DatasetError: Train has too few images.
    """
    if table.splits is None:
        return table
    train, val, test = fractions
    units = table.groups if table.groups is not None else table.images
    share = val / (train + val) if train > 0.0 else 0.0
    without = f"fractions=({train + val:g}, 0, {test:g})"
    where = f"{name}: {table.source}"
    carved = carve_validation(table.splits, units, share, seed, where, without)
    return replace(table, splits=carved)
