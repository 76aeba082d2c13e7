"""Merges one experience at a time, against the definitions over all experiences at once."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from cliqa.training.plugins.averaging.merge_rules import Interpolation, Ties, WeightedMean


def weights(count: int = 4, size: int = 50) -> list[dict[str, Tensor]]:
    random = torch.Generator().manual_seed(0)
    return [
        {n: torch.randn(size, generator=random, dtype=torch.float64) for n in ("a", "b")}
        for _ in range(count)
    ]


def test_a_mean_is_that_of_all() -> None:
    rule, all_of = WeightedMean(), weights()
    for each in all_of:
        found = rule.add(each)
    for name in "ab":
        assert torch.allclose(found[name], torch.stack([w[name] for w in all_of]).mean(0))


def test_a_weighted_mean_is_the_papers() -> None:
    rule, all_of = WeightedMean(needs_importance=True), weights()
    fishers = [{n: w.square() for n, w in each.items()} for each in weights(4)[::-1]]
    for each, fisher in zip(all_of, fishers, strict=True):
        found = rule.add(each, fisher)
    for name in "ab":
        share = torch.stack([f[name] for f in fishers]).clamp_min(1e-6)
        expected = (share * torch.stack([w[name] for w in all_of])).sum(0) / share.sum(0)
        assert torch.allclose(found[name], expected)


def test_no_importance_at_all_is_the_plain_mean() -> None:
    rule = WeightedMean(needs_importance=True)
    for value in (1.0, 2.0, 6.0):
        found = rule.add({"a": torch.tensor([value])}, {"a": torch.zeros(1)})
    assert found["a"].item() == pytest.approx(3.0)


def test_interpolation_is_an_exponential_mean_and_without_decay_the_newest() -> None:
    rule, newest, all_of = Interpolation(0.75), Interpolation(0.0), weights(3)
    for each in all_of:
        found, last = rule.add(each), newest.add(each)
    one, two, three = (each["a"] for each in all_of)
    expected = 0.75 * (0.75 * one + 0.25 * two) + 0.25 * three
    assert torch.allclose(found["a"], expected)
    assert torch.equal(last["a"], all_of[-1]["a"])


@pytest.mark.parametrize(("keep", "scale"), [(0.2, 1.0), (1.0, 0.4), (0.01, 1.0)])
def test_ties_is_the_papers_three_steps(keep: float, scale: float) -> None:
    base, *all_of = weights(5)
    rule = Ties(keep, scale)
    rule.begin(base)
    vectors = []
    for each in all_of:
        found = rule.add(each)
        vector = torch.cat([each[n] - base[n] for n in "ab"])
        least = vector.abs().sort(descending=True).values[max(1, round(keep * 100)) - 1]
        vectors.append(torch.where(vector.abs() >= least, vector, 0.0))
    stacked = torch.stack(vectors)  # (T, D), trimmed
    sign = torch.where(stacked.sum(0) >= 0, 1.0, -1.0)
    agree = (stacked.sign() == sign) & (stacked != 0)
    merged = (stacked * agree).sum(0) / agree.sum(0).clamp_min(1)
    expected = torch.cat([base[n] for n in "ab"]) + scale * merged
    assert torch.allclose(torch.cat([found[n] for n in "ab"]), expected)


@pytest.mark.parametrize("rule", [WeightedMean(), Interpolation(0.5), Ties(1.0, 1.0)])
def test_what_never_moves_keeps_its_bits_and_new_rows_start_where_they_are(
    rule: WeightedMean | Interpolation | Ties,
) -> None:
    fixed = torch.rand(100)
    small, large = torch.ones(1, 2), torch.full((3, 2), 5.0)
    if isinstance(rule, Ties):
        rule.begin({"fixed": fixed, "head": torch.zeros(1, 2)})
    for head in (small, small, large):
        found = rule.add({"fixed": fixed.clone(), "head": head.clone()})
    assert torch.equal(found["fixed"], fixed)
    assert found["head"][1:].tolist() == [[5.0, 5.0]] * 2
    assert 1.0 < found["head"][0, 0].item() < 5.0


@pytest.mark.parametrize("kind", ["mean", "ema", "ties"])
def test_the_state_does_not_grow_and_goes_on(kind: str) -> None:
    def make() -> WeightedMean | Interpolation | Ties:
        if kind == "ema":
            return Interpolation(0.3)
        return WeightedMean(True) if kind == "mean" else Ties(0.5, 1.0)

    def size(rule: WeightedMean | Interpolation | Ties) -> int:
        parts = torch.utils._pytree.tree_leaves(rule.state_dict())
        return sum(part.numel() for part in parts)

    whole, sizes = make(), []
    if isinstance(whole, Ties):
        whole.begin(weights(1)[0])
    for each in weights(5):
        other = make()
        if whole.state_dict():
            other.load_state_dict(copy.deepcopy(whole.state_dict()))
        found = whole.add(each, each)
        sizes.append(size(whole))
    again = other.add(weights(5)[-1], weights(5)[-1])
    assert all(torch.equal(again[name], found[name]) for name in found)
    assert len(set(sizes)) == 1
