"""Painted garments: exact shapes, and kinds that can be told apart, but not at a glance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from cliqa.demo_data.painting.garments import SIZE, Plane, paint_garment

KINDS = 10


def square_plane(count: int = 41) -> Plane:
    """Return a plane of exact places in -1..1."""
    return Plane(*np.meshgrid(*[np.linspace(-1.0, 1.0, count)] * 2))


def painted(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return `count` images of each kind, (N, 1, 28, 28) in 0..1, and their kinds."""
    kinds = np.repeat(np.arange(KINDS), count)
    images = [
        paint_garment(int(kind), np.random.default_rng([seed, place]))
        for place, kind in enumerate(kinds)
    ]
    return torch.from_numpy(np.stack(images))[:, None] / 255.0, torch.from_numpy(kinds)


@pytest.mark.parametrize("kind", range(KINDS))
def test_a_light_shape_before_a_dark_background(kind: int) -> None:
    image = paint_garment(kind, np.random.default_rng(1))
    assert image.shape == (SIZE, SIZE)
    assert image.dtype == np.uint8
    assert np.concatenate([image[:2].ravel(), image[-1]]).mean() < 60
    assert 0.03 < (image > 75).mean() < 0.7


def test_the_generator_decides_and_nothing_else() -> None:
    first, again, other = (paint_garment(3, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_polygon_is_measured_from_its_edges() -> None:
    plane = square_plane()
    corners = (-0.5, -0.25), (0.5, -0.25), (0.5, 0.25), (-0.5, 0.25)
    beyond = np.abs(plane.x) - 0.5, np.abs(plane.y) - 0.25  # the distance from a box is known
    outside = np.hypot(*(np.maximum(axis, 0.0) for axis in beyond))
    expected = outside + np.minimum(np.maximum(*beyond), 0.0)
    assert plane.polygon(*corners) == pytest.approx(expected, abs=1e-9)
    assert plane.polygon(*corners[::-1]) == pytest.approx(expected, abs=1e-9)


def test_a_polygon_may_have_a_notch() -> None:
    plane = Plane(np.array([[0.0, -0.8, 0.8]]), np.array([[-0.5, 0.0, 0.0]]))
    notched = (-1.0, -1.0), (0.0, 0.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)
    assert np.sign(plane.polygon(*notched)).tolist() == [[1.0, -1.0, -1.0]]


def test_strokes_and_ellipses() -> None:
    plane = Plane(np.array([[0.0, 0.7, 0.2]]), np.array([[0.3, 0.0, 0.0]]))
    assert plane.stroke((-0.5, 0.0), (0.5, 0.0), 0.1) == pytest.approx(np.array([[0.2, 0.1, -0.1]]))
    assert plane.ellipse((0.2, 0.0), (0.5, 0.5))[0, 1:] == pytest.approx([0.0, -0.5])


def test_a_folded_plane_is_symmetric() -> None:
    distance = square_plane().folded().stroke((0.3, 0.0), (0.6, 0.5), 0.1)
    assert distance == pytest.approx(distance[:, ::-1])


def test_a_small_network_learns_the_kinds_and_single_pixels_do_not_tell_all() -> None:
    images, kinds = painted(60, seed=0)
    new_images, new_kinds = painted(20, seed=1)
    means = torch.stack([images[kinds == kind].flatten(1).mean(0) for kind in range(KINDS)])
    nearest = torch.cdist(new_images.flatten(1), means).argmin(1)
    assert 0.5 < (nearest == new_kinds).float().mean() < 0.9

    torch.manual_seed(0)
    blocks: list[nn.Module] = []
    for inside, outside in ((1, 16), (16, 32), (32, 64)):
        blocks += [nn.Conv2d(inside, outside, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    network = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(576, KINDS))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.03, momentum=0.9)
    for _ in range(9):
        for batch in torch.randperm(len(images)).split(32):
            loss = nn.functional.cross_entropy(network(images[batch]), kinds[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.inference_mode():
        accuracy = (network(new_images).argmax(1) == new_kinds).float().mean()
    assert 0.8 < accuracy < 1.0
