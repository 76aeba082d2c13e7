"""Discriminants are those of their definition, exact from sums, and chosen on what is held out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cliqa.training.views.discriminant import (
    FLOOR,
    ClassSums,
    choose,
    fit,
    hold_out,
)


def classes(seed: int = 0, apart: float = 2.0, dims: int = 5) -> list[torch.Tensor]:
    """Return vectors of three classes with the same covariance."""
    random = torch.Generator().manual_seed(seed)
    mix = torch.randn(dims, dims, generator=random, dtype=torch.float64)
    return [
        torch.randn(60 + 20 * t, dims, generator=random, dtype=torch.float64) @ mix
        + apart * torch.randn(dims, generator=random, dtype=torch.float64)
        for t in range(3)
    ]


def sums_of(vectors: list[torch.Tensor], own: bool = False) -> ClassSums:
    sums = ClassSums(own)
    for part in vectors:
        sums.add(part)
    return sums


def test_the_pooled_covariance_is_numpys() -> None:
    vectors = classes()
    centred = torch.cat([part - part.mean(0) for part in vectors]).numpy()
    expected = centred.T @ centred / (len(centred) - 3)
    np.testing.assert_allclose(sums_of(vectors).covariances()[0].numpy(), expected, rtol=1e-10)
    for found, part in zip(sums_of(vectors, own=True).covariances(0.0), vectors, strict=True):
        np.testing.assert_allclose(found.numpy(), np.cov(part.numpy().T), rtol=1e-10)


@pytest.mark.parametrize("own", [False, True])
def test_sums_of_parts_are_the_sums_of_the_whole(own: bool) -> None:
    vectors = classes()
    parts = sums_of([part[:40] for part in vectors], own).joined([part[40:] for part in vectors])
    whole = sums_of(vectors, own)
    assert parts.counts == whole.counts
    found, expected = [*parts.means, *parts.scatters], [*whole.means, *whole.scatters]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-9)


def test_a_class_that_comes_later_changes_no_earlier_one() -> None:
    vectors = classes()
    two, three = sums_of(vectors[:2]), sums_of(vectors)
    assert all(torch.equal(a, b) for a, b in zip(two.means, three.means, strict=False))
    again = ClassSums()
    again.load_state_dict(two.state_dict())
    again.add(vectors[2])
    assert torch.equal(again.scatters[0], three.scatters[0])


@pytest.mark.parametrize("shrinkage", [0.1, 1.0])
def test_logits_are_gaussian_log_likelihoods(shrinkage: float) -> None:
    vectors, x = classes(), classes(seed=1)[0]
    sums = sums_of(vectors)
    covariance = sums.covariances()[0] + FLOOR * torch.eye(5)
    apart = covariance * (1 - shrinkage)
    apart.diagonal().copy_(covariance.diagonal())
    model = fit(sums, shrinkage)
    logits = model.logits(x)
    for t in range(3):
        normal = torch.distributions.MultivariateNormal(sums.means[t], apart)
        expected = normal.log_prob(x) - normal.log_prob(sums.means[t])
        top = model.logits(sums.means[t][None])[0, t]
        torch.testing.assert_close(logits[:, t] - top, expected)


def test_units_of_single_numbers_do_not_matter() -> None:
    vectors, units = classes(), torch.tensor([1.0, 3.0, 9.0, 2.0, 5.0], dtype=torch.float64)
    one = fit(sums_of([100 * part for part in vectors]), 0.3)
    other = fit(sums_of([100 * part * units for part in vectors]), 0.3)
    x = classes(seed=2)[1]
    torch.testing.assert_close(
        one.distances(100 * x), other.distances(100 * x * units), rtol=1e-4, atol=1e-4
    )


def test_own_covariances_tell_classes_of_one_mean_apart() -> None:
    random = torch.Generator().manual_seed(0)
    wide, narrow = (s * torch.randn(300, 4, generator=random) for s in (3.0, 0.3))
    right = []
    for own in (True, False):
        model = fit(sums_of([wide, narrow], own), 0.1, 0.1)
        found = [model.logits(x).argmax(1) == t for t, x in enumerate((wide, narrow))]
        right.append(float(torch.cat(found).float().mean()))
    assert right[0] > 0.95
    assert right[1] < 0.8


def test_temperature_and_shrinkage_make_posteriors_of_new_vectors_calibrated() -> None:
    """In 60 dimensions 30 vectors a class are too few: plain posteriors are far too sure."""
    random = torch.Generator().manual_seed(3)
    means = 0.5 * torch.randn(3, 60, generator=random)
    draw = lambda n: [mean + torch.randn(n, 60, generator=random) for mean in means]  # noqa: E731
    sums, held, new = sums_of(draw(30)), draw(40), draw(400)
    found = choose(sums, held, 0.05)

    def sure_and_right(shrinkage: float, temperature: float) -> tuple[float, float]:
        weights = [(fit(sums, shrinkage).logits(x) / temperature).softmax(1) for x in new]
        right = torch.cat([(w.argmax(1) == t).float() for t, w in enumerate(weights)])
        return float(torch.cat(weights).amax(1).mean()), float(right.mean())

    sure, right = sure_and_right(found.shrinkage, found.temperature)
    assert abs(sure - right) < 0.06
    plain_sure, plain_right = sure_and_right(0.01, 1.0)
    assert plain_sure > plain_right + 0.08
    assert right > plain_right
    distances = [fit(sums, found.shrinkage).distances(x)[:, t] for t, x in enumerate(new)]
    beyond = [
        float((d > reach).float().mean()) for d, reach in zip(distances, found.reach, strict=True)
    ]
    assert max(beyond) < 0.2  # 0.05 of the 40 held-out ones


def test_what_is_given_is_taken_and_without_held_out_vectors_nothing_is_chosen() -> None:
    vectors = classes()
    found = choose(sums_of(vectors), vectors, 0.1, shrinkage=0.37, temperature=3.0)
    assert (found.shrinkage, found.temperature) == (0.37, 3.0)
    none = [part[:0] for part in vectors]
    assert choose(sums_of(vectors), none, 0.05)[:3] == (0.5, 1.0, 1.0)
    assert choose(sums_of(classes(dims=128)), none, 0.05).temperature == 2.0
    assert choose(sums_of(vectors), none, 0.05).reach == [pytest.approx(11.07, abs=0.01)] * 3


def test_whole_blocks_are_held_out() -> None:
    random = torch.Generator().manual_seed(0)
    scenes = 20 * torch.randn(20, 3, generator=random)  # far apart, 25 images each
    vectors = (scenes[:, None] + torch.randn(20, 25, 3, generator=random)).flatten(0, 1)
    learnt, held = hold_out(vectors, 100, seed=4)
    assert len(held) >= 50
    assert not set(learnt.tolist()) & set(held.tolist())
    nearest = torch.cdist(vectors[held], vectors[learnt]).amin(1)
    assert nearest.median() > 3  # no relative of a held-out image is learnt from
    again = hold_out(vectors, 100, seed=4)
    assert torch.equal(again[1], held)
    assert len(hold_out(vectors, 10, seed=4)[1]) == 10


def test_few_or_equal_vectors_are_all_learnt_from() -> None:
    for vectors in (torch.randn(6, 3), torch.zeros(50, 3)):
        learnt, held = hold_out(vectors, 100, seed=0)
        assert (len(learnt), len(held)) == (len(vectors), 0)
    assert len(hold_out(torch.randn(50, 3), 0, seed=0)[1]) == 0
