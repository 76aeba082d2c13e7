"""A frozen vision transformer whose prefixes are weighted sums of components (CODA-Prompt)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.models.arguments import check_integer
from cliqa.models.backbones.prompted.frozen_transformer import FrozenTransformer
from cliqa.models.backbones.prompted.prefix_attention import check_blocks, prefixed
from cliqa.registry import MODELS
from cliqa.utils.errors import ConfigError

SMALL = 1e-8
"""The least length of a vector in a cosine."""


@MODELS.register_module()
class CODAPromptTransformer(FrozenTransformer):
    """Prefixes that are sums of components, weighted by how an image attends to each.

    Smith et al., "CODA-Prompt: COntinual Decomposed Attention-based Prompting for Rehearsal-Free
    Continual Learning", CVPR 2023: in each block p = sum_m a_m P_m with the weights a_m =
    cos(q(x) * A_m, K_m), where q(x) is the transformer's own class token. The first half
    of p are keys of the block's attention, the second half values. Every experience adds
    components and freezes earlier ones. Components, keys, attention vectors and the head behind
    are trained; the output is the transformer's own, its class token. The plugin `CODAPrompt`
    begins the experiences.

    Args:
        backbone: As of `FrozenTransformer`.
        pool_size: M, components; each experience adds M / T of them.
        experiences: T, the most experiences that can be learnt.
        blocks: Blocks with a prefix, counted from 0.
        length: Keys and values of a prefix together, an even number.

    Attributes:
        learnt: Experiences that have begun, a buffer.

    Raises:
        ConfigError: The backbone is no such transformer, its attention is of a kind that takes no
            prefix, or a number is out of range.
    """

    learnt: Tensor

    def __init__(
        self,
        backbone: Mapping[str, Any],
        pool_size: int = 100,
        experiences: int = 10,
        blocks: Sequence[int] = (0, 1, 2, 3, 4),
        length: int = 8,
    ) -> None:
        owner = type(self).__name__
        check_integer(owner, 1, pool_size=pool_size, experiences=experiences, length=length)
        if pool_size < experiences:
            raise ConfigError(
                f"{owner}: pool_size={pool_size} leaves no component for some of the "
                f"experiences={experiences}."
            )
        if length % 2:
            raise ConfigError(f"{owner}: length must be even, half of it keys, got {length}.")
        super().__init__(backbone)
        width = self.layers.width
        if pool_size > width:
            raise ConfigError(
                f"{owner}: pool_size={pool_size} vectors of {width} numbers cannot be orthogonal. "
                f"Set it to {width} or less."
            )
        check_blocks(self.layers, owner, "blocks", blocks)
        self.experiences, self.blocks = experiences, tuple(blocks)
        each = pool_size // experiences

        def drawn(*shape: int) -> nn.ParameterList:
            # one parameter an experience: no optimizer moves those that get no gradient
            pools = [torch.empty(each * experiences, *shape) for _ in self.blocks]
            pool = torch.stack([nn.init.orthogonal_(one) for one in pools])
            return nn.ParameterList([part.clone() for part in pool.split(each, dim=1)])

        self.components = drawn(length, width)  # each (blocks, m, L, D)
        self.attention, self.keys = drawn(width), drawn(width)  # each (blocks, m, D)
        self.register_buffer("learnt", torch.zeros((), dtype=torch.int64))
        self.train()

    @torch.no_grad()
    def begin(self, index: int) -> None:
        """Begin an experience: its components are made orthogonal to the earlier ones."""
        for pool in (self.components, self.attention, self.keys):
            for block in range(len(self.blocks)) if index else ():
                earlier = torch.cat([part[block] for part in list(pool)[:index]]).flatten(1)
                own = pool[index][block]
                own.copy_(orthogonal_to(earlier, own.flatten(1)).view_as(own))
        self.learnt.fill_(index + 1)

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """Return vectors (B, D) for images (B, 3, H, W)."""
        query = F.normalize(self.query(images), dim=1)
        components, attention, keys = self._pools()
        # cos(q * A, K), (blocks, B, n), without tensors of B n D numbers
        products = query @ (attention * F.normalize(keys, dim=2)).mT
        lengths = (query.square() @ attention.square().mT).sqrt().clamp(min=SMALL)
        weights = products / lengths
        if not self.training:
            weights = weights * self._known(weights.shape[2])
        prompts = torch.einsum("kbn,knld->kbld", weights, components)
        prefixes = torch.stack(prompts.chunk(2, dim=2), dim=2)  # (blocks, B, 2, L / 2, D)
        with prefixed(self.layers, dict(zip(self.blocks, prefixes, strict=True))):
            output = self.body(images)
        return (output[-1],)

    def penalty(self) -> Tensor:
        """Return the sum of |B B^T - I|^2 over the blocks' components, vectors and keys.

        The rows of B are those of the experiences so far; only the current one's get gradients.
        """
        total = torch.zeros((), device=self.learnt.device)
        for pool in self._pools():
            rows = pool.flatten(2)  # (blocks, n, F)
            one = torch.eye(rows.shape[1], device=rows.device)
            total = total + (rows @ rows.mT - one).square().sum()
        return total

    def _pools(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return components (blocks, n, L, D), attention vectors and keys (blocks, n, D).

        In training they are those of the experiences so far, and only the current one's get
        gradients; else all.
        """
        found = []
        count = max(1, int(self.learnt)) if self.training else 0
        for pool in (self.components, self.attention, self.keys):
            parts = list(pool)
            if count:
                parts = [*(part.detach() for part in parts[: count - 1]), parts[count - 1]]
            found.append(torch.cat(parts, dim=1))
        return found[0], found[1], found[2]

    def _known(self, count: int) -> Tensor:
        """Return whether each of all components (count,) is of an experience so far."""
        owner = torch.arange(count, device=self.learnt.device) // (count // self.experiences)
        return owner < self.learnt.clamp(min=1)


def orthogonal_to(earlier: Tensor, new: Tensor) -> Tensor:
    """Return orthonormal vectors (n, F) that are orthogonal to earlier ones too (Gram-Schmidt).

    Args:
        earlier: (m, F), of any lengths and directions.
        new: (n, F), where m + n is F at most. What of each is orthogonal to all before it is kept,
            at length 1.

    >>> orthogonal_to(torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([[5.0, 0.0, 3.0]])).abs()
    tensor([[0., 0., 1.]])
    """
    rows = torch.cat([earlier, new]).double().cpu()
    basis, factor = torch.linalg.qr(rows.T)  # numerically stable, up to signs
    signs = torch.where(factor.diagonal() < 0, -1.0, 1.0)
    return (basis * signs).T[len(earlier) :].to(new)
