"""Outputs of backbones: maps and vectors in any nesting."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from cliqa.config.arguments import arguments_of
from cliqa.models.backbones.pretraining_only import check_backbone
from cliqa.registry import MODELS, find
from cliqa.utils.errors import ModelError

SURPRISES = (AssertionError, AttributeError, KeyError)
"""What a backbone's own code raises for unsuitable images. torch's errors are not caught: a lack of
memory is one, and a batch of one in batch normalisation."""

CHANNELS = "in_channels"
"""The argument of heads that is found where it is left out."""

TOKENS_LAST = (
    "Where the last axis counts tokens, (B, C, N), average over it with "
    "neck=dict(type='GlobalAveragePooling', dim=1); else choose another backbone."
)
TOKENS = (
    "These are tokens, (B, N, C). Give the class token, tokens[:, 0], or the mean of the patches, "
    "tokens.mean(1), in a backbone of your own, or choose another one."
)
EXTRA = 2
"""Most tokens beside those of the patches: a class token, and one of a distillation."""

UNLIKE = 1.15
"""Ratio of height and width above which the cells of a map over an image are not square.

Rounding causes larger ratios in maps of fewer than 7 cells per edge, but such maps have too many
channels to be mistaken for an edge.
"""


def flat_outputs(outputs: object, name: str) -> tuple[torch.Tensor, ...]:
    """Return the outputs of a backbone or a neck as one flat tuple of tensors.

    Nested tuples are flattened in order: a Conformer's map and class token, a distilled vision
    transformer's two tokens. None (a disabled branch) is left out.

    Args:
        outputs: A tensor, or any nesting of tuples and lists of tensors and None.
        name: Class of the module, for the message.

    Raises:
        ModelError: There is no tensor, or another kind of value.
    """
    if isinstance(outputs, torch.Tensor):
        return (outputs,)
    if isinstance(outputs, Mapping):
        raise ModelError(
            f"the {name} returned a {type(outputs).__name__} with {', '.join(map(str, outputs))}; "
            "expected maps (B, C, h, w) or vectors (B, D). Wrap it in your own class whose "
            "forward returns the right one."
        )
    if not isinstance(outputs, tuple | list):
        raise ModelError(
            f"the {name} returned an object of type {type(outputs).__name__}; expected maps "
            "(B, C, h, w) or vectors (B, D), one or a tuple of them."
        )
    parts = [part for part in outputs if part is not None]
    if not parts:
        raise ModelError(
            f"the {name} returned no map and no vector. Set its out_indices, or use "
            "another backbone."
        )
    return tuple(tensor for part in parts for tensor in flat_outputs(part, name))


def last_output(outputs: object, name: str) -> torch.Tensor:
    """Return the last of several outputs, as mmpretrain's heads do.

    If that is several vectors itself (the two tokens of a distilled transformer), they are
    concatenated, as in a `QualityModel`.

    Args:
        outputs: As `flat_outputs`.
        name: As `flat_outputs`.

    >>> one, two = torch.zeros(1, 2), torch.ones(1, 3)
    >>> last_output((one, (one, two)), "backbone").shape
    torch.Size([1, 5])
    """
    last = outputs[-1] if isinstance(outputs, (tuple, list)) and outputs else outputs
    found = flat_outputs(last, name)
    return found[0] if len(found) == 1 else torch.cat(found, dim=1)


def run_backbone(backbone: nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return a backbone's maps and vectors for images (B, 3, H, W).

    Raises:
        ModelError: It cannot process the images, or returns something else or maps (B, h, w, C).
    """
    if torch.compiler.is_compiling():  # the compiler handles errors, and sizes are symbols
        return flat_outputs(backbone(images), type(backbone).__name__)
    try:
        outputs = backbone(images)
    except SURPRISES as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(
            f"the {type(backbone).__name__} cannot process images of shape {tuple(images.shape)}: "
            f"{reason} Check the image size of the transforms, or choose another backbone."
        ) from error
    return checked_outputs(outputs, backbone, images)


