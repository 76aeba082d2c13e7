"""Sessions of ONNX Runtime: on which device and with how many threads a file is computed."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cliqa.deploy.libraries import library
from cliqa.utils import errors
from cliqa.utils.device import compute_threads
from cliqa.utils.errors import ArtifactError, ConfigError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession as Session
    from torch import Tensor

logger = logging.getLogger(__name__)

CPU, CUDA, TENSORRT = (f"{name}ExecutionProvider" for name in ("CPU", "CUDA", "Tensorrt"))

SILENT, WARNING = 4, 2
"""ONNX Runtime's severities: errors are raised, and its log adds nothing; its own default."""

Provider = str | tuple[str, dict[str, Any]]
"""One of ONNX Runtime's execution providers, with its options if it has any."""


def providers_of(device: str) -> list[Provider]:
    """Return the execution providers for a device, the wanted one first.

    Args:
        device: ``"cpu"``; ``"cuda"`` or ``"cuda:N"``; ``"tensorrt"``, which builds an engine for
            every size of batch and image first, for minutes; or ``"auto"``: CUDA if this ONNX
            Runtime has it, else the CPU.

    Returns:
        The CPU is the last one: it computes what the others cannot. It is the only one, and that is
        logged, if the wanted one is not there.

    Raises:
        ConfigError: The device is unknown.
    """
    kind, _, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda", "tensorrt") or not (number or "0").isdecimal():
        raise ConfigError(
            f"--device {device}: unknown device. Use auto, cpu, cuda, cuda:N or tensorrt."
        )
    if kind == "cpu":
        return [CPU]
    available = library("onnxruntime").get_available_providers()
    chosen = [TENSORRT, CUDA] if kind == "tensorrt" else [CUDA]
    if chosen[0] not in available:
        if kind != "auto":
            _tell_fallback(device, f"this ONNX Runtime has no {chosen[0]}")
        return [CPU]
    options = {"device_id": int(number or 0)}
    return [*((name, options) for name in chosen if name in available), CPU]


def open_session(
    model: bytes | str | Path,
    name: str | Path,
    threads: int | None = None,
    device: str = "cpu",
    records: str | Path | None = None,
) -> Session:
    """Return a session of ONNX Runtime.

    Args:
        model: An ONNX file, or its content.
        name: What the error message calls it.
        threads: Threads of a pass on the CPU; None for `compute_threads`.
        device: See `providers_of`. If its provider does not work here, the CPU computes, and that
            is logged.
        records: A folder for the times of its passes, which ``end_profiling`` writes, and for
            ``optimized.onnx``, the graph that it runs.

    Raises:
        ArtifactError: It is no ONNX file that ONNX Runtime can run.
        ConfigError: The device is unknown, or the package onnxruntime is not installed.
    """
    providers = providers_of(device)
    runtime = library("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = compute_threads() if threads is None else threads
    options.inter_op_num_threads = 1
    options.log_severity_level = SILENT
    if records is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(records) / "profile")
        options.optimized_model_filepath = str(Path(records) / "optimized.onnx")
    source = model if isinstance(model, bytes) else str(model)

    def opened(providers: list[Provider]) -> Session:
        return runtime.InferenceSession(  # a fallback would be printed
            source, options, providers=providers, enable_fallback=0
        )

    if len(providers) > 1:
        try:
            session = opened(providers)
        except Exception as error:  # noqa: BLE001  its own errors have no common class
            _tell_fallback(device, first_line(error))
        else:
            wanted = str(providers[0][0])
            if wanted not in session.get_providers():
                _tell_fallback(device, f"{wanted} does not start")
            return session
    try:
        return opened([CPU])
    except Exception as error:  # noqa: BLE001  its own errors have no common class
        raise damaged(name, error) from error


@contextlib.contextmanager
def quiet_tools() -> Iterator[None]:
    """Keep the log of ONNX Runtime's own tools off the screen inside the block.

    They open sessions without options. What these warn of, such as constants that a file holds and
    nobody reads, changes nothing, and a user cannot act on it.
    """
    runtime = library("onnxruntime")
    runtime.set_default_logger_severity(SILENT)
    try:
        yield
    finally:
        runtime.set_default_logger_severity(WARNING)  # what it was cannot be asked


def _tell_fallback(device: str, why: str) -> None:
    """Log that the CPU computes instead."""
    logger.warning(
        "--device %s: %s; the file is computed on the CPU. For a GPU install the package "
        "onnxruntime-gpu in place of onnxruntime, with the CUDA libraries that it asks for.",
        device,
        why,
    )


def run_session(session: Session, name: str, images: Tensor) -> Tensor:
    """Return the first output, in float32, for images (B, C, H, W) as the input of this name."""
    import torch  # noqa: PLC0415  arrays are scored without it

    values = images.detach().float().cpu().contiguous().numpy()
    return torch.from_numpy(session.run(None, {name: values})[0]).float()


def first_line(why: object) -> str:
    """Return the first line of an error's text, without the stop at its end."""
    return errors.first_line(why).rstrip(".")


def damaged(path: str | Path, why: object) -> ArtifactError:
    """Return the error of a file that is no ONNX file."""
    return ArtifactError(
        f"{path}: damaged, or no ONNX file that can be run ({first_line(why)}). Export the "
        "checkpoint again with cliqa compress export."
    )
