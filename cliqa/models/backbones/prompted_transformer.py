"""A frozen vision transformer with a pool of prompts that are learnt (L2P)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.models.arguments import check_integer
from cliqa.models.mmpretrain_bridge import build_part
from cliqa.registry import MODELS
from cliqa.utils.errors import ConfigError

TIMM = ("blocks", "norm", "num_prefix_tokens", "embed_dim")
"""Attributes of timm's vision transformers."""


class _Layers(NamedTuple):
    """The layers of a vision transformer that prompts meet.

    Attributes:
        first: The first block.
        norm: The layer that normalises the last block's tokens.
        width: D of the tokens.
        has_token: Whether the first token is the class token.
        after: What follows the mean of tokens before the classifier.
    """

    first: nn.Module
    norm: nn.Module
    width: int
    has_token: bool
    after: nn.Module


@MODELS.register_module()
class PromptedTransformer(nn.Module):
    """Prompts from a pool, chosen for each image, beside a frozen transformer's tokens.

    Wang et al., "Learning to Prompt for Continual Learning", CVPR 2022: the transformer's own
    class token q(x) of an image is compared with M keys (cosine); the prompts of the N nearest
    ones join the image's tokens before the first block, and the output is the mean of their N L
    tokens after the last one (section 4.1). Prompts, keys and the head behind are trained, the
    transformer is not. The plugin `L2P` pulls the chosen keys towards the images.

    Args:
        backbone: Config of a vision transformer whose output is a vector: ``TimmBackbone``
            without levels, ``TorchvisionBackbone`` with ``nodes=["encoder"]``, or mmpretrain's
            ``VisionTransformer``.
        pool_size: M, prompts in the pool.
        length: L, tokens of a prompt.
        top_k: N, prompts for an image.

    Attributes:
        matches: While it is a list, each forward pass appends the mean over the images of the
            sum of the chosen keys' cosines, a scalar; for `L2P`.

    Raises:
        ConfigError: The backbone is no such transformer, or a number is out of range.
    """

    def __init__(
        self, backbone: Mapping[str, Any], pool_size: int = 10, length: int = 5, top_k: int = 5
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        check_integer(owner, 1, pool_size=pool_size, length=length, top_k=top_k)
        if top_k > pool_size:
            raise ConfigError(f"{owner}: top_k={top_k} is above pool_size={pool_size}.")
        self.body = build_part(backbone, "model.backbone.backbone").requires_grad_(False)
        self.input_statistics = getattr(self.body, "input_statistics", None)
        self.length, self.top_k = length, top_k
        width = _layers(self.body).width
        self.keys = nn.Parameter(torch.empty(pool_size, width).uniform_(-1, 1))
        self.prompts = nn.Parameter(torch.empty(pool_size, length, width).uniform_(-1, 1))
        self.matches: list[Tensor] | None = None
        self.train()

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """Return vectors (B, D) for images (B, 3, H, W)."""
        layers = _layers(self.body)
        with torch.no_grad():
            tokens = self._tokens(images, layers)
            query = tokens[:, 0] if layers.has_token else tokens.mean(1)  # (B, D)
        cosines = F.normalize(query, dim=1) @ F.normalize(self.keys, dim=1).T  # (B, M)
        best, chosen = cosines.topk(self.top_k, dim=1)
        if self.matches is not None:
            self.matches.append(best.sum(1).mean())
        prompts = self.prompts[chosen].flatten(1, 2)  # (B, N L, D)
        tokens = self._tokens(images, layers, prompts)
        return (layers.after(tokens[:, -prompts.shape[1] :].mean(1)),)

    def _tokens(self, images: Tensor, layers: _Layers, prompts: Tensor | None = None) -> Tensor:
        """Return the tokens after the last block (B, tokens, D); prompts are the last ones."""
        with _meeting(layers, prompts) as found:
            self.body(images)
        return found[-1]

    def train(self, mode: bool = True) -> PromptedTransformer:
        """Set training mode; the transformer stays in evaluation mode."""
        super().train(mode)
        self.body.eval()
        return self


@contextmanager
def _meeting(layers: _Layers, prompts: Tensor | None) -> Iterator[list[Tensor]]:
    """Add prompts to the tokens within this context, and collect the normalised tokens."""
    found: list[Tensor] = []

    def add(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        return None if prompts is None else (torch.cat([inputs[0], prompts], dim=1), *inputs[1:])

    keep: Callable[..., None] = lambda module, inputs, output: found.append(output)  # noqa: E731
    handles = [
        layers.first.register_forward_pre_hook(add),
        layers.norm.register_forward_hook(keep),
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _layers(backbone: nn.Module) -> _Layers:
    """Return the layers of a vision transformer of timm, torchvision or mmpretrain.

    Raises:
        ConfigError: It is none, or gives maps.
    """
    body: Any = getattr(backbone, "body", backbone)
    given = getattr(backbone, "indices", None)
    if given is None and all(hasattr(body, name) for name in TIMM):
        after = getattr(body, "fc_norm", nn.Identity())
        token = body.num_prefix_tokens > 0
        return _Layers(body.blocks[0], body.norm, body.embed_dim, token, after)
    if hasattr(body, "encoder") and getattr(backbone, "nodes", None) == ["encoder"]:
        blocks, width = body.encoder.layers, body.hidden_dim
        return _Layers(blocks[0], body.encoder.ln, width, True, nn.Identity())
    if hasattr(body, "ln1") and hasattr(body, "layers") and body.out_type == "cls_token":
        return _Layers(body.layers[0], body.ln1, body.embed_dims, True, nn.Identity())
    raise ConfigError(
        f"PromptedTransformer: backbone '{type(backbone).__name__}' is no vision transformer that "
        "gives a vector. Use TimmBackbone(name='vit_small_patch16_224') without levels, "
        "TorchvisionBackbone(arch='vit_b_16', nodes=['encoder']), or mmpretrain's "
        "VisionTransformer."
    )
