"""The comparison of four phases: its finished runs measured, summarised and written."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cliqa.compress.calibration_images import training_images
from cliqa.compress.study_files import (
    Speed,
    file_of,
    file_scores,
    measure_speeds,
)
from cliqa.deploy.onnx.file import OnnxModel
from cliqa.engine.work_dir.holding import only_one
from cliqa.evaluation.records.phases import (
    BATCHES,
    Phases,
    build_phases,
    phases_report,
    quality_of_file,
    trained_parameters,
    training_seconds,
)
from cliqa.evaluation.records.results import load_results
from cliqa.evaluation.records.table_styles import Style
from cliqa.studies.phases import ARMS, BASE, PhaseArm
from cliqa.studies.plan import Plan
from cliqa.studies.planned_run import PlannedRun
from cliqa.studies.study import write_files
from cliqa.utils.device import processor_name
from cliqa.utils.progress import Phase, track
from cliqa.visualization.phases import draw_phases

NAME = "four_phases"
"""The study's files, without their endings."""

Key = tuple[str, str]
"""An arm and a replicate."""

NOTES = (
    "accuracy: of the exported file, all classes competing (class-IL), mean over all tasks after "
    "the last; task-IL: the same among the two classes of each task",
    "forgetting: the best that the run reached on a task before the end, in float, minus the "
    "file's; mean over all tasks but the last",
    "trainable parameters: those of the last task's training",
    "file: ONNX, MiB of 2^20 bytes. ER + INT8 is the very run of ER, rounded after training; Full "
    "stack also trains with rounding",
    "training: over all tasks, with validation, without tests, exports and the start of the "
    "process; CPU s is the time of this process, all its threads, without image workers",
    "one backbone (three convolutions, 16/32/64 channels) in all rows. Multi-modal + ER and Full "
    "stack add a small text transformer and cross-attention, which read the class texts; in the "
    "file they are constants. Full stack prunes half of the backbone's channels in the first task",
)
"""What the columns and rows are."""


def write_phases(
    plan: Plan,
    *,
    rounds: int,
    allow_changed_data: bool = False,
    styles: Sequence[Style] = (),
) -> tuple[Phases, list[Path]]:
    """Measure the files of the finished runs, and write ``four_phases.*`` into the study's folder.

    Speed is measured anew by every call, of all files in turns, so that it is of one machine at
    one time.

    Args:
        plan: The study, of `plan_phases`.
        rounds: Of the speed measurement.
        allow_changed_data: Measure on data that have changed since; the plan's notes say so.
        styles: Styles of the table beside Markdown and CSV.

    Returns:
        The comparison, and the files.

    Raises:
        CliqaError: Nothing has finished, or a file is missing or damaged.
    """
    with only_one(plan.out, "study"):
        runs = finished_arms(plan)
        files = {key: file_of(run, arm.precision) for key, (arm, run) in runs.items()}
        values: dict[str, dict[str, dict[str, float | None]]] = {arm.name: {} for arm in ARMS}
        for key, (arm, run) in track(list(runs.items()), "evaluating files", unit="file"):
            results = load_results(run.folder)
            scores = file_scores(run, files[key], allow_changed_data=allow_changed_data)
            values[arm.name][key[1]] = {
                **quality_of_file(results, scores),
                **training_seconds(results),
                "trainable": trained_parameters(results),
                "mib": files[key].stat().st_size / 2**20,
            }
        speeds = file_speeds(files, _images(plan), rounds)
        for (arm_name, replicate), by_batch in speeds.items():
            for batch, turns in by_batch.items():
                median = statistics.median(turn.cpu for turn in turns)
                values[arm_name][replicate][f"fps_{batch}"] = median
        phases = build_phases(
            values,
            labels={arm.name: arm.label for arm in ARMS},
            replicates=plan.replicates,
            base=BASE,
            about={**_about(plan), "rounds": rounds, "speeds": _spreads(speeds)},
            notes=(*NOTES, _machine(rounds, speeds), *plan.notes),
        )
        table = partial(phases_report, phases)
        written = write_files(plan.out / NAME, phases, table, draw_phases(phases), styles)
    return phases, written


