"""Distances of a model's outputs from those of an earlier model.

Legend: B samples, K outputs a sample, k <= K outputs of the earlier model.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def distillation_loss(logits: Tensor, teacher: Tensor, temperature: float = 2.0) -> Tensor:
    """Return ``KL(softmax(teacher / T) || softmax(logits / T))``, averaged over the batch.

    It is the second term of learning without forgetting (Li & Hoiem, ECCV 2016, eq. 2 to 4) up to
    the teacher's entropy, which has no gradient, and there is no factor in front of it. Its
    gradient falls with 1 / T^2: Hinton et al. ("Distilling the knowledge in a neural network",
    2015, section 2) multiply it by T^2, as `Distillation` does.

    Args:
        logits: (B, K), the gradient goes here.
        teacher: (B, K), the earlier model's.
        temperature: T, > 0.

    Returns:
        A scalar >= 0.

    >>> same = torch.tensor([[1.0, 3.0]])
    >>> float(distillation_loss(same, same + 5))
    0.0
    """
    soft = F.log_softmax(logits / temperature, dim=1)
    truth = F.log_softmax(teacher / temperature, dim=1)
    return F.kl_div(soft, truth, reduction="batchmean", log_target=True)


def output_distance(outputs: Tensor, earlier: Tensor) -> Tensor:
    """Return the mean squared difference of outputs from earlier ones.

    A grown head is compared in the columns of the earlier outputs, except where these are NaN.

    Args:
        outputs: (B,) or (B, K), the gradient goes here.
        earlier: (B,) or (B, k).

    Returns:
        A scalar >= 0.

    >>> float(output_distance(torch.tensor([[1.0, 9.0]]), torch.tensor([[3.0]])))
    4.0
    """
    if outputs.dim() > 1:
        outputs = outputs[:, : earlier.shape[1]]
    known = ~earlier.isnan()
    gap = outputs - torch.where(known, earlier, outputs.detach())
    return gap.square().sum() / known.sum().clamp(min=1)
