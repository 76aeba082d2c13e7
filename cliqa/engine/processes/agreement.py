"""Refuses processes that were not started for the same run on the same data.

Those of one machine are copies of one command. Those of several machines may differ: another copy
of a config, a data set that is older there, a folder that only one of them sees.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from cliqa.engine.options import RunOptions
from cliqa.engine.work_dir.data_record import DataRecord
from cliqa.engine.work_dir.same_run import differing_keys
from cliqa.engine.work_dir.source import Source
from cliqa.utils.errors import ConfigError, DatasetError
from cliqa.utils.processes.group import from_all, size

PATHS = ("device", "resume", "start_from")
"""Options whose values may differ: devices and paths are each machine's own."""


def agree_on_run(config: Mapping[str, Any], asked: RunOptions, source: Source | None) -> None:
    """Refuse processes with other configs, options or checkpoints than the main one's.

    Args:
        config: The checked config.
        asked: The options.
        source: The checkpoint that the run continues from.

    Raises:
        ConfigError: They differ; the message names what and where, in every process.
    """
    if size() == 1:
        return
    options = {k: v for k, v in dataclasses.asdict(asked).items() if k not in PATHS}
    main, *others = from_all((dict(config), options, _place(source)))
    for rank, other in enumerate(others, 1):
        keys = differing_keys(main[0], other[0])
        keys += [f"--{key.replace('_', '-')}" for key in options if main[1][key] != other[1][key]]
        if keys:
            raise ConfigError(
                f"process {rank} was started for another run than process 0: {', '.join(keys)} "
                "differs. Give every machine the same config and the same options."
            )
        if main[2] != other[2]:
            raise ConfigError(
                f"process {rank} continues from another checkpoint than process 0: {other[2]}, "
                f"not {main[2]}. Every machine must see the same work_dir."
            )


def agree_on_data(record: DataRecord) -> None:
    """Refuse processes that have other images or labels than the main one.

    Args:
        record: Of the data that this process sees.

    Raises:
        DatasetError: They differ; the message names the data set, in every process.
    """
    if size() == 1:
        return
    main, *others = from_all(record.digests())
    for rank, other in enumerate(others, 1):
        for name in {**main, **other}:
            ours, theirs = main.get(name, {}), other.get(name, {})
            for split in {**ours, **theirs}:
                if ours.get(split) != theirs.get(split):
                    raise DatasetError(
                        f"{name}, {split}: process {rank} has {_images(theirs.get(split))}, and "
                        f"process 0 has {_images(ours.get(split))}; their names, labels or sizes "
                        "differ. Every machine must see the same data."
                    )


def _place(source: Source | None) -> str:
    """Return in words where a checkpoint stands."""
    if source is None:
        return "none"
    inside = f" and {source.state['strategy']['epochs_done']} epochs" if source.mid_step else ""
    return f"one after {source.state['next_step']} experiences{inside}"


def _images(split: Mapping[str, Any] | None) -> str:
    """Return how many images a split has."""
    return f"{0 if split is None else split['images']} images"
