"""The runs of a study, planned and checked before any of them starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from cliqa.benchmarks.random_splits import check_split
from cliqa.config.load import load_config
from cliqa.config.values import config_differences
from cliqa.engine.check import check_config
from cliqa.engine.sections import data_set_sections, with_command_line
from cliqa.registry import DATASETS, find
from cliqa.studies.planned_run import PlannedRun, Replicate
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

Item = TypeVar("Item", bound=Hashable)

Configs = dict[Path, Mapping[str, Any]]
"""Loaded configs by their files, in order."""

FREE_OF_METHOD = ("train_transform", "eval_transform")
"""Keys of the scenario that a method may choose for itself."""


@dataclass(frozen=True)
class Bracket:
    """The configs of the lower and the upper bound (naive and joint training).

    Args:
        naive: The lower bound's config; None to look for it.
        joint: The upper bound's config; None to look for it.
        look: Look for a bound that is not named: ``X_naive.py`` and ``X_joint.py`` beside a config
            that is called ``X`` or ``X_method``, over the same data.
    """

    naive: str | Path | None = None
    joint: str | Path | None = None
    look: bool = True

    def find(
        self, configs: Configs, load: Callable[[Path], Mapping[str, Any]]
    ) -> tuple[Path | None, Path | None]:
        """Return the files of the lower and the upper bound, after adding them to `configs`.

        Args:
            configs: The study's configs; the bounds may stand among them.
            load: Loads one more.

        Raises:
            ConfigError: A bound is missing or wrong, both are one, or several are found.
        """
        methods = dict(configs)
        found: list[Path | None] = []
        for name, given in (("naive", self.naive), ("joint", self.joint)):
            file = Path(given) if given else None
            if file is None and self.look:
                file = _look(name, methods, load)
            if file is not None:
                known = (one for one in configs if one.resolve() == file.resolve())
                file = next(known, file)
                if file not in configs:
                    configs[file] = load(file)
            found.append(file)
        if found[0] is not None and found[0] == found[1]:
            raise ConfigError(f"{found[0]}: cannot be both --naive and --joint.")
        return found[0], found[1]


@dataclass(frozen=True)
class Plan:
    """All runs of a study.

    Args:
        out: The study's folder.
        runs: Replicate by replicate, in each of them all configs: what is stopped early can be
            compared all the same.
        names: The configs' names in the order of the table.
        naive: The name of the lower bound, None if there is none.
        joint: The name of the upper bound, None if there is none.
        notes: Notes for the table in addition to its own; finished runs that are kept add them.
    """

    out: Path
    runs: tuple[PlannedRun, ...]
    names: tuple[str, ...]
    naive: str | None
    joint: str | None
    notes: list[str] = field(default_factory=list)

    @property
    def replicates(self) -> list[str]:
        """Return the names of all replicates, in order."""
        return list(dict.fromkeys(str(run.replicate) for run in self.runs))


def plan_study(
    configs: Sequence[str | Path],
    seeds: Sequence[int],
    out: str | Path,
    *,
    bracket: Bracket | None = None,
    orders: Sequence[Sequence[str]] = (),
    options: Sequence[str] = (),
) -> Plan:
    """Return the runs of a study.

    Args:
        configs: Config files, in the order of the table.
        seeds: At least one. With ``scenario.splits=N`` the replicates are N random splits of the
            data instead: run k has the seed ``seeds[0] + k`` and the data sets' k-th split; with
            ``scenario.folds=K`` the K folds of one split.
        out: The study's folder; a run goes to ``OUT/<config name>/seed_<S>``, with an order to
            ``OUT/<config name>/order_<names>/seed_<S>``.
        bracket: Where the lower and the upper bound come from; by default they are looked for.
        orders: Orders of a `QualityStream`'s data sets; every one is run with every seed.
        options: ``key=value`` for every config.

    Raises:
        ConfigError: A config is missing or wrong, two are called the same, a seed or an order is
            given twice, an order does not fit, or a run's folder belongs to another config.
    """
    if not seeds:
        raise ConfigError("--seeds: name at least one.")
    _check_once(seeds, "--seeds")
    _check_once([tuple(order) for order in orders], "--orders")
    loaded: Configs = {}
    for file in map(Path, configs):
        if any(known.resolve() == file.resolve() for known in loaded):
            raise ConfigError(f"{file}: given twice.")
        loaded[file] = _load(file, options)
    naive, joint = (bracket or Bracket()).find(loaded, lambda file: _load(file, options))
    _check_configs(loaded)
    for order in orders:
        for file, config in loaded.items():
            _check_order(order, file, config["scenario"])
    replicates = [Replicate(s, tuple(order)) for order in orders or ((),) for s in seeds]
    splits, folds = _splits(loaded)
    if splits or folds:
        if orders:
            raise ConfigError("--orders and random splits: repeat one of them at a time.")
        replicates = [
            Replicate(seeds[0] + split, split=split, folds=bool(folds))
            for split in range(splits or folds)
        ]
    runs = tuple(
        PlannedRun(file, replicate, all_options, Path(out) / file.stem / replicate.folder, config)
        for replicate in replicates
        for file in loaded
        for all_options in [(*options, *replicate.options)]
        for config in [with_command_line(_load(file, all_options), seed=replicate.seed)]
    )
    names = tuple(file.stem for file in loaded)
    low, high = (file.stem if file else None for file in (naive, joint))
    return Plan(Path(out), runs, names, low, high)


def _splits(configs: Configs) -> tuple[int, int]:
    """Return how many random splits and how many folds the configs ask for, 0 for none.

    Raises:
        ConfigError: They ask for different numbers, or for none that can be.
    """
    sections = {file: config["scenario"] for file, config in configs.items()}
    asked = {file: (own.get("splits"), own.get("folds")) for file, own in sections.items()}
    for splits, folds in asked.values():
        check_split(splits, folds, None if splits is None and folds is None else 0)
    if len(set(asked.values())) > 1:
        listed = ", ".join(f"{file}: {number}" for file, number in asked.items())
        raise ConfigError(
            f"the configs of a study have the same scenario.splits and folds ({listed}). Set them "
            "for all: --cfg-options scenario.splits=10."
        )
    splits, folds = next(iter(asked.values()))
    return splits or 0, folds or 0


def _load(file: Path, options: Sequence[str]) -> dict[str, Any]:
    """Return a config after checking the names and arguments of its components.

    Raises:
        ConfigError: It is missing or wrong.
    """
    config = load_config(file, options)
    if config.get("pretrain") is not None:
        raise ConfigError(
            f"{file}: pretrains without scores, and a study compares what was learnt from them. "
            "tools/compare_pretraining.py compares a random start with a pretrained one."
        )
    try:
        return check_config(config)
    except ConfigError as error:
        lines = (f"{file}: {line}" for line in str(error).splitlines())
        raise ConfigError("\n".join(lines)) from error


def _check_once(items: Iterable[Item], option: str) -> None:
    """Refuse duplicates."""
    twice = next((item for item, count in Counter(items).items() if count > 1), None)
    if twice is not None:
        shown = ",".join(twice) if isinstance(twice, tuple) else twice
        raise ConfigError(f"{option}: {shown} is given twice. Name each once.")


def _check_configs(configs: Configs) -> None:
    """Refuse configs of one name, which would share a folder, and streams of two kinds."""
    kinds: dict[Any, Path] = {}
    by_name: dict[str, Path] = {}
    for file, config in configs.items():
        other = by_name.setdefault(file.stem, file)
        if other != file:
            raise ConfigError(
                f"{other} and {file}: two configs are called '{file.stem}', and runs are "
                "distinguished by that name. Rename one."
            )
        kinds.setdefault(config["scenario"].get("type"), file)
    if len(kinds) > 1:
        listed = ", ".join(f"{file}: {kind}" for kind, file in kinds.items())
        raise ConfigError(
            f"configs of different streams cannot be compared in one table ({listed}). Study each "
            "stream on its own, or leave bounds of another one out with --no-bracket."
        )


def _check_order(order: Sequence[str], file: Path, scenario: Mapping[str, Any]) -> None:
    """Refuse an order that does not name each of a config's data sets once."""
    given = ",".join(order)
    if scenario.get("type") != "QualityStream":
        raise ConfigError(
            f"--orders {given}: {file} is no QualityStream, and only its data sets can be ordered."
        )
    sections = data_set_sections(scenario)
    names = [
        str(section.get("name") or getattr(find(DATASETS, section, "scenario"), "default_name", ""))
        for section in sections
    ]
    if all(names) and sorted(order) != sorted(names):
        raise ConfigError(
            f"--orders {given}: must name each data set of {file} once: {','.join(names)}."
        )


