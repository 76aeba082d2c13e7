"""Tests of the file names and of the splits foreseen."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from cliqa.demo_data.file_names import draw_names

COUNTS = (30, 5, 12)


@pytest.mark.parametrize("counts", [COUNTS, (1, 1, 1), (500, 50, 200), (7, 3, 90)])
def test_every_split_has_the_number_asked_for(counts: tuple[int, int, int]) -> None:
    for pairs in draw_names(counts, 0, np.random.default_rng(0)).values():
        found = Counter(split for _, split in pairs)
        assert (found["train"], found["val"], found["test"]) == counts
        numbers = [int(name.removesuffix(".jpg")) for name, _ in pairs]
        assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("overlap", [0, 9, 47])
def test_eva_and_ava_share_what_is_asked_for(overlap: int) -> None:
    names = draw_names(COUNTS, overlap, np.random.default_rng(0))
    eva, ava, koniq = ({name for name, _ in names[key]} for key in ("eva", "ava", "koniq"))
    assert len(eva & ava) == overlap
    assert not koniq & (eva | ava)
    assert max(int(name[:-4]) for name in eva | ava) <= 958_297


def test_names_follow_from_the_seed() -> None:
    first, same, other = (draw_names(COUNTS, 2, np.random.default_rng(k)) for k in (0, 0, 1))
    assert first == same
    assert first != other
