"""Unit vectors of maps."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.models.outputs import as_vector
from cliqa.registry import MODELS


@MODELS.register_module()
class UnitVectors(nn.Module):
    """Maps and vectors -> as many vectors (B, C) of length 1: maps are averaged first."""

    def forward(self, outputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the vectors of maps (B, C, h, w) and vectors (B, C).

        Raises:
            ModelError: An output is neither.
        """
        return tuple(F.normalize(as_vector(output, self), dim=1) for output in outputs)
