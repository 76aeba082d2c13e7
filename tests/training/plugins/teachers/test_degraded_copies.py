"""Degraded copies of images: families, severities, and which image each is of."""

from __future__ import annotations

import torch
from torch import Tensor

from cliqa.training.plugins.teachers.degraded_copies import (
    TABLE,
    checked_families,
    degraded,
    drawn_copies,
)
from cliqa.transforms.degradations.ladders import family_names, find_family


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def flat(values: list[float]) -> Tensor:
    """Return flat images (N, 3, 8, 8)."""
    return torch.tensor(values)[:, None, None, None].expand(-1, 3, 8, 8).contiguous()


def test_all_ladders_are_tried_by_default_and_a_name_once() -> None:
    assert checked_families(None) == family_names(TABLE)
    assert len(checked_families(None)) >= 20
    assert checked_families(["noise", "blur", "noise"]) == ["noise", "blur"]


def test_every_family_degrades_small_images_and_crops_of_them() -> None:
    pixels = torch.rand(2, 2, 3, 9, 12, generator=draw())
    for family in family_names(TABLE):
        for place in (0.0, 0.37, 1.0):
            found = degraded(pixels, family, place, draw())
            assert found.shape == pixels.shape
            assert 0 <= float(found.min()) <= float(found.max()) <= 1
            assert torch.equal(found, degraded(pixels, family, place, draw()))


def test_severities_lie_between_the_ends_of_the_ladder_and_differ() -> None:
    mild, harsh = find_family("darken").ladders[TABLE][0], find_family("darken").ladders[TABLE][-1]
    copies, _ = drawn_copies(flat([1.0]), 200, ["darken"], draw())
    factors = copies.mean(dim=(1, 2, 3))
    assert harsh <= float(factors.min()) < harsh + 0.05
    assert mild - 0.05 < float(factors.max()) <= mild
    assert len(factors.unique()) > 150


def test_images_are_used_in_turn_and_families_are_mixed() -> None:
    values = [0.2, 0.5, 0.8]
    copies, of = drawn_copies(flat(values), 8, ["darken", "blur"], draw())
    assert of.bincount().tolist() in ([3, 3, 2], [3, 2, 3], [2, 3, 3])
    kinds = set()
    for copy, image in zip(copies, of.tolist(), strict=True):
        ratio = float(copy.mean()) / values[image]
        kinds.add("blur" if abs(ratio - 1) < 1e-5 else "darken")  # blur leaves what is flat
        assert ratio < 1.00001
    assert kinds == {"blur", "darken"}


def test_copies_follow_from_the_draw() -> None:
    one, other, third = (drawn_copies(flat([0.3]), 4, ["noise"], draw(k))[0] for k in (1, 1, 2))
    assert torch.equal(one, other)
    assert not torch.equal(one, third)
