"""The data of an evaluation, and the metrics and predictions that are reported of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy.special import softmax
from torch import Tensor

from cliqa.benchmarks.experience import NamedExperience
from cliqa.benchmarks.samples import with_transforms
from cliqa.datasets.base import QualityDataset
from cliqa.datasets.classes.class_dataset import ClassDataset
from cliqa.engine.streams import build_benchmark
from cliqa.engine.targets import ClassTargets, Outputs
from cliqa.evaluation.classification import predicted_classes
from cliqa.evaluation.quality import score_measures
from cliqa.inference.evaluation_request import ALL, EvalRequest, is_new_data_set, score_sources
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

Row = dict[str, Any]


class EvaluationData:
    """The data sets of scores, or the experiences of classes, that a model is evaluated on.

    Args:
        config: The resolved config.
        request: The data sets and the split.
        names: The experiences of the model's stream, in order.
        learnt: How many of them the model has learnt.
        absent: Of data of scores: those that were gone when it learnt the last ones.

    Attributes:
        kind: ``"scores"`` or ``"classes"``.
        sources: The samples by name.
        experiences: The same as experiences of the stream, each at its own place in it; other data
            sets come after all that the model has learnt.
        task_labels: The samples' task label by name; None for scores, which have none.
        class_names: The classes; empty for scores.
        absent: By name, why a data set that is wanted cannot be evaluated: it is not there any
            more.
    """

    kind: str
    sources: Mapping[str, QualityDataset | ClassDataset]
    experiences: dict[str, NamedExperience]
    task_labels: dict[str, int | None]
    class_names: Sequence[str] = ()
    absent: Mapping[str, str] = MappingProxyType({})

    def metrics(
        self, name: str, outputs: np.ndarray, targets: np.ndarray, bootstrap: int, seed: int
    ) -> Row:
        """Return the metrics of one data set."""
        raise NotImplementedError

    def predictions(self, name: str, outputs: np.ndarray, targets: np.ndarray) -> list[Row]:
        """Return a row for each sample of one data set."""
        raise NotImplementedError

    def entry(
        self, name: str, outputs: np.ndarray, targets: np.ndarray, bootstrap: int, seed: int
    ) -> Row:
        """Return the metrics and predictions of one data set."""
        metrics = self.metrics(name, outputs, targets, bootstrap, seed)
        return {
            "metrics": {**metrics, "num_samples": metrics["n"]},
            "predictions": self.predictions(name, outputs, targets),
        }


class ScoreData(EvaluationData):
    """Data sets of quality scores.

    The config's data sets are read only if one of them is wanted, and then all of them, so that
    images that they share are treated as in training; only those that are not asked for, or were
    gone in training, may be gone. Others are evaluated whole.

    Raises:
        ConfigError: A name is unknown or given to two data sets, or a split is empty.
    """

    kind = "scores"
    sources: dict[str, QualityDataset]

    def __init__(
        self,
        config: dict[str, Any],
        request: EvalRequest,
        names: Sequence[str],
        learnt: int,
        absent: Collection[str] = (),
    ) -> None:
        needed = set(names) - set(absent) if request.takes_own else set()
        needed.update(request.named)
        may_be_gone = ["" if name in needed else name for name in names]
        self.sources, self.absent = score_sources(config["scenario"], request, may_be_gone)
        self.experiences = {
            name: NamedExperience(
                name,
                with_transforms(data, _unchanged, _unchanged),
                names.index(name) if name in names else learnt,
            )
            for name, data in self.sources.items()
        }
        self.task_labels = dict.fromkeys(self.sources)

    def metrics(
        self, name: str, outputs: np.ndarray, targets: np.ndarray, bootstrap: int, seed: int
    ) -> Row:
        """Return correlations and errors."""
        return score_measures(outputs, targets, bootstrap=bootstrap, seed=seed)

    def predictions(self, name: str, outputs: np.ndarray, targets: np.ndarray) -> list[Row]:
        """Return the predicted and the true score of each image, on both scales."""
        source = self.sources[name]
        raw = source.to_raw(np.clip(outputs, 0, 1))
        columns = zip(source.table.images, outputs, targets, raw, source.raw_scores, strict=True)
        return [
            {
                "image": image,
                "prediction": _finite(score),
                "target": float(target),
                "raw_prediction": _finite(raw_score),
                "raw_target": float(raw_target),
            }
            for image, score, target, raw_score, raw_target in columns
        ]


class ClassData(EvaluationData):
    """Experiences of a stream of classes.

    Raises:
        ConfigError: A name is unknown, a split is empty, or nothing is left to test on.
    """

    kind = "classes"

    def __init__(
        self, config: dict[str, Any], request: EvalRequest, names: Sequence[str], learnt: int
    ) -> None:
        split = request.split
        if split == "all":  # before the data are read
            raise ConfigError("--split all: a stream of classes has train, val and test.")
        self.benchmark = build_benchmark(config["scenario"])
        self.class_names = self.benchmark.class_names
        for name in request.data_sets:
            _check_known(name, [*names, ALL])
        chosen = self._tested(split, learnt) if request.takes_own else request.named
        seen = [name for name in chosen if self.benchmark.names.index(name) < learnt]
        if split == "test" and self.benchmark.ahead_only and seen:
            logger.warning("the model was trained on the images of %s", ", ".join(seen))
        self.sources = {name: self.benchmark.sources[name, split] for name in chosen}
        for name, data in self.sources.items():
            if not len(data):
                raise ConfigError(
                    f"--split {split}: {name} has no such samples. Set scenario.val_fraction=0.1, "
                    "or use --split test."
                )
        self.experiences = {name: self._experience(name, split) for name in chosen}
        self.task_labels = {name: self.benchmark.task_of(name) for name in chosen}

    def _experience(self, name: str, split: str) -> NamedExperience:
        """Return an experience as the stream has it."""
        index = self.benchmark.names.index(name)
        experience = NamedExperience(name, self.benchmark.dataset(name, split).eval(), index)
        if self.benchmark.task_labels:  # a model with a head for each task asks for it
            task = self.benchmark.task_of(name)
            experience.task_label, experience.task_labels = task, [task]
        return experience

    def _tested(self, split: str, learnt: int) -> list[str]:
        """Return the experiences that the model may be tested on."""
        names: list[str] = self.benchmark.names
        if split != "test":
            return names
        tested = [names[k] for k in self.benchmark.tested(range(learnt))]
        if not tested:
            raise ConfigError(
                "scenario.evaluation_protocol='streaming': the model has learnt every bucket, so "
                "none is left to test it on. Give an earlier checkpoint (exp_0.pth), or use 'iid'."
            )
        return tested

    def metrics(
        self, name: str, outputs: np.ndarray, targets: np.ndarray, bootstrap: int, seed: int
    ) -> Row:
        """Return accuracies with their intervals."""
        found = Outputs(self.benchmark, name, outputs, targets)
        return ClassTargets().measures(found, bootstrap=bootstrap, seed=seed)

    def predictions(self, name: str, outputs: np.ndarray, targets: np.ndarray) -> list[Row]:
        """Return the predicted and the true class of each image; None where logits are NaN."""
        classes: list[str | None] = [*self.class_names]
        if np.isfinite(outputs).all():
            chosen = predicted_classes(outputs)
            shares = softmax(outputs.astype(np.float64), axis=1)[np.arange(len(chosen)), chosen]
            names = [classes[int(k)] if k < len(classes) else None for k in chosen]
            probabilities: list[float | None] = [float(share) for share in shares]
        else:
            names, probabilities = [None] * len(targets), [None] * len(targets)
        rows = zip(self.sources[name].keys, names, probabilities, targets, strict=True)
        return [
            {
                "image": key,
                "prediction": predicted,
                "probability": probability,
                "target": classes[int(target)],
            }
            for key, predicted, probability, target in rows
        ]


def _unchanged(image: Tensor) -> Tensor:
    """Return the image: an evaluation transforms the samples itself."""
    return image


def _check_known(name: str, names: Sequence[str]) -> None:
    """Refuse the name of an experience that the stream does not have."""
    if name in names:
        return
    advice = (
        "For other images change the config: --cfg-options scenario.dataset_root=... "
        "--allow-changed-data"
        if is_new_data_set(name)
        else f"The stream has {', '.join(names)}."
    )
    raise ConfigError(f"--datasets {name}: no experience is called so. {advice}")


def _finite(value: float) -> float | None:
    """Return a number, None where a diverged model predicts NaN or infinity: JSON has neither."""
    return float(value) if np.isfinite(value) else None
