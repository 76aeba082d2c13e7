"""A trained model under evaluation: its data sets, how it sees their images, and its results."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cliqa.config.trust import built_from
from cliqa.deploy.backends import backend_of
from cliqa.engine.build import build_model_and_strategy
from cliqa.engine.check import check_config
from cliqa.engine.sections import resamples
from cliqa.engine.work_dir.checkpoints import load_run
from cliqa.engine.work_dir.data_record import DataRecord, record_sources
from cliqa.engine.work_dir.same_run import check_same_data
from cliqa.engine.work_dir.saved_config import config_to_build, reason
from cliqa.inference.eval_session import CPU, EvalSession, ForwardSession, StrategySession
from cliqa.inference.evaluation_data import ClassData, EvaluationData, ScoreData
from cliqa.inference.evaluation_request import EvalRequest, is_new_data_set
from cliqa.inference.exported_model import (
    ExportedModel,
    check_fits_export,
    check_places,
    check_protocol,
    check_same_names,
    own_config,
)
from cliqa.models.pruned import pruning_in
from cliqa.registry import SCENARIOS, find
from cliqa.transforms.protocol import build_views
from cliqa.utils.errors import CheckpointError

Config = dict[str, Any]

BATCH = 32
"""Images a batch for an exported file whose config gives no ``eval_mb_size``."""


class EvaluationModel:
    """A trained model with everything that its evaluation needs, all checked.

    `CheckpointEvaluation` and `ExportedEvaluation` are the two kinds.

    Args:
        path: The checkpoint or exported file.
        config: The config to evaluate under; its names have been checked.
        config_file: Where the config was loaded from, for the record.
        device: Where to compute.
        request: Which data are evaluated, and how.
        names: The experiences of the model's stream, in order.
        learnt: How many of them the model has been trained on to their end.
        record: The data record that `path` holds; None if it has none.
        absent: The experiences whose data were gone when the model learnt the last ones.

    Attributes:
        data: The data sets.
        record: Their record.
        views: How an image is resized, cropped and transformed for the model.
        own_batch_size: Images in a batch of the run's own evaluations.

    Raises:
        CliqaError: The data, the protocol or the model is wrong.
    """

    own_batch_size: int

    def __init__(
        self,
        path: Path,
        config: Config,
        config_file: str,
        device: torch.device,
        request: EvalRequest,
        *,
        names: list[str],
        learnt: int,
        record: Mapping[str, Any] | None,
        absent: Collection[str] = (),
    ) -> None:
        self.path, self.config, self.config_file = path, config, config_file
        self.device, self.request, self.learnt = device, request, learnt
        scenario = config["scenario"]
        kind = getattr(find(SCENARIOS, scenario, "scenario"), "target_kind", "scores")
        own = (config, request, names, learnt)
        self.data: EvaluationData = (
            ClassData(*own) if kind == "classes" else ScoreData(*own, absent)
        )
        self.record = self._checked_record(record)
        self.views = build_views(
            None if scenario.get("feature_type") else scenario.get("eval_transform"),
            request.protocol,
            "scenario.eval_transform",
            quality=self.data.kind == "scores",
            train_steps=scenario.get("train_transform"),
        )

    @property
    def batch_size(self) -> int:
        """Images a batch; every crop of a protocol counts as an image of the run's own batches."""
        return self.request.batch_size or max(1, self.own_batch_size // self.request.protocol.count)

    def session(self) -> EvalSession:
        """Return the model's evaluation, ready for its first data set."""
        raise NotImplementedError

    def _checked_record(self, saved: Mapping[str, Any] | None) -> DataRecord:
        """Return the record of the data sets; the run's own must be those of the saved record.

        Raises:
            CheckpointError: They have changed, and `allow_changed_data` is not set.
        """
        split, sources = self.request.split, self.data.sources
        found = record_sources(
            {(name, split): source for name, source in sources.items()}, self.data.class_names
        )
        others = sum(is_new_data_set(text) for text in self.request.data_sets)  # they come last
        own_names = list(sources)[: len(sources) - others]
        asked = own_names if self.request.takes_own else self.request.named
        own = replace(found, sets={k: one for k, one in found.sets.items() if k in asked})
        if not own.sets:
            return found
        checked = check_same_data(self.path, saved, own, self.request.allow_changed_data)
        return replace(found, changes=checked.changes)

    def results(
        self, outputs: Mapping[str, tuple[np.ndarray, np.ndarray]], seconds: float
    ) -> dict[str, Any]:
        """Return the content of ``eval_results.json``."""
        bootstrap, seed = resamples(self.config), self.config["seed"]
        protocol, execution = self.views.protocol, self.request.execution
        absent = {"absent": dict(self.data.absent)} if self.data.absent else {}
        return {
            "model_type": self.config["model"].get("type", "ImageClassifier"),
            "eval_time": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S"),
            "config": self.config_file,
            "checkpoint": str(self.path),
            "experiences_learnt": self.learnt,
            "protocol": {
                "targets": self.data.kind,
                "split": self.request.split,
                "shown": protocol.describe(),
                **protocol.to_row(),
                "eval_transform": self.config["scenario"].get("eval_transform"),
                "preprocessing": self.views.signature(),
                "batch_size": self.batch_size,
                "bootstrap": bootstrap,
                "seed": seed,
                "device": str(self.device),
                **(execution.to_row(self.device) if execution else {}),
            },
            "seconds": seconds,
            "data": self.record.digests(),
            "warnings": list(self.record.changes),
            **absent,
            "datasets": {
                name: self.data.entry(name, *pair, bootstrap, seed)
                for name, pair in outputs.items()
            },
        }


class CheckpointEvaluation(EvaluationModel):
    """The evaluation of a run's checkpoint by its strategy, with all plugins.

    Args:
        path: The checkpoint.
        state: Its content.
        config, config_file, device, request: See `EvaluationModel`.
        work_dir: The run's folder, for metrics that read it.
        forward: Evaluate this forward pass instead, e.g. the model in bfloat16: images (B, C, H, W)
            -> scores (B,) or logits (B, K), on the CPU.

    Attributes:
        strategy: The strategy with the trained model.

    Raises:
        CliqaError: The data, the protocol or the model is wrong.
    """

    def __init__(
        self,
        path: Path,
        state: Mapping[str, Any],
        config: Config,
        config_file: str,
        device: torch.device,
        request: EvalRequest,
        work_dir: Path | None = None,
        forward: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self._forward = forward
        super().__init__(
            *(path, config, config_file, device, request),
            names=state["names"],
            learnt=experiences_learnt(state),
            record=state.get("data"),
            absent=state.get("absent", ()),
        )
        plain = {**config, "load_from": None}
        self.strategy = build_model_and_strategy(
            plain, device, work_dir, pruning_in(state)
        ).strategy
        self.own_batch_size = int(self.strategy.eval_mb_size)
        try:
            self.strategy.load_state_dict(state["strategy"])
        except (RuntimeError, KeyError, TypeError, AttributeError, ValueError) as error:
            raise CheckpointError(
                f"{path}: damaged: its state is not that of the strategy that it describes "
                f"({reason(error)}). Use another checkpoint of the run."
            ) from error

    def session(self) -> EvalSession:
        """Return the evaluation of the strategy, or of the forward pass."""
        own = self._forward
        return (
            ForwardSession(own) if own else StrategySession(self.strategy, self.request.execution)
        )


class ExportedEvaluation(EvaluationModel):
    """The evaluation of an exported file.

    Args:
        model: The file's model.
        config: See `EvaluationModel`; None for the parts of its run's config that the file holds.
        config_file, request: See `EvaluationModel`.

    Raises:
        CliqaError: The file, the data or the protocol is wrong, or the file is of another config.
    """

    def __init__(
        self, model: ExportedModel, config: Config | None, config_file: str, request: EvalRequest
    ) -> None:
        self.model = model
        config = own_config(self.model, request.dataset_root) if config is None else config
        if not request.data_sets or not all(map(is_new_data_set, request.data_sets)):
            check_places(self.model.path, config["scenario"], "--datasets TYPE=ROOT")
        check_fits_export(self.model, config)
        check_protocol(self.model, request.protocol)
        if self.model.takes_pixels:
            config = {**config, "scenario": {**config["scenario"], "eval_transform": []}}
        names, about = self.model.names, self.model.metadata
        super().__init__(
            *(model.path, config, config_file, CPU, request),
            names=names,
            learnt=int(about.get("experiences_learnt", len(names))),
            record=about.get("data"),
            absent=about.get("absent", ()),
        )
        if self.data.kind == "classes":
            check_same_names(model.path, "classes", self.model.classes, list(self.data.class_names))
        self.own_batch_size = int(config["cl_strategy"].get("eval_mb_size", BATCH))

    def session(self) -> EvalSession:
        """Return the evaluation of the file."""
        return ForwardSession(self.model)

    def results(
        self, outputs: Mapping[str, tuple[np.ndarray, np.ndarray]], seconds: float
    ) -> dict[str, Any]:
        """Return the content of ``eval_results.json``, with the backend and the precision."""
        found = super().results(outputs, seconds)
        precision = self.model.metadata.get("precision")
        found["protocol"]["exported"] = {"backend": self.model.backend, "precision": precision}
        return found


def open_evaluation(path: Path, request: EvalRequest, device: torch.device) -> EvaluationModel:
    """Return the evaluation of a checkpoint or an exported file under the config that it holds.

    Raises:
        CliqaError: The checkpoint, its data or the request is wrong.
    """
    if backend_of(path):
        with built_from(path):
            model = ExportedModel(path, str(device), request.execution)
            return ExportedEvaluation(model, None, str(path), request)
    state = load_run(path)
    config = config_to_build(state)
    with built_from(path):
        if request.dataset_root is not None:
            config["scenario"] = {**config["scenario"], "dataset_root": request.dataset_root}
        config = check_config({**config, "num_workers": 0})
        own = (f"{path}: config", device, request, path.parent.parent)
        return CheckpointEvaluation(path, state, config, *own)


def experiences_learnt(state: Mapping[str, Any]) -> int:
    """Return how many experiences a checkpoint's model has been trained on to their end."""
    joint = state["config"]["cl_strategy"].get("type") == "JointTraining"
    return len(state["names"]) if joint and state["next_step"] else int(state["next_step"])
