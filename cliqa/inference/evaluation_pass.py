"""One pass over each data set for any number of models: an image is read and decoded once."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from cliqa.datasets.base import QualityDataset
from cliqa.datasets.classes.class_dataset import ClassDataset, ImageFiles
from cliqa.evaluation.classification import accuracy
from cliqa.evaluation.functional import srcc
from cliqa.inference.eval_session import EvalSession, Images
from cliqa.inference.evaluation_model import EvaluationModel
from cliqa.inference.execution.late_steps import LateSteps
from cliqa.transforms.protocol import Views
from cliqa.utils.errors import DatasetError
from cliqa.utils.memory import InPieces
from cliqa.utils.progress import track
from cliqa.utils.threads.ahead import ahead, default_threads

Batch = tuple[list[Images], Tensor]
Source = QualityDataset | ClassDataset


class SharedViews(Dataset[tuple[list[Tensor], object]]):
    """A data set's samples as several models see them before the late steps: ([view, ...], target).

    Args:
        source: The samples (image, target).
        views: The ways in which each image is shown; it is decoded once for all of them.
    """

    def __init__(self, source: Source, views: Sequence[Views]) -> None:
        self.source = source
        self.views = [LateSteps(view) for view in views]

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[list[Tensor], object]:
        image, target = self.source[index]
        key = Path(self.source.keys[index]).name
        try:
            return [view(image, key) for view in self.views], target
        except DatasetError as error:
            raise DatasetError(f"{self.source.keys[index]}: {error}") from error

    def collate(self, samples: Sequence[tuple[list[Tensor], object]]) -> Batch:
        """Return a batch (B, ...) or `RaggedImages` for each view, and the targets (B,)."""
        shown = zip(*(images for images, _ in samples), strict=True)
        images = [view.batch(own) for view, own in zip(self.views, shown, strict=True)]
        return images, default_collate([target for _, target in samples])


def evaluate_models(models: Sequence[EvaluationModel]) -> list[dict[str, Any]]:
    """Evaluate models on all their data sets; models of the same data share a pass over them.

    Returns:
        The content of each one's ``eval_results.json``.

    Raises:
        DatasetError: An image cannot be read.
    """
    sessions = [model.session() for model in models]
    outputs: list[dict[str, tuple[np.ndarray, np.ndarray]]] = [{} for _ in models]
    seconds = [0.0] * len(models)
    for name, members in _passes(models):
        started = time.monotonic()
        found, targets = run_pass(
            name, [models[k] for k in members], [sessions[k] for k in members]
        )
        for k, values in zip(members, found, strict=True):
            outputs[k][name] = values, targets
            seconds[k] += time.monotonic() - started
    for session in sessions:
        session.end()
    return [
        {
            **model.results({name: outputs[k][name] for name in model.data.sources}, seconds[k]),
            **_gates(model, sessions[k]),
        }
        for k, model in enumerate(models)
    ]


def _gates(model: EvaluationModel, session: EvalSession) -> dict[str, Any]:
    """Return the part ``gate`` of a run with one: what it did on each data set."""
    rows = session.gates(accuracy if model.data.kind == "classes" else srcc)
    return {"gate": rows} if rows else {}


def _passes(models: Sequence[EvaluationModel]) -> list[tuple[str, list[int]]]:
    """Return the data sets with the indexes of the models that can share a pass over each."""
    passes: dict[Hashable, tuple[str, list[int]]] = {}
    for index, model in enumerate(models):
        for name, source in model.data.sources.items():
            task = model.data.task_labels[name]
            key = (name, _identity(source), model.batch_size, task)
            passes.setdefault(key, (name, []))[1].append(index)
    return list(passes.values())


def _identity(source: Source) -> Hashable:
    """Return a key that is equal for two data sets of the same files and targets."""
    if isinstance(source, QualityDataset):
        return tuple(source.files), source.scores.tobytes()
    if isinstance(source.inputs, ImageFiles):
        return tuple(source.inputs.paths), source.targets.tobytes()
    return id(source)


def _batches(
    samples: SharedViews, size: int, num_workers: int | None, on_gpu: bool
) -> Iterator[Batch]:
    """Yield batches that threads, or as many processes, read ahead."""
    if num_workers is not None:
        loader: DataLoader[Any] = DataLoader(
            samples,
            size,
            num_workers=num_workers,
            collate_fn=samples.collate,
            pin_memory=on_gpu,
        )
        yield from loader
        return
    threads = default_threads(len(samples))
    read = ahead(samples.__getitem__, range(len(samples)), threads)
    while batch := list(islice(read, size)):
        yield samples.collate(batch)


@torch.no_grad()
def run_pass(
    name: str, models: Sequence[EvaluationModel], sessions: Sequence[EvalSession]
) -> tuple[list[np.ndarray], np.ndarray]:
    """Run several models over a data set that they share.

    Returns:
        The outputs of each model, (N,) or (N, K), and the targets (N,).

    Raises:
        DatasetError: An image cannot be read or transformed.
        MachineError: Memory does not suffice for one image.
    """
    views: list[Views] = []
    signatures: list[object] = []
    for model, session in zip(models, sessions, strict=True):
        if model.views.signature() not in signatures:
            views.append(model.views)
            signatures.append(model.views.signature())
        session.start(model.data.experiences[name])
    shown = [signatures.index(model.views.signature()) for model in models]
    first = models[0]
    samples = SharedViews(first.data.sources[name], views)
    device = sessions[0].device
    workers = first.request.num_workers
    batches = _batches(samples, first.batch_size, workers, device.type == "cuda")
    total = -(-len(samples) // first.batch_size)
    networks = [InPieces(session.outputs) for session in sessions]
    outputs: list[list[Tensor]] = [[] for _ in models]
    targets: list[Tensor] = []
    for images, target in track(batches, f"evaluate {name}", total):
        complete = [
            view.finish(own.to(device)) for view, own in zip(samples.views, images, strict=True)
        ]
        for kept, network, view in zip(outputs, networks, shown, strict=True):
            kept.append(network(complete[view], target, first.data.task_labels[name]))
        targets.append(target)
    return [torch.cat(kept).numpy() for kept in outputs], torch.cat(targets).numpy()
