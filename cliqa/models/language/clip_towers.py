"""CLIP's text and image towers (Radford et al., 2021)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cliqa.models.input_statistics import InputStatistics
from cliqa.models.language.attention_pool import AttentionPool
from cliqa.models.language.clip_files import import_clip, load_tower, sizes_of
from cliqa.models.language.text_encoder import TextEncoder
from cliqa.registry import MODELS
from cliqa.utils.errors import ConfigError, ModelError

NEEDED = ("CLIPText", "use text_encoder=dict(type='TextTransformer'), which needs none")

POSITIONS = "attnpool.positional_embedding"
"""Of a ResNet's pool, which `CLIPVision` does without if asked."""


@MODELS.register_module()
class CLIPText(TextEncoder):
    """Texts -> CLIP's features (T, D); needs the extra ``cliqa[clip]``.

    Args:
        arch: Which model: ``"ViT-B/32"``, ``"RN50"`` ..., or a dict of its sizes (`ARCHS`).
        pretrained: A local file: OpenAI's TorchScript archive, or a state dict. None: random
            weights, to be replaced by a checkpoint's.
        freeze: Do not train the tower. The features of a model's texts are then computed once.

    Raises:
        ConfigError: `arch` is unknown.
        ModelError: The package ``clip`` is missing, or the file does not fit.
        CheckpointError: The file cannot be read safely.
    """

    def __init__(
        self,
        arch: str | Mapping[str, Any] = "ViT-B/32",
        pretrained: str | Path | None = None,
        freeze: bool = True,
    ) -> None:
        super().__init__()
        sizes = sizes_of(arch)
        clip = import_clip(*NEEDED)
        width, length = sizes["transformer_width"], sizes["context_length"]
        self.output_dim = sizes["embed_dim"]
        self.length = length
        later = torch.full((length, length), float("-inf")).triu_(1)
        self.transformer = clip.model.Transformer(
            width, sizes["transformer_layers"], sizes["transformer_heads"], later
        )
        self.token_embedding = nn.Embedding(sizes["vocab_size"], width)
        self.positional_embedding = nn.Parameter(torch.randn(length, width) * 0.01)
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.randn(width, self.output_dim) * width**-0.5)
        if pretrained is not None:
            load_tower(self, pretrained)
        self.requires_grad_(not freeze)

    def words(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return a vector for each token, (T, L, D), and a mask (T, L) of the tokens."""
        ids = self.ids(texts)
        mask = torch.arange(ids.shape[1], device=ids.device) <= ids.argmax(1)[:, None]  # (T, L)
        x = self.token_embedding(ids) + self.positional_embedding[: ids.shape[1]]
        x = self.transformer(x.transpose(0, 1)).transpose(0, 1)
        return self.ln_final(x) @ self.text_projection, mask

    def ids(self, texts: Sequence[str]) -> Tensor:
        """Return the tokens' ids (T, L), as long as the longest text; the end's is the highest.

        Raises:
            ModelError: A text is too long.
        """
        return self.tokenize(texts).to(self.positional_embedding.device)

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Return the ids as `ids` does, in the CPU's memory."""
        with torch.device("cpu"):  # also while a model is built without memory
            try:
                ids: Tensor = import_clip(*NEEDED).tokenize(list(texts), self.length)
            except RuntimeError as error:
                raise ModelError(f"CLIPText: a text is too long. {error}.") from error
            longest = int(ids.argmax(1).max()) + 1
            return ids[:, :longest].long()

    def tokens(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the tokens of each text, the start's and the end's included."""
        import_clip(*NEEDED)
        from clip.clip import _tokenizer as tokenizer  # noqa: PLC0415  the package has no other way

        return [
            [tokenizer.decoder[int(i)].replace("</w>", "") for i in row[: int(row.argmax()) + 1]]
            for row in self.tokenize(texts)
        ]


MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of the images that OpenAI's weights expect, in levels 0..1."""


@MODELS.register_module()
class CLIPVision(nn.Module):
    """A backbone: images -> CLIP's features (B, D), or maps before them; needs ``cliqa[clip]``.

    Images must be normalised with CLIP's mean and deviation (``mean=[0.481, 0.458, 0.408],
    std=[0.269, 0.261, 0.276]``). All but a ResNet's maps need images of the model's own size (224
    pixels), unless `positions` is False.

    Args:
        arch: Which model; see `CLIPText`.
        pretrained: A local file; see `CLIPText`.
        out_indices: Levels that are returned as maps (B, C, h, w) in place of the projected
            features: the blocks of a vision transformer, whose tokens of the patches are the map,
            or the four stages of a ResNet, counted from 0; negative ones count from the end.
            Layers after the last of them are dropped.
        positions: Add the learnt positions to a ResNet's last map before it is pooled. False for
            images of any size: CLIP-IQA's `AttentionPool`.

    Attributes:
        input_statistics: Mean and deviation that the weights expect; None without weights. A run
            warns if its transforms differ.
        cut_layers: The dropped layers, which a file of weights may still have.

    Raises:
        ConfigError: `arch` is unknown, a level does not exist, or `positions` is False for a vision
            transformer.
        ModelError: The package ``clip`` is missing, or the file does not fit.
        CheckpointError: The file cannot be read safely.
    """

    def __init__(
        self,
        arch: str | Mapping[str, Any] = "ViT-B/32",
        pretrained: str | Path | None = None,
        out_indices: Sequence[int] | None = None,
        positions: bool = True,
    ) -> None:
        super().__init__()
        sizes = sizes_of(arch)
        clip = import_clip("CLIPVision", "use a backbone of torchvision's, which needs none")
        width, self.size = sizes["vision_width"], sizes["image_resolution"]
        self.output_dim = sizes["embed_dim"]
        self.patch: int | None = None
        if isinstance(sizes["vision_layers"], int):
            self.patch = sizes["vision_patch_size"]
            self.visual = clip.model.VisionTransformer(
                self.size,
                self.patch,
                width,
                sizes["vision_layers"],
                width // 64,
                self.output_dim,
            )
        else:
            self.visual = clip.model.ModifiedResNet(
                sizes["vision_layers"], self.output_dim, width * 32 // 64, self.size, width
            )
        self.positions = positions
        if not positions:
            self._drop_positions(width)
        self.input_statistics: InputStatistics | None = None
        if pretrained is not None:
            load_tower(self.visual, pretrained, "visual.", () if positions else (POSITIONS,))
            self.input_statistics = InputStatistics(MEAN, STD, f"CLIP's {Path(pretrained).name}")
        self.indices = None if out_indices is None else self._cut(list(out_indices))

    def _drop_positions(self, width: int) -> None:
        """Pool a ResNet's last map without positions.

        Raises:
            ConfigError: The model is a vision transformer.
        """
        if self.patch is not None:
            raise ConfigError(
                "CLIPVision: positions=False is for CLIP's ResNets, whose pool alone has them; a "
                "vision transformer needs them. Set arch='RN50', or leave positions out."
            )
        self.visual.attnpool = AttentionPool(width * 32, self.output_dim, width * 32 // 64)

    def _cut(self, out_indices: list[int]) -> list[int]:
        """Drop the layers after the last level; return the levels, counted from 0.

        Raises:
            ConfigError: There is none, or a level does not exist.
        """
        levels = self._levels()
        if not out_indices or any(not -len(levels) <= i < len(levels) for i in out_indices):
            raise ConfigError(
                f"CLIPVision: out_indices={out_indices}, but this model has the levels 0 to "
                f"{len(levels) - 1}. Name at least one of them, or leave out_indices out."
            )
        found = [index % len(levels) for index in out_indices]
        before = set(self.state_dict())
        if self.patch is None:
            for number in range(max(found) + 2, len(levels) + 1):
                setattr(self.visual, f"layer{number}", nn.Identity())
            self.visual.attnpool = nn.Identity()
        else:
            self.visual.transformer.resblocks = levels[: max(found) + 1]
            self.visual.ln_post, self.visual.proj = nn.Identity(), None
        gone = before - set(self.state_dict())
        self.cut_layers = sorted({name.rpartition(".")[0] for name in gone} - {"visual"})
        return found

    def _levels(self) -> nn.Sequential:
        """Return the blocks of the transformer, or the stages of the ResNet."""
        if self.patch is not None:
            blocks: nn.Sequential = self.visual.transformer.resblocks
            return blocks
        return nn.Sequential(*(getattr(self.visual, f"layer{number}") for number in range(1, 5)))

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Return the features (B, D) of images (B, 3, S, S), S being the model's size, or maps.

        Images may have any size for a ResNet's maps, and without `positions`.

        Raises:
            ModelError: The images have another size.
        """
        fixed = self.patch is not None or (self.indices is None and self.positions)
        if fixed and images.shape[1:] != (3, self.size, self.size):
            raise ModelError(
                f"CLIPVision takes images (B, 3, {self.size}, {self.size}), got shape "
                f"{tuple(images.shape)}. Add dict(type='Resize', size=({self.size}, {self.size})) "
                "to the transforms; a ResNet takes any size with model.backbone.positions=False."
            )
        if self.indices is None:
            found: torch.Tensor = self.visual(images)
            return found
        x, maps = self._start(images), []
        for level in self._levels():
            x = level(x)
            maps.append(x if self.patch is None else self._patches(x))
        return tuple(maps[index] for index in self.indices)

    def _start(self, images: torch.Tensor) -> torch.Tensor:
        """Return the first level's inputs: tokens (1 + h w, B, D), or maps of the stem."""
        net = self.visual
        if self.patch is None:
            x = net.relu1(net.bn1(net.conv1(images)))
            x = net.relu2(net.bn2(net.conv2(x)))
            x = net.relu3(net.bn3(net.conv3(x)))
            pooled: torch.Tensor = net.avgpool(x)
            return pooled
        x = net.conv1(images).flatten(2).transpose(1, 2)  # (B, h w, D)
        x = torch.cat([net.class_embedding.expand(len(x), 1, -1), x], dim=1)
        tokens: torch.Tensor = net.ln_pre(x + net.positional_embedding).transpose(0, 1)
        return tokens

    def _patches(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the patches' tokens as a map (B, D, h, w), without the class token."""
        side = self.size // (self.patch or 1)
        return tokens[1:].permute(1, 2, 0).unflatten(2, (side, side))
