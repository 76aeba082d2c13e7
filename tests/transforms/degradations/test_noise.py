from __future__ import annotations

import pytest
import torch

from cliqa.transforms.degradations.noise import GaussianNoise, Grain, Impulse, Speckle

GREY = torch.full((2, 3, 200, 200), 0.4)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_noise_and_speckle_have_the_spread_they_say() -> None:
    assert (GaussianNoise()(GREY, 0.1, seeded()) - GREY).std().item() == pytest.approx(
        0.1, rel=0.01
    )
    assert (Speckle()(GREY, 0.1, seeded()) - GREY).std().item() == pytest.approx(0.04, rel=0.01)


def test_noise_at_more_strength_is_the_same_noise() -> None:
    weak = GaussianNoise()(GREY, 0.1, seeded()) - GREY
    strong = GaussianNoise()(GREY, 0.2, seeded()) - GREY
    assert torch.allclose(strong, 2 * weak, atol=1e-6)


def test_impulses_hit_whole_pixels_half_of_them_white() -> None:
    noisy = Impulse()(GREY, 0.1, seeded())
    hit = noisy != GREY
    assert hit.float().mean().item() == pytest.approx(0.1, rel=0.05)
    assert torch.equal(hit.any(dim=1), hit.all(dim=1))
    assert set(noisy[hit].tolist()) == {0.0, 1.0}
    assert noisy[hit].mean().item() == pytest.approx(0.5, abs=0.03)


def test_a_pixel_that_was_hit_stays_hit() -> None:
    weak, strong = (Impulse()(GREY, share, seeded()) for share in (0.05, 0.2))
    assert torch.equal(weak[weak != GREY], strong[weak != GREY])


def test_grain_is_of_the_brightness_and_reaches_over_neighbours() -> None:
    grain = Grain()(GREY, 0.1, seeded()) - GREY
    assert grain.std().item() == pytest.approx(0.1, rel=0.02)
    assert torch.allclose(grain[:, 0], grain[:, 2], atol=1e-6)
    near = (grain[..., 1:] * grain[..., :-1]).mean() / grain.square().mean()
    far = (grain[..., 8:] * grain[..., :-8]).mean() / grain.square().mean()
    assert float(near) > 0.5
    assert abs(float(far)) < 0.03
