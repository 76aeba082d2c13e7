"""LoRA: low-rank adapters learn the stream, the network's own weights stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from cliqa.models.freezing import check_patterns, matches
from cliqa.models.lora.adapters import inject, lora_layers, lora_parameters
from cliqa.models.lora.layer import LoRALayer
from cliqa.models.lora.rank import cut_down, refill
from cliqa.registry import PLUGINS
from cliqa.training.importance.quadratic import WeightPenalty
from cliqa.training.lora.modes import AdapterMemory, InterferenceFree, Orthogonality
from cliqa.training.lora.options import check_choices, check_values
from cliqa.training.lora.parameters import (
    is_adapter,
    log_trainable,
    norms_beside,
    set_trainable,
)
from cliqa.training.views.views import TaskViews, tensors_of
from cliqa.utils.errors import ConfigError, ModelError
from cliqa.utils.seed import generator


@PLUGINS.register_module()
class LoRA(TaskViews):
    """Learn adapters of a model's layers, and its heads; all other weights keep their bits.

    Hu et al., "LoRA: Low-rank adaptation of large language models", ICLR 2022, with these ways to
    go from one experience to the next:

    * ``"shared"``: one adapter learns on, and forgets as any weights do.
    * ``"per_task"``: an adapter and heads of each experience's own. Heads start from the last ones.
    * ``"sum"``: after an experience its adapter is added to a sum that takes part in all later
      ones, and a fresh one starts. The sum is a buffer of the weight's size a layer, so that a
      checkpoint's size does not depend on the stream's length.
    * ``"olora"``: the same with a penalty on what adapters have in common; see `Orthogonality`.
    * ``"inflora"``: the same with fixed A that leaves outputs for earlier inputs as they are; see
      `InterferenceFree`.

    There are two hidden ways to forget. One is batch normalisation: by default normalisation layers
    stay as they are, their statistics too. The other is the head: where one head serves all
    experiences, as that of scores does, it trains on and forgets what ``"inflora"`` protects below
    it. With ``heads=[]`` and ``first="full"`` it is adapted like any other layer.

    Args:
        rank: r; see `inject`.
        alpha: The adapters are scaled by ``alpha / rank``.
        targets: Which layers: names or ``"conv"``, ``"linear"``, ``"attention"``, ``"all"``.
        mode: See above.
        first: What the first experience trains: ``"adapters"``, which needs a pretrained network,
            or ``"full"``: the whole network without adapters.
        start: With ``"per_task"``, whether an adapter is ``"fresh"`` or starts from the ``"last"``.
        heads: Names of the parts that are trained as they are; may be empty.
        norm: Normalisation layers are ``"frozen"`` after a full first experience, or ``"train"``;
            with ``"per_task"`` each experience has its own then.
        rs: Scale by ``alpha / sqrt(rank)``.
        energy: Cut each adapter, after its experience, down to the smallest rank with this share
            of its squared singular values, above 0, up to 1. None: not.
        orthogonality: Factor of the penalty of ``"olora"``, >= 0.
        threshold: Share of the inputs' energy that ``"inflora"`` protects at first, 0..1.
        samples: Samples of an experience that ``"inflora"`` looks at, > 0.
        inference: As `TaskViews`; other than ``"last"`` with ``"per_task"`` alone.
        centroids: As `TaskViews`.
        temperature: As `TaskViews`.

    Attributes:
        ranks: The ranks of each layer's groups after each experience, where `energy` is given.

    Raises:
        ConfigError: A value is out of range, or a choice is unknown.
    """

    def __init__(
        self,
        rank: int = 8,
        alpha: float = 16.0,
        targets: str | Sequence[str] = "all",
        mode: str = "shared",
        first: str = "adapters",
        start: str = "fresh",
        heads: Sequence[str] = ("head",),
        norm: str = "frozen",
        rs: bool = False,
        energy: float | None = None,
        orthogonality: float = 0.5,
        threshold: float = 0.95,
        samples: int = 256,
        inference: str = "last",
        centroids: int = 8,
        temperature: float = 32.0,
    ) -> None:
        super().__init__(inference, centroids, temperature)
        check_choices(mode=mode, first=first, start=start, norm=norm)
        check_values(heads, energy, orthogonality, threshold, samples)
        if inference != "last" and mode != "per_task":
            raise ConfigError(
                f"LoRA: inference={inference!r} needs an adapter for each experience. Set "
                f"mode='per_task', or inference='last' with mode={mode!r}."
            )
        self.rank, self.alpha, self.rs, self.targets = rank, alpha, rs, targets
        self.mode, self.first, self.start, self.norm = mode, first, start, norm
        self.heads, self.energy = tuple(heads), energy
        self.ranks: list[dict[str, list[int]]] = []
        self._memory: AdapterMemory | None = None
        if mode == "olora":
            self._memory = Orthogonality(orthogonality)
        elif mode == "inflora":
            self._memory = InterferenceFree(threshold, samples)
        self._free: frozenset[str] = frozenset()  # parameters that the model lets train
        self._told = False

    @property
    def _sums(self) -> bool:
        """Whether adapters are folded into a sum."""
        return self.mode in ("sum", "olora", "inflora")

    @property
    def _renews(self) -> bool:
        """Whether every experience has a fresh adapter."""
        return self._sums or (self.mode == "per_task" and self.start == "fresh")

    @property
    def _full(self) -> bool:
        """Whether the experience at hand trains the whole network."""
        return self.first == "full" and not self.learnt

    # ---------------------------------------------------------------- the model

    def prepare(self, model: nn.Module) -> None:
        """Give the model its adapters, and freeze what does not train at first.

        Raises:
            ConfigError: `rank` or `alpha` cannot be.
            ModelError: A target or a head names nothing in this model.
        """
        check_patterns(model, self.heads, "LoRA: heads")
        self._free = frozenset(n for n, p in model.named_parameters() if p.requires_grad)
        inject(
            model,
            self.targets,
            self.rank,
            self.alpha,
            rs=self.rs,
            accumulate=self._sums,
            exclude=self.heads,
        )
        self._set_trainable(model)

    def own_names(self, model: nn.Module) -> list[str]:
        """Return the tensors of adapters, heads and trained norms; none but with ``per_task``."""
        if self.mode != "per_task":
            return []
        norms = norms_beside(model, self.heads) if self.norm == "train" else []
        own = tensors_of(model)
        return [n for n in own if is_adapter(n) or matches(n, [*self.heads, *norms])]

    def _set_trainable(self, model: nn.Module) -> None:
        """Let train what the experience at hand trains."""
        norms = norms_beside(model, self.heads) if self.norm == "train" else []
        set_trainable(
            model,
            free=self._free,
            parts=["*"] if self._full else [*self.heads, *norms],
            adapters=not self._full,
            fixed_rows=self.mode == "inflora",
        )

    # ---------------------------------------------------------------- hooks

    def before_training_exp(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Start the experience's adapter."""
        layers = self._layers(strategy.model)
        super().before_training_exp(strategy)
        if self._renews or not self.learnt:
            self._renew(strategy, layers)
        if self._memory is not None and not self._full:
            self._memory.begin(strategy, layers, self.learnt)
        self._set_trainable(strategy.model)
        if not self._told and not self._full:
            log_trainable(strategy.model)
            self._told = True

    def before_training_epoch(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Keep frozen normalisation layers from counting batches."""
        if self.norm == "frozen" and not self._full:
            for name in norms_beside(strategy.model, self.heads):
                strategy.model.get_submodule(name).eval()

    def before_backward(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Add the mode's penalty."""
        if self._memory is None or self._full:
            return
        penalty = self._memory.penalty(self._layers(strategy.model))
        if penalty is not None:
            strategy.loss = strategy.loss + penalty

    def after_training_exp(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Cut the adapter down, fold it, remember it: what the mode asks for."""
        full, layers = self._full, self._layers(strategy.model)
        if self.energy is not None and not full:
            self.ranks.append(cut_down(layers, self.energy))
            for name, layer in layers.items() if not self._renews else ():
                refill(layer, self._random(strategy, name, "refill"))
        if self._sums and not full:
            for layer in layers.values():
                layer.fold()
        if self._memory is not None and (self._memory.of_inputs or not full):
            self._memory.end(strategy, layers, self.learnt)
        if full or self._renews or self.energy is not None:
            for name, parameter in strategy.model.named_parameters():
                if not matches(name, self.heads):  # momentum of another adapter
                    strategy.optimizer.state.pop(parameter, None)
        super().after_training_exp(strategy)

    def _renew(self, strategy: Any, layers: dict[str, LoRALayer]) -> None:  # noqa: ANN401
        """Start fresh adapters, which no penalty may hold to where the earlier ones were."""
        for name, layer in layers.items():
            layer.renew(self._random(strategy, name))
        for plugin in strategy.plugins:
            if isinstance(plugin, WeightPenalty):
                plugin.forget(lora_parameters(strategy.model))

    def _random(self, strategy: Any, *place: str) -> torch.Generator:  # noqa: ANN401
        """Return the generator of a layer in this experience."""
        return generator(strategy.options.seed, "lora", self.learnt, *place)

    def _layers(self, model: nn.Module) -> dict[str, LoRALayer]:
        """Return the adapted layers.

        Raises:
            ModelError: There are none.
        """
        layers = lora_layers(model)
        if not layers:
            raise ModelError(
                f"LoRA: the {type(model).__name__} has no adapters. Call the plugin's "
                "prepare(model) before making the optimizer."
            )
        return layers

    # ---------------------------------------------------------------- state

    def state_dict(self) -> dict[str, Any]:
        """Return the views, the ranks and what the mode remembers."""
        memory = {} if self._memory is None else self._memory.state_dict()
        return {**super().state_dict(), "ranks": self.ranks, "memory": memory}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take a state over."""
        super().load_state_dict(state)
        self.ranks = state["ranks"]
        if self._memory is not None:
            self._memory.load_state_dict(state["memory"])
