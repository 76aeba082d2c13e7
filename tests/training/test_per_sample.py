"""Gradients of single samples: by definition, however they are batched, and without a trace."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.training.batching import RaggedImages
from cliqa.training.per_sample import (
    PerSampleGradients,
    check_count,
    evaluation_mode,
    samples_of,
)
from cliqa.utils.errors import ConfigError


def network() -> nn.Sequential:
    """Return a network with convolution, batch norm, dropout and three outputs."""
    torch.manual_seed(0)
    body = (nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5))
    model = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    model(torch.randn(32, 3, 6, 6))  # statistics that are not those of a fresh network
    return model


def loss(output: Tensor, target: Tensor) -> Tensor:
    return nn.functional.cross_entropy(output[None], target[None])


def batch(count: int = 10) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(1)
    images = torch.randn(count, 3, 6, 6, generator=random)
    return images, torch.randint(3, (count,), generator=random)


def by_hand(model: nn.Module, images: Tensor, targets: Tensor, power: int) -> dict[str, Tensor]:
    """Return the sums by one backward pass a sample."""
    model = copy.deepcopy(model).eval()
    sums = {n: torch.zeros_like(p) for n, p in model.named_parameters() if p.requires_grad}
    for image, target in zip(images, targets, strict=True):
        model.zero_grad()
        loss(model(image[None])[0], target).backward()
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                sums[name] += parameter.grad.abs() ** power
    return sums


def close(first: dict[str, Tensor], second: dict[str, Tensor], rel: float) -> bool:
    """Tell whether every tensor agrees up to a share of its largest value."""
    return first.keys() == second.keys() and all(
        float((first[n] - second[n]).abs().max()) <= rel * float(second[n].abs().max())
        for n in second
    )


class Unvectorisable(nn.Module):
    """Decides by a value, which `vmap` cannot do."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: Tensor) -> Tensor:
        """Return the inner model's outputs."""
        return self.inner(images) if float(images.sum()) < 1e9 else images


@pytest.mark.parametrize("power", [1, 2])
def test_they_equal_one_backward_pass_a_sample(power: int) -> None:
    model, (images, targets) = network(), batch()
    gradients = PerSampleGradients(model, power)
    gradients.add(loss, images, targets)
    assert close(gradients.sums, by_hand(model, images, targets, power), 1e-6)


@pytest.mark.parametrize("power", [1, 2])
def test_the_loop_gives_the_same_and_says_why(power: int, caplog: pytest.LogCaptureFixture) -> None:
    model, (images, targets) = network(), batch()
    side_by_side = PerSampleGradients(model, power)
    one_by_one = PerSampleGradients(Unvectorisable(model), power)
    with caplog.at_level(logging.DEBUG, "cliqa"):
        side_by_side.add(loss, images, targets)
        assert not caplog.records
        one_by_one.add(loss, images[:4], targets[:4])
        one_by_one.add(loss, images[4:], targets[4:])
    looped = {name.removeprefix("inner."): total for name, total in one_by_one.sums.items()}
    assert close(side_by_side.sums, looped, 1e-6)
    (record,) = caplog.records
    assert "one sample at a time: Unvectorisable cannot be vectorised (" in record.getMessage()


def test_a_mistake_of_the_objectives_is_not_swallowed() -> None:
    def broken(output: Tensor, target: Tensor) -> Tensor:
        raise ValueError("no such objective")

    with pytest.raises(ValueError, match="no such objective"):
        PerSampleGradients(network()).add(broken, *batch())


@pytest.mark.parametrize("split", [1, 3, 10])
def test_batches_and_chunks_make_no_difference(split: int) -> None:
    model, (images, targets) = network(), batch()
    whole = PerSampleGradients(model)
    whole.add(loss, images, targets)
    size = 4 * sum(p.numel() for p in model.parameters())
    parts = PerSampleGradients(model, memory=2 * size + 1)
    assert parts.chunk == 2
    for some, theirs in zip(images.split(split), targets.split(split), strict=True):
        parts.add(loss, some, theirs)
    assert close(parts.sums, whole.sums, 1e-6)
    assert PerSampleGradients(model, memory=1).chunk == 1


def test_means_divide_by_the_samples() -> None:
    gradients = PerSampleGradients(nn.Linear(1, 1, bias=False))
    gradients.add(lambda output, _: output.sum(), torch.tensor([[1.0], [3.0]]), torch.zeros(2))
    assert gradients.means(2)["weight"].item() == (1 + 9) / 2


