"""CLIP's text and image towers (Radford et al., 2021)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cliqa.models.language.clip_files import import_clip, load_tower, sizes_of
from cliqa.models.language.text_encoder import TextEncoder
from cliqa.registry import MODELS
from cliqa.utils.errors import ModelError

NEEDED = ("CLIPText", "use text_encoder=dict(type='TextTransformer'), which needs none")


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
        try:
            ids: Tensor = import_clip(*NEEDED).tokenize(list(texts), self.length)
        except RuntimeError as error:
            raise ModelError(f"CLIPText: a text is too long. {error}.") from error
        longest = int(ids.argmax(1).max()) + 1
        return ids[:, :longest].long().to(self.positional_embedding.device)

    def tokens(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the tokens of each text, the start's and the end's included."""
        import_clip(*NEEDED)
        from clip.clip import _tokenizer as tokenizer  # noqa: PLC0415  the package has no other way

        ids, ends = self.ids(texts), self.ids(texts).argmax(1)
        return [
            [tokenizer.decoder[int(i)].replace("</w>", "") for i in row[: int(end) + 1]]
            for row, end in zip(ids, ends, strict=True)
        ]


@MODELS.register_module()
class CLIPVision(nn.Module):
    """A backbone: images -> CLIP's features (B, D); needs the extra ``cliqa[clip]``.

    Images must have the model's own size (224 pixels) and be normalised with CLIP's mean and
    deviation: ``mean=[0.481, 0.458, 0.408], std=[0.269, 0.261, 0.276]``.

    Args:
        arch: Which model; see `CLIPText`.
        pretrained: A local file; see `CLIPText`.

    Raises:
        ConfigError: `arch` is unknown.
        ModelError: The package ``clip`` is missing, or the file does not fit.
        CheckpointError: The file cannot be read safely.
    """

    def __init__(
        self, arch: str | Mapping[str, Any] = "ViT-B/32", pretrained: str | Path | None = None
    ) -> None:
        super().__init__()
        sizes = sizes_of(arch)
        clip = import_clip("CLIPVision", "use a backbone of torchvision's, which needs none")
        width, self.size = sizes["vision_width"], sizes["image_resolution"]
        self.output_dim = sizes["embed_dim"]
        if isinstance(sizes["vision_layers"], int):
            self.visual = clip.model.VisionTransformer(
                self.size,
                sizes["vision_patch_size"],
                width,
                sizes["vision_layers"],
                width // 64,
                self.output_dim,
            )
        else:
            self.visual = clip.model.ModifiedResNet(
                sizes["vision_layers"], self.output_dim, width * 32 // 64, self.size, width
            )
        if pretrained is not None:
            load_tower(self.visual, pretrained, "visual.")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the features (B, D) of images (B, 3, S, S), S being the model's size.

        Raises:
            ModelError: The images have another size.
        """
        if images.shape[1:] != (3, self.size, self.size):
            raise ModelError(
                f"CLIPVision takes images (B, 3, {self.size}, {self.size}), got shape "
                f"{tuple(images.shape)}. Add dict(type='Resize', size=({self.size}, {self.size})) "
                "to the transforms."
            )
        found: torch.Tensor = self.visual(images)
        return found
