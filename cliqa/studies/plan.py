"""The runs of a study, planned and checked before any of them starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from cliqa.benchmarks.random_splits import check_split
from cliqa.config.load import load_config
from cliqa.engine.check import check_config
from cliqa.engine.sections import data_set_sections, with_command_line
from cliqa.registry import DATASETS, find
from cliqa.studies.arms import Arm, Arms, Stage, Variant, starting_from
from cliqa.studies.bracket import Bracket, Configs
from cliqa.studies.planned_run import PlannedRun, Replicate
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

Item = TypeVar("Item", bound=Hashable)


@dataclass(frozen=True)
class Plan:
    """All runs of a study.

    Args:
        out: The study's folder.
        runs: Replicate by replicate, in each of them all configs: what is stopped early can be
            compared all the same.
        names: The names of the configs, or of their variants, in the order of the table.
        naive: The name of the lower bound, None if there is none.
        joint: The name of the upper bound, None if there is none.
        notes: Notes for the table in addition to its own; finished runs that are kept add them.
        first: The pretrainings, which run before all others.
        bounds: How many of the names, the last ones, are bounds that were looked for.
    """

    out: Path
    runs: tuple[PlannedRun, ...]
    names: tuple[str, ...]
    naive: str | None
    joint: str | None
    notes: list[str] = field(default_factory=list)
    first: tuple[PlannedRun, ...] = ()
    bounds: int = 0

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
    variants: Sequence[Variant] = (),
    pretraining: str | Path | None = None,
    stages: str | Path | None = None,
    own: Sequence[str] = (),
    draws: bool = False,
) -> Plan:
    """Return the runs of a study.

    Args:
        configs: Config files, in the order of the table.
        seeds: At least one. With ``scenario.splits=N`` the replicates are N random splits of the
            data instead: run k has the seed ``seeds[0] + k`` and the data sets' k-th split; with
            ``scenario.folds=K`` the K folds of one split.
        out: The study's folder; a run goes to ``OUT/<name>/seed_<S>``, with an order to
            ``OUT/<name>/order_<names>/seed_<S>``; the name is that of the config, and of the
            variant: ``demo_short``.
        bracket: Where the lower and the upper bound come from; by default they are looked for.
        orders: Orders of a `QualityStream`'s data sets; every one is run with every seed.
        options: ``key=value`` for every config.
        variants: Run the configs in these variants; see `Arms`. Bounds are not varied.
        pretraining: The config of a pretraining that is run first for every seed; configs with
            ``load_from`` start from its encoder.
        stages: Where the pretrainings go, as ``STAGES/<name>/seed_<S>``; None for `out`.
        own: ``key=value`` for the configs, but for no pretraining.
        draws: Draw the training images of ``scenario.max_train`` by the seed, so that seeds differ
            in their labels too; not with random splits.

    Raises:
        ConfigError: A config is missing or wrong, two are called the same, a seed or an order is
            given twice, an order does not fit, a run's folder belongs to another config, or no
            config starts from the pretraining.
    """
    if not seeds:
        raise ConfigError("--seeds: name at least one.")
    _check_once(seeds, "--seeds")
    _check_once([tuple(order) for order in orders], "--orders")
    making = Arms(variants, pretraining, options, own)
    loaded: Configs = {}
    for file in map(Path, configs):
        if any(known.resolve() == file.resolve() for known in loaded):
            raise ConfigError(f"{file}: given twice.")
        loaded[file] = _load(file, making.of_configs)
    given = len(loaded)
    bounds = (bracket or Bracket()).find(loaded, lambda file: _load(file, making.of_configs))
    _check_configs(loaded)
    for order in orders:
        for file, config in loaded.items():
            _check_order(order, file, config["scenario"])
    arms = [
        arm
        for file, config in loaded.items()
        for arm in ([Arm(file, file.stem)] if file in bounds else making.of(file, config))
    ]
    _check_names(arms, pretraining)
    planned = _Runs(making, Path(out), Path(stages or out))
    runs = tuple(
        planned.run(arm, replicate)
        for replicate in _replicates(loaded, seeds, orders, draws)
        for arm in arms
    )
    names = tuple(arm.name for arm in arms)
    low, high = (file.stem if file else None for file in bounds)
    first = tuple(planned.first.values())
    return Plan(Path(out), runs, names, low, high, first=first, bounds=len(loaded) - given)


class _Runs:
    """Makes the runs of arms in replicates, and the pretrainings that they need.

    Args:
        making: What the arms came from.
        out: Where runs go.
        stages: Where pretrainings go.

    Attributes:
        first: The pretrainings so far, by their folder.
    """

    def __init__(self, making: Arms, out: Path, stages: Path) -> None:
        self.making, self.out, self.stages = making, out, stages
        self.first: dict[Path, PlannedRun] = {}

    def run(self, arm: Arm, replicate: Replicate) -> PlannedRun:
        """Return the run of an arm in a replicate."""
        folder = self.out / arm.name / replicate.folder
        options = (*self.making.of_configs, *arm.options, *replicate.options)
        before = None
        if arm.stage is not None:
            before = self._pretraining(arm.stage, replicate.seed)
            options = (*options, starting_from(_load(arm.file, options), before.encoder))
        config = with_command_line(_load(arm.file, options), seed=replicate.seed)
        return PlannedRun(arm.file, replicate, options, folder, config, arm.name, before)

    def _pretraining(self, stage: Stage, seed: int) -> PlannedRun:
        """Return a pretraining with a seed; several runs may share it."""
        replicate = Replicate(seed)
        folder = self.stages / stage.name / replicate.folder
        if folder not in self.first:
            config = with_command_line(self.making.load(stage), seed=seed)
            self.first[folder] = PlannedRun(
                stage.file, replicate, stage.options, folder, config, stage.name
            )
        return self.first[folder]


def _check_names(arms: Sequence[Arm], pretraining: str | Path | None) -> None:
    """Refuse rows of one name, and a pretraining that nothing starts from."""
    names = Counter([*(arm.name for arm in arms), *{arm.stage.name for arm in arms if arm.stage}])
    twice = next((name for name, count in names.items() if count > 1), None)
    if twice is not None:
        raise ConfigError(
            f"two rows of the study are called '{twice}', and runs are distinguished by that name. "
            "Rename a config, or name a variant (--arm) otherwise."
        )
    if pretraining is not None and not any(arm.stage for arm in arms):
        raise ConfigError(
            f"--pretraining {pretraining}: no config starts from its encoder. Give one that has "
            "load_from, such as cliqa::demo_pretrained.py."
        )


def _replicates(
    loaded: Configs, seeds: Sequence[int], orders: Sequence[Sequence[str]], draws: bool
) -> list[Replicate]:
    """Return what every arm is run with: seeds, in each order, or random splits of the data."""
    splits, folds = _splits(loaded)
    if not splits and not folds:
        return [Replicate(s, tuple(order), draws=draws) for order in orders or ((),) for s in seeds]
    if orders:
        raise ConfigError("--orders and random splits: repeat one of them at a time.")
    return [
        Replicate(seeds[0] + split, split=split, folds=bool(folds))
        for split in range(splits or folds)
    ]


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
            f"Give the config that fine-tunes, and this one as --pretraining {file}."
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
    sections = data_set_sections(scenario) if scenario.get("split_by") is None else []
    names = [
        str(section.get("name") or getattr(find(DATASETS, section, "scenario"), "default_name", ""))
        for section in sections
    ]
    if names and all(names) and sorted(order) != sorted(names):
        raise ConfigError(
            f"--orders {given}: must name each data set of {file} once: {','.join(names)}."
        )
