"""Which experiences of classes an evaluation measures, and what it says about each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import softmax

from cliqa.benchmarks.experience import NamedExperience
from cliqa.engine.streams import build_benchmark
from cliqa.engine.targets import ClassTargets, Outputs
from cliqa.evaluation.classification import predicted_classes
from cliqa.evaluation.records.tables import Table, number
from cliqa.inference.data_arguments import Scale, is_new_data_set
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)


class ChosenClasses:
    """The experiences to evaluate on.

    Args:
        config: The resolved config.
        wanted: Names of the stream's experiences; none for all that the model may be tested on.
        split: ``"test"``, ``"val"`` or ``"train"``.
        names: The experiences of the model's stream, in order.
        learnt: How many of them the model has learnt.
        scale: Of no matter here.

    Attributes:
        sources: The samples by experience.
        experiences: The same as experiences of the stream, each at its own place in it.
        task_labels: The samples' task label by experience.

    Raises:
        ConfigError: A name is unknown, a split is empty, or nothing is left to test on.
    """

    def __init__(
        self,
        config: dict[str, Any],
        wanted: Sequence[str],
        split: str,
        names: Sequence[str],
        learnt: int,
        scale: Scale | None = None,
    ) -> None:
        if split == "all":  # before the data are read
            raise ConfigError("--split all: a stream of classes has train, val and test.")
        self.benchmark = build_benchmark(config["scenario"])
        for name in wanted:
            if name not in names:
                advice = (
                    "For other images change the config: --cfg-options scenario.dataset_root=... "
                    "--allow-changed-data"
                    if is_new_data_set(name)
                    else f"The stream has {', '.join(names)}."
                )
                raise ConfigError(f"--datasets {name}: no experience is called so. {advice}")
        chosen = list(dict.fromkeys(wanted)) or self._tested(split, learnt)
        self._warn_about_training_data(chosen, split, learnt)
        self.sources = {name: self.benchmark.sources[name, split] for name in chosen}
        for name, data in self.sources.items():
            if not len(data):
                raise ConfigError(
                    f"--split {split}: {name} has no such samples. Set scenario.val_fraction=0.1, "
                    "or use --split test."
                )
        self.experiences = {name: self._experience(name, split) for name in chosen}
        self.task_labels: dict[str, int | None] = {
            name: names.index(name) if self.benchmark.task_labels else 0 for name in chosen
        }

    def _experience(self, name: str, split: str) -> NamedExperience:
        """Return an experience as the stream has it."""
        index = self.benchmark.names.index(name)
        experience = NamedExperience(name, self.benchmark.dataset(name, split).eval(), index)
        if self.benchmark.task_labels:  # what a model with a head for each task asks for
            experience.task_label, experience.task_labels = index, [index]
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

    def _warn_about_training_data(self, names: Sequence[str], split: str, learnt: int) -> None:
        """Say so where the model was trained on what it is measured on."""
        place = self.benchmark.names.index
        seen = [name for name in names if place(name) < learnt]
        if split == "test" and self.benchmark.ahead_only and seen:
            logger.warning("the model was trained on the images of %s", ", ".join(seen))

    def entry(
        self, name: str, prediction: np.ndarray, target: np.ndarray, bootstrap: int, seed: int
    ) -> dict[str, Any]:
        """Return an experience's metrics and predictions."""
        found = Outputs(self.benchmark, name, prediction, target)
        measured = ClassTargets().measures(found, bootstrap=bootstrap, seed=seed)
        return {
            "metrics": {**measured, "num_samples": measured["n"]},
            "predictions": self._predictions(name, prediction, target),
        }

    def _predictions(
        self, name: str, logits: np.ndarray, target: np.ndarray
    ) -> list[dict[str, Any]]:
        """Return what is said about each sample; nothing where the logits are no numbers."""
        keys = self.sources[name].keys
        classes = self.benchmark.class_names
        if not np.isfinite(logits).all():
            return [
                {"image": key, "prediction": None, "probability": None, "target": classes[int(t)]}
                for key, t in zip(keys, target, strict=True)
            ]
        said = predicted_classes(logits)
        sure = softmax(logits.astype(np.float64), axis=1)[np.arange(len(said)), said]
        return [
            {
                "image": key,
                "prediction": classes[int(s)] if s < len(classes) else None,
                "probability": float(p),
                "target": classes[int(t)],
            }
            for key, s, p, t in zip(keys, said, sure, target, strict=True)
        ]


def classes_table(results: dict[str, Any]) -> Table:
    """Return a line an experience."""
    rows = []
    for name, data in results["datasets"].items():
        metrics = data["metrics"]
        band = (metrics.get("interval") or {}).get("accuracy")
        interval = f"{band[0]:.3f}..{band[1]:.3f}" if band else "n/a"
        task_il = number(metrics.get("accuracy_task_il"))
        rows.append((name, str(metrics["n"]), number(metrics["accuracy"]), interval, task_il))
    header = ("experience", "samples", "accuracy", "95 %", "task-IL")
    return Table(f"After {results['experiences_learnt']} experience(s)", header, tuple(rows))
