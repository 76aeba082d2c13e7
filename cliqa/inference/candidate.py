"""A checkpoint under evaluation: its model, its data sets, and how it sees their images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cliqa.engine.build import build_model_and_strategy
from cliqa.engine.sections import resamples
from cliqa.engine.work_dir.data_record import DataRecord, record_sources
from cliqa.engine.work_dir.same_run import check_same_data
from cliqa.engine.work_dir.saved_config import reason
from cliqa.inference.data_arguments import Scale, is_new_data_set
from cliqa.inference.evaluate_classes import ChosenClasses
from cliqa.inference.evaluate_scores import ChosenScores
from cliqa.inference.evaluation_pass import AnySitting, Sitting
from cliqa.models.pruned import pruning_in
from cliqa.registry import SCENARIOS, find
from cliqa.transforms.protocol import EvaluationProtocol, build_views
from cliqa.utils.device import check_workers
from cliqa.utils.errors import CheckpointError, ConfigError


@dataclass(frozen=True)
class Request:
    """What is to be evaluated, and how.

    Attributes:
        data_sets: Names of the config's data sets, or others as `parse_data_set` takes them; none
            for all of the config's.
        split: ``"test"``, ``"val"``, ``"train"`` or ``"all"``.
        protocol: How images are shown.
        scale: Of score files among the data sets.
        batch_size: Images a batch; None for that of the run, in which the crops of a protocol of
            one's own count as images.
        num_workers: Processes that read images.
        allow_changed_data: Measure the run's own data sets where they are not what they were.

    Raises:
        ConfigError: A number is out of range.
    """

    data_sets: Sequence[str] = ()
    split: str = "test"
    protocol: EvaluationProtocol = field(default_factory=EvaluationProtocol)
    scale: Scale | None = None
    batch_size: int | None = None
    num_workers: int = 0
    allow_changed_data: bool = False

    def __post_init__(self) -> None:
        if self.batch_size is not None and self.batch_size < 1:
            raise ConfigError(f"--batch-size {self.batch_size}: must be at least 1.")
        check_workers(self.num_workers, "--num-workers")


class Candidate:
    """A trained model with everything that its evaluation needs, all checked.

    Args:
        path: The checkpoint.
        state: Its content.
        config: The config to evaluate under; its names have been checked.
        config_file: Where the config was loaded from, for the record.
        device: Where to compute.
        request: What is to be evaluated.
        work_dir: The run's folder, for metrics that look at it.

    Attributes:
        kind: ``"scores"`` or ``"classes"``.
        learnt: How many experiences the model has been trained on to their end.
        chosen: The data sets.
        data: Their record.
        views: How an image is shown to the model.
        strategy: The strategy with the trained model.
        batch_size: Images a batch.

    Raises:
        CliqaError: The data, the protocol or the model is wrong.
    """

    def __init__(
        self,
        path: Path,
        state: Mapping[str, Any],
        config: dict[str, Any],
        config_file: str,
        device: torch.device,
        request: Request,
        work_dir: Path | None = None,
    ) -> None:
        self.path, self.config, self.config_file = path, config, config_file
        self.device, self.request = device, request
        scenario = config["scenario"]
        self.kind = getattr(find(SCENARIOS, scenario, "scenario"), "target_kind", "scores")
        self.learnt = experiences_learnt(state)
        choose = ChosenClasses if self.kind == "classes" else ChosenScores
        self.chosen: ChosenClasses | ChosenScores = choose(
            config, request.data_sets, request.split, state["names"], self.learnt, request.scale
        )
        self.data = self._checked_data(state)
        self.views = build_views(
            None if scenario.get("feature_type") else scenario.get("eval_transform"),
            request.protocol,
            "scenario.eval_transform",
            quality=self.kind == "scores",
        )
        own = max(1, self.open(state, work_dir) // request.protocol.count)
        self.batch_size = request.batch_size or own

    def _checked_data(self, state: Mapping[str, Any]) -> DataRecord:
        """Return the record of the data sets; those of the run must be what they were.

        Raises:
            CheckpointError: They are not, and must be.
        """
        split, sources = self.request.split, self.chosen.sources
        classes = getattr(getattr(self.chosen, "benchmark", None), "class_names", ())
        record = record_sources({(name, split): one for name, one in sources.items()}, classes)
        given = [text for text in self.request.data_sets if not is_new_data_set(text)]
        asked = given if self.request.data_sets else list(sources)
        own = replace(record, sets={k: one for k, one in record.sets.items() if k in asked})
        allowed = self.request.allow_changed_data
        if not own.sets:
            return record
        checked = check_same_data(self.path, state.get("data"), own, allowed)
        return replace(record, changes=checked.changes)

    def open(self, state: Mapping[str, Any], work_dir: Path | None) -> int:
        """Build the strategy with the trained model; return how many images its batches have."""
        plain = {**self.config, "load_from": None}
        built = build_model_and_strategy(plain, self.device, work_dir, pruning_in(state))
        self.strategy = built.strategy
        try:
            self.strategy.load_state_dict(state["strategy"])
        except (RuntimeError, KeyError, TypeError, AttributeError, ValueError) as error:
            raise CheckpointError(
                f"{self.path}: damaged: its state is not that of the strategy that it describes "
                f"({reason(error)}). Use another checkpoint of the run."
            ) from error
        return int(self.strategy.eval_mb_size)

    def sitting(self) -> AnySitting:
        """Return what is shown the images."""
        return Sitting(self.strategy)

    def results(
        self, outputs: Mapping[str, tuple[np.ndarray, np.ndarray]], seconds: float
    ) -> dict[str, Any]:
        """Return the content of ``eval_results.json``.

        Args:
            outputs: Outputs and targets by data set.
            seconds: How long the model's passes took.
        """
        bootstrap, seed = resamples(self.config), self.config["seed"]
        protocol = self.request.protocol
        return {
            "model_type": self.config["model"].get("type", "ImageClassifier"),
            "eval_time": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S"),
            "config": self.config_file,
            "checkpoint": str(self.path),
            "experiences_learnt": self.learnt,
            "protocol": {
                "targets": self.kind,
                "split": self.request.split,
                "shown": protocol.describe(),
                **protocol.to_row(),
                "eval_transform": self.config["scenario"].get("eval_transform"),
                "preprocessing": self.views.signature(),
                "batch_size": self.batch_size,
                "bootstrap": bootstrap,
                "seed": seed,
                "device": str(self.device),
            },
            "seconds": seconds,
            "data": self.data.digests(),
            "warnings": list(self.data.changes),
            "datasets": {
                name: self.chosen.entry(name, *pair, bootstrap, seed)
                for name, pair in outputs.items()
            },
        }


def experiences_learnt(state: Mapping[str, Any]) -> int:
    """Return how many experiences a checkpoint's model has been trained on to their end."""
    joint = state["config"]["cl_strategy"].get("type") == "JointTraining"
    return len(state["names"]) if joint and state["next_step"] else int(state["next_step"])
