"""Which samples a memory keeps first: an order of an experience's samples.

An order is good in every prefix, since a memory's share of an experience shrinks as others come.

Legend: N samples, D features, K outputs a sample, L looks at a sample.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.models.freezing import set_training
from cliqa.training.loop.batching import apply_model
from cliqa.training.strategy import Samples, Strategy
from cliqa.training.views.gate import pooled_features
from cliqa.utils.errors import ModelError
from cliqa.utils.progress import track

SELECTIONS = (
    *("random", "herding", "coverage", "loss", "uncertainty", "rainbow"),
    "score_balanced",
)
OF_FEATURES = ("herding", "coverage")
LOOKS = 8
"""Random views of a sample over which its uncertainty is measured."""


def herding_order(features: Tensor, count: int) -> Tensor:
    """Return an order whose every prefix has a mean near that of all samples.

    Rebuffi et al., "iCaRL", CVPR 2017, algorithm 4, on features of length 1.

    Args:
        features: (N, D).
        count: How many places are filled so; the other samples follow as they come.

    Returns:
        (N,), int64.

    >>> herding_order(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]), 1).tolist()
    [2, 0, 1]
    """
    unit = F.normalize(features.double(), dim=1)
    mean, total = unit.mean(0), torch.zeros_like(unit[0])
    free = torch.ones(len(unit), dtype=torch.bool)
    picked: list[int] = []
    for place in range(min(count, len(unit))):
        gap = ((total + unit) / (place + 1) - mean).square().sum(1)
        picked.append(int(gap.masked_fill(~free, torch.inf).argmin()))
        free[picked[-1]] = False
        total = total + unit[picked[-1]]
    return torch.cat([torch.tensor(picked, dtype=torch.long), free.nonzero().flatten()])


def coverage_order(features: Tensor, count: int, known: Tensor | None = None) -> Tensor:
    """Return an order in which each sample is the farthest from all before it.

    The greedy solution of the k-centre problem (Gonzalez, 1985; Sener & Savarese, "Active learning
    for convolutional neural networks: a core-set approach", ICLR 2018, algorithm 1). Where nothing
    is known the first one is the nearest to the mean.

    Args:
        features: (N, D).
        count: How many places are filled so; the other samples follow as they come.
        known: (M, D), samples that come before all; None for none.

    Returns:
        (N,), int64.

    >>> coverage_order(torch.tensor([[0.0], [1.0], [2.0], [5.0]]), 3).tolist()
    [2, 3, 0, 1]
    """
    points = features.double()
    alone = known is None or not len(known)
    if known is None or alone:
        distance = -(points - points.mean(0)).square().sum(1)  # only to find the first one
    else:
        distance = torch.cdist(points, known.double()).square().amin(1)
    free = torch.ones(len(points), dtype=torch.bool)
    picked: list[int] = []
    for place in range(min(count, len(points))):
        picked.append(int(distance.masked_fill(~free, -torch.inf).argmax()))
        free[picked[-1]] = False
        own = (points - points[picked[-1]]).square().sum(1)
        distance = own if alone and place == 0 else torch.minimum(distance, own)
    return torch.cat([torch.tensor(picked, dtype=torch.long), free.nonzero().flatten()])


def spread_order(values: Tensor, _count: int = 0) -> Tensor:
    """Return an order whose every prefix is spread evenly over the quantiles of some values.

    The sorted samples are taken in the order of van der Corput's sequence: by the reversed bits of
    their rank.

    Args:
        values: (N,).

    Returns:
        (N,), int64.

    >>> spread_order(torch.tensor([0.0, 0.1, 0.2, 0.3])).tolist()
    [0, 2, 1, 3]
    """
    order = values.argsort(stable=True)
    bits = max(1, (len(order) - 1).bit_length())
    place = torch.arange(len(order)) * 2**bits // max(1, len(order))  # all different
    turned = sum(((place >> bit) & 1) << (bits - 1 - bit) for bit in range(bits))
    return order[torch.as_tensor(turned).argsort()]


def largest_order(values: Tensor, _count: int = 0) -> Tensor:
    """Return the order of falling values (N,)."""
    return values.argsort(descending=True, stable=True)


_ORDERS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "herding": herding_order,
    "coverage": coverage_order,
    "loss": largest_order,
    "uncertainty": largest_order,
    "rainbow": spread_order,
    "score_balanced": spread_order,
}


def selected_keys(
    selection: str, keys: Tensor, groups: Tensor, values: Tensor, count: int
) -> Tensor:
    """Return keys of samples: a memory keeps the smallest of each group.

    Args:
        selection: One of `SELECTIONS` but ``"random"``.
        keys: (N,), float64, 0..1, random: they decide between samples of equal values.
        groups: (N,), int64, the class or the experience of each sample.
        values: (N, D) features or (N,) numbers; see `measured_values`.
        count: Samples that a group may have in the memory.

    Returns:
        (N,), float64, 0..1; the i-th of a group of n has a key in i/n .. (i+1)/n.
    """
    found = keys.clone()
    for group in groups.unique():
        own = (groups == group).nonzero().flatten()
        own = own[keys[own].argsort()]
        order = own[_ORDERS[selection](values[own], count)]
        found[order] = (torch.arange(len(order)) + keys[order]) / len(order)
    return found


# -------------------------------------------------------------------- what an order is made of


def sample_losses(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return each sample's loss (B,): cross-entropy of logits, squared error of scores.

    A run's own loss may compare pairs, and then a single sample has none.

    Args:
        outputs: (B, K) logits or (B,) scores.
        targets: (B,).
    """
    if outputs.dim() > 1:
        return F.cross_entropy(outputs, targets, reduction="none")
    return (outputs - targets).square()


def disagreement(outputs: Tensor) -> Tensor:
    """Return how uncertain the outputs for several looks at samples are, (N,).

    Args:
        outputs: (L, N) scores: their standard deviation; (L, N, K) logits: the entropy of the mean
            probabilities, in nats.
    """
    if outputs.dim() == 2:
        return outputs.double().std(0, correction=0)
    mean = outputs.double().softmax(-1).mean(0)
    return torch.special.entr(mean).sum(-1)


@torch.no_grad()
def outputs_over(strategy: Strategy, data: Samples) -> Tensor:
    """Return the model's outputs (N,) or (N, K) in evaluation mode, float32 on the CPU.

    Args:
        strategy: The strategy.
        data: Samples with the transform to use.
    """
    loader = strategy.loader(data, train=False, batch_size=strategy.train_mb_size)
    was_training = strategy.model.training
    strategy.model.eval()
    found = [strategy.output_of(batch).float().cpu() for batch in track(loader, "select")]
    set_training(strategy.model, was_training)
    return torch.cat(found)


@torch.no_grad()
def features_over(strategy: Strategy, data: Samples) -> Tensor:
    """Return the model's pooled features (N, D) in evaluation mode, float32 on the CPU."""
    loader = strategy.loader(data, train=False, batch_size=strategy.train_mb_size)
    was_training = strategy.model.training
    strategy.model.eval()
    found = []
    for batch in track(loader, "select"):
        images = batch[0].to(strategy.device)
        features = apply_model(lambda x: pooled_features(strategy.model, x), images)
        found.append(strategy.whole(features.float(), batch).cpu())
    set_training(strategy.model, was_training)
    return torch.cat(found)


def check_features(name: str, model: nn.Module, why: str) -> None:
    """Refuse a model without features.

    Args:
        name: The plugin.
        model: The model.
        why: What needs them, and what does not.

    Raises:
        ModelError: It has none.
    """
    if not hasattr(model, "features") and not hasattr(model, "extract_feat"):
        raise ModelError(
            f"{name}: a {type(model).__name__} has neither features() nor extract_feat(). {why}"
        )


def measured_values(strategy: Strategy, selection: str) -> Tensor:
    """Return what the order of the experience's samples is made of.

    Args:
        strategy: The strategy, right after training.
        selection: One of `SELECTIONS` but ``"random"``.

    Returns:
        (N, D) features or (N,) numbers, on the CPU.
    """
    data: Any = strategy.experience.dataset
    if selection == "score_balanced":
        return torch.as_tensor([float(target) for target in data.targets], dtype=torch.float64)
    if selection in OF_FEATURES:
        return features_over(strategy, strategy.measured(data))
    if selection == "loss":
        targets = torch.as_tensor(list(data.targets))
        return sample_losses(outputs_over(strategy, strategy.measured(data)), targets)
    looks = [outputs_over(strategy, data.train()) for _ in range(LOOKS)]
    return disagreement(torch.stack(looks))
