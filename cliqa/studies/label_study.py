"""Two configs over numbers of training images and seeds: planned, run and summed up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cliqa.evaluation.records.study import LabelStudy, build_label_study
from cliqa.evaluation.records.study_tables import label_table
from cliqa.studies.bracket import Bracket
from cliqa.studies.plan import Plan, plan_study
from cliqa.studies.study import Failure, finished_runs, run_study
from cliqa.utils.errors import ConfigError
from cliqa.utils.io import write_json, write_text
from cliqa.visualization.study import draw_label_study
from cliqa.visualization.style import save_figure


def plan_label_study(
    baseline: str | Path,
    other: str | Path,
    images: Sequence[int],
    seeds: Sequence[int],
    out: str | Path,
    options: Sequence[str] = (),
) -> dict[int, Plan]:
    """Return the runs of a study by the number of training images of each data set.

    Both configs should differ in their start alone: equal epochs, rates and data.

    Args:
        baseline: One config over a `QualityStream`.
        other: The other one.
        images: Values of ``scenario.max_train``.
        seeds: At least one.
        out: The study's folder; runs go to ``OUT/<N>_images/<config>/seed_<S>``.
        options: ``key=value`` for both.

    Raises:
        ConfigError: A config or an option is wrong, or a number is below 1 or given twice.
    """
    if not images or min(images) < 1 or len(set(images)) < len(images):
        raise ConfigError(f"--images {' '.join(map(str, images))}: numbers >= 1, each once.")
    return {
        count: plan_study(
            [baseline, other],
            seeds,
            Path(out) / f"{count}_images",
            bracket=Bracket(None, None, look=False),
            options=[*options, f"scenario.max_train={count}"],
        )
        for count in sorted(images)
    }


def run_label_study(
    plans: Mapping[int, Plan],
    script: Path,
    *,
    jobs: int = 1,
    device: str = "auto",
    allow_changed_data: bool = False,
) -> list[Failure]:
    """Run what has not finished yet; arguments, result and errors are `run_study`'s."""
    return [
        failure
        for plan in plans.values()
        for failure in run_study(
            plan, script, jobs=jobs, device=device, allow_changed_data=allow_changed_data
        )
    ]


def write_label_study(plans: Mapping[int, Plan], out: str | Path) -> tuple[LabelStudy, list[Path]]:
    """Sum up what has finished, and write it.

    Args:
        plans: The runs, as planned.
        out: The study's folder.

    Returns:
        The study, and the files ``label_study.json``, ``.md``, ``.csv`` and ``.png``.

    Raises:
        EvaluationError: Nothing has finished in both configs.
    """
    first, second = next(iter(plans.values())).names
    found = {count: finished_runs(plan) for count, plan in plans.items()}
    study = build_label_study(found, first, second)
    files = [Path(out) / f"label_study.{suffix}" for suffix in ("json", "md", "csv", "png")]
    changed = [note for plan in plans.values() for note in plan.notes]
    write_json(files[0], {**study, "changed_data": changed} if changed else study)
    write_text(files[1], label_table(study, "markdown"))
    write_text(files[2], label_table(study, "csv"))
    save_figure(draw_label_study(study), files[3])
    return study, files