def checked_outputs(
    outputs: object, backbone: nn.Module, images: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """Return a backbone's outputs for images (B, 3, H, W) as maps and vectors.

    Raises:
        ModelError: It is something else, or maps (B, h, w, C).
    """
    found = flat_outputs(outputs, type(backbone).__name__)
    for output in found:
        if output.ndim == 4 and is_channels_last(output.shape, images.shape):
            raise ModelError(
                f"the {type(backbone).__name__} returned maps of shape {tuple(output.shape)} for "
                f"images of shape {tuple(images.shape)}, which is (B, h, w, C); expected "
                "(B, C, h, w). Permute them in your own backbone: map.permute(0, 3, 1, 2)."
            )
    return found


def is_channels_last(shape: Sequence[int], images: Sequence[int]) -> bool:
    """Return whether a map is (B, h, w, C): only so are its cells about square.

    Args:
        shape: The map's four sizes.
        images: The images' (B, 3, H, W).

    >>> is_channels_last((2, 7, 7, 768), (2, 3, 224, 224))
    True
    >>> is_channels_last((2, 768, 7, 7), (2, 3, 224, 224))
    False
    """
    first, last = _skew(shape[2:], images[2:]), _skew(shape[1:3], images[2:])
    return first >= UNLIKE > last


def _skew(cells: Sequence[int], pixels: Sequence[int]) -> float:
    """Return how far from square the cells of a grid over an image are, >= 1."""
    if not all((*cells, *pixels)):
        return 1.0
    ratio = (pixels[0] * cells[1]) / (pixels[1] * cells[0])
    return max(ratio, 1 / ratio)


def token_axis(output: torch.Tensor, images: torch.Tensor) -> int | None:
    """Return which axis of an output (B, N, C) or (B, C, N) counts tokens; None if that is unclear.

    Tokens are as many as the patches of a square grid over the images, and at most `EXTRA` more.

    Args:
        output: Of three axes.
        images: (B, 3, H, W).

    >>> images = torch.zeros(1, 3, 224, 224)
    >>> token_axis(torch.zeros(1, 197, 192), images), token_axis(torch.zeros(1, 448, 49), images)
    (1, 2)
    """
    if torch.compiler.is_compiling():
        return None
    height, width = images.shape[-2:]
    grids = {(height // edge) * (width // edge) for edge in range(4, min(height, width) + 1)}
    counts = {grid + more for grid in grids for more in range(EXTRA + 1)}
    first, last = output.shape[1] in counts, output.shape[2] in counts
    return None if first == last else 1 if first else 2


def needs_channels(head: Mapping[str, Any]) -> bool:
    """Return whether a head's config lacks ``in_channels``, which the head needs."""
    if head.get(CHANNELS) is not None or "type" not in head:
        return False
    argument = arguments_of(find(MODELS, head, "model.head")).get(CHANNELS)
    return argument is not None and argument.default is inspect.Parameter.empty


def check_branches(backbone: nn.Module) -> None:
    """Refuse a backbone with more outputs in training than in evaluation, or of hidden images.

    Raises:
        ModelError: It has an auxiliary classifier, or is for pretraining alone.
    """
    check_backbone(type(backbone))
    if getattr(backbone, "aux_logits", False):
        raise ModelError(
            f"the {type(backbone).__name__} with aux_logits=True returns the outputs of a second "
            "classifier in training, which a head cannot process. Set its aux_logits=False."
        )


def as_vector(
    output: torch.Tensor, source: nn.Module, images: torch.Tensor | None = None
) -> torch.Tensor:
    """Return a map (B, C, h, w) as its spatial mean (B, C), a vector as it is.

    Args:
        output: The output.
        source: The module that gave it.
        images: The images (B, 3, H, W), for better advice.

    Raises:
        ModelError: It is neither.
    """
    if output.ndim == 4:
        return output.mean(dim=(2, 3))
    if output.ndim == 2:
        return output
    types = getattr(source, "OUT_TYPES", ())
    kinds = [repr(kind) for kind in ("cls_token", "avg_featmap", "featmap") if kind in types]
    tokens = images is not None and output.ndim == 3 and token_axis(output, images) == 1
    advice = getattr(source, "instead", TOKENS if tokens else TOKENS_LAST)
    if kinds:
        advice = f"Set its out_type={' or '.join(kinds)}."
    raise ModelError(
        f"the {type(source).__name__} returned shape {tuple(output.shape)}; expected maps "
        f"(B, C, h, w) or vectors (B, D). {advice}"
    )
