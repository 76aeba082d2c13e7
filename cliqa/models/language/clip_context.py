"""CLIP's text tower with learnt context in every text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cliqa.models.arguments import check_integer
from cliqa.models.language.clip_towers import CLIPText
from cliqa.registry import MODELS
from cliqa.utils.checkpoint import load_checkpoint
from cliqa.utils.errors import ModelError

PUBLISHED = ("context", "ctx")
"""The last part of the name of a context in a file; the second one is CoOp's."""


@MODELS.register_module()
class CLIPContextText(CLIPText):
    """Texts -> CLIP's features (T, D), with trained vectors among the words.

    Zhou et al., "Learning to prompt for vision-language models", IJCV 2022 (CoOp), section 3.2, as
    CLIP-IQA+ uses it (Wang et al., AAAI 2023): one half of the context before the words and the
    other half after them; a full stop follows. Only the context is trained by default.

    Args:
        arch: Which model; see `CLIPText`.
        pretrained: A local file of CLIP's weights; see `CLIPText`.
        freeze: Do not train the tower.
        length: M, the vectors of a context.
        contexts: Number of contexts: 1 for all texts together, or one for each text.
        context: A local file of the context alone: the published one of CLIP-IQA+ (a tensor, or
            tensors with ``prompt_learner.ctx``), or one of this model.

    Attributes:
        context: The trained vectors, (contexts, M, width).

    Raises:
        ConfigError: `arch` is unknown, or a size is not possible.
        ModelError: The package ``clip`` is missing, or a file does not fit.
        CheckpointError: A file cannot be read safely.
    """

    def __init__(
        self,
        arch: str | Mapping[str, Any] = "RN50",
        pretrained: str | Path | None = None,
        freeze: bool = True,
        length: int = 16,
        contexts: int = 1,
        context: str | Path | None = None,
    ) -> None:
        super().__init__(arch, pretrained, freeze)
        check_integer(type(self).__name__, 1, length=length, contexts=contexts)
        width = self.positional_embedding.shape[1]
        self.context = nn.Parameter(torch.randn(contexts, length, width) * 0.02)
        if context is not None:
            self._load(Path(context))

    def words(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return a vector for each token and context vector, (T, L + M, D), and their mask."""
        ids = self.ids(texts)
        counts = (super().tokenize(texts).argmax(1) - 1).tolist()  # of tokens of a text's words
        contexts = self._contexts(len(ids))  # (T, M, width)
        half, added = contexts.shape[1] // 2, contexts.shape[1]
        rows = [
            torch.cat([row[:1], own[:half], row[1 : 1 + count], own[half:], row[1 + count :]])
            for row, own, count in zip(self.token_embedding(ids), contexts, counts, strict=True)
        ]
        ends = ids.argmax(1)[:, None] + added
        mask = torch.arange(ids.shape[1] + added, device=ids.device) <= ends  # (T, L + M)
        x = torch.stack(rows) + self.positional_embedding[: mask.shape[1]]
        x = self.transformer(x.transpose(0, 1)).transpose(0, 1)
        return self.ln_final(x) @ self.text_projection, mask

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Return the ids (T, L) of the texts with a full stop, without the context.

        Raises:
            ModelError: A text is too long.
        """
        found = super().tokenize([f"{text}." for text in texts])
        most = self.length - self.context.shape[1]
        if found.shape[1] > most:
            raise ModelError(
                f"CLIPContextText: a text is too long: {found.shape[1]} tokens, but beside the "
                f"context there is room for {most}. Shorten it, or set a smaller length."
            )
        return found

    def _contexts(self, count: int) -> Tensor:
        """Return the context of each of so many texts, (T, M, width).

        Raises:
            ModelError: There are contexts for another number of texts.
        """
        if len(self.context) not in (1, count):
            raise ModelError(
                f"CLIPContextText: {len(self.context)} contexts for {count} texts. Set "
                f"contexts={count} in model.text_encoder, or 1 for all texts together."
            )
        return self.context.expand(count, -1, -1)

    def _load(self, path: Path) -> None:
        """Load the context of a file.

        Raises:
            ModelError: It has none, or one of another shape.
        """
        file = load_checkpoint(path, alone=PUBLISHED[1])
        nested = {
            k: v for part in file.values() if isinstance(part, Mapping) for k, v in part.items()
        }
        found = [
            value
            for name, value in {**nested, **file}.items()
            if str(name).rpartition(".")[2] in PUBLISHED and isinstance(value, Tensor)
        ]
        own = tuple(self.context.shape)
        if not found:
            raise ModelError(
                f"{path}: has no context of a text encoder: a tensor 'prompt_learner.ctx'. Choose "
                "a file of CLIP-IQA+'s learnt prompts."
            )
        context = found[0] if found[0].ndim == 3 else found[0][None]
        if tuple(context.shape) != own:
            raise ModelError(
                f"{path}: its context has shape {tuple(context.shape)}, not {own}. Set contexts "
                "and length in model.text_encoder to the first two of them, and arch to its CLIP."
            )
        with torch.no_grad():
            self.context.copy_(context)
