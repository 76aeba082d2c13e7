"""The difference between the outputs of an exported file and those of its model."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from cliqa.deploy.onnx.file import INPUT
from cliqa.deploy.onnx.trace import reason_of
from cliqa.utils.errors import CliqaError, ModelError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession as Session

Shape = tuple[int, int, int, int]
"""(B, C, H, W)."""


def difference(session: Session, case: Shape, images: Tensor, wanted: Tensor) -> float:
    """Return how far a file's outputs are off, relative to outputs above 1.

    Raises:
        ModelError: The file fails, or its outputs have another shape.
    """
    try:
        (values,) = session.run(None, {INPUT: images.numpy()})
    except Exception as error:  # noqa: BLE001  ONNX Runtime's errors have no common class
        raise ModelError(
            f"export: with {in_words(case)} the ONNX file fails ({reason_of(error)}). The "
            "model's code fixes a size that should be free."
        ) from error
    found = torch.from_numpy(values)
    if found.shape != wanted.shape:
        raise ModelError(
            f"export: with {in_words(case)} the ONNX file gives shape {tuple(found.shape)}, not "
            f"{tuple(wanted.shape)}. The model's code fixes a size that should be free: write -1 "
            "in view() instead of a Python number."
        )
    return relative(found, wanted)


@torch.no_grad()
def own_rounding(network: nn.Module, images: Tensor, wanted: Tensor) -> float:
    """Return how far a model's float32 outputs are off its float64 ones; 0 where it has none."""
    try:
        exact = copy.deepcopy(network).double()(images.double())
    except (CliqaError, RuntimeError, ValueError, TypeError):  # some operators have no float64
        return 0.0
    return relative(wanted.double(), exact)


def relative(found: Tensor, wanted: Tensor) -> float:
    """Return the largest difference, relative to outputs above 1; infinite where it is none.

    >>> round(relative(torch.tensor([0.5, 11.0]), torch.tensor([0.4, 10.0])), 6)
    0.1
    """
    off = (found - wanted).abs() / wanted.abs().clamp(min=1)
    return float(off.nan_to_num(nan=torch.inf).max())


def in_words(case: Shape) -> str:
    """Return a case in words.

    >>> in_words((2, 3, 32, 64))
    'batch 2 of 32 x 64 pixels'
    """
    return f"batch {case[0]} of {case[2]} x {case[3]} pixels"
