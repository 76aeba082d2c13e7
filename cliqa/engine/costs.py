"""The costs of a run so far: seconds, bytes and parameters."""

from __future__ import annotations

from typing import Any

from avalanche.training.templates import SupervisedTemplate

from cliqa.utils.memory import peak_memory, tensor_bytes

CPU = "train_cpu"


class Costs:
    """Seconds of training and evaluation, bytes and parameters, of every step of a stream.

    Attributes:
        seconds: ``train``, ``eval``, and ``train_cpu``, one number a step. The last is the CPU time
            of this process in training, all its threads together, without processes that load
            images; a run that an earlier version began has none.
        memory: ``peak``: the most that was in use at a time up to then, see `peak_memory`;
            ``kept``: the weights and all that the method keeps for later steps, without the
            optimizer's state and without samples that a memory only refers to.
        parameters: ``all`` of the model, and those that were ``trained`` in the step: they require
            gradients. A run that an earlier version began has none.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {"train": [], "eval": [], CPU: []}
        self.memory: dict[str, list[int]] = {"peak": [], "kept": []}
        self.parameters: dict[str, list[int]] = {"all": [], "trained": []}
        self._lap = self._cpu_lap = 0.0  # seconds of the step in progress

    def add_epoch(self, seconds: float, cpu_seconds: float) -> None:
        """Count an epoch's time, and the CPU time of this process in it."""
        self._lap += seconds
        self._cpu_lap += cpu_seconds

    def finish_step(self, strategy: SupervisedTemplate, seconds: float) -> None:
        """Close a step whose evaluation took so many seconds."""
        self.seconds["train"].append(self._lap)
        self.seconds["eval"].append(seconds)
        if CPU in self.seconds:
            self.seconds[CPU].append(self._cpu_lap)
        self._lap = self._cpu_lap = 0.0
        weights = list(strategy.model.parameters())
        for key, counted in self.parameters.items():
            own = (w for w in weights if key == "all" or w.requires_grad)
            counted.append(sum(w.numel() for w in own))
        state = strategy.state_dict()
        # an earlier process of a resumed run may have had a higher peak
        peak = max([peak_memory(strategy.device), *self.memory["peak"]])
        self.memory["peak"].append(peak)
        self.memory["kept"].append(
            tensor_bytes([state["model"], state["plugins"], state.get("ridge")])
        )

    def lists(self) -> dict[str, Any]:
        """Return what the results hold: the numbers of the steps that have ended."""
        return {"seconds": self.seconds, "memory": self.memory, "parameters": self.parameters}

    def state_dict(self) -> dict[str, Any]:
        """Return all of it in plain types."""
        laps = {"lap": self._lap, "cpu_lap": self._cpu_lap}
        return {**self.lists(), **laps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self.seconds, self.memory, self._lap = state["seconds"], state["memory"], state["lap"]
        self._cpu_lap = state.get("cpu_lap", 0.0)  # earlier versions counted neither
        self.parameters = state.get("parameters", {})
