"""A frozen vision transformer with general and expert prefixes (DualPrompt)."""

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

SPREAD = 0.01
"""Prompts and keys begin uniformly in 0..this, as in the authors' code."""


@MODELS.register_module()
class DualPromptTransformer(FrozenTransformer):
    """A prefix that all experiences share, and one of each experience's own, chosen by a key.

    Wang et al., "DualPrompt: Complementary Prompting for Rehearsal-free Continual Learning", ECCV
    2022: the general prompt g and the expert prompt e_t are prefixes to the keys and the values of
    some blocks. Training uses the current experience's expert prompt; an image of unknown origin
    that of the nearest key, argmax_t cos(q(x), k_t), among the experiences learnt so far, where
    q(x) is the transformer's own class token. Prompts, keys and the head behind are trained; the
    output is the transformer's own, its class token. The plugin `DualPrompt` begins the
    experiences and pulls their keys.

    Args:
        backbone: As of `FrozenTransformer`.
        experiences: T, expert prompts: the most experiences that can be learnt.
        general_blocks: Blocks with the general prompt, counted from 0.
        general_length: Keys, and as many values, of the general prompt in each block.
        expert_blocks: Blocks with an expert prompt.
        expert_length: Keys, and as many values, of an expert prompt in each block.

    Attributes:
        learnt: Experiences that have begun, a buffer.
        matches: Of the cosine of the experience's own key; see `FrozenTransformer`.

    Raises:
        ConfigError: The backbone is no such transformer, its attention is of a kind that takes no
            prefix, or a number is out of range.
    """

    learnt: Tensor

    def __init__(
        self,
        backbone: Mapping[str, Any],
        experiences: int = 10,
        general_blocks: Sequence[int] = (0, 1),
        general_length: int = 5,
        expert_blocks: Sequence[int] = (2, 3, 4),
        expert_length: int = 20,
    ) -> None:
        owner = type(self).__name__
        check_integer(owner, 1, experiences=experiences)
        check_integer(owner, 1, general_length=general_length, expert_length=expert_length)
        super().__init__(backbone)
        layers = self.layers
        check_blocks(layers, owner, "general_blocks", general_blocks)
        check_blocks(layers, owner, "expert_blocks", expert_blocks)
        self.experiences = experiences
        self.general_blocks, self.expert_blocks = tuple(general_blocks), tuple(expert_blocks)

        def drawn(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(*shape).uniform_(0, SPREAD))

        # one parameter an experience: no optimizer moves those that get no gradient
        of_block = (2, expert_length, layers.width)
        experts = [drawn(len(self.expert_blocks), *of_block) for _ in range(experiences)]
        self.general = drawn(len(self.general_blocks), 2, general_length, layers.width)
        self.experts = nn.ParameterList(experts)
        self.keys = nn.ParameterList([drawn(layers.width) for _ in range(experiences)])
        self.register_buffer("learnt", torch.zeros((), dtype=torch.int64))
        self.train()

    @torch.no_grad()
    def begin(self, index: int) -> None:
        """Begin an experience: its prompt starts as the one before it ended."""
        if index:
            self.experts[index].copy_(self.experts[index - 1])
        self.learnt.fill_(index + 1)

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """Return vectors (B, D) for images (B, 3, H, W)."""
        query = F.normalize(self.query(images), dim=1)
        experts = self._current(query) if self.training else self._nearest(query)
        general = self.general.expand(images.shape[0], -1, -1, -1, -1)
        prefixes: dict[int, Tensor] = dict(zip(self.general_blocks, general.unbind(1), strict=True))
        for block, prefix in zip(self.expert_blocks, experts.unbind(1), strict=True):
            earlier = [prefixes[block]] if block in prefixes else []
            prefixes[block] = torch.cat([*earlier, prefix], dim=2)
        with prefixed(self.layers, prefixes):
            output = self.body(images)
        return (output[-1],)

    def _current(self, query: Tensor) -> Tensor:
        """Return the current experience's prompt for every image, (B, blocks, 2, L, D)."""
        index = max(0, int(self.learnt) - 1)
        if self.matches is not None:
            self.matches.append(query @ F.normalize(self.keys[index], dim=0))
        return self.experts[index].expand(len(query), -1, -1, -1, -1)

    def _nearest(self, query: Tensor) -> Tensor:
        """Return the prompt of the nearest key among those learnt, (B, blocks, 2, L, D)."""
        keys = torch.stack(list(self.keys))  # (T, D)
        cosines = query @ F.normalize(keys, dim=1).T  # (B, T)
        ahead = torch.arange(len(keys), device=query.device) >= self.learnt
        chosen = cosines.masked_fill(ahead, -2.0).argmax(1)
        return torch.stack(list(self.experts))[chosen]
