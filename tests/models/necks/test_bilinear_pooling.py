from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from cliqa.models.necks.bilinear_pooling import BilinearPooling
from cliqa.utils.errors import ModelError


@pytest.mark.parametrize("root", [True, False])
def test_it_is_the_mean_of_outer_products(root: bool) -> None:
    torch.manual_seed(0)
    a, b = torch.randn(2, 3, 4, 5), torch.randn(2, 2, 4, 5)
    expected = torch.zeros(2, 3, 2)
    for y in range(4):
        for x in range(5):
            expected += a[:, :, None, y, x] * b[:, None, :, y, x] / 20
    flat = expected.flatten(1)
    flat = flat.sign() * (flat.abs() + 1e-8).sqrt() if root else flat
    (found,) = BilinearPooling(root)([a, b])
    torch.testing.assert_close(found, flat / flat.norm(dim=1, keepdim=True))


def test_a_second_map_of_another_size_is_interpolated() -> None:
    a, b = torch.rand(1, 3, 6, 4), torch.rand(1, 2, 3, 5)
    wide = F.interpolate(b, size=(6, 4), mode="bilinear", align_corners=True)
    pool = BilinearPooling()
    torch.testing.assert_close(pool([a, b])[0], pool([a, wide])[0])


def test_black_maps_have_finite_gradients() -> None:
    a = torch.zeros(1, 2, 2, 2, requires_grad=True)
    BilinearPooling()([a, torch.ones(1, 2, 2, 2)])[0].sum().backward()
    assert a.grad is not None
    assert torch.isfinite(a.grad).all()


@pytest.mark.parametrize("maps", [[torch.zeros(1, 2, 3, 3)], [torch.zeros(1, 2)] * 2])
def test_other_outputs_are_refused(maps: list[torch.Tensor]) -> None:
    with pytest.raises(ModelError, match=r"takes two maps \(B, C, h, w\), got \(1, 2"):
        BilinearPooling()(maps)
