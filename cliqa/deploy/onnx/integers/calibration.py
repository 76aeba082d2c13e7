"""Calibration: which values the tensors of an ONNX graph take on images."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cliqa.deploy.libraries import library
from cliqa.deploy.onnx.session import first_line, quiet_tools
from cliqa.utils.errors import DatasetError, ModelError
from cliqa.utils.progress import track

if TYPE_CHECKING:
    from onnxruntime.quantization.calibrate import TensorsData

LARGEST = 20.0
"""Preprocessed pixels lie in 0..1, or a few standard deviations around 0."""


class CalibrationImages:
    """Batches for a calibration, checked while they are read, with a bar.

    Args:
        batches: Preprocessed images (B, C, H, W) in floating point, as the model gets them.
        shape: The shape of the model's input, None where a length is free.
        what: The title of the bar.

    Attributes:
        images: Images read so far.
    """

    def __init__(
        self, batches: Iterable[Tensor], shape: Sequence[int | None], what: str = "calibrating"
    ) -> None:
        self._batches = batches
        self._shape = shape
        self._what = what
        self.images = 0
        self._varied = False

    def __iter__(self) -> Iterator[Tensor]:
        """Yield float32 batches of the length that the model takes.

        Raises:
            DatasetError: There is no batch, or the images cannot be what the model is used on.
        """
        for index, batch in enumerate(track(self._batches, self._what)):
            self._check(batch, f"calibration batch {index}")
            self.images += len(batch)
            self._varied |= bool((batch.amax((1, 2, 3)) > batch.amin((1, 2, 3))).any())
            yield from batch.float().split(self._shape[0] or len(batch))
        if not self.images:
            raise DatasetError(
                "no calibration batch. Give some 16 to 128 images of the kind that the model will "
                "see; a generator can be read once only."
            )
        if not self._varied:
            raise DatasetError(
                "every calibration image is of one colour, and tells nothing about real ones. Give "
                "images of the data set."
            )

    def _check(self, batch: Tensor, where: str) -> None:
        """Refuse a batch that is not what the model is used on."""
        if not isinstance(batch, Tensor) or batch.ndim != 4 or not batch.is_floating_point():
            found = (
                f"{batch.dtype} of shape {tuple(batch.shape)}"
                if isinstance(batch, Tensor)
                else f"a {type(batch).__name__}"
            )
            raise DatasetError(
                f"{where}: expected preprocessed images (B, C, H, W) in floating point, got "
                f"{found}. Apply the evaluation's transform, and give the images alone."
            )
        free = [size for size in zip(batch.shape[1:], self._shape[1:], strict=True) if size[1]]
        if any(found != wanted for found, wanted in free) or len(batch) % (self._shape[0] or 1):
            wanted = tuple(size or "any" for size in self._shape)
            raise DatasetError(
                f"{where} has shape {tuple(batch.shape)}, but the model takes {wanted}. Give "
                "images of the size that it was exported for."
            )
        if not bool(torch.isfinite(batch).all()):
            raise DatasetError(f"{where} has NaN or infinite pixels. Look at its images.")
        largest = float(batch.abs().max())
        if largest > LARGEST:
            raise DatasetError(
                f"{where} has values up to {largest:.6g}, which no preprocessing gives. Apply the "
                "evaluation's transform: pixels 0..255 become 0..1 or normalised values."
            )


def tensor_ranges(path: str | Path, name: str, images: Iterable[Tensor]) -> TensorsData:
    """Return the least and largest values of a graph's tensors, as onnxruntime's ``TensorsData``.

    One batch is in memory at a time.

    Raises:
        ModelError: onnxruntime fails to run the graph on the images.
    """
    quantization = library("onnxruntime.quantization")
    with tempfile.TemporaryDirectory() as folder, _silent(), quiet_tools():
        try:
            calibrator = quantization.create_calibrator(
                Path(path),
                augmented_model_path=str(Path(folder) / "augmented.onnx"),
                calibrate_method=quantization.CalibrationMethod.MinMax,
            )
        except Exception as error:  # onnxruntime's own have no common base
            raise ModelError(
                f"onnxruntime cannot run the graph ({first_line(error)}). Export the model again "
                "with operators of a standard opset."
            ) from error
        for batch in images:
            try:
                calibrator.collect_data(_OneBatch({name: batch.numpy()}))
            except Exception as error:
                raise ModelError(
                    f"the graph fails on images of shape {tuple(batch.shape)}: {first_line(error)}."
                ) from error
        return calibrator.compute_data()


class _OneBatch:
    """A reader of one batch; more at once would be kept in memory together."""

    def __init__(self, inputs: dict[str, Any]) -> None:
        self._inputs: dict[str, Any] | None = inputs

    def get_next(self) -> dict[str, Any] | None:
        """Return the batch, then None."""
        inputs, self._inputs = self._inputs, None
        return inputs


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep what the calibrators print off the screen; the bar is on the other channel."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
