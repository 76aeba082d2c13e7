"""A run that continues from a checkpoint: its config, its data, and where it resumes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cliqa.engine.build import Parts
from cliqa.engine.growth.epochs import for_more_epochs
from cliqa.engine.options import RunOptions
from cliqa.engine.work_dir.artifacts import WorkDir
from cliqa.engine.work_dir.config_growth import (
    BEFORE,
    EPOCHS,
    Growth,
    with_stage,
    with_stages,
    without_stage,
)
from cliqa.engine.work_dir.same_run import check_growth
from cliqa.engine.work_dir.source import Source, read_source
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.state import without_state
from cliqa.training.supervised.cumulative import Cumulative
from cliqa.training.supervised.joint import JointTraining
from cliqa.utils.errors import CheckpointError, ConfigError
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)


@dataclass(frozen=True)
class Continuation:
    """What a run continues from.

    Attributes:
        source: The checkpoint; None for a run that starts from scratch.
        growth: What the config asks for beyond the checkpoint's; None where nothing is allowed.
    """

    source: Source | None = None
    growth: Growth | None = None

    @property
    def learnt(self) -> list[str]:
        """The data sets that need not be there any more; of a resumed run those that were gone.

        Each is at its place in the stream; see `build_data_sets`.
        """
        if self.source is None:
            return []
        return self.source.learnt if self.growth else self.source.gone


def find_continuation(
    files: WorkDir, asked: RunOptions, config: dict[str, Any]
) -> tuple[Continuation, dict[str, Any]]:
    """Return what a run continues from, and its config with what the checkpoint alone knows.

    Args:
        files: The run's folder.
        asked: The options.
        config: The checked config.

    Raises:
        CheckpointError: There is no checkpoint, or the config changes what was learnt.
        ConfigError: The config asks for two things at once, or for both in the same folder.
    """
    source = _find_source(files, asked)
    if source is None:
        return Continuation(), config
    saved = source.state["config"]
    config = with_stages(config, saved)
    if not asked.continues:
        return Continuation(source), config
    growth = check_growth(source.path, saved, config)
    if growth.stream and "datasets" in config["scenario"]:
        config = with_stage(config, saved, len(source.state["names"]))
    return Continuation(source, growth), config


def _find_source(files: WorkDir, asked: RunOptions) -> Source | None:
    """Return the checkpoint that the options name."""
    if asked.start_from is not None:
        path = files.checkpoint_to_resume(asked.start_from, "--start-from")
        if path is not None and files.owns(path):
            raise ConfigError(
                f"--start-from {asked.start_from}: is the run's own folder. To continue there, use "
                "--extend; to begin a new run, give another --work-dir."
            )
    elif asked.extend:
        path = files.last if files.last.is_file() else None
        if path is None:
            raise CheckpointError(
                f"--extend: {files.root} holds no checkpoint of a run. Train it first, without "
                "--extend, or name its folder with --work-dir."
            )
    else:
        path = None if asked.resume is None else files.checkpoint_to_resume(asked.resume)
    return None if path is None else read_source(path)


def settle(parts: Parts, continuation: Continuation) -> Continuation:
    """Check that a run can grow as asked, and return from which checkpoint it does.

    The parts' config says where the stream ended if images that were learnt are in new test data.

    Raises:
        CheckpointError: The stream's beginning is another one, or a checkpoint is missing.
        ConfigError: The method cannot learn more.
    """
    source, growth = continuation.source, continuation.growth
    absent = list(getattr(parts.benchmark, "absent", ()))
    if source is None:
        return continuation
    if absent:
        _check_needed(parts, absent)
    if growth is None:
        return continuation
    _check_begins(parts, source)
    _check_online(parts, growth)
    _keep_learnt(parts, source)
    if growth.stream:
        _tell_differences(parts)
    if growth.epochs:
        source = for_more_epochs(parts, source)
        for name in set(absent) - set(source.learnt):
            raise ConfigError(
                f"{EPOCHS}: {name} must be trained on. {parts.benchmark.absent[name]}"
            )
        continuation = replace(continuation, source=source)
    elif not growth.stream and source.state["next_step"] == len(parts.benchmark.names):
        logger.warning("the config asks for nothing that %s has not learnt", source.path)
    return continuation


def _check_needed(parts: Parts, absent: list[str]) -> None:
    """Refuse methods that read earlier data, where these are gone."""
    strategy = parts.strategy
    readers = [type(p).__name__ for p in strategy.plugins if hasattr(p, "mem_size")]
    if isinstance(strategy, (Cumulative, JointTraining)):
        readers.append(type(strategy).__name__)
    readers += without_state(strategy)
    if readers:
        raise ConfigError(
            f"{absent[0]}: not there any more, and {readers[0]} trains on samples of it: "
            f"{parts.benchmark.absent[absent[0]]}"
        )


def _check_begins(parts: Parts, source: Source) -> None:
    """Refuse a stream that does not begin as the checkpoint's, and methods with one step."""
    before, names = source.state["names"], parts.benchmark.names
    if names[: len(before)] != before:
        raise CheckpointError(
            f"{source.path}: learnt {', '.join(before)}, and the config's stream is "
            f"{', '.join(names)}. What is new comes at the end: scenario.datasets or order."
        )
    if isinstance(parts.strategy, JointTraining) and len(names) > len(before):
        raise ConfigError(
            "cl_strategy 'JointTraining': trains on all data at once, so none can be added "
            "later. Train again, without --extend, over all of them."
        )
    classes, known = list(getattr(parts.benchmark, "class_names", ())), source.state["classes"]
    if classes[: len(known)] != known:
        raise CheckpointError(
            f"{source.path}: learnt the classes {', '.join(known[:8])}, which are now "
            f"{', '.join(classes[:8])}. New classes must come after them: name their folders so."
        )


