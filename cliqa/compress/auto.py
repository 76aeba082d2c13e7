"""Search the best deployment of a run: ``compress.py auto``, a config's ``deploy`` section."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from cliqa.compress.deployments import Deployments, can_be_made
from cliqa.compress.operator_report import against_float32, operators_table
from cliqa.config.trust import trusting
from cliqa.deploy.search.auto_optimizer import STATE, AutoOptimizer, Outcome
from cliqa.deploy.search.options import DeployOptions, check_libraries, deploy_options
from cliqa.deploy.search.pareto import RecipeResult
from cliqa.deploy.search.recipes import Recipe, parts_to_try
from cliqa.engine.sections import run_folder
from cliqa.engine.work_dir.checkpoints import find_checkpoint
from cliqa.engine.work_dir.holding import only_one
from cliqa.evaluation.records.table_styles import SUFFIXES, Style, Table, render, render_notes
from cliqa.evaluation.records.tables import LABELS, number
from cliqa.utils.device import processor_name
from cliqa.utils.io import sha256_of, write_json, write_text
from cliqa.utils.locks import remove_leftovers
from cliqa.utils.logging import get_logger, setup_logging
from cliqa.visualization.pareto import draw_pareto
from cliqa.visualization.style import save_figure

logger = get_logger(__name__)

FOLDER = "deploy"
"""Where the files go, in the run's work_dir."""

WAITING = (
    "CPU time adds up the threads, their waiting for each other included: on a busy machine that "
    "is most of it. Compare with one thread.\n"
)

NAME = "deployments"
"""The table's files, without their endings."""


def search_deployments(
    checkpoint: str | Path,
    out: str | Path | None = None,
    options: DeployOptions | None = None,
    allow_changed_data: bool = False,
    style: Style = "text",
) -> Outcome:
    """Try every recipe on a run's model, write the files, a table and a figure, and choose.

    A search that was stopped resumes.

    Args:
        checkpoint: A work_dir, or a checkpoint of a run.
        out: Where the files go; None for ``deploy`` in the work_dir.
        options: The options of the search; None for the defaults.
        allow_changed_data: Measure on other data than the run's; the table says so.
        style: How the table is logged; LaTeX and HTML are written too.

    Raises:
        CliqaError: The run, the data or a library is missing or wrong.
    """
    setup_logging()
    asked = options or DeployOptions()
    check_libraries(asked)
    path = find_checkpoint(checkpoint)
    folder = Path(out) if out else path.parent.parent / FOLDER
    own = Deployments(path, folder, asked, allow_changed_data)
    home = path.parent.parent
    with contextlib.ExitStack() as held:
        if folder.parent == home:  # a new run there would move it aside meanwhile
            held.enter_context(only_one(home, "training"))
        held.enter_context(only_one(folder, "search"))
        remove_leftovers(folder, "*.onnx", "*.pth", STATE, f"{NAME}.*")
        return _search(own, style)


def _search(own: Deployments, style: Style) -> Outcome:
    """Search in a folder that is held."""
    asked = own.options
    installed = can_be_made(("onnxruntime", "openvino"))
    backends = installed if asked.backends is None else asked.backends
    optimizer = AutoOptimizer(
        asked.target,
        asked.limits,
        asked.recipes(backends, parts_to_try(own.network)),
        rounds=asked.rounds,
        folder=own.folder,
        fingerprint={**_fingerprint(own.checkpoint, asked), "data": own.data.digests()},
    )
    before = torch.get_num_threads()
    torch.set_num_threads(asked.threads)
    try:
        batch = _of_one_size(own.batches, asked.batch_size)
        outcome = optimizer.search(own.build, own.evaluate, batch)
    finally:
        torch.set_num_threads(before)
    _write(outcome, own, batch, style)
    return outcome


def deploy_run(
    config: Mapping[str, Any], config_file: str | Path, work_dir: str | Path | None = None
) -> Outcome:
    """Do what the ``deploy`` section of a config whose run has finished asks for.

    Raises:
        CliqaError: As `search_deployments`.
    """
    folder = run_folder(config, config_file, work_dir)
    with trusting():  # the run was trained under the user's own config just now
        return search_deployments(folder, options=deploy_options(config["deploy"]))


def _fingerprint(path: Path, asked: DeployOptions) -> dict[str, Any]:
    """Return the values that the measured rows depend on."""
    return {
        "checkpoint": sha256_of(path),
        "epochs": asked.epochs,
        "calibration images": asked.images,
        "batch size": asked.batch_size,
        "threads": asked.threads,
        "processor": processor_name(),
    }


