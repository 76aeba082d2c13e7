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
from cliqa.models.input_statistics import InputStatistics
from cliqa.models.weights.weights import load_weights
from cliqa.registry import MODELS
from cliqa.utils.errors import ModelError
from cliqa.utils.progress import on_terminal

CONTAINERS = ("features", "trunk_output", "layers", "blocks")
"""Children of torchvision's models that contain the layers."""

AFTER_THE_MAPS = ("avgpool", "permute", "fc", "classifier", "head", "heads")
"""Children after the last feature map."""

TOKEN = "encoder"
"""The node of a vision transformer's class token."""

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
            Layers after the last of them are dropped. A vision transformer has a map of its
            patches per block (``"encoder.layers.encoder_layer_5"``) and, as the last node, its
            class token, the vector ``"encoder"``.
        weights: None for random weights, a file, or the name of torchvision's own weights
            (``"DEFAULT"``, ``"IMAGENET1K_V2"``, ``"ResNet50_Weights.IMAGENET1K_V2"``), which are
            downloaded on first use.
        channels_last_out: The model's maps are (B, h, w, C) and must be permuted. None: True for
            Swin transformers.

    Attributes:
        cut_layers: The layers after the last node, which a file of weights may still have.
        input_statistics: Mean and deviation of the images that torchvision's own weights expect;
            None for others. A run warns if its transforms differ.

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
        self.body, self.input_statistics, file = _model(arch, weights)
        is_swin = isinstance(self.body, SwinTransformer)
        self.channels_last_out = is_swin if channels_last_out is None else channels_last_out
        self.nodes = [nodes] if isinstance(nodes, str) else list(nodes)
        self.layers = _layers_up_to(self.body, self.nodes, arch)
        cut = layer_names(self.body)[len(self.layers) :]
        # the whole encoder is the node of what comes after the blocks
        self.cut_layers = [f"body.{'encoder.ln' if n == 'encoder' else n}" for n in cut]
        _drop_others(self.body, self.layers)
        if file is not None:
            load_weights(self, file)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return one map (B, C, h, w) per node, shallow to deep, for images (B, 3, H, W)."""
        if isinstance(self.body, VisionTransformer):
            return self._of_tokens(self.body, images)
        outputs = []
        for name in self.layers:
            images = self.body.get_submodule(name)(images)
            if name in self.nodes:
                outputs.append(images)
        if not self.channels_last_out:
            return tuple(outputs)
        return tuple(output.permute(0, 3, 1, 2) for output in outputs)

    def _of_tokens(self, body: VisionTransformer, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return a vision transformer's maps (B, D, h, w), and its class token (B, D)."""
        if self.nodes == [TOKEN]:
            return (body(images),)
        grid = [size // body.patch_size for size in images.shape[-2:]]
        x = body._process_input(images)  # (B, h w, D)
        x = torch.cat([body.class_token.expand(len(x), -1, -1), x], dim=1)
        x = body.encoder.dropout(x + body.encoder.pos_embedding)
        outputs = []
        for name in self.layers:
            x = body.encoder.ln(x) if name == TOKEN else body.get_submodule(name)(x)
            if name in self.nodes:
                maps = x[:, 0] if name == TOKEN else x[:, 1:].transpose(1, 2).unflatten(2, grid)
                outputs.append(maps)
        return tuple(outputs)


def layer_names(model: nn.Module) -> list[str]:
    """Return the names of a torchvision model's layers up to its last map, in order.

    Args:
        model: One of torchvision's classification models. A vision transformer's last layer is
            ``"encoder"``, which gives its class token.

    >>> layer_names(torchvision.models.squeezenet1_1(weights=None))[-2:]
    ['features.11', 'features.12']
    """
    if isinstance(model, VisionTransformer):
        blocks = [f"encoder.layers.{name}" for name, _ in model.encoder.layers.named_children()]
        return [*blocks, TOKEN]
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
        if layers[-1] != TOKEN:
            model.encoder.layers = model.encoder.layers[: len(layers)]
            model.encoder.ln = nn.Identity()
        return
    for name, child in list(model.named_children()):
        if name in CONTAINERS:
            for key, _ in list(child.named_children()):
                if f"{name}.{key}" not in layers:
                    delattr(child, key)
        elif name not in layers:
            delattr(model, name)


def _model(arch: str, weights: str | None) -> tuple[nn.Module, InputStatistics | None, str | None]:
    """Return the whole torchvision model, with its own weights if they are asked for by name.

    Returns:
        The model, what its weights expect of images, and a file of weights that is still to load.
    """
    if weights is None:
        return torchvision.models.get_model(arch, weights=None), None, None
    published = torchvision.models.get_model_weights(arch)
    name = weights.removeprefix(f"{published.__name__}.")
    if name != "DEFAULT" and name not in published.__members__:
        model = torchvision.models.get_model(arch, weights=None)
        if not Path(weights).is_file():
            names = ", ".join(["DEFAULT", *published.__members__])
            raise ModelError(
                f"weights '{weights}': no file, and not torchvision's for {arch} ({names})."
                f"{closest(weights, published.__members__)}"
            )
        return model, None, weights
    try:
        model = torchvision.models.get_model(arch, weights=name, progress=on_terminal())
    except (OSError, RuntimeError) as error:  # no network; a file whose hash is wrong
        what = f"torchvision's weights '{weights}' for {arch}"
        file = published[name].url.rpartition("/")[2]
        raise NoDownloadError(what, str(error), file) from error
    steps = published[name].transforms()
    source = f"torchvision's '{published[name]}'"
    return model, InputStatistics(tuple(steps.mean), tuple(steps.std), source), None
