"""The deployments of a run: its model as every recipe describes it, and the quality of each."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cliqa.compress.calibration_images import training_images
from cliqa.compress.export import export_unless_present
from cliqa.compress.prune import prune_run
from cliqa.config.trust import built_from
from cliqa.deploy.backends import SUFFIXES, convert, open_exported
from cliqa.deploy.onnx.half import autocast_forward
from cliqa.deploy.profiling import Forward
from cliqa.deploy.search.auto_optimizer import Artifact
from cliqa.deploy.search.options import DeployOptions
from cliqa.deploy.search.recipes import Recipe
from cliqa.engine.work_dir.checkpoints import deployed_of, find_checkpoint, load_run
from cliqa.engine.work_dir.saved_config import config_to_build
from cliqa.inference.evaluation_model import (
    CheckpointEvaluation,
    EvaluationModel,
    ExportedEvaluation,
)
from cliqa.inference.evaluation_pass import evaluate_models
from cliqa.inference.evaluation_request import EvalRequest
from cliqa.inference.exported_model import ExportedModel
from cliqa.models.fake_quantization import remove_rounding
from cliqa.utils.checkpoint import save_checkpoint
from cliqa.utils.errors import ConfigError, ModelError

CPU = torch.device("cpu")


class Deployments:
    """Builds and evaluates the deployments of one run.

    Args:
        checkpoint: The run's checkpoint.
        folder: Where the files go.
        options: The images of a quantization, the epochs after a pruning, and the threads.
        allow_changed_data: Measure and fine-tune on other data than the run's.

    Attributes:
        config: The run's config.
        measure: The measure of quality: ``"srcc"`` or ``"accuracy"``.
        split: The images that a choice is made by: ``"val"``, or ``"test"`` where a data set has no
            validation split.
        data: The record of the test sets.
        network: The network that is deployed.

    Raises:
        CliqaError: The checkpoint is none of a run, or its data are missing.
    """

    def __init__(
        self,
        checkpoint: Path,
        folder: Path,
        options: DeployOptions,
        allow_changed_data: bool = False,
    ) -> None:
        self.checkpoint, self.folder, self.options = checkpoint, folder, options
        self.allow_changed_data = allow_changed_data
        self.state = load_run(checkpoint)
        self.config: dict[str, Any] = {
            **config_to_build(self.state),
            "evaluation": {"bootstrap": 0},
        }
        self.split = self._split()
        own = self._evaluation(None, "test")
        self.data = own.record
        self.network = deployed_of(self.state)[1]
        self.measure = "accuracy" if own.data.kind == "classes" else "srcc"
        self._batches: list[Tensor] | None = None
        self._current: set[Path] = set()  # float32 files of these very weights

    @property
    def batches(self) -> list[Tensor]:
        """Preprocessed training images, (B, C, H, W) each."""
        if self._batches is None:
            seed = int(self.config["seed"])
            with built_from(self.checkpoint):
                self._batches = training_images(self.config["scenario"], self.options.images, seed)
        return self._batches

    def build(self, recipe: Recipe) -> Artifact:
        """Build the model of a recipe; float32 files of the same weights are used again.

        Raises:
            CliqaError: The model cannot be built as the recipe describes it.
        """
        if recipe.backend == "torch":
            return self._torch(recipe)
        source = self._float32(recipe)
        if (recipe.backend, recipe.precision) == ("onnxruntime", "fp32"):
            return Artifact(
                open_exported(source, self.options.threads), source.stat().st_size, source
            )
        path = self.folder / f"{recipe.key}{SUFFIXES[recipe.backend]}"
        report = convert(
            source, path, recipe.backend, recipe.precision, lambda: self.batches, recipe.parts
        )
        note = ""
        if recipe.precision.startswith("int8"):
            note = "; ".join(filter(None, [report.choice, f"to float32: {report.fidelity}"]))
        return Artifact(open_exported(path, self.options.threads), report.bytes_after, path, note)

    def evaluate(self, made: Artifact) -> tuple[float, float | None]:
        """Return the mean SRCC or accuracy over the data sets, on `split` and on the test sets.

        Raises:
            ModelError: It is not defined: the model gives one value for all images.
        """
        chosen = self._quality(made, self.split)
        return chosen, chosen if self.split == "test" else self._quality(made, "test")

    def _torch(self, recipe: Recipe) -> Artifact:
        """Return the model as PyTorch runs it; its file holds the weights alone."""
        _, network = deployed_of(self.state)
        if recipe.pruning:
            raise ConfigError(f"recipe {recipe}: pruned models are exported. Use onnxruntime.")
        network.eval()
        remove_rounding(network)  # PyTorch takes long for what an eight-bit file does by itself
        path = self.folder / f"{recipe.key}.pth"
        save_checkpoint(path, {"state_dict": network.state_dict()})
        forward = network if recipe.precision == "fp32" else autocast_forward(network)
        return Artifact(_without_gradients(forward), path.stat().st_size)

    def _float32(self, recipe: Recipe) -> Path:
        """Return the ONNX file in float32 that others are converted from."""
        plain = Recipe(recipe.pruning, "onnxruntime", "fp32", recipe.distil)
        path = self.folder / f"{plain.key}.onnx"
        if path not in self._current:
            source = find_checkpoint(self._pruned(recipe)) if recipe.pruning else self.checkpoint
            export_unless_present(source, path)
            self._current.add(path)
        return path

    def _pruned(self, recipe: Recipe) -> Path:
        """Return the work_dir of the pruned and fine-tuned model."""
        plain = "" if recipe.distil else "-plain"
        folder = self.folder / f"pruned-{100 * recipe.pruning:g}{plain}"
        prune_run(
            self.checkpoint,
            ratio=recipe.pruning,
            out=folder,
            epochs=self.options.epochs,
            distil=recipe.distil,
            device="cpu",
            allow_changed_data=self.allow_changed_data,
        )
        return folder

    def _evaluation(self, made: Artifact | None, split: str) -> EvaluationModel:
        """Return a form of the model under evaluation; None for the run's own."""
        request = EvalRequest(split=split, allow_changed_data=self.allow_changed_data)
        origin = str(self.checkpoint)
        own = (self.checkpoint, self.state, self.config, origin, CPU, request)
        with built_from(self.checkpoint):
            if made is None:
                return CheckpointEvaluation(*own)
            if made.file is not None:
                return ExportedEvaluation(ExportedModel(made.file), self.config, origin, request)
            return CheckpointEvaluation(*own, forward=made.forward)

    def _split(self) -> str:
        """Return the split that a choice is made by."""
        try:
            self._evaluation(None, "val")
        except ConfigError as error:
            if "--split val" not in str(error):
                raise
            return "test"
        return "val"

    def _quality(self, made: Artifact, split: str) -> float:
        """Return the mean measure over the data sets."""
        (results,) = evaluate_models([self._evaluation(made, split)])
        return mean_quality(results, self.measure)


def mean_quality(results: Mapping[str, Any], measure_name: str) -> float:
    """Return the mean of a measure over the data sets of an evaluation.

    Raises:
        ModelError: It is not defined on one of them.
    """
    values: Sequence[float | None] = [
        entry["metrics"].get(measure_name) for entry in results["datasets"].values()
    ]
    for name, value in zip(results["datasets"], values, strict=True):
        if value is None:
            raise ModelError(
                f"{name}: {measure_name} is not defined: the model gives all images one value."
            )
    return float(np.mean(np.asarray(values, dtype=float)))


def _without_gradients(forward: Forward) -> Forward:
    """Return a forward pass that records nothing for a backward one."""

    def run(images: Tensor) -> object:
        with torch.no_grad():
            return forward(images)

    return run


def can_be_made(backends: Sequence[str]) -> list[str]:
    """Return which of the backends are installed."""
    needed = {"onnxruntime": ("onnxruntime",), "openvino": ("openvino", "nncf"), "torch": ()}
    return [
        name
        for name in backends
        if all(importlib.util.find_spec(package) for package in needed.get(name, ()))
    ]
