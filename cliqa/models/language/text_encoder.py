"""The interface of text encoders, and a cache of their features."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class TextEncoder(nn.Module):
    """Texts -> vectors. Legend: T texts, L tokens of the longest, D length of a vector.

    Attributes:
        output_dim: D.
    """

    output_dim: int

    def learn(self, texts: Sequence[str]) -> None:
        """Learn a vocabulary from the texts of a new model; does nothing if it has its own.

        Args:
            texts: Every prompt of the model.
        """

    @abstractmethod
    def words(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return a vector for each token, (T, L, D), and a mask (T, L) of the tokens."""

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Return the vector of each text's end, (T, D)."""
        words, mask = self.words(texts)
        last = mask.sum(dim=1) - 1  # (T,)
        return words[torch.arange(len(last), device=last.device), last]

    @abstractmethod
    def tokens(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the readable tokens of each text, with the end token."""


class KeptFeatures:
    """A cache of text features from a frozen encoder.

    They are recomputed when the texts or a tensor of the encoder change, and always if a parameter
    is trained. A trace for an export uses the cached features, a constant in place of the encoder.

    Args:
        what: The encoder's method to cache: ``"encode"`` or ``"words"``.
    """

    def __init__(self, what: str = "encode") -> None:
        self._what = what
        self._key: tuple[object, ...] = ()
        self._kept: Any = None

    def __call__(self, encoder: TextEncoder, texts: tuple[str, ...]) -> Any:  # noqa: ANN401
        """Return the method's result for texts, on the encoder's device."""
        compute = getattr(encoder, self._what)
        if torch.compiler.is_exporting():
            return self._kept if self._key[:1] == (texts,) else compute(texts)
        if any(p.requires_grad for p in encoder.parameters()):
            return compute(texts)
        tensors = [*encoder.parameters(), *encoder.buffers()]
        key = (texts, *((id(t), t._version, t.device, t.dtype) for t in tensors))
        if self._kept is None or key != self._key:
            device = tensors[0].device.type if tensors else "cpu"
            # a tensor of the inference mode could not be part of a graph later
            with (
                torch.inference_mode(False),
                torch.no_grad(),
                torch.autocast(device, enabled=False),
            ):
                features = compute(texts)
            first = features if isinstance(features, Tensor) else features[0]
            if torch._C._functorch.is_functorch_wrapped_tensor(first):
                return features  # a tensor of torch.func.grad must not outlive it
            self._key, self._kept = key, features
        return self._kept
