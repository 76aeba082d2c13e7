"""Classifier alignment: the head trains again on features drawn from each class's Gaussian."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.models.arguments import check_integer, check_positive
from cliqa.registry import PLUGINS
from cliqa.training.loop.batching import RaggedImages, model_output
from cliqa.training.loop.tasks import one_head
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.strategy import Strategy
from cliqa.utils.errors import ConfigError, ModelError
from cliqa.utils.seed import generator

RIDGE = 1e-4
"""Added to the diagonal of a covariance, as a class may have fewer samples than features."""


@PLUGINS.register_module()
class ClassifierAlignment(ContinualPlugin):
    """After each experience, train the head on features drawn from a Gaussian of every class.

    Zhang et al., "SLCA: slow learner with classifier alignment for continual learning on a
    pre-trained model", ICCV 2023. Their slow learner is a small learning rate of the backbone:
    ``optimizer=dict(..., paramwise=[dict(match='backbone', lr_mult=0.01)])``. It makes earlier
    classes' features stay nearly where they were, so that their means and covariances, all that is
    stored, can stand in for their samples (section 3.3). Over classes alone.

    A class's features are measured in evaluation mode and with evaluation transforms, when the
    experience that brings its samples ends; where a later one brings more, the newer ones count.

    Args:
        epochs: Passes over the drawn features; 0 leaves the head as it is.
        samples: Features of each class in a pass, > 0.
        lr: Learning rate of SGD with momentum 0.9, which falls to 0 as a cosine, > 0.
        logit_norm: Divide the logits by their norm and by this temperature, against too sure
            predictions (eq. 5); None: do not.
        head: Name of the model's part whose input are the features and whose output the logits.

    Raises:
        ConfigError: A value is out of range, or the samples have scores.
        ModelError: The model has no such part, or its input is no feature vector.
    """

    saved = ("_means", "_covariances")
    distributed = "features are exchanged, and every process aligns the same head"
    reads_classes = True
    reads_outputs = True

    def __init__(
        self,
        epochs: int = 5,
        samples: int = 256,
        lr: float = 0.01,
        logit_norm: float | None = 0.1,
        head: str = "head",
    ) -> None:
        super().__init__()
        check_integer("ClassifierAlignment", 0, epochs=epochs)
        check_integer("ClassifierAlignment", 1, samples=samples)
        check_positive("ClassifierAlignment", lr=lr)
        if logit_norm is not None:
            check_positive("ClassifierAlignment", logit_norm=logit_norm)
        self.epochs, self.samples, self.lr = epochs, samples, lr
        self.logit_norm = logit_norm
        self.head = head
        self._means: dict[int, Tensor] = {}  # (D,) by class
        self._covariances: dict[int, Tensor] = {}  # (D, D)

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Look for the head."""
        self._head(strategy.model)

    def after_forward(self, strategy: Strategy, **_: object) -> None:
        """Refuse scores with the first batch."""
        if strategy.mb_output.dim() < 2:
            raise ConfigError(
                "ClassifierAlignment: draws features of classes, and this model gives one score a "
                "sample. Drop it."
            )

    def after_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Measure the experience's classes, and train the head on features of all."""
        vectors, targets = self._measure(strategy)
        for label in targets.unique().tolist():
            own = vectors[targets == label].double()
            centred = own - own.mean(0)
            spread = centred.T @ centred / max(1, len(own) - 1)
            self._means[label] = own.mean(0)
            self._covariances[label] = spread + RIDGE * torch.eye(len(spread)).to(spread)
        if self.epochs and len(self._means) > 1:
            self._align(strategy)

    def _head(self, model: nn.Module) -> nn.Module:
        """Return the head.

        Raises:
            ModelError: There is none of that name.
        """
        try:
            return model.get_submodule(self.head)
        except AttributeError:
            parts = ", ".join(f"'{name}'" for name, _ in model.named_children())
            raise ModelError(
                f"ClassifierAlignment: the {type(model).__name__} has no part '{self.head}'. Set "
                f"head to the part that gives the logits, one of {parts}."
            ) from None

    @torch.no_grad()
    def _measure(self, strategy: Strategy) -> tuple[Tensor, Tensor]:
        """Return the features (N, D) and classes (N,) of the experience's samples."""
        seen: list[Tensor] = []

        def note(_: nn.Module, given: tuple[Any, ...]) -> None:
            seen.append(_vector_of(given[0]).float())

        def of_inputs(inputs: Tensor | RaggedImages) -> Tensor:
            if isinstance(inputs, RaggedImages) or inputs.dim() == 5:
                raise ModelError(
                    "ClassifierAlignment: needs evaluation images of one size, not crops. "
                    "Resize or crop once in scenario.eval_transform."
                )
            model_output(strategy.model, inputs)
            return seen.pop()

        with _evaluating(strategy.model), one_head(strategy):
            hook = self._head(strategy.model).register_forward_pre_hook(note)
            try:
                vectors = strategy.rows_of(of_inputs)
            finally:
                hook.remove()
        targets = torch.as_tensor([int(label) for label in strategy.adapted_dataset.targets])
        return vectors.to(strategy.device), targets.to(strategy.device)

    def _align(self, strategy: Strategy) -> None:
        """Train the head on features drawn from the Gaussians."""
        head = self._head(strategy.model)
        weights = [weight for weight in head.parameters() if weight.requires_grad]
        if not weights:
            return
        random = generator(strategy.options.seed, "alignment", strategy.step_index)
        classes = sorted(self._means)
        optimizer = torch.optim.SGD(weights, lr=self.lr, momentum=0.9, weight_decay=5e-4)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.epochs)
        kept = [weight.grad for weight in weights]
        factors = {k: torch.linalg.cholesky(self._covariances[k].cpu()) for k in classes}
        for _ in range(self.epochs):
            vectors, labels = self._draw(classes, factors, random)
            for part in torch.randperm(len(labels), generator=random).split(self.samples):
                inputs = vectors[part].to(weights[0])
                optimizer.zero_grad()
                logits = _logits(head, inputs)[:, classes]
                if self.logit_norm is not None:
                    logits = F.normalize(logits, dim=1) / self.logit_norm
                loss = F.cross_entropy(logits, labels[part].to(logits.device))
                loss.backward()
                optimizer.step()
            schedule.step()
        for weight, grad in zip(weights, kept, strict=True):
            weight.grad = grad

    def _draw(
        self, classes: list[int], factors: dict[int, Tensor], random: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return features (N, D) of all classes, and the places (N,) of these among the classes."""
        drawn = []
        for label in classes:
            mean = self._means[label].cpu()
            noise = torch.randn(self.samples, len(mean), generator=random, dtype=mean.dtype)
            drawn.append(mean + noise @ factors[label].T)
        places = torch.arange(len(classes)).repeat_interleave(self.samples)
        return torch.cat(drawn), places


def _vector_of(given: Any) -> Tensor:  # noqa: ANN401
    """Return a head's feature vectors (B, D); of a tuple, as mmpretrain has it, the last.

    Raises:
        ModelError: They are no vectors.
    """
    last = given[-1] if isinstance(given, (tuple, list)) else given
    if not isinstance(last, Tensor) or last.dim() != 2:
        raise ModelError(
            "ClassifierAlignment: the head's input is no feature vector (B, D). Set head to the "
            "part that does take one, behind the pooling."
        )
    return last


def _logits(head: nn.Module, vectors: Tensor) -> Tensor:
    """Return a head's logits (B, K) for vectors (B, D); heads of mmpretrain's take a tuple."""
    takes_tuple = hasattr(head, "pre_logits")
    found: Tensor = head((vectors,) if takes_tuple else vectors)
    return found


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode inside the block."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
