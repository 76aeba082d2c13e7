"""Batch normalisation by the statistics of a batch that several processes share.

Legend: b samples in this process, B in all, C channels, * any other dimensions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from cliqa.utils.processes.shares import differentiable_sum


class SharedStatistics(_BatchNorm):
    """Mixed into a kind of batch normalisation; in training it computes as over the whole batch.

    PyTorch's ``SyncBatchNorm`` does the same on GPUs alone. The class of a layer is changed, not
    the layer: its weights and statistics, and their names in checkpoints, stay what they are.

    Attributes:
        counted: Which of the b rows are samples of the batch, (b,) bool; None for all.
    """

    counted: Tensor | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        """Return normalised values (b, C, *), by the statistics over B and *."""
        if not self.training:
            return super().forward(inputs)
        self._check_input_dim(inputs)
        full = torch.promote_types(inputs.dtype, torch.float32)
        values = inputs.transpose(0, 1).flatten(1).to(full)  # (C, b *)
        weights = self._weights(inputs)
        sums = torch.cat([(values * weights).sum(1), weights.sum()[None]])
        sums = differentiable_sum(sums)
        count = sums[-1].detach()
        mean = sums[:-1] / count
        gaps = values - mean[:, None]
        variance = differentiable_sum((gaps.square() * weights).sum(1)) / count
        with torch.no_grad():
            self._track(mean, variance, count)
        normal = gaps * (variance + self.eps).rsqrt()[:, None]
        shaped = normal.view(inputs.shape[1], inputs.shape[0], *inputs.shape[2:]).transpose(0, 1)
        if self.weight is None:
            return shaped.to(inputs.dtype)
        shape = (1, -1, *[1] * (inputs.dim() - 2))
        return (shaped * self.weight.view(shape) + self.bias.view(shape)).to(inputs.dtype)

    def _weights(self, inputs: Tensor) -> Tensor:
        """Return 1 for each of a channel's b * values that counts, and 0 for others, (b *)."""
        each = inputs[:, 0].flatten(1).shape[1] if inputs.dim() > 2 else 1
        full = torch.promote_types(inputs.dtype, torch.float32)
        ones = torch.ones(len(inputs), each, dtype=full, device=inputs.device)
        if self.counted is not None:
            rows = self.counted.to(inputs.device)
            ones *= rows.repeat_interleave(len(inputs) // len(rows))[:, None]  # several crops
        return ones.flatten()

    def _track(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """Move the running statistics, as PyTorch does: by the unbiased variance."""
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = self.momentum
        if share is None:  # the mean over all batches
            share = 1.0 / float(self.num_batches_tracked)
        unbiased = variance * count / (count - 1).clamp(min=1)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), share)


_KINDS: dict[type, type] = {}


def share_statistics(model: nn.Module) -> list[SharedStatistics]:
    """Let a model's batch normalisations compute over the whole batch; return them."""
    found: list[Any] = []
    for module in model.modules():
        kind = type(module)
        if isinstance(module, _BatchNorm) and not isinstance(module, SharedStatistics):
            if kind not in _KINDS:
                _KINDS[kind] = type(f"Shared{kind.__name__}", (SharedStatistics, kind), {})
            module.__class__ = _KINDS[kind]
        if isinstance(module, SharedStatistics):
            found.append(module)
    return found
