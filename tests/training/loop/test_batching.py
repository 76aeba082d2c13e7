"""Batches of one size, many sizes and many crops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.training.loop.batching import (
    RaggedImages,
    apply_model,
    collate_eval,
    collate_train,
    is_one_value,
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
