"""More epochs of the experience that was learnt last."""

from __future__ import annotations

from avalanche.training.templates import SupervisedTemplate

from cliqa.engine.build import Parts
from cliqa.engine.work_dir.artifacts import WorkDir
from cliqa.engine.work_dir.config_growth import EPOCHS
from cliqa.engine.work_dir.source import Source, read_source
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.utils.errors import CheckpointError
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)


def for_more_epochs(parts: Parts, source: Source) -> Source:
    """Return the checkpoint to continue from with more epochs of the last experience.

    That is the one before the experience's end where a longer experience begins as a shorter one.
    Where a schedule or a method spans the epochs, it is trained again from its beginning.
    """
    spans = spanning(parts.strategy)
    files = WorkDir(source.path.parent.parent)
    step = source.state["next_step"] - (0 if source.mid_step else 1)
    if step < 0 or (source.mid_step and not spans):
        return source
    if not spans and files.before_end.is_file():
        found = read_source(files.before_end)
        if found.mid_step and found.state["next_step"] == step:
            return found
    why = f"{spans} spans all epochs of an experience" if spans else f"no {files.before_end}"
    name, before = parts.benchmark.names[step], files.checkpoint_of(step - 1)
    if step and before.is_file():
        logger.info("%s: %s is trained again from its beginning", why, name)
        return read_source(before)
    raise CheckpointError(
        f"{EPOCHS}: {why}, so {name} must be trained again from its beginning, and "
        + (f"{before} is gone." if step else "it is the first experience: train without --extend.")
    )


def spanning(strategy: SupervisedTemplate) -> str:
    """Return what depends on the number of epochs of an experience; empty for nothing."""
    schedule = strategy.schedule
    if schedule.spans_experience:
        return str((schedule.config or {})["type"])
    plugins = (p for p in strategy.plugins if isinstance(p, ContinualPlugin))
    return next((type(p).__name__ for p in plugins if p.needs_all_epochs), "")
