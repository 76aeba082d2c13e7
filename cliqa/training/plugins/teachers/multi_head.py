"""A head for every data set over a trunk that goes on learning, taught by the earlier heads."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from cliqa.losses.distillation import distillation_loss, output_distance
from cliqa.losses.pairwise import FidelityLoss
from cliqa.models.arguments import check_choice, check_integer, check_least, check_positive
from cliqa.models.freezing import Rest, check_patterns
from cliqa.models.heads.earlier import (
    HEADS,
    EarlierHeads,
    earlier_heads,
    heads_said,
    of_images,
)
from cliqa.registry import PLUGINS
from cliqa.training.importance.quadratic import WeightPenalty
from cliqa.training.plugins.compression.qat import QAT
from cliqa.training.strategy import Strategy
from cliqa.training.views.gates import GateConfig
from cliqa.training.views.heads import GatedHeads, weighted
from cliqa.training.views.trace import GateTrace
from cliqa.training.views.views import (
    TaskViews,
    Tensors,
    copied_tensors,
    norm_modules,
    restore_tensors,
    tensors_of,
)
from cliqa.utils.errors import ConfigError

DISTILL = ("fidelity", "mse")


@PLUGINS.register_module()
class MultiHead(TaskViews):
    """A head for each experience over one trunk that is always trained, with distillation.

    Zhang et al., "Continual learning for blind image quality assessment", TPAMI 2023, in its
    authors' code. A new experience opens a new head, with the weights that the first one had before
    training. While it is learnt, every earlier head must score the new images as it did before: the
    loss gets `strength` times the sum of their distances to their scores then, whose gradient goes
    to the trunk and to the earlier heads. In use all heads score an image over the newest trunk,
    weighted by a gate.

    With ``strength=0`` it is the paper's MH-CL, to which ``plugins=[dict(type="EWC")]`` (or SI,
    MAS, L2) add the paper's other regularisers; they forget a head when a new one opens, so that
    they hold the trunk, as in the paper. With `Replay` the new head learns the memory too, as in
    the paper's LwF-Replay.

    Args:
        strength: Factor of the distance, >= 0; the paper's lambda, 10.
        distill: The distance over scores. ``"fidelity"``: of the probabilities that one image is
            better than another, the paper's; ``"mse"``. Over classes it is `distillation_loss`.
        sigma: Spread of a score in the fidelity, > 0: 1 with `UnitScoreHead` and a loss of sigma 1,
            as in the paper.
        warmup_epochs: At first only the new head is trained for this many epochs, fewer than the
            experience has. The paper's code has 3.
        head: The name of the model's head.
        inference: As `TaskViews`; ``"gate"`` is the paper's weighted prediction.
        gate: As `TaskViews`; ``"kmeans"`` is the paper's.

    Raises:
        ConfigError: A number is out of range, or a word is unknown.
    """

    saved = ("_learnt", "_initial", "_teacher_weights")
    only_in_training = ("_initial", "_teacher_weights")
    distributed = "every process holds the same heads; what they say is exchanged"
    reads_outputs = True

    def __init__(
        self,
        strength: float = 10.0,
        distill: str = "fidelity",
        sigma: float = 0.1,
        warmup_epochs: int = 0,
        head: str = "head",
        inference: str = "gate",
        gate: GateConfig = None,
    ) -> None:
        super().__init__(inference, gate)
        check_least("MultiHead", 0, strength=strength)
        check_choice("MultiHead", DISTILL, distill=distill)
        check_positive("MultiHead", sigma=sigma)
        check_integer("MultiHead", 0, warmup_epochs=warmup_epochs)
        self.strength = strength
        self.distill = distill
        self.warmup_epochs = warmup_epochs
        self.head = head
        self._fidelity = FidelityLoss(sigma, sigma)
        self._learnt = 0
        self._initial: Tensors = {}  # the first head's before training
        self._teacher_weights: Tensors = {}
        self._teacher: nn.Module | None = None
        self._rest = Rest()  # of the trunk, while the new head begins
        self._watch = ExitStack()  # the earlier heads listen to the model's own
        self._said: list[Tensor] = []

    # ---------------------------------------------------------------- the model

    def prepare(self, model: nn.Module) -> None:
        """Give the model room for earlier heads.

        Raises:
            ModelError: The model has no such head.
        """
        check_patterns(model, [self.head], "MultiHead: head")
        model.add_module(HEADS, EarlierHeads(model.get_submodule(self.head)))

    def is_prepared(self, model: nn.Module) -> bool:
        """Return whether the model has room for earlier heads."""
        return hasattr(model, HEADS)

    def check(self, plugins: Sequence[object]) -> None:
        """Refuse methods that choose between states of the whole network, or replace its layers.

        Raises:
            ConfigError: There is one.
        """
        for plugin in plugins:
            if isinstance(plugin, (TaskViews, QAT)) and plugin is not self:
                name = type(plugin).__name__
                why = "quantize the finished run" if name == "QAT" else f"drop '{name}'"
                raise ConfigError(
                    f"MultiHead cannot be combined with {name}, which changes or exchanges layers "
                    f"of the network that the heads share: {why}."
                )

    def own_names(self, model: nn.Module) -> list[str]:
        """Return the tensors of the model's own head."""
        return [name for name in tensors_of(model) if name.startswith(f"{self.head}.")]

    @property
    def learnt(self) -> int:
        """The number of finished experiences."""
        return self._learnt

    def heads(self, model: nn.Module) -> list[nn.Module]:
        """Return the heads of the finished experiences."""
        return [*earlier_heads(model), model.get_submodule(self.head)][: self._learnt]

    def show(self, model: nn.Module, view: int) -> None:
        """Load an earlier experience's head into the model's own."""
        kept = earlier_heads(model)
        if view < len(kept):
            restore_tensors(model.get_submodule(self.head), tensors_of(kept[view]))

    def deployed(self, model: nn.Module) -> nn.Module:
        """Return the trunk with all heads and the gate; see `TaskViews.deployed`."""
        if self.gate is None or not self._learnt:
            return super().deployed(model)
        self.gate.keep(model)
        views = [copy.deepcopy(model) for _ in range(self._learnt)]
        for index, view in enumerate(views):
            self.show(view, index)
            delattr(view, HEADS)
        network = GatedHeads(views, self.gate).eval()
        network.head = self.head
        return network

    # ---------------------------------------------------------------- learning

    def before_train_dataset_adaptation(self, strategy: Strategy, **_: object) -> None:
        """Open the experience's head, before the optimizer gets the model's parameters."""
        own = strategy.model.get_submodule(self.head)
        self._initial = self._initial or copied_tensors(own)
        if len(earlier_heads(strategy.model)) == self._learnt:
            return  # the first experience, or one that is resumed
        earlier_heads(strategy.model).keep()
        restore_tensors(own, self._initial)
        for plugin in strategy.plugins:
            if isinstance(plugin, WeightPenalty):
                plugin.forget(self.own_names(strategy.model))

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Let the gate copy the network before any training, and the teacher now.

        Raises:
            ConfigError: The warm-up is as long as the experience.
        """
        super().before_training_exp(strategy)
        if self.warmup_epochs and self.warmup_epochs >= strategy.train_epochs:
            raise ConfigError(
                f"MultiHead: warmup_epochs={self.warmup_epochs} leaves none of the "
                f"{strategy.train_epochs} epochs of an experience for the trunk. Set fewer, or "
                "more train_epochs."
            )
        if self.strength and self._learnt and not strategy.resumes_mid_step:
            self._teacher, self._teacher_weights = None, copied_tensors(strategy.model)

    def before_training_epoch(self, strategy: Strategy, **_: object) -> None:
        """Train the new head alone while it begins."""
        self._rest.end()
        if strategy.epochs_done < self.warmup_epochs:
            own = self.own_names(strategy.model)
            named = strategy.model.named_parameters()
            norms = norm_modules(strategy.model).items()
            self._rest.begin(
                [parameter for name, parameter in named if name not in own],
                [module for name, module in norms if not name.startswith(f"{self.head}.")],
            )

    def before_forward(self, strategy: Strategy, **_: object) -> None:
        """Let the earlier heads hear what the new one is given."""
        if self._teacher_weights and not self._rest.parameters:
            own, kept = strategy.model.get_submodule(self.head), earlier_heads(strategy.model)
            self._said = self._watch.enter_context(heads_said(own, kept, raw=True))

    def after_forward(self, strategy: Strategy, **_: object) -> None:
        """Add no more to what the earlier heads have said."""
        self._watch.close()

    def before_backward(self, strategy: Strategy, **_: object) -> None:
        """Add the distance to the loss."""
        if not self._said:
            return
        teacher, count = self._teacher_of(strategy.model), len(strategy.mb_x)
        own = teacher.get_submodule(self.head)
        with torch.no_grad(), heads_said(own, earlier_heads(teacher), raw=True) as truths:
            strategy.output_of(strategy.mbatch, teacher)
        said = (self._said, truths)
        outputs, truth = (strategy.whole(of_images(own, count)) for own in said)  # (B, T, ...)
        self._said = []
        parts = [self.distance(outputs[:, t], truth[:, t]) for t in range(outputs.shape[1])]
        strategy.loss = strategy.loss + self.strength * torch.stack(parts).sum()

    def distance(self, outputs: Tensor, truth: Tensor) -> Tensor:
        """Return how far a head's outputs are from what it said before, a scalar.

        Args:
            outputs: (B,) scores or (B, K) logits.
            truth: Of the same shape.
        """
        if outputs.dim() > 1:
            return distillation_loss(outputs.float(), truth.float())
        if self.distill == "mse":
            return output_distance(outputs, truth)
        return self._fidelity(outputs, truth)

    def after_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Finish the experience's head, and describe its data to the gate."""
        self._rest.end()
        self._teacher, self._teacher_weights = None, {}
        self._learnt += 1
        for parameter in strategy.model.get_submodule(self.head).parameters():
            strategy.optimizer.state.pop(parameter, None)  # the next head starts anew
        if self.gate is not None:
            self.gate.add(strategy, self._learnt - 1)

    def _teacher_of(self, model: nn.Module) -> nn.Module:
        """Return the network before this experience; after a restore it is built again."""
        if self._teacher is None:
            self._teacher = copy.deepcopy(model).eval().requires_grad_(False)
            restore_tensors(self._teacher, self._teacher_weights)
        return self._teacher

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state; the teacher is built when it is needed."""
        super().load_state_dict(state)
        self._teacher = None

    # ---------------------------------------------------------------- prediction

    def before_eval(self, strategy: Strategy, **_: object) -> None:
        """Store the model for the oracle, which exchanges its head."""
        self.traces = {}
        if self.gate is not None:
            self.gate.keep(strategy.model)
        if self.inference == "oracle" and self._learnt:
            self._held = copied_tensors(strategy.model)

    def before_eval_forward(self, strategy: Strategy, **_: object) -> None:
        """Let all heads hear what the model's own is given."""
        if self.gate is not None and self._learnt:
            own = strategy.model.get_submodule(self.head)
            self._said = self._watch.enter_context(heads_said(own, self.heads(strategy.model)))

    def after_eval_forward(self, strategy: Strategy, **_: object) -> None:
        """Replace the output by the gate's weighted mean of all heads'."""
        self._watch.close()
        if self.gate is None or not self._learnt:
            return
        outputs = strategy.whole(of_images(self._said, len(strategy.mb_x)).float())
        self._said = []
        weights = strategy.whole(self.gate.weights(strategy.mb_x))  # (B, T)
        strategy.mb_output = weighted(outputs, weights)
        if self._learnt > 1:
            place = strategy.experience.current_experience
            name = getattr(strategy.experience, "name", str(place))
            self.traces.setdefault(name, GateTrace(place)).add(weights, outputs, strategy.mb_y)
