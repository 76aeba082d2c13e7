"""What is told of a faster way of computing."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import Tensor

from cliqa.inference.execution.agreement import Agreement, WatchedModel


def test_scores_are_compared_by_rank_and_by_value() -> None:
    agreement = Agreement("bfloat16")
    agreement.add(torch.tensor([0.1, 0.2, 0.4]), lambda: torch.tensor([0.1, 0.25, 0.4]))
    assert agreement.text() == (
        "bfloat16 against float32 on the first 3 images: SRCC 1.0000, largest difference 0.05"
    )
    agreement.add(torch.tensor([float("nan")]), lambda: torch.tensor([0.5]))
    assert agreement.text().endswith("first 4 images: largest difference nan")


def test_one_image_has_no_rank() -> None:
    agreement = Agreement("bfloat16")
    agreement.add(torch.tensor([0.5]), lambda: torch.tensor([0.25]))
    assert agreement.text() == (
        "bfloat16 against float32 on the first image: largest difference 0.25"
    )


def test_classes_are_compared_by_choice_and_probability() -> None:
    agreement = Agreement("float16", classes=2)
    agreement.add(
        torch.tensor([[0.0, 1.0, 9.0], [1.0, 0.0, 9.0]]),
        lambda: torch.tensor([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]),
    )
    assert agreement.text() == (
        "float16 against float32 on the first 2 images: 1 of 2 have the same class, largest "
        "difference of a probability 0.46"
    )


class Halved:
    """A model with an exact twin; it counts the calls of the twin."""

    computed = "bfloat16"

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, images: Tensor) -> Tensor:
        return images.mean((1, 2, 3)) + 0.01

    def exact(self, images: Tensor) -> Tensor:
        self.calls += 1
        return images.mean((1, 2, 3))


def test_the_first_images_alone_are_computed_twice(caplog: pytest.LogCaptureFixture) -> None:
    model = Halved()
    watched = WatchedModel(model)
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            assert watched(torch.rand(20, 2, 3, 4, 4)).shape == (20,)  # two crops each
        watched.tell()
    assert model.calls == 4  # 80 images are more than 64
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith("bfloat16 against float32 on the first 80 images: SRCC 1.0000")


def test_a_model_in_float32_is_not_compared(caplog: pytest.LogCaptureFixture) -> None:
    watched = WatchedModel(lambda images: images.mean((1, 2, 3)))
    with caplog.at_level(logging.INFO):
        watched(torch.rand(2, 3, 4, 4))
        watched.tell()
    assert not caplog.records
