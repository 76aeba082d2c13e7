"""What ``train_config.py`` does with a config."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from avalanche.training.templates import SupervisedTemplate

from cliqa.engine.build import build
from cliqa.engine.experiment import train_stream
from cliqa.engine.interrupts import memory_advice, stop_on_signals
from cliqa.engine.rehearsal import rehearse
from cliqa.engine.run import Run
from cliqa.engine.sections import resamples, run_folder, with_command_line
from cliqa.engine.work_dir.data_record import record_of
from cliqa.evaluation.records.tables import report
from cliqa.utils.device import resolve_device
from cliqa.utils.logging import get_logger, setup_logging
from cliqa.utils.memory import shape_of
from cliqa.utils.seed import numerics
from cliqa.visualization.run import draw_run

logger = get_logger(__name__)


def train(
    config: dict[str, Any],
    *,
    config_file: str | Path,
    work_dir: str | Path | None = None,
    device: str = "auto",
    seed: int | None = None,
    resume: str | None = None,
    amp: bool = False,
    allow_changed_data: bool = False,
) -> dict[str, Any]:
    """Train a config over its stream, draw its figures and log its table.

    Args:
        config: The config, as loaded.
        config_file: Where it was loaded from.
        work_dir: Where the run's files go; None for the config's own.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        seed: Overrides the config's seed.
        resume: ``None`` to start from scratch, ``"auto"`` or a checkpoint's path to resume.
        amp: Train in mixed precision.
        allow_changed_data: Resume although the data have changed.

    Returns:
        The results, as written to results.json.

    Raises:
        CliqaError: The config, the data or a checkpoint is wrong.
    """
    target = resolve_device(device)
    config = with_command_line(config, seed=seed, amp=amp)
    folder = run_folder(config, config_file, work_dir)
    # before anything is written: a mistake leaves no folder behind
    setup_logging()
    parts = build(config, target, folder)
    config = parts.config
    advice = partial(_memory_advice, parts.strategy, config["amp"])
    with numerics(config), memory_advice(advice):
        rehearse(parts)
    run = Run(
        folder,
        config,
        resume,
        config_file=str(config_file),
        bootstrap=resamples(config),
        data=record_of(parts.benchmark),
        allow_changed_data=allow_changed_data,
    )
    with numerics(config), stop_on_signals(), run:
        setup_logging(run.files.log)
        parts.attach_loggers(run.files.root)
        start = {"start": parts.start.to_dict()} if parts.start else {}
        run.begin(str(target), parts.benchmark.notes, **start)
        try:
            with memory_advice(advice):
                results = train_stream(parts, run)
        finally:
            parts.close_loggers()
        for line in report(results).splitlines():
            logger.info("%s", line)
        figures = draw_run(run.files.root)
    logger.info("results: %s", run.files.results)
    for figure in figures:
        logger.info("figure:  %s", figure)
    return results


def _memory_advice(strategy: SupervisedTemplate, amp: object) -> str:
    """Return what a strategy was doing when memory ran out, and what to lower.

    Args:
        strategy: The strategy; its last batch gives the sizes.
        amp: The config's key.
    """
    evaluates = not strategy.is_training
    name, size = (
        ("eval_mb_size", strategy.eval_mb_size)
        if evaluates
        else ("train_mb_size", strategy.train_mb_size)
    )
    transform = "eval_transform" if evaluates else "train_transform"
    sizes = f" or the sizes in scenario.{transform}"
    shown = f"{size} samples"
    batch = getattr(strategy, "mbatch", None)
    if batch is not None and len(batch[0]):
        images = batch[0]
        shown = f"{len(images)} samples of {shape_of(images[0])}"
        sizes = sizes if images[0].dim() > 1 else ""
    what = "evaluating" if evaluates else "training on"
    more = "" if amp else ", or set amp=True"
    return f"while {what} {shown}. Lower cl_strategy.{name} ({size}){sizes}{more}."
