"""Where the time of an ONNX file goes: by operator, as ONNX Runtime's own profile has it.

ONNX Runtime fuses and replaces nodes when it opens a file. What is timed is what it runs.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from cliqa.deploy.libraries import library
from cliqa.deploy.onnx.integers.integer_forms import groups_of
from cliqa.deploy.onnx.session import damaged, open_session, run_session

WARM_UP = 2
"""Passes before the first that counts."""

PROFILED = "_kernel_time"
"""The end of the names of a profile's entries that time a node."""

KINDS: Mapping[str, Sequence[str]] = {
    "activation": ("HardSigmoid", "HardSwish", "Sigmoid", "QLinearSigmoid", "QuickGelu", "Relu")
    + ("Clip", "LeakyRelu", "QLinearLeakyRelu", "Gelu", "Softmax"),
    "sum and product": ("Add", "Mul", "QLinearAdd", "QLinearMul", "Sub", "Div"),
    "to and from integers": ("QuantizeLinear", "DequantizeLinear"),
    "order in memory": ("ReorderInput", "ReorderOutput", "Transpose"),
    "pooling": ("ReduceMean", "GlobalAveragePool", "QLinearGlobalAveragePool")
    + ("MaxPool", "AveragePool", "QLinearAveragePool"),
    "matrix product": ("Gemm", "MatMul", "QGemm", "QLinearMatMul", "FusedMatMul", "FusedGemm"),
}
"""Operators by kind, beside the convolutions; all others are ``"other"``."""


def operator_times(
    path: str | Path, batch: Tensor, *, threads: int = 1, passes: int = 7
) -> dict[str, float]:
    """Return the milliseconds of a pass by kind of operator, the largest first.

    Args:
        path: An ONNX file.
        batch: Images (B, C, H, W).
        threads: Threads of the CPU.
        passes: Passes that count; a node's time is the median of them.

    Returns:
        By ``"convolution"``, ``"depthwise convolution"``, the kinds of `KINDS`, and ``"other"``.

    Raises:
        ArtifactError: ONNX Runtime cannot run the file.
        ConfigError: A library is missing.
    """
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        session = open_session(path, path, threads, records=folder)
        try:
            for _ in range(WARM_UP + passes):
                run_session(session, session.get_inputs()[0].name, batch)
            profile = Path(session.end_profiling())
        except Exception as error:  # onnxruntime's own have no common base
            raise damaged(path, error) from error
        graph = library("onnx").load(str(Path(folder) / "optimized.onnx")).graph
        grouped = {node.name: groups_of(node) > 1 for node in graph.node}
        for name, (operator, times) in _times_by_node(profile).items():
            kind = kind_of(operator, grouped.get(name, False))
            found[kind] = found.get(kind, 0.0) + statistics.median(times[WARM_UP:]) / 1e3
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def kind_of(operator: str, grouped: bool = False) -> str:
    """Return the kind of an operator.

    >>> kind_of("QLinearConv"), kind_of("FusedConv", grouped=True), kind_of("Expand")
    ('convolution', 'depthwise convolution', 'other')
    """
    if "Conv" in operator:
        return "depthwise convolution" if grouped else "convolution"
    return next((kind for kind, names in KINDS.items() if operator in names), "other")


def _times_by_node(profile: Path) -> dict[str, tuple[str, list[float]]]:
    """Return (operator, microseconds of each pass) by node."""
    nodes: dict[str, tuple[str, list[float]]] = {}
    for entry in json.loads(profile.read_text(encoding="utf-8")):
        if entry.get("cat") == "Node" and entry["name"].endswith(PROFILED):
            name = entry["name"].removesuffix(PROFILED)
            nodes.setdefault(name, (entry["args"]["op_name"], []))[1].append(entry["dur"])
    return nodes
