"""What ``tools/compress.py auto`` and a config's ``deploy`` section do with a finished run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from cliqa.deploy.auto_optimizer import AutoOptimizer, Outcome
from cliqa.deploy.pareto import Budget, Measured
from cliqa.deploy.recipes import PRECISIONS, Recipe, standard_recipes
from cliqa.engine.checkpoints import find_checkpoint
from cliqa.engine.deployments import Deployments, can_be_made
from cliqa.evaluation.tables import LABELS, Table, number, render
from cliqa.registry import parameters_of
from cliqa.utils.device import processor_name
from cliqa.utils.errors import ConfigError
from cliqa.utils.io import write_json, write_text
from cliqa.utils.logging import get_logger, setup_logging
from cliqa.utils.suggest import closest
from cliqa.visualization.pareto import draw_pareto
from cliqa.visualization.style import save_figure

logger = get_logger(__name__)

FOLDER = "deploy"
"""Where the files go, in the run's work_dir."""

NAME = "deployments"
"""The table's files, without their endings."""


def search_deployments(
    checkpoint: str | Path,
    out: str | Path | None = None,
    *,
    target: str = "size",
    budget: Mapping[str, float] | None = None,
    prunings: Sequence[float] = (),
    backends: Sequence[str] | None = None,
    distil: bool = True,
    epochs: int = 4,
    images: int = 128,
    batch_size: int = 1,
    threads: int = 1,
    rounds: int = 15,
) -> Outcome:
    """Try every recipe on a run's model, write the files, a table and a figure, and choose.

    The same call goes on where it was stopped.

    Args:
        checkpoint: A work_dir, or a checkpoint of a run.
        out: Where the files go; None for ``deploy`` in the work_dir.
        target: What the best one has: ``"size"``, ``"latency"`` or ``"quality"``.
        budget: Limits by name, see `Budget`; None: at most 0.02 of SRCC or accuracy may be lost.
        prunings: Shares of the channels to prune, beside none; each is fine-tuned.
        backends: ``"onnxruntime"``, ``"openvino"``, ``"torch"`` (bfloat16); None for the first two
            where they are installed.
        distil: The unpruned model teaches a pruned one.
        epochs: Of that fine-tuning.
        images: Training images that a quantization looks at.
        batch_size: Images of a pass that is timed.
        threads: Threads of the CPU that it is timed with.
        rounds: Passes that a time is the median of.

    Raises:
        CliqaError: The run, the data, an argument or a library is missing or wrong.
    """
    setup_logging()
    limits = check_deploy_values(target, budget, prunings, backends, epochs, images, batch_size)
    path = find_checkpoint(checkpoint)
    folder = Path(out) if out else path.parent.parent / FOLDER
    own = Deployments(path, folder, images=images, epochs=epochs, threads=threads)
    chosen = can_be_made(("onnxruntime", "openvino")) if backends is None else list(backends)
    optimizer = AutoOptimizer(
        target,
        limits,
        standard_recipes(prunings, chosen, distil),
        rounds=rounds,
        folder=folder,
        fingerprint=_fingerprint(path, epochs, images, batch_size, threads),
    )
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        batch = _of_one_size(own.batches, batch_size)
        outcome = optimizer.search(own.build, own.evaluate, batch)
    finally:
        torch.set_num_threads(before)
    _write(outcome, own, folder, batch, threads)
    return outcome


