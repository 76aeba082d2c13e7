"""Any of torchvision's models as a backbone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torchvision
from torch import nn
from torchvision.models import SwinTransformer, VisionTransformer

from cliqa.config.suggest import closest
from cliqa.models.backbones.downloads import NoDownloadError
from cliqa.models.weights.weights import load_weights
from cliqa.registry import MODELS
from cliqa.utils.errors import ModelError
from cliqa.utils.progress import on_terminal

CONTAINERS = ("features", "trunk_output", "layers", "blocks")
"""Children of torchvision's models that contain the layers."""

AFTER_THE_MAPS = ("avgpool", "permute", "fc", "classifier", "head", "heads")
"""Children after the last feature map."""

NOT_IN_ORDER = ("googlenet", "inception_v3")
"""Models whose forward pass is not the sequence of their children."""


@MODELS.register_module()
class TorchvisionBackbone(nn.Module):
    """Feature maps from named layers of a torchvision model.

    The layers keep torchvision's names below ``body`` and run one after the other. (torchvision's
    own feature extractor is not used: a copy of it is always in training mode, so that the teacher
    of a distillation would keep updating batch statistics.)

    Args:
        arch: torchvision's name: ``"resnet50"``, ``"swin_t"``, ``"efficientnet_b0"`` ...
        nodes: The layers whose outputs are returned: ``["layer3", "layer4"]``, ``["features.7"]``.
            Layers after the last of them are dropped. A vision transformer has the one node
            ``"encoder"``, its class token.
        weights: None for random weights, a file, or the name of torchvision's own weights
            (``"DEFAULT"``, ``"IMAGENET1K_V1"``), which are downloaded on first use.
        channels_last_out: The model's maps are (B, h, w, C) and must be permuted. None: True for
            Swin transformers.

    Attributes:
        cut_layers: The layers after the last node, which a file of weights may still have.

    Raises:
        ModelError: The model, a node or the weights do not exist, or the download fails.
    """

    def __init__(
        self,
        arch: str,
        nodes: Sequence[str],
        weights: str | None = None,
        channels_last_out: bool | None = None,
    ) -> None:
        super().__init__()
        known = set(torchvision.models.list_models(module=torchvision.models)) - set(NOT_IN_ORDER)
        if arch not in known:
            raise ModelError(f"torchvision has no backbone '{arch}'.{closest(arch, known)}")
        self.body = _model(arch, weights)
        is_swin = isinstance(self.body, SwinTransformer)
        self.channels_last_out = is_swin if channels_last_out is None else channels_last_out
        self.nodes = [nodes] if isinstance(nodes, str) else list(nodes)
        self.layers = _layers_up_to(self.body, self.nodes, arch)
        self.cut_layers = [f"body.{name}" for name in layer_names(self.body)[len(self.layers) :]]
        _drop_others(self.body, self.layers)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return one map (B, C, h, w) per node, shallow to deep, for images (B, 3, H, W)."""
        if isinstance(self.body, VisionTransformer):
            return (self.body(images),)
        outputs = []
        for name in self.layers:
            images = self.body.get_submodule(name)(images)
            if name in self.nodes:
                outputs.append(images)
        if not self.channels_last_out:
            return tuple(outputs)
        return tuple(output.permute(0, 3, 1, 2) for output in outputs)


def layer_names(model: nn.Module) -> list[str]:
    """Return the names of a torchvision model's layers up to its last map, in order.

    Args:
        model: One of torchvision's classification models. A vision transformer counts as one
            layer, ``"encoder"``, which gives its class token.

    >>> layer_names(torchvision.models.squeezenet1_1(weights=None))[-2:]
    ['features.11', 'features.12']
    """
    if isinstance(model, VisionTransformer):
        return ["encoder"]
    layers: list[str] = []
    for name, child in model.named_children():
        if name in AFTER_THE_MAPS:
            break
        inner = child.named_children() if name in CONTAINERS else ()
        layers += [f"{name}.{key}" for key, _ in inner] or [name]
    return layers


def _layers_up_to(model: nn.Module, nodes: Sequence[str], arch: str) -> list[str]:
    """Return the names of a model's layers, in order, up to the last node.

    Raises:
        ModelError: `nodes` is empty, or a layer does not exist.
    """
    layers = layer_names(model)
    for node in nodes:
        if node not in layers:
            hint = closest(node, layers)
            raise ModelError(
                f"torchvision's {arch} has no node '{node}'.{hint} Its nodes: {', '.join(layers)}."
            )
    if not nodes:
        raise ModelError(f"name at least one node of torchvision's {arch}: {', '.join(layers)}.")
    return layers[: 1 + max(layers.index(node) for node in nodes)]


def _drop_others(model: nn.Module, layers: Sequence[str]) -> None:
    """Remove every layer of a model that is not in the list."""
    if isinstance(model, VisionTransformer):
        model.heads = nn.Sequential()
        return
    for name, child in list(model.named_children()):
        if name in CONTAINERS:
            for key, _ in list(child.named_children()):
                if f"{name}.{key}" not in layers:
                    delattr(child, key)
        elif name not in layers:
            delattr(model, name)


def _model(arch: str, weights: str | None) -> nn.Module:
    """Return the whole torchvision model with its weights."""
    if weights is None:
        return torchvision.models.get_model(arch, weights=None)
    published = torchvision.models.get_model_weights(arch)
    if weights != "DEFAULT" and weights not in published.__members__:
        model = torchvision.models.get_model(arch, weights=None)
        if not Path(weights).is_file():
            names = ", ".join(["DEFAULT", *published.__members__])
            raise ModelError(
                f"weights '{weights}': no file, and not torchvision's for {arch} ({names})."
            )
        load_weights(model, weights)
        return model
    try:
        return torchvision.models.get_model(arch, weights=weights, progress=on_terminal())
    except (OSError, RuntimeError) as error:  # no network; a file whose hash is wrong
        what = f"torchvision's weights '{weights}' for {arch}"
        file = published[weights].url.rpartition("/")[2]
        raise NoDownloadError(what, str(error), file) from error
