"""Attention whose keys and values begin with learnt ones: prefix tuning of a vision transformer.

Li & Liang, "Prefix-Tuning", ACL 2021: an image's tokens attend to L more keys and values, which are
learnt and come after the layer's own projections. The number of tokens does not change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.models.arguments import check_integer
from cliqa.models.backbones.prompted.frozen_transformer import TransformerLayers
from cliqa.utils.errors import ConfigError

PLAIN = (
    "timm.layers.attention.Attention",
    "timm.models.vision_transformer.Attention",  # of earlier versions
    "mmpretrain.models.utils.attention.MultiheadAttention",
)
"""Attention with one projection ``qkv`` and nothing else; BEiT's adds a bias of positions."""


@contextmanager
def prefixed(layers: TransformerLayers, prefixes: Mapping[int, Tensor]) -> Iterator[None]:
    """Let blocks attend to prefixes within this context.

    Args:
        layers: Of the transformer.
        prefixes: Keys and values (B, 2, L, D) by the index of the block.
    """
    found = [_attention(layers, index) for index in prefixes]
    kept = [vars(attention).get("forward") for attention in found]
    for attention, prefix in zip(found, prefixes.values(), strict=True):
        # beside the class's own, so that a copy of the model or another thread's has none
        vars(attention)["forward"] = partial(attend, attention, prefix)
    try:
        yield
    finally:
        for attention, forward in zip(found, kept, strict=True):
            del vars(attention)["forward"]
            if forward is not None:
                vars(attention)["forward"] = forward


def attend(attention: Any, prefix: Tensor, tokens: Tensor, *_: object, **__: object) -> Any:  # noqa: ANN401
    """Return what an attention gives for tokens that attend to a prefix too.

    softmax(q [p_k; k]^T / sqrt(d)) [p_v; v], with the layer's own projections of the tokens and its
    output projection.

    Args:
        attention: Of torch, timm or mmpretrain, in evaluation mode.
        prefix: (B, 2, L, D), the keys p_k and the values p_v.
        tokens: (B, N, D).

    Returns:
        (B, N, D); of torch's own attention a pair of it and None.
    """
    own = isinstance(attention, nn.MultiheadAttention)
    if own:
        projected = F.linear(tokens, attention.in_proj_weight, attention.in_proj_bias)
    else:
        projected = attention.qkv(tokens)
    query, key, value = (_of_heads(part, attention) for part in projected.chunk(3, dim=2))
    if hasattr(attention, "q_norm"):  # timm's
        query, key = attention.q_norm(query), attention.k_norm(key)
    first_key, first_value = (_of_heads(p, attention).to(key.dtype) for p in prefix.unbind(1))
    mixed = F.scaled_dot_product_attention(
        query, torch.cat([first_key, key], dim=2), torch.cat([first_value, value], dim=2)
    )
    mixed = mixed.transpose(1, 2).flatten(2)
    if own:
        return attention.out_proj(mixed), None
    mixed = attention.proj_drop(attention.proj(mixed))
    return attention.out_drop(attention.gamma1(mixed)) if hasattr(attention, "gamma1") else mixed


def check_blocks(
    layers: TransformerLayers, owner: str, argument: str, chosen: Collection[int]
) -> None:
    """Refuse blocks that are not there, and attention that takes no prefix.

    Args:
        layers: Of the transformer.
        owner: The component, for the messages.
        argument: Its argument with the blocks' indices.
        chosen: The indices, counted from 0.

    Raises:
        ConfigError: There is no such block, or its attention is of another kind.
    """
    count = len(layers.blocks)
    if isinstance(chosen, str) or len(set(chosen)) < len(chosen):
        raise ConfigError(f"{owner}: {argument} must be different integers, got {chosen!r}.")
    for index in chosen:
        check_integer(owner, 0, **{argument: index})
        if index >= count:
            raise ConfigError(
                f"{owner}: {argument} has block {index}, and the transformer has the blocks 0 to "
                f"{count - 1}."
            )
        attention = _attention(layers, index)
        if not _is_known(attention, layers.width):
            raise ConfigError(
                f"{owner}: block {index} attends by '{_name_of(attention)}', which takes no "
                "prefix. Use a plain vision transformer (timm's vit_..., torchvision's vit_..., "
                "mmpretrain's VisionTransformer), or the backbone 'PromptedTransformer'."
            )


def _attention(layers: TransformerLayers, index: int) -> nn.Module:
    """Return a block's attention; the block itself where it has none under that name."""
    block = layers.blocks[index]
    return getattr(block, layers.attention, block)


def _name_of(attention: nn.Module) -> str:
    """Return the full name of an attention's class."""
    return f"{type(attention).__module__}.{type(attention).__qualname__}"


def _is_known(attention: Any, width: int) -> bool:  # noqa: ANN401
    """Return whether `attend` computes what this attention does."""
    if isinstance(attention, nn.MultiheadAttention):
        plain = attention.bias_k is None and not attention.add_zero_attn
        return bool(plain and attention.batch_first and attention.in_proj_weight is not None)
    if _name_of(attention) not in PLAIN:
        return False
    plain = getattr(attention, "gate", None) is None and not getattr(attention, "v_shortcut", False)
    scaled = not isinstance(getattr(attention, "norm", nn.Identity()), nn.Identity)
    return bool(plain and not scaled and attention.qkv.out_features == 3 * width)


def _of_heads(part: Tensor, attention: Any) -> Tensor:  # noqa: ANN401
    """Return (B, N, D) by heads, (B, heads, N, D / heads)."""
    return part.unflatten(2, (attention.num_heads, -1)).transpose(1, 2)
