"""Gradients of single samples: by definition, however they are batched, and without a trace."""

from __future__ import annotations

import copy
import logging
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.training.importance.per_sample import METHODS, PerSampleGradients, evaluation_mode
from cliqa.training.loop.batching import RaggedImages
from cliqa.utils.errors import ConfigError, ModelError


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
    """Decides by a value, which `vmap` cannot do; its scale is no layer's."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        """Return the inner model's outputs."""
        return self.scale * self.inner(images) if float(images.sum()) < 1e9 else images


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("power", [1, 2])
def test_they_equal_one_backward_pass_a_sample(power: int, method: str) -> None:
    model, (images, targets) = network(), batch()
    gradients = PerSampleGradients(model, power, method=method)
    gradients.add(loss, images, targets)
    assert close(gradients.sums, by_hand(model, images, targets, power), 1e-6)


def test_the_first_working_method_is_used_and_the_reason_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model, (images, targets) = network(), batch()
    gradients = PerSampleGradients(model)
    awkward = PerSampleGradients(Unvectorisable(model))
    with caplog.at_level(logging.DEBUG, "cliqa"):
        gradients.add(loss, images, targets)
        assert not caplog.records
        awkward.add(loss, images[:4], targets[:4])
        awkward.add(loss, images[4:], targets[4:])
    expected = by_hand(awkward.model, images, targets, 2)
    assert close(awkward.sums, expected, 1e-6)
    first, second = (record.getMessage() for record in caplog.records)
    assert first.endswith("'vmap', because 'layers' failed: scale is of a Unvectorisable")
    assert "of a Unvectorisable use method 'loop', because 'vmap' failed: " in second
    with pytest.raises(RuntimeError, match="vmap"):
        PerSampleGradients(awkward.model, method="vmap").add(loss, images, targets)


class Twofold(nn.Module):
    """Uses its layer's weight past the layer too."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (B, 3)."""
        return nn.functional.linear(self.fc(features).tanh(), self.fc.weight)


def test_a_weight_that_is_used_past_its_layer_is_found_out() -> None:
    torch.manual_seed(0)
    model, features, targets = Twofold(), torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1])
    gradients = PerSampleGradients(model)
    gradients.add(loss, features, targets)
    assert close(gradients.sums, by_hand(model, features, targets, 2), 1e-6)
    with pytest.raises(ModelError, match=r"fc\.weight is not used by its layer alone"):
        PerSampleGradients(model, method="layers").add(loss, features, targets)


def test_a_mistake_of_the_objectives_is_not_swallowed() -> None:
    def broken(output: Tensor, target: Tensor) -> Tensor:
        raise ValueError("no such objective")

    with pytest.raises(ValueError, match="no such objective"):
        PerSampleGradients(network()).add(broken, *batch())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("split", [1, 3, 10])
def test_batches_and_chunks_make_no_difference(split: int, method: str) -> None:
    model, (images, targets) = network(), batch()
    whole = PerSampleGradients(model, method=method)
    whole.add(loss, images, targets)
    size = 4 * sum(p.numel() for p in model.parameters())
    parts = PerSampleGradients(model, memory=2 * size + 1, method=method)
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

    def fail() -> None:
        with evaluation_mode(model):
            assert not any(module.training for module in model.modules())
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail()
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


@pytest.mark.parametrize("method", METHODS)
def test_parameters_that_the_output_does_not_reach_count_as_zero(method: str) -> None:
    model = nn.Sequential(nn.Linear(2, 1))
    model[0].register_module("apart", nn.Linear(2, 2))
    gradients = PerSampleGradients(model, method=method)
    gradients.add(lambda output, _: output.sum(), torch.ones(2, 2), torch.zeros(2))
    assert {name: float(total.sum()) for name, total in gradients.sums.items()} == {
        "0.weight": 4.0,
        "0.bias": 2.0,
        "0.apart.weight": 0.0,
        "0.apart.bias": 0.0,
    }


@pytest.mark.parametrize("method", METHODS)
def test_crops_are_averaged_and_images_may_have_many_sizes(method: str) -> None:
    model, (images, targets) = network(), batch(4)
    crops = PerSampleGradients(model, method=method)
    crops.add(loss, torch.stack([images, images.flip(0)], 1), targets)
    both = nn.Sequential(Pair(model))  # the mean over an image and its partner
    paired = by_hand(both, torch.stack([images, images.flip(0)], 1), targets, 2)
    assert close(crops.sums, {n.removeprefix("0.inner."): p for n, p in paired.items()}, 1e-6)
    many = PerSampleGradients(model, method=method)
    many.add(loss, RaggedImages(list(images)), targets)
    assert close(many.sums, by_hand(model, images, targets, 2), 1e-6)
    wide = PerSampleGradients(model, method=method)
    wide.add(loss, RaggedImages([images[0], torch.randn(3, 9, 7)]), targets[:2])
    assert all(torch.isfinite(total).all() for total in wide.sums.values())


class Pair(nn.Module):
    """The mean output over crops (B, N, C, H, W)."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, crops: Tensor) -> Tensor:
        """Return logits (B, K)."""
        return torch.stack([self.inner(images) for images in crops.unbind(1)]).mean(0)


def test_precision_is_full_inside_autocast() -> None:
    model, (images, targets) = network(), batch()
    gradients = PerSampleGradients(model)
    with torch.autocast("cpu", torch.bfloat16):
        gradients.add(loss, images, targets)
        assert gradients.outputs(images).dtype == torch.float32
    assert close(gradients.sums, by_hand(model, images, targets, 2), 1e-6)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ConfigError, match="power must be one of 1, 2, got 3"):
        PerSampleGradients(nn.Linear(1, 1), power=3)
    with pytest.raises(ConfigError, match="memory must be above 0, got 0"):
        PerSampleGradients(nn.Linear(1, 1), memory=0)
    with pytest.raises(ConfigError, match="one of None, 'layers', 'vmap', 'loop', got 'hooks'"):
        PerSampleGradients(nn.Linear(1, 1), method="hooks")


def compiled(model: nn.Module) -> Any:
    return torch.compile(model, backend="eager")


@pytest.mark.parametrize(
    ("wrap", "prefix"), [(nn.DataParallel, "module."), (compiled, "_orig_mod.")]
)
@pytest.mark.parametrize("method", [None, *METHODS])
def test_a_wrapped_model_is_looked_into(wrap: Any, prefix: str, method: str | None) -> None:
    model, (images, targets) = network(), batch()
    model[0].requires_grad_(False)
    gradients = PerSampleGradients(wrap(model), method=method)
    gradients.add(loss, images, targets)
    assert torch.equal(gradients.outputs(images), model.eval()(images))
    expected = by_hand(model, images, targets, 2)
    assert close(gradients.sums, {prefix + n: part for n, part in expected.items()}, 1e-6)
