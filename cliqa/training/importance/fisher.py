"""The diagonal of the Fisher information of a model's weights.

Legend: B samples of a batch, K classes.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.models.arguments import check_choice, check_positive
from cliqa.training.importance.per_sample import Objective, PerSampleGradients, Weights
from cliqa.training.loop.batching import RaggedImages
from cliqa.training.loop.tasks import one_head
from cliqa.training.strategy import Strategy
from cliqa.utils.processes.group import rank, size
from cliqa.utils.seed import generator

KINDS = ("empirical", "sampled", "exact")


def fisher_diagonal(
    model: nn.Module,
    batches: Iterable[tuple[Tensor | RaggedImages, Tensor]],
    *,
    kind: str | None = None,
    sigma: float = 0.1,
    random: torch.Generator | None = None,
    method: str | None = None,
) -> Weights:
    """Return the mean over samples of the squared gradient of one sample's log-likelihood.

    The likelihood of classes is the softmax of the outputs (B, K); that of scores a normal
    distribution of fixed standard deviation around the outputs (B,). See Kunstner et al.,
    "Limitations of the empirical Fisher approximation", NeurIPS 2019, for the kinds.

    Args:
        model: (B, ...) -> (B,) or (B, K).
        batches: Inputs (B, ...) and targets (B,); the batch size makes no difference.
        kind: ``"empirical"``: gradients at the samples' own labels; ``"sampled"``: at labels drawn
            from the model's output; ``"exact"``: the expectation over the model's output, for which
            classes take K passes and scores one, and scores no label. None for ``"exact"`` over
            scores and ``"empirical"`` over classes.
        sigma: Standard deviation of scores, > 0.
        random: Draws the labels; None for torch's own generator.
        method: As `PerSampleGradients`.

    Returns:
        By parameter name, for the trainable parameters.

    Raises:
        ConfigError: `kind` is unknown, or `sigma` is not positive.
    """
    check_choice("fisher_diagonal", (None, *KINDS), kind=kind)
    check_positive("fisher_diagonal", sigma=sigma)
    gradients = PerSampleGradients(model, method=method)
    shape: torch.Size | None = None  # of one output
    count = 0
    for inputs, targets in batches:
        chance = torch.rand(len(targets), generator=random, dtype=torch.float64)
        if shape is None:
            shape = gradients.outputs(inputs[0][None]).shape[1:]
        chosen = kind or ("empirical" if shape else "exact")
        if chosen == "sampled":
            outputs = gradients.outputs(inputs)
            targets = drawn_labels(outputs, chance.to(outputs.device), sigma)
        for objective, labels in _passes(shape, targets, chosen, sigma):
            gradients.add(objective, inputs, labels)
        count += len(targets)
    return gradients.means(count)


def experience_fisher(
    strategy: Strategy, kind: str | None = None, sigma: float = 0.1, n_samples: int = 2048
) -> Weights:
    """Return F on the training samples of the current experience alone.

    Args:
        strategy: In its hook ``after_training_exp``.
        kind: As `fisher_diagonal`.
        sigma: As `fisher_diagonal`.
        n_samples: Samples to estimate F on; 0 for all.
    """
    own = (rank(),) if size() > 1 else ()  # a process draws labels for its share alone
    with one_head(strategy):
        return fisher_diagonal(
            strategy.model,
            strategy.training_samples(n_samples),
            kind=kind,
            sigma=sigma,
            random=generator(strategy.options.seed, "fisher", strategy.step_index, *own),
        )


def _passes(
    shape: torch.Size, targets: Tensor, kind: str, sigma: float
) -> list[tuple[Objective, Tensor]]:
    """Return the objective and the labels (B,) of each pass over a batch.

    Args:
        shape: Of one output: () for scores, (K,) for classes.
        targets: Labels (B,).
        kind: As `fisher_diagonal`.
        sigma: Standard deviation of scores.
    """
    if kind == "exact" and shape:
        labels = (torch.full(targets.shape[:1], k, device=targets.device) for k in range(shape[0]))
        return [(_expected_loss, label) for label in labels]
    if kind == "exact":
        return [(lambda output, _: output / sigma, targets)]
    if shape:
        return [(_class_loss, targets)]
    return [(lambda output, target: (target - output).square() / (2 * sigma**2), targets)]


def _class_loss(logits: Tensor, label: Tensor) -> Tensor:
    """Return -log p of a class: logits (K,), label ()."""
    return F.cross_entropy(logits[None], label[None])


def _expected_loss(logits: Tensor, label: Tensor) -> Tensor:
    """Return -log p of a class times sqrt(p), held fixed: its squared gradient is weighted by p."""
    loss = _class_loss(logits, label)
    return loss * (-loss.detach() / 2).exp()


def drawn_labels(outputs: Tensor, chance: Tensor, sigma: float) -> Tensor:
    """Return a label for each output, drawn from the model's own distribution.

    Args:
        outputs: Scores (B,) or logits (B, K).
        chance: Uniform numbers (B,) in 0..1, float64.
        sigma: Standard deviation of scores.

    Returns:
        Scores (B,) of the outputs' dtype, or classes (B,) int64.

    >>> logits = torch.tensor([0.25, 0.75]).log().expand(3, 2)
    >>> drawn_labels(logits, torch.tensor([0.1, 0.24, 0.26]), sigma=1.0).tolist()
    [0, 0, 1]
    """
    if outputs.dim() == 1:
        normal = torch.special.ndtri(chance.clamp(1e-12, 1 - 1e-12))
        return outputs + sigma * normal.to(outputs.dtype)
    steps = outputs.double().softmax(1).cumsum(1)[:, :-1]  # (B, K - 1)
    return (chance[:, None] > steps).sum(1)
