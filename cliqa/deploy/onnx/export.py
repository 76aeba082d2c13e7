"""A PyTorch model as one ONNX file, which is written only if it matches the model's outputs."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from cliqa import __version__
from cliqa.deploy.file_checksum import seal_onnx
from cliqa.deploy.libraries import library
from cliqa.deploy.onnx.file import describe
from cliqa.deploy.onnx.parity import Shape, difference, in_words, own_rounding
from cliqa.deploy.onnx.session import open_session
from cliqa.deploy.onnx.trace import reason_of, trace
from cliqa.models.complexity import count_macs
from cliqa.models.fake_quantization import remove_rounding
from cliqa.models.lora.adapters import merge
from cliqa.utils.errors import CliqaError, ConfigError, ModelError
from cliqa.utils.io import atomic_open

BATCHES = (1, 2, 5)
"""Batch sizes at which a file is compared with its model; it is traced at `TRACED_BATCH`."""

TRACED_BATCH = 2
"""A size of 1 would be treated as a constant."""

SIZE_CHANGES = ((32, 64), (13, 29))
"""Pixels added to height and width, at which a file for any size is compared too."""

ROUNDING_FACTOR = 4
"""A file may differ by so many times the error of the model's own float32 against float64.

File and model round differently, and some networks amplify it, e.g. those that generate weights.
"""

DynamicSize = bool | Literal["auto"]


@dataclass(frozen=True)
class ExportReport:
    """The result of an export.

    Attributes:
        path: The file.
        file_bytes: Its size.
        parameters: Of the network.
        size: (H, W) of its images; None for any.
        parity: The largest difference to the model by case (``"batch 5 of 64 x 64 pixels"``),
            relative to outputs above 1.
        note: Why the size is fixed where any was asked for; empty otherwise.
        seconds: How long it took.
    """

    path: Path
    file_bytes: int
    parameters: int
    size: tuple[int, int] | None
    parity: dict[str, float]
    note: str
    seconds: float


def export_onnx(
    model: nn.Module,
    path: str | Path,
    *,
    channels: int,
    size: tuple[int, int],
    metadata: Mapping[str, Any],
    dynamic_size: DynamicSize = False,
    tolerance: float = 1e-5,
) -> ExportReport:
    """Write a model as an ONNX file with its weights inside; the batch may have any size.

    The file is run and compared with the model first, at several batch sizes, and nothing is
    written where they differ. The model itself is left as it is: a copy is merged (adapters), cast
    to float32 and traced in evaluation mode. Rounding of `QAT` is not in it: it is what a
    quantization of the file does.

    Args:
        model: Images (B, channels, H, W) -> scores (B,) or logits (B, K).
        path: The file.
        channels: Of the images.
        size: (H, W) to trace with.
        metadata: The description (`cliqa.deploy.onnx.file`); the entries that follow from the model
            and the other arguments are filled in.
        dynamic_size: Let images have any size too; ``"auto"``: where that can be had.
        tolerance: Largest difference allowed, relative to outputs above 1; more is allowed where
            the model itself is further off its own float64.

    Raises:
        ConfigError: An argument is out of range, or a package is missing.
        ModelError: The model cannot be exported, or the outputs of the file differ.
    """
    started = time.monotonic()
    path = Path(path)
    _check(path, channels, size, dynamic_size, tolerance)
    for name in ("onnx", "onnxscript", "onnxruntime"):
        library(name)
    network = _frozen_copy(model)
    shape = (channels, *size)
    wanted = _references(network, _cases(shape, bool(dynamic_size)))
    _merge(network)
    proto, parity, note = _traced(network, shape, wanted, dynamic_size, tolerance)
    any_size = bool(dynamic_size) and not note
    parameters = sum(p.numel() for p in network.parameters())
    facts = {
        "version": __version__,
        "channels": channels,
        "size": None if any_size else list(size),
        "precision": "fp32",
        "parameters": parameters,
        "macs": _macs(network, shape),
        "macs_size": list(size),
    }
    describe(proto, {**metadata, **facts})
    content = seal_onnx(proto)
    with atomic_open(path, "wb") as file:
        file.write(content)
    return ExportReport(
        path=path,
        file_bytes=len(content),
        parameters=parameters,
        size=None if any_size else size,
        parity=parity,
        note=note,
        seconds=time.monotonic() - started,
    )


References = dict[Shape, "tuple[Tensor, Tensor]"]


def _check(
    path: Path, channels: int, size: tuple[int, int], dynamic_size: DynamicSize, tolerance: float
) -> None:
    """Refuse what cannot be meant, before long work."""
    if path.suffix != ".onnx":
        raise ConfigError(f"{path}: the name of an ONNX file must end in .onnx.")
    if channels < 1 or min(size) < 1:
        raise ConfigError(f"export: channels={channels} and size={size} must be at least 1.")
    if dynamic_size not in (True, False, "auto"):
        raise ConfigError(
            f"export: dynamic_size must be True, False or 'auto', got {dynamic_size!r}."
        )
    if not tolerance > 0:
        raise ConfigError(f"export: tolerance must be above 0, got {tolerance:g}.")


def _frozen_copy(model: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode, in float32 on the CPU, without the rounding of `QAT`."""
    network = copy.deepcopy(model).to("cpu", torch.float32).eval().requires_grad_(False)
    remove_rounding(network)
    return network


