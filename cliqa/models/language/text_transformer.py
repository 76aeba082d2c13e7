"""A small text encoder that is trained from scratch together with its images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.models.arguments import check_positive
from cliqa.models.language.byte_pairs import PAD, SPECIAL, build_tokenizer, learn_merges
from cliqa.models.language.text_encoder import TextEncoder
from cliqa.registry import MODELS
from cliqa.utils.errors import ConfigError, ModelError


@MODELS.register_module()
class TextTransformer(TextEncoder):
    """A transformer over byte pairs; a text's vector is that of its end token.

    Every token attends to every other one. The vocabulary is learnt from the model's texts and is
    part of the state dict, so that a checkpoint needs no other file.

    Args:
        vocab_size: V, the maximum number of tokens; at least 258. Any text can be tokenized, byte
            by byte if necessary.
        dim: D.
        layers: Blocks of attention and perceptron.
        heads: Heads of the attention; they share D among them.
        max_length: Maximum number of tokens of a text, with its end.

    Attributes:
        merges: (V - 258, 2) int64; see `learn_merges`.

    Raises:
        ConfigError: A size is not above 0, or `heads` does not divide `dim`.
    """

    merges: Tensor

    def __init__(
        self,
        vocab_size: int = 512,
        dim: int = 64,
        layers: int = 2,
        heads: int = 4,
        max_length: int = 77,
    ) -> None:
        super().__init__()
        check_positive(
            "TextTransformer", dim=dim, layers=layers, heads=heads, max_length=max_length
        )
        if dim % heads:
            raise ConfigError(f"TextTransformer: heads={heads} does not divide dim={dim}.")
        self.output_dim = dim
        self.max_length = max_length
        self.vocab_size = vocab_size
        self.register_buffer("merges", learn_merges([], vocab_size))
        self.embedding = nn.Parameter(torch.randn(vocab_size, dim) * 0.02)
        self.places = nn.Parameter(torch.randn(max_length, dim) * 0.01)
        self.blocks = nn.ModuleList(_Block(dim, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        self._known: dict[tuple[str, ...], Tensor] = {}
        self.register_load_state_dict_post_hook(_forget_ids)

    def learn(self, texts: Sequence[str]) -> None:
        """Learn the vocabulary from the texts of a new model."""
        self.merges.copy_(learn_merges(texts, self.vocab_size))
        self._known.clear()

    def ids(self, texts: Sequence[str]) -> Tensor:
        """Return the tokens' ids (T, L), 0 after a text's end.

        Raises:
            ModelError: A text is too long.
        """
        key = tuple(texts)
        if key not in self._known:
            found = [encoding.ids for encoding in self._encodings(key)]
            with torch.inference_mode(False):  # else no gradient could ever pass by what is kept
                self._known[key] = torch.tensor(found, device=self.merges.device)
        ids = self._known[key]
        return ids.to(self.merges.device)

    def tokens(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the tokens of each text, ``_`` for a space."""
        return [
            [token.replace("\u0120", "_") for token in encoding.tokens if token != SPECIAL[PAD]]
            for encoding in self._encodings(texts)
        ]

    def words(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return a vector for each token, (T, L, D), and a mask (T, L) of the tokens."""
        ids = self.ids(texts)
        mask = ids != PAD  # (T, L)
        x = F.embedding(ids, self.embedding) + self.places[: ids.shape[1]]  # (T, L, D)
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x), mask

    def _encodings(self, texts: Sequence[str]) -> list[Any]:
        """Return the tokenizer's encodings of texts."""
        found = build_tokenizer(self.merges.cpu()).encode_batch(list(texts))
        for text, encoding in zip(texts, found, strict=True):
            length = sum(encoding.attention_mask)
            if length > self.max_length:
                raise ModelError(
                    f"TextTransformer: {text!r} has {length} tokens, {self.max_length} at most. "
                    f"Set max_length={length} in model.text_encoder, or shorten the text."
                )
        return found


def _forget_ids(encoder: TextTransformer, _: object) -> None:
    """Forget the ids of texts after another vocabulary was loaded."""
    encoder._known.clear()


class _Block(nn.Module):
    """A pre-norm transformer block: attention and a perceptron, each with a residual connection."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return (T, L, D) for tokens (T, L, D), masked by `mask` (T, L)."""
        x = x + self.attention(self.norm1(x), mask)
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))

    def attention(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the output of self-attention, (T, L, D)."""
        parts = self.qkv(x).unflatten(-1, (3, self.heads, -1))  # (T, L, 3, heads, D / heads)
        q, k, v = (part.transpose(1, 2) for part in parts.unbind(2))  # (T, heads, L, D / heads)
        # explicit: torch's fused attention has no vmap rule, which per-sample gradients need
        logits = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5  # (T, heads, L, L)
        logits = logits.masked_fill(~mask[:, None, None], float("-inf"))
        return self.proj((logits.softmax(-1) @ v).transpose(1, 2).flatten(2))
