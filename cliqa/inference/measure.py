"""Measuring any number of checkpoints, each image decoded once for all that see it."""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from cliqa.datasets.base import QualityDataset
from cliqa.datasets.classes.class_dataset import ImageFiles
from cliqa.inference.candidate import Candidate
from cliqa.inference.evaluation_pass import AnySitting, run_pass
from cliqa.transforms.protocol import Views


def measure(candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    """Evaluate checkpoints on all their data sets.

    Args:
        candidates: The checkpoints.

    Returns:
        The content of each one's ``eval_results.json``.

    Raises:
        DatasetError: An image cannot be read.
    """
    sittings = [candidate.sitting() for candidate in candidates]
    outputs: list[dict[str, tuple[np.ndarray, np.ndarray]]] = [{} for _ in candidates]
    seconds = [0.0] * len(candidates)
    for name, members in _passes(candidates):
        started = time.monotonic()
        found, targets = _run(
            name, [candidates[k] for k in members], [sittings[k] for k in members]
        )
        for k, values in zip(members, found, strict=True):
            outputs[k][name] = values, targets
            seconds[k] += time.monotonic() - started
    for sitting in sittings:
        sitting.end()
    return [
        candidate.results({name: outputs[k][name] for name in candidate.chosen.sources}, seconds[k])
        for k, candidate in enumerate(candidates)
    ]


def _passes(candidates: Sequence[Candidate]) -> list[tuple[str, list[int]]]:
    """Return the data sets with the places of the candidates that can share a pass over each."""
    passes: dict[Hashable, tuple[str, list[int]]] = {}
    for place, candidate in enumerate(candidates):
        for name, source in candidate.chosen.sources.items():
            task = candidate.chosen.task_labels[name]
            key = (name, _identity(source), candidate.batch_size, task)
            passes.setdefault(key, (name, []))[1].append(place)
    return list(passes.values())


def _identity(source: Any) -> Hashable:  # noqa: ANN401
    """Return what is equal for two data sets of the same files and targets."""
    if isinstance(source, QualityDataset):
        return tuple(source.files), source.scores.tobytes()
    if isinstance(source.inputs, ImageFiles):
        return tuple(source.inputs.paths), source.targets.tobytes()
    return id(source)


def _run(
    name: str, candidates: Sequence[Candidate], sittings: Sequence[AnySitting]
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the outputs of candidates that share a pass over a data set, and its targets."""
    views: list[Views] = []
    numbers: list[int] = []
    for candidate, sitting in zip(candidates, sittings, strict=True):
        signatures = [view.signature() for view in views]
        if candidate.views.signature() not in signatures:
            views.append(candidate.views)
            signatures.append(candidate.views.signature())
        numbers.append(signatures.index(candidate.views.signature()))
        sitting.start(candidate.chosen.experiences[name])
    first = candidates[0]
    return run_pass(
        list(zip(sittings, numbers, strict=True)),
        first.chosen.sources[name],
        views,
        batch_size=first.batch_size,
        num_workers=first.request.num_workers,
        task=first.chosen.task_labels[name],
        title=name,
    )
