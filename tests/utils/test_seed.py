"""Tests of cliqa.utils.seed."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import torch

from cliqa.utils.seed import derive_seed, generator, numerics, script_seed, seed_everything


def draw() -> tuple[float, float, float]:
    """Return a number of each global generator."""
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_a_place_keeps_its_seed_in_every_process_and_version() -> None:
    digest = hashlib.sha256(b"(3, 'epoch', 2, 5)").digest()
    expected = int.from_bytes(digest[:8], "little") // 2
    assert derive_seed(3, "epoch", 2, 5) == expected == 4962937184500192893


def test_places_and_seeds_have_seeds_of_their_own() -> None:
    places = [(seed, name, *rest) for seed in (0, 1) for name in ("a", "b") for rest in ((), (1,))]
    places += [(0, "a", "1"), (0, "a", 1, 1), (0, "a1")]
    seeds = {derive_seed(seed, *place) for seed, *place in places}
    assert len(seeds) == len(places)


def test_seeds_fit_every_generator() -> None:
    seeds = [derive_seed(0, "range", k) for k in range(1000)]
    assert min(seeds) >= 0
    assert max(seeds) < 2**63


def test_seed_everything_repeats_all_global_generators() -> None:
    seed_everything(0, "epoch", 1)
    first = draw()
    seed_everything(0, "epoch", 2)
    other = draw()
    seed_everything(0, "epoch", 1)
    assert draw() == first
    assert all(a != b for a, b in zip(first, other, strict=True))


def test_a_generator_leaves_the_global_ones_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    first = torch.rand(2, generator=generator(5, "split"))
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(torch.rand(2, generator=generator(5, "split")), first)
    assert not torch.equal(torch.rand(2, generator=generator(5, "other")), first)


def test_algorithms_are_chosen_for_a_run_alone() -> None:
    assert not torch.are_deterministic_algorithms_enabled()
    with numerics({"deterministic": True, "cudnn_benchmark": False}):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.benchmark
        with numerics({}):
            assert torch.are_deterministic_algorithms_enabled()
    with numerics({"cudnn_benchmark": True}):
        assert torch.backends.cudnn.benchmark
    assert not torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.benchmark


def test_a_scripts_seed_is_that_of_torch_or_of_the_run_before() -> None:
    torch.manual_seed(5)
    assert script_seed() == 5
    seed_everything(5, "step", 3)
    seed_everything(6, "step", 4)
    assert script_seed() == 6
    torch.manual_seed(7)
    assert script_seed() == 7
