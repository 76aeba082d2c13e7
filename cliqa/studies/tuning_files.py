"""The files of a tuning: its record, a config with the best values, a table and a figure."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cliqa.config.load import load_config
from cliqa.config.values import format_config
from cliqa.engine.work_dir.same_run import differing_keys, listed
from cliqa.evaluation.records.results import read_artifact
from cliqa.evaluation.records.table_styles import SUFFIXES, Style, Table, render
from cliqa.evaluation.records.tables import number
from cliqa.studies.search_space import as_options
from cliqa.studies.trial import STATES, Trial, best_of
from cliqa.studies.tuning import Tuning
from cliqa.utils.errors import ArtifactError, ConfigError
from cliqa.utils.io import write_json, write_text
from cliqa.visualization.style import save_figure
from cliqa.visualization.tuning import draw_tuning

FILE_NAME = "tune.json"

KILLED = "killed by"
"""How the reason of a run begins that a signal has ended."""

SAME = ("space", "experiences", "seeds", "seed", "prune")
"""Parts of the record that a tuning which goes on must share."""


def save_trials(tuning: Tuning, trials: Sequence[Trial]) -> None:
    """Write the record, atomically."""
    write_json(tuning.out / FILE_NAME, tuning.record(trials))


def load_trials(tuning: Tuning) -> list[Trial]:
    """Return the trials that lie in the folder, none where it holds no tuning.

    Raises:
        ConfigError: They are of another config, space or seed.
        ArtifactError: The record is damaged.
    """
    path = tuning.out / FILE_NAME
    if not path.exists():
        return []
    _, found = read_artifact(path, FILE_NAME, "")
    try:
        rows = [{k: v for k, v in row.items() if k != "mean"} for row in found["trials"]]
        trials = [Trial(**row) for row in rows]
        if [trial.number for trial in trials] != list(range(len(trials))):
            raise ValueError("the trials are not numbered 0, 1, 2 ...")
        for trial in trials:
            values = [trial.mean, *(trial.steps(seed) for seed in tuning.seeds)]
            if not isinstance(values[0] or 0.0, float) or trial.state not in STATES:
                raise ValueError(f"trial {trial.number} has no known state")
            if trial.reason.startswith(KILLED):  # from outside: it goes on
                trial.state, trial.reason = "running", ""
        settings, shared = found["settings"], {key: found[key] for key in SAME}
        differing = differing_keys(settings, tuning.settings)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{path}: is damaged ({error}). Choose another folder with --out, or move it away."
        ) from error
    own = tuning.record(())
    differing += [key for key in SAME if shared[key] != own[key]]
    if differing:
        raise ConfigError(
            f"{tuning.out}: holds another tuning; these differ: {listed(differing)}. Choose "
            "another folder with --out, or move this one away."
        )
    return trials


def write_tuning(
    tuning: Tuning, trials: Sequence[Trial], styles: Sequence[Style] = ()
) -> tuple[Trial, list[Path]]:
    """Write the best values as a config, the table of all trials and the figure.

    Returns:
        The best trial, and the files.

    Raises:
        ArtifactError: No trial has finished.
    """
    best = best_of(trials)
    files = [tuning.out / FILE_NAME, tuning.out / "best.py"]
    write_text(files[1], best_config(tuning, best, len(trials)))
    table = partial(render, trial_table(tuning, trials))
    for style in dict.fromkeys(("markdown", "csv", *styles)):
        if style != "text":  # that is printed
            files.append((tuning.out / "trials").with_suffix(SUFFIXES[style]))
            write_text(files[-1], table(style))
    files.append(tuning.out / "trials.png")
    logs = [key for key, rule in tuning.space.items() if getattr(rule, "log", False)]
    save_figure(draw_tuning(tuning.record(trials), logs), files[-1])
    return best, files


def best_config(tuning: Tuning, best: Trial, trials: int) -> str:
    """Return a config of three lines: what it is, the tuned config, and the best values over it.

    The options of every run are set too. A list that a value lies in is written whole, as a config
    inherits it whole or not at all.
    """
    options = (*tuning.options, *as_options(best.values))
    config = load_config(tuning.file, options)
    sections: dict[str, Any] = {}
    for option in options:
        _copy(config, sections, option.partition("=")[0].strip().split("."))
    base = Path(os.path.relpath(tuning.file.resolve(), tuning.out.resolve())).as_posix()
    where = f"experiences: {tuning.experiences}, seeds: {', '.join(map(str, tuning.seeds))}"
    head = f"The best of {trials} trials: {best.mean:.4f} on validation data ({where})."
    return f"# {head}\n_base_ = {[base]!r}\n{format_config(sections)}"


def _copy(source: Any, target: dict[str, Any], parts: Sequence[str]) -> None:  # noqa: ANN401
    """Copy the value at a key; a list on the way is copied whole."""
    first, *rest = parts
    if rest and isinstance(source[first], dict):
        _copy(source[first], target.setdefault(first, {}), rest)
    else:
        target[first] = source[first]


def trial_table(tuning: Tuning, trials: Sequence[Trial]) -> Table:
    """Return the table of all trials, the best ones first."""
    keys = list(tuning.space)
    sets = list(dict.fromkeys(name for t in trials for run in t.reached.values() for name in run))
    ranked = sorted(trials, key=lambda t: (t.state != "finished", -(t.mean or 0.0), t.number))
    rows = []
    for trial in ranked:
        means = [[run[name] for run in trial.reached.values() if name in run] for name in sets]
        cells = [number(sum(one) / len(one) if one else None) for one in means]
        values = [str(trial.values.get(key, "")) for key in keys]
        rows.append((str(trial.number), number(trial.mean), *cells, *values, trial.state))
    seeds = ", ".join(map(str, tuning.seeds))
    title = (
        f"Trials of {tuning.file.stem}: validation data after {tuning.experiences} "
        f"experience{'s' * (tuning.experiences != 1)}, "
        f"{f'mean over seeds {seeds}' if len(tuning.seeds) > 1 else f'seed {seeds}'}"
    )
    return Table(title, ("trial", "mean", *sets, *keys, "state"), tuple(rows))
