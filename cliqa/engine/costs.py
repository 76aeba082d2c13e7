"""The costs of a run so far: seconds and bytes."""

from __future__ import annotations

from typing import Any

from avalanche.training.templates import SupervisedTemplate

from cliqa.utils.memory import peak_memory, tensor_bytes


class Costs:
    """Seconds of training and evaluation, and bytes of memory, of every step of a stream.

    Attributes:
        seconds: ``train`` and ``eval``, one number a step.
        memory: ``peak``: the most that was in use at a time up to then, see `peak_memory`;
            ``kept``: the weights and all that the method keeps for later steps, without the
            optimizer's state and without samples that a memory only refers to.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {"train": [], "eval": []}
        self.memory: dict[str, list[int]] = {"peak": [], "kept": []}
        self._lap = 0.0  # seconds of the step in progress

    def add_epoch(self, seconds: float) -> None:
        """Count an epoch's time."""
        self._lap += seconds

    def finish_step(self, strategy: SupervisedTemplate, seconds: float) -> None:
        """Close a step whose evaluation took so many seconds."""
        self.seconds["train"].append(self._lap)
        self.seconds["eval"].append(seconds)
        self._lap = 0.0
        state = strategy.state_dict()
        # an earlier process of a resumed run may have had a higher peak
        peak = max([peak_memory(strategy.device), *self.memory["peak"]])
        self.memory["peak"].append(peak)
        self.memory["kept"].append(
            tensor_bytes([state["model"], state["plugins"], state.get("ridge")])
        )

    def state_dict(self) -> dict[str, Any]:
        """Return all of it in plain types."""
        return {"seconds": self.seconds, "memory": self.memory, "lap": self._lap}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self.seconds, self.memory, self._lap = state["seconds"], state["memory"], state["lap"]
