"""What a gate did in an evaluation: its weights, beside equal ones and those of an oracle."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

Score = Callable[[np.ndarray, np.ndarray], float | None]
"""The main measure of outputs (N,) or (N, K) and targets (N,)."""


class GateTrace:
    """The weights of a data set's images, and what the views' outputs would give otherwise.

    Args:
        experience: The data set's index in the stream.
    """

    def __init__(self, experience: int) -> None:
        self.experience = experience
        self._parts: list[tuple[Tensor, ...]] = []

    def add(self, weights: Tensor, outputs: Tensor, targets: Tensor) -> None:
        """Keep a batch.

        Args:
            weights: (B, T).
            outputs: Of every view, (B, T) or (B, T, K).
            targets: (B,).
        """
        own = outputs[:, min(self.experience, outputs.shape[1] - 1)]
        batch = (weights, outputs.mean(1), own, targets)
        self._parts.append(tuple(part.detach().float().cpu() for part in batch[:3]) + batch[3:])

    def row(self, score: Score) -> dict[str, float | int | None]:
        """Return numbers about the gate on this data set.

        Returns:
            ``views`` T; ``images`` N; ``largest``, the mean of each image's largest weight; the
            main measure by ``equal`` weights; and, if the data set has been learnt, by its own view
            (``oracle``), with that view's mean weight (``own_weight``) and the share of images in
            which it has the largest (``own_first``).
        """
        weights, equal, own, targets = (
            torch.cat([part.cpu() for part in parts]).numpy()
            for parts in zip(*self._parts, strict=True)
        )
        count = weights.shape[1]
        learnt = self.experience < count
        return {
            "views": count,
            "images": len(targets),
            "largest": float(weights.max(1).mean()),
            "equal": _score(score, equal, targets),
            "oracle": _score(score, own, targets) if learnt else None,
            "own_weight": float(weights[:, self.experience].mean()) if learnt else None,
            "own_first": float((weights.argmax(1) == self.experience).mean()) if learnt else None,
        }


def gate_rows(plugins: Iterable[object], score: Score) -> dict[str, dict[str, Any]]:
    """Return the gates' numbers of the last evaluation by data set; see `GateTrace.row`.

    With a single view there is nothing to weigh, and no row.
    """
    rows: dict[str, dict[str, Any]] = {}
    for plugin in plugins:
        traces: dict[str, GateTrace] = getattr(plugin, "traces", {})
        rows |= {name: trace.row(score) for name, trace in traces.items()}
    return rows


def _score(score: Score, outputs: np.ndarray, targets: np.ndarray) -> float | None:
    """Return the measure, None of outputs that are not finite."""
    return score(outputs, targets) if np.isfinite(outputs).all() else None
