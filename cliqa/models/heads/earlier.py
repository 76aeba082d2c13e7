"""The heads of earlier data sets beside a model's own head, over one trunk."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from cliqa.utils.errors import ModelError

HEADS = "earlier_heads"
"""The part of a model that holds the heads of earlier experiences."""


class EarlierHeads(nn.ModuleList):
    """Heads of one kind, as many as the weights that are loaded have.

    Args:
        head: The model's own head, the pattern of all others. It stays a part of the model alone.
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self._like = [head]  # in a list: not a submodule of this one

    def keep(self) -> nn.Module:
        """Append a copy of the model's own head, and return it."""
        kept = copy.deepcopy(self._like[0])
        for parameter in kept.parameters():
            parameter.grad = None
        self.append(kept)
        return kept

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        *args: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """Have as many heads as the weights, before these are loaded into them."""
        names = (name[len(prefix) :] for name in state_dict if name.startswith(prefix))
        found = {name.partition(".")[0] for name in names}
        del self[len(found) :]
        while len(self) < len(found):
            self.keep()
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


@contextmanager
def heads_said(
    head: nn.Module, others: Iterable[nn.Module], raw: bool = False
) -> Iterator[list[Tensor]]:
    """Let other heads score what a model's own head is given.

    Args:
        head: The model's own head.
        others: The T heads, of the same inputs. The model's own may be one of them.
        raw: Take a head's `raw` output, as a loss sees it, where it has one.

    Yields:
        A list with the others' scores (B, T) or logits (B, T, K) of every call of the model.
    """
    said: list[Tensor] = []
    heard = list(others)

    def say(_: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        found = [getattr(h, "raw", h.forward) if raw else h.forward for h in heard]
        outputs = [of_head(call(*inputs, **named)) for call in found]
        if outputs:
            said.append(torch.stack(outputs, dim=1))

    handle = head.register_forward_pre_hook(say, with_kwargs=True)
    try:
        yield said
    finally:
        handle.remove()


def of_head(output: Tensor) -> Tensor:
    """Return a head's output as the model does: scores (B,) for a single one (B, 1)."""
    return output[:, 0] if output.dim() == 2 and output.shape[1] == 1 else output


def of_images(said: Sequence[Tensor], count: int) -> Tensor:
    """Return what heads said of images, averaged over an image's crops.

    Args:
        said: Of one call for all images (B, T, ...) or crops (B * N, T, ...), or of a call for each
            image (N, T, ...).
        count: B, the images.

    Returns:
        (B, T, ...).
    """
    if len(said) == 1:
        return said[0].reshape(count, -1, *said[0].shape[1:]).mean(1)
    return torch.stack([one.mean(0) for one in said])


def earlier_heads(model: nn.Module) -> EarlierHeads:
    """Return a model's earlier heads.

    Raises:
        ModelError: It was not prepared for them.
    """
    kept = getattr(model, HEADS, None)
    if isinstance(kept, EarlierHeads):
        return kept
    raise ModelError(
        f"MultiHead: the {type(model).__name__} has no room for earlier heads. Call the plugin's "
        "prepare(model) before making the optimizer."
    )
