"""Methods whose model looks different for each experience, and how a view is chosen at test."""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.views.gate import DomainGate
from cliqa.training.views.gated_views import GatedViews
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

INFERENCE = ("last", "oracle", "gate")

Tensors = dict[str, Tensor]


class TaskViews(ContinualPlugin):
    """A method that keeps some tensors of the model for each experience: a view.

    After an experience its own tensors are remembered; an evaluation puts the view's tensors into
    the model and takes them out again.

    Args:
        inference: Which view looks at a test sample: ``"last"``: the newest one, which is the model
            as it is; ``"oracle"``: that of the experience that the sample is from, which nobody
            knows in the field: an upper bound; ``"gate"``: all of them, weighted by how near the
            sample lies to each experience's training data (`DomainGate`).
        centroids: Centroids of an experience's features, for the gate.
        temperature: How sharply the gate decides.

    Raises:
        ConfigError: `inference` is unknown, or a number is not positive.
    """

    def __init__(
        self, inference: str = "last", centroids: int = 8, temperature: float = 32.0
    ) -> None:
        super().__init__()
        if inference not in INFERENCE:
            raise ConfigError(
                f"{type(self).__name__}: inference must be 'last', 'oracle' or 'gate', got "
                f"{inference!r}."
            )
        self.inference = inference
        self.gate = DomainGate(centroids, temperature) if inference == "gate" else None
        self._views: list[Tensors] = []
        self._held: Tensors | None = None

    @abstractmethod
    def own_names(self, model: nn.Module) -> list[str]:
        """Return the names of the parameters and buffers that each view has of its own."""

    @property
    def learnt(self) -> int:
        """How many experiences have been learnt to their end."""
        return len(self._views)

    def show(self, model: nn.Module, view: int) -> None:
        """Put a view's own tensors into the model.

        Args:
            model: The model.
            view: An experience that has been learnt, from 0.
        """
        state = tensors_of(model)
        with torch.no_grad():
            for name, value in self._views[view].items():
                state[name].copy_(value)

    def deployed(self, model: nn.Module) -> nn.Module:
        """Return the network that predicts for images of which nobody knows the experience.

        With ``"gate"`` it is all views with the gate; else the newest view, the model itself, which
        for ``"oracle"`` is not what was measured, and is warned of.

        Args:
            model: The model; it is left as it is.
        """
        if self.inference == "oracle" and self.learnt > 1:
            logger.warning(
                "%s: its run told every image's experience (inference='oracle'), which nobody "
                "knows in the field: the newest view alone predicts, and older data sets may get "
                "worse scores than measured. Train with inference='gate' to use all views.",
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

    def before_training_exp(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Let the gate keep the network as it was before any training."""
        if self.gate is not None:
            self.gate.keep(strategy.model)

    def after_training_exp(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Remember the experience's view, and where its data lie."""
        state = tensors_of(strategy.model)
        names = self.own_names(strategy.model)
        self._views.append({name: state[name].detach().clone() for name in names})
        if self.gate is not None:
            self.gate.add(strategy, self.learnt - 1)

    def before_eval(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Hold the model as it is, to be put back."""
        if self.gate is not None:
            self.gate.keep(strategy.model)
        if self.inference != "last" and self._views:
            own = tensors_of(strategy.model)
            self._held = {name: value.detach().clone() for name, value in own.items()}

    def before_eval_exp(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Show the oracle's view; an experience that is not learnt yet gets the newest one."""
        if self._held is None or self.inference != "oracle":
            return
        index = strategy.experience.current_experience
        self._put_back(strategy.model)
        if index < self.learnt:
            self.show(strategy.model, index)

    def after_eval_forward(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Replace the output by the views' outputs, weighted by the gate."""
        if self.gate is None or self._held is None:
            return
        weights = self.gate.weights(strategy.mb_x)  # (B, T)
        total = torch.zeros_like(strategy.mb_output)
        for view in range(self.learnt):
            self.show(strategy.model, view)
            share = weights[:, view].view(-1, *[1] * (total.dim() - 1))
            total += share * strategy.forward()
        self._put_back(strategy.model)
        strategy.mb_output = total

    def after_eval(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Put the model back."""
        if self._held is not None:
            self._put_back(strategy.model)
            self._held = None

    def _put_back(self, model: nn.Module) -> None:
        """Put the tensors that are held into the model."""
        own = tensors_of(model)
        with torch.no_grad():
            for name, value in (self._held or {}).items():
                own[name].copy_(value)

    # ---------------------------------------------------------------- state

    def state_dict(self) -> dict[str, Any]:
        """Return the views, and the gate's centroids and network."""
        gate = {} if self.gate is None else self.gate.state_dict()
        return {"views": self._views, "gate": gate}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take views over."""
        self._views = state["views"]
        if self.gate is not None and state["gate"]:
            self.gate.load_state_dict(state["gate"])


def tensors_of(model: nn.Module) -> Tensors:
    """Return a model's parameters and buffers by name: the tensors themselves."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def norm_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Return a model's normalisation layers by name."""
    kinds = (
        *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm),
        *(nn.GroupNorm, nn.LayerNorm, nn.InstanceNorm1d, nn.InstanceNorm2d),
    )
    return {name: module for name, module in model.named_modules() if isinstance(module, kinds)}


class FixedTensors:
    """Tensors that are put back after every step, whatever the optimizer did to them.

    Gradients of zero would not do: weight decay and momentum move weights all the same.

    Args:
        model: The model.
        names: Which tensors.
    """

    def __init__(self, model: nn.Module, names: list[str]) -> None:
        own = tensors_of(model)
        self._values = {name: own[name].detach().clone() for name in names}

    def put_back(self, model: nn.Module) -> None:
        """Give the tensors their values back."""
        own = tensors_of(model)
        with torch.no_grad():
            for name, value in self._values.items():
                own[name].copy_(value)
