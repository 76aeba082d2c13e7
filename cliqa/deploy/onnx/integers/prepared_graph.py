"""ONNX files made ready for quantization."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from cliqa.deploy.libraries import library
from cliqa.deploy.onnx.graph import (
    get_metadata,
    graph_input,
    load_graph,
    name_nodes,
    onnx_head,
    save_graph,
)
from cliqa.deploy.onnx.integers.calibration import CalibrationImages, tensor_ranges
from cliqa.deploy.onnx.integers.integer_forms import pool_in_one_node
from cliqa.deploy.onnx.score_head import LAYERS
from cliqa.deploy.onnx.session import first_line, quiet_tools
from cliqa.utils.errors import ModelError

if TYPE_CHECKING:
    from onnx import ModelProto


@dataclass
class PreparedGraph:
    """A file in float32, ready to be quantized any number of times; see `prepared`.

    Attributes:
        source: The file.
        path: Its optimised copy, whose nodes all have names.
        model: The copy, as a ``ModelProto``.
        input: Name of its input.
        shape: Shape of it, None where a length is free.
        head: Nodes of its head.
        metadata: The properties of the file.
        ranges: Of its tensors, once `calibrate` has been called.
        images: Images that they are from.
    """

    source: Path
    path: Path
    model: ModelProto
    input: str
    shape: list[int | None]
    head: list[str]
    metadata: dict[str, str]
    ranges: Any = field(default=None, repr=False)
    images: int = 0

    def calibrate(self, batches: Iterable[Tensor]) -> None:
        """Find the ranges of all tensors; see `tensor_ranges` and `CalibrationImages`."""
        images = CalibrationImages(batches, self.shape)
        self.ranges = tensor_ranges(self.path, self.input, images)
        self.images = images.images


@contextlib.contextmanager
def prepared(source: str | Path) -> Iterator[PreparedGraph]:
    """Optimise a file for quantization: constants folded, normalisation put into convolutions.

    Yields:
        The prepared graph. Its temporary files are gone afterwards.

    Raises:
        ModelError: It is quantized already, has nothing to quantize, or onnxruntime lacks one of
            its operators.
    """
    source = Path(source)
    model = load_graph(source)
    metadata = get_metadata(model, source)
    _check_operators(model, source)
    graph_input(model, source)
    shape_inference = library("onnxruntime.quantization.shape_inference")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prepared.onnx"
        try:
            # symbolic shapes bring nothing for convolutions, and fail for some transformers
            with quiet_tools():
                shape_inference.quant_pre_process(str(source), str(path), skip_symbolic_shape=True)
            model = library("onnx").load(str(path))
        except Exception as error:  # onnxruntime's own have no common base
            raise ModelError(
                f"{source}: onnxruntime cannot optimise it ({first_line(error)}). An operator is "
                "not supported; export the model again with a standard opset."
            ) from error
        pool_in_one_node(model)
        name_nodes(model)
        save_graph(model, path)
        name, shape = graph_input(model, source)
        yield PreparedGraph(source, path, model, name, shape, onnx_head(model), metadata)


def _check_operators(model: ModelProto, source: Path) -> None:
    """Refuse a quantized file, and one without a layer to quantize."""
    kinds = {node.op_type for node in model.graph.node}
    if kinds & {"QuantizeLinear", "DequantizeLinear", "QLinearConv", "ConvInteger"}:
        raise ModelError(f"{source} is quantized already. Give the file in float32.")
    if not kinds & set(LAYERS):
        raise ModelError(f"{source} has no layer to quantize: no convolution, no product.")
