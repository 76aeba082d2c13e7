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
from cliqa.models.language.fusion_model import FusionModel
from cliqa.models.language.image_text_model import ImageTextModel
from cliqa.models.lora.adapters import lora_layers, merge
from cliqa.utils.errors import ModelError

FEED_FORWARD = ("FFN", "MLP", "MLPBlock", "Mlp")
"""Classes of a transformer's feed-forward networks, in mmpretrain and torchvision."""

HEADS = ("head", "heads", "fc", "classifier")
"""Names of a model's last part."""


class ProbeHead(nn.Module):
    """A linear layer in a head's place: it tells which features are left for the head.

    Its weights are as large as the head's, so that a feature counts as it does there.

    Attributes:
        compares: The head compares features with texts as they are: none of them may go.
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        width: Any = head.in_channels
        own = [head.state_dict()[name] for name in head_tensors(head, width)]
        taken = [head.get_submodule(name) for name in getattr(head, "of_images", ())]
        self.compares = not all(isinstance(layer, nn.Linear) for layer in taken)
        weight = own[0].float().norm(dim=0) if own else torch.zeros(width)
        self.fc = torch.nn.utils.skip_init(nn.Linear, width, 1, device=weight.device)
        self.fc.weight = nn.Parameter(weight[None])
        self.fc.bias = nn.Parameter(torch.zeros_like(weight[:1]))

    def forward(self, features: Tensor | Sequence[Tensor]) -> Tensor:
        """Return (B, 1) for features (B, D), or for the last of several."""
        vectors = features if isinstance(features, Tensor) else features[-1]
        found: Tensor = self.fc(vectors)
        return found


class ImageTower(nn.Module):
    """The part of a model of images and texts that sees images, under the names it has there.

    The texts' encoder is computed once for all images: pruning it would save no time.

    Args:
        model: The model; its modules are shared.
    """

    regions = FusionModel.regions  # that its `features` calls

    def __init__(self, model: ImageTextModel) -> None:
        super().__init__()
        self.backbone, self.neck, self.head = model.backbone, model.neck, model.head
        self.kind = type(model)

    def forward(self, images: Tensor) -> Tensor:
        """Return what the head, a `ProbeHead`, gives for images (B, C, H, W)."""
        features = self.kind.features(self, images)  # type: ignore[arg-type]  # has what it needs
        found: Tensor = self.head(features)
        return found


def prunable_part(model: nn.Module) -> nn.Module:
    """Return the part of a model that is pruned: all of it, or its `ImageTower`."""
    return ImageTower(model) if isinstance(model, ImageTextModel) else model


def check_prunable(model: nn.Module, example: Tensor) -> None:
    """Refuse a model whose layers cannot be taken apart.

    Raises:
        ModelError: It has trained adapters, hooks or parametrized weights, or takes features.
    """
    name = type(model).__name__
    if isinstance(model, FeatureClassifier) or example.ndim != 4:
        raise ModelError(
            f"pruning: the {name} got inputs of shape {tuple(example.shape)}; only networks over "
            "images (B, C, H, W) are pruned. Train on images (scenario.feature_type=None)."
        )
    if any(layer.is_trained for layer in lora_layers(model).values()):
        raise ModelError(
            f"pruning: the {name} has LoRA adapters that have been trained, and the weights below "
            "them are frozen and could not recover. Prune before they are trained (ChannelPruning "
            "after=[0] with LoRA first='full'), or call cliqa.models.lora.adapters.merge(model) "
            "first, and prune the plain network (cliqa compress prune does both)."
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
    trial = plain_copy(prunable_part(model)).eval().requires_grad_(True)
    if has_probe(model):
        trial.head = ProbeHead(model.head)  # type: ignore[arg-type]
    return trial


def plain_copy(model: nn.Module) -> nn.Module:
    """Return a copy of a model without adapters and the rounding of `QAT`."""
    copied = copy.deepcopy(model)
    remove_rounding(copied)  # which would hide equal weights
    merge(copied)
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
    part = prunable_part(model)
    hidden = hidden_layers(part)
    return {
        name
        for name, module in part.named_modules()
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


def head_layers(head: nn.Module, width: int) -> list[str]:
    """Return the names of a head's linear layers over an image's features, (width,) each.

    A head of images and texts names them (`of_images`); of others all layers of that width count.
    """
    named: Sequence[str] | None = getattr(head, "of_images", None)
    layers = {name: m for name, m in head.named_modules() if isinstance(m, nn.Linear)}
    meant = layers if named is None else [name for name in named if name in layers]
    return [name for name in meant if layers[name].in_features == width]


def head_tensors(head: nn.Module, width: int) -> list[str]:
    """Return a head's tensors whose second dimension are its inputs.

    Returns:
        Their names: of matrices (K, width) of the head's own (weights of angles, sums of
        prototypes), else of its first linear layer of that width; of a head of images and texts of
        all that take an image's features, none where it compares them as they are.
    """
    own = [*head._parameters.items(), *head._buffers.items()]
    found = [key for key, t in own if t is not None and t.ndim == 2 and t.shape[1] == width]
    layers = [f"{name}.weight" for name in head_layers(head, width)]
    return layers if hasattr(head, "of_images") else found or layers[:1]
