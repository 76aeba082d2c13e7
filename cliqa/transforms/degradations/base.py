"""The base class of degradations, and their registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from cliqa.registry import ComponentRegistry

DEGRADATIONS = ComponentRegistry("degradation", ["cliqa.transforms.degradations"])


class Degradation(ABC):
    """One kind of damage at any strength.

    Attributes:
        ladders: By the table's name, the strengths from the mildest to the harshest. Every family
            has ``"wide"``, from hardly visible to destroyed, for rehearsal; most have the milder
            ``"standard"``, for pretraining; ``"kadid"`` has the strengths usual for KADID-10k's
            distortions, for the families where they are a ladder; ``"swin_hyperiqa"`` those of the
            pretraining of a Swin HyperIQA.
        whole: The strengths are whole numbers.
        rises: The error rises from level to level. A family that does not rise is used only where
            it is named.
    """

    ladders: ClassVar[Mapping[str, tuple[float, ...]]]
    whole: ClassVar[bool] = False
    rises: ClassVar[bool] = True

    @abstractmethod
    def __call__(self, images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
        """Return damaged images.

        Args:
            images: (N, C, H, W), float32 or float64 in 0..1; left as they are.
            strength: In the unit of the family's ladders.
            generator: On the CPU, where randomness comes from. The same state at another strength
                gives the same damage, only stronger.

        Returns:
            (N, C, H, W), of the images' dtype; values beyond 0..1 are clipped by the caller.
        """


def normal_like(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return standard normal noise (N, C, H, W), drawn on the CPU: the same on every device."""
    noise = torch.randn(images.shape, generator=generator, dtype=torch.float32)
    return noise.to(images)
