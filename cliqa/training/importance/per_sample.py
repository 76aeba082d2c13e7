"""Per-sample gradients, squared or absolute, summed over a data set.

The square of a batch's mean gradient is not the same: it shrinks as the batch grows. Legend: B
samples of a batch, N samples, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from cliqa.models.arguments import check_choice, check_positive
from cliqa.models.wrappers import unwrapped
from cliqa.training.importance.layer_gradients import LayerGradients, NotByLayerError, Weights
from cliqa.training.loop.batching import RaggedImages, model_output
from cliqa.utils.errors import ModelError
from cliqa.utils.logging import get_logger
from cliqa.utils.processes.shares import summed

logger = get_logger(__name__)

Objective = Callable[[Tensor, Tensor], Tensor]
"""A sample's output, () or (K,), and its target, (...) -> a scalar."""

METHODS = ("layers", "vmap", "loop")
MEMORY = 512 * 2**20
"""Bytes for the gradients of one chunk of samples."""


class PerSampleGradients:
    """Sums over samples of ``|d objective / d theta| ** power``, for every trainable parameter.

    Everything is computed in full precision and in evaluation mode: with running statistics and
    without dropout, samples are independent. The model is not changed.

    Args:
        model: (B, ...) -> (B,) or (B, K). Of ``nn.DataParallel`` and other wrappers the wrapped
            model is used; the names stay those of the wrapper.
        power: 1 for absolute gradients, 2 for squared ones.
        memory: Bytes for the gradients of one chunk of samples.
        method: ``"layers"``: one pass over a batch (`LayerGradients`), its first samples compared
            with ``"loop"``; ``"vmap"``: samples in parallel (`torch.func.vmap`), as many as fit
            into `memory`; ``"loop"``: one sample at a time. None for the first that works.

    Attributes:
        sums: By parameter name, the sums so far.
        chunk: Samples in parallel.

    Raises:
        ConfigError: `power` or `method` is unknown, or `memory` is not positive.
    """

    def __init__(
        self,
        model: nn.Module,
        power: int = 2,
        memory: int = MEMORY,
        method: str | None = None,
    ) -> None:
        check_choice("PerSampleGradients", (1, 2), power=power)
        check_positive("PerSampleGradients", memory=memory)
        check_choice("PerSampleGradients", (None, *METHODS), method=method)
        self.model = unwrapped(model)
        self.power = power
        names = {parameter: name for name, parameter in model.named_parameters()}
        own = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        weights = {name: parameter.detach() for name, parameter in own.items()}
        self._names = {name: names[parameter] for name, parameter in own.items()}
        self.sums: Weights = {self._names[n]: torch.zeros_like(w) for n, w in weights.items()}
        self._weights = weights
        size = sum(w.numel() * w.element_size() for w in weights.values())
        self.chunk = max(1, int(memory // max(1, size)))
        self._methods = [method] if method else list(METHODS)
        self._layers: LayerGradients | None = None

    def means(self, count: int) -> Weights:
        """Return the sums over the samples of all processes, divided by their number.

        Args:
            count: The samples that this process has added.
        """
        total = int(summed(torch.tensor(count)))
        return {name: part / max(1, total) for name, part in summed(self.sums).items()}

    def add(self, objective: Objective, inputs: Tensor | RaggedImages, targets: Tensor) -> None:
        """Add the gradients of a batch's samples.

        Args:
            objective: The function to differentiate.
            inputs: (B, ...): images, features, or crops (B, N, C, H, W); or images of many sizes.
            targets: (B, ...), as `objective` takes them.
        """
        if not self._weights:
            return
        with evaluation_mode(self.model), torch.autocast(targets.device.type, enabled=False):
            if isinstance(inputs, RaggedImages):
                for image, target in zip(inputs, targets, strict=True):
                    self._add(objective, image[None], target[None])
            else:
                self._add(objective, inputs, targets)

    def _add(self, objective: Objective, inputs: Tensor, targets: Tensor) -> None:
        """Add a batch by the first method that works; a failed one is not tried again."""
        ways = {"layers": self._by_layer, "vmap": self._side_by_side, "loop": self._one_by_one}
        while True:
            method = self._methods[0]
            try:
                found = ways[method](objective, inputs, targets)
                break
            except (RuntimeError, ValueError, TypeError, ModelError) as error:
                if len(self._methods) == 1:
                    raise
                self._methods.pop(0)
                logger.debug(
                    "per-sample gradients of a %s use method '%s', because '%s' failed: %s",
                    type(self.model).__name__,
                    self._methods[0],
                    method,
                    str(error).partition("\n")[0],
                )
        for name, total in found.items():
            self.sums[self._names[name]] += total

    def _by_layer(self, objective: Objective, inputs: Tensor, targets: Tensor) -> Weights:
        """Return a batch's sums from one pass; the first batch is checked against ``"loop"``."""
        if self._layers is None:
            layers = LayerGradients(self.model, set(self._weights), self.power)
            few = (objective, inputs[:2], targets[:2])
            own = layers.sums(objective, self._weights, *few[1:])
            _check_equal(own, self._one_by_one(*few))
            self._layers = layers
        return self._layers.sums(objective, self._weights, inputs, targets)

    def _side_by_side(self, objective: Objective, inputs: Tensor, targets: Tensor) -> Weights:
        """Return a batch's sums by `vmap`, in chunks that fit into the memory."""
        sums: Weights = {}
        gradient = vmap(grad(self._value(objective)), in_dims=(None, 0, 0))
        for some, theirs in zip(inputs.split(self.chunk), targets.split(self.chunk), strict=True):
            for name, part in gradient(self._weights, some, theirs).items():
                total = part.abs().pow(self.power).sum(0)
                sums[name] = sums[name] + total if name in sums else total
        return sums

    def _one_by_one(self, objective: Objective, inputs: Tensor, targets: Tensor) -> Weights:
        """Return a batch's sums by one backward pass per sample."""
        value = self._value(objective)
        sums = {name: torch.zeros_like(weight) for name, weight in self._weights.items()}
        for sample, target in zip(inputs, targets, strict=True):
            with torch.enable_grad():
                leaves = {n: w.detach().requires_grad_() for n, w in self._weights.items()}
                result = value(leaves, sample, target)
                parts = torch.autograd.grad(result, list(leaves.values()), allow_unused=True)
            for name, part in zip(leaves, parts, strict=True):
                if part is not None:
                    sums[name] += part.abs().pow(self.power)
        return sums

    def _value(self, objective: Objective) -> Callable[[Weights, Tensor, Tensor], Tensor]:
        """Return the objective of one sample as a function of the weights."""

        def value(weights: Weights, sample: Tensor, target: Tensor) -> Tensor:
            output = model_output(
                lambda x: functional_call(self.model, weights, (x,)), sample[None]
            )
            return objective(output[0], target)

        return value

    @torch.no_grad()
    def outputs(self, inputs: Tensor | RaggedImages) -> Tensor:
        """Return the model's outputs (B,) or (B, K), as used for the gradients."""
        device = next(self.model.parameters()).device.type
        with evaluation_mode(self.model), torch.autocast(device, enabled=False):
            return model_output(self.model, inputs)


def _check_equal(own: Weights, expected: Weights) -> None:
    """Refuse sums that differ from the expected ones by more than rounding."""
    most = max(float(part.max()) for part in expected.values())
    for name, part in expected.items():
        gap = (own.get(name, torch.zeros_like(part)) - part).abs().max()
        if not float(gap) <= 1e-3 * float(part.max()) + 1e-6 * most:
            raise NotByLayerError(f"{name} is not used by its layer alone")


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, and restore each module's own mode afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
