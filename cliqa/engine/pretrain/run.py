"""What ``cliqa train`` does with a config that has a ``pretrain`` section."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cliqa.config.load import dump_config
from cliqa.engine.interrupts import memory_advice, stop_on_signals
from cliqa.engine.loggers.build import build_loggers, close_loggers
from cliqa.engine.loggers.run_logger import Audience
from cliqa.engine.options import RunOptions
from cliqa.engine.pretrain.check import check_pretraining
from cliqa.engine.pretrain.parts import build_pretraining
from cliqa.engine.sections import run_folder, with_command_line
from cliqa.engine.work_dir.artifacts import WorkDir
from cliqa.engine.work_dir.data_record import DataRecord
from cliqa.engine.work_dir.holding import ReadCheckpoint
from cliqa.engine.work_dir.same_run import check_same_config, check_same_data
from cliqa.pretraining.pretrainer import Pretrainer, Row
from cliqa.utils.checkpoint import load_checkpoint, save_checkpoint
from cliqa.utils.device import resolve_device
from cliqa.utils.errors import CheckpointError, ConfigError
from cliqa.utils.io import write_jsonl
from cliqa.utils.logging import get_logger, setup_logging
from cliqa.utils.progress import EVERY, progress_lines
from cliqa.utils.seed import numerics
from cliqa.visualization.pretraining import draw_pretraining
from cliqa.visualization.style import save_figure

logger = get_logger(__name__)

ENCODER = "encoder.pth"
"""The file that any model config takes with ``load_from``."""


def pretrain(
    config: dict[str, Any],
    *,
    config_file: str | Path,
    work_dir: str | Path | None = None,
    **options: Any,  # noqa: ANN401
) -> list[Row]:
    """Pretrain a config's model on images without scores, and write its encoder.

    The arguments are those of `cliqa.engine.train.train`.

    Returns:
        One row an epoch: the parts of the loss, and the held-out rank accuracy.

    Raises:
        CliqaError: The config, the images or a checkpoint is wrong.
    """
    asked = RunOptions(**options)
    asked.check_pretraining()
    target = resolve_device(asked.device)
    config = with_command_line(config, seed=asked.seed, amp=asked.amp)
    files = WorkDir(run_folder(config, config_file, work_dir))
    # before anything is written: a mistake leaves no folder behind
    setup_logging()
    config = check_pretraining(config)
    if config.get("deploy") is not None:
        raise ConfigError(
            "deploy: a pretraining has no scores to compare by. Export its encoder with "
            "cliqa compress export, or set deploy in the config that fine-tunes it."
        )
    saved, read_as = _state_to_resume(files, asked.resume, config)
    checkpoint = None if read_as is None else read_as.path
    parts = build_pretraining(config, target)
    trainer, data = parts.pretrainer, parts.data
    if saved is not None and checkpoint is not None:
        data = check_same_data(checkpoint, saved.get("data"), data, asked.allow_changed_data)
        state = saved["pretraining"]
        if data.changes:
            state = {**state, "images": len(trainer.data)}  # which may be fewer or more now
        trainer.load_state_dict(state)
        logger.info("resumed from %s: %d epoch(s) done", checkpoint, len(trainer.rows))
    resumes = checkpoint is not None and files.owns(checkpoint)
    held = files.held(resumes=resumes, resumed=read_as, resumable=asked.resume == "auto")
    with numerics(config), stop_on_signals(), held:
        setup_logging(files.log)
        dump_config(config, files.config)
        start = {"start": parts.start.to_dict()} if parts.start else {}
        loggers = build_loggers(config, files.root)
        audience = Audience(loggers)
        files.write_run(
            seed=config["seed"],
            device=str(target),
            config=str(config_file),
            loggers=audience.begin(config, files.root),
            **start,
            **data.facts(),
        )
        save = partial(_save, files, config, data)
        save(trainer)
        if trainer.rows:  # a kill may have come between the checkpoint and its rows
            _write_rows(files, trainer)
        trainer.after_epoch = (
            lambda one, row: _after_epoch(files, save, one, row),
            lambda _, row: _log(loggers, row),
        )
        try:
            every = config.get("progress_seconds", EVERY)
            with (
                progress_lines("pretraining", every),
                memory_advice(partial(_memory_advice, trainer)),
            ):
                trainer.run()
            rows = _finish(files, trainer)
            audience.finish(None, sorted(files.figures.glob("pretraining.*")))
            return rows
        finally:
            close_loggers(loggers)


def _state_to_resume(
    files: WorkDir, resume: str | None, config: dict[str, Any]
) -> tuple[dict[str, Any] | None, ReadCheckpoint | None]:
    """Return the checkpoint to resume from, and its file; None for a new run.

    Raises:
        CheckpointError: The checkpoint is missing, or of another config.
    """
    path = None if resume is None else files.checkpoint_to_resume(resume)
    if path is None:
        return None, None
    read_as = ReadCheckpoint(path)
    saved = load_pretraining(path)
    check_same_config(path, saved["config"], config, files.config)
    return saved, read_as


def load_pretraining(path: Path) -> dict[str, Any]:
    """Return a pretraining's checkpoint.

    Raises:
        CheckpointError: The file is damaged, or holds something else.
    """
    state = load_checkpoint(path)
    if "pretraining" not in state:
        raise CheckpointError(f"{path}: not a checkpoint of a pretraining.")
    return state


def _save(files: WorkDir, config: dict[str, Any], data: DataRecord, trainer: Pretrainer) -> None:
    """Write the checkpoint to resume from."""
    content = {"config": config, "data": data.to_state(), "pretraining": trainer.state_dict()}
    save_checkpoint(files.last, content)
    files.mark_last(files.last)


def _after_epoch(
    files: WorkDir, save: Callable[[Pretrainer], None], trainer: Pretrainer, row: Row
) -> None:
    """Save an epoch, and log its losses."""
    save(trainer)
    _write_rows(files, trainer)
    shown = [f"{name} {row[name]:.4f}" for name in ("total", "cons", "pos", "neg") if name in row]
    if "rank_accuracy_overall" in row:
        shown.append(f"held-out rank accuracy {row['rank_accuracy_overall']:.3f}")
    logger.info("epoch %d/%d  %s", row["epoch"] + 1, trainer.epochs, "  ".join(shown))


def _write_rows(files: WorkDir, trainer: Pretrainer) -> None:
    """Write the rows of all epochs."""
    write_jsonl(files.metrics, [{"kind": "pretraining", **one} for one in trainer.rows])


def _log(loggers: Sequence[Any], row: Row) -> None:
    """Pass an epoch's values to the config's loggers (TensorBoard, Weights & Biases, ...)."""
    for name, value in row.items():
        if name != "epoch":
            for each in loggers:
                each.log_single_metric(f"Pretraining/{name}", value, int(row["epoch"]))


def _finish(files: WorkDir, trainer: Pretrainer) -> list[Row]:
    """Write the encoder and the figure."""
    encoder = files.checkpoints / ENCODER
    weights = {name: value.cpu() for name, value in trainer.model.encoder.state_dict().items()}
    save_checkpoint(encoder, {"state_dict": weights})
    logger.info("encoder: %s (start from it with --cfg-options load_from=%s)", encoder, encoder)
    figure = save_figure(draw_pretraining(trainer.rows), files.figures / "pretraining.png")
    logger.info("figure:  %s", figure)
    return trainer.rows


def _memory_advice(trainer: Pretrainer) -> str:
    """Return what a pretraining was doing when memory ran out, and what to lower."""
    size, side = trainer.batch_size, trainer.data.crop_size
    return (
        f"while pretraining on batches of {size} images, two crops of {side} x {side} of each at "
        f"every level. Lower pretrain.batch_size ({size}), pretrain.data.crop_size ({side}) or "
        f"pretrain.data.num_levels{'' if trainer.precision.amp else ', or set amp=True'}."
    )
