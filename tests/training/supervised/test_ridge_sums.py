"""Sums of batches, data sets and machines are the sums of all samples; their size is fixed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cliqa.training.supervised.ridge_sums import Accumulator, StreamSums, packed, unpacked
from cliqa.utils.errors import ModelError
from cliqa.utils.memory import tensor_bytes


def data(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return features (count, 5) of unlike scales, and targets (count, 2)."""
    random = torch.Generator().manual_seed(seed)
    scale = torch.tensor([1.0, 0.1, 10.0, 1.0, 3.0])
    features = 4 + scale * torch.randn(count, 5, generator=random)
    return features, torch.randn(count, 2, generator=random)


def sums_of(
    features: Tensor, targets: Tensor, batch: int = 1000, weight: float = 1.0
) -> Accumulator:
    found = Accumulator(features.shape[1], targets.shape[1])
    for start in range(0, len(features), batch):
        rows = slice(start, start + batch)
        found.add(features[rows], targets[rows], weight)
    return found


def stream(
    parts: dict[str, tuple[int, int]], keep_sets: bool = False, batch: int = 7
) -> StreamSums:
    """Return the sums of rows of `data`: (first, last) by the name of a set, in this order."""
    features, targets = data(60)
    found = StreamSums(keep_sets)
    for name, (start, end) in parts.items():
        one = sums_of(features[start:end], targets[start:end], batch)
        found.add(name, one.sums, packed(one.products))
    return found


def test_the_sums_are_those_of_their_definition_in_any_batches() -> None:
    features, targets = data(23)
    z, y = features.double(), targets.double()
    for batch in (1, 5, 23):
        found = sums_of(features, targets, batch, weight=0.5)
        assert torch.allclose(found.products, 0.5 * z.T @ z, rtol=1e-13)
        assert torch.allclose(found.sums.zy, 0.5 * z.T @ y, rtol=1e-12)
        assert torch.allclose(found.sums.yy, 0.5 * (y * y).sum(0), rtol=1e-13)
        assert torch.allclose(found.sums.z, 0.5 * z.sum(0), rtol=1e-13)
        assert torch.allclose(found.sums.y, 0.5 * y.sum(0), rtol=1e-12)
        assert (float(found.sums.count), float(found.sums.weight)) == (23.0, 11.5)


def test_a_symmetric_matrix_survives_packing() -> None:
    matrix = torch.randn(6, 6).double()
    matrix = matrix + matrix.T
    triangle = packed(matrix)
    assert len(triangle) == 21
    assert torch.equal(unpacked(triangle, 6), matrix)


@pytest.mark.parametrize("keep_sets", [False, True])
def test_the_order_of_the_sets_does_not_matter(keep_sets: bool) -> None:
    parts = {"a": (0, 20), "b": (20, 33), "c": (33, 60)}
    one, two = stream(parts, keep_sets), stream(dict(reversed(parts.items())), keep_sets, batch=7)
    assert torch.allclose(one.total_products(), two.total_products(), rtol=1e-13)
    if keep_sets:  # added in the order of the names
        assert torch.equal(one.total_products(), two.total_products())


def test_the_state_does_not_grow_with_the_samples() -> None:
    sizes = {tensor_bytes(stream({"a": (0, end)}).state_dict()) for end in (2, 30, 60)}
    assert sizes == {8 * (15 + 1 + 1 + 5 + 2 + 2 + 10)}


def test_a_removed_set_has_never_been_there() -> None:
    found = stream({"a": (0, 20), "b": (20, 33), "c": (33, 60)}, keep_sets=True)
    found.remove("b")
    never = stream({"a": (0, 20), "c": (33, 60)}, keep_sets=True)
    assert torch.equal(found.total_products(), never.total_products())
    assert torch.equal(found.ordered()[1].zy, never.ordered()[1].zy)
    assert list(found.sets) == list(never.sets)


@pytest.mark.parametrize("keep_sets", [False, True])
def test_merged_machines_are_one_machine(keep_sets: bool) -> None:
    one = stream({"a": (0, 20), "b": (20, 33)}, keep_sets)
    one.merge(stream({"b": (33, 40), "c": (40, 60)}, keep_sets))  # b is on both
    whole = stream({"a": (0, 20), "b": (20, 40), "c": (40, 60)}, keep_sets)
    assert torch.allclose(one.total_products(), whole.total_products(), rtol=1e-13)
    assert torch.allclose(one.sets["b"].zy, whole.sets["b"].zy, rtol=1e-12, atol=1e-12)
    assert [float(s.count) for s in one.ordered()] == [20.0, 20.0, 20.0]


def test_a_state_survives_loading() -> None:
    found = stream({"a": (0, 20), "b": (20, 33)}, keep_sets=True)
    other = StreamSums(keep_sets=True)
    other.load_state_dict(found.state_dict())
    assert torch.equal(other.total_products(), found.total_products())


def test_what_cannot_be_removed_or_merged_is_refused() -> None:
    with pytest.raises(ModelError, match=r"has no sums of 'x'\. It has: a\."):
        stream({"a": (0, 9)}).remove("x")
    with pytest.raises(ModelError, match=r"of 'a' were not kept .* cl_strategy\.keep_sets=True"):
        stream({"a": (0, 9), "b": (9, 20)}).remove("a")
    with pytest.raises(ModelError, match=r"'a' is the only data set"):
        stream({"a": (0, 9)}, keep_sets=True).remove("a")
    with pytest.raises(ModelError, match=r"one of the runs has keep_sets=True and one has not"):
        stream({"a": (0, 9)}).merge(stream({"b": (0, 9)}, keep_sets=True))
    narrow = StreamSums()
    one = sums_of(torch.ones(3, 2), torch.ones(3, 2))
    narrow.add("n", one.sums, packed(one.products))
    with pytest.raises(ModelError, match=r"features x outputs of \[\(2, 2\), \(5, 2\)\] cannot"):
        narrow.merge(stream({"a": (0, 9)}))


def test_numbers_that_are_not_finite_are_refused() -> None:
    features, targets = data(4)
    features[1, 2] = torch.nan
    with pytest.raises(ModelError, match=r"a feature or a target is NaN or infinite"):
        sums_of(features, targets)
