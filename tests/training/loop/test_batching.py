"""Batches of one size, many sizes and many crops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.training.loop.batching import (
    MixedLoader,
    RaggedImages,
    apply_model,
    batch_places,
    collate_eval,
    collate_train,
    is_one_value,
    make_loader,
    one_value_error,
)
from cliqa.utils.errors import ConfigError, DatasetError


def mean_score(images: torch.Tensor) -> torch.Tensor:
    return images.flatten(1).mean(1)


def test_images_of_one_size_are_stacked() -> None:
    images, scores = collate_eval([(torch.zeros(3, 4, 5), 0.1), (torch.ones(3, 4, 5), 0.2)])
    assert images.shape == (2, 3, 4, 5)
    assert scores.tolist() == pytest.approx([0.1, 0.2])


def test_images_of_many_sizes_stay_a_list() -> None:
    images, scores = collate_eval([(torch.zeros(3, 4, 5), 0.1), (torch.ones(3, 6, 5), 0.2)])
    assert isinstance(images, RaggedImages)
    assert scores.shape == (2,)
    assert apply_model(mean_score, images.to("cpu")).tolist() == [0.0, 1.0]


def test_crops_are_averaged() -> None:
    images = torch.rand(2, 5, 3, 4, 4)
    expected = torch.stack([mean_score(crops).mean() for crops in images])
    assert torch.allclose(apply_model(mean_score, images), expected)


def test_ragged_crops_and_class_outputs() -> None:
    images = RaggedImages([torch.rand(2, 3, 4, 4), torch.rand(5, 3, 4, 4)])

    def logits(batch: torch.Tensor) -> torch.Tensor:
        return batch.flatten(2).mean(2)  # (B, 3)

    output = apply_model(logits, images)
    assert output.shape == (2, 3)
    assert torch.allclose(output[1], logits(images[1]).mean(0))


def test_training_images_of_many_sizes_are_refused_with_advice() -> None:
    samples = [(torch.zeros(3, 4, 5), 0.1), (torch.ones(3, 6, 5), 0.2)]
    with pytest.raises(DatasetError, match=r"\(3, 4, 5\) and \(3, 6, 5\).*RandomCrop"):
        collate_train(samples)


@pytest.mark.parametrize(("count", "batches"), [(16, [8, 8]), (17, [8, 8]), (18, [8, 8, 2])])
def test_a_last_batch_of_one_is_dropped_in_training_only(count: int, batches: list[int]) -> None:
    data = TensorDataset(torch.arange(count), torch.arange(count))
    assert [len(b[0]) for b in make_loader(data, 8, train=True)] == batches
    assert sum(len(b[0]) for b in make_loader(data, 8, train=False)) == count


def test_a_data_set_of_one_is_still_trained_on() -> None:
    data = TensorDataset(torch.arange(1), torch.arange(1))
    assert len(list(make_loader(data, 8, train=True))) == 1


def test_order_depends_on_the_global_seed_alone() -> None:
    data = TensorDataset(torch.arange(50), torch.arange(50))
    loader = make_loader(data, 10, train=True)

    def order(seed: int) -> list[int]:
        torch.manual_seed(seed)
        return torch.cat([batch[0] for batch in loader]).tolist()

    assert order(1) == order(1) != order(2)
    assert sorted(order(3)) == list(range(50))


def test_a_small_memory_is_gone_through_again_and_again() -> None:
    data = TensorDataset(torch.arange(5), torch.arange(5))
    loader = make_loader(data, 4, train=True, samples=20)
    seen = torch.cat([batch[0] for batch in loader])
    assert sorted(seen[:5].tolist()) == list(range(5))
    assert seen.bincount().tolist() == [4] * 5


def test_mixed_batches_put_the_memory_last() -> None:
    new = TensorDataset(torch.zeros(10), torch.zeros(10))
    old = TensorDataset(torch.ones(3), torch.ones(3))
    mixed = MixedLoader(make_loader(new, 4, train=True), make_loader(old, 2, train=True, samples=6))
    assert len(mixed) == 3
    assert [batch[0].tolist() for batch in mixed] == [
        [0, 0, 0, 0, 1, 1],
        [0, 0, 0, 0, 1, 1],
        [0, 0, 1, 1],
    ]


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_the_places_of_a_batch_are_known_while_it_is_used(workers: int) -> None:
    data = TensorDataset(torch.arange(21), torch.arange(21))
    loader = make_loader(data, 4, train=True, num_workers=workers)
    for _ in range(2):
        batches = list(enumerate(loader))
        assert len(batches) == 5
        for number, batch in batches:
            assert batch_places(loader, number) == batch[0].tolist()


def test_an_order_that_is_known_is_the_same_order() -> None:
    data = TensorDataset(torch.arange(9), torch.arange(9))
    plain = DataLoader(data, batch_size=4, sampler=RandomSampler(data, num_samples=20))
    orders, states = [], []
    for loader in (make_loader(data, 4, train=True, samples=20), plain):
        torch.manual_seed(3)
        orders.append([batch[0].tolist() for batch in loader])
        states.append(torch.get_rng_state())
    assert orders[0] == orders[1]
    assert torch.equal(*states)


def test_of_a_mixed_batch_the_new_samples_are_known() -> None:
    new = TensorDataset(torch.arange(10), torch.zeros(10))
    old = TensorDataset(torch.arange(100, 103), torch.ones(3))
    mixed = make_loader(new, 4, train=True)
    for _ in range(2):
        memory = make_loader(old, 2, train=True, samples=6)
        mixed = MixedLoader(mixed, memory)  # type: ignore[assignment]
    for number, batch in enumerate(mixed):
        places = batch_places(mixed, number)
        assert places == batch[0][: len(places)].tolist()
        assert batch[0][len(places) :].min() >= 100


@pytest.mark.parametrize("train", [False, None])
def test_the_order_of_another_loader_is_unknown(train: bool | None) -> None:
    data = TensorDataset(torch.arange(9), torch.arange(9))
    loader = DataLoader(data) if train is None else make_loader(data, 4, train=train)
    with pytest.raises(ConfigError, match=r"training loader is a DataLoader.* package's 'Replay'"):
        batch_places(loader, 0)


def test_torchs_error_is_known() -> None:
    with pytest.raises(ValueError, match="Expected more than 1 value") as error:
        nn.BatchNorm2d(3)(torch.zeros(1, 3, 1, 1))
    assert is_one_value(error.value)
    assert not is_one_value(ValueError("something else"))
    assert not is_one_value(RuntimeError(str(error.value)))


@pytest.mark.parametrize(
    ("samples", "batch_size", "message"),
    [
        (1, 8, r"^a: one sample to train on, .*Add samples to the training split\.$"),
        (9, 1, r"^cl_strategy\.train_mb_size=1: .*Set cl_strategy\.train_mb_size=2 or more"),
        (9, 8, r"^a: a batch of one sample.*two samples or more\.$"),
    ],
)
def test_the_key_to_change_is_named(samples: int, batch_size: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        raise one_value_error("a", samples, batch_size)


def test_training_raises_the_same_error(
    tiny_stream: QualityStream, make_strategy: Callable[..., Any]
) -> None:
    strategy = make_strategy(epochs=1)
    strategy.model.body.insert(5, nn.BatchNorm1d(8))  # after the pooling
    strategy.train_mb_size = 1
    with pytest.raises(ConfigError, match=r"Set cl_strategy\.train_mb_size=2 or more"):
        strategy.train_step(0, [tiny_stream.train_stream[0]])


def test_other_mistakes_stay_what_they_are(
    tiny_stream: QualityStream, make_strategy: Callable[..., Any]
) -> None:
    class Odd(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise ValueError("odd")

    strategy = make_strategy(epochs=1)
    strategy.model.body = Odd()
    with pytest.raises(ValueError, match="^odd$"):
        strategy.train_step(0, [tiny_stream.train_stream[0]])
