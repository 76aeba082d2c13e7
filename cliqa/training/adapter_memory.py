"""The memories of earlier experiences in two modes of `LoRA`: O-LoRA and InfLoRA.

Legend: B samples, L positions of a kernel in a map, G groups of a convolution (1 for a linear
layer), r rank, n inputs of a weight's row (in, or in / groups * k * k), m directions of a basis.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.models.lora.layer import ROW_NORM, LoRALayer
from cliqa.training.importance.per_sample import evaluation_mode
from cliqa.training.loop.batching import RaggedImages, apply_model
from cliqa.training.loop.parallel.shared_batch import own_samples
from cliqa.training.loop.tasks import one_head
from cliqa.training.plugins.base import SavedState
from cliqa.training.strategy import Strategy
from cliqa.utils.errors import ModelError
from cliqa.utils.logging import get_logger
from cliqa.utils.processes.shares import summed
from cliqa.utils.progress import track
from cliqa.utils.seed import generator

logger = get_logger(__name__)

Layers = Mapping[str, LoRALayer]


class AdapterMemory(SavedState):
    """The memory of a mode: used at an experience's start, in its loss and at its end.

    Attributes:
        of_inputs: It depends on inputs, so that an experience without adapters counts too.
    """

    of_inputs = False

    def begin(self, strategy: Strategy, layers: Layers, experience: int) -> None:
        """Prepare new adapters for an experience."""

    def penalty(self, layers: Layers) -> Tensor | None:
        """Return a penalty for the loss, a scalar; None for none."""
        return None

    @abstractmethod
    def end(self, strategy: Strategy, layers: Layers, experience: int) -> None:
        """Store an experience, whose adapters are in the sum already."""


class Orthogonality(AdapterMemory):
    """Keep the rows of A orthogonal to those of earlier adapters.

    Wang et al., "Orthogonal subspace learning for language model continual learning", Findings of
    EMNLP 2023, eq. 7 and 8: ``strength * sum_i ||A_i A_t^T||_F^2``, over the layers too.

    Args:
        strength: Factor of the penalty.
    """

    saved = ("_rows",)

    def __init__(self, strength: float) -> None:
        self.strength = strength
        self._rows: dict[str, Tensor] = {}  # (G, R, n) of all earlier adapters

    def penalty(self, layers: Layers) -> Tensor | None:
        """Return the penalty; None while there is no earlier adapter."""
        if not self._rows or self.strength == 0:
            return None
        overlaps = [
            (self._rows[name] @ layer.factors()[1].mT).square().sum()
            for name, layer in layers.items()
        ]
        return self.strength * torch.stack(overlaps).sum()

    def end(self, strategy: Strategy, layers: Layers, experience: int) -> None:
        """Store the rows of A."""
        for name, layer in layers.items():
            rows = layer.factors()[1].detach().clone()
            earlier = self._rows.get(name)
            self._rows[name] = rows if earlier is None else torch.cat([earlier, rows], dim=1)


class InterferenceFree(AdapterMemory):
    """Fix A to directions orthogonal to earlier inputs, so that B cannot change their outputs.

    Liang & Li, "InfLoRA: Interference-free low-rank adaptation for continual learning", CVPR 2024.
    The share of the earlier inputs that is protected grows from `threshold` to 1 over the stream,
    as in the paper. What it is a share of is `measure`: with C the mean of x x^T over a layer's
    inputs x, the authors' code takes the squared singular values of C, Saha et al. (eq. 9) those of
    the inputs themselves, which are the singular values of C. Squares favour the strongest
    directions, so that the same share protects fewer. The rows of A follow the same measure.

    A layer's covariance has n x n values of float64 for the n = in * k * k inputs of a weight's row
    (170 MB for 3 x 3 over 512 channels), and is decomposed twice an experience: choose targets.

    Args:
        threshold: The share after the first experience, 0..1.
        samples: Maximum number of samples per experience.
        measure: ``"covariance"``, as in the authors' code, or ``"inputs"``.
    """

    of_inputs = True
    saved = ("_bases", "measure")

    def __init__(self, threshold: float, samples: int, measure: str = "covariance") -> None:
        self.threshold = threshold
        self.samples = samples
        self.measure = measure
        self._bases: dict[str, list[Tensor]] = {}  # (n, m) of each group, float64

    def begin(self, strategy: Strategy, layers: Layers, experience: int) -> None:
        """Set A to the strongest free directions of the new inputs."""
        full = 0
        for name, found in self._covariances(strategy, layers, experience).items():
            layer = layers[name]
            bases = self._of(name, found)
            energies = found if self.measure == "inputs" else found @ found
            rows = [new_directions(e, b, layer.rank) for e, b in zip(energies, bases, strict=True)]
            full += sum(not bool(row.any()) for row in rows)
            with torch.no_grad():
                stacked = torch.stack(rows) * ROW_NORM
                layer.lora_A.copy_(stacked.reshape(layer.lora_A.shape))
        if full:
            logger.warning(
                "LoRA: in %d layer(s) or groups, earlier inputs span the whole space, so no "
                "direction is left to learn in. Lower threshold to protect fewer directions.",
                full,
            )

    def end(self, strategy: Strategy, layers: Layers, experience: int) -> None:
        """Protect the directions of the experience's inputs."""
        stream = len(strategy.experience.origin_stream)
        share = self.threshold + (1 - self.threshold) * experience / stream
        whole = share >= 1  # every direction with inputs, and the covariance tells weaker ones
        for name, found in self._covariances(strategy, layers, experience).items():
            energies = found if whole or self.measure == "inputs" else found @ found
            pairs = zip(self._of(name, found), energies, strict=True)
            self._bases[name] = [grown(basis, energy, share) for basis, energy in pairs]

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state; one without a measure is of an earlier version, which had inputs alone."""
        if "measure" not in state:
            logger.warning(
                "LoRA: the checkpoint is of an earlier version, whose threshold was a share of the "
                "inputs' energy. The run goes on so (measure='inputs')."
            )
        super().load_state_dict({"measure": "inputs", **state})

    def _of(self, name: str, covariance: Tensor) -> list[Tensor]:
        """Return a layer's bases, empty before the first experience."""
        empty = covariance.new_zeros(covariance.shape[1], 0)
        return self._bases.get(name) or [empty] * len(covariance)

    def _covariances(
        self, strategy: Strategy, layers: Layers, experience: int
    ) -> dict[str, Tensor]:
        """Return the covariances of the layers' inputs over some of the experience's samples."""
        data = strategy.measured(strategy.adapted_dataset)
        if len(data) > self.samples:
            random = generator(strategy.options.seed, "inflora", experience)
            chosen = torch.randperm(len(data), generator=random)[: self.samples]
            data = data.subset(chosen.sort().values.tolist())
        loader = track(strategy.loader(data, train=False), "pass over the training samples")
        batches = (own_samples(b)[0].to(strategy.device) for b in loader)
        with one_head(strategy):
            return input_covariances(strategy.model, layers, batches)


