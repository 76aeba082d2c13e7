"""Methods with task-specific tensors (views), and the choice of a view in evaluation."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from cliqa.models.arguments import check_choice
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.strategy import Strategy
from cliqa.training.views.gate import GatedViews
from cliqa.training.views.gates import GateConfig, build_gate, gate_of
from cliqa.training.views.trace import GateTrace
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

INFERENCE = ("last", "oracle", "gate")

Tensors = dict[str, Tensor]


class TaskViews(ContinualPlugin, abstract=True):
    """A method that keeps a copy of some tensors of the model for each experience: a view.

    A view is stored after its experience; an evaluation loads views into the model and restores the
    model afterwards.

    Args:
        inference: Which view predicts a test sample: ``"last"``: the newest one; ``"oracle"``: that
            of the sample's own experience, which is unknown in practice: an upper bound;
            ``"gate"``: all of them, weighted by `gate`.
        gate: How samples are weighed: ``"lda"`` (None; `DiscriminantGate`), ``"qda"``, which blends
            in a covariance of each experience's own, or ``"kmeans"`` (`DomainGate`); or one of them
            with arguments: ``dict(name="lda", hard=True)``.
        centroids: Of the gate of earlier versions (squared distances to k-means centroids), which
            this argument or `temperature` chooses where `gate` is None.
        temperature: See `centroids`.

    Raises:
        ConfigError: `inference` or `gate` is unknown, or a value is out of range.
    """

    saved: ClassVar[tuple[str, ...]] = ("_views",)
    saved_parts: ClassVar[tuple[str, ...]] = ("gate",)

    def __init__(
        self,
        inference: str = "last",
        gate: GateConfig = None,
        centroids: int | None = None,
        temperature: float | None = None,
    ) -> None:
        super().__init__()
        check_choice(type(self).__name__, INFERENCE, inference=inference)
        self.inference = inference
        chosen = build_gate(type(self).__name__, gate, centroids, temperature)
        self.gate = chosen if inference == "gate" else None
        self._views: list[Tensors] = []
        self._held: Tensors | None = None
        self.traces: dict[str, GateTrace] = {}  # of the last evaluation, by data set

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state; one of earlier versions brings their gate."""
        if self.gate is not None and state["gate"]:
            self.gate = gate_of(state["gate"], self.gate)
        super().load_state_dict(state)

    @abstractmethod
    def own_names(self, model: nn.Module) -> list[str]:
        """Return the names of the parameters and buffers that each view has its own copy of."""

    @property
    def learnt(self) -> int:
        """The number of finished experiences."""
        return len(self._views)

    def show(self, model: nn.Module, view: int) -> None:
        """Load a view into the model.

        Args:
            model: The model.
            view: The index of a finished experience.
        """
        restore_tensors(model, self._views[view])

    def deployed(self, model: nn.Module) -> nn.Module:
        """Return the network that predicts images whose experience is unknown.

        With ``"gate"`` it is all views with the gate; else the newest view, the model itself. For
        ``"oracle"`` that differs from the measured model, and a warning is logged.

        Args:
            model: The model; it is not changed.
        """
        if self.inference == "oracle" and self.learnt > 1:
            logger.warning(
                "%s: the run was evaluated with each image's known experience "
                "(inference='oracle'). In use it is unknown: the newest view alone predicts, and "
                "scores of older data sets may be worse than measured. Train with "
                "inference='gate' to use all views.",
                type(self).__name__,
            )
        if self.gate is None or not self._views:
            return model
        self.gate.keep(model)
        views = [copy.deepcopy(model) for _ in self._views]
        for index, view in enumerate(views):
            self.show(view, index)
        return GatedViews(views, self.gate).eval()

    # ---------------------------------------------------------------- hooks

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Let the gate copy the network before any training."""
        if self.gate is not None:
            self.gate.keep(strategy.model)

    def after_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Store the experience's view, and its centroids for the gate."""
        self._views.append(copied_tensors(strategy.model, self.own_names(strategy.model)))
        if self.gate is not None:
            self.gate.add(strategy, self.learnt - 1)

    def before_eval(self, strategy: Strategy, **_: object) -> None:
        """Store the model, to be restored after the evaluation."""
        self.traces = {}
        if self.gate is not None:
            self.gate.keep(strategy.model)
        if self.inference != "last" and self._views:
            self._held = copied_tensors(strategy.model)

    def before_eval_exp(self, strategy: Strategy, **_: object) -> None:
        """Load the oracle's view; an unfinished experience gets the newest one."""
        if self._held is None or self.inference != "oracle":
            return
        index = strategy.experience.current_experience
        restore_tensors(strategy.model, self._held)
        if index < self.learnt:
            self.show(strategy.model, index)

    def after_eval_forward(self, strategy: Strategy, **_: object) -> None:
        """Replace the output by the gate's weighted mean of the views' outputs."""
        if self.gate is None or self._held is None:
            return
        weights = strategy.whole(self.gate.weights(strategy.mb_x))  # (B, T)
        total = torch.zeros_like(strategy.mb_output)
        outputs = []
        for view in range(self.learnt):
            self.show(strategy.model, view)
            share = weights[:, view].view(-1, *[1] * (total.dim() - 1))
            outputs.append(strategy.forward())
            total += share * outputs[-1]
        restore_tensors(strategy.model, self._held)
        strategy.mb_output = total
        if self.learnt > 1:
            place = strategy.experience.current_experience
            name = getattr(strategy.experience, "name", str(place))
            trace = self.traces.setdefault(name, GateTrace(place))
            trace.add(weights, torch.stack(outputs, dim=1), strategy.mb_y)

    def after_eval(self, strategy: Strategy, **_: object) -> None:
        """Restore the model."""
        if self._held is not None:
            restore_tensors(strategy.model, self._held)
            self._held = None


def tensors_of(model: nn.Module) -> Tensors:
    """Return a model's parameters and buffers by name, not copied."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def copied_tensors(model: nn.Module, names: Iterable[str] | None = None) -> Tensors:
    """Return copies of a model's parameters and buffers by name; of all, or of some."""
    own = tensors_of(model)
    return {name: own[name].detach().clone() for name in (own if names is None else names)}


@torch.no_grad()
def restore_tensors(model: nn.Module, values: Tensors) -> None:
    """Copy values into a model's parameters and buffers of the same names.

    After an optimizer step it keeps weights fixed. Zero gradients would not be enough: weight decay
    and momentum still change weights.
    """
    own = tensors_of(model)
    for name, value in values.items():
        own[name].copy_(value)


def norm_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Return a model's normalisation layers by name."""
    kinds = (
        *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm),
        *(nn.GroupNorm, nn.LayerNorm, nn.InstanceNorm1d, nn.InstanceNorm2d),
    )
    return {name: module for name, module in model.named_modules() if isinstance(module, kinds)}