def _look(
    name: str, configs: Mapping[Path, Mapping[str, Any]], load: Callable[[Path], Mapping[str, Any]]
) -> Path | None:
    """Return the bound found next to the configs, None if there is none."""
    found: dict[Path, Path] = {}
    for file, config in configs.items():
        beside = sibling(file, name)
        if beside is None:
            continue
        own, other = (
            {key: value for key, value in part["scenario"].items() if key not in FREE_OF_METHOD}
            for part in (config, load(beside))
        )
        differing = config_differences({"scenario": own}, {"scenario": other})
        if differing:
            keys = dict.fromkeys(".".join(key.split(".")[:2]) for key in differing)
            logger.warning(
                "%s is not used as %s's bound: its data differ (%s)", beside, file, ", ".join(keys)
            )
        else:
            found.setdefault(beside.resolve(), beside)
    if len(found) > 1:
        listed = " and ".join(map(str, found.values()))
        raise ConfigError(
            f"--{name}: {listed} are found beside the configs. Name one of them, or none with "
            "--no-bracket."
        )
    return next(iter(found.values()), None)


def sibling(file: Path, name: str) -> Path | None:
    """Return the file ``X_<name>.py`` beside ``X.py`` or ``X_method.py``, with the longest X."""
    words = file.stem.split("_")
    for count in range(len(words), 0, -1):
        beside = file.with_name(f"{'_'.join(words[:count])}_{name}.py")
        if beside.is_file():
            return beside
    return None
