"""LoRA: low-rank adapters are trained, the network's own weights are frozen."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from cliqa.models.arguments import check_choice, check_integer, check_share
from cliqa.models.freezing import check_patterns, matches
from cliqa.models.lora.adapters import inject, is_adapter, lora_layers, lora_parameters
from cliqa.models.lora.layer import LoRALayer, check_scale, cut_down, refill
from cliqa.registry import PLUGINS
from cliqa.training.adapter_memory import AdapterMemory, InterferenceFree, Orthogonality
from cliqa.training.importance.quadratic import WeightPenalty
from cliqa.training.strategy import Strategy
from cliqa.training.views.gates import GateConfig
from cliqa.training.views.views import TaskViews, norm_modules, tensors_of
from cliqa.utils.errors import ConfigError, ModelError
from cliqa.utils.logging import get_logger
from cliqa.utils.seed import generator

logger = get_logger(__name__)

CHOICES = {
    "mode": ("shared", "per_task", "sum", "olora", "inflora"),
    "first": ("adapters", "full"),
    "start": ("fresh", "last"),
    "norm": ("frozen", "train"),
    "measure": ("covariance", "inputs"),
}
"""Allowed values of these arguments."""


@PLUGINS.register_module()
class LoRA(TaskViews):
    """Train adapters of a model's layers, and its heads; all other weights are frozen.

    Hu et al., "LoRA: Low-rank adaptation of large language models", ICLR 2022, with these modes
    over several experiences:

    * ``"shared"``: one adapter for all experiences; it forgets like any weights.
    * ``"per_task"``: an adapter and heads for each experience. Heads start from the last ones.
    * ``"sum"``: after an experience its adapter is added to a sum, and a new one starts. The sum
      is a buffer of the weight's size per layer: a checkpoint does not grow with the stream.
    * ``"olora"``: the same with a penalty on overlapping adapters; see `Orthogonality`.
    * ``"inflora"``: the same with a fixed A that does not change outputs for earlier inputs; see
      `InterferenceFree`.

    Two other parts can forget. Normalisation layers: by default they are frozen, with their
    statistics. The head: where one head serves all experiences, as for scores, it keeps training
    and forgets. With ``heads=[]`` and ``first="full"`` it gets an adapter like any other layer.

    Args:
        rank: r; see `inject`.
        alpha: The adapters are scaled by ``alpha / rank``.
        targets: Layers to adapt: names or ``"conv"``, ``"linear"``, ``"attention"``, ``"all"``.
        mode: See above.
        first: What the first experience trains: ``"adapters"``, which needs a pretrained network,
            or ``"full"``: the whole network without adapters.
        start: With ``"per_task"``, whether an adapter is ``"fresh"`` or starts from the ``"last"``.
        heads: Names of the parts that are trained without adapters; may be empty.
        norm: Normalisation layers are ``"frozen"`` after a full first experience, or ``"train"``;
            with ``"per_task"`` each experience then has its own.
        rs: Scale by ``alpha / sqrt(rank)``.
        energy: After an experience, reduce each adapter to the smallest rank with this share of its
            squared singular values, above 0, up to 1. None: do not.
        orthogonality: Factor of the penalty of ``"olora"``, >= 0.
        threshold: Share of the inputs that ``"inflora"`` protects at first, 0..1.
        measure: What that is a share of: the squared singular values of the inputs'
            ``"covariance"``, as in the authors' code, so that published thresholds carry over; or
            the energy of the ``"inputs"``, of which the same share takes more directions.
        samples: Samples of an experience that ``"inflora"`` uses, > 0.
        inference: As `TaskViews`; other than ``"last"`` with ``"per_task"`` alone.
        gate: As `TaskViews`.
        centroids: As `TaskViews`.
        temperature: As `TaskViews`.

    Attributes:
        ranks: The ranks of each layer's groups after each experience, if `energy` is given.

    Raises:
        ConfigError: A value is out of range, or a choice is unknown.
    """

    saved = (*TaskViews.saved, "ranks")
    saved_parts = (*TaskViews.saved_parts, "_memory")
    only_in_training = ("_memory",)
    distributed = (
        "adapters are drawn from the same seeds; sums of inputs and the gate's are added up"
    )

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
        measure: str = "covariance",
        samples: int = 256,
        inference: str = "last",
        gate: GateConfig = None,
        centroids: int | None = None,
        temperature: float | None = None,
    ) -> None:
        super().__init__(inference, gate, centroids, temperature)
        check_scale(rank, alpha)
        chosen = {"mode": mode, "first": first, "start": start, "norm": norm, "measure": measure}
        for name, value in chosen.items():
            check_choice("LoRA", CHOICES[name], **{name: value})
        if isinstance(heads, str):
            raise ConfigError(f"LoRA: heads must be a list of names, e.g. ['head'], got {heads!r}.")
        if energy is not None and not 0 < energy <= 1:
            raise ConfigError(
                f"LoRA: energy must be above 0 and at most 1, or None, got {energy!r}."
            )
        if not 0 <= orthogonality < float("inf"):
            raise ConfigError(f"LoRA: orthogonality must be >= 0, got {orthogonality!r}.")
        check_share("LoRA", threshold=threshold)
        check_integer("LoRA", 1, samples=samples)
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
            self._memory = InterferenceFree(threshold, samples, measure)
        self._free: frozenset[str] = frozenset()  # parameters that are trainable without LoRA
        self._logged = False

    @property
    def _sums(self) -> bool:
        """Whether adapters are added to a sum."""
        return self.mode in ("sum", "olora", "inflora")

    @property
    def _renews(self) -> bool:
        """Whether every experience has a new adapter."""
        return self._sums or (self.mode == "per_task" and self.start == "fresh")

    @property
    def _full(self) -> bool:
        """Whether the current experience trains the whole network."""
        return self.first == "full" and not self.learnt

    # ---------------------------------------------------------------- the model

    def prepare(self, model: nn.Module) -> None:
        """Add adapters to the model, and freeze the other parameters.

        Raises:
            ConfigError: `rank` or `alpha` is out of range.
            ModelError: A target or a head matches nothing in this model.
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

    def is_prepared(self, model: nn.Module) -> bool:
        """Return whether the model has adapters."""
        return bool(lora_layers(model))

    def own_names(self, model: nn.Module) -> list[str]:
        """Return the tensors of adapters, heads and trained norms; empty unless ``per_task``."""
        if self.mode != "per_task":
            return []
        parts = self._plain_parts(model)
        return [n for n in tensors_of(model) if is_adapter(n) or matches(n, parts)]

    def _norms(self, model: nn.Module) -> list[str]:
        """Return the names of the normalisation layers outside the heads."""
        return [name for name in norm_modules(model) if not matches(name, self.heads)]

    def _plain_parts(self, model: nn.Module) -> list[str]:
        """Return the parts that are trained without adapters: heads, and norms if they train."""
        return [*self.heads, *(self._norms(model) if self.norm == "train" else ())]

    def _set_trainable(self, model: nn.Module) -> None:
        """Set which parameters are trained in the current experience."""
        parts = ["*"] if self._full else self._plain_parts(model)
        for name, parameter in model.named_parameters():
            if is_adapter(name):
                fixed = self.mode == "inflora" and name.endswith("lora_A")
                parameter.requires_grad_(not self._full and not fixed)
            else:
                parameter.requires_grad_(name in self._free and matches(name, parts))

    def uses_length(self) -> str:
        """Return how ``"inflora"`` follows the stream's length."""
        return (
            "the share that it protects follows the stream's length"
            if self.mode == "inflora"
            else ""
        )

    # ---------------------------------------------------------------- hooks

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Start the experience's adapter."""
        layers = self._layers(strategy.model)
        super().before_training_exp(strategy)
        if self._renews or not self.learnt:
            self._renew(strategy, layers)
        if self._memory is not None and not self._full:
            self._memory.begin(strategy, layers, self.learnt)
        self._set_trainable(strategy.model)
        if not self._logged and not self._full:
            sizes = [(p.numel(), p.requires_grad) for p in strategy.model.parameters()]
            total, trained = sum(n for n, _ in sizes), sum(n for n, trains in sizes if trains)
            share = f"{trained:,} of {total:,} parameters train ({trained / total:.1%})"
            logger.info("LoRA: %s.", share)
            self._logged = True

    def before_training_epoch(self, strategy: Strategy, **_: object) -> None:
        """Keep frozen normalisation layers in evaluation mode."""
        if self.norm == "frozen" and not self._full:
            for name in self._norms(strategy.model):
                strategy.model.get_submodule(name).eval()

    def before_backward(self, strategy: Strategy, **_: object) -> None:
        """Add the mode's penalty."""
        if self._memory is None or self._full:
            return
        penalty = self._memory.penalty(self._layers(strategy.model))
        if penalty is not None:
            strategy.loss = strategy.loss + penalty

    def after_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Reduce, sum up and store the adapter, as the mode requires."""
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
                if not matches(name, self.heads):  # momentum belongs to the old adapter
                    strategy.optimizer.state.pop(parameter, None)
        super().after_training_exp(strategy)

    def _renew(self, strategy: Strategy, layers: dict[str, LoRALayer]) -> None:
        """Start new adapters, and let weight penalties forget the earlier ones."""
        for name, layer in layers.items():
            layer.renew(self._random(strategy, name))
        for plugin in strategy.plugins:
            if isinstance(plugin, WeightPenalty):
                plugin.forget(lora_parameters(strategy.model))

    def _random(self, strategy: Strategy, *place: str) -> torch.Generator:
        """Return a seeded generator for a layer in this experience."""
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