def test_nothing_of_the_model_changes() -> None:
    model, (images, targets) = network(), batch()
    model.train()
    model[1].eval()  # as somebody has frozen it
    before, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    gradients = PerSampleGradients(model)
    gradients.add(loss, images, targets)
    gradients.outputs(images)
    assert torch.equal(torch.get_rng_state(), random)  # no dropout mask was drawn
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert [module.training for module in model] == [k != 1 for k in range(len(model))]
    assert all(parameter.grad is None for parameter in model.parameters())


def test_modes_come_back_after_an_error() -> None:
    model = network().train()
    with pytest.raises(RuntimeError, match="inside"), evaluation_mode(model):
        assert not any(module.training for module in model.modules())
        raise RuntimeError("inside")
    assert all(module.training for module in model.modules())


def test_frozen_parameters_are_left_out() -> None:
    model, (images, targets) = network(), batch()
    model[0].requires_grad_(False)
    gradients = PerSampleGradients(model)
    gradients.add(loss, images, targets)
    assert list(gradients.sums) == ["1.weight", "1.bias", "6.weight", "6.bias"]
    assert close(gradients.sums, by_hand(model, images, targets, 2), 1e-6)
    model.requires_grad_(False)
    nothing = PerSampleGradients(model)
    nothing.add(loss, images, targets)
    assert nothing.sums == {}


def test_parameters_that_the_output_does_not_reach_count_as_zero() -> None:
    for wrap in (nn.Identity, Unvectorisable):
        inner = nn.Linear(2, 1)
        model = nn.Sequential(wrap(inner) if wrap is Unvectorisable else inner)
        model.register_parameter("apart", nn.Parameter(torch.ones(3)))
        gradients = PerSampleGradients(model)
        gradients.add(lambda output, _: output.sum(), torch.ones(2, 2), torch.zeros(2))
        assert gradients.sums["apart"].tolist() == [0.0] * 3
        assert len(gradients.sums) == 3


def test_crops_are_averaged_and_images_may_have_many_sizes() -> None:
    model, (images, targets) = network(), batch(4)
    crops = PerSampleGradients(model)
    crops.add(loss, images[:, None].expand(-1, 2, -1, -1, -1), targets)
    many = PerSampleGradients(model)
    many.add(loss, RaggedImages(list(images)), targets)
    wide = PerSampleGradients(model)
    wide.add(loss, RaggedImages([images[0], torch.randn(3, 9, 7)]), targets[:2])
    expected = by_hand(model, images, targets, 2)
    assert close(crops.sums, expected, 1e-6)
    assert close(many.sums, expected, 1e-6)
    assert all(torch.isfinite(total).all() for total in wide.sums.values())


def test_precision_is_full_inside_autocast() -> None:
    model, (images, targets) = network(), batch()
    gradients = PerSampleGradients(model)
    with torch.autocast("cpu", torch.bfloat16):
        gradients.add(loss, images, targets)
        assert gradients.outputs(images).dtype == torch.float32
    assert close(gradients.sums, by_hand(model, images, targets, 2), 1e-6)


@pytest.mark.parametrize("count", [0, 5, 400])
def test_samples_are_the_experiences_in_evaluation(
    count: int, make_strategy: Callable[..., Any], tiny_stream: QualityStream
) -> None:
    strategy = make_strategy(epochs=1)
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    strategy.adapted_dataset = tiny_stream.train_stream[0].dataset
    data = tiny_stream.dataset("a", "train").eval()
    images, scores = (torch.cat(parts) for parts in zip(*samples_of(strategy, count), strict=True))
    drawn = [i for i in range(len(data)) if float(data[i][1]) in scores.tolist()]
    assert len(scores) == len(drawn) == (5 if count == 5 else len(data))
    assert torch.equal(images, torch.stack([data[i][0] for i in drawn]))  # whole, not cropped
    torch.rand(3)
    again = torch.cat([targets for _, targets in samples_of(strategy, count)])
    assert torch.equal(again, scores)
    strategy.options = make_strategy(seed=2).options
    other = torch.cat([targets for _, targets in samples_of(strategy, count)])
    assert torch.equal(other, scores) is (count != 5)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ConfigError, match="power must be 1 or 2, got 3"):
        PerSampleGradients(nn.Linear(1, 1), power=3)
    with pytest.raises(ConfigError, match="memory must be > 0 bytes, got 0"):
        PerSampleGradients(nn.Linear(1, 1), memory=0)
    with pytest.raises(ConfigError, match=r"X: n_samples must be an integer >= 0 .*got -1"):
        check_count("X", -1)