def _merge(network: nn.Module) -> None:
    """Put adapters into the weights, and drop forward hooks."""
    merge(network)
    for module in network.modules():
        module._forward_hooks.clear()


def _cases(shape: tuple[int, int, int], any_size: bool) -> list[Shape]:
    """Return the shapes (B, C, H, W) at which a file is compared."""
    channels, height, width = shape
    cases = [(batch, channels, height, width) for batch in BATCHES]
    if any_size:
        cases += [(3, channels, height + more, width + wide) for more, wide in SIZE_CHANGES]
    return cases


@torch.no_grad()
def _references(network: nn.Module, cases: list[Shape]) -> References:
    """Return seeded images and the network's own outputs for them.

    Sizes that the network itself refuses are left out, but for the one to trace.

    Raises:
        ModelError: The network refuses that one, or its outputs are no finite scores or logits.
    """
    found: References = {}
    for case in cases:
        images = torch.randn(case, generator=torch.Generator().manual_seed(case[0]))
        try:
            output = network(images)
        except (CliqaError, RuntimeError, ValueError, AssertionError, TypeError) as error:
            if case[2:] == cases[0][2:]:
                raise ModelError(
                    f"export: the model fails with {in_words(case)} ({reason_of(error)}). Choose "
                    "another size."
                ) from error
            continue
        if not isinstance(output, Tensor) or output.dim() not in (1, 2):
            kind = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise ModelError(f"export: the model gives {kind}, not scores (B,) or logits (B, K).")
        if not output.isfinite().all():
            raise ModelError(
                f"export: the model gives NaN or infinity for {in_words(case)}, which cannot be "
                "compared. Train it to finite weights first."
            )
        found[case] = images, output
    return found


def _macs(network: nn.Module, shape: tuple[int, int, int]) -> int | None:
    """Return the multiply-accumulates of one image; None where they cannot be counted."""
    with contextlib.suppress(ModelError):
        return count_macs(network, torch.zeros(1, *shape))
    return None


def _traced(
    network: nn.Module,
    shape: tuple[int, int, int],
    wanted: References,
    dynamic_size: DynamicSize,
    tolerance: float,
) -> tuple[Any, dict[str, float], str]:
    """Return the file's content, how far it is off, and why its size is fixed (or nothing)."""
    note = ""
    fixed = {case: pair for case, pair in wanted.items() if case[2:] == shape[1:]}
    if dynamic_size:
        try:
            if len(wanted) == len(fixed):
                raise ModelError("export: the model itself takes images of one size alone.")
            return *_attempt(network, shape, wanted, True, tolerance), note
        except ModelError as error:
            if dynamic_size != "auto":
                advice = "Or export for images of one size. Nothing was written."
                raise ModelError(f"{error} {advice}") from error
            note = str(error).removeprefix("export: ")
    return *_attempt(network, shape, fixed, False, tolerance), note


def _attempt(
    network: nn.Module,
    shape: tuple[int, int, int],
    wanted: References,
    any_size: bool,
    tolerance: float,
) -> tuple[Any, dict[str, float]]:
    """Return the file's content and how far it is off, if that is little enough."""
    proto = trace(network, wanted[(TRACED_BATCH, *shape)][0], any_size)
    session = open_session(proto.SerializeToString(), "export")
    parity = {case: difference(session, case, *pair) for case, pair in wanted.items()}
    for case, off in parity.items():
        if off > tolerance and off > ROUNDING_FACTOR * own_rounding(network, *wanted[case]):
            raise ModelError(
                f"export: with {in_words(case)} the ONNX file differs from the model by {off:.1e}, "
                f"more than tolerance={tolerance:g} and than float32's own rounding explains. "
                "Where it is little more, raise the tolerance (--tolerance "
                f"{10 * tolerance:g}); else the model's code makes a Python number of a tensor's "
                "size, which is right for the traced batch alone: write -1 in view() instead."
            )
    return proto, {in_words(case): off for case, off in parity.items()}
