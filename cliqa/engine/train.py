"""What ``cliqa train`` does with a config."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from avalanche.training.templates import SupervisedTemplate

from cliqa.engine.build import build
from cliqa.engine.check import check_config
from cliqa.engine.experiment import train_stream
from cliqa.engine.growth.continuation import facts_of, find_continuation, settle
from cliqa.engine.interrupts import memory_advice, stop_on_signals
from cliqa.engine.loggers.opening import describe_run
from cliqa.engine.loggers.run_logger import Audience
from cliqa.engine.options import RunOptions
from cliqa.engine.processes.agreement import agree_on_data, agree_on_run
from cliqa.engine.processes.follower import Follower
from cliqa.engine.rehearsal import choose_precision, rehearse
from cliqa.engine.run import Run
from cliqa.engine.sections import resamples, run_folder, with_command_line
from cliqa.engine.work_dir.artifacts import WorkDir
from cliqa.engine.work_dir.cadence import cadence_of
from cliqa.engine.work_dir.data_record import record_of
from cliqa.evaluation.records.tables import report
from cliqa.utils.device import resolve_device
from cliqa.utils.logging import get_logger, setup_logging
from cliqa.utils.memory import shape_of
from cliqa.utils.processes.group import device_of, is_main, main_first, size, wait_for_all
from cliqa.utils.progress import EVERY, progress_lines
from cliqa.utils.seed import numerics
from cliqa.visualization.run import draw_run

logger = get_logger(__name__)


def train(
    config: dict[str, Any],
    *,
    config_file: str | Path,
    work_dir: str | Path | None = None,
    **options: Any,  # noqa: ANN401
) -> dict[str, Any]:
    """Train a config over its stream, draw its figures and log its table.

    Args:
        config: The config, as loaded.
        config_file: Where it was loaded from.
        work_dir: Where the run's files go; None for the config's own.
        options: Those of `RunOptions`.

    Returns:
        The results, as written to results.json.

    Raises:
        CliqaError: The config, the data or a checkpoint is wrong.
    """
    asked = RunOptions(**options)
    target = resolve_device(device_of(asked.device))
    config = with_command_line(config, seed=asked.seed, amp=asked.amp)
    folder = run_folder(config, config_file, work_dir)
    # before anything is written: a mistake leaves no folder behind
    setup_logging()
    every = config.get("progress_seconds", EVERY)
    with progress_lines("reading the data and the model", every):
        continuation, config = find_continuation(WorkDir(folder), asked, check_config(config))
        agree_on_run(config, asked, continuation.source)
        with main_first():  # which makes what is generated, and the index of the files
            parts = build(config, target, folder, continuation.learnt)
        continuation = settle(parts, continuation)
        config = parts.config
        record = record_of(parts.benchmark)
        agree_on_data(record)
        advice = partial(_memory_advice, parts.strategy, config["amp"])
        with numerics(config), memory_advice(advice):
            rehearse(parts)
            choose_precision(parts)
    run = (Run if is_main() else Follower)(
        folder,
        config,
        asked.resume,
        config_file=str(config_file),
        bootstrap=resamples(config),
        data=record,
        allow_changed_data=asked.allow_changed_data,
        source=continuation.source,
        grows=continuation.growth is not None,
        absent=list(getattr(parts.benchmark, "absent", ())),
    )
    origin = facts_of(continuation)
    wait_for_all()  # none still reads what the main one is about to move or to replace
    del continuation  # the run has the checkpoint's content now, and drops it when it is loaded
    with numerics(config), stop_on_signals(), run:
        setup_logging(run.files.log if is_main() else None)
        if is_main():
            parts.attach_loggers(run.files.root)
        start: dict[str, Any] = {"start": parts.start.to_dict()} if parts.start else {}
        start |= {"processes": size()} if size() > 1 else {}
        audience = Audience(parts.strategy.evaluator.loggers)
        told = audience.begin(config, run.files.root)
        run.begin(str(target), parts.benchmark.notes, **start, **origin, loggers=told)
        for line in describe_run(config, parts.strategy, parts.benchmark, target):
            logger.info("%s", line)
        if loss := cadence_of(config).loss():
            logger.info("%s", loss)
        try:
            with memory_advice(advice):
                results = train_stream(parts, run, asked.stop_after)
            if not is_main():
                return results
            for line in report(results).splitlines():
                logger.info("%s", line)
            figures = list[Path]()
            if config.get("figures", True):
                with progress_lines("drawing the figures", every):
                    figures = draw_run(run.files.root)
            audience.finish(results, figures)
        finally:
            parts.close_loggers()
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
