"""Traceable replacements of operations that cannot be exported."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from unittest import mock

import torch
from mmpretrain.models.utils.attention import ShiftWindowMSA
from torch import Tensor


def join_windows(windows: Tensor, height: int, width: int, edge: int) -> Tensor:
    """Return maps (B, height, width, C) from their windows (B * n, edge, edge, C).

    mmpretrain computes B as a Python number, which a trace stores as a constant: the file would
    silently be wrong for every other batch size.

    >>> join_windows(torch.arange(8.0).view(2, 2, 2, 1), 2, 4, 2)[0, :, :, 0]
    tensor([[0., 1., 4., 5.],
            [2., 3., 6., 7.]])
    """
    channels = windows.shape[-1]
    cells = windows.view(-1, height // edge, width // edge, edge, edge, channels)
    return cells.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, height, width, channels)


def distances(a: Tensor, b: Tensor, **_: object) -> Tensor:
    """Return the Euclidean distances (P, R) of vectors (P, D) and (R, D).

    ONNX has no ``torch.cdist``.

    >>> distances(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]))
    tensor([[5.]])
    """
    return (a[:, None] - b).square().sum(-1).sqrt()


@contextlib.contextmanager
def export_forms() -> Iterator[None]:
    """Use the functions of this module inside the block, in all threads."""
    with (
        mock.patch.object(ShiftWindowMSA, "window_reverse", staticmethod(join_windows)),
        mock.patch.object(torch, "cdist", distances),
    ):
        yield