ROUNDING = 1e-10
"""Share of the energy that counts as rounding errors of float32 inputs."""


def input_rows(layer: nn.Module, inputs: Tensor) -> Tensor:
    """Return the input vectors that a layer's weight is multiplied with.

    Args:
        layer: A linear layer, or a convolution with any kernel, stride, padding, dilation, groups.
        inputs: Its inputs, (B, ..., in) or (B, in, H, W).

    Returns:
        (G, B * L, n).
    """
    if isinstance(layer, nn.Linear):
        return inputs.reshape(1, -1, inputs.shape[-1])
    conv: Any = layer
    mode = "constant" if conv.padding_mode == "zeros" else conv.padding_mode
    padded = F.pad(inputs, conv._reversed_padding_repeated_twice, mode)
    columns = F.unfold(padded, conv.kernel_size, conv.dilation, stride=conv.stride)
    split = columns.unflatten(1, (conv.groups, -1))  # (B, G, n, L)
    return split.permute(1, 0, 3, 2).flatten(1, 2)


@torch.no_grad()
def input_covariances(
    model: nn.Module,
    layers: Mapping[str, LoRALayer],
    batches: Iterable[Tensor | RaggedImages],
) -> dict[str, Tensor]:
    """Return the mean of x x^T over the inputs x of each layer, (G, n, n), float64.

    Args:
        model: The model; it runs in evaluation mode; its own mode is restored.
        layers: Layers of the model by name.
        batches: The model's inputs.

    Raises:
        ModelError: The model uses a layer's weight without calling the layer.
    """
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}

    def watch(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def add(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            rows = input_rows(layer, inputs[0].detach()).double()
            sums[name] = sums.get(name, 0) + rows.mT @ rows
            counts[name] = counts.get(name, 0) + rows.shape[1]

        return add

    hooks = [layer.register_forward_pre_hook(watch(name)) for name, layer in layers.items()]
    try:
        with evaluation_mode(model):
            for batch in batches:
                apply_model(model, batch)
    finally:
        for hook in hooks:
            hook.remove()
    for name in layers:
        if name not in sums:
            raise ModelError(
                f"LoRA: the {type(model).__name__} uses the weight of '{name}' without calling the "
                "layer, so its inputs cannot be recorded. Leave it out of targets, or use another "
                "mode than 'inflora'."
            )
    totals = summed({name: torch.tensor(float(count)) for name, count in counts.items()})
    return {name: total / float(totals[name]) for name, total in summed(sums).items()}


def new_directions(energy: Tensor, basis: Tensor, rank: int) -> Tensor:
    """Return the strongest directions of inputs that are orthogonal to a basis.

    Liang & Li, "InfLoRA: Interference-free low-rank adaptation for continual learning", CVPR 2024:
    the rows of A. They are searched inside the basis' complement, so that they are orthogonal to
    it even where the inputs have no energy there.

    Args:
        energy: C or, as in the authors' code, C^2 (whose projected eigenvectors are the left
            singular vectors of the projected C), (n, n), float64.
        basis: (n, m), orthonormal.
        rank: r.

    Returns:
        (r, n), orthonormal rows; zeros where the complement has no more directions.
    """
    n, m = basis.shape
    rest = torch.linalg.qr(basis, mode="complete").Q[:, m:] if m else torch.eye(n).to(energy)
    _, vectors = torch.linalg.eigh(rest.T @ energy @ rest)  # ascending
    found = (rest @ vectors.flip(1)[:, :rank]).T
    return F.pad(found, (0, 0, 0, rank - len(found)))


def grown(basis: Tensor, energy: Tensor, share: float) -> Tensor:
    """Return a basis extended until it captures a share of an energy.

    Saha et al., "Gradient projection memory for continual learning", ICLR 2021, eq. 8 and 9; from
    the covariance C of the inputs x, so that no input has to be stored.

    Args:
        basis: (n, m), orthonormal.
        energy: C for the energy of the inputs (the trace is the mean of |x|^2), or C^2 for that of
            C itself (the trace is its squared Frobenius norm), (n, n), float64.
        share: Of the trace, 0..1.

    Returns:
        (n, m + k), orthonormal.
    """
    n, m = basis.shape
    total = float(energy.trace())
    if m == n or total <= 0:
        return basis
    rest = torch.linalg.qr(basis, mode="complete").Q[:, m:] if m else torch.eye(n).to(energy)
    values, vectors = torch.linalg.eigh(rest.T @ energy @ rest)
    values, vectors = values.flip(0).clamp_min(0), vectors.flip(1)
    missing = float(values.sum()) - values.cumsum(0)  # outside of the first k + 1 more
    allowed = max(1 - share, ROUNDING) * total
    if float(values.sum()) <= allowed:
        return basis
    count = int((missing > allowed).sum()) + 1
    return torch.cat([basis, rest @ vectors[:, :count]], dim=1)