def check_deploy_values(
    target: str,
    budget: Mapping[str, float] | None,
    prunings: Sequence[float],
    backends: Sequence[str] | None,
    epochs: int,
    images: int,
    batch_size: int,
) -> Budget | None:
    """Check what a search is asked for, before anything is read; return the budget.

    Raises:
        ConfigError: A name is unknown, or a number out of range.
    """
    for name, value, least in (
        ("epochs", epochs, 0),
        ("images", images, 32),
        ("batch_size", batch_size, 1),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigError(f"deploy: {name} must be an integer >= {least}, got {value!r}.")
    known = list(Budget.__dataclass_fields__)
    for key in budget or ():
        if key not in known:
            raise ConfigError(
                f"deploy.budget: unknown limit '{key}'.{closest(key, known)} It has "
                f"{', '.join(known)}."
            )
    for share in prunings:
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share < 1:
            raise ConfigError(f"deploy.prunings: a share lies between 0 and 1, got {share!r}.")
    standard_recipes(prunings, backends or list(PRECISIONS))
    limits = None if budget is None else Budget(**budget)
    AutoOptimizer(target, limits)
    return limits


def check_deploy(section: Any) -> None:  # noqa: ANN401
    """Check a config's ``deploy`` section.

    Raises:
        ConfigError: A key is unknown, or a value wrong.
    """
    accepted = [n for n in parameters_of(search_deployments)[0] if n not in ("checkpoint", "out")]
    for key in section:
        if key not in accepted:
            raise ConfigError(
                f"deploy: unknown key '{key}'.{closest(key, accepted)} It has "
                f"{', '.join(accepted)}."
            )
    defaults: dict[str, Any] = {
        "target": "size",
        "budget": None,
        "prunings": (),
        "backends": None,
        "epochs": 4,
        "images": 128,
        "batch_size": 1,
    }
    check_deploy_values(**{**defaults, **{k: v for k, v in section.items() if k in defaults}})


def _fingerprint(path: Path, epochs: int, images: int, batch_size: int, threads: int) -> str:
    """Return what the measured rows depend on."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    facts = [digest, epochs, images, batch_size, threads, processor_name()]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _of_one_size(batches: Sequence[torch.Tensor], count: int) -> torch.Tensor:
    """Return `count` images of one size; the first are taken again where there are too few."""
    first = batches[0]
    same = torch.cat([batch for batch in batches if batch.shape[1:] == first.shape[1:]])
    return same.repeat(-(-count // len(same)), 1, 1, 1)[:count]


def _write(
    outcome: Outcome, own: Deployments, folder: Path, batch: torch.Tensor, threads: int
) -> None:
    """Write the table and the figure, and log what was found."""
    table = deployments_table(outcome, own.measure)
    about = {
        "checkpoint": str(own.checkpoint),
        "processor": processor_name(),
        "threads": threads,
        "batch": list(batch.shape),
        "measure": own.measure,
        "chosen_on": own.split,
        "target": outcome.target,
        "budget": outcome.budget.__dict__,
        "best": None if outcome.best is None else outcome.best.recipe.key,
        "front": [row.recipe.key for row in outcome.front],
        "rows": [{"key": row.recipe.key, **row.to_row()} for row in outcome.rows],
    }
    write_json(folder / f"{NAME}.json", about)
    notes = _notes(outcome, own, batch, threads)
    write_text(folder / f"{NAME}.md", f"{render(table, 'markdown')}\n{notes}\n")
    write_text(folder / f"{NAME}.csv", render(table, "csv"))
    label = LABELS.get(own.measure, own.measure)
    figure = draw_pareto(outcome.rows, outcome.front, outcome.best, label)
    save_figure(figure, folder / f"{NAME}.png")
    for line in f"{render(table)}\n{notes}".splitlines():
        logger.info("%s", line)
    logger.info("files: %s", folder)


def deployments_table(outcome: Outcome, measure: str) -> Table:
    """Return a line a recipe.

    Args:
        outcome: What a search found.
        measure: What quality is.
    """
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


def _cells(row: Measured, outcome: Outcome, reference: float | None) -> tuple[str, ...]:
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


def _notes(outcome: Outcome, own: Deployments, batch: torch.Tensor, threads: int) -> str:
    """Return what the table should be read with."""
    images, _, height, width = batch.shape
    how = {
        "val": "the choice looks at the validation split alone",
        "test": "there is no validation split: the choice looked at the test sets",
    }[own.split]
    return (
        f"{processor_name()}, {threads} thread(s), {images} image(s) of {height} x {width} pixels "
        f"(height x width); CPU time, against PyTorch in float32 in turns; {how}.\n"
        + "".join(f"{row.recipe}: {row.note}\n" for row in outcome.rows if row.note)
        + outcome.verdict()
    )
