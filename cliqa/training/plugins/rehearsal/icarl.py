"""iCaRL: exemplars by herding, distillation, and the nearest mean of exemplars."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.registry import PLUGINS
from cliqa.training.loop.batching import apply_model
from cliqa.training.loop.stream_data import classes_of
from cliqa.training.plugins.rehearsal.memory import SampleMemory
from cliqa.training.plugins.rehearsal.selection import (
    check_features,
    features_over,
    outputs_over,
)
from cliqa.training.plugins.teachers.lwf import LwF
from cliqa.training.strategy import Strategy
from cliqa.training.views.gate import pooled_features
from cliqa.utils.errors import ConfigError

BELOW_ALL = 1e4
"""How far an unknown class's logit lies below: its softmax is 0, within float16's range."""


@PLUGINS.register_module()
class ICaRL(SampleMemory):
    """Learn classes with exemplars, distillation, and a nearest-mean-of-exemplars classifier.

    Rebuffi et al., "iCaRL: incremental classifier and representation learning", CVPR 2017. The task
    loss is replaced by the sum over the known classes of the binary cross-entropy of each logit,
    with the label for a class of this experience and the earlier model's probability for an older
    one (algorithm 3). The memory has equally many exemplars of each class, chosen by herding
    (algorithm 4 and 5); a batch of them joins each new one. An evaluation after an experience
    gives an image the class whose mean exemplar is nearest, on features of length 1 (algorithm 1):
    a logit is minus the squared distance. Exported models do the same. Within an experience the
    network's own logits are evaluated.

    Args:
        mem_size: Exemplars, over all classes; at least one of each.
        batch_size_mem: Exemplars that join a batch; None for as many as of new samples.
        seed: Seed of the draw between equal samples; None for the run's.

    Raises:
        ConfigError: A size is not positive or smaller than the number of classes, or the stream has
            scores.
        ModelError: The model has no features.
    """

    follows_pruning = False
    reads_classes = True
    reads_outputs = True
    saved = (*SampleMemory.columns, "_means", "_outputs")
    distributed = "every process holds the same memory and class means; features are exchanged"
    saved_parts = ("_teacher",)
    only_in_training = (*SampleMemory.columns, "_teacher")

    def __init__(
        self, mem_size: int = 200, batch_size_mem: int | None = None, seed: int | None = None
    ) -> None:
        super().__init__(mem_size, "class_balanced", batch_size_mem, seed, "herding")
        self._teacher = LwF()
        self._means: dict[int, Tensor] = {}  # (D,) of each known class, when an experience is over
        self._outputs = 0  # K

    def prepare(self, model: nn.Module) -> None:
        """Refuse a model without features."""
        why = "Its classifier needs them: use ImageClassifier, or the plugin 'Replay'."
        check_features("ICaRL", model, why)

    # ---------------------------------------------------------------- hooks

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Add the exemplars to the new batches; the first experience has none.

        Raises:
            ConfigError: The stream has scores, or more classes than exemplars.
        """
        classes = classes_of(strategy.experience)
        if not classes:
            raise ConfigError(
                "ICaRL: it learns classes, and this stream has scores. Use 'Replay' with "
                "selection='herding', and 'LwF' beside it."
            )
        known = len({*self._class.tolist(), *classes})
        if self.mem_size < known:
            raise ConfigError(
                f"ICaRL: mem_size={self.mem_size} has no room for an exemplar of each of {known} "
                f"classes. Set mem_size={known} or more."
            )
        self.check_stream(strategy)
        self._means = {}
        if len(self):
            memory = self.memory(strategy.experience.origin_stream)
            strategy.mix_in(memory, self.batch_size_mem or strategy.train_mb_size)

    def before_backward(self, strategy: Strategy, **_: object) -> None:
        """Replace the task loss."""
        outputs, targets = strategy.mb_output, strategy.mb_y
        old = sorted(set(self._class.tolist()))
        teacher = self._teacher.teacher(strategy.model)
        truth = None
        if teacher is not None:
            with torch.no_grad():
                truth = strategy.output_of(strategy.mbatch, teacher)
        known = sorted({*old, *classes_of(strategy.experience)})
        own = icarl_loss(outputs, targets, known, truth, old)
        strategy.loss = strategy.loss + (own - strategy.task_loss(outputs, targets))

    def after_training_exp(self, strategy: Strategy, **kwargs: object) -> None:
        """Choose exemplars, compute the classes' means, and keep the model as a teacher."""
        self.remember(strategy)
        memory = strategy.measured(self.memory(strategy.experience.origin_stream))
        self._outputs = outputs_over(strategy, memory.subset([0])).shape[1]
        features = F.normalize(features_over(strategy, memory), dim=1)
        classes = self._class[self._experience.argsort(stable=True)]  # as the data sets are joined
        self._means = {
            int(each): F.normalize(features[classes == each].mean(0), dim=0)
            for each in classes.unique()
        }
        self._teacher.after_training_exp(strategy, **kwargs)

    def after_eval_forward(self, strategy: Strategy, **_: object) -> None:
        """Replace the logits by the nearness to the classes' means."""
        if self._means:
            network = NearestMean(strategy.model, self._means, self._outputs)
            outputs = strategy.whole(apply_model(network, strategy.mb_x))
            strategy.mb_output = outputs.to(strategy.mb_output)

    def deployed(self, model: nn.Module) -> nn.Module:
        """Return the network that predicts: the nearest mean of exemplars.

        Args:
            model: The model; it is not changed.
        """
        return NearestMean(model, self._means, self._outputs).eval() if self._means else model


class NearestMean(nn.Module):
    """Minus the squared distance of an image's features from each class's mean, (B, K).

    Args:
        model: Gives the features.
        means: (D,) of length 1 for each known class.
        outputs: K; unknown classes lie far below.
    """

    means: Tensor
    places: Tensor
    below: Tensor

    def __init__(self, model: nn.Module, means: dict[int, Tensor], outputs: int) -> None:
        super().__init__()
        self.model = model
        device = next(model.parameters()).device
        classes = torch.tensor(sorted(means))
        places = F.one_hot(classes, outputs).float()  # (k, K)
        self.register_buffer("means", torch.stack([means[int(k)] for k in classes]).to(device))
        self.register_buffer("places", places.to(device))
        self.register_buffer("below", (places.sum(0) - 1).to(device) * BELOW_ALL)  # (K,)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K) of images (B, C, H, W) or features (B, D)."""
        features = F.normalize(pooled_features(self.model, images).float(), dim=1)
        near = 2 * (features @ self.means.T) - 2  # (B, k): all are of length 1
        return near @ self.places + self.below


def icarl_loss(
    outputs: Tensor, targets: Tensor, known: list[int], truth: Tensor | None, old: list[int]
) -> Tensor:
    """Return iCaRL's loss, a scalar: binary cross-entropies summed over classes, averaged over B.

    Args:
        outputs: (B, K) logits.
        targets: (B,) classes.
        known: The classes seen so far, this experience's too.
        truth: (B, k) logits of the earlier model; None in the first experience.
        old: The classes that it knows.
    """
    goal = F.one_hot(targets, outputs.shape[1]).to(outputs.dtype)
    if truth is not None:
        goal[:, old] = truth[:, old].sigmoid().to(goal.dtype)
    columns = outputs[:, known]
    loss = F.binary_cross_entropy_with_logits(columns, goal[:, known], reduction="sum")
    return loss / len(outputs)
