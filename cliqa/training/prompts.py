"""Which prompts a sample may be told by, and how far each belongs to it.

Legend: B samples, K candidates, N prompts of all candidates, T prompts that are there.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cliqa.losses.contrastive import level_shares
from cliqa.models.language.candidate_texts import CandidateTexts


def candidate_shares(texts: CandidateTexts, targets: Tensor) -> Tensor:
    """Return how far samples belong to the candidates: one class, or the levels about a score.

    Args:
        texts: The candidates.
        targets: (B,), classes or scores.

    Returns:
        (B, K), each row's sum 1.
    """
    if texts.values is None:
        return F.one_hot(targets.long(), len(texts)).float()
    return level_shares(targets.float(), texts.values)


def drawn_prompts(texts: CandidateTexts, targets: Tensor, draws: Tensor) -> Tensor:
    """Return a prompt for each sample: one of its class, or of the level next to its score.

    Args:
        texts: The candidates.
        targets: (B,), classes or scores.
        draws: (B,), 0 <= draw < 1, uniform.

    Returns:
        (B,), int64, ids of ``texts.flat``.

    >>> texts = CandidateTexts(("cat", "dog"), (("a cat.", "one cat."), ("a dog.",)))
    >>> drawn_prompts(texts, torch.tensor([0, 0, 1]), torch.tensor([0.2, 0.7, 0.7]))
    tensor([0, 1, 2])
    """
    own = candidate_shares(texts, targets).argmax(dim=1)  # (B,)
    counts = torch.tensor([len(prompts) for prompts in texts.prompts], device=own.device)
    starts = counts.cumsum(0) - counts
    return starts[own] + (draws.to(own.device) * counts[own]).long()


def prompt_positives(texts: CandidateTexts, targets: Tensor, prompts: Tensor) -> Tensor:
    """Return how far samples belong to some of the prompts, (B, T).

    Several prompts of one candidate share what belongs to it.

    Args:
        texts: The candidates.
        targets: (B,), classes or scores.
        prompts: (T,), different ids of ``texts.flat``.
    """
    owners = torch.tensor(texts.owners, device=prompts.device)[prompts]  # (T,)
    present = owners.bincount(minlength=len(texts)).to(targets.device)  # (K,)
    shares = candidate_shares(texts, targets) / present.clamp(min=1)
    return shares[:, owners.to(targets.device)]
