"""File names like those of the real data sets, and the split that each loader will make."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cliqa.datasets.splits import carve_validation, seeded_splits

_AVA_IDS = 958_297
"""AVA's ids, and so EVA's, go up to here."""

_FLICKR_IDS = 10**9

Names = list[tuple[str, str]]
"""File names with their splits."""


def draw_names(counts: Sequence[int], overlap: int, rng: np.random.Generator) -> dict[str, Names]:
    """Return the file names of each data set, ordered by number, with their splits.

    EVA has no official split and AVA no official validation list. What their loaders do about it
    depends on the names alone, so it is foreseen here: with the shares of `counts` and the split
    seed 0 a loader's split is the one returned. So many of AVA's names as `overlap` says are EVA's.
    """
    total = sum(counts)
    train, val, test = counts
    ids = rng.choice(max(_AVA_IDS, 4 * total), 2 * total, replace=False) + 1
    flickr = rng.choice(9 * _FLICKR_IDS, total, replace=False) + _FLICKR_IDS
    eva, own = _jpg(ids[:total]), _jpg(ids[total:])
    shared = rng.permutation(eva)[:overlap].tolist()
    ava = rng.permutation([*shared, *own[: total - overlap]]).tolist()
    koniq = _jpg(flickr)
    official = ["train"] * train + ["val"] * val + ["test"] * test
    listed = ["train"] * (train + val) + ["test"] * test  # AVA's lists: val is carved out of train
    carved = carve_validation(listed, ava, val / (train + val), 0, "ava")
    named = {
        "eva": zip(eva, seeded_splits(eva, [n / total for n in counts], 0, "eva"), strict=True),
        "ava": zip(ava, carved, strict=True),
        "koniq": zip(koniq, official, strict=True),
    }
    return {name: sorted(pairs, key=_number) for name, pairs in named.items()}


def _jpg(numbers: np.ndarray) -> list[str]:
    return [f"{number}.jpg" for number in numbers.tolist()]


def _number(pair: tuple[str, str]) -> int:
    return int(pair[0].partition(".")[0])