def _check_online(parts: Parts, growth: Growth) -> None:
    """Refuse more epochs over images that have passed, and data that would have been mixed in."""
    online = parts.config["scenario"].get("online") or {}
    if online and growth.epochs:
        raise ConfigError(
            f"{EPOCHS}: the images of an online stream have passed, so none can be trained on for "
            "longer. Train again, without --extend."
        )
    if online.get("blur") and growth.stream:
        raise ConfigError(
            "scenario.online.blur: new data would have been mixed with what was learnt, so the "
            "stream cannot grow. Train again, without --extend, or set blur=0 from the start."
        )


def _keep_learnt(parts: Parts, source: Source) -> None:
    """Forget where the stream ended, if no image that was learnt is in the later test data.

    A run over the whole stream would have taken it out of the training data. Here it has left the
    test data, and the config says so.
    """
    stages = parts.config["scenario"].get(BEFORE, ())
    known, names = len(source.state["names"]), parts.benchmark.names
    if not stages or stages[-1] != known:
        return
    earlier = set(names[:known])
    taken = [
        overlap
        for overlap in parts.benchmark.overlaps
        if overlap.removed_from == overlap.second
        and overlap.first[0] in earlier
        and overlap.second[0] not in earlier
    ]
    if not taken:
        parts.config = without_stage(parts.config)


def _tell_differences(parts: Parts) -> None:
    """Warn about methods that depend on the stream's length, which was another one so far."""
    for plugin in parts.strategy.plugins:
        why = plugin.uses_length() if isinstance(plugin, ContinualPlugin) else ""
        if why:
            logger.warning(
                "%s: %s, so the result is not that of a run over the whole stream.",
                type(plugin).__name__,
                why,
            )


def facts_of(continuation: Continuation) -> Mapping[str, str]:
    """Return the entries of run.json about where a run came from."""
    if continuation.source is None or continuation.growth is None:
        return {}
    return {"continued_from": str(continuation.source.path)}