def finished_arms(plan: Plan) -> dict[Key, tuple[PhaseArm, PlannedRun]]:
    """Return the finished run of every arm and replicate; arms of one config share it."""
    done = {(run.name, str(run.replicate)): run for run in plan.runs if run.is_finished()}
    return {
        (arm.name, replicate): (arm, done[arm.config, replicate])
        for replicate in plan.replicates
        for arm in ARMS
        if (arm.config, replicate) in done
    }


def file_speeds(
    files: Mapping[Key, Path], images: np.ndarray, rounds: int
) -> dict[Key, dict[int, list[Speed]]]:
    """Return the speed of every file by the images of a pass, in every round; see `measure_speeds`.

    One thread computes each.

    Args:
        files: ONNX files of one input.
        images: Preprocessed ones, at least as many as a pass has: (N, C, H, W).
        rounds: Of the measurement.
    """
    models = {key: OnnxModel(path, threads=1).run for key, path in files.items()}
    found: dict[Key, dict[int, list[Speed]]] = {key: {} for key in files}
    with Phase("measuring speed", len(BATCHES), "batch size") as bar:
        for batch in BATCHES:
            for key, turns in measure_speeds(models, images[:batch], rounds).items():
                found[key][batch] = turns
            bar.update()
    return found


def _images(plan: Plan) -> np.ndarray:
    """Return preprocessed images of the stream, as many as the largest pass has."""
    images = torch.cat(training_images(plan.runs[0].config["scenario"], max(BATCHES)))
    count = -(-max(BATCHES) // len(images))  # a tiny stream's are shown again
    return images.repeat(count, 1, 1, 1)[: max(BATCHES)].numpy()


def _spreads(speeds: Mapping[Key, Mapping[int, Sequence[Speed]]]) -> dict[str, Any]:
    """Return by arm, replicate and batch the median, least and most of each clock's speeds."""
    found: dict[str, Any] = {}
    for (arm, replicate), by_batch in speeds.items():
        for batch, turns in by_batch.items():
            cell = found.setdefault(arm, {}).setdefault(replicate, {}).setdefault(str(batch), {})
            for clock in Speed._fields:
                own = [getattr(turn, clock) for turn in turns]
                cell[clock] = [statistics.median(own), min(own), max(own)]
    return found


def _machine(rounds: int, speeds: Mapping[Key, Mapping[int, Sequence[Speed]]]) -> str:
    """Return in words how speed was measured, and how quiet the machine was."""
    turns = [turns for by_batch in speeds.values() for turns in by_batch.values()]
    spread = statistics.median(
        max(abs(t.cpu / middle - 1) for t in own)
        for own in turns
        for middle in [statistics.median(t.cpu for t in own)]
    )
    busy = statistics.median(turn.wall / turn.cpu for own in turns for turn in own)
    return (
        f"FPS: images over CPU time, without preprocessing, one thread of ONNX Runtime "
        f"({processor_name()}); median of {rounds} rounds, all files in turns, after all training. "
        f"The furthest round lies {100 * spread:.0f} % from its median (median over files); FPS by "
        f"wall time are {busy:.2f} of these"
    )


def _about(plan: Plan) -> dict[str, Any]:
    """Return what the study was made of."""
    config = plan.runs[0].config
    return {
        "epochs": config["cl_strategy"]["train_epochs"],
        "experiences": config["scenario"]["n_experiences"],
        "test_images": load_results(next(r for r in plan.runs if r.is_finished()).folder)["images"],
        "processor": processor_name(),
        "configs": {arm.name: f"{arm.config}.py, {arm.precision}" for arm in ARMS},
        "batches": list(BATCHES),
    }
