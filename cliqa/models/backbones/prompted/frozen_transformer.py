"""A frozen vision transformer beside which prompts are learnt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from cliqa.models.mmpretrain_bridge import build_part
from cliqa.utils.errors import ConfigError

Self = TypeVar("Self", bound="FrozenTransformer")

TIMM = ("blocks", "norm", "num_prefix_tokens", "embed_dim")
"""Attributes of timm's vision transformers."""


class TransformerLayers(NamedTuple):
    """The layers of a vision transformer that prompts meet.

    Attributes:
        blocks: The blocks in their order.
        attention: The attribute of a block that is its attention.
        norm: The layer that normalises the last block's tokens.
        width: D of the tokens.
        has_token: Whether the first token is the class token.
        after: What follows the mean of tokens before the classifier.
    """

    blocks: Sequence[nn.Module]
    attention: str
    norm: nn.Module
    width: int
    has_token: bool
    after: nn.Module


class FrozenTransformer(nn.Module):
    """The base of backbones whose prompts are learnt beside a transformer that stays as it is.

    Args:
        backbone: Config of a vision transformer whose output is a vector: ``TimmBackbone``
            without levels, ``TorchvisionBackbone`` with ``nodes=["encoder"]``, or mmpretrain's
            ``VisionTransformer``.

    Attributes:
        body: The transformer; it stays in evaluation mode.
        matches: While it is a list, a forward pass appends the cosine that the method's loss
            pulls up, of every image: (B,).

    Raises:
        ConfigError: The backbone is no such transformer.
    """

    def __init__(self, backbone: Mapping[str, Any]) -> None:
        super().__init__()
        self.body = build_part(backbone, "model.backbone.backbone").requires_grad_(False)
        self.input_statistics = getattr(self.body, "input_statistics", None)
        self.matches: list[Tensor] | None = None

    @property
    def layers(self) -> TransformerLayers:
        """The layers that prompts meet."""
        return layers_of(self.body, type(self).__name__)

    @torch.no_grad()
    def query(self, images: Tensor) -> Tensor:
        """Return q(x) (B, D), the transformer's own class token; without one the tokens' mean."""
        tokens = self.tokens(images)
        return tokens[:, 0] if self.layers.has_token else tokens.mean(1)

    def tokens(self, images: Tensor, prompts: Tensor | None = None) -> Tensor:
        """Return the normalised tokens after the last block (B, tokens, D).

        Args:
            images: (B, 3, H, W).
            prompts: Tokens (B, L, D) that join the images' before the first block, as the last
                ones; None for none.
        """
        with _meeting(self.layers, prompts) as found:
            self.body(images)
        return found[-1]

    def train(self: Self, mode: bool = True) -> Self:
        """Set training mode; the transformer stays in evaluation mode."""
        super().train(mode)
        self.body.eval()
        return self


@contextmanager
def _meeting(layers: TransformerLayers, prompts: Tensor | None) -> Iterator[list[Tensor]]:
    """Add prompts to the tokens within this context, and collect the normalised tokens."""
    found: list[Tensor] = []

    def add(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        return None if prompts is None else (torch.cat([inputs[0], prompts], dim=1), *inputs[1:])

    keep: Callable[..., None] = lambda module, inputs, output: found.append(output)  # noqa: E731
    handles = [
        layers.blocks[0].register_forward_pre_hook(add),
        layers.norm.register_forward_hook(keep),
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def layers_of(backbone: nn.Module, owner: str) -> TransformerLayers:
    """Return the layers of a vision transformer of timm, torchvision or mmpretrain.

    Args:
        backbone: The transformer.
        owner: The component that needs it, for the message.

    Raises:
        ConfigError: It is none, or gives maps.
    """
    body: Any = getattr(backbone, "body", backbone)
    given = getattr(backbone, "indices", None)
    plain = nn.Identity()
    if given is None and all(hasattr(body, name) for name in TIMM):
        token = getattr(body, "has_class_token", body.num_prefix_tokens > 0)
        after = getattr(body, "fc_norm", plain)
        return TransformerLayers(body.blocks, "attn", body.norm, body.embed_dim, token, after)
    if hasattr(body, "encoder") and getattr(backbone, "nodes", None) == ["encoder"]:
        inner, width = body.encoder, body.hidden_dim
        return TransformerLayers(inner.layers, "self_attention", inner.ln, width, True, plain)
    if hasattr(body, "ln1") and hasattr(body, "layers") and body.out_type == "cls_token":
        return TransformerLayers(body.layers, "attn", body.ln1, body.embed_dims, True, plain)
    raise ConfigError(
        f"{owner}: backbone '{type(backbone).__name__}' is no vision transformer that "
        "gives a vector. Use TimmBackbone(name='vit_small_patch16_224') without levels, "
        "TorchvisionBackbone(arch='vit_b_16', nodes=['encoder']), or mmpretrain's "
        "VisionTransformer."
    )
