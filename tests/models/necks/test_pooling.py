from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from cliqa.models.necks.pooling import areas, pool_to


@pytest.mark.parametrize("size", [(14, 14), (15, 9), (2, 3), (7, 21)])
def test_it_is_adaptive_pooling(size: tuple[int, int]) -> None:
    maps = torch.randn(2, 3, *size)
    torch.testing.assert_close(pool_to(maps, 7, 7), F.adaptive_avg_pool2d(maps, 7))


def test_a_map_of_that_size_stays_as_it_is() -> None:
    maps = torch.randn(2, 3, 7, 5)
    assert pool_to(maps, 7, 5) is maps


@pytest.mark.parametrize(("length", "count"), [(14, 7), (15, 7), (3, 7), (9, 2), (1, 1)])
def test_matrices_take_the_same_means(length: int, count: int) -> None:
    maps = torch.randn(2, 3, length, 4)
    found = areas(length, count, maps) @ maps
    torch.testing.assert_close(found, F.adaptive_avg_pool2d(maps, (count, 4)))
