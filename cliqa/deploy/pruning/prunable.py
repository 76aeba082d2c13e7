"""Which parts of a model can be pruned, and which cannot."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cliqa.models.fake_quantization import remove_rounding
from cliqa.models.feature_classifier import FeatureClassifier
from cliqa.models.freezing import check_patterns, matches
from cliqa.models.hyperiqa.hyper_model import HyperModel
from cliqa.models.language.image_text_model import ImageTextModel
from cliqa.models.lora.adapters import lora_layers
from cliqa.utils.errors import ModelError

FEED_FORWARD = ("FFN", "MLP", "MLPBlock", "Mlp")
"""Classes of a transformer's feed-forward networks, in mmpretrain and torchvision."""

HEADS = ("head", "heads", "fc", "classifier")
"""Names of a model's last part."""


class ProbeHead(nn.Module):
    """A linear layer in a head's place: it tells which features are left for the head.

    Its weights are as large as the head's, so that a feature counts as it does there.
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        width: Any = head.in_channels
        own = [head.state_dict()[name] for name in head_tensors(head, width)]
        weight = own[0].float().norm(dim=0) if own else torch.zeros(width)
        self.fc = torch.nn.utils.skip_init(nn.Linear, width, 1, device=weight.device)
        self.fc.weight = nn.Parameter(weight[None])
        self.fc.bias = nn.Parameter(torch.zeros_like(weight[:1]))

    def forward(self, features: Tensor | Sequence[Tensor]) -> Tensor:
        """Return (B, 1) for features (B, D), or for the last of several."""
        vectors = features if isinstance(features, Tensor) else features[-1]
        found: Tensor = self.fc(vectors)
        return found


def check_kind(model: nn.Module) -> None:
    """Refuse a kind of model whose layers cannot be taken apart.

    Raises:
        ModelError: It compares images with texts.
    """
    if isinstance(model, ImageTextModel):
        raise ModelError(
            f"pruning: the {type(model).__name__} compares images with texts in one space, and its "
            "channels cannot be taken apart. Quantize it (tools/compress.py quantize), or prune a "
            "QualityModel or ImageClassifier over the same backbone."
        )


def check_prunable(model: nn.Module, example: Tensor) -> None:
    """Refuse a model whose layers cannot be taken apart.

    Raises:
        ModelError: It has adapters, hooks or parametrized weights, or takes features or texts.
    """
    check_kind(model)
    name = type(model).__name__
    if isinstance(model, FeatureClassifier) or example.ndim != 4:
        raise ModelError(
            f"pruning: the {name} got inputs of shape {tuple(example.shape)}; only networks over "
            "images (B, C, H, W) are pruned. Train on images (scenario.feature_type=None)."
        )
    if lora_layers(model):
        raise ModelError(
            f"pruning: the {name} has LoRA adapters, which know its widths. Call "
            "cliqa.models.lora.adapters.merge(model) first, and prune the plain network."
        )
    for path, module in model.named_modules():
        if hasattr(module, "parametrizations"):
            raise ModelError(
                f"pruning: '{path}' has parametrized weights. Remove them first: "
                "torch.nn.utils.parametrize.remove_parametrizations."
            )
        rounding = getattr(module, "qat", None)
        hooks = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
        if module._backward_hooks or any(hook is not rounding for hook in hooks):
            raise ModelError(
                f"pruning: '{path or name}' has hooks, which may know its widths. Remove them "
                "before, and register them anew afterwards."
            )


def probed(model: nn.Module) -> nn.Module:
    """Return a copy of a model to take apart: in evaluation mode, with a `ProbeHead`.

    A head may hold its weights in ways that nobody but the head knows, prototypes for instance.
    All of them have a number of input channels.
    """
    trial = plain_copy(model).eval().requires_grad_(True)
    if has_probe(model):
        trial.head = ProbeHead(model.head)  # type: ignore[arg-type]
    return trial


def plain_copy(model: nn.Module) -> nn.Module:
    """Return a copy of a model without the rounding of `QAT`, which would hide equal weights."""
    copied = copy.deepcopy(model)
    remove_rounding(copied)
    return copied


def has_probe(model: nn.Module) -> bool:
    """Return whether a `ProbeHead` can replace a model's head."""
    head = getattr(model, "head", None)
    return (
        isinstance(head, nn.Module)
        and not isinstance(head, (nn.Linear, nn.Sequential))
        and isinstance(getattr(head, "in_channels", None), int)
        and not isinstance(model, HyperModel)
    )


def fixed_layers(model: nn.Module, ignore: Sequence[str] = ()) -> set[str]:
    """Return the names of the layers whose outputs stay as they are.

    Raises:
        ModelError: A name of `ignore` is no part of the model.
    """
    check_patterns(model, ignore, "pruning: ignore")
    parts = [*ignore, *(part for part in HEADS if hasattr(model, part))]
    if isinstance(model, HyperModel):
        parts.append("neck")
    hidden = hidden_layers(model)
    return {
        name
        for name, module in model.named_modules()
        if isinstance(module, (nn.Linear, nn.modules.conv._ConvNd))
        and (matches(name, parts) or (hidden and name not in hidden))
    }


def hidden_layers(model: nn.Module) -> set[str]:
    """Return the first layer of each feed-forward network; none where there is no transformer."""
    found: set[str] = set()
    for name, module in model.named_modules():
        if type(module).__name__ in FEED_FORWARD:
            inner = [key for key, layer in module.named_modules() if isinstance(layer, nn.Linear)]
            found.update(f"{name}.{key}" for key in inner[:1])
    return found


def head_tensors(head: nn.Module, width: int) -> list[str]:
    """Return a head's tensors whose second dimension are its inputs.

    Returns:
        Their names: of the first linear layer of that width, and matrices (K, width) of the head's
        own: weights of angles, sums of prototypes.
    """
    own = [*head._parameters.items(), *head._buffers.items()]
    found = [key for key, t in own if t is not None and t.ndim == 2 and t.shape[1] == width]
    layers = [
        f"{name}.weight"
        for name, layer in head.named_modules()
        if isinstance(layer, nn.Linear) and layer.in_features == width
    ]
    return found or layers[:1]
