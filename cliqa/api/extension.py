"""Growing a finished run from Python: more data sets, or more epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cliqa.api.launch import launch
from cliqa.api.runs import TrainedRun, prepared
from cliqa.benchmarks.presets import FOLDERS, preset
from cliqa.config.components import quick_check
from cliqa.config.load import load_config
from cliqa.config.trust import trusting
from cliqa.datasets.labels.layouts.parts import listed_files
from cliqa.datasets.labels.score_columns import read_scores
from cliqa.datasets.labels.sheet import MissingColumnsError
from cliqa.datasets.own.guess import READING, guess_section
from cliqa.utils.errors import ConfigError, DatasetError
from cliqa.utils.logging import close_logging, get_logger
from cliqa.utils.paths import check_output_folder, home_path, name_after

logger = get_logger(__name__)

LABELS = (".csv", ".json", ".xlsx", ".parquet")
"""Endings of label files."""

OF_SPLITS = ("val_labels", "test_labels", "split_file", "split_key")
"""Label files that a new data set does not share with another one."""

Data = str | Path | Mapping[str, Any]
"""A data set: a section as in a config, a label file, ``TYPE=ROOT`` or ``TYPE``."""


def extend(
    run: TrainedRun | str | Path,
    data: Data | Sequence[Data] = (),
    *,
    train_epochs: int | None = None,
    work_dir: str | Path | None = None,
    device: str = "auto",
    allow_changed_data: bool = False,
    trust: bool = False,
) -> TrainedRun:
    """Let a run learn more data sets, or its last one for longer; as ``--extend`` does.

    All that the run has learnt goes on: weights, memory, importances, masks, adapters, gate,
    optimizer and random numbers. Where the method allows it, the result is to the bit that of a run
    that had the data sets from its start. A run that is stopped meanwhile is finished by
    ``train(run / "config.py", work_dir=run, resume=True)``.

    Args:
        run: The run, or its folder, whose ``config.py`` is executed as a config.
        data: What to learn next, one data set or several in their order: a label file of scores
            like the run's last one, which has its own folder's images and the last one's columns
            and scale (where it has other columns, these and the scale are guessed as by
            ``--data``); ``"KonIQ10k=/data/koniq"``; or ``dict(type=..., root=...)``.
        train_epochs: Epochs of the experience learnt last, more than it had.
        work_dir: A new folder, so that `run` stays as it is; by default it grows in its own.
        device: As in `train`.
        allow_changed_data: Continue although labels or images have changed.
        trust: Let the files that are opened name any component.

    Returns:
        The run.

    Raises:
        CliqaError: There is nothing to add, or the run cannot grow that way.
    """
    root = run.work_dir if isinstance(run, TrainedRun) else home_path(run)
    listed: list[Any] = [data] if isinstance(data, (str, Path, Mapping)) else list(data)
    if not listed and train_epochs is None:
        raise ConfigError("extend: nothing to add. Give data=... or a larger train_epochs.")
    own = root / "config.py"
    if not own.is_file():
        raise ConfigError(f"extend: {root} is no run's folder: it has no config.py.")
    with prepared(), trusting(trust):
        config = load_config(own)
        config["scenario"] = _with_data(config["scenario"], listed)
        if train_epochs is not None:
            config["cl_strategy"] = {**config["cl_strategy"], "train_epochs": train_epochs}
        quick_check(config)
        folder = root if work_dir is None else home_path(work_dir)
        check_output_folder(folder, "work_dir")
        try:
            launch(
                config,
                own,
                folder,
                device=device,
                extend=work_dir is None,
                start_from=None if work_dir is None else str(root),
                allow_changed_data=allow_changed_data,
            )
        finally:
            close_logging()
    return TrainedRun(folder, config)


def _with_data(scenario: Mapping[str, Any], data: Sequence[Data]) -> dict[str, Any]:
    """Return a scenario with more data sets at its end.

    Raises:
        ConfigError: The scenario reads its own data, or something is no data set.
    """
    if not data:
        return dict(scenario)
    known = scenario.get("datasets")
    if not known:
        raise ConfigError(
            f"extend: a {scenario.get('type')} has no list of data sets. Raise its buckets or "
            "n_experiences in the config, and use cliqa train --extend."
        )
    sections = preset(known) if isinstance(known, str) else list(known)
    added: list[dict[str, Any]] = []
    for one in data:
        added.append(_section(one, [*sections, *added]))
    order = scenario.get("order")
    if order:
        names = [section.get("name") for section in added]
        if None in names:
            raise ConfigError("extend: the run has scenario.order. Give every data set a name.")
        return {**scenario, "datasets": [*sections, *added], "order": [*order, *names]}
    return {**scenario, "datasets": [*sections, *added]}


def _section(data: Data, known: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a data set's section; a label file is described by the last of the known ones."""
    if isinstance(data, Mapping):
        return dict(data)
    kind, _, root = str(data).partition("=")
    path = home_path(data).resolve()
    if path.suffix.lower() in LABELS:
        return _label_file(data, path, known)
    if not root and kind not in FOLDERS:
        raise ConfigError(
            f"extend: {data!r} is no data set. Give a label file ({', '.join(LABELS)}), TYPE=ROOT "
            "such as 'KADID10k=/data/kadid10k', or dict(type=..., root=...)."
        )
    return {"type": kind, "root": root or FOLDERS[kind]}


def _label_file(data: object, path: Path, known: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the section of a label file; its columns are guessed where the last one's are missing.

    Raises:
        ConfigError: The run's last data set has no label file.
        DatasetError: What the columns mean cannot be guessed.
    """
    last = known[-1]
    if "labels" not in last:
        raise ConfigError(
            f"extend: {data}: the run's last data set is a {last.get('type')}, which does not "
            "tell how to read it. Give dict(type='ScoreFile', root=..., labels=..., "
            "score_range=(LOW, HIGH), higher_is_better=True)."
        )
    name, used = name_after(path), {_name(section) for section in known}
    if name in used:
        name = f"{name_after(path.parent)}_{name}"
    own = {"root": str(path.parent), "labels": path.name, "name": name}
    like = {key: value for key, value in last.items() if key not in OF_SPLITS}
    try:
        read_scores(path, **{key: like[key] for key in READING if key in like})
    except DatasetError as error:
        if isinstance(error.__cause__, MissingColumnsError):
            return {**_guessed(path, len(known)), **own}
    return {**like, **own}


def _name(section: Mapping[str, Any]) -> object:
    """Return a data set's name, which is its label file's where none is given."""
    return section.get("name") or name_after(listed_files(section.get("labels") or "")[0])


def _guessed(path: Path, place: int) -> dict[str, Any]:
    """Return a label file's columns and scale as ``--data`` guesses them."""
    guess = guess_section(path, {}, place)
    if guess.mistakes.lines:
        raise DatasetError(
            "\n".join(guess.mistakes.lines) + "\nFrom Python, give these keys in cliqa.extend(run, "
            f"dict(type='ScoreFile', root='{path.parent}', labels='{path.name}', ...))."
        )
    for line in guess.lines:
        logger.info("%s: %s", path.name, line)
    return guess.section
