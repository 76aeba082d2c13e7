"""Subspaces of a layer's inputs: what InfLoRA computes.

Legend: B samples, L places of a kernel in a map, n inputs of a weight's row (in, or in / groups *
k * k), m directions of a basis, r rank, G groups (1 of a linear layer).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.models.lora.layer import LoRALayer
from cliqa.training.loop.batching import RaggedImages, apply_model
from cliqa.utils.errors import ModelError

ROUNDING = 1e-10
"""Share of the energy that is taken for rounding of float32 inputs."""


def input_rows(layer: Any, inputs: Tensor) -> Tensor:  # noqa: ANN401
    """Return the vectors that a layer's weight is multiplied with.

    Args:
        layer: A linear layer, or a convolution with any kernel, stride, padding, dilation, groups.
        inputs: Its inputs, (B, ..., in) or (B, in, H, W).

    Returns:
        (G, B * L, n).
    """
    if isinstance(layer, nn.Linear):
        return inputs.reshape(1, -1, inputs.shape[-1])
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    padded = F.pad(inputs, layer._reversed_padding_repeated_twice, mode)
    columns = F.unfold(padded, layer.kernel_size, layer.dilation, stride=layer.stride)
    split = columns.unflatten(1, (layer.groups, -1))  # (B, G, n, L)
    return split.permute(1, 0, 3, 2).flatten(1, 2)


@torch.no_grad()
def input_covariances(
    model: nn.Module,
    layers: Mapping[str, LoRALayer],
    batches: Iterable[Tensor | RaggedImages],
) -> dict[str, Tensor]:
    """Return the mean of x x^T over the inputs x of each layer, (G, n, n), float64.

    Args:
        model: The model; it computes in evaluation mode and is left in the mode that it had.
        layers: Layers of the model by name.
        batches: The model's inputs.

    Raises:
        ModelError: The model uses a layer's weight without calling the layer.
    """
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}

    def watch(name: str) -> Any:  # noqa: ANN401
        def add(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            rows = input_rows(layer, inputs[0].detach()).double()
            sums[name] = sums.get(name, 0) + rows.mT @ rows
            counts[name] = counts.get(name, 0) + rows.shape[1]

        return add

    hooks = [layer.register_forward_pre_hook(watch(name)) for name, layer in layers.items()]
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        for batch in batches:
            apply_model(model, batch)
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes.items():
            module.training = training
    for name in layers:
        if name not in sums:
            raise ModelError(
                f"LoRA: the {type(model).__name__} uses the weight of '{name}' without calling the "
                "layer, so that its inputs cannot be seen. Leave it out of targets, or take "
                "another mode than 'inflora'."
            )
    return {name: total / counts[name] for name, total in sums.items()}


def new_directions(covariance: Tensor, basis: Tensor, rank: int) -> Tensor:
    """Return the strongest directions of inputs that are orthogonal to a basis.

    Liang & Li, "InfLoRA: Interference-free low-rank adaptation for continual learning", CVPR 2024:
    the rows of A. They are sought inside the basis' complement, so that they are orthogonal to it
    even where the inputs have nothing there.

    Args:
        covariance: (n, n), float64.
        basis: (n, m), orthonormal.
        rank: r.

    Returns:
        (r, n), orthonormal rows; zeros from where the complement has no more directions.
    """
    n, m = basis.shape
    rest = torch.linalg.qr(basis, mode="complete").Q[:, m:] if m else torch.eye(n).to(covariance)
    _, vectors = torch.linalg.eigh(rest.T @ covariance @ rest)  # ascending
    found = (rest @ vectors.flip(1)[:, :rank]).T
    return F.pad(found, (0, 0, 0, rank - len(found)))


def grown(basis: Tensor, covariance: Tensor, share: float) -> Tensor:
    """Return a basis with as many directions more as capture a share of the inputs' energy.

    Saha et al., "Gradient projection memory for continual learning", ICLR 2021, eq. 8 and 9, which
    InfLoRA takes over; here from the covariance, so that no input has to be kept.

    Args:
        basis: (n, m), orthonormal.
        covariance: Of inputs x, (n, n), float64.
        share: Of the mean of |x|^2, 0..1.

    Returns:
        (n, m + k), orthonormal.
    """
    n, m = basis.shape
    total = float(covariance.trace())
    if m == n or total <= 0:
        return basis
    rest = torch.linalg.qr(basis, mode="complete").Q[:, m:] if m else torch.eye(n).to(covariance)
    values, vectors = torch.linalg.eigh(rest.T @ covariance @ rest)
    values, vectors = values.flip(0).clamp_min(0), vectors.flip(1)
    missing = float(values.sum()) - values.cumsum(0)  # outside of the first k + 1 more
    allowed = max(1 - share, ROUNDING) * total
    if float(values.sum()) <= allowed:
        return basis
    count = int((missing > allowed).sum()) + 1
    return torch.cat([basis, rest @ vectors[:, :count]], dim=1)
