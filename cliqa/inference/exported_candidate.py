"""An exported model under evaluation, by the config that it was trained with or by its own word."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cliqa.config.trust import without_weights
from cliqa.config.values import config_differences
from cliqa.inference.candidate import Candidate, Request
from cliqa.inference.evaluate_classes import ChosenClasses
from cliqa.inference.evaluation_pass import AnySitting
from cliqa.inference.exported_image_model import ExportedImageModel
from cliqa.inference.score_scale import scales_of
from cliqa.training.loop.batching import RaggedImages, apply_model
from cliqa.utils.errors import ArtifactError, CheckpointError

CPU = torch.device("cpu")

BATCH = 32
"""Images a batch where the config gives no ``eval_mb_size``."""


class ExportedCandidate(Candidate):
    """An ONNX file with everything that its evaluation needs, all checked.

    Args:
        path: The file.
        config: The config to evaluate under; its names have been checked. None for what the file
            says about its run.
        config_file: Where the config was loaded from, for the record.
        request: What is to be evaluated.

    Raises:
        CliqaError: The file, the data or the protocol is wrong, or the file is of another config.
    """

    def __init__(
        self, path: Path, config: dict[str, Any] | None, config_file: str, request: Request
    ) -> None:
        self.model = ExportedImageModel(path)
        if config is None:
            config = own_config(self.model)
        check_fits_export(self.model, config)
        learnt = self.model.metadata.get("experiences_learnt", len(self.model.names))
        own = {"names": self.model.names, "data": self.model.metadata.get("data")}
        state = {**own, "next_step": learnt, "config": {"cl_strategy": {}}}
        super().__init__(path, state, config, config_file, CPU, request)
        if isinstance(self.chosen, ChosenClasses):
            check_same_names(path, "classes", self.model.classes, self.chosen.benchmark.class_names)

    def open(self, state: Mapping[str, Any], work_dir: Path | None) -> int:
        """Return the images of a batch; the file is open."""
        return int(self.config["cl_strategy"].get("eval_mb_size", BATCH))

    def sitting(self) -> AnySitting:
        """Return what is shown the images."""
        return ExportedSitting(self.model)

    def results(
        self, outputs: Mapping[str, tuple[np.ndarray, np.ndarray]], seconds: float
    ) -> dict[str, Any]:
        """Return the content of ``eval_results.json``, which says what was evaluated."""
        found = super().results(outputs, seconds)
        precision = self.model.metadata.get("precision")
        found["protocol"]["exported"] = {"backend": self.model.backend, "precision": precision}
        return found


class ForwardCandidate(Candidate):
    """A run's model under evaluation by a forward pass of one's own: in bfloat16, say.

    Args:
        forward: Images (B, C, H, W) -> scores (B,) or logits (B, K), on the CPU.
        *args: See `Candidate`.
    """

    def __init__(self, forward: Callable[[Tensor], Tensor], *args: Any) -> None:  # noqa: ANN401
        self.forward = forward
        super().__init__(*args)

    def sitting(self) -> AnySitting:
        """Return what is shown the images."""
        return ExportedSitting(self.forward)


class ExportedSitting:
    """A forward pass that is evaluated batch by batch; see `Sitting`.

    Args:
        model: An exported model, or any other function of images.
    """

    device = CPU

    def __init__(self, model: Callable[[Tensor], Tensor]) -> None:
        self.model = model

    def start(self, experience: Any) -> None:  # noqa: ANN401
        """Turn to a data set."""

    def outputs(self, images: Tensor | RaggedImages, targets: Tensor, task: int | None) -> Tensor:
        """Return what the model says about a batch: float32 (B,) or (B, K)."""
        return apply_model(self.model, images)

    def end(self) -> None:
        """Do nothing: the model has not changed."""


def own_config(model: ExportedImageModel) -> dict[str, Any]:
    """Return as much of its run's config as a file says: what an evaluation asks for.

    Raises:
        ArtifactError: It is of a pretraining.
    """
    about = model.metadata
    if "experiences_learnt" not in about:
        raise ArtifactError(
            f"{model.path}: exported from a pretraining, which has learnt no scores to evaluate. "
            "tools/predict.py scores images with it."
        )
    defaults = {"model": {}, "cl_strategy": {}, "evaluation": {}, "seed": 0}
    return {"scenario": dict(model.scenario), **{k: about.get(k, v) for k, v in defaults.items()}}


def check_fits_export(model: ExportedImageModel, config: dict[str, Any]) -> None:
    """Refuse to evaluate a file under a config that its checkpoint was not trained with.

    Raises:
        CheckpointError: With the keys or names that differ.
    """

    def deciding(section: Any, transform: Any) -> dict[str, Any]:  # noqa: ANN401
        whole = {"model": section, "scenario": {"eval_transform": transform}}
        found: dict[str, Any] = json.loads(json.dumps(whole))  # a tuple is a list there
        return found

    scenario = config["scenario"]
    section = without_weights(config["model"])
    differing = config_differences(
        deciding(without_weights(model.metadata.get("model", section)), model.eval_transform),
        deciding(section, scenario.get("eval_transform")),
    )
    if differing:
        raise CheckpointError(
            f"{model.path}: exported from a run of another config; these keys differ: "
            f"{', '.join(differing[:8])}. Use the config of its run."
        )
    if "datasets" in scenario:
        check_same_names(model.path, "data sets", model.names, list(scales_of(scenario)))


def check_same_names(path: Path, what: str, own: list[str], given: list[str]) -> None:
    """Refuse a file whose names are not those of the config.

    Raises:
        CheckpointError: With the names that differ.
    """
    if list(own) == list(given):
        return
    lacking, more = ([str(n) for n in a if n not in b] for a, b in ((own, given), (given, own)))
    parts = [
        f"the config lacks {', '.join(lacking[:8])}" if lacking else "",
        f"the file does not know {', '.join(more[:8])}" if more else "",
    ]
    said = "; ".join(part for part in parts if part) or "the order differs"
    raise CheckpointError(
        f"{path}: exported from a run with other {what}: {said}. Use the config of its run."
    )
