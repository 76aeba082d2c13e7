"""Gradients of single samples, squared or absolute, summed over a data set.

The square of a batch's mean gradient is no substitute: it shrinks as the batch grows. Legend: B
samples of a batch, N samples, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from cliqa.training.batching import RaggedImages, apply_model
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger
from cliqa.utils.seed import generator

logger = get_logger(__name__)

Weights = dict[str, Tensor]
Objective = Callable[[Tensor, Tensor], Tensor]
"""A sample's output, () or (K,), and its target, (...) -> a scalar."""

MEMORY = 512 * 2**20
"""Bytes that the gradients of one chunk of samples may take."""


class PerSampleGradients:
    """Sums over samples of ``|d objective / d theta| ** power``, for every trainable parameter.

    Samples go through the model side by side (`torch.func.vmap`), as many as fit into `memory`, or
    one by one where the model cannot be vectorised. Everything is computed in full precision, in
    evaluation mode: running statistics, no dropout. Nothing of the model changes.

    Args:
        model: (B, ...) -> (B,) or (B, K).
        power: 1 for absolute gradients, 2 for squared ones.
        memory: Bytes that the gradients of the samples in work may take.

    Attributes:
        sums: By parameter name, the sums so far.
        chunk: Samples that go through the model side by side.

    Raises:
        ConfigError: `power` is neither 1 nor 2, or `memory` is not positive.
    """

    def __init__(self, model: nn.Module, power: int = 2, memory: int = MEMORY) -> None:
        if power not in (1, 2):
            raise ConfigError(f"PerSampleGradients: power must be 1 or 2, got {power!r}.")
        if not memory > 0:
            raise ConfigError(f"PerSampleGradients: memory must be > 0 bytes, got {memory!r}.")
        self.model = model
        self.power = power
        weights = {n: p.detach() for n, p in model.named_parameters() if p.requires_grad}
        self.sums: Weights = {n: torch.zeros_like(w) for n, w in weights.items()}
        self._weights = weights
        size = sum(w.numel() * w.element_size() for w in weights.values())
        self.chunk = max(1, int(memory // max(1, size)))  # samples side by side
        self._vectorised = True

    def means(self, count: int) -> Weights:
        """Return the sums over all samples, divided by their number: each weighs the same."""
        return {name: total / max(1, count) for name, total in self.sums.items()}

    def add(self, objective: Objective, inputs: Tensor | RaggedImages, targets: Tensor) -> None:
        """Add the gradients of a batch's samples.

        Args:
            objective: What is differentiated.
            inputs: (B, ...): images, features, or crops (B, N, C, H, W); or images of many sizes.
            targets: (B, ...), whatever `objective` takes.
        """
        if not self._weights:
            return
        device = targets.device.type
        with evaluation_mode(self.model), torch.autocast(device, enabled=False):
            if isinstance(inputs, RaggedImages):
                for image, target in zip(inputs, targets, strict=True):
                    self._add_chunk(objective, image[None], target[None])
                return
            parts = (inputs.split(self.chunk), targets.split(self.chunk))
            for some, their_targets in zip(*parts, strict=True):
                self._add_chunk(objective, some, their_targets)

    def _add_chunk(self, objective: Objective, inputs: Tensor, targets: Tensor) -> None:
        """Add the gradients of samples that fit into the memory together."""

        def value(weights: Weights, sample: Tensor, target: Tensor) -> Tensor:
            output = apply_model(lambda x: functional_call(self.model, weights, (x,)), sample[None])
            return objective(output[0], target)

        if self._vectorised:
            try:
                found = vmap(grad(value), in_dims=(None, 0, 0))(self._weights, inputs, targets)
            except (RuntimeError, ValueError, TypeError) as error:
                self._vectorised = False
                logger.debug(
                    "gradients one sample at a time: %s cannot be vectorised (%s)",
                    type(self.model).__name__,
                    str(error).partition("\n")[0],
                )
            else:
                self._sum_up(found)
                return
        for sample, target in zip(inputs, targets, strict=True):
            found = _gradient(value, self._weights, sample, target)
            self._sum_up({name: gradient[None] for name, gradient in found.items()})

    def _sum_up(self, gradients: Weights) -> None:
        """Add gradients (B, ...), raised to the power, to the sums."""
        for name, gradient in gradients.items():
            raised = gradient.square() if self.power == 2 else gradient.abs()
            self.sums[name] += raised.sum(0)

    @torch.no_grad()
    def outputs(self, inputs: Tensor | RaggedImages) -> Tensor:
        """Return the model's outputs (B,) or (B, K), as the gradients see them."""
        device = next(self.model.parameters()).device.type
        with evaluation_mode(self.model), torch.autocast(device, enabled=False):
            return apply_model(self.model, inputs)


def _gradient(
    value: Callable[[Weights, Tensor, Tensor], Tensor],
    weights: Weights,
    sample: Tensor,
    target: Tensor,
) -> Weights:
    """Return one sample's gradient by a plain backward pass."""
    with torch.enable_grad():
        leaves = {name: w.detach().requires_grad_() for name, w in weights.items()}
        result = value(leaves, sample, target)
        found = torch.autograd.grad(result, list(leaves.values()), allow_unused=True)
    filled = zip(leaves.items(), found, strict=True)
    return {name: torch.zeros_like(w) if g is None else g for (name, w), g in filled}


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, and every module of it back into its own mode after."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def check_count(who: str, n_samples: int) -> None:
    """Refuse a number of samples that is none.

    Raises:
        ConfigError: It is no integer >= 0.
    """
    if not isinstance(n_samples, int) or n_samples < 0:
        raise ConfigError(
            f"{who}: n_samples must be an integer >= 0 (0 for all samples), got {n_samples!r}."
        )


def samples_of(
    strategy: Any,  # noqa: ANN401
    count: int = 0,
) -> Iterator[tuple[Tensor | RaggedImages, Tensor]]:
    """Yield batches of what the step has trained on, transformed as in evaluation.

    Args:
        strategy: The strategy, right after training.
        count: So many samples, drawn by the run's seed; 0 for all.

    Yields:
        Inputs (B, ...) and targets (B,) on the strategy's device.
    """
    data = strategy.adapted_dataset.eval()
    if 0 < count < len(data):
        random = generator(strategy.options.seed, "importance", strategy.step_index)
        drawn = torch.randperm(len(data), generator=random)[:count]
        data = data.subset(drawn.sort().values.tolist())
    for batch in strategy.loader(data, train=False):
        yield batch[0].to(strategy.device), batch[1].to(strategy.device)
