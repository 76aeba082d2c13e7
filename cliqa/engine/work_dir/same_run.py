"""Comparison of a run's config, texts and data with those it is resumed or evaluated with."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cliqa.config.values import config_differences
from cliqa.engine.work_dir.config_growth import (
    EPOCHS,
    Growth,
    growth_of,
    with_listed_data_sets,
)
from cliqa.engine.work_dir.data_record import DataRecord, read_record
from cliqa.models.language.candidate_texts import CandidateTexts
from cliqa.models.language.image_text_model import ImageTextModel
from cliqa.models.language.text_files import load_texts
from cliqa.registry import MODELS, find
from cliqa.utils.errors import CheckpointError, ConfigError
from cliqa.utils.logging import get_logger
from cliqa.utils.paths import home_path

logger = get_logger(__name__)

OF_TRAINING = ("scenario", "model", "cl_strategy", "seed", "load_from", "amp")
OF_PRETRAINING = ("pretrain", "model", "scenario", "seed", "load_from", "amp")
"""Sections that a result depends on: a checkpoint made under others does not fit."""

FREE = ("scenario.dataset_root", "pretrain.data.root")
"""Keys in those sections that may differ: they say where the data are, not which."""

_ROOT = re.compile(r"scenario\.(datasets|evaluate_only)\.(\d+)\.root")

OPTION = "--allow-changed-data"
"""The option of every tool that resumes a run or evaluates it again."""

MOST_KEYS, MOST_DATA_SETS = 8, 4
"""How many differences an error lists."""


def differing_keys(saved: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """Return the keys, of those that decide the result, in which two configs differ.

    The second one says whether the run is a pretraining.
    """
    sections = OF_TRAINING if config.get("pretrain") is None else OF_PRETRAINING
    whole = (with_listed_data_sets(one) for one in (saved, config))
    old, new = ({key: one.get(key) for key in sections} for one in whole)
    differing = (key for key in config_differences(old, new) if key not in FREE)
    return [key for key in differing if not _same_folder(key, old, new)]


def _same_folder(key: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Return whether a key is a data set's root that is one folder, seen from two dataset_roots."""
    found = _ROOT.fullmatch(key)
    if not found:
        return False
    folders = []
    for scenario in (old["scenario"], new["scenario"]):
        sections, index = scenario.get(found[1]) or (), int(found[2])
        if index >= len(sections):
            return False
        parts = (scenario.get("dataset_root") or "", sections[index].get("root") or "")
        folders.append(os.path.abspath(os.path.join(*map(home_path, parts))))
    return folders[0] == folders[1]


def listed(keys: Sequence[str]) -> str:
    """Return the first keys, as a message has them."""
    return ", ".join(keys[:MOST_KEYS]) + (", ..." if len(keys) > MOST_KEYS else "")


def check_same_config(
    path: Path, saved: Mapping[str, Any], config: Mapping[str, Any], own: Path
) -> None:
    """Refuse to resume from a checkpoint under a config that would have led to other results.

    `own` is where the run's config lies.

    Raises:
        CheckpointError: With the keys that differ.
    """
    differing = differing_keys(saved, config)
    if not differing:
        return
    growth = _growth(differing, saved, config)
    keys = listed(differing)
    advice = f"Use the config it was made with ({own}), or another --work-dir."
    if growth.possible and config.get("pretrain") is None:
        keys = listed([*growth.stream, *([EPOCHS] if growth.epochs else [])])
        advice = f"They ask for more: continue with --extend. Or use its own config ({own})."
    raise CheckpointError(f"{path}: made under another config; these keys differ: {keys}. {advice}")


def check_growth(path: Path, saved: Mapping[str, Any], config: Mapping[str, Any]) -> Growth:
    """Return what a config asks for beyond the one that a checkpoint was made under.

    Raises:
        CheckpointError: With the keys of what was learnt that differ.
        ConfigError: More epochs and a longer stream are asked for at once.
    """
    growth = _growth(differing_keys(saved, config), saved, config)
    if growth.other:
        raise CheckpointError(
            f"{path}: what the run has learnt cannot change; these keys differ: "
            f"{listed(growth.other)}. A run grows by data sets at the end of scenario.datasets "
            "(or of order, buckets, n_experiences, fixed_class_order, groups, evaluate_only), or "
            "by more cl_strategy.train_epochs. Set the other keys back (after a run with --data: "
            "its files first, then the new one, and the same options), or train in another folder."
        )
    if growth.stream and growth.epochs:
        raise ConfigError(
            f"{EPOCHS} and {growth.stream[0]}: raised and added at once, so it is not clear "
            "whether the last experience learnt so far gets the epochs too. Extend by one of them, "
            "then by the other."
        )
    return growth


