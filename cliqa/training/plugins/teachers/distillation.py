"""Distillation from a trained model, for example into its pruned version."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.losses.distillation import distillation_loss, output_distance
from cliqa.models.arguments import check_choice, check_least, check_positive
from cliqa.models.heads.distribution import scores_of
from cliqa.registry import PLUGINS
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.strategy import Strategy
from cliqa.utils.errors import ConfigError

KINDS = ("mse", "pairwise")


@PLUGINS.register_module()
class Distillation(ContinualPlugin):
    """Add ``strength`` times the distance from a teacher's outputs for the same batch.

    Over classes the distance is ``T^2 KL(softmax(teacher / T) || softmax(logits / T))`` (Hinton et
    al., "Distilling the knowledge in a neural network", 2015, section 2; `distillation_loss`): the
    factor keeps the gradient at the task loss's scale for any T. Over scores it is the squared
    difference (`output_distance`), or that of all pairs' differences (`pairwise_distance`), which
    ignores an offset between teacher and student.

    Args:
        teacher: A run's checkpoint or work_dir, or a model, with the same kind of outputs. None if
            `set_teacher` is called. A file is read when training begins: a trained model can be
            evaluated without its teacher.
        strength: Factor of the distance, >= 0.
        temperature: Softens the class probabilities, > 0; no effect on scores.
        kind: ``"mse"`` or ``"pairwise"``; no effect on classes.

    Attributes:
        opener: Loads the model of a file.

    Raises:
        ConfigError: A number is out of range, or `kind` is unknown.
    """

    opener: Callable[[Path], nn.Module] | None = None
    follows_pruning = True
    reads_outputs = True
    distributed = (
        "every process holds the same teacher, whose outputs are exchanged as the model's are"
    )
    saved = ()  # the teacher does not change and is loaded again

    def __init__(
        self,
        teacher: str | Path | nn.Module | None = None,
        strength: float = 1.0,
        temperature: float = 2.0,
        kind: str = "mse",
    ) -> None:
        super().__init__()
        check_least("Distillation", 0, strength=strength)
        check_positive("Distillation", temperature=temperature)
        check_choice("Distillation", KINDS, kind=kind)
        self.strength = strength
        self.temperature = temperature
        self.kind = kind
        self.path = None if isinstance(teacher, nn.Module) or not teacher else Path(teacher)
        self._teacher: list[nn.Module] = []  # in a list: not a submodule of the plugin's owner
        if isinstance(teacher, nn.Module):
            self.set_teacher(teacher)

    def set_teacher(self, teacher: nn.Module) -> None:
        """Set the teacher; it is frozen and put into evaluation mode."""
        self._teacher = [teacher.eval().requires_grad_(False)]

    def open(self) -> None:
        """Load the teacher, if it is not loaded yet.

        Raises:
            ConfigError: There is none.
            CheckpointError: The file holds no model.
        """
        if self._teacher or not self.strength:
            return
        if self.path is not None and self.opener is not None:
            self.set_teacher(self.opener(self.path))
        elif self.path is not None:
            raise ConfigError(
                f"Distillation: teacher='{self.path}' is opened where a config is trained. In a "
                f"script give the model: teacher=cliqa.load('{self.path}').network."
            )
        else:
            raise ConfigError(
                "Distillation: there is no teacher. Set a run's checkpoint in the config: "
                "teacher='work_dirs/demo'; in Python give teacher=model, or call set_teacher."
            )

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Move the teacher to the student's device."""
        self.open()
        for teacher in self._teacher:
            teacher.to(strategy.device)

    def before_backward(self, strategy: Strategy, **_: object) -> None:
        """Add the distance to the loss."""
        if self.strength > 0:
            with torch.no_grad():
                truth = strategy.output_of(strategy.mbatch, self._teacher[0])
            outputs = scores_of(strategy.model, strategy.mb_output)
            distance = self.distance(outputs, truth)
            strategy.loss = strategy.loss + self.strength * distance

    def distance(self, outputs: Tensor, truth: Tensor) -> Tensor:
        """Return how far outputs are from the teacher's, a scalar.

        Args:
            outputs: The student's, (B,) scores or (B, K) logits.
            truth: The teacher's, of the same shape.

        Raises:
            ConfigError: The shapes differ.
        """
        if outputs.shape != truth.shape:
            raise ConfigError(
                f"Distillation: the teacher's outputs have shape {tuple(truth.shape)}, the "
                f"student's {tuple(outputs.shape)}. Choose a teacher of the same classes."
            )
        if outputs.dim() > 1:
            return self.temperature**2 * distillation_loss(outputs, truth, self.temperature)
        if self.kind == "mse":
            return output_distance(outputs, truth)
        return pairwise_distance(outputs, truth)


def pairwise_distance(outputs: Tensor, truth: Tensor) -> Tensor:
    """Return the mean squared difference of the differences of all pairs, a scalar.

    It is twice the variance of ``outputs - truth``: zero where they differ by a constant.

    Args:
        outputs: (B,), the gradient goes here.
        truth: (B,).

    >>> float(pairwise_distance(torch.tensor([1.0, 3.0]), torch.tensor([5.0, 7.0])))
    0.0
    """
    gap = outputs[:, None] - outputs[None, :]  # (B, B)
    own = truth[:, None] - truth[None, :]
    return F.mse_loss(gap, own)
