"""Avalanche's disk usage metrics for the run's folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import avalanche.evaluation.metrics as avalanche_metrics
from avalanche.evaluation.metrics import DiskUsage

from cliqa.registry import METRICS


class FolderSize(DiskUsage):
    """The size of folders in KiB.

    Avalanche 0.6 starts ``du`` as a process for every value (77 ms each on a folder of 4300 files),
    by default on the whole working folder, and stops the training where a folder is missing.
    """

    def get_dir_size(self, path: str | Path) -> float:
        """Return the size of all files below a folder (0 for none) in KiB, without links."""
        return _bytes_below(str(path)) / 1024


def _bytes_below(folder: str) -> int:
    """Return the bytes of all files below a folder; files that vanish meanwhile are skipped."""
    total = 0
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return 0
    for entry in entries:
        try:
            if entry.is_dir(follow_symlinks=False):
                total += _bytes_below(entry.path)
            elif entry.is_file(follow_symlinks=False):
                total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return total


@METRICS.register_module()
def disk_usage_metrics(
    paths_to_monitor: str | Sequence[str] | None = None,
    minibatch: bool = False,
    epoch: bool = False,
    experience: bool = False,
    stream: bool = False,
    work_dir: str | Path = ".",
) -> list[Any]:
    """Return the metrics of disk usage, in KiB, for a config's ``metrics`` list.

    Args:
        paths_to_monitor: Folders; None for the run's own.
        minibatch: Measure after every training iteration.
        epoch: Measure after every epoch.
        experience: Measure after every evaluated experience.
        stream: Measure after every evaluation.
        work_dir: The run's folder.
    """
    paths = str(work_dir) if paths_to_monitor is None else paths_to_monitor
    metrics: list[Any] = avalanche_metrics.disk_usage_metrics(
        paths_to_monitor=paths,
        minibatch=minibatch,
        epoch=epoch,
        experience=experience,
        stream=stream,
    )
    for metric in metrics:
        metric._metric = FolderSize(paths)
    return metrics
