"""Feature replay: a memory of activations at a layer of the network, without images."""

from __future__ import annotations

from typing import Any

import torch
from avalanche.models import MultiTaskModule
from torch import Tensor, nn

from cliqa.config.suggest import closest
from cliqa.models.arguments import check_least
from cliqa.models.freezing import set_training
from cliqa.registry import PLUGINS
from cliqa.training.loop.batching import as_tensor
from cliqa.training.plugins.rehearsal.memory import SampleMemory
from cliqa.training.strategy import Batch, Samples, Strategy
from cliqa.utils.errors import ModelError
from cliqa.utils.progress import track
from cliqa.utils.seed import generator

TOLERANCE = 1e-3
"""Relative difference, at most, of outputs from an image and from its activations."""


@PLUGINS.register_module()
class FeatureReplay(SampleMemory):
    """Replay activations at a layer in place of images; what lies below it is frozen.

    Pellegrini et al., "Latent replay for real-time continual learning", IROS 2020: after the first
    experience the parameters that the layer's output depends on are frozen, and the modules that
    run before it stay in evaluation mode, so that the stored activations stay true. To the loss
    of the new samples comes ``beta`` times the task loss of a memory batch, which runs through the
    upper layers alone. No image is needed again. Activations are those of one augmented view of a
    sample, in half precision; the results' ``kept`` bytes have them.

    Args:
        layer: Name of the module whose output is stored, such as ``"backbone.layer3"``. All that
            the output of the model depends on must pass through it.
        mem_size: Samples in the memory, over all experiences, > 0.
        beta: Factor of the memory's loss, >= 0; with 0 nothing is stored or frozen.
        policy: Who shares the memory; see `Replay`.
        batch_size_mem: Samples of a memory batch; None for as many as of new ones.
        seed: Seed of the draw; None for the run's.
        selection: Which samples are kept first; see `Replay`.

    Raises:
        ConfigError: A number is out of range, or a name is unknown or does not fit the labels.
        ModelError: There is no such layer, its output is no tensor, something passes it by, or the
            model has several heads.
    """

    follows_pruning = False
    reads_outputs = True
    columns = saved = (*SampleMemory.columns, "_features", "_target")
    distributed = "every process holds all features and computes from the same ones"

    def __init__(
        self,
        layer: str,
        mem_size: int = 200,
        beta: float = 1.0,
        policy: str = "experience_balanced",
        batch_size_mem: int | None = None,
        seed: int | None = None,
        selection: str = "random",
    ) -> None:
        super().__init__(mem_size, policy, batch_size_mem, seed, selection)
        check_least("FeatureReplay", 0, beta=beta)
        self.layer = layer
        self.beta = beta
        self._features = torch.zeros(0, dtype=torch.float16)  # (M, ...)
        self._target = torch.zeros(0)  # (M,) classes or scores
        self._below: tuple[list[str], list[str]] = [], []  # parameters and modules
        self._order = torch.zeros(0, dtype=torch.long)  # of the epoch's memory samples

    def prepare(self, model: nn.Module) -> None:
        """Refuse a model without the layer."""
        super().prepare(model)
        names = [name for name, _ in model.named_modules() if name]
        if self.layer not in names:
            raise ModelError(
                f"FeatureReplay: layer='{self.layer}' is no part of the {type(model).__name__}."
                f"{closest(self.layer, names) or f' It has {names[:8]} and so on.'}"
            )
        if isinstance(model, MultiTaskModule):
            raise ModelError(
                f"FeatureReplay: the {type(model).__name__} has a head for every task, and stored "
                "activations belong to none. Use a model with one head, or 'Replay'."
            )

    # ---------------------------------------------------------------- hooks

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Look what lies below the layer, and freeze it from the second experience on."""
        self.check_labels(strategy)
        if not self.beta > 0:
            return
        parameters, modules = self._trace(strategy)
        # what is frozen already has no gradient, and was found before
        self._below = sorted({*self._below[0], *parameters}), modules
        if len(self):
            for name, parameter in strategy.model.named_parameters():
                if name in self._below[0]:
                    parameter.requires_grad_(False)
                    parameter.grad = None

    def before_training_epoch(self, strategy: Strategy, **_: object) -> None:
        """Keep the modules below in evaluation mode, and draw the order of the memory."""
        if not len(self) or not self.beta > 0:
            return
        for name in self._below[1]:
            strategy.model.get_submodule(name).eval()
        size = self.batch_size_mem or strategy.train_mb_size
        rounds = -(-size * len(strategy.dataloader) // len(self))
        place = strategy.step_index, strategy.epochs_done
        random = generator(self.seed_of(strategy), "feature replay", *place)
        self._order = torch.cat(
            [torch.randperm(len(self), generator=random) for _ in range(rounds)]
        )

    def before_backward(self, strategy: Strategy, **_: object) -> None:
        """Add the memory's loss."""
        if not len(self) or not self.beta > 0:
            return
        size = self.batch_size_mem or strategy.train_mb_size
        start = strategy.clock.train_epoch_iterations * size
        chosen = self._order[start : start + size]
        targets = self._target[chosen].to(strategy.device)
        output = self.output_from(strategy, self._features[chosen], strategy.mbatch)
        strategy.loss = strategy.loss + self.beta * strategy.task_loss(output, targets)

    def after_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Store activations of some of the experience's samples."""
        if not self.beta > 0:
            return
        data = strategy.experience.dataset
        features = self._stored(strategy, data)
        targets = torch.as_tensor(list(data.targets))
        targets = targets.float() if targets.is_floating_point() else targets
        first = not len(self)
        self._features = features if first else torch.cat([self._features, features])
        self._target = targets if first else torch.cat([self._target, targets])
        self.remember(strategy)

    # ---------------------------------------------------------------- activations

    def output_from(self, strategy: Strategy, features: Tensor, batch: Batch) -> Tensor:
        """Return the model's output (M,) or (M, K) from activations at the layer.

        Args:
            strategy: The strategy.
            features: (M, ...).
            batch: Any samples: one of them runs through the lower layers, and its activation is
                replaced.
        """

        def replace(_: nn.Module, __: object, output: Any) -> Any:  # noqa: ANN401
            own = _only(output)
            new = features.to(own.device, own.dtype)
            return new if isinstance(output, Tensor) else type(output)([new])

        hook = strategy.model.get_submodule(self.layer).register_forward_hook(replace)
        try:
            return strategy.output_of([part[:1] for part in batch])
        finally:
            hook.remove()

    def activations(self, strategy: Strategy, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return a batch's activations (B, ...) at the layer, and the outputs.

        Raises:
            ModelError: The layer does not give a tensor for each sample.
        """
        found: list[Any] = []
        module = strategy.model.get_submodule(self.layer)
        hook = module.register_forward_hook(lambda _, __, output: found.append(_only(output)))
        try:
            output = as_tensor(strategy.output_of(batch))
        finally:
            hook.remove()
        given = found[0] if len(found) == 1 else None
        if not isinstance(given, Tensor) or len(given) != len(batch[0]):
            raise ModelError(
                f"FeatureReplay: layer='{self.layer}' gives "
                f"{type(found[0]).__name__ if found else 'nothing'} in {len(found)} calls for a "
                "batch, not one tensor with a row for each sample. Choose another layer."
            )
        return given, output

    @torch.no_grad()
    def _stored(self, strategy: Strategy, data: Samples) -> Tensor:
        """Return the activations (N, ...) of an augmented view of each sample, float16."""
        strategy.model.eval()
        loader = strategy.loader(data.train(), train=False, batch_size=strategy.train_mb_size)
        most = torch.finfo(torch.float16).max
        found = [
            strategy.whole(self.activations(strategy, batch)[0], batch)
            .float()
            .clamp(-most, most)
            .half()
            .cpu()
            for batch in track(loader, "store features")
        ]
        set_training(strategy.model, True)
        return torch.cat(found)

    def _trace(self, strategy: Strategy) -> tuple[list[str], list[str]]:
        """Return the parameters that the layer depends on, and the modules that run before it.

        Raises:
            ModelError: Something passes the layer by.
        """
        model, done = strategy.model, list[str]()
        modules = [(name, m) for name, m in model.named_modules() if not list(m.children())]
        reached: list[bool] = []

        def note(name: str) -> Any:  # noqa: ANN401
            return lambda *_: None if reached else done.append(name)

        hooks = [module.register_forward_hook(note(name)) for name, module in modules]
        layer = model.get_submodule(self.layer)
        hooks.append(layer.register_forward_hook(lambda *_: reached.append(True)))
        data = strategy.experience.dataset
        some = data.train().subset(range(min(2, len(data))))
        batch = list(next(iter(strategy.loader(some, train=False, batch_size=2))))  # this process's
        model.eval()
        try:
            activation, output = self.activations(strategy, batch)
        finally:
            for hook in hooks:
                hook.remove()
        trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
        gradients: tuple[Tensor | None, ...] = ()
        if activation.requires_grad:
            weights = list(trained.values())
            gradients = torch.autograd.grad(activation.sum(), weights, allow_unused=True)
        self._check_way(strategy, batch, activation.detach(), output.detach())
        set_training(model, True)
        below = [n for n, g in zip(trained, gradients, strict=False) if g is not None]
        return below, done

    @torch.no_grad()
    def _check_way(
        self, strategy: Strategy, batch: Batch, activation: Tensor, output: Tensor
    ) -> None:
        """Refuse a layer that is not the only way from the input to the output."""
        try:
            again = self.output_from(strategy, activation, batch)
            passes = again.shape == output.shape and torch.allclose(
                again, output, rtol=TOLERANCE, atol=TOLERANCE * float(output.abs().max() + 1e-6)
            )
        except RuntimeError:  # sizes of one sample and of the stored ones meet
            passes = False
        if not passes:
            raise ModelError(
                f"FeatureReplay: layer='{self.layer}' is not the only way from the image to the "
                "output, so that its activations do not tell the output. Choose a later layer, or "
                "a backbone with one output."
            )


def _only(output: Any) -> Any:  # noqa: ANN401
    """Return the only one of several outputs, as mmpretrain's backbones give it."""
    return output[0] if isinstance(output, tuple | list) and len(output) == 1 else output
