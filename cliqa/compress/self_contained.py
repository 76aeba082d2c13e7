"""Export with the preprocessing inside: ``cliqa compress export --self-contained``."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from torch import Tensor

from cliqa.compress.export import default_out, export_checkpoint
from cliqa.config.trust import built_from
from cliqa.datasets.labels.scale import Scale
from cliqa.deploy.description import scenario_of
from cliqa.deploy.onnx.export import DynamicSize
from cliqa.deploy.onnx.file import OnnxModel, read_metadata
from cliqa.deploy.onnx.graph import load_graph, save_graph
from cliqa.deploy.onnx.self_contained import take_pixels
from cliqa.engine.work_dir.checkpoints import find_checkpoint
from cliqa.inference.evaluation_request import scale_of, scales_of
from cliqa.inference.exported_model import ExportedModel
from cliqa.inference.predict import Predictor
from cliqa.utils.arguments import check_range
from cliqa.utils.errors import CliqaError, ConfigError, ModelError
from cliqa.utils.locks import temporary_folder
from cliqa.utils.paths import check_output_file

TOLERANCE = 1e-3
"""Of the scale: a file may differ so much from the pipeline."""

SIZES = ((480, 640), (131, 97), (64, 65), (300, 300), (1, 40), (40, 1), (5, 9), (768, 333))
"""Heights and widths at which file and pipeline are compared, where the pipeline takes them."""

CPU = torch.device("cpu")


@dataclass(frozen=True)
class SelfContained:
    """The result of an export with the preprocessing inside.

    Attributes:
        path: The file.
        scale: Of its scores; None for a classifier.
        parity: The largest difference to the pipeline by image size, as a share of the scale.
        note: How the scale was chosen, if nobody gave it.
    """

    path: Path
    scale: Scale | None
    parity: dict[str, float]
    note: str = ""

    def lines(self) -> list[str]:
        """Return what the tool prints, a line each."""
        output = "probability (N, K), K classes"
        if self.scale is not None:
            end = "higher is better" if self.scale.higher_is_better else "lower is better"
            output = f"score (N,), {self.scale.low:g} to {self.scale.high:g}, {end}"
        return [
            f"written: {self.path} ({self.path.stat().st_size:,} bytes)",
            "input: pixels, uint8 (N, H, W, 3), RGB, of any size",
            f"output: {output}{self.note}",
            *(f"parity, {size}: {off:.1e} of the scale" for size, off in self.parity.items()),
            f"predict with: cliqa predict {quote(str(self.path))} IMAGES",
        ]


def export_self_contained(
    source: str | Path,
    out: str | Path | None = None,
    *,
    scale: tuple[float, float] | None = None,
    dataset: str | None = None,
    size: tuple[int, int] | None = None,
    dynamic_size: DynamicSize | None = None,
    tolerance: float | None = None,
) -> SelfContained:
    """Write an ONNX file that takes 8-bit pixels of any size and scores on the user's scale.

    Resizing, crops, normalisation and the scale are in the graph. The file is written only if it
    gives the pipeline's scores (`TOLERANCE`) for images of many sizes.

    Args:
        source: A work_dir or checkpoint, or an ONNX file of this package, also a quantized one.
        out: The file; None for ``model_self_contained.onnx`` (or so) beside the plain one.
        scale: Range of the scores, (low, high); higher is better.
        dataset: The scale of this data set of the run instead. None of both: the scale that all the
            run's data sets share, else 0..1.
        size: See `export_checkpoint`, as the next two.
        dynamic_size: Of the network's own images.
        tolerance: Of the network; see `export_checkpoint`.

    Raises:
        ConfigError: A step of the preprocessing cannot be in a graph, or a scale does not fit.
        ModelError: The file differs from the pipeline.
        CliqaError: The source is wrong.
    """
    given = Path(source)
    checkpoint = None if given.suffix == ".onnx" else find_checkpoint(source)
    plain = given if checkpoint is None else default_out(checkpoint)
    target = Path(out) if out else plain.with_name(f"{plain.stem}_self_contained.onnx")
    if target.suffix != ".onnx":
        raise ConfigError(f"{target}: the name of an ONNX file must end in .onnx.")
    check_output_file(target, inputs=[given])
    with tempfile.TemporaryDirectory(prefix="cliqa-") as folder:
        if checkpoint is not None:
            plain = Path(folder) / "model.onnx"
            export_checkpoint(
                checkpoint, plain, size=size, dynamic_size=dynamic_size, tolerance=tolerance
            )
        about = read_metadata(plain)
        with built_from(plain):
            chosen, note = _scale(plain, about, scale, dataset)
            proto = load_graph(plain)
            take_pixels(proto, about, chosen)
            with temporary_folder(target) as new:
                save_graph(proto, new / target.name)
                parity = _parity(plain, new / target.name, chosen)
                (new / target.name).replace(target)
    return SelfContained(target, None if about["classes"] else chosen, parity, note)


def _scale(
    plain: Path,
    about: Mapping[str, Any],
    scale: tuple[float, float] | None,
    dataset: str | None,
) -> tuple[Scale, str]:
    """Return the scale of a file's scores, and a remark on its choice.

    Raises:
        ConfigError: The options do not fit.
    """
    if scale is not None and dataset is not None:
        raise ConfigError("--scale and --dataset: both give the scale. Choose one.")
    if about["classes"]:
        if scale is not None or dataset is not None:
            raise ConfigError("--scale, --dataset: this model gives classes, not scores.")
        return Scale(0, 1), ""
    if scale is not None:
        return Scale(*check_range("--scale", scale)), ""
    if dataset is not None:
        return scale_of(scenario_of(about, plain), dataset), ""
    known = set(scales_of(scenario_of(about, plain)).values())
    if len(known) == 1:
        return known.pop(), " (of the run's data sets)"
    differ = " (the run's data sets differ: --scale or --dataset gives another)"
    return Scale(0, 1), differ if known else ""


def _parity(plain: Path, new: Path, scale: Scale) -> dict[str, float]:
    """Return how far a file is off the pipeline, as a share of the scale, by image size.

    Raises:
        ModelError: Too far, or neither takes an image of any of the sizes.
    """
    predictor, file = Predictor(ExportedModel(plain), CPU), OnnxModel(new)
    classes = len(predictor.classes)
    found: dict[str, float] = {}
    for height, width in SIZES:
        pixels = _picture(height, width)
        try:
            wanted = predictor.score(pixels)
        except CliqaError:  # its crop is larger
            continue
        if classes:
            wanted = wanted[:, :classes].softmax(1)
        got = torch.from_numpy(file.run(pixels[None].permute(0, 2, 3, 1).contiguous().numpy()))
        if not classes:
            share = (got - scale.low) / (scale.high - scale.low)
            got, wanted = share if scale.higher_is_better else 1 - share, wanted.clamp(0, 1)
        found[f"{height} x {width} pixels"] = float((got - wanted).abs().max())
    if not found:
        raise ModelError(
            "export --self-contained: the run's preprocessing takes none of the images that the "
            "file is compared on. Resize images before they are cropped."
        )
    worst = max(found, key=lambda size: found[size])
    if not found[worst] <= TOLERANCE:
        raise ModelError(
            f"export --self-contained: with {worst} the file differs from the pipeline by "
            f"{found[worst]:.1e} of the scale, more than {TOLERANCE:g}. Nothing was written; "
            "export without --self-contained."
        )
    return found


def _picture(height: int, width: int) -> Tensor:
    """Return a seeded picture of edges, slopes and noise, uint8 (3, H, W)."""
    draw = torch.Generator().manual_seed(height * width)
    coarse = torch.rand(1, 3, height // 16 + 1, width // 16 + 1, generator=draw)
    smooth = torch.nn.functional.interpolate(coarse, (height, width))[0]
    slope = torch.linspace(0, 1, width).expand(3, height, width)
    noise = torch.rand(3, height, width, generator=draw)
    mixed = 0.5 * smooth + 0.3 * slope + 0.2 * noise
    return (255 * mixed).round().to(torch.uint8)
