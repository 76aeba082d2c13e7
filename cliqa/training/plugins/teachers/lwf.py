"""Learning without forgetting: distillation from the model before the current experience."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cliqa.losses.distillation import distillation_loss, output_distance
from cliqa.losses.pairwise import FidelityLoss
from cliqa.models.arguments import check_choice, check_least, check_positive
from cliqa.models.heads.distribution import scores_of
from cliqa.models.pruned import pruning_of, widen
from cliqa.registry import PLUGINS
from cliqa.training.loop.stream_data import classes_of
from cliqa.training.loop.tasks import classes_by_task, outputs_by_task
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.plugins.teachers.earlier_model import frozen_copy
from cliqa.training.strategy import Strategy
from cliqa.utils.errors import ConfigError

DISTILL = (None, "mse", "fidelity")

SPREAD = 0.1
"""Standard deviation of a score, the student's and the teacher's, in the fidelity."""


@PLUGINS.register_module()
class LwF(ContinualPlugin):
    """Add ``alpha`` times the distance from a frozen copy of the model before this experience.

    Li & Hoiem, "Learning without forgetting", ECCV 2016. Teacher and student see the same batch:
    the augmented new samples, and a memory's if there is one. Over classes the distance
    is ``KL(softmax(teacher / T) || softmax(student / T))`` over the classes seen before
    (`distillation_loss`): eq. 2 to 4, and the term of Avalanche's ``LwF``, so that `alpha` means
    the same. Its gradient falls with 1 / T^2; alpha=4 with T = 2 has the weight of Hinton's
    distillation. Over scores it is the mean squared difference (`output_distance`), or the fidelity
    between the two models' probabilities that one image is better than another (Zhang et al.,
    "Continual learning for blind image quality assessment", TPAMI 2023). The first experience has
    no teacher.

    Args:
        alpha: Factor of the distance, >= 0.
        temperature: Softens the class probabilities, > 0; no effect on scores.
        distill: ``"mse"`` or ``"fidelity"``; None for the divergence over classes, ``"mse"`` over
            scores. ``"mse"`` over classes compares the logits.

    Raises:
        ConfigError: A number is out of range, `distill` is unknown, or ``"fidelity"``, which
            compares scores, is used with classes.
    """

    follows_pruning = True
    reads_outputs = True
    distributed = (
        "every process holds the same teacher, whose outputs are exchanged as the model's are"
    )

    def __init__(
        self, alpha: float = 1.0, temperature: float = 2.0, distill: str | None = None
    ) -> None:
        super().__init__()
        check_least("LwF", 0, alpha=alpha)
        check_positive("LwF", temperature=temperature)
        check_choice("LwF", DISTILL, distill=distill)
        self.alpha = alpha
        self.temperature = temperature
        self.distill = distill
        self.reads_classes = distill is None
        self._teacher: nn.Module | None = None
        self._weights: dict[str, Tensor] | None = None  # of a teacher that is not built yet
        self._classes: list[int] = []  # the classes that the teacher knows
        self._tasks: dict[int, list[int]] = {}  # the same by task, for a head of each
        self._pruned = 0  # pruning steps of the model that the teacher has

    def before_backward(self, strategy: Strategy, **_: object) -> None:
        """Add the distance to the loss."""
        outputs = scores_of(strategy.model, strategy.mb_output)
        if self.distill == "fidelity" and outputs.dim() > 1:
            raise ConfigError(
                "LwF: distill='fidelity' compares quality scores, and this model has "
                f"{outputs.shape[1]} outputs per sample. Use None or 'mse'."
            )
        teacher = self.teacher(strategy.model)
        if teacher is None:
            return
        heads = outputs_by_task(strategy.model, teacher, strategy.mbatch)
        if heads is None:
            with torch.no_grad():
                truth = strategy.output_of(strategy.mbatch, teacher)
            distance = self.distance(outputs, truth)
        else:
            known = [self.distance(*heads[t], self._tasks[t]) for t in heads if t in self._tasks]
            distance = torch.stack(known).sum()
        strategy.loss = strategy.loss + self.alpha * distance

    def after_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Use a copy of the current model as the teacher from now on."""
        if self.alpha > 0:
            self._teacher, self._weights = frozen_copy(strategy.model), None
            seen = getattr(strategy.experience, "classes_seen_so_far", None)
            if seen is None:  # some of Avalanche's experiences do not say
                seen = sorted({*self._classes, *classes_of(strategy.experience)})
            self._classes = list(seen)
            for task, own in classes_by_task(strategy.model, strategy.experience).items():
                self._tasks[task] = sorted({*self._tasks.get(task, ()), *own})
            self._pruned = len(pruning_of(strategy.model))

    def teacher(self, model: nn.Module) -> nn.Module | None:
        """Return the teacher; after a restore it is built from the architecture of `model`.

        Args:
            model: The student.

        Returns:
            The frozen model, None in the first experience.
        """
        if self._weights is not None:
            self._teacher = frozen_copy(model)
            # a head may have grown, and channels may have been pruned
            widen(self._teacher, self._weights, self._pruned)
            self._weights = None
        return self._teacher

    def distance(
        self, outputs: Tensor, truth: Tensor, classes: Sequence[int] | None = None
    ) -> Tensor:
        """Return how far outputs are from the teacher's, a scalar.

        Args:
            outputs: The student's, (B,) scores or (B, K) logits.
            truth: The teacher's, (B,) or (B, k) with k <= K.
            classes: The classes that the teacher knows; None for those of a single head.
        """
        if outputs.dim() == 1:
            if self.distill == "fidelity":
                return FidelityLoss(SPREAD, SPREAD)(outputs, truth)
            return output_distance(outputs, truth)
        learnt = classes or self._classes or list(range(truth.shape[1]))
        outputs, truth = outputs[:, learnt], truth[:, learnt]
        if self.distill == "mse":
            return output_distance(outputs, truth)
        return distillation_loss(outputs, truth, self.temperature)

    def state_dict(self) -> dict[str, Any]:
        """Return the teacher's weights and statistics, and its classes."""
        weights = self._weights if self._teacher is None else self._teacher.state_dict()
        tasks = {"tasks": self._tasks} if self._tasks else {}
        return {"teacher": weights, "classes": self._classes, "pruned": self._pruned, **tasks}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a teacher; it is built when the student is available."""
        self._teacher, self._weights = None, state["teacher"]
        self._classes = list(state["classes"])
        self._tasks = dict(state.get("tasks", {}))
        self._pruned = state.get("pruned", 0)
