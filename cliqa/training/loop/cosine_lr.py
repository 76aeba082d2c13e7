"""A cosine schedule that ends at a fraction of each parameter group's own rate."""

from __future__ import annotations

import math
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from cliqa.registry import LR_SCHEDULERS


@LR_SCHEDULERS.register_module()
class CosineLR(LRScheduler):
    """Lower every group's rate along half a cosine to a fraction of it, after a linear warm-up.

    In step t of T with w steps of warm-up the rate is the first one times ``(t + 1) / (w + 1)``,
    then times ``end + (1 - end) (1 + cos(pi (t - w) / (T - w))) / 2`` (Loshchilov & Hutter, "SGDR",
    ICLR 2017, eq. 5), and stays at `end_ratio` from step T on.

    ``CosineAnnealingLR`` ends at the same rate for all groups; a group with a smaller initial rate
    would rise to it.

    Args:
        optimizer: Its groups' current rates are the first ones.
        T_max: Steps to the end; left out in a config, it is the experience's length.
        epoch_steps: Steps of an epoch, filled in by the strategy: 1, or its optimizer steps.
        end_ratio: The final rate as a fraction of the first one, 0..1.
        warmup_epochs: Epochs, >= 0 and shorter than the whole, in which the rate grows linearly.

    Raises:
        ValueError: A number is out of range.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_max: int,  # noqa: N803  as torch's CosineAnnealingLR calls it
        epoch_steps: int = 1,
        end_ratio: float = 0.01,
        warmup_epochs: float = 0,
    ) -> None:
        if not 0 <= end_ratio <= 1:
            raise ValueError(f"end_ratio must lie in 0..1, got {end_ratio!r}")
        if not warmup_epochs >= 0:
            raise ValueError(f"warmup_epochs must be >= 0, got {warmup_epochs!r}")
        self.T_max = T_max
        self.end_ratio = end_ratio
        self.warmup_steps = round(warmup_epochs * epoch_steps)
        if self.warmup_steps >= max(1, T_max):
            raise ValueError(
                f"warmup_epochs={warmup_epochs} takes {self.warmup_steps} of {T_max} steps and "
                "leaves none after the warm-up. Shorten it, or set more train_epochs"
            )
        super().__init__(optimizer)

    def get_lr(self) -> list[Any]:
        """Return the groups' rates of this step."""
        step, warmup, end = self.last_epoch, self.warmup_steps, self.end_ratio
        if step < warmup:
            factor = (step + 1) / (warmup + 1)
        else:
            done = min(1.0, (step - warmup) / max(1, self.T_max - warmup))
            factor = end + (1 - end) * (1 + math.cos(math.pi * done)) / 2
        return [rate * factor for rate in self.base_lrs]
