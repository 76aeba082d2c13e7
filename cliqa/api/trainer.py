"""Continual training of a model and data sets in memory, with the package's methods by name."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from avalanche.benchmarks.scenarios.generic_scenario import EagerCLStream
from avalanche.benchmarks.utils import (
    AvalancheDataset,
    DataAttribute,
    TaskAwareSupervisedClassificationDataset,
)
from avalanche.benchmarks.utils.flat_data import ConstantSequence
from avalanche.training.plugins import EvaluationPlugin
from torch import nn

from cliqa.benchmarks.experience import NamedExperience
from cliqa.evaluation.classification import accuracy
from cliqa.evaluation.functional import srcc
from cliqa.evaluation.matrix import final_mean, forgetting
from cliqa.evaluation.metrics.prediction_collector import PredictionCollector
from cliqa.registry import PLUGINS, build_component
from cliqa.training.loop.options import TrainingOptions
from cliqa.training.loop.schedule import Schedule
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.supervised.naive import Naive
from cliqa.utils.device import resolve_device
from cliqa.utils.errors import ConfigError
from cliqa.utils.seed import seed_everything

Plugin = ContinualPlugin | Mapping[str, Any]
"""A plugin, or its section of a config: ``dict(type="EWC", strength=100.0)``."""


class ContinualTrainer:
    """Train a model on one data set after the other, without a config and without files.

    Example::

        trainer = cliqa.ContinualTrainer(model, lora_rank=16, use_replay=True, buffer_size=500)
        matrix = trainer.train_all_tasks(tasks, tests)

    Data sets give (input, target): targets are classes (int) or scores (float). A run that can be
    resumed, has intervals and writes results is `train` with a config.

    Args:
        model: The model: inputs (B, ...) -> logits (B, K) or scores (B,). It is changed.
        lora_rank: Rank of low-rank adapters: the first task trains the whole network, later ones
            adapters, normalisation layers and the part ``head``, if any (`LoRA`); None for none.
        use_replay: Replay earlier tasks' samples (`Replay`).
        buffer_size: Samples in that memory.
        use_contrastive: Add a contrastive loss between images and texts, of new samples and of
            those in the memory (`TextReplay`); the model is an `ImageTextModel`.
        enable_quantization: Train with eight-bit rounding from the second task on (`QAT`), so that
            a quantized file loses less.
        enable_pruning: Prune channels after the first task (`ChannelPruning`).
        pruning_ratio: Share of the channels that is pruned, 0..1.
        plugins: More methods.
        epochs: Epochs per task.
        batch_size: Samples of a batch.
        lr: Learning rate of AdamW.
        criterion: The loss; None for cross entropy of classes and the absolute error of scores.
        seed: Seed of all draws.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Attributes:
        model: The model.

    Raises:
        ConfigError: A method or one of its arguments is wrong.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        lora_rank: int | None = None,
        use_replay: bool = False,
        buffer_size: int = 200,
        use_contrastive: bool = False,
        enable_quantization: bool = False,
        enable_pruning: bool = False,
        pruning_ratio: float = 0.3,
        plugins: Sequence[Plugin] = (),
        epochs: int = 5,
        batch_size: int = 32,
        lr: float = 1e-3,
        criterion: nn.Module | None = None,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.model = model
        self.lora_rank = lora_rank
        self.use_replay, self.buffer_size = use_replay, buffer_size
        self.use_contrastive = use_contrastive
        self.enable_quantization = enable_quantization
        self.enable_pruning, self.pruning_ratio = enable_pruning, pruning_ratio
        self.plugins = list(plugins)
        self.epochs, self.batch_size, self.lr = epochs, batch_size, lr
        self.criterion, self.seed, self.device = criterion, seed, device
        self._trained = False
        self.methods()  # mistakes are told now

    def methods(self) -> list[ContinualPlugin]:
        """Return the plugins that the options ask for, new ones at every call.

        Raises:
            ConfigError: One is unknown, or an argument of it is wrong.
        """
        wanted: list[Plugin] = list(self.plugins)
        if self.use_contrastive:
            wanted.append({"type": "TextReplay", "mem_size": self.buffer_size})
        elif self.use_replay:
            wanted.append({"type": "Replay", "mem_size": self.buffer_size})
        if self.lora_rank is not None:
            heads = ["head"] if hasattr(self.model, "head") else []
            adapters = {"mode": "shared", "first": "full", "norm": "train", "heads": heads}
            wanted.append({"type": "LoRA", "rank": self.lora_rank, **adapters})
        if self.enable_pruning:
            wanted.append({"type": "ChannelPruning", "ratio": self.pruning_ratio, "round_to": 8})
        if self.enable_quantization:
            wanted.append({"type": "QAT", "start_experience": 1})
        return [
            each
            if isinstance(each, ContinualPlugin)
            else build_component(PLUGINS, dict(each), "ContinualTrainer")
            for each in wanted
        ]

    def train_all_tasks(
        self,
        tasks: Sequence[Any],
        tests: Sequence[Any] | None = None,
        names: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Train on all tasks in turn, and test on all after each.

        Args:
            tasks: The training data of each task: PyTorch data sets of (input, target).
            tests: The test data of each task; None to test nothing.
            names: The tasks' names; None for ``task 0``, ``task 1`` ...

        Returns:
            The score matrix: a row per trained task, a column per task, of accuracy or SRCC (NaN
            where that is not defined). Its ``attrs`` has ``measure``, ``mean``, ``forgetting``
            (None of one task), ``trainable_parameters``, ``parameters`` and ``seconds``.

        Raises:
            ConfigError: There are no tasks, their numbers differ, or the trainer has trained.
            CliqaError: A method does not fit the model or the data.
        """
        labels = self._checked(tasks, tests, names)
        started = time.monotonic()
        streams = [_stream(split, data, labels) for split, data in _splits(tasks, tests)]
        of_classes = hasattr(streams[0][0], "classes_in_this_experience")
        measure = accuracy if of_classes else srcc
        collected = PredictionCollector()
        strategy = self._strategy(collected, of_classes)
        rows = []
        for index, experience in enumerate(streams[0]):
            strategy.train_step(index, [experience])
            if len(streams) > 1:
                strategy.eval(streams[1])
                found = collected.result()
                rows.append([measure(*found[name]) for name in labels])
        values = np.array(rows, dtype=float).reshape(len(rows), len(labels))
        table = pd.DataFrame(values, labels[: len(rows)], labels)
        scores = [[None if np.isnan(v) else v for v in row] for row in table.to_numpy()]
        weights = list(self.model.parameters())
        table.attrs = {
            "measure": "accuracy" if of_classes else "srcc",
            "mean": final_mean(scores).value if scores else None,
            "forgetting": forgetting(scores).value if scores else None,
            "trainable_parameters": sum(w.numel() for w in weights if w.requires_grad),
            "parameters": sum(w.numel() for w in weights),
            "seconds": time.monotonic() - started,
        }
        return table

    def _checked(
        self, tasks: Sequence[Any], tests: Sequence[Any] | None, names: Sequence[str] | None
    ) -> list[str]:
        """Return the tasks' names.

        Raises:
            ConfigError: There are none, numbers differ, or the trainer has trained.
        """
        if self._trained:
            raise ConfigError(
                "ContinualTrainer: it has trained its model. Make a new one for another stream."
            )
        labels = [f"task {k}" for k in range(len(tasks))] if names is None else list(names)
        counts = {"tasks": len(tasks), "names": len(set(labels))}
        counts |= {} if tests is None else {"tests": len(tests)}
        if not tasks or len(set(counts.values())) > 1:
            told = ", ".join(f"{count} {what}" for what, count in counts.items())
            raise ConfigError(f"train_all_tasks: one of each is needed per task, got {told}.")
        self._trained = True
        return labels

    def _strategy(self, collected: PredictionCollector, of_classes: bool) -> Naive:
        """Return the strategy over the model on its device."""
        device = resolve_device(self.device)
        plugins = self.methods()
        seed_everything(self.seed, "model")
        for each in plugins:
            each.prepare(self.model)
        self.model.to(device)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="No loggers specified")
            evaluator = EvaluationPlugin(collected, loggers=[])
        trained = [weight for weight in self.model.parameters() if weight.requires_grad]
        strategy = Naive(
            model=self.model,
            optimizer=torch.optim.AdamW(trained, lr=self.lr),
            criterion=self.criterion or (nn.CrossEntropyLoss() if of_classes else nn.L1Loss()),
            train_mb_size=self.batch_size,
            eval_mb_size=self.batch_size,
            train_epochs=self.epochs,
            device=device,
            plugins=plugins,
            evaluator=evaluator,
        )
        strategy.configure(TrainingOptions(seed=self.seed), Schedule(None))
        return strategy


def _splits(
    tasks: Sequence[Any], tests: Sequence[Any] | None
) -> Iterable[tuple[str, Sequence[Any]]]:
    """Return the splits that there are."""
    return [("train", tasks)] if tests is None else [("train", tasks), ("test", tests)]


def _stream(
    split: str, data: Sequence[Any], names: Sequence[str]
) -> EagerCLStream[NamedExperience]:
    """Return the experiences of a split, of classes with their classes."""
    experiences = []
    seen: set[int] = set()
    for index, (name, samples) in enumerate(zip(names, data, strict=True)):
        targets = _targets(samples, name)
        classes = isinstance(targets[0], int)
        attributes = [DataAttribute(targets, "targets")]
        kind: Any = AvalancheDataset
        if classes:
            zeros = ConstantSequence(0, len(targets))
            attributes += [DataAttribute(zeros, "targets_task_labels", use_in_getitem=True)]
            kind = TaskAwareSupervisedClassificationDataset
        made = kind([samples], data_attributes=attributes)
        experience = NamedExperience(name, made.train() if split == "train" else made.eval(), index)
        if classes:
            own = set(targets)
            experience.classes_in_this_experience = sorted(own)
            experience.previous_classes = sorted(seen)
            seen |= own
            experience.classes_seen_so_far = sorted(seen)
        experiences.append(experience)
    return EagerCLStream(split, experiences)


def _targets(samples: Any, name: str) -> list[Any]:  # noqa: ANN401
    """Return a data set's targets as plain numbers, from its attribute or its items.

    Raises:
        ConfigError: It is empty, or an item is no pair of an input and a number.
    """
    known = getattr(samples, "targets", getattr(samples, "scores", None))
    try:
        found = [samples[k][1] for k in range(len(samples))] if known is None else list(known)
        plain = [each.item() if hasattr(each, "item") else each for each in found]
        if not plain or not all(type(each) in (int, float) for each in plain):
            raise ValueError("no targets, or no numbers")
    except (TypeError, ValueError, RuntimeError, IndexError, KeyError) as error:
        raise ConfigError(
            f"train_all_tasks: {name}: expected a data set of (input, class or score), got "
            f"{type(samples).__name__} ({error})."
        ) from error
    return plain