def _growth(keys: Sequence[str], saved: Mapping[str, Any], config: Mapping[str, Any]) -> Growth:
    """Return the differences of two configs in some keys."""
    return growth_of(keys, with_listed_data_sets(saved), with_listed_data_sets(config))


def check_same_texts(path: Path, state: dict[str, Any], config: dict[str, Any]) -> None:
    """Refuse texts that have changed since a checkpoint was made: a config holds only their path.

    Raises:
        CheckpointError: With the first candidate that differs.
        ConfigError: The file of texts is missing or wrong.
    """
    source = config["model"].get("texts")
    component = find(MODELS, config["model"], "model") if source else None
    if not isinstance(component, type) or not issubclass(component, ImageTextModel):
        return
    content = bytes(state["strategy"]["model"]["_extra_state"].tolist()).decode()
    then, now = CandidateTexts.from_json(content, f"{path}"), load_texts(source)
    if then.to_json() == now.to_json():
        return
    before, after = then.lines(), now.lines()
    names = dict.fromkeys([*before, *after])
    changed = [n for n in names if before.get(n) != after.get(n)] or ["the order"]
    old, new = (lines.get(changed[0], "another") for lines in (before, after))
    raise CheckpointError(
        f"{path}: trained with other texts than {source} has now; changed: "
        f"{listed(changed)}.\n"
        f"  {changed[0]}, then: {old}\n  {changed[0]}, now:  {new}\n"
        "Restore the texts, or train again in another folder."
    )


def check_fits(state: dict[str, Any], config: dict[str, Any], path: Path) -> None:
    """Refuse to evaluate a checkpoint under a config that it was not trained with.

    The model and the strategy must be the same, and so must the preprocessing of images: another
    resize or crop shifts every score.

    Raises:
        CheckpointError: With the keys that differ.
    """

    def deciding(whole: dict[str, Any]) -> dict[str, Any]:
        strategy = {k: v for k, v in whole["cl_strategy"].items() if k in ("type", "plugins")}
        transform = whole["scenario"].get("eval_transform")
        return {
            "model": whole["model"],
            "cl_strategy": strategy,
            "scenario": {"eval_transform": transform},
        }

    differing = config_differences(deciding(state["config"]), deciding(config))
    if differing:
        raise CheckpointError(
            f"{path}: trained with another config; these keys differ: {listed(differing)}. "
            f"Use the config of its run: {path.parent.parent / 'config.py'}."
        )


def check_same_data(
    path: object,
    saved: object,
    now: DataRecord,
    allowed: bool = False,
    absent: Collection[str] = (),
) -> DataRecord:
    """Refuse data that differ from those of a run, unless changes are allowed.

    Args:
        path: The run's checkpoint or exported file.
        saved: The record of the run's data that it holds; files of older versions have none.
        now: The data that are to be used.
        allowed: Continue with the changed data; the returned record lists all changes so far.
        absent: Data sets that are not there any more; the returned record has what was known.

    Raises:
        CheckpointError: With what has changed.
    """
    then = read_record(saved, path)
    if then is None:
        logger.warning("%s: holds no record of its data: they may have changed since", path)
        return now
    kept = {name: parts for name, parts in then.sets.items() if name in absent}
    now = replace(now, sets={**now.sets, **kept})
    found = then.differences(now)
    if found and not allowed:
        beyond = len(found) - MOST_DATA_SETS
        more = f" (and {beyond} data sets more)" if beyond > 0 else ""
        raise CheckpointError(
            f"{path}: trained on other data; changed since: {'. '.join(found[:MOST_DATA_SETS])}"
            f"{more}. Restore the data, or continue with {OPTION}, which the results will mention."
        )
    for line in found:
        logger.warning("%s: changed since: %s", path, line)
    notes = (f"the data are not those that the run began with ({OPTION}): {line}" for line in found)
    return replace(now, changes=(*then.changes, *notes))
