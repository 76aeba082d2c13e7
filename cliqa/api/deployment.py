"""Smaller and faster models from Python: of runs, and of networks in memory."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cliqa.api.models import HasWorkDir, path_of
from cliqa.compress.auto import search_deployments
from cliqa.compress.export import default_out, default_tolerance
from cliqa.compress.quantize import quantize_model as quantize_run
from cliqa.deploy.backends import SUFFIXES, convert, open_exported
from cliqa.deploy.onnx.export import export_onnx
from cliqa.deploy.profiling import Forward
from cliqa.deploy.search.auto_optimizer import Artifact, Outcome
from cliqa.deploy.search.auto_optimizer import AutoOptimizer as Search
from cliqa.deploy.search.options import DeployOptions
from cliqa.deploy.search.pareto import Budget
from cliqa.deploy.search.recipes import BASELINE, Recipe, parts_to_try, standard_recipes
from cliqa.engine.work_dir.checkpoints import find_checkpoint
from cliqa.models.fake_quantization import remove_rounding
from cliqa.utils.errors import ConfigError
from cliqa.utils.paths import check_output_file, check_output_folder

Source = str | Path | HasWorkDir | nn.Module
"""A run, a work_dir, a checkpoint or an exported file; or a network in memory."""

Batches = Tensor | Iterable[Any]
"""Images (B, C, H, W), or batches of them: tensors, or (images, targets)."""

DTYPES = {
    "int8": "int8",
    "int8-bf16": "int8-bf16",
    "float16": "fp16",
    "fp16": "fp16",
    "bfloat16": "bf16",
    "bf16": "bf16",
}

IMAGES = 128
"""Images that a quantization looks at, at most."""


@dataclass(frozen=True)
class QuantizedModel:
    """A model in fewer bits, in a file; call it with images (B, C, H, W).

    Attributes:
        path: The file; of a run's model `cliqa.load` opens it with its preprocessing.
        report: What was done, in lines.
    """

    path: Path
    report: tuple[str, ...]

    def __call__(self, images: Tensor) -> Tensor:
        """Return scores (B,) or logits (B, K) of preprocessed images (B, C, H, W), float32."""
        return open_exported(self.path)(images)


def quantize_model(
    model: Source,
    dtype: str = "int8",
    images: Batches | None = None,
    out: str | Path | None = None,
    backend: str = "onnxruntime",
) -> QuantizedModel:
    """Write a model in fewer bits.

    Args:
        model: What `train` returned, a work_dir, a checkpoint or an exported file; or a network in
            memory: images (B, C, H, W) -> scores (B,) or logits (B, K).
        dtype: ``"int8"``, ``"float16"``, or with OpenVINO ``"bfloat16"`` or ``"int8-bf16"``.
        images: Of a network: preprocessed training images, up to 128 of which ranges are measured
            and the two models compared on. Of a run they are read from its stream.
        out: The file; by default beside the run's, and of a network ``model_int8.onnx`` (or so)
            in the working folder.
        backend: ``"onnxruntime"`` or ``"openvino"``.

    Raises:
        CliqaError: The model, the images or an argument is wrong, or a library is missing.
    """
    if dtype not in DTYPES:
        raise ConfigError(f"quantize_model: dtype must be one of {', '.join(DTYPES)}, got {dtype}.")
    precision = DTYPES[dtype]
    if not isinstance(model, nn.Module):
        if images is not None:
            raise ConfigError("quantize_model: a run's images are read from its stream: leave out.")
        return _of_run(path_of(model), precision, backend, out)
    if images is None:
        raise ConfigError(
            "quantize_model: a network in memory does not tell its images. Give images=..., a "
            "batch (B, C, H, W) of preprocessed training images, some 100 of them."
        )
    suffix = SUFFIXES.get(backend, ".onnx")
    target = Path(out) if out is not None else Path(f"model_{precision}{suffix}")
    check_output_file(target)
    batches = batches_of(images)
    whole = target.with_name(f"{target.stem}_fp32.onnx")
    export_network(model, whole, batches[0])
    try:
        report = convert(whole, target, backend, precision, lambda: batches)
    finally:
        whole.unlink()
    return QuantizedModel(target, tuple(report.lines()))


def _of_run(
    source: str | Path, precision: str, backend: str, out: str | Path | None
) -> QuantizedModel:
    """Quantize a run's model, a checkpoint's or an exported one."""
    if out is None:
        exported = Path(source).suffix == ".onnx"
        whole = Path(source) if exported else default_out(find_checkpoint(source))
        out = whole.with_name(f"{whole.stem}_{precision}{SUFFIXES.get(backend, '.onnx')}")
    lines = quantize_run(source, out, precision=precision, backend=backend)
    return QuantizedModel(Path(out), tuple(lines))


def batches_of(images: Batches, count: int = IMAGES) -> list[Tensor]:
    """Return at most `count` images as batches, on the CPU.

    Raises:
        ConfigError: They are none, or no images (B, C, H, W).
    """
    found: list[Tensor] = []
    left = count
    for batch in [images] if isinstance(images, Tensor) else images:
        pixels = batch[0] if isinstance(batch, (tuple, list)) else batch
        if not isinstance(pixels, Tensor) or pixels.dim() != 4:
            what = tuple(pixels.shape) if isinstance(pixels, Tensor) else type(pixels).__name__
            raise ConfigError(f"images: expected batches (B, C, H, W), got {what}.")
        found.append(pixels[:left].detach().cpu())
        left -= len(found[-1])
        if left <= 0:
            break
    if not found:
        raise ConfigError("images: there are none. Give a batch (B, C, H, W).")
    return found


def export_network(model: nn.Module, path: Path, batch: Tensor) -> None:
    """Write a network in memory as an ONNX file for images of a batch's size.

    Raises:
        ModelError: It cannot be exported, or the file's outputs differ.
    """
    _, channels, height, width = batch.shape
    export_onnx(
        model,
        path,
        channels=channels,
        size=(height, width),
        metadata={},
        tolerance=default_tolerance(model),
    )


class AutoOptimizer(Search):
    """Try precisions and backends on a model, measure them on this machine, and choose.

    Example::

        optimizer = cliqa.AutoOptimizer(target_metric="size", max_drop=0.01)
        outcome = optimizer.optimize_model(run)
        outcome = optimizer.optimize_model(network, images, evaluate, out="small")

    Args:
        target_metric: ``"size"``, ``"latency"`` or ``"quality"``.
        max_drop: Quality that may be lost, in SRCC or accuracy; None for any.
        max_mib: Largest file, in MiB.
        max_ms: Longest CPU time of a pass over one image, in milliseconds.
        prunings: Shares of the channels to prune, beside none; only of a run, whose data a pruned
            model is fine-tuned on.
        backends: ``"onnxruntime"``, ``"openvino"``.

    Raises:
        ConfigError: A name is unknown, or a limit is out of range.
    """

    def __init__(
        self,
        target_metric: str = "size",
        *,
        max_drop: float | None = 0.02,
        max_mib: float | None = None,
        max_ms: float | None = None,
        prunings: Sequence[float] = (),
        backends: Sequence[str] = ("onnxruntime",),
    ) -> None:
        budget = Budget(max_drop=max_drop, max_mib=max_mib, max_ms=max_ms)
        super().__init__(target_metric, budget, standard_recipes(prunings, backends))
        self.prunings, self.backends = tuple(prunings), tuple(backends)

    def optimize_model(
        self,
        model: Source,
        images: Batches | None = None,
        evaluate: Callable[[Forward], float] | None = None,
        out: str | Path | None = None,
    ) -> Outcome:
        """Try all recipes on a model.

        Args:
            model: What `train` returned, a work_dir or a checkpoint, which is evaluated on its
                stream; or a network in memory.
            images: Of a network: preprocessed training images, as in `quantize_model`; the first
                is timed.
            evaluate: Of a network: a function from a model (images (B, C, H, W) -> outputs) to its
                quality, such as the accuracy on validation data; higher is better.
            out: The folder of the files; by default ``deploy`` in the run's work_dir, and of a
                network in the working folder.

        Returns:
            ``rows`` (all recipes as measured), ``front``, ``best`` (None where nothing keeps to the
            budget; ``best.file`` is its file) and ``verdict()``.

        Raises:
            CliqaError: The model, the images or an argument is wrong, or a library is missing.
        """
        if not isinstance(model, nn.Module):
            if images is not None or evaluate is not None:
                raise ConfigError(
                    "optimize_model: a run is evaluated on its own stream: leave images and "
                    "evaluate out."
                )
            limits = {k: v for k, v in vars(self.budget).items() if v is not None}
            options = DeployOptions(
                target=self.target, budget=limits, prunings=self.prunings, backends=self.backends
            )
            return search_deployments(path_of(model), out, options)
        if images is None or evaluate is None:
            raise ConfigError(
                "optimize_model: a network in memory tells neither its images nor its quality. "
                "Give images=..., a batch (B, C, H, W), and evaluate=..., a function from a model "
                "to a number."
            )
        if self.prunings:
            raise ConfigError(
                "optimize_model: a pruned network must be fine-tuned, for which the data of a run "
                "are needed. Leave prunings out, or give a run."
            )
        folder = Path("deploy" if out is None else out)
        check_output_folder(folder, "out")
        folder.mkdir(parents=True, exist_ok=True)
        self.rows = []
        self.recipes = standard_recipes((), self.backends, parts=parts_to_try(model))
        made = _Networks(model, batches_of(images), folder)

        def quality(artifact: Artifact) -> tuple[float, None]:
            value = float(evaluate(artifact.forward))
            if not math.isfinite(value):
                raise ConfigError(f"optimize_model: evaluate gave {value}. It must be a number.")
            return value, None

        return self.search(made.build, quality, made.batches[0][:1])


class _Networks:
    """Builds the recipes of a network in memory."""

    def __init__(self, model: nn.Module, batches: list[Tensor], folder: Path) -> None:
        self.model, self.batches, self.folder = model, batches, folder
        self._exported = False

    def build(self, recipe: Recipe) -> Artifact:
        """Return a recipe's model."""
        if recipe == BASELINE:
            return self._as_it_is()
        whole = self.folder / "onnxruntime-fp32.onnx"
        if not self._exported:  # a file that lies there is another network's
            export_network(self.model, whole, self.batches[0])
            self._exported = True
        if (recipe.backend, recipe.precision) == ("onnxruntime", "fp32"):
            return Artifact(open_exported(whole), whole.stat().st_size, whole)
        path = self.folder / f"{recipe.key}{SUFFIXES[recipe.backend]}"
        report = convert(
            whole, path, recipe.backend, recipe.precision, lambda: self.batches, recipe.parts
        )
        return Artifact(open_exported(path), report.bytes_after, path)

    def _as_it_is(self) -> Artifact:
        """Return the network itself, without training's rounding."""
        network = copy.deepcopy(self.model).cpu().eval()
        remove_rounding(network)
        state = [value for value in network.state_dict().values() if isinstance(value, Tensor)]
        size = sum(value.numel() * value.element_size() for value in state)

        def forward(images: Tensor) -> Any:  # noqa: ANN401
            with torch.no_grad():
                return network(images)

        return Artifact(forward, size)
