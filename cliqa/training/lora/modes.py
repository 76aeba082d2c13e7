"""What some modes of `LoRA` remember of earlier experiences: O-LoRA and InfLoRA.

Legend: G groups of a convolution (1 of a linear layer), r rank, n inputs of a weight's row.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from cliqa.models.lora.layer import ROW_NORM, LoRALayer
from cliqa.training.lora.subspaces import grown, input_covariances, new_directions
from cliqa.utils.logging import get_logger
from cliqa.utils.seed import generator

logger = get_logger(__name__)

Layers = Mapping[str, LoRALayer]


class AdapterMemory:
    """What is done at an experience's start, in its loss and at its end.

    Attributes:
        of_inputs: It remembers inputs, so that an experience without adapters counts too.
    """

    of_inputs = False

    def begin(self, strategy: Any, layers: Layers, experience: int) -> None:  # noqa: ANN401
        """Prepare fresh adapters for an experience."""

    def penalty(self, layers: Layers) -> Tensor | None:
        """Return what is added to the loss, a scalar; None for nothing."""
        return None

    @abstractmethod
    def end(self, strategy: Any, layers: Layers, experience: int) -> None:  # noqa: ANN401
        """Remember an experience, whose adapters are folded in already."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return the memory: tensors and plain types only."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take a memory over."""


class Orthogonality(AdapterMemory):
    """Keep the rows of A orthogonal to those of earlier adapters.

    Wang et al., "Orthogonal subspace learning for language model continual learning", Findings of
    EMNLP 2023, eq. 7 and 8: ``strength * sum_i ||A_i A_t^T||_F^2``, over the layers too.

    Args:
        strength: Factor of the penalty.
    """

    def __init__(self, strength: float) -> None:
        self.strength = strength
        self._rows: dict[str, Tensor] = {}  # (G, R, n) of all earlier adapters

    def penalty(self, layers: Layers) -> Tensor | None:
        """Return the penalty; None as long as there is no earlier adapter."""
        if not self._rows or self.strength == 0:
            return None
        overlaps = [
            (self._rows[name] @ layer.factors()[1].mT).square().sum()
            for name, layer in layers.items()
        ]
        return self.strength * torch.stack(overlaps).sum()

    def end(self, strategy: Any, layers: Layers, experience: int) -> None:  # noqa: ANN401
        """Remember the rows of A."""
        for name, layer in layers.items():
            rows = layer.factors()[1].detach().clone()
            earlier = self._rows.get(name)
            self._rows[name] = rows if earlier is None else torch.cat([earlier, rows], dim=1)

    def state_dict(self) -> dict[str, Any]:
        """Return the rows."""
        return {"rows": self._rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take rows over."""
        self._rows = state["rows"]


class InterferenceFree(AdapterMemory):
    """Fix A to directions in which earlier inputs have nothing, so that B cannot change them.

    Liang & Li, "InfLoRA: Interference-free low-rank adaptation for continual learning", CVPR 2024.
    The share of the earlier inputs' energy that is protected grows from `threshold` to 1 over the
    stream, as theirs does.

    A layer's covariance has n x n values of float64 for the n = in * k * k inputs of a weight's row
    (170 MB for 3 x 3 over 512 channels), and is decomposed twice an experience: choose targets.

    Args:
        threshold: The share after the first experience, 0..1.
        samples: Most samples of an experience that are looked at.
    """

    of_inputs = True

    def __init__(self, threshold: float, samples: int) -> None:
        self.threshold = threshold
        self.samples = samples
        self._bases: dict[str, list[Tensor]] = {}  # (n, m) of each group, float64

    def begin(self, strategy: Any, layers: Layers, experience: int) -> None:  # noqa: ANN401
        """Set A to the strongest free directions of the new inputs."""
        full = 0
        for name, found in self._covariances(strategy, layers, experience).items():
            layer = layers[name]
            bases = self._of(name, found)
            rows = [new_directions(c, b, layer.rank) for c, b in zip(found, bases, strict=True)]
            full += sum(not bool(row.any()) for row in rows)
            with torch.no_grad():
                stacked = torch.stack(rows) * ROW_NORM
                layer.lora_A.copy_(stacked.reshape(layer.lora_A.shape))
        if full:
            logger.warning(
                "LoRA: in %d layer(s) or groups, earlier inputs fill the whole space, and nothing "
                "is left to learn. Lower threshold to protect less of them.",
                full,
            )

    def end(self, strategy: Any, layers: Layers, experience: int) -> None:  # noqa: ANN401
        """Protect what the experience's inputs use."""
        stream = len(strategy.experience.origin_stream)
        share = self.threshold + (1 - self.threshold) * experience / stream
        for name, found in self._covariances(strategy, layers, experience).items():
            pairs = zip(self._of(name, found), found, strict=True)
            self._bases[name] = [grown(basis, c, share) for basis, c in pairs]

    def _of(self, name: str, covariance: Tensor) -> list[Tensor]:
        """Return a layer's bases, empty ones in the beginning."""
        empty = covariance.new_zeros(covariance.shape[1], 0)
        return self._bases.get(name) or [empty] * len(covariance)

    def _covariances(self, strategy: Any, layers: Layers, experience: int) -> dict[str, Tensor]:  # noqa: ANN401
        """Return the covariances of the layers' inputs over some of the experience's samples."""
        data = strategy.adapted_dataset.eval()
        if len(data) > self.samples:
            random = generator(strategy.options.seed, "inflora", experience)
            chosen = torch.randperm(len(data), generator=random)[: self.samples]
            data = data.subset(chosen.sort().values.tolist())
        batches = (b[0].to(strategy.device) for b in strategy.loader(data, train=False))
        return input_covariances(strategy.model, layers, batches)

    def state_dict(self) -> dict[str, Any]:
        """Return the bases."""
        return {"bases": self._bases}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take bases over."""
        self._bases = state["bases"]
