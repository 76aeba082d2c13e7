"""A network as the content of an ONNX file, traced by PyTorch's exporter."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import textwrap
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from cliqa.deploy.onnx.file import INPUT, OUTPUT
from cliqa.models.export_forms import export_forms
from cliqa.utils.errors import ModelError

if TYPE_CHECKING:
    from onnx import ModelProto


def trace(network: nn.Module, images: Tensor, any_size: bool) -> ModelProto:
    """Return the ``onnx.ModelProto`` of a network; batches may have any size.

    Args:
        network: On the CPU, in evaluation mode.
        images: (B, C, H, W) to trace with; B is at least 2: 1 would be treated as a constant.
        any_size: Let H and W be free too.

    Raises:
        ModelError: PyTorch cannot export it.
    """
    free = torch.export.Dim.DYNAMIC
    axes = {0: free, 2: free, 3: free} if any_size else {0: free}
    try:
        with export_forms(), _quiet(), torch.no_grad():
            program = torch.onnx.export(
                network,
                (images,),
                dynamo=True,
                external_data=False,
                verbose=False,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=(axes,),
            )
            proto: ModelProto = program.model_proto  # type: ignore[union-attr]
    except Exception as error:  # noqa: BLE001  any part of torch's compiler may fail in its own way
        what = "images of any size" if any_size else "batches of any size"
        raise ModelError(
            f"export: PyTorch cannot export the {type(network).__name__} for {what} "
            f"({reason_of(error)})."
        ) from error
    _tidy(proto)
    return proto


def _tidy(proto: ModelProto) -> None:
    """Give the free axes their names, and drop the places in this machine's source files."""
    (images,) = proto.graph.input
    axes = [dim.dim_param for dim in images.type.tensor_type.shape.dim]
    names = {
        old: new for old, new in zip(axes, ("batch", "", "height", "width"), strict=True) if old
    }
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = re.sub(
                    r"\w+", lambda word: names.get(word[0], word[0]), dim.dim_param
                )
        value.ClearField("metadata_props")
    for part in (*proto.graph.node, *proto.graph.initializer, proto.graph):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the messages of PyTorch's exporter off the console."""
    disabled = logging.root.manager.disable
    silent = io.StringIO()
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(silent),
            contextlib.redirect_stderr(silent),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def reason_of(error: Exception) -> str:
    """Return the cause in an error's text, in a line."""
    text = re.sub(r"\x1b\[\d+m", "", str(error)).strip()
    text = text.partition("## Exception summary")[2].strip() or text
    text = text.rpartition("Status Message: ")[2]
    lines = [re.sub(r"^<class '([\w.]+)'>", r"\1", line.strip()) for line in text.splitlines()]
    cause = " ".join(line for line in lines[:2] if line) or type(error).__name__
    return textwrap.shorten(cause, 240, placeholder=" ...").rstrip(".")
