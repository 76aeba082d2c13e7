"""The model of an exported file, and whether it fits a config."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from cliqa.config.trust import check_names, without_weights
from cliqa.config.values import config_differences
from cliqa.datasets.labels.scale import Scale
from cliqa.deploy.backends import backend_of, open_exported
from cliqa.deploy.description import hides_places, of_scenarios, scenario_of, show_places
from cliqa.deploy.onnx.file import PIXELS
from cliqa.inference.evaluation_request import scales_of
from cliqa.inference.execution.precision import Execution
from cliqa.transforms.protocol import EvaluationProtocol
from cliqa.utils.checkpoint import load_checkpoint
from cliqa.utils.errors import ArtifactError, CheckpointError, ConfigError
from cliqa.utils.io import sha256_of

Config = dict[str, Any]

NEEDED = ("names", "classes", "channels", "eval_transform", "scenario")
"""Keys that the description of an exported file must have for it to score images."""


class ExportedModel:
    """The model of an exported file.

    Args:
        path: A file that ``cliqa compress`` wrote: an ONNX file, computed by ONNX Runtime, or an
            ``.xml``, by OpenVINO on the CPU.
        device: Of an ONNX file; see `cliqa.deploy.onnx.session.providers_of`.
        execution: What is asked for; a file is computed as it was exported.

    Attributes:
        metadata: The file's description.
        backend: ``"onnxruntime"`` or ``"openvino"``.
        takes_pixels: The file holds its preprocessing, so that nothing is left to be done.

    Raises:
        ArtifactError: The file is missing, damaged, or its description lacks a key.
        ConfigError: The package that computes it is not installed, or it cannot be executed so.
    """

    def __init__(
        self, path: str | Path, device: str = "cpu", execution: Execution | None = None
    ) -> None:
        if execution is not None:
            execution.check_file(str(path))
        self.path = Path(path)
        self.backend = backend_of(path) or "onnxruntime"
        self._model = open_exported(path, device=device)
        self.metadata = self._model.metadata
        missing = [key for key in NEEDED if self.metadata.get(key) is None]
        if missing:
            raise ArtifactError(
                f"{path}: does not state its {', '.join(missing)}, which prediction needs. Export "
                "a run's checkpoint with cliqa compress export."
            )
        self.takes_pixels: bool = self.metadata.get("input") == PIXELS
        self.names: list[str] = self.metadata["names"]
        self.classes: list[str] = self.metadata["classes"]
        self.channels: int = 3 if self.takes_pixels else self.metadata["channels"]
        self.eval_transform: Sequence[Mapping[str, Any]]
        self.eval_transform = [] if self.takes_pixels else self.metadata["eval_transform"]

    @property
    def scenario(self) -> Mapping[str, Any]:
        """The section of the data that it was trained on.

        Raises:
            TrustError: It asks for more than that of an untrusted file may.
        """
        return scenario_of(self.metadata, self.path)

    @property
    def scale(self) -> Scale | None:
        """The scale of the file's own scores, if it holds its preprocessing."""
        own = self.metadata.get("scale") if self.takes_pixels else None
        return Scale(**own) if own else None

    def __call__(self, images: Tensor) -> Tensor:
        """Return scores (B,) or logits (B, K) of preprocessed images (B, C, H, W).

        Raises:
            ModelError: The file takes images of one size, and these have another.
        """
        return self._model(images)


def own_config(model: ExportedModel, dataset_root: str | None = None) -> Config:
    """Return the parts of its run's config that a file holds: those that an evaluation needs.

    `dataset_root` is as in `run_scenario`.

    Raises:
        ArtifactError: It is of a pretraining.
    """
    about = model.metadata
    if "experiences_learnt" not in about:
        raise ArtifactError(
            f"{model.path}: exported from a pretraining, which has learnt no scores to evaluate. "
            "cliqa predict scores images with it."
        )
    defaults = {"model": {}, "cl_strategy": {}, "evaluation": {}, "seed": 0}
    scenario = run_scenario(about, model.path, dataset_root)
    return {"scenario": scenario, **{k: about.get(k, v) for k, v in defaults.items()}}


def run_scenario(
    about: Mapping[str, Any],
    path: Path,
    dataset_root: str | None = None,
    checkpoint: Path | None = None,
) -> Config:
    """Return the section of the data that a file's model was trained on, with its folders.

    A file names no folders of the machine that exported it. They are those of its run, if the file
    lies in the run's work_dir, or in a folder of it.

    Args:
        about: The file's description.
        path: The file.
        dataset_root: Where the data lie now; None where the run read them.
        checkpoint: That of the run, if it is known.

    Raises:
        TrustError: It asks for more than that of an untrusted file may.
    """
    scenario = scenario_of(about, path)
    if dataset_root is not None:
        return {**show_places(scenario, dataset_root), "dataset_root": dataset_root}
    if not hides_places(scenario):
        return scenario
    own = [] if checkpoint is None else [checkpoint]
    for folder in (path.parent, path.parent.parent):
        own += sorted((folder / "checkpoints").glob("*.pth"), reverse=True)
    for file in own:
        if sha256_of(file) == about.get("checkpoint_sha256"):
            found: Config = dict(load_checkpoint(file)["config"]["scenario"])
            check_names({"scenario": found}, file, {"scenario": of_scenarios()})
            return found
    return scenario


def check_places(path: Path, scenario: Mapping[str, Any], others: str) -> None:
    """Refuse to read the data of a run whose folders are not known.

    Raises:
        ConfigError: They are not.
    """
    if hides_places(scenario):
        raise ConfigError(
            f"{path}: does not name the folders of its run's data, and does not lie in its run's "
            f"work_dir. Add --dataset-root FOLDER, or {others}."
        )


def check_fits_export(model: ExportedModel, config: Config) -> None:
    """Refuse to evaluate a file under a config that its checkpoint was not trained with.

    Raises:
        CheckpointError: With the keys or names that differ.
    """

    def compared(section: object, transform: object) -> Config:
        whole = {"model": section, "scenario": {"eval_transform": transform}}
        found: Config = json.loads(json.dumps(whole))  # tuples become lists, as in the file
        return found

    scenario, own_steps = config["scenario"], model.metadata["eval_transform"]
    section = without_weights(config["model"])
    differing = config_differences(
        compared(without_weights(model.metadata.get("model", section)), own_steps),
        compared(section, scenario.get("eval_transform")),
    )
    if differing:
        raise CheckpointError(
            f"{model.path}: exported from a run of another config; these keys differ: "
            f"{', '.join(differing[:8])}. Use the config of its run."
        )
    if "datasets" in scenario and scenario.get("split_by") is None:
        check_same_names(model.path, "data sets", model.names, list(scales_of(scenario)))


def check_protocol(model: object, protocol: EvaluationProtocol) -> None:
    """Refuse to change the preprocessing of a file that holds its own.

    Raises:
        ConfigError: The protocol does so.
    """
    changes = protocol.crops is not None or protocol.resize is not None
    if changes and getattr(model, "takes_pixels", False):
        raise ConfigError(
            "--crops and --resize: a self-contained file holds its own preprocessing. Give the run "
            "or its plain export."
        )


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
    difference = "; ".join(part for part in parts if part) or "the order differs"
    raise CheckpointError(
        f"{path}: exported from a run with other {what}: {difference}. Use the config of its run."
    )
