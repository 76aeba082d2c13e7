"""Features come as slices of one tensor: the same samples, in a repeatable order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from avalanche.benchmarks.utils import DataAttribute
from avalanche.benchmarks.utils.utils import concat_datasets
from torch import nn

from cliqa.benchmarks.class_stream import with_class_transforms
from cliqa.datasets.classes.class_dataset import ClassDataset
from cliqa.training.loop.batching import batch_places
from cliqa.training.loop.loaders.feature_loader import FeatureLoader, feature_tensors
from cliqa.training.loop.loaders.image_loader import make_loader

CPU = torch.device("cpu")


def data(count: int, start: int = 0, task: int = 0) -> Any:
    """Return Avalanche's view of features (start + i, 0, 0) of class i % 3."""
    features = torch.zeros(count, 3)
    features[:, 0] = torch.arange(start, start + count)
    keys = [str(start + i) for i in range(count)]
    source = ClassDataset(features, [i % 3 for i in range(count)], "abc", keys)
    return with_class_transforms(source, None, None, task)


def loader(dataset: Any, batch_size: int, **options: Any) -> FeatureLoader:
    tensors = feature_tensors(dataset)
    assert tensors is not None
    return FeatureLoader(tensors, batch_size, device=CPU, **options)


def test_the_tensors_are_the_samples_of_any_tree_of_views() -> None:
    first, second = data(7), data(5, start=100, task=1)
    trees = {
        "plain": first,
        "trained on": first.train(),
        "subset": first.subset([6, 0, 3]),
        "subset of a subset": first.subset([6, 0, 3]).subset([2, 0]),
        "joined": concat_datasets([first, second]),
        "subset of joined": concat_datasets([first, second]).subset([11, 0, 7, 6]),
        "memory": concat_datasets([first.subset([1, 5]), second.subset([4, 0])]).train(),
        "repeated": concat_datasets([first, first.subset([2])]),
    }
    for name, tree in trees.items():
        found = feature_tensors(tree)
        assert found is not None, name
        for index in range(len(tree)):
            sample = tree[index]
            for value, tensor in zip(sample, found, strict=True):
                assert torch.equal(torch.as_tensor(value), tensor[index]), name
        assert [len(tensor) for tensor in found] == [len(tree)] * 3


def test_what_is_no_feature_is_left_to_other_loaders(tiny_stream: Any) -> None:
    assert feature_tensors(tiny_stream.train_stream[0].dataset) is None
    assert feature_tensors(data(3).subset([])) is None
    assert feature_tensors(torch.utils.data.TensorDataset(torch.rand(3, 2))) is None
    images = ClassDataset(torch.zeros(2, 1, 4, 4, dtype=torch.uint8), [0, 1], "ab", "xy")
    assert feature_tensors(with_class_transforms(images, None, None)) is None


def test_samples_that_somebody_has_changed_are_left_to_other_loaders() -> None:
    more = DataAttribute(list(range(4)), "logits", use_in_getitem=True)
    assert feature_tensors(data(4).update_data_attribute("logits", more)) is None
    changed = data(4).replace_current_transform_group((lambda features: features + 1, None))
    assert changed[0][0][0] == 1
    assert feature_tensors(changed) is None


def test_an_evaluation_goes_through_in_order() -> None:
    batches = list(loader(data(10), 4, train=False))
    assert [len(x) for x, _, _ in batches] == [4, 4, 2]
    assert torch.cat([x[:, 0] for x, _, _ in batches]).tolist() == list(range(10))
    assert torch.cat([y for _, y, _ in batches]).tolist() == [i % 3 for i in range(10)]


def test_training_is_shuffled_by_the_global_generator_and_takes_every_sample_once() -> None:
    orders = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        rows = [x[:, 0] for x, _, _ in loader(data(12), 5, train=True)]
        orders.append(torch.cat(rows).tolist())
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == list(range(12))
    assert orders[0] != list(range(12))


@pytest.mark.parametrize(
    ("count", "batch_size", "samples", "sizes"),
    [
        (9, 4, None, [4, 4]),  # a batch of one is of no use to batch normalisation
        (10, 4, None, [4, 4, 2]),
        (1, 4, None, [1]),  # all that there is
        (3, 4, 8, [4, 4]),  # a memory is gone through again and again
    ],
)
def test_batches_are_as_large_and_as_many_as_those_of_the_image_loader(
    count: int, batch_size: int, samples: int | None, sizes: list[int]
) -> None:
    own = loader(data(count), batch_size, train=True, samples=samples)
    other = make_loader(data(count).train(), batch_size, train=True, samples=samples)
    for candidate in (own, other):
        assert [len(batch[0]) for batch in candidate] == sizes
        assert len(candidate) == len(sizes)


def test_a_small_memory_is_drawn_evenly() -> None:
    rows = [x[:, 0] for x, _, _ in loader(data(3), 4, train=True, samples=12)]
    assert torch.cat(rows).long().bincount().tolist() == [4, 4, 4]


def test_strategies_use_it_by_themselves(make_strategy: Callable[..., Any]) -> None:
    strategy = make_strategy()
    assert isinstance(strategy.loader(data(8), train=True), FeatureLoader)
    strategy.model = nn.Linear(3, 3)
    outputs, classes = strategy.predict(data(8))
    assert outputs.shape == (8, 3)
    assert classes.tolist() == [i % 3 for i in range(8)]


def test_the_places_of_a_batch_are_known_while_it_is_used() -> None:
    own = loader(data(10), 4, train=True)
    for _ in range(2):
        for number, batch in enumerate(own):
            assert batch_places(own, number) == batch[0][:, 0].tolist()