def _of_one_size(batches: Sequence[torch.Tensor], count: int) -> torch.Tensor:
    """Return `count` images of one size; the first are taken again where there are too few."""
    first = batches[0]
    same = torch.cat([batch for batch in batches if batch.shape[1:] == first.shape[1:]])
    return same.repeat(-(-count // len(same)), 1, 1, 1)[:count]


def _write(outcome: Outcome, own: Deployments, batch: torch.Tensor, style: Style) -> None:
    """Write the table and the figure, and log them."""
    folder = own.folder
    table = deployments_table(outcome, own.measure)
    operators = operators_table(outcome, batch, own.options.threads)
    about = {
        "checkpoint": f"{own.checkpoint.parent.name}/{own.checkpoint.name}",  # no local folders
        "processor": processor_name(),
        "threads": own.options.threads,
        "batch": list(batch.shape),
        "measure": own.measure,
        "chosen_on": own.split,
        "changed_data": list(own.data.changes),
        "options": own.options.to_dict(),
        "target": outcome.target,
        "budget": outcome.budget.__dict__,
        "best": None if outcome.best is None else outcome.best.recipe.key,
        "front": [row.recipe.key for row in outcome.front],
        "rows": [{"key": row.recipe.key, **row.to_row()} for row in outcome.rows],
        "operators": None if operators is None else [operators.header, *operators.rows],
    }
    write_json(folder / f"{NAME}.json", about)
    notes = _notes(outcome, own, batch)
    below = f"\n{render(operators, 'markdown')}" if operators is not None else ""
    write_text(folder / f"{NAME}.md", f"{render(table, 'markdown')}\n{notes}\n{below}")
    write_text(folder / f"{NAME}.csv", render(table, "csv"))
    label = LABELS.get(own.measure, own.measure)
    measured = f"{label} ({own.split})"  # the table has the test sets' too, which may differ
    figure = draw_pareto(outcome.rows, outcome.front, outcome.best, measured)
    save_figure(figure, folder / f"{NAME}.png")
    shown = notes if style == "text" else render_notes(notes.splitlines(), style)
    report = f"{render(table, style)}\n{shown}"
    if operators is not None:
        report += f"\n\n{render(operators, style)}"
    if style in ("latex", "html"):
        write_text(folder / f"{NAME}{SUFFIXES[style]}", report)
    for line in report.splitlines():
        logger.info("%s", line)
    logger.info("files: %s", folder)


def deployments_table(outcome: Outcome, measure: str) -> Table:
    """Return a line a recipe."""
    reference = next(
        (row.faster for row in outcome.rows if row.recipe == Recipe() and row.faster), None
    )
    label = LABELS.get(measure, measure)
    header = (
        "recipe",
        "MiB",
        "smaller",
        "CPU ms",
        "faster",
        "than onnxruntime fp32",
        f"{label} (choice)",
        f"{label} (test)",
        "lost",
        "",
    )
    rows = tuple(_cells(row, outcome, reference) for row in outcome.rows)
    return Table("Deployments", header, rows)


def _cells(row: RecipeResult, outcome: Outcome, reference: float | None) -> tuple[str, ...]:
    """Return one line."""
    if not row.valid:
        return (str(row.recipe), *[""] * 8, "not measured")
    ratio = row.faster / reference if row.faster and reference else None
    mark = "chosen" if row == outcome.best else "front" if row in outcome.front else ""
    return (
        str(row.recipe),
        number(None if row.bytes is None else row.bytes / 2**20, 2),
        f"{row.smaller:.2f}x",
        number(row.cpu_ms, 2),
        f"{row.faster:.2f}x",
        "n/a" if ratio is None else f"{ratio:.2f}x",
        number(row.quality, 4),
        number(row.test_quality, 4),
        number(row.drop, 4),
        mark,
    )


def _notes(outcome: Outcome, own: Deployments, batch: torch.Tensor) -> str:
    """Return the remarks below the table."""
    threads = own.options.threads
    images, _, height, width = batch.shape
    how = {
        "val": "the choice looks at the validation split alone",
        "test": "there is no validation split: the choice looked at the test sets",
    }[own.split]
    return (
        f"{processor_name()}, {threads} thread(s), {images} image(s) of {height} x {width} pixels "
        f"(height x width); CPU time, against PyTorch in float32 in turns; {how}.\n"
        + (WAITING if threads > 1 else "")
        + "".join(f"{change}.\n" for change in own.data.changes)
        + "".join(
            f"{'; '.join(recipes)}: {note}\n" for note, recipes in _recipes_by_note(outcome).items()
        )
        + "".join(f"{line}\n" for line in [against_float32(outcome)] if line)
        + outcome.verdict()
    )


def _recipes_by_note(outcome: Outcome) -> dict[str, list[str]]:
    """Return the notes, with the recipes of each."""
    notes: dict[str, list[str]] = {}
    for row in outcome.rows:
        if row.note:
            notes.setdefault(row.note, []).append(str(row.recipe))
    return notes
