"""The state of a strategy: a run that was stopped after any epoch goes on with the same bits."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer

from cliqa.models.pruned import pruning_of
from cliqa.training.cut_channels import cut_channels
from cliqa.training.loop.schedule import Schedule
from cliqa.training.loop.selection import BestEpoch
from cliqa.training.loop.steps import Steps
from cliqa.training.state import capture_plugins, copied_to, restore_plugins


class Resumable(Steps):
    """Saves a strategy's state, and restores it; mixed in before the strategy's class.

    Attributes:
        schedule: The learning-rate schedule of each experience.
        selection: The best epoch of this step by its validation measure.
        step_index: Index of the training step in the stream.
        epochs_done: Finished epochs of this step.
    """

    schedule: Schedule
    selection: BestEpoch
    step_index: int
    epochs_done: int
    _pending: dict[str, Any] | None

    def state_dict(self) -> dict[str, Any]:
        """Return the state that the rest of the run depends on: tensors and plain types only."""
        return {
            "step_index": self.step_index,
            "epochs_done": self.epochs_done,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "precision": self.precision.state_dict(),
            **({"computed_in": self.precision.choice()} if self.precision.choice() else {}),
            "plugins": capture_plugins(self),
            "selection": self.selection.state_dict(),
            **({"pruning": pruning_of(self.model)} if pruning_of(self.model) else {}),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state: the model and the plugins now, the rest when training resumes."""
        cut_channels(self, state.get("pruning", ()))
        self.precision.adopt(state.get("computed_in"))
        self.precision.arrange(self.model)
        self.model.load_state_dict(state["model"])
        restore_plugins(self, state["plugins"])
        self._pending = state

    @property
    def resumes_mid_step(self) -> bool:
        """Whether this step is resumed after one of its epochs.

        The restored state then replaces what a hook at the step's start changes.
        """
        state = self._pending
        return (
            state is not None
            and state["step_index"] == self.step_index
            and state["epochs_done"] > 0
        )

    def _start(self) -> None:
        """Start the schedule, from the beginning or from a restored state.

        Where a step is resumed after an epoch, the model and the plugins are restored once more,
        because the hooks at the step's start have changed them.
        """
        mid_step = self.resumes_mid_step
        state, self._pending = self._pending, None
        if state is None:
            self.schedule.start(self.optimizer, self.train_epochs, self.steps_per_epoch)
            return
        # a state from before any training has no optimizer state
        trained = state["step_index"] > 0 or state["epochs_done"] > 0
        self.precision.load_state_dict(state["precision"])
        if trained and (mid_step or not self.options.reset_optimizer):
            self.optimizer.load_state_dict(grown_state(state["optimizer"], self.optimizer))
        self.schedule.start(self.optimizer, self.train_epochs, self.steps_per_epoch)
        if mid_step:
            self.epochs_done = state["epochs_done"]
            self.model.load_state_dict(state["model"])
            restore_plugins(self, state["plugins"])
            if "selection" in state:
                self.selection.load_state_dict(copied_to(state["selection"], self.device))
            self.schedule.load_state_dict(state["schedule"])
            # restores the rates that start() reset
            self.optimizer.load_state_dict(state["optimizer"])


def grown_state(state: dict[str, Any], optimizer: Optimizer) -> dict[str, Any]:
    """Return an optimizer's state with room for the parameters that came after it.

    A method that adds a head for each experience adds it before the state is loaded; its parameters
    follow the others of their group, and have no statistics yet.

    Args:
        state: A state of the optimizer.
        optimizer: Has the same groups, with as many parameters or more.
    """
    free = 1 + max(
        (place for group in state["param_groups"] for place in group["params"]), default=-1
    )
    groups, known = [], dict(state["state"])
    for saved, own in zip(state["param_groups"], optimizer.param_groups, strict=False):
        places = list(saved["params"])
        for parameter in own["params"][len(places) :]:
            places.append(free)
            if parameter in optimizer.state:
                known[free] = {}
            free += 1
        groups.append({**saved, "params": places})
    return {"state": known, "param_groups": [*groups, *state["param_groups"][len(groups) :]]}
